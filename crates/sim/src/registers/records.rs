//! Memory of collectors, in this process: programs get its addresses as they are.

use std::sync::Arc;

use collectors::{CollectorError, Shared, SharedMemory};
use device_runner::{DevPtr, DeviceError, GlobalMemory as _};

use super::word::{LongWord, Word};
use crate::memory::AddressSpace;

/// Memory of a device, for collectors.
#[derive(Clone, Debug)]
pub(super) struct RecordSpace(pub(super) Arc<AddressSpace>);

/// A collector's block, and its buffers.
///
/// They are freed like any memory: what programs may still write that were given up is kept mapped.
#[derive(Debug)]
pub(super) struct RecordBlock {
    space: Arc<AddressSpace>,
    /// The block's own is the first.
    allocations: Vec<DevPtr>,
    bytes: usize,
}

/// What collectors meet is what a launch meets.
pub(super) fn device_error(error: CollectorError<DeviceError>) -> DeviceError {
    match error {
        CollectorError::Memory(error) => error,
        other => DeviceError::Platform { call: "taking records over", source: Box::new(other) },
    }
}

impl SharedMemory for RecordSpace {
    type Error = DeviceError;
    type Block = RecordBlock;

    fn attach(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn block(&self, content: Vec<u8>) -> Result<RecordBlock, DeviceError> {
        let Self(space) = self;
        let bytes = content.len();
        let mut block = RecordBlock { space: Arc::clone(space), allocations: Vec::new(), bytes };
        let address = block.allocate(bytes)?;
        match block.fill(address, &content) {
            Ok(()) => Ok(block),
            Err(error) => {
                block.release();
                Err(error)
            }
        }
    }
}

impl RecordBlock {
    /// The place of a field. It stays accessible as long as the block.
    fn place(&self, offset: usize, bytes: usize) -> Result<*mut u8, DeviceError> {
        let is_inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        if !is_inside || !offset.is_multiple_of(bytes) {
            return Err(DeviceError::InvalidPointer {
                operation: "access a collector's memory",
                ptr: DevPtr::new(self.address()),
                len: bytes as u64,
                reason: format!("{offset} is no offset of a field in {} bytes", self.bytes),
            });
        }
        let start = usize::try_from(self.address()).unwrap_or(0);
        Ok(std::ptr::with_exposed_provenance_mut::<u8>(start).wrapping_add(offset))
    }

    fn word(&self, offset: usize) -> Result<Word, DeviceError> {
        let place = self.place(offset, size_of::<u32>())?;
        // SAFETY: the place is inside the block, whose start is aligned, and the word is used while the block is there.
        Ok(unsafe { Word::at(place) })
    }

    fn long_word(&self, offset: usize) -> Result<LongWord, DeviceError> {
        let place = self.place(offset, size_of::<u64>())?;
        // SAFETY: as above.
        Ok(unsafe { LongWord::at(place) })
    }
}

impl Shared for RecordBlock {
    type Error = DeviceError;

    fn address(&self) -> u64 {
        self.allocations.first().map_or(0, |start| start.addr())
    }

    /// Programs see everything as it is.
    fn publish(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn refresh_part(&mut self, _offset: usize, _bytes: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, DeviceError> {
        self.word(offset).map(Word::load)
    }

    fn load_u64(&self, offset: usize) -> Result<u64, DeviceError> {
        self.long_word(offset).map(LongWord::load)
    }

    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), DeviceError> {
        self.word(offset).map(|word| word.store(value))
    }

    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), DeviceError> {
        self.long_word(offset).map(|word| word.store(value))
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, DeviceError> {
        let buffer = self.space.alloc(bytes)?;
        self.allocations.push(buffer);
        Ok(buffer.addr())
    }

    fn fill(&mut self, buffer: u64, content: &[u8]) -> Result<(), DeviceError> {
        self.space.copy_to_device(DevPtr::new(buffer), content)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.space.copy_from_device(bytes, DevPtr::new(address))
    }

    fn release(self) {
        for buffer in self.allocations {
            if let Err(error) = self.space.free(buffer) {
                log::warn!("memory of a collector is kept until the device is given back: {error}");
            }
        }
    }

    /// Programs are loaded anew after such a launch, and know nothing of it.
    fn retire(self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_words_inside_of_the_block() {
        let space = Arc::new(AddressSpace::new(1 << 20));
        let mut block = RecordSpace(Arc::clone(&space)).block(vec![1; 128]).unwrap();
        assert_eq!((block.address() % 64, block.load_u32(124).unwrap()), (0, 0x0101_0101));
        block.store_u32(4, 7).unwrap();
        block.store_u64(120, u64::MAX).unwrap();
        assert_eq!(block.load_u64(0).unwrap(), 7 << 32 | 0x0101_0101);
        assert_eq!(block.load_u32(124).unwrap(), u32::MAX);
        for (offset, is_long) in [(128, false), (126, false), (2, false), (124, true), (usize::MAX, true)] {
            let refused = if is_long {
                [block.load_u64(offset).map(drop), block.store_u64(offset, 1)]
            } else {
                [block.load_u32(offset).map(drop), block.store_u32(offset, 1)]
            };
            assert!(refused.iter().all(|result| matches!(result, Err(DeviceError::InvalidPointer { .. }))));
        }
        block.release();
        assert_eq!(space.in_use(), (0, 0));
    }

    #[test]
    fn buffers_go_with_their_block_or_when_nobody_can_write_to_them_any_more() {
        let space = Arc::new(AddressSpace::new(1 << 20));
        let memory = RecordSpace(Arc::clone(&space));
        let mut block = memory.block(vec![0; 64]).unwrap();
        let buffer = block.allocate(256).unwrap();
        block.fill(buffer, &[9; 16]).unwrap();
        let mut part = [0; 12];
        block.read(buffer + 8, &mut part).unwrap();
        assert_eq!(part, [9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0]);
        assert!(block.read(buffer + 250, &mut part).is_err());
        assert!(block.allocate(2 << 20).is_err(), "there is not so much");
        space.kernels_given_up(1);
        block.release();
        assert_eq!(space.in_use(), (0, 0));
        // SAFETY: what a kernel may write that was given up is kept.
        unsafe { LongWord::at(std::ptr::with_exposed_provenance_mut(usize::try_from(buffer).unwrap())) }
            .store(1);
        space.kernel_returned();
        assert!(memory.block(vec![0; 2 << 20]).is_err());
        assert_eq!(space.in_use(), (0, 0));
    }
}
