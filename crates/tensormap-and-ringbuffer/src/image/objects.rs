//! Orchestrations: in device memory, for device programs to load; and as these have loaded them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{
    CacheRef, Content, ContentCache, DevBuffer, OrchestrationSource, VariantError, current_runner,
};
use object_loader::{LoadError, elf};
use task_interface::trb::DEFAULT_ENTRY_SYMBOL;
use task_interface::{CALLABLE_FUNC_NAME_MAX, MAX_REGISTERED_CALLABLE_IDS};

use crate::entry::Entry;

/// An orchestration in device memory, once per content, and the names of its functions.
#[derive(Debug)]
pub(crate) struct UploadedObject {
    pub(crate) buffer: CacheRef<DevBuffer>,
    pub(crate) entry: [u8; CALLABLE_FUNC_NAME_MAX],
    pub(crate) config: [u8; CALLABLE_FUNC_NAME_MAX],
}

impl UploadedObject {
    /// Checks an orchestration without loading it, as it may be for another machine than this one, and uploads it.
    pub(crate) fn upload(
        source: &OrchestrationSource,
        cache: &ContentCache<DevBuffer>,
    ) -> Result<Self, VariantError> {
        let OrchestrationSource::Object { bytes, entry, config } = source else {
            return Err(VariantError::WrongKind {
                variant: crate::TensormapAndRingbuffer::NAME,
                reason: "device programs load shared objects; a Rust orchestration runs in the simulator only",
            });
        };
        check_object(bytes, entry)?;
        let (entry, config) = (fixed_name("entry", entry)?, fixed_name("configuration", config)?);
        let buffer = cache.acquire(elf::build_id_64(bytes), Content::Bytes(Arc::clone(bytes)), || {
            let runner = current_runner()
                .ok_or_else(|| VariantError::Load("no worker is bound to this thread".into()))?;
            let buffer = runner.memory().alloc(bytes.len())?;
            runner.memory().copy_to_device(buffer.ptr(), bytes)?;
            Ok::<_, VariantError>(buffer)
        })?;
        Ok(Self { buffer, entry, config })
    }
}

fn check_object(bytes: &[u8], entry: &str) -> Result<(), VariantError> {
    let symbol = if entry.is_empty() { DEFAULT_ENTRY_SYMBOL } else { entry };
    let name = symbol.to_owned();
    elf::check_object_of_any_machine(bytes)
        .map_err(|source| VariantError::Load(LoadError::NotLoadable { name: name.clone(), source }.into()))?;
    match elf::defines_symbol(bytes, symbol) {
        Some(false) => {
            Err(VariantError::Load(LoadError::MissingSymbol { symbol: name.clone(), name }.into()))
        }
        _ => Ok(()),
    }
}

/// A name and its NUL in 64 bytes; one that would be cut is refused, as it would not be found.
fn fixed_name(what: &str, name: &str) -> Result<[u8; CALLABLE_FUNC_NAME_MAX], VariantError> {
    let mut bytes = [0; CALLABLE_FUNC_NAME_MAX];
    if name.len() >= bytes.len() || name.contains('\0') {
        let most = bytes.len() - 1;
        let message = format!("the {what} name {name:?} is not possible: up to {most} bytes and no NUL are");
        return Err(VariantError::Load(message.into()));
    }
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Ok(bytes)
}

/// Orchestrations that a device program has loaded (`spec/device-abi.md`, section 4.7).
///
/// A callable is known by its id and by where its object lies: hosts that share a loaded device program have the
/// same ids, but not the same memory.
#[derive(Debug, Default)]
pub(crate) struct LoadedObjects(Mutex<VecDeque<Loaded>>);

#[derive(Debug)]
struct Loaded {
    callable: i32,
    address: u64,
    entry: Arc<Mutex<Entry>>,
}

/// The part of an image that says which orchestration it is for.
pub(crate) struct ObjectOfImage<'a> {
    pub(crate) callable: i32,
    /// Device address of the object.
    pub(crate) address: u64,
    /// Whether what is known by these two belongs to another callable by now.
    pub(crate) is_new: bool,
    pub(crate) entry: &'a str,
    pub(crate) config: &'a str,
}

impl LoadedObjects {
    /// The orchestration of an image; `bytes` reads the object, if it has to be loaded.
    ///
    /// What was loaded stays even if the run then fails, and what is not known any more is loaded again, as every
    /// image says where its object is. The reference fails in the latter case until the callable is registered anew.
    pub(crate) fn get(
        &self,
        object: &ObjectOfImage<'_>,
        bytes: impl FnOnce() -> Arc<[u8]>,
    ) -> Result<Arc<Mutex<Entry>>, VariantError> {
        if !usize::try_from(object.callable).is_ok_and(|id| id < MAX_REGISTERED_CALLABLE_IDS) {
            let most = MAX_REGISTERED_CALLABLE_IDS - 1;
            let message = format!("callable id {} is out of range: 0 to {most} are valid", object.callable);
            return Err(VariantError::Load(message.into()));
        }
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &Loaded| known.callable == object.callable && known.address == object.address;
        if object.is_new {
            loaded.retain(|known| !is_it(known));
        }
        if let Some(known) = loaded.iter().find(|known| is_it(known)) {
            return Ok(Arc::clone(&known.entry));
        }
        let entry = Entry::open(&OrchestrationSource::Object {
            bytes: bytes(),
            entry: object.entry.to_owned(),
            config: object.config.to_owned(),
        })?;
        let entry = Arc::new(Mutex::new(entry));
        if loaded.len() >= MAX_REGISTERED_CALLABLE_IDS {
            loaded.pop_front();
        }
        let (callable, address) = (object.callable, object.address);
        loaded.push_back(Loaded { callable, address, entry: Arc::clone(&entry) });
        Ok(entry)
    }
}
