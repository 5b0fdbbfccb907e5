//! Handles: what C holds in place of a pointer.
//!
//! A handle is a number in a pointer's clothes: a serial number that is never used again, and a mark of this load of
//! this library. A handle that was destroyed, made up, or made by another library is thus noticed by looking at it.
//! Its upper bits make it an address that no process has: who dereferences it meets a fault at once.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::c_void;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SERIAL_BITS: u32 = 40;
const LIBRARY_BITS: u32 = 17;
const MARK_SHIFT: u32 = SERIAL_BITS + LIBRARY_BITS;
/// Neither a user's nor a kernel's address begins like this.
const MARK: usize = 0b010_0000;

const _: () = assert!(MARK_SHIFT + 7 == usize::BITS);

/// Why a handle leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHandle {
    Null,
    Foreign,
    Destroyed,
}

/// Things that C knows by handle. Holds no memory while there are none, as a library may be unloaded then.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    table: RwLock<Table<T>>,
    /// Mark and library: the upper bits of all handles.
    upper: usize,
}

#[derive(Debug)]
struct Table<T> {
    by_serial: BTreeMap<usize, Arc<T>>,
    next_serial: usize,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        // Seeded by the system, so different in each library of a process; children of a fork keep it, as they
        // keep the handles.
        let random = RandomState::new().build_hasher().finish() >> (u64::BITS - LIBRARY_BITS);
        let library = usize::try_from(random).unwrap_or_default();
        let table = Table { by_serial: BTreeMap::new(), next_serial: 0 };
        Self { table: RwLock::new(table), upper: MARK << LIBRARY_BITS | library }
    }
}

impl<T> Handles<T> {
    /// A handle for something new; `None` once 2^40 have been made.
    pub(crate) fn insert(&self, content: T) -> Option<*mut c_void> {
        let mut table = self.write();
        let serial = table.next_serial;
        if serial >> SERIAL_BITS != 0 {
            return None;
        }
        table.next_serial += 1;
        table.by_serial.insert(serial, Arc::new(content));
        Some(std::ptr::without_provenance_mut(self.upper << SERIAL_BITS | serial))
    }

    /// What a handle stands for.
    pub(crate) fn get(&self, handle: *mut c_void) -> Result<Arc<T>, BadHandle> {
        let serial = self.serial(handle)?;
        self.read().by_serial.get(&serial).cloned().ok_or(BadHandle::Destroyed)
    }

    /// Takes back a handle; who still uses its content keeps it.
    pub(crate) fn remove(&self, handle: *mut c_void) -> Result<Arc<T>, BadHandle> {
        let serial = self.serial(handle)?;
        let mut table = self.write();
        let content = table.by_serial.remove(&serial).ok_or(BadHandle::Destroyed)?;
        if table.by_serial.is_empty() {
            // An empty map keeps some memory for the next entry.
            table.by_serial = BTreeMap::new();
        }
        Ok(content)
    }

    /// Everything there is.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.read().by_serial.values().cloned().collect()
    }

    fn serial(&self, handle: *mut c_void) -> Result<usize, BadHandle> {
        let number = handle.addr();
        if number == 0 {
            return Err(BadHandle::Null);
        }
        if number >> SERIAL_BITS != self.upper {
            return Err(BadHandle::Foreign);
        }
        Ok(number & ((1 << SERIAL_BITS) - 1))
    }

    fn read(&self) -> RwLockReadGuard<'_, Table<T>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table<T>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_leads_to_its_content_until_it_is_taken_back() {
        let handles = Handles::default();
        let (first, second) = (handles.insert(1).unwrap(), handles.insert(2).unwrap());
        assert_eq!((*handles.get(first).unwrap(), *handles.get(second).unwrap()), (1, 2));
        assert_eq!(*handles.remove(first).unwrap(), 1);
        assert_eq!(handles.get(first), Err(BadHandle::Destroyed));
        assert_eq!(handles.remove(first), Err(BadHandle::Destroyed));
        assert_eq!(handles.all().len(), 1);
    }

    #[test]
    fn a_handle_never_comes_back() {
        let handles = Handles::default();
        let old = handles.insert('a').unwrap();
        handles.remove(old).unwrap();
        let new = handles.insert('b').unwrap();
        assert_eq!(handles.get(old), Err(BadHandle::Destroyed));
        assert_eq!(*handles.get(new).unwrap(), 'b');
        handles.write().next_serial = 1 << SERIAL_BITS;
        assert!(handles.insert('c').is_none());
    }

    #[test]
    fn handles_of_others_are_noticed() {
        let (ours, mut theirs) = (Handles::<()>::default(), Handles::default());
        theirs.upper = ours.upper ^ 1;
        let handle = theirs.insert(()).unwrap();
        assert_eq!(ours.get(handle), Err(BadHandle::Foreign));
        assert_eq!(ours.get(std::ptr::null_mut()), Err(BadHandle::Null));
        for made_up in [1_usize, 0xdead_beef, usize::MAX, &raw const ours as usize] {
            assert_eq!(ours.get(std::ptr::without_provenance_mut(made_up)), Err(BadHandle::Foreign));
        }
    }
}
