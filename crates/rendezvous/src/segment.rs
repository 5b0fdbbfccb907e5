//! Shared memory: a named piece of it, its mapping, and the structures in it.

use std::io;
use std::mem::{align_of, size_of};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, Mode};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::shm::OFlags;
use rustix::thread::futex;

use crate::MAX_RANKS;

/// Where windows may start: a multiple of the page size of every machine.
pub(crate) const GRAIN: u64 = 64 * 1024;

/// Windows that may exist at once.
pub(crate) const ROOMS: usize = 64;

/// All that ranks share besides their windows. Every field is atomic, as every rank may write at any time.
#[repr(C)]
pub(crate) struct Header {
    /// [`MAGIC`] once the rest is set.
    pub(crate) magic: AtomicU64,
    /// The job; see [`Job`](crate::Job).
    pub(crate) job: AtomicU64,
    pub(crate) job_is_certain: AtomicU32,
    pub(crate) ranks: AtomicU32,
    /// Changes whenever anything else does; what waiters sleep on.
    pub(crate) event: AtomicU32,
    /// Whether all ranks have come. From then on, ranks only leave.
    pub(crate) is_complete: AtomicU32,
    /// When it was made, on the machine's clock. Older ones attract ranks.
    pub(crate) born: AtomicU64,
    /// A bit per rank: has taken its seat.
    pub(crate) seated: AtomicU64,
    /// Has left for good.
    pub(crate) left: AtomicU64,
    /// Has ended without leaving.
    pub(crate) dead: AtomicU64,
    /// Bytes of the segment that are taken.
    pub(crate) end: AtomicU64,
    pub(crate) pids: [AtomicU32; MAX_RANKS as usize],
    /// The namespace in which each of these numbers counts; 0 where it is not known.
    pub(crate) pid_spaces: [AtomicU64; MAX_RANKS as usize],
    /// How many barriers each rank has come to. Nobody has to do anything for others to go on, so a rank may end at any
    /// moment.
    pub(crate) arrivals: [AtomicU32; MAX_RANKS as usize],
    pub(crate) rooms: [Room; ROOMS],
}

/// One set of windows. Changed only under the segment's lock, but for the bits.
#[repr(C)]
pub(crate) struct Room {
    /// 0 for none, else a [`Kind`](crate::room::Kind).
    pub(crate) kind: AtomicU32,
    pub(crate) reserved: AtomicU32,
    pub(crate) id: AtomicU64,
    /// Bytes of each window.
    pub(crate) bytes: AtomicU64,
    /// Where the first window starts in the segment.
    pub(crate) offset: AtomicU64,
    /// Tells orders of members apart.
    pub(crate) order: AtomicU64,
    /// A bit per rank: belongs to the group.
    pub(crate) members: AtomicU64,
    /// Has it in its memory.
    pub(crate) mapped: AtomicU64,
    /// Does not need it any more.
    pub(crate) released: AtomicU64,
}

/// Says what it is and, in the last byte, the version of the layout.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"simplrw\x03");

const _: () = assert!(size_of::<Header>() as u64 <= GRAIN && align_of::<Header>() == 8);

/// A structure of atomics, for which zeroed memory is a value.
///
/// # Safety
/// The type is `repr(C)`, consists of integer atomics only, and fits into [`GRAIN`].
pub(crate) unsafe trait Shared {}

// SAFETY: integer atomics only, and the size is asserted above.
unsafe impl Shared for Header {}

/// Shared memory with a `T` at its start.
pub(crate) struct Segment<T> {
    file: OwnedFd,
    mapping: Mapping,
    _content: std::marker::PhantomData<T>,
}

impl<T: Shared> Segment<T> {
    /// Opens what has this name, or makes it if `create` says so. `None` when it is not there.
    pub(crate) fn open(name: &str, create: bool) -> io::Result<Option<Self>> {
        let mut flags = OFlags::RDWR;
        if create {
            flags |= OFlags::CREATE;
        }
        let file = match rustix::shm::open(name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) if !create => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if create && rustix::fs::fstat(&file)?.st_size == 0 {
            rustix::fs::ftruncate(&file, GRAIN)?;
        }
        if u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0) < GRAIN {
            return Ok(None);
        }
        // Not reserved memory would be a signal at the first access on a full /dev/shm.
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, GRAIN)?;
        let mapping = Mapping::new(&file, 0, GRAIN)?;
        Ok(Some(Self { file, mapping, _content: std::marker::PhantomData }))
    }

    pub(crate) fn content(&self) -> &T {
        // SAFETY: the mapping has GRAIN bytes and is aligned to a page; T is made of atomics (Shared), so other processes
        // may write meanwhile; the mapping lives as long as self.
        unsafe { self.mapping.base.cast::<T>().as_ref() }
    }

    /// Takes the lock of the segment, which the kernel gives back if this process ends. `false` when another has it.
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn unlock(&self) {
        if let Err(error) = rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock) {
            log::error!("a lock of shared memory cannot be given back: {error}");
        }
    }

    /// Whether somebody has removed its name.
    pub(crate) fn is_unlinked(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.file)?.st_nlink == 0)
    }

    /// Holds the byte of a rank until this segment is dropped or the process ends. `false` when another holds it.
    pub(crate) fn hold(&self, rank: u32) -> io::Result<bool> {
        let mut lock = byte_lock(rank);
        self.fcntl(libc::F_OFD_SETLK, &mut lock).map(|()| true).or_else(|error| match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        })
    }

    /// Lets the byte of a rank go.
    pub(crate) fn let_go(&self, rank: u32) {
        let mut lock = byte_lock(rank);
        lock.l_type = i16::try_from(libc::F_UNLCK).unwrap_or(0);
        if let Err(error) = self.fcntl(libc::F_OFD_SETLK, &mut lock) {
            log::error!("a seat in shared memory cannot be given back: {error}");
        }
    }

    /// Whether somebody else holds the byte of a rank.
    pub(crate) fn is_held(&self, rank: u32) -> io::Result<bool> {
        let mut lock = byte_lock(rank);
        self.fcntl(libc::F_OFD_GETLK, &mut lock)?;
        Ok(i32::from(lock.l_type) != libc::F_UNLCK)
    }

    fn fcntl(&self, command: i32, lock: &mut libc::flock) -> io::Result<()> {
        // SAFETY: the descriptor is open, and the commands for OFD locks take a pointer to a flock structure.
        match unsafe { libc::fcntl(self.file.as_raw_fd(), command, std::ptr::from_mut(lock)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Makes sure that a part has memory behind it.
    pub(crate) fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.file, FallocateFlags::empty(), offset, bytes)?)
    }

    /// Gives the memory of a part back; it reads as zeros then.
    pub(crate) fn discard(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(&self.file, flags, offset, bytes)?)
    }

    pub(crate) fn map(&self, offset: u64, bytes: u64) -> io::Result<Mapping> {
        Mapping::new(&self.file, offset, bytes)
    }
}

fn byte_lock(rank: u32) -> libc::flock {
    // SAFETY: a structure of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // The constants fit: they are the values of these very fields.
    lock.l_type = i16::try_from(libc::F_WRLCK).unwrap_or(0);
    lock.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or(0);
    lock.l_start = libc::off_t::from(rank);
    lock.l_len = 1;
    lock
}

/// A part of a segment in this process's memory, between fences that nobody may touch.
///
/// Code that leaves a window is stopped there, and does not get into the header or into other windows. Besides, valgrind
/// does not survive mappings of one file that lie side by side as in the file.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    is_cut_off: bool,
}

/// Bytes before and after a mapping.
#[allow(clippy::cast_possible_truncation, reason = "64 KiB")]
const FENCE: usize = GRAIN as usize;

// SAFETY: the memory is shared between processes anyway; it is reached through atomics, or by address.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &OwnedFd, offset: u64, bytes: u64) -> io::Result<Self> {
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let all = bytes.checked_add(2 * FENCE).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
        let fence =
            unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), all, ProtFlags::empty(), flags) }?;
        let base = NonNull::new(fence.cast::<u8>().wrapping_add(FENCE)).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, bytes, is_cut_off: false };
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: the range is within the fences that were just set up, and that nothing refers to yet.
        unsafe { rustix::mm::mmap(base.as_ptr().cast(), bytes, protection, flags, file, offset) }?;
        Ok(mapping)
    }

    pub(crate) fn address(&self) -> u64 {
        self.base.as_ptr().expose_provenance() as u64
    }

    /// Stores bytes from `offset` on; those beyond the end are left out.
    pub(crate) fn store(&self, offset: u64, bytes: &[u8]) {
        let Some((offset, bytes)) = self.part(offset, bytes.len()).map(|(at, len)| (at, &bytes[..len]))
        else {
            return;
        };
        // SAFETY: the range is inside of the mapping, which nobody has a reference into. Others may write there at the
        // same time only if they break the rules of the exchange; then the bytes are theirs or ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr().add(offset), bytes.len()) };
    }

    /// What is from `offset` on.
    pub(crate) fn load(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        if let Some((offset, len)) = self.part(offset, len) {
            // SAFETY: as in store.
            unsafe { std::ptr::copy_nonoverlapping(self.base.as_ptr().add(offset), bytes.as_mut_ptr(), len) };
        }
        bytes
    }

    /// A range, as far as it is inside of the mapping.
    fn part(&self, offset: u64, len: usize) -> Option<(usize, usize)> {
        let offset = usize::try_from(offset).ok()?;
        Some((offset, len.min(self.bytes.checked_sub(offset)?)))
    }

    /// Puts private memory of zeros in its place, which stays until the process ends.
    pub(crate) fn cut_off(&mut self) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the range is that of this mapping. No reference leads into it, only addresses, and these stay valid.
        unsafe { rustix::mm::mmap_anonymous(self.base.as_ptr().cast(), self.bytes, protection, flags) }?;
        self.is_cut_off = true;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.is_cut_off {
            return;
        }
        let fence = self.base.as_ptr().wrapping_sub(FENCE);
        // SAFETY: the range was mapped by new, and nothing refers to it any more.
        if let Err(error) = unsafe { rustix::mm::munmap(fence.cast(), self.bytes + 2 * FENCE) } {
            log::error!("shared memory cannot be unmapped: {error}");
        }
    }
}

impl Header {
    /// Tells all waiters that something has changed.
    pub(crate) fn notify(&self) {
        self.event.fetch_add(1, Ordering::SeqCst);
        // The only failure is an address that is no memory.
        let _ = futex::wake(&self.event, futex::Flags::empty(), u32::MAX >> 1);
    }

    /// Sleeps until something has changed since `event` was read, or the time is over.
    pub(crate) fn sleep(&self, event: u32, limit: std::time::Duration) {
        let limit = futex::Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        // Whatever woke it, the caller looks again.
        let _ = futex::wait(&self.event, futex::Flags::empty(), event, Some(&limit));
    }

    /// Bits of all ranks.
    pub(crate) fn everyone(&self) -> u64 {
        u64::MAX >> (u64::BITS - self.ranks.load(Ordering::SeqCst).clamp(1, MAX_RANKS))
    }
}
