//! Task slots, handed out round and round.

use std::ops::Range;

use super::error::{ConfigError, Full, NotAlive};

#[derive(Clone, Debug)]
struct Record<T> {
    consumed: bool,
    value: T,
}

/// The tasks alive, numbered 0, 1, 2, … in the order of their allocation, each with a value.
///
/// Task `n` has slot `n % window`. One slot always stays free (`spec/device-abi.md`, section 4.10), so `window - 1`
/// tasks can be alive.
#[derive(Clone, Debug)]
pub(crate) struct Window<T> {
    /// A power of two of them.
    records: Vec<Record<T>>,
    mask: u32,
    first_alive: u32,
    next_id: u32,
}

impl<T: Clone + Default> Window<T> {
    /// A window of `size` slots.
    ///
    /// # Errors
    ///
    /// When `size` is not a power of two, or below 4.
    pub(crate) fn new(size: u32) -> Result<Self, ConfigError> {
        if size < 4 || !size.is_power_of_two() {
            return Err(ConfigError::Window { window: size });
        }
        let records = vec![Record { consumed: false, value: T::default() }; size as usize];
        Ok(Self { records, mask: size - 1, first_alive: 0, next_id: 0 })
    }

    /// Checks that [`push`](Self::push) would succeed.
    ///
    /// # Errors
    ///
    /// When no slot or no number is left.
    pub(crate) fn check_free(&self) -> Result<(), Full> {
        if self.next_id == u32::MAX {
            return Err(Full::Numbers);
        }
        let alive = self.next_id - self.first_alive;
        if alive < self.mask { Ok(()) } else { Err(Full::Window { alive, window: self.mask + 1 }) }
    }

    /// Makes the next task alive and returns its number.
    ///
    /// # Errors
    ///
    /// When no slot or no number is left; nothing has changed then.
    pub(crate) fn push(&mut self, value: T) -> Result<u32, Full> {
        self.check_free()?;
        let local_id = self.next_id;
        let slot = self.slot(local_id) as usize;
        self.records[slot] = Record { consumed: false, value };
        self.next_id += 1;
        Ok(local_id)
    }

    /// The slot of a task number.
    pub(crate) const fn slot(&self, local_id: u32) -> u32 {
        local_id & self.mask
    }

    /// The value of a task that is alive and not consumed.
    ///
    /// # Errors
    ///
    /// When the task is consumed or not alive.
    pub(crate) fn value_mut(&mut self, local_id: u32) -> Result<&mut T, NotAlive> {
        Ok(&mut self.open_record(local_id)?.value)
    }

    /// Marks a task as consumed; it stays alive until [`pop_consumed`](Self::pop_consumed) has returned it.
    ///
    /// # Errors
    ///
    /// When the task is consumed or not alive.
    pub(crate) fn mark_consumed(&mut self, local_id: u32) -> Result<(), NotAlive> {
        self.open_record(local_id)?.consumed = true;
        Ok(())
    }

    /// Ends the life of the oldest task if it is consumed.
    pub(crate) fn pop_consumed(&mut self) -> Option<T> {
        let slot = self.slot(self.first_alive) as usize;
        let record = &mut self.records[slot];
        if self.first_alive == self.next_id || !record.consumed {
            return None;
        }
        self.first_alive += 1;
        Some(std::mem::take(&mut record.value))
    }

    /// Numbers of the tasks alive; `end` is the number of the next task.
    pub(crate) const fn alive(&self) -> Range<u32> {
        self.first_alive..self.next_id
    }

    /// Tasks that can be alive at a time.
    pub(crate) const fn capacity(&self) -> u32 {
        self.mask
    }

    /// Forgets all tasks and numbers from 0 again.
    pub(crate) fn clear(&mut self) {
        (self.first_alive, self.next_id) = (0, 0);
    }

    fn open_record(&mut self, local_id: u32) -> Result<&mut Record<T>, NotAlive> {
        let alive = self.alive();
        let slot = self.slot(local_id) as usize;
        let record = &mut self.records[slot];
        if !alive.contains(&local_id) || record.consumed {
            return Err(NotAlive { local_id, alive });
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_from_4() {
        for size in [0, 1, 2, 3, 5, 6, 12, u32::MAX] {
            assert_eq!(Window::<()>::new(size).err(), Some(ConfigError::Window { window: size }));
        }
        for size in [4, 8, 16384] {
            assert_eq!(Window::<()>::new(size).unwrap().capacity(), size - 1);
        }
    }

    #[test]
    fn a_window_of_4_holds_3_tasks() {
        let mut window = Window::new(4).unwrap();
        assert_eq!([10, 11, 12].map(|value| window.push(value)), [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(window.push(13), Err(Full::Window { alive: 3, window: 4 }));
        window.mark_consumed(0).unwrap();
        assert_eq!(window.pop_consumed(), Some(10));
        assert_eq!(window.push(13), Ok(3));
        assert_eq!(window.alive(), 1..4);
    }

    #[test]
    fn slots_repeat_after_a_window() {
        let mut window = Window::new(4).unwrap();
        for local_id in 0..20 {
            assert_eq!(window.push(local_id), Ok(local_id));
            assert_eq!(window.slot(local_id), local_id % 4);
            window.mark_consumed(local_id).unwrap();
            assert_eq!(window.pop_consumed(), Some(local_id));
            assert_eq!(window.pop_consumed(), None);
        }
    }

    #[test]
    fn life_ends_in_order() {
        let mut window = Window::new(8).unwrap();
        (0..4).for_each(|value| assert_eq!(window.push(value), Ok(value)));
        window.mark_consumed(2).unwrap();
        window.mark_consumed(1).unwrap();
        assert_eq!(window.pop_consumed(), None);
        window.mark_consumed(0).unwrap();
        assert_eq!(std::iter::from_fn(|| window.pop_consumed()).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(window.alive(), 3..4);
    }

    #[test]
    fn only_open_tasks_can_be_consumed_or_read() {
        let mut window = Window::new(4).unwrap();
        (0..2).for_each(|value| assert_eq!(window.push(value), Ok(value)));
        window.mark_consumed(1).unwrap();
        let refused = |local_id| NotAlive { local_id, alive: 0..2 };
        assert_eq!(window.mark_consumed(1), Err(refused(1)));
        assert_eq!(window.mark_consumed(2), Err(refused(2)));
        assert_eq!(window.value_mut(5), Err(refused(5)));
        assert_eq!(window.value_mut(0), Ok(&mut 0));
    }

    #[test]
    fn numbers_run_out_without_overflow() {
        let mut window = Window::new(4).unwrap();
        (window.first_alive, window.next_id) = (u32::MAX - 1, u32::MAX - 1);
        assert_eq!(window.push(()), Ok(u32::MAX - 1));
        assert_eq!(window.push(()), Err(Full::Numbers));
        window.mark_consumed(u32::MAX - 1).unwrap();
        assert_eq!(window.pop_consumed(), Some(()));
        assert!(window.alive().is_empty());
        window.clear();
        assert_eq!(window.push(()), Ok(0));
    }
}
