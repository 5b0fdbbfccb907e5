//! Compiled objects on disk, found by what went into them.
//!
//! `<root>/v1/<k>/<key>.manifest` lists the results of a key, newest first; `<root>/v1/<d>/<digest>.so` is an
//! object, named by its own digest (`<k>` and `<d>` are the first two digits). Every file is published by a
//! rename, so a reader sees a whole file or none; a manifest ends with its own digest, so that damage shows.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::artifact::Artifact;
use crate::digest::Digest;

/// Results kept per key. More than one, because switching between branches switches headers back and forth.
const MAX_RESULTS: usize = 8;
const HEADLINE: &str = "simpler kernel cache 1";

#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// What a compilation depended on and what came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub object: Digest,
    pub warnings: String,
    /// Files that were read, with the digests of their content.
    pub files: Vec<(PathBuf, Digest)>,
    /// Files that would have been read instead of one of `files`, had they existed.
    pub absent: Vec<PathBuf>,
}

impl Cache {
    pub(crate) fn new(root: PathBuf) -> Cache {
        Cache { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The result under `key` whose conditions hold now.
    pub(crate) fn lookup(&self, key: &Digest) -> Option<Artifact> {
        let mut digests = HashMap::new();
        let mut holds = |record: &Record| {
            let mut unchanged = |(path, digest): &(PathBuf, Digest)| {
                let now = digests.entry(path.clone()).or_insert_with(|| Digest::of_file(path));
                now.as_ref() == Some(digest)
            };
            !record.absent.iter().any(|path| path.is_file()) && record.files.iter().all(&mut unchanged)
        };
        let records = self.records(key);
        records.into_iter().filter(|record| holds(record)).find_map(|record| self.load(record))
    }

    /// Keeps the finished object at `built`, which lies on the same file system, and moves it away from there.
    pub(crate) fn store(
        &self,
        key: &Digest,
        built: &Path,
        scratch: &Path,
        record: &Record,
    ) -> io::Result<PathBuf> {
        let object = self.file(&record.object, "so")?;
        std::fs::rename(built, &object)?;

        let mut records = self.records(key);
        records.retain(|old| (&old.files, &old.absent) != (&record.files, &record.absent));
        records.insert(0, record.clone());
        let dropped = records.split_off(records.len().min(MAX_RESULTS));
        let fresh = scratch.join("manifest");
        std::fs::write(&fresh, encode(&records))?;
        std::fs::rename(&fresh, self.file(key, "manifest")?)?;

        for old in dropped.iter().filter(|old| records.iter().all(|kept| kept.object != old.object)) {
            // Another key may still name it; that one will compile again.
            let _ = std::fs::remove_file(self.path(&old.object, "so"));
        }
        Ok(object)
    }

    fn load(&self, record: Record) -> Option<Artifact> {
        let path = self.path(&record.object, "so");
        let bytes = std::fs::read(&path).ok()?;
        if Digest::of(&bytes) != record.object {
            log::warn!("{} is damaged and will be made again", path.display());
            return None;
        }
        let path_in_cache = Some(path);
        Some(Artifact { bytes: bytes.into(), path_in_cache, from_cache: true, warnings: record.warnings })
    }

    fn records(&self, key: &Digest) -> Vec<Record> {
        let path = self.path(key, "manifest");
        let Ok(text) = std::fs::read_to_string(&path) else { return Vec::new() };
        decode(&text).unwrap_or_else(|| {
            log::warn!("{} is damaged and will be made again", path.display());
            Vec::new()
        })
    }

    fn path(&self, name: &Digest, extension: &str) -> PathBuf {
        let name = name.as_str();
        self.root.join("v1").join(&name[..2]).join(format!("{name}.{extension}"))
    }

    /// Like `path`, with the folder made.
    fn file(&self, name: &Digest, extension: &str) -> io::Result<PathBuf> {
        let path = self.path(name, extension);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(path)
    }
}

fn encode(records: &[Record]) -> String {
    let mut text = format!("{HEADLINE}\n");
    for record in records {
        let _ = writeln!(text, "object {}", record.object.as_str());
        let _ = writeln!(text, "warnings {}", escape(record.warnings.as_bytes()));
        for (path, digest) in &record.files {
            let _ = writeln!(text, "file {} {}", digest.as_str(), escape(path.as_os_str().as_bytes()));
        }
        for path in &record.absent {
            let _ = writeln!(text, "absent {}", escape(path.as_os_str().as_bytes()));
        }
    }
    let sum = Digest::of(text.as_bytes());
    let _ = writeln!(text, "sum {}", sum.as_str());
    text
}

fn decode(text: &str) -> Option<Vec<Record>> {
    let body_end = text.rfind("sum ")?;
    let (body, sum) = text.split_at(body_end);
    if Digest::parse(sum.strip_prefix("sum ")?.strip_suffix('\n')?)? != Digest::of(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(HEADLINE) {
        return None;
    }
    let mut records: Vec<Record> = Vec::new();
    for line in lines {
        let (word, rest) = line.split_once(' ')?;
        if word == "object" {
            let object = Digest::parse(rest)?;
            records.push(Record { object, warnings: String::new(), files: Vec::new(), absent: Vec::new() });
            continue;
        }
        let record = records.last_mut()?;
        match word {
            "warnings" => record.warnings = String::from_utf8(unescape(rest)?).ok()?,
            "absent" => record.absent.push(path(rest)?),
            "file" => {
                let (digest, name) = rest.split_once(' ')?;
                record.files.push((path(name)?, Digest::parse(digest)?));
            }
            _ => return None,
        }
    }
    Some(records)
}

fn path(escaped: &str) -> Option<PathBuf> {
    Some(OsString::from_vec(unescape(escaped)?).into())
}

/// Spells bytes as one line of ASCII: printable ones as they are, the rest and `%` as `%xx`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(object: &[u8], file: (&Path, &str)) -> Record {
        let files = vec![(file.0.to_owned(), Digest::of(file.1.as_bytes()))];
        Record { object: Digest::of(object), warnings: String::new(), files, absent: Vec::new() }
    }

    /// A cache with one key and one file that results depend on.
    struct Setup {
        dir: tempfile::TempDir,
        cache: Cache,
        key: Digest,
        file: PathBuf,
    }

    impl Setup {
        fn new() -> Setup {
            let dir = tempfile::tempdir().unwrap();
            let cache = Cache::new(dir.path().join("cache"));
            let file = dir.path().join("header.h");
            Setup { dir, cache, key: Digest::of(b"key"), file }
        }

        fn store(&self, object: &[u8], record: &Record) -> PathBuf {
            let built = self.dir.path().join("built");
            std::fs::write(&built, object).unwrap();
            self.cache.store(&self.key, &built, self.dir.path(), record).unwrap()
        }

        fn found(&self) -> Option<Vec<u8>> {
            self.cache.lookup(&self.key).map(|artifact| artifact.bytes.to_vec())
        }
    }

    #[test]
    fn a_result_per_content_of_a_file() {
        let setup = Setup::new();
        assert_eq!(setup.found(), None);
        for text in ["one", "two"] {
            std::fs::write(&setup.file, text).unwrap();
            assert_eq!(setup.found(), None);
            setup.store(text.as_bytes(), &record(text.as_bytes(), (&setup.file, text)));
            assert_eq!(setup.found().unwrap(), text.as_bytes());
        }
        std::fs::write(&setup.file, "one").unwrap();
        assert_eq!(setup.found().unwrap(), b"one");
        std::fs::remove_file(&setup.file).unwrap();
        assert_eq!(setup.found(), None);
    }

    #[test]
    fn a_file_that_appears_spoils_the_result() {
        let setup = Setup::new();
        std::fs::write(&setup.file, "x").unwrap();
        let shadow = setup.dir.path().join("shadow.h");
        let mut record = record(b"object", (&setup.file, "x"));
        record.absent.push(shadow.clone());
        setup.store(b"object", &record);
        assert!(setup.found().is_some());
        std::fs::write(&shadow, "").unwrap();
        assert_eq!(setup.found(), None);
    }

    #[test]
    fn the_number_of_results_is_bounded() {
        let setup = Setup::new();
        let text = |number: usize| format!("text {number}");
        let objects: Vec<PathBuf> = (0..MAX_RESULTS + 2)
            .map(|number| {
                let text = text(number);
                setup.store(text.as_bytes(), &record(text.as_bytes(), (&setup.file, &text)))
            })
            .collect();
        assert_eq!(setup.cache.records(&setup.key).len(), MAX_RESULTS);
        let kept: Vec<bool> = objects.iter().map(|object| object.exists()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), MAX_RESULTS);
        assert!(!kept[0] && !kept[1]);
    }

    #[test]
    fn damage_is_noticed() {
        let setup = Setup::new();
        std::fs::write(&setup.file, "x").unwrap();
        let mut record = record(b"object", (&setup.file, "x"));
        record.warnings = "text".to_owned();
        let object = setup.store(b"object", &record);
        let manifest = setup.cache.path(&setup.key, "manifest");
        let good = std::fs::read(&manifest).unwrap();

        for damaged in [&b"objecT"[..], b"obj", b""] {
            std::fs::write(&object, damaged).unwrap();
            assert_eq!(setup.found(), None);
        }
        std::fs::remove_file(&object).unwrap();
        assert_eq!(setup.found(), None);

        setup.store(b"object", &record);
        assert!(setup.found().is_some());
        for cut in 0..good.len() {
            std::fs::write(&manifest, &good[..cut]).unwrap();
            assert_eq!(setup.found(), None, "cut at {cut}");
            let mut changed = good.clone();
            changed[cut] ^= 1;
            std::fs::write(&manifest, &changed).unwrap();
            assert_eq!(setup.found(), None, "changed at {cut}");
        }
        std::fs::write(&manifest, b"\xff\xfe").unwrap();
        assert_eq!(setup.found(), None);
        setup.store(b"object", &record);
        assert!(setup.found().is_some());
    }

    proptest! {
        #[test]
        fn manifests_come_back(
            records in prop::collection::vec(
                (any::<String>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..4)), 0..4),
        ) {
            let records: Vec<Record> = records.into_iter().map(|(warnings, names)| {
                let paths: Vec<PathBuf> = names.into_iter().map(|name| OsString::from_vec(name).into()).collect();
                let object = Digest::of(warnings.as_bytes());
                let files = paths.iter().map(|path| (path.clone(), object.clone())).collect();
                Record { object, warnings, files, absent: paths }
            }).collect();
            prop_assert_eq!(decode(&encode(&records)), Some(records));
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = decode(&text);
            let _ = unescape(&text);
        }
    }
}
