use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Records in the order in which they come.
///
/// Nothing is moved when it grows. A record that there is no memory for is lost and counted.
#[derive(Debug)]
pub(super) struct Log<T> {
    full: Vec<Vec<T>>,
    current: Vec<T>,
    attempts: u64,
    limit: usize,
    pieces: Arc<Pieces<T>>,
}

/// Records of one piece of memory.
const PIECE: usize = 4096;

/// Pieces that are kept for the next run: getting them from the system takes longer than filling them.
const KEPT: usize = 8;

/// Memory of logs that were dropped.
#[derive(Debug)]
pub(crate) struct Pieces<T>(Mutex<Vec<Vec<T>>>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl<T> Log<T> {
    /// A log that takes its memory from `pieces` as long as there are some.
    pub(super) fn new(pieces: Arc<Pieces<T>>) -> Self {
        Self { full: Vec::new(), current: Vec::new(), attempts: 0, limit: usize::MAX, pieces }
    }

    /// Keeps a record; `false` if it was lost.
    pub(super) fn push(&mut self, record: T) -> bool {
        self.attempts += 1;
        if self.current.len() == self.current.capacity() && !self.grow() {
            return false;
        }
        self.current.push(record);
        true
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let room = self.limit.saturating_sub(self.len()).min(PIECE);
        if room == 0 || self.full.try_reserve(1).is_err() {
            return false;
        }
        let kept = if room == PIECE { lock(&self.pieces.0).pop() } else { None };
        let fresh = kept.or_else(|| {
            let mut fresh = Vec::new();
            fresh.try_reserve_exact(room).is_ok().then_some(fresh)
        });
        let Some(fresh) = fresh else { return false };
        let filled = std::mem::replace(&mut self.current, fresh);
        if !filled.is_empty() {
            self.full.push(filled);
        }
        true
    }

    /// Records that are kept.
    pub(super) fn len(&self) -> usize {
        self.full.iter().map(Vec::len).sum::<usize>() + self.current.len()
    }

    /// Records that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.attempts - self.len() as u64
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.full.iter().flatten().chain(&self.current)
    }
}

impl<T> Drop for Log<T> {
    fn drop(&mut self) {
        let mut kept = lock(&self.pieces.0);
        let pieces = std::mem::take(&mut self.full).into_iter().chain([std::mem::take(&mut self.current)]);
        let room = KEPT.saturating_sub(kept.len());
        kept.extend(pieces.filter(|piece| piece.capacity() == PIECE).take(room).map(|mut piece| {
            piece.clear();
            piece
        }));
    }
}

#[cfg(test)]
impl<T> Log<T> {
    /// A log that has room for as many records only.
    pub(super) fn with_limit(limit: usize) -> Self {
        let mut log = Self::default();
        log.limit = limit;
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let mut log = Log::default();
        assert_eq!((log.len(), log.lost()), (0, 0));
        let all: Vec<usize> = (0..3 * PIECE + 7).collect();
        assert!(all.iter().all(|&record| log.push(record)));
        assert_eq!((log.len(), log.lost()), (all.len(), 0));
        assert!(log.iter().eq(&all));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        for limit in [0, 1, PIECE, PIECE + 3] {
            let mut log = Log::with_limit(limit);
            let kept = (0..limit + 5).filter(|&record| log.push(record)).count();
            assert_eq!((kept, log.len(), log.lost()), (limit, limit, 5), "{limit}");
            assert!(log.iter().copied().eq(0..limit));
        }
    }

    #[test]
    fn some_memory_is_used_again() {
        let pieces = Arc::new(Pieces::default());
        let fill = |count: usize| {
            let mut log = Log::new(Arc::clone(&pieces));
            (0..count).for_each(|record| _ = log.push(record));
            assert!(log.iter().copied().eq(0..count), "nothing is left of earlier runs");
        };
        fill(2 * PIECE + 1);
        assert_eq!(lock(&pieces.0).len(), 3);
        fill(PIECE);
        assert_eq!(lock(&pieces.0).len(), 3);
        fill(2 * KEPT * PIECE);
        assert_eq!(lock(&pieces.0).len(), KEPT);
    }
}
