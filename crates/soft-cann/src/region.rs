//! The address range of one device's memory: a memory file, mapped as a whole and filled as it is touched.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};

/// Memory is handed out in these units: a power of two, and a multiple of every page size of the supported
/// machines.
pub(crate) const UNIT: u64 = 64 << 10;

/// A mapped memory file. Every user of an address in it keeps the region alive.
///
/// Device programs write here at any time, so nothing ever makes a reference into it: bytes go in and out by
/// raw copies of ranges that the caller has checked.
#[derive(Debug)]
pub(crate) struct Region {
    file: OwnedFd,
    base: u64,
    size: u64,
}

impl Region {
    /// Reserves `size` bytes of addresses. They cost memory once they are written or read.
    pub(crate) fn reserve(size: u64) -> io::Result<Self> {
        // SAFETY: the name is a C string; the call touches nothing else of ours.
        let file = unsafe { libc::memfd_create(c"soft-cann".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened above and belongs to nobody else.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        let length = i64::try_from(size).map_err(io::Error::other)?;
        // SAFETY: an open descriptor and a length.
        if unsafe { libc::ftruncate(file.as_raw_fd(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let base = mmap(libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd(), 0, size)?;
        Ok(Self { file, base, size })
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn end(&self) -> u64 {
        self.base + self.size
    }

    /// Maps the units around `[address, address + size)` once more and returns where `address` is found
    /// there.
    pub(crate) fn alias(&self, address: u64, size: u64) -> io::Result<Alias> {
        Alias::of(&self.file, address - self.base, size)
    }

    /// The memory file, and where in it an address is, for another process to map.
    pub(crate) fn place(&self, address: u64) -> (RawFd, u64) {
        (self.file.as_raw_fd(), address - self.base)
    }

    /// Gives the pages of a range back to the system; they read as zero afterwards.
    pub(crate) fn discard(&self, address: u64, size: u64) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (Ok(offset), Ok(length)) = (i64::try_from(address - self.base), i64::try_from(size)) else {
            return;
        };
        // SAFETY: an open descriptor and a range of its file; mapped pages of a hole stay valid and read as
        // zero.
        if unsafe { libc::fallocate(self.file.as_raw_fd(), mode, offset, length) } != 0 {
            log::warn!("memory of a freed buffer was not given back: {}", io::Error::last_os_error());
        }
    }

    /// The next part of `[address, end)` that has been touched since it was reserved or discarded.
    pub(crate) fn touched(&self, address: u64, end: u64) -> Option<(u64, u64)> {
        let offset = i64::try_from(address - self.base).ok()?;
        // SAFETY: seeks in a file whose position nobody uses.
        let start = unsafe { libc::lseek(self.file.as_raw_fd(), offset, libc::SEEK_DATA) };
        let start = u64::try_from(start).ok()?;
        // SAFETY: as above.
        let hole = unsafe { libc::lseek(self.file.as_raw_fd(), i64::try_from(start).ok()?, libc::SEEK_HOLE) };
        let (start, hole) = (self.base + start, self.base + u64::try_from(hole).ok()?);
        (start < end).then(|| (start, hole.min(end)))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        unmap(self.base, self.size);
    }
}

/// Another mapping of a part of a [`Region`], or of a file like it.
#[derive(Debug)]
pub(crate) struct Alias {
    start: u64,
    length: u64,
    /// The byte that the alias was made for.
    pub(crate) address: u64,
}

impl Alias {
    /// Maps the units around `size` bytes at an offset.
    pub(crate) fn of(file: &impl AsRawFd, offset: u64, size: u64) -> io::Result<Self> {
        let first = offset & !(UNIT - 1);
        let length = (offset + size).next_multiple_of(UNIT) - first;
        let start = mmap(libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd(), first, length)?;
        Ok(Self { start, length, address: start + (offset - first) })
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        unmap(self.start, self.length);
    }
}

/// Memory of its own, zeroed, that costs nothing until it is touched.
#[derive(Debug)]
pub(crate) struct Sparse {
    base: u64,
    size: u64,
}

impl Sparse {
    pub(crate) fn reserve(size: u64) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        Ok(Self { base: mmap(flags, -1, 0, size)?, size })
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Sparse {
    fn drop(&mut self) {
        unmap(self.base, self.size);
    }
}

fn mmap(flags: i32, file: i32, offset: u64, size: u64) -> io::Result<u64> {
    let size = usize::try_from(size).map_err(io::Error::other)?;
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: a mapping at an address of the kernel's choice touches nothing of ours.
    let address = unsafe {
        libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, file, offset)
    };
    if address == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(address.expose_provenance() as u64)
    }
}

fn unmap(address: u64, size: u64) {
    if let Ok(size) = usize::try_from(size) {
        // SAFETY: the range was mapped by `mmap` with this size, and its owner is being dropped.
        unsafe { libc::munmap(pointer(address).cast(), size) };
    }
}

/// A device address as a pointer of this process.
pub(crate) fn pointer(address: u64) -> *mut u8 {
    // Targets have 64-bit addresses, so nothing is cut off.
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}
