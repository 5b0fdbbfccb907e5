use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, Weak};

use task_interface::ArgDirection;

use crate::sync::lock;

/// What makes two entries the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Equal bytes.
    Bytes(Arc<[u8]>),
    /// A kernel with equal bytes and an equal signature.
    Kernel(Arc<[u8]>, Arc<[ArgDirection]>),
    /// The same object of this process.
    Identity(u64),
}

/// Things made once per content and shared by all who need them.
///
/// Made on first use, kept while anybody uses them, compared byte by byte when hashes agree. A failed
/// creation leaves nothing, so the next user tries again.
pub struct ContentCache<V> {
    inner: Arc<Mutex<Entries<V>>>,
}

struct Entries<V> {
    by_serial: BTreeMap<u64, Entry<V>>,
    next_serial: u64,
}

struct Entry<V> {
    hash: u64,
    content: Content,
    value: Arc<V>,
    users: usize,
}

impl<V> Default for ContentCache<V> {
    fn default() -> Self {
        Self { inner: Arc::new(Mutex::new(Entries { by_serial: BTreeMap::new(), next_serial: 0 })) }
    }
}

impl<V> fmt::Debug for ContentCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentCache").field("entries", &self.len()).finish()
    }
}

impl<V> ContentCache<V> {
    /// The value for this content, made by `make` if nobody uses it yet.
    ///
    /// `make` runs while the cache is locked, so that a content is made once even if many ask at once.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn acquire<E>(
        &self,
        hash: u64,
        content: Content,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<CacheRef<V>, E> {
        let mut entries = lock(&self.inner);
        let known = entries.by_serial.iter_mut().find(|(_, e)| e.hash == hash && e.content == content);
        if let Some((&serial, entry)) = known {
            entry.users += 1;
            let value = Arc::clone(&entry.value);
            return Ok(self.reference(serial, value));
        }
        let value = Arc::new(make()?);
        let serial = entries.next_serial;
        entries.next_serial += 1;
        entries.by_serial.insert(serial, Entry { hash, content, value: Arc::clone(&value), users: 1 });
        Ok(self.reference(serial, value))
    }

    fn reference(&self, serial: u64, value: Arc<V>) -> CacheRef<V> {
        CacheRef { serial, value: Some(value), cache: Arc::downgrade(&self.inner) }
    }

    /// Number of different contents in use.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.inner).by_serial.len()
    }

    /// Whether nothing is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut lock(&self.inner).by_serial);
        // Dropped after the lock is released: a value's drop may call into the device.
        drop(entries);
    }
}

/// One user's share of a cached value.
pub struct CacheRef<V> {
    serial: u64,
    value: Option<Arc<V>>,
    cache: Weak<Mutex<Entries<V>>>,
}

impl<V> Deref for CacheRef<V> {
    type Target = V;

    fn deref(&self) -> &V {
        match &self.value {
            Some(value) => value,
            None => unreachable!("the value is taken only in drop"),
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for CacheRef<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<V> Drop for CacheRef<V> {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade() else { return };
        // Our own share goes first, so that the entry's is the last and its drop runs unlocked.
        self.value = None;
        let mut entries = lock(&cache);
        let unused = entries.by_serial.get_mut(&self.serial).is_some_and(|entry| {
            entry.users -= 1;
            entry.users == 0
        });
        let dead = if unused { entries.by_serial.remove(&self.serial) } else { None };
        drop(entries);
        drop(dead);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn bytes(text: &str) -> Content {
        Content::Bytes(text.as_bytes().into())
    }

    #[test]
    fn one_value_per_content_while_in_use() {
        let cache = ContentCache::<u32>::default();
        let made = Cell::new(0);
        let get = |text: &str| {
            cache.acquire::<()>(7, bytes(text), || {
                made.set(made.get() + 1);
                Ok(made.get())
            })
        };
        let first = get("a").unwrap();
        let again = get("a").unwrap();
        assert_eq!((*first, *again, made.get()), (1, 1, 1));
        // The hash is the same 7: only the bytes tell them apart.
        let other = get("b").unwrap();
        assert_eq!((*other, cache.len()), (2, 2));
        drop(first);
        assert_eq!(cache.len(), 2);
        drop(again);
        assert_eq!(cache.len(), 1);
        assert_eq!(*get("a").unwrap(), 3, "made anew after its last user left");
    }

    #[test]
    fn a_failed_creation_is_tried_again() {
        let cache = ContentCache::<u32>::default();
        assert_eq!(cache.acquire(1, bytes("x"), || Err("no")).err(), Some("no"));
        assert!(cache.is_empty());
        assert_eq!(*cache.acquire::<()>(1, bytes("x"), || Ok(5)).unwrap(), 5);
    }

    #[test]
    fn clearing_makes_old_shares_harmless() {
        let cache = ContentCache::<u32>::default();
        let old = cache.acquire::<()>(1, bytes("x"), || Ok(1)).unwrap();
        cache.clear();
        let new = cache.acquire::<()>(1, bytes("x"), || Ok(2)).unwrap();
        drop(old);
        assert_eq!((*new, cache.len()), (2, 1));
    }
}
