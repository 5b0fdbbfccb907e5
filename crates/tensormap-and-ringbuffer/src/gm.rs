//! Global memory as the device half sees it.
//!
//! The device half is the AICPU program: it runs where kernels run, and like them reaches global memory by
//! address. No reference into that memory is ever made; kernels write it at any time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytemuck::Pod;

/// One region of device memory that belongs to this program, of checked bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gm {
    base: u64,
    bytes: u64,
}

impl Gm {
    /// # Safety
    /// The region must stay allocated, and be reachable by address in this process, for as long as the value is
    /// used.
    pub(crate) unsafe fn new(base: u64, bytes: u64) -> Self {
        Self { base, bytes }
    }

    /// The address `offset` bytes into the region.
    pub(crate) fn address(self, offset: u64) -> u64 {
        self.base + offset
    }

    /// Copies a value to `address`; nothing happens outside of the region.
    pub(crate) fn write<T: Pod>(self, address: u64, value: &T) {
        if let Some(place) = self.place(address, size_of::<T>()) {
            // SAFETY: the range is inside the region, which is allocated.
            unsafe {
                std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>(), place, size_of::<T>());
            };
        }
    }

    /// Copies a value from `address`; zeros outside of the region.
    pub(crate) fn read<T: Pod>(self, address: u64) -> T {
        let mut value = T::zeroed();
        if let Some(place) = self.place(address, size_of::<T>()) {
            // SAFETY: as above; `T` is plain data, so any bytes are a value of it.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    place.cast_const(),
                    (&raw mut value).cast::<u8>(),
                    size_of::<T>(),
                );
            }
        }
        value
    }

    /// Fills `bytes` at `address` with a repeated pattern.
    pub(crate) fn fill(self, address: u64, bytes: u64, pattern: [u8; 8]) {
        let Ok(len) = usize::try_from(bytes) else { return };
        let Some(place) = self.place(address, len) else { return };
        for start in (0..len).step_by(pattern.len()) {
            let count = pattern.len().min(len - start);
            // SAFETY: `start + count` is at most `len`, and the whole range is inside the region.
            unsafe { std::ptr::copy_nonoverlapping(pattern.as_ptr(), place.add(start), count) };
        }
    }

    fn place(self, address: u64, len: usize) -> Option<*mut u8> {
        let offset = address.checked_sub(self.base)?;
        let inside = offset.checked_add(len as u64)? <= self.bytes;
        inside.then(|| std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0)))
    }
}

/// Memory of this program that kernels reach by address; 64-byte aligned, zero at first.
#[derive(Debug)]
pub(crate) struct OwnMemory {
    /// Atomics, because others write to it at any time.
    lines: Box<[Line]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line {
    _words: [AtomicU64; 8],
}

impl OwnMemory {
    /// At least as many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let lines = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(size_of::<Line>());
        Self { lines: (0..lines).map(|_| Line::default()).collect() }
    }

    /// The memory as a region; whoever uses it keeps `self`.
    pub(crate) fn gm(&self) -> Gm {
        Gm { base: self.lines.as_ptr().expose_provenance() as u64, bytes: size_of_val(&*self.lines) as u64 }
    }
}

/// Reads what an orchestration or a kernel names by address, wherever that is.
///
/// # Safety
/// `address` must be readable for the size of `T`.
pub(crate) unsafe fn read_foreign<T: Pod>(address: u64) -> T {
    let place = std::ptr::with_exposed_provenance::<T>(usize::try_from(address).unwrap_or(0));
    // SAFETY: as the caller promises; alignment is not needed.
    unsafe { place.read_unaligned() }
}

/// Copies bytes that an image names by address.
///
/// # Safety
/// `address` must be readable for `bytes` bytes.
pub(crate) unsafe fn read_bytes(address: u64, bytes: u64) -> Arc<[u8]> {
    let place = std::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
    let mut copy = vec![0; usize::try_from(bytes).unwrap_or(0)];
    // SAFETY: as the caller promises; the copy has as many bytes.
    unsafe { std::ptr::copy_nonoverlapping(place, copy.as_mut_ptr(), copy.len()) };
    copy.into()
}

/// Reads a 32-bit counter that others change meanwhile.
///
/// # Safety
/// `address` must be a readable, aligned counter.
pub(crate) unsafe fn read_counter(address: u64) -> u32 {
    let place = std::ptr::with_exposed_provenance_mut::<u32>(usize::try_from(address).unwrap_or(0));
    // SAFETY: as the caller promises.
    unsafe { std::sync::atomic::AtomicU32::from_ptr(place) }.load(std::sync::atomic::Ordering::Acquire)
}

/// Copies up to eight bytes between a word and memory named by address.
///
/// # Safety
/// `address` must be valid for `bytes` bytes, at most 8.
pub(crate) unsafe fn read_element(address: u64, bytes: usize) -> u64 {
    let mut word = [0u8; 8];
    let place = std::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: as the caller promises; the word has 8 bytes.
    unsafe { std::ptr::copy_nonoverlapping(place, word.as_mut_ptr(), bytes.min(8)) };
    u64::from_le_bytes(word)
}

/// # Safety
/// As [`read_element`], for writing.
pub(crate) unsafe fn write_element(address: u64, bytes: usize, value: u64) {
    let word = value.to_le_bytes();
    let place = std::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: as the caller promises.
    unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), place, bytes.min(8)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_region_is_touched() {
        let mut memory = [0u8; 64];
        let base = memory.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the array lives longer than the value.
        let gm = unsafe { Gm::new(base + 8, 32) };
        gm.write(base, &1u64);
        gm.write(base + 36, &1u64);
        gm.write(u64::MAX, &1u64);
        assert_eq!((gm.read::<u64>(base), gm.read::<u64>(base + 36)), (0, 0));
        gm.write(gm.address(4), &0x0102_0304_u32);
        assert_eq!(gm.read::<u32>(base + 12), 0x0102_0304);
        gm.fill(base + 8, 11, [1, 2, 3, 4, 5, 6, 7, 8]);
        gm.fill(base + 8, 33, [9; 8]);
        assert_eq!(memory[..8], [0; 8]);
        assert_eq!(memory[8..20], [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 0]);
    }
}
