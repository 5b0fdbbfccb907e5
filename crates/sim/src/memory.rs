use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, VecDeque};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use device_runner::{DevPtr, DeviceError, GlobalMemory};

/// Zeroed memory that kernels reach by raw address.
///
/// No Rust reference into it is ever made: kernels write it at any time.
#[derive(Debug)]
pub(crate) struct Block {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: a block is an address and a size; what is done with the bytes behind it is up to raw copies.
unsafe impl Send for Block {}
// SAFETY: as above; shared access hands out the address only.
unsafe impl Sync for Block {}

/// Device buffers start on a cache line, as on the chip.
const ALIGN: usize = 64;

/// From this size on fresh pages are mapped: they are zero already and cost nothing until touched.
const MAP_FROM: usize = 64 << 10;

impl Block {
    pub(crate) fn zeroed(size: usize) -> Option<Self> {
        let size = size.max(1);
        let start = if size >= MAP_FROM { map(size)? } else { allocate(size)? };
        Some(Self { start, size })
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.size >= MAP_FROM {
            // SAFETY: the range was mapped by `map` with this size, and nobody uses it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
        } else if let Ok(layout) = Layout::from_size_align(self.size, ALIGN) {
            // SAFETY: `allocate` got it from the allocator with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

fn map(size: usize) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing of ours.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED { None } else { NonNull::new(address.cast()) }
}

fn allocate(size: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(size, ALIGN).ok()?;
    // SAFETY: the size is at least 1.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// Global memory of one simulated device. A device address is the address kernels dereference.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    state: RwLock<State>,
    capacity: u64,
    /// Kernels that were given up and may still write: while there are any, nothing is really freed.
    loose_kernels: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<u64, Allocation>,
    /// Windows of ranks: bytes by address. They are memory of the job, not of this device.
    windows: BTreeMap<u64, u64>,
    bytes: u64,
    /// Newest last; only to tell "freed" from "never allocated" in messages.
    freed: VecDeque<(u64, u64)>,
    graveyard: Vec<Block>,
    spares: Spares,
}

#[derive(Debug)]
struct Allocation {
    block: Block,
    /// Bytes asked for; a block of 0 bytes has one all the same, for its address.
    size: usize,
}

const FREED_KEPT: usize = 256;

/// Mapped blocks that were freed and will be asked for again: a run of a graph takes the sizes of the last one,
/// and zeroing pages costs a tenth of having the kernel map fresh ones.
#[derive(Debug, Default)]
struct Spares {
    /// Oldest first.
    blocks: VecDeque<Block>,
    bytes: usize,
}

/// Kept at the most, by one device.
const SPARE_BYTES: usize = 8 << 20;

impl Spares {
    /// A zeroed block of this size.
    fn take(&mut self, size: usize) -> Option<Block> {
        let index = self.blocks.iter().rposition(|block| block.size == size)?;
        let block = self.blocks.remove(index)?;
        self.bytes -= block.size;
        // SAFETY: the block is `size` bytes long and nobody else has its address.
        unsafe { std::ptr::write_bytes(block.as_ptr(), 0, size) };
        Some(block)
    }

    fn keep(&mut self, block: Block) {
        if block.size < MAP_FROM || block.size > SPARE_BYTES {
            return;
        }
        self.bytes += block.size;
        self.blocks.push_back(block);
        while self.bytes > SPARE_BYTES {
            self.bytes -= self.blocks.pop_front().map_or(0, |oldest| oldest.size);
        }
    }
}

impl AddressSpace {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { state: RwLock::default(), capacity, loose_kernels: AtomicUsize::new(0) }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alloc(&self, size: usize) -> Result<DevPtr, DeviceError> {
        let mut state = self.write();
        let requested = size as u64;
        let full = DeviceError::OutOfMemory {
            requested,
            in_use: state.bytes,
            capacity: Some(self.capacity),
            source: None,
        };
        if requested > self.capacity - state.bytes {
            return Err(full);
        }
        let block = state.spares.take(size).or_else(|| Block::zeroed(size)).ok_or(full)?;
        let address = block.as_ptr().expose_provenance() as u64;
        state.bytes += requested;
        state.live.insert(address, Allocation { block, size });
        Ok(DevPtr::new(address))
    }

    pub(crate) fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        let mut state = self.write();
        let Some(allocation) = state.live.remove(&ptr.addr()) else {
            return Err(state.explain("free", ptr, 0));
        };
        state.retire(ptr.addr(), allocation, self.has_loose_kernels());
        Ok(())
    }

    /// Takes a window of a rank for memory of this device, until [`disown`](Self::disown).
    pub(crate) fn adopt(&self, address: u64, bytes: u64) {
        self.write().windows.insert(address, bytes);
    }

    pub(crate) fn disown(&self, address: u64) {
        self.write().windows.remove(&address);
    }

    /// Whether kernels that were given up may still run.
    pub(crate) fn has_loose_kernels(&self) -> bool {
        self.loose_kernels.load(Ordering::Acquire) > 0
    }

    pub(crate) fn free_all(&self) {
        let mut state = self.write();
        let keep = self.has_loose_kernels();
        for (address, allocation) in std::mem::take(&mut state.live) {
            state.retire(address, allocation, keep);
        }
        state.spares = Spares::default();
    }

    pub(crate) fn in_use(&self) -> (usize, u64) {
        let state = self.read();
        (state.live.len(), state.bytes)
    }

    /// Notes that `count` kernels were given up while they run.
    pub(crate) fn kernels_given_up(&self, count: usize) {
        self.loose_kernels.fetch_add(count, Ordering::AcqRel);
    }

    /// Notes that a given-up kernel has returned after all.
    pub(crate) fn kernel_returned(&self) {
        if self.loose_kernels.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.write().graveyard.clear();
        }
    }
}

impl State {
    fn retire(&mut self, address: u64, allocation: Allocation, keep: bool) {
        self.bytes -= allocation.size as u64;
        if self.freed.len() == FREED_KEPT {
            self.freed.pop_front();
        }
        self.freed.push_back((address, allocation.size as u64));
        if keep {
            self.graveyard.push(allocation.block);
        } else {
            self.spares.keep(allocation.block);
        }
    }

    /// The host address of a range inside one live allocation.
    fn resolve(&self, operation: &'static str, ptr: DevPtr, len: usize) -> Result<*mut u8, DeviceError> {
        let found = self.live.range(..=ptr.addr()).next_back().and_then(|(&base, allocation)| {
            let start = usize::try_from(ptr.addr() - base).ok()?;
            let end = start.checked_add(len)?;
            (end <= allocation.size).then(|| allocation.block.as_ptr().wrapping_add(start))
        });
        let found = found.or_else(|| self.resolve_window(ptr, len));
        found.ok_or_else(|| self.explain(operation, ptr, len))
    }

    /// The host address of a range inside one window.
    fn resolve_window(&self, ptr: DevPtr, len: usize) -> Option<*mut u8> {
        let (&base, &bytes) = self.windows.range(..=ptr.addr()).next_back()?;
        let end = (ptr.addr() - base).checked_add(len as u64)?;
        let address = usize::try_from(ptr.addr()).ok()?;
        (end <= bytes).then(|| std::ptr::with_exposed_provenance_mut(address))
    }

    fn explain(&self, operation: &'static str, ptr: DevPtr, len: usize) -> DeviceError {
        let reason = if ptr.is_null() { "the address is null".to_owned() } else { self.reason(ptr.addr()) };
        DeviceError::InvalidPointer { operation, ptr, len: len as u64, reason }
    }

    fn reason(&self, address: u64) -> String {
        if let Some((base, allocation)) = self.live.range(..=address).next_back() {
            let size = allocation.size as u64;
            if address - base < size.max(1) {
                return format!("the allocation at {base:#x} has {size} bytes");
            }
        }
        if let Some((base, size)) = self.windows.range(..=address).next_back()
            && address - base < *size
        {
            return format!("the window at {base:#x} has {size} bytes");
        }
        let freed =
            self.freed.iter().rev().find(|&&(base, size)| (base..base + size.max(1)).contains(&address));
        match freed {
            Some((base, size)) => format!("the allocation of {size} bytes at {base:#x} was freed"),
            None => "it is not an address of this device".to_owned(),
        }
    }
}

impl GlobalMemory for AddressSpace {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        let state = self.read();
        let target = state.resolve("copy to device", to, from.len())?;
        // SAFETY: `resolve` has checked that the range is inside one live allocation or window, which cannot go
        // while the lock is held. Kernels may access the bytes at the same time, as on a chip.
        unsafe { std::ptr::copy(from.as_ptr(), target, from.len()) };
        Ok(())
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        let state = self.read();
        let source = state.resolve("copy from device", from, to.len())?;
        // SAFETY: as above.
        unsafe { std::ptr::copy(source, to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: std::fmt::Debug>(result: Result<T, DeviceError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn copies_stay_inside_one_live_allocation() {
        let space = AddressSpace::new(1 << 20);
        let a = space.alloc(100).unwrap();
        space.copy_to_device(a, &[7; 100]).unwrap();
        let mut back = [0; 10];
        space.copy_from_device(&mut back, a.checked_add(90).unwrap()).unwrap();
        assert_eq!(back, [7; 10]);
        let past = a.checked_add(91).unwrap();
        assert!(text(space.copy_from_device(&mut back, past)).contains("has 100 bytes"));
        assert!(text(space.copy_to_device(DevPtr::NULL, &[1])).contains("null"));
        assert!(text(space.copy_to_device(DevPtr::new(12), &[1])).contains("not an address"));
        assert!(text(space.free(a.checked_add(1).unwrap())).contains("has 100 bytes"));
        space.free(a).unwrap();
        assert!(text(space.copy_to_device(a, &[1])).contains("was freed"));
        assert!(text(space.free(a)).contains("was freed"));
        assert_eq!(space.in_use(), (0, 0));
    }

    #[test]
    fn memory_is_zeroed_aligned_and_limited() {
        let space = AddressSpace::new(1 << 20);
        for size in [0, 1, 63, 64, MAP_FROM - 1, MAP_FROM, 500_000] {
            let ptr = space.alloc(size).unwrap();
            assert_eq!(ptr.addr() % ALIGN as u64, 0);
            let mut bytes = vec![1; size];
            space.copy_from_device(&mut bytes, ptr).unwrap();
            assert!(bytes.iter().all(|&byte| byte == 0));
            space.copy_to_device(ptr, &vec![9; size]).unwrap();
            space.free(ptr).unwrap();
        }
        let again = space.alloc(500_000).unwrap();
        let mut bytes = vec![1; 500_000];
        space.copy_from_device(&mut bytes, again).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0), "a block used before is as good as new");
        space.free(again).unwrap();
        let most = space.alloc(1 << 20).unwrap();
        assert!(matches!(space.alloc(1), Err(DeviceError::OutOfMemory { requested: 1, .. })));
        assert!(matches!(space.alloc(usize::MAX), Err(DeviceError::OutOfMemory { .. })));
        assert_eq!(space.in_use(), (1, 1 << 20));
        space.free(most).unwrap();
        space.alloc(1).unwrap();
        space.free_all();
        assert_eq!(space.in_use(), (0, 0));
    }

    #[test]
    fn what_a_given_up_kernel_may_write_stays_mapped_until_it_returns() {
        let space = AddressSpace::new(1 << 30);
        let ptr = space.alloc(1 << 20).unwrap();
        space.kernels_given_up(1);
        space.free(ptr).unwrap();
        assert_eq!((space.in_use(), space.read().graveyard.len()), ((0, 0), 1));
        space.kernel_returned();
        assert_eq!(space.read().graveyard.len(), 0);
    }
}
