//! The communication part of the C API, for contexts of one library.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::{self, NonNull};

use task_interface::{COMM_MAX_RANKS, CommContext};

use crate::context::{HostContext, Open, pointer};
use crate::error::HostLibraryError;

/// A communicator of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommId(u64);

/// Windows of a group of ranks, as their kernels see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommWindow {
    /// Device address of the [`CommContext`].
    pub context: u64,
    /// This rank's own window.
    pub window: u64,
}

/// Communicators of a context, with the memory that they make reachable.
#[derive(Debug, Default)]
pub(crate) struct Communicators {
    live: BTreeMap<CommId, Comm>,
    last: u64,
}

#[derive(Debug)]
struct Comm {
    handle: NonNull<c_void>,
    stream: *mut c_void,
    /// Of the whole job.
    base: Vec<(u64, u64)>,
    /// Contexts of parts of the windows.
    derived: Vec<(u64, u64)>,
    domains: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Communicators {
    /// Addresses and bytes of everything that ranks share.
    pub(crate) fn memory(&self) -> impl Iterator<Item = (u64, u64)> {
        self.live.values().flat_map(|comm| {
            comm.base.iter().chain(&comm.derived).chain(comm.domains.values().flatten()).copied()
        })
    }

    /// How many communicators there are, and sets of windows.
    pub(crate) fn count(&self) -> (usize, usize) {
        let sets = |comm: &Comm| comm.domains.len() + usize::from(!comm.base.is_empty());
        (self.live.len(), self.live.values().map(sets).sum())
    }
}

/// Calls of communicators.
///
/// Like all calls of a context they take place one after the other, also while one waits for other ranks. How long that
/// may be is the library's matter.
impl HostContext {
    /// Joins a job of `ranks` as `rank`; all of them name the same path. Closing the context leaves it.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_init(&self, rank: u32, ranks: u32, path: &Path) -> Result<CommId, HostLibraryError> {
        let code = |number: u32| c_int::try_from(number).unwrap_or(c_int::MAX);
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| HostLibraryError::CommPath { path: path.to_owned() })?;
        self.with(|open| {
            let (functions, context) = (open.library.functions(), open.handle.as_ptr());
            let device = open.device.ok_or(HostLibraryError::Closed)?;
            // SAFETY: the context is live and ours alone.
            let ready = unsafe { (functions.ensure_acl_ready_ctx)(context, device) };
            open.check("ensure_acl_ready_ctx", ready)?;
            // SAFETY: as above. Libraries that need no stream return null.
            let stream = unsafe { (functions.create_comm_stream_ctx)(context) };
            // SAFETY: the stream is that of the context, and the path a text that lives until the call returns.
            let handle = unsafe { (functions.comm_init)(code(rank), code(ranks), stream, path.as_ptr()) };
            let Some(handle) = NonNull::new(handle) else {
                let error = open.comm_failed("comm_init", -1);
                // SAFETY: the stream is that of the context, and nobody else has it.
                unsafe { (functions.destroy_comm_stream_ctx)(context, stream) };
                return Err(error);
            };
            let comms = &mut open.communicators;
            comms.last += 1;
            let id = CommId(comms.last);
            let (base, derived, domains) = (Vec::new(), Vec::new(), BTreeMap::new());
            comms.live.insert(id, Comm { handle, stream, base, derived, domains });
            Ok(id)
        })
    }

    /// Makes a window of `bytes` bytes for every rank, and waits for all of them; the device address of the
    /// [`CommContext`].
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_alloc_windows(&self, id: CommId, bytes: usize) -> Result<u64, HostLibraryError> {
        self.with(|open| {
            let handle = open.comm(id)?.handle.as_ptr();
            let mut context = 0;
            // SAFETY: the communicator is live and ours alone, and the place is one for a number.
            let code =
                unsafe { (open.library.functions().comm_alloc_windows)(handle, bytes, &raw mut context) };
            open.check_comm("comm_alloc_windows", code)?;
            open.comm(id)?.base = open.memory_of(context)?;
            Ok(context)
        })
    }

    /// This rank's own window.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_local_window(&self, id: CommId) -> Result<u64, HostLibraryError> {
        self.with(|open| {
            let (handle, mut base) = (open.comm(id)?.handle.as_ptr(), 0);
            // SAFETY: the communicator is live and ours alone, and the place is one for a number.
            let code =
                unsafe { (open.library.functions().comm_get_local_window_base)(handle, &raw mut base) };
            open.check_comm("comm_get_local_window_base", code)?;
            Ok(base)
        })
    }

    /// The window of a rank, as this device reaches it.
    ///
    /// # Errors
    /// [`HostLibraryError::NoWindow`] when there is none.
    pub fn comm_window(&self, id: CommId, rank: u32) -> Result<u64, HostLibraryError> {
        self.with(|open| {
            // The last one is the context.
            let windows = open.comm(id)?.base.split_last().map_or(&[][..], |(_, windows)| windows);
            let window = windows.get(rank as usize).map(|&(address, _)| address);
            window.ok_or(HostLibraryError::NoWindow { rank })
        })
    }

    /// Bytes of each window; 0 before there are any.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_window_bytes(&self, id: CommId) -> Result<usize, HostLibraryError> {
        self.with(|open| {
            let (handle, mut bytes) = (open.comm(id)?.handle.as_ptr(), 0);
            // SAFETY: the communicator is live and ours alone, and the place is one for a size.
            let code = unsafe { (open.library.functions().comm_get_window_size)(handle, &raw mut bytes) };
            open.check_comm("comm_get_window_size", code)?;
            Ok(bytes)
        })
    }

    /// A context of the ranks `members`, this one being number `own` of them, and of a part of each window: `bytes`
    /// bytes from `offset` on.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_derive_context(
        &self,
        id: CommId,
        members: &[u32],
        own: u32,
        offset: usize,
        bytes: usize,
    ) -> Result<u64, HostLibraryError> {
        self.with(|open| {
            let (handle, mut context) = (open.comm(id)?.handle.as_ptr(), 0);
            // SAFETY: the communicator is live and ours alone, the list is readable, and the place is one for a number.
            let code = unsafe {
                let derive = open.library.functions().comm_derive_context;
                derive(handle, members.as_ptr(), members.len(), own, offset, bytes, &raw mut context)
            };
            open.check_comm("comm_derive_context", code)?;
            // Its windows are parts of those that are known already.
            open.comm(id)?.derived.push((context, size_of::<CommContext>() as u64));
            Ok(context)
        })
    }

    /// Makes windows of their own for the ranks `members` under an id, and waits for all of them.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_alloc_domain(
        &self,
        id: CommId,
        allocation: u64,
        members: &[u32],
        own: u32,
        bytes: usize,
    ) -> Result<CommWindow, HostLibraryError> {
        self.with(|open| {
            let (handle, mut context, mut window) = (open.comm(id)?.handle.as_ptr(), 0, 0);
            // SAFETY: the communicator is live and ours alone, the list is readable, and the places are for numbers.
            let code = unsafe {
                let alloc = open.library.functions().comm_alloc_domain_windows;
                let (context, window) = (&raw mut context, &raw mut window);
                alloc(handle, allocation, members.as_ptr(), members.len(), own, bytes, context, window)
            };
            open.check_comm("comm_alloc_domain_windows", code)?;
            let memory = open.memory_of(context)?;
            open.comm(id)?.domains.insert(allocation, memory);
            Ok(CommWindow { context, window })
        })
    }

    /// Gives the windows of a domain of `members` ranks back.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_release_domain(
        &self,
        id: CommId,
        allocation: u64,
        members: usize,
        own: u32,
    ) -> Result<(), HostLibraryError> {
        self.with(|open| {
            let handle = open.comm(id)?.handle.as_ptr();
            // SAFETY: the communicator is live and ours alone.
            let code = unsafe {
                (open.library.functions().comm_release_domain_windows)(handle, allocation, members, own)
            };
            open.check_comm("comm_release_domain_windows", code)?;
            open.comm(id)?.domains.remove(&allocation);
            Ok(())
        })
    }

    /// Waits for all ranks, or has the device wait.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn comm_barrier(&self, id: CommId) -> Result<(), HostLibraryError> {
        self.with(|open| {
            let handle = open.comm(id)?.handle.as_ptr();
            // SAFETY: the communicator is live and ours alone.
            let code = unsafe { (open.library.functions().comm_barrier)(handle) };
            open.check_comm("comm_barrier", code)
        })
    }

    /// Leaves the job; the id stands for nothing from then on.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`]; it is gone all the same.
    pub fn comm_destroy(&self, id: CommId) -> Result<(), HostLibraryError> {
        self.with(|open| open.destroy_comm(id))
    }
}

impl Open {
    fn comm(&mut self, id: CommId) -> Result<&mut Comm, HostLibraryError> {
        self.communicators.live.get_mut(&id).ok_or(HostLibraryError::CommDestroyed)
    }

    /// Communication functions take no context, so what went wrong is kept for the thread.
    fn comm_failed(&self, function: &'static str, code: c_int) -> HostLibraryError {
        // SAFETY: null stands for what this thread did without a context.
        let explanation = unsafe { self.library.last_error(ptr::null_mut()) };
        HostLibraryError::Call { function, code, explanation }
    }

    fn check_comm(&self, function: &'static str, code: c_int) -> Result<(), HostLibraryError> {
        if code == 0 { Ok(()) } else { Err(self.comm_failed(function, code)) }
    }

    /// A context and the windows in it.
    fn memory_of(&self, address: u64) -> Result<Vec<(u64, u64)>, HostLibraryError> {
        let mut context = CommContext::default();
        let bytes = bytemuck::bytes_of_mut(&mut context);
        // SAFETY: the library has just returned this address as that of a context, which has that size.
        let code = unsafe {
            let copy = self.library.functions().copy_from_device_ctx;
            copy(self.handle.as_ptr(), bytes.as_mut_ptr().cast(), pointer(address), bytes.len())
        };
        self.check("copy_from_device_ctx", code)?;
        let ranks = (context.rank_num as usize).min(COMM_MAX_RANKS);
        let windows = context.windows_in[..ranks].iter().map(|&window| (window, context.win_size));
        Ok(windows.chain([(address, size_of::<CommContext>() as u64)]).collect())
    }

    fn destroy_comm(&mut self, id: CommId) -> Result<(), HostLibraryError> {
        let comm = self.communicators.live.remove(&id).ok_or(HostLibraryError::CommDestroyed)?;
        let functions = self.library.functions();
        // SAFETY: the communicator is live, ours alone, and not used again.
        let code = unsafe { (functions.comm_destroy)(comm.handle.as_ptr()) };
        let destroyed = self.check_comm("comm_destroy", code);
        // SAFETY: the stream is that of the context, and the communicator that used it is gone.
        let code = unsafe { (functions.destroy_comm_stream_ctx)(self.handle.as_ptr(), comm.stream) };
        destroyed.and(self.check("destroy_comm_stream_ctx", code))
    }

    /// Destroys what communicators there are, the youngest first.
    pub(crate) fn destroy_comms(&mut self) {
        while let Some(&id) = self.communicators.live.keys().next_back() {
            if let Err(error) = self.destroy_comm(id) {
                log::error!("closing a context with a communicator: {error}");
            }
        }
    }
}
