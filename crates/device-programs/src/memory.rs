use bytemuck::Pod;
use device_runner::{DevPtr, DeviceError, GlobalMemory};

/// Device memory as a device program sees it: by address, and without anybody who knows what is allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceMemory(());

impl DeviceMemory {
    /// # Safety
    /// Every range that is copied must be accessible memory that nobody else writes meanwhile.
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }

    /// The value at an address of any alignment.
    pub(crate) fn read<T: Pod>(self, from: u64) -> Result<T, DeviceError> {
        let mut value = T::zeroed();
        self.copy_from_device(bytemuck::bytes_of_mut(&mut value), DevPtr::new(from))?;
        Ok(value)
    }
}

fn place(operation: &'static str, ptr: DevPtr, len: usize) -> Result<usize, DeviceError> {
    let address = usize::try_from(ptr.addr()).ok().filter(|&address| address != 0);
    let inside = address.filter(|address| address.checked_add(len).is_some());
    inside.ok_or_else(|| {
        let reason = "no such address".to_owned();
        DeviceError::InvalidPointer { operation, ptr, len: len as u64, reason }
    })
}

impl GlobalMemory for DeviceMemory {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        let place = place("copy to device", to, from.len())?;
        let to = std::ptr::with_exposed_provenance_mut(place);
        // SAFETY: whoever made this value promised that the range is accessible and nobody else's for now.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        let place = place("copy from device", from, to.len())?;
        let from = std::ptr::with_exposed_provenance(place);
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}
