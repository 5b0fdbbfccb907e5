use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::Mutex;

use device_runner::{DevPtr, DeviceError, GlobalMemory};

/// Memory of this process that device programs may reach by address. It starts with rubbish.
#[derive(Debug, Default)]
pub(super) struct HostMemory {
    blocks: Mutex<BTreeMap<u64, Layout>>,
}

/// Blocks of more bytes are not filled: what is not written in them is not read either.
const FILLED: usize = 1 << 20;

impl HostMemory {
    pub(super) fn alloc(&self, bytes: usize) -> DevPtr {
        let layout = Layout::from_size_align(bytes.max(1), 64).unwrap();
        // SAFETY: the layout has a size.
        let block = unsafe { alloc(layout) };
        assert!(!block.is_null());
        // SAFETY: the block has that many bytes.
        unsafe { block.write_bytes(0xa5, layout.size().min(FILLED)) };
        let address = block.expose_provenance() as u64;
        self.blocks.lock().unwrap().insert(address, layout);
        DevPtr::new(address)
    }

    pub(super) fn free(&self, ptr: DevPtr) {
        let layout = self.blocks.lock().unwrap().remove(&ptr.addr()).expect("an allocation");
        // SAFETY: it was allocated with this layout, and is not known any more.
        unsafe { dealloc(place(ptr), layout) };
    }

    pub(super) fn in_use(&self) -> (usize, u64) {
        let blocks = self.blocks.lock().unwrap();
        (blocks.len(), blocks.values().map(|layout| layout.size() as u64).sum())
    }

    fn check(&self, ptr: DevPtr, len: usize) -> *mut u8 {
        let blocks = self.blocks.lock().unwrap();
        let (start, layout) = blocks.range(..=ptr.addr()).next_back().expect("an allocation");
        assert!(ptr.addr() - start + len as u64 <= layout.size() as u64, "inside of the allocation");
        place(ptr)
    }
}

fn place(ptr: DevPtr) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(usize::try_from(ptr.addr()).unwrap())
}

impl GlobalMemory for HostMemory {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: the range is inside of an allocation, and nothing runs that uses it.
        unsafe { self.check(to, from.len()).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        // SAFETY: as above.
        unsafe { self.check(from, to.len()).copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        for (address, layout) in std::mem::take(&mut *self.blocks.lock().unwrap()) {
            // SAFETY: it was allocated with this layout, and nobody can reach it any more.
            unsafe { dealloc(place(DevPtr::new(address)), layout) };
        }
    }
}
