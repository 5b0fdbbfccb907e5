//! Dependency entries: how many edges between tasks a ring may hold.

use super::error::{ConfigError, DepsError};

/// Counts the dependency entries in use. The entries themselves live with the tasks; the limit bounds their memory.
#[derive(Clone, Debug)]
pub(crate) struct DepPool {
    capacity: u32,
    in_use: u32,
    high_water: u32,
}

impl DepPool {
    /// A pool of `capacity` entries.
    ///
    /// # Errors
    ///
    /// When `capacity` is below 4.
    pub(crate) const fn new(capacity: u32) -> Result<Self, ConfigError> {
        if capacity < 4 {
            return Err(ConfigError::DepPool { entries: capacity });
        }
        Ok(Self { capacity, in_use: 0, high_water: 0 })
    }

    /// Takes `count` entries, or none.
    ///
    /// # Errors
    ///
    /// When fewer are free.
    pub(crate) fn take(&mut self, count: u32) -> Result<(), DepsError> {
        let free = self.capacity - self.in_use;
        if count > free {
            return Err(DepsError::Exhausted { needed: count, free, capacity: self.capacity });
        }
        self.in_use += count;
        self.high_water = self.high_water.max(self.in_use);
        Ok(())
    }

    /// Gives back entries that were taken.
    pub(crate) fn release(&mut self, count: u32) {
        self.in_use = self.in_use.saturating_sub(count);
    }

    /// Entries in use.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> super::Usage {
        let [in_use, high_water, capacity] = [self.in_use, self.high_water, self.capacity].map(u64::from);
        super::Usage { in_use, high_water, capacity }
    }

    /// Takes back everything.
    pub(crate) fn clear(&mut self) {
        (self.in_use, self.high_water) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Usage;
    use super::*;

    #[test]
    fn a_pool_has_at_least_4_entries() {
        assert_eq!(DepPool::new(3).err(), Some(ConfigError::DepPool { entries: 3 }));
        assert!(DepPool::new(4).is_ok());
    }

    #[test]
    fn entries_are_taken_all_or_none() {
        let mut pool = DepPool::new(8).unwrap();
        pool.take(6).unwrap();
        let exhausted = DepsError::Exhausted { needed: 3, free: 2, capacity: 8 };
        assert_eq!(pool.take(3), Err(exhausted.clone()));
        assert!(!exhausted.is_permanent());
        pool.take(2).unwrap();
        pool.release(6);
        pool.take(3).unwrap();
        assert_eq!(pool.usage(), Usage { in_use: 5, high_water: 8, capacity: 8 });
        pool.clear();
        assert_eq!(pool.usage(), Usage { in_use: 0, high_water: 0, capacity: 8 });
    }

    #[test]
    fn more_than_the_pool_holds_never_succeeds() {
        let refused = DepPool::new(4).unwrap().take(u32::MAX).unwrap_err();
        assert_eq!(refused, DepsError::Exhausted { needed: u32::MAX, free: 4, capacity: 4 });
        assert!(refused.is_permanent());
    }
}
