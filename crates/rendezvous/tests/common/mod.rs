//! Access to windows.

/// # Safety
/// The address is that of a word in a window that lives.
pub(crate) unsafe fn read(address: u64) -> u64 {
    let word = std::ptr::with_exposed_provenance::<u64>(usize::try_from(address).unwrap());
    // SAFETY: the caller's.
    unsafe { word.read_volatile() }
}

/// # Safety
/// The address is that of a word in a window that lives.
pub(crate) unsafe fn write(address: u64, value: u64) {
    let word = std::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(address).unwrap());
    // SAFETY: the caller's.
    unsafe { word.write_volatile(value) };
}
