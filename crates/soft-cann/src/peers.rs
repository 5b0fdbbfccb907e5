//! Memory that devices and processes share: keys of buffers, and access between devices (spec/hal.md, section
//! 1.2).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::codes;
use crate::device::Device;
use crate::handle;
use crate::region::Alias;
use crate::rule::Effect;
use crate::sync::lock;

/// How long access takes to be there after it was enabled.
const SETTLE: Duration = Duration::from_millis(2);

/// What a device shares with others.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Devices that it may access, and since when.
    enabled: Mutex<BTreeMap<i32, Instant>>,
    exports: Mutex<BTreeMap<String, Export>>,
    /// By key.
    imports: Mutex<BTreeMap<String, Import>>,
}

#[derive(Debug)]
struct Export {
    /// What other processes read to import it. Removed with the key.
    note: Note,
    record: Record,
}

#[derive(Debug)]
struct Import {
    alias: Alias,
    size: u64,
}

/// A small file that other processes find by its name.
#[derive(Debug)]
pub(crate) struct Note(PathBuf);

impl Note {
    pub(crate) fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(name)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let fresh = self.0.with_extension("new");
        std::fs::write(&fresh, text)?;
        std::fs::rename(fresh, &self.0)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // Without the file nobody can import, which is what is wanted.
        drop(std::fs::remove_file(&self.0));
    }
}

/// A name that no other call of any process makes.
pub(crate) fn unique_name(kind: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!(
        "soft-cann-{kind}-{}-{:x}-{:x}",
        std::process::id(),
        handle::fresh() & 0xFFFF_FFFF,
        now.subsec_nanos()
    )
}

/// Where exported memory is, and who may import it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    process: u32,
    file: i32,
    offset: u64,
    size: u64,
    /// Anybody may import.
    open: bool,
    allowed: Vec<i32>,
}

impl Record {
    fn to_text(&self) -> String {
        let Self { process, file, offset, size, open, allowed } = self;
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        format!("{process} {file} {offset} {size} {} {}", u8::from(*open), allowed.join(" "))
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (process, file) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (offset, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let open = words.next()? == "1";
        let allowed = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { process, file, offset, size, open, allowed })
    }
}

impl Peers {
    /// Shares a buffer under a new key.
    pub(crate) fn export(&self, device: &Device, address: u64, size: u64, open: bool) -> Result<String, i32> {
        device.memory.check("the export", address, size).map_err(|refusal| device.refuse(refusal))?;
        let (file, offset) = device.memory.place_of(address).ok_or(codes::PARAM_INVALID)?;
        let record = Record { process: std::process::id(), file, offset, size, open, allowed: Vec::new() };
        let key = unique_name("ipc");
        let note = Note(Note::path(&key));
        note.write(&record.to_text()).map_err(|_| codes::DRV_INTERNAL_ERROR)?;
        lock(&self.exports).insert(key.clone(), Export { note, record });
        Ok(key)
    }

    /// Lets processes import what this device exports under a key.
    pub(crate) fn allow(&self, key: &str, processes: &[i32]) -> Result<(), i32> {
        let mut exports = lock(&self.exports);
        let export = exports.get_mut(key).ok_or(codes::PARAM_INVALID)?;
        export.record.allowed.extend(processes);
        export.note.write(&export.record.to_text()).map_err(|_| codes::DRV_INTERNAL_ERROR)
    }

    /// Maps what somebody exports under a key.
    pub(crate) fn import(&self, key: &str) -> Result<u64, i32> {
        let mut imports = lock(&self.imports);
        if !key.starts_with("soft-cann-ipc-") || imports.contains_key(key) {
            return Err(codes::PARAM_INVALID);
        }
        let text = std::fs::read_to_string(Note::path(key)).map_err(|_| codes::PARAM_INVALID)?;
        let record = Record::from_text(&text).ok_or(codes::DRV_INTERNAL_ERROR)?;
        let us = i32::try_from(std::process::id()).unwrap_or(0);
        if !record.open && !record.allowed.contains(&us) {
            return Err(codes::NO_PERMISSION);
        }
        // Gone with the process that has exported it.
        let path = format!("/proc/{}/fd/{}", record.process, record.file);
        let file =
            File::options().read(true).write(true).open(path).map_err(|_| codes::DRV_INTERNAL_ERROR)?;
        let alias = Alias::of(&file, record.offset, record.size).map_err(|_| codes::MEMORY_ALLOCATION)?;
        let address = alias.address;
        imports.insert(key.to_owned(), Import { alias, size: record.size });
        Ok(address)
    }

    /// Ends an import, else an export.
    pub(crate) fn close(&self, key: &str) -> Result<(), i32> {
        let imported = lock(&self.imports).remove(key).is_some();
        if imported || lock(&self.exports).remove(key).is_some() { Ok(()) } else { Err(codes::PARAM_INVALID) }
    }

    /// How many keys are open.
    pub(crate) fn keys(&self) -> u64 {
        (lock(&self.exports).len() + lock(&self.imports).len()) as u64
    }

    pub(crate) fn clear(&self) {
        lock(&self.exports).clear();
        lock(&self.imports).clear();
        lock(&self.enabled).clear();
    }

    /// Whether a range lies in imported memory.
    pub(crate) fn has_imported(&self, address: u64, size: u64) -> bool {
        let within = |import: &Import| {
            address.checked_sub(import.alias.address).and_then(|offset| import.size.checked_sub(offset))
        };
        lock(&self.imports).values().filter_map(within).any(|left| size <= left)
    }

    pub(crate) fn enable(&self, peer: i32) {
        lock(&self.enabled).entry(peer).or_insert_with(Instant::now);
    }

    /// Whether memory of another device may be accessed.
    pub(crate) fn reaches(&self, peer: i32) -> bool {
        lock(&self.enabled).contains_key(&peer)
    }

    /// What `aclrtDevicePeerAccessStatus` says.
    pub(crate) fn status(&self, device: &Device, peer: i32) -> i32 {
        let never =
            device.rules.on_event(|effect| matches!(effect, Effect::PeerNever).then_some(())).is_some();
        let settled = lock(&self.enabled).get(&peer).is_some_and(|since| since.elapsed() >= SETTLE);
        i32::from(settled && !never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_their_text() {
        for (open, allowed) in [(false, vec![]), (true, vec![1, 77])] {
            let record = Record { process: 5, file: 9, offset: 1 << 40, size: 64, open, allowed };
            assert_eq!(Record::from_text(&record.to_text()), Some(record));
        }
        for text in ["", "1 2 3 4", "1 2 3 x 0", "1 2 3 4 0 x"] {
            assert_eq!(Record::from_text(text), None, "{text}");
        }
    }
}
