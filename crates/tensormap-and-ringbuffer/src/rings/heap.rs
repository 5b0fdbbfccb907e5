//! Output memory, handed out in one piece for each task and given back in the same order.

use task_interface::trb::{HEAP_ALIGN, PACKED_OUTPUT_ALIGN};

use super::Usage;
use super::error::{ConfigError, Full};

/// The piece of the heap that belongs to a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// First byte, from the start of the heap.
    pub(crate) offset: u64,
    /// Size in bytes, a multiple of 64; 0 for a task without outputs.
    pub(crate) len: u64,
}

/// Bump allocation over `0..size` bytes (`spec/device-abi.md`, section 4.10).
///
/// Blocks start at `top`; memory from `tail` to `top`, around the end, is in use. The two are equal only when nothing is
/// in use, which is why a block must not end exactly where the oldest one starts. In that state both go back to 0:
/// work that fits in little memory then stays in it, and a block of the whole heap is possible.
#[derive(Clone, Debug)]
pub(crate) struct Heap {
    top: u64,
    tail: u64,
    /// Blocks in use, not counting empty ones.
    blocks: u64,
    usage: Usage,
}

impl Heap {
    /// A heap of `size` bytes.
    ///
    /// # Errors
    ///
    /// When `size` is 0 or no multiple of 1024.
    pub(crate) fn new(size: u64) -> Result<Self, ConfigError> {
        if size == 0 || !size.is_multiple_of(PACKED_OUTPUT_ALIGN) {
            return Err(ConfigError::Heap { heap: size });
        }
        Ok(Self { top: 0, tail: 0, blocks: 0, usage: Usage::new(size) })
    }

    /// Hands out `bytes` bytes, rounded up to 64. No bytes take no memory and never fail.
    ///
    /// # Errors
    ///
    /// When no piece is large enough; nothing has changed then.
    pub(crate) fn alloc(&mut self, bytes: u64) -> Result<Block, Full> {
        let placed = rounded(bytes).and_then(|len| Some(Block { offset: self.place(len)?, len }));
        let Some(block) = placed else { return Err(self.full(bytes)) };
        if block.len > 0 {
            self.top = block.offset + block.len;
            self.blocks += 1;
            self.usage.add(block.len);
        }
        Ok(block)
    }

    /// Takes back the block that was handed out first of all those in use; an empty block any time.
    pub(crate) fn free_oldest(&mut self, block: Block) {
        if block.len == 0 {
            return;
        }
        self.tail = block.offset + block.len;
        self.blocks = self.blocks.saturating_sub(1);
        self.usage.sub(block.len);
        if self.blocks == 0 {
            (self.top, self.tail) = (0, 0);
        }
    }

    /// Whether `bytes` bytes can be handed out when nothing else is in use.
    #[cfg(test)]
    pub(crate) fn would_ever_fit(&self, bytes: u64) -> bool {
        rounded(bytes).is_some_and(|len| len <= self.usage.capacity)
    }

    /// Bytes in use; bytes lost at the end when the heap wraps are not counted.
    #[cfg(test)]
    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }

    /// Where the oldest block begins and the next one will.
    pub(crate) const fn span(&self) -> (u64, u64) {
        (self.tail, self.top)
    }

    /// Takes back everything.
    pub(crate) fn clear(&mut self) {
        (self.top, self.tail, self.blocks) = (0, 0, 0);
        self.usage = Usage::new(self.usage.capacity);
    }

    fn place(&self, len: u64) -> Option<u64> {
        if len == 0 {
            return Some(self.top);
        }
        if self.top < self.tail {
            return (self.tail - self.top > len).then_some(self.top);
        }
        if self.usage.capacity - self.top >= len {
            return Some(self.top);
        }
        (self.tail > len).then_some(0)
    }

    /// The largest multiple of 64 that [`place`](Self::place) takes.
    fn largest(&self) -> u64 {
        let below = |gap: u64| gap.saturating_sub(1);
        let free = if self.top < self.tail {
            below(self.tail - self.top)
        } else {
            (self.usage.capacity - self.top).max(below(self.tail))
        };
        free - free % HEAP_ALIGN
    }

    fn full(&self, bytes: u64) -> Full {
        let Usage { in_use, capacity: size, .. } = self.usage;
        Full::Heap { needed: rounded(bytes).unwrap_or(u64::MAX), free: self.largest(), in_use, size }
    }
}

/// `bytes` rounded up to whole blocks; `None` on overflow.
const fn rounded(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(HEAP_ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heap of 1024 bytes with these blocks handed out.
    fn heap_with<const N: usize>(sizes: [u64; N]) -> (Heap, [Block; N]) {
        let mut heap = Heap::new(1024).unwrap();
        let blocks = sizes.map(|bytes| heap.alloc(bytes).unwrap());
        (heap, blocks)
    }

    fn offset(heap: &mut Heap, bytes: u64) -> Option<u64> {
        heap.alloc(bytes).ok().map(|block| block.offset)
    }

    #[test]
    fn a_heap_consists_of_whole_outputs() {
        for size in [0, 64, 1000, 1025, u64::MAX] {
            assert_eq!(Heap::new(size).err(), Some(ConfigError::Heap { heap: size }));
        }
        assert!(Heap::new(256 << 20).is_ok());
    }

    #[test]
    fn blocks_are_rounded_and_follow_each_other() {
        let (heap, blocks) = heap_with([1, 64, 65]);
        let expected = [(0, 64), (64, 64), (128, 128)].map(|(offset, len)| Block { offset, len });
        assert_eq!(blocks, expected);
        assert_eq!(heap.usage(), Usage { in_use: 256, high_water: 256, capacity: 1024 });
    }

    #[test]
    fn the_whole_heap_fits_exactly_and_again() {
        let (mut heap, [block]) = heap_with([1024]);
        let full = Full::Heap { needed: 64, free: 0, in_use: 1024, size: 1024 };
        assert_eq!(heap.alloc(1), Err(full));
        heap.free_oldest(block);
        assert_eq!(offset(&mut heap, 1024), Some(0));
    }

    #[test]
    fn end_space_may_be_used_up_exactly() {
        let (mut heap, [first, _]) = heap_with([512, 448]);
        assert_eq!(offset(&mut heap, 64), Some(960));
        heap.free_oldest(first);
        assert_eq!(offset(&mut heap, 448), Some(0), "wraps with top exactly at the end");
        assert_eq!(heap.alloc(64).unwrap_err(), heap.full(64), "64 bytes stay free before the tail");
    }

    #[test]
    fn wrapping_never_reaches_the_tail() {
        let (mut heap, [first, _]) = heap_with([512, 512]);
        heap.free_oldest(first);
        assert_eq!(heap.alloc(512), Err(Full::Heap { needed: 512, free: 448, in_use: 512, size: 1024 }));
        assert_eq!(offset(&mut heap, 448), Some(0));
    }

    #[test]
    fn after_wrapping_the_gap_never_closes() {
        let (mut heap, [first, _]) = heap_with([512, 512]);
        heap.free_oldest(first);
        assert_eq!(offset(&mut heap, 128), Some(0));
        assert_eq!(heap.alloc(384), Err(Full::Heap { needed: 384, free: 320, in_use: 640, size: 1024 }));
        assert_eq!(offset(&mut heap, 320), Some(128));
    }

    #[test]
    fn the_end_is_lost_while_wrapped_and_comes_back() {
        let (mut heap, [first, second]) = heap_with([512, 448]);
        heap.free_oldest(first);
        let wrapped = heap.alloc(256).unwrap();
        assert_eq!(wrapped.offset, 0, "64 bytes at the end are too few");
        heap.free_oldest(second);
        assert_eq!(heap.largest(), 640, "from 256 up to the tail at 960, which must not be reached");
        let last = heap.alloc(64).unwrap();
        heap.free_oldest(wrapped);
        assert_eq!(heap.largest(), 704, "from 320 to the end");
        heap.free_oldest(last);
        assert_eq!((heap.top, heap.tail), (0, 0));
    }

    #[test]
    fn no_bytes_take_no_memory() {
        let (mut heap, [block]) = heap_with([1024]);
        let empty = heap.alloc(0).unwrap();
        assert_eq!(empty.len, 0);
        heap.free_oldest(block);
        assert_eq!(offset(&mut heap, 512), Some(0));
        heap.free_oldest(empty);
        assert_eq!(offset(&mut heap, 512), Some(512), "freeing an empty block moves nothing");
        assert_eq!(heap.usage().in_use, 1024);
    }

    #[test]
    fn huge_requests_fail_with_numbers() {
        let mut heap = Heap::new(1024).unwrap();
        for bytes in [1025, u64::MAX - 63, u64::MAX] {
            assert!(!heap.would_ever_fit(bytes));
            assert!(heap.alloc(bytes).unwrap_err().is_permanent());
        }
        assert!(heap.would_ever_fit(1024) && heap.would_ever_fit(0));
        assert_eq!(heap.alloc(1024).map(|block| block.len), Ok(1024));
        assert!(!heap.alloc(64).unwrap_err().is_permanent());
    }

    #[test]
    fn clear_takes_everything_back() {
        let (mut heap, _) = heap_with([512, 448]);
        heap.clear();
        assert_eq!(heap.usage(), Usage { in_use: 0, high_water: 0, capacity: 1024 });
        assert_eq!(offset(&mut heap, 1024), Some(0));
    }
}
