use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use task_interface::{CallConfig, CallConfigError, ChipCallable, ChipStorageTaskArgs, PtoRunTiming};

use crate::additions::{ContextReport, RunInfo};
use crate::comm::Communicators;
use crate::error::HostLibraryError;
use crate::files::Programs;
use crate::global::BoundThread;
use crate::library::HostLibrary;

/// One device of a host library.
///
/// All methods may be called from any thread. The library takes no lock around a context, so calls of one context
/// wait for each other here, also for a whole run. Dropping it closes it.
///
/// Addresses of device memory are checked: they have to lie in memory that [`malloc`](Self::malloc) gave out, or in
/// windows of ranks.
#[derive(Debug)]
pub struct HostContext {
    open: Mutex<Option<Open>>,
}

/// How a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFigures {
    /// What every library tells.
    pub timing: PtoRunTiming,
    /// What only libraries with `simpler_rs_run_info` tell.
    pub info: Option<RunInfo>,
}

/// How often orchestrations were loaded (`spec/public-abi.md`, section A.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadCounts {
    /// On the host.
    pub host: usize,
    /// On the device.
    pub aicpu: usize,
}

/// Device memory by this side's count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryInUse {
    /// Live allocations of [`HostContext::malloc`].
    pub allocations: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Communicators.
    pub communicators: usize,
    /// Sets of windows that they have.
    pub windows: usize,
}

impl HostContext {
    /// Makes a context with options by name and value, and takes a device into use.
    ///
    /// # Errors
    /// [`HostLibraryError::NoContext`]; [`HostLibraryError::Option`] where the library takes none; or
    /// [`HostLibraryError::Call`]. Nothing is kept then.
    pub fn open(
        library: Arc<HostLibrary>,
        device: u32,
        programs: &Programs,
        options: &[(String, String)],
    ) -> Result<Self, HostLibraryError> {
        let device = c_int::try_from(device).map_err(|_| HostLibraryError::DeviceId { id: device })?;
        let mut open = Open::create(library)?;
        options.iter().try_for_each(|(name, value)| open.set_option(name, value))?;
        open.init(device, programs)?;
        Ok(Self { open: Mutex::new(Some(open)) })
    }

    /// Registers a callable under an id, 0 to 63.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`] when the library refuses it.
    pub fn prepare_callable(&self, id: i32, callable: &ChipCallable) -> Result<(), HostLibraryError> {
        self.with(|open| {
            let copy = aligned_copy(callable.as_bytes());
            let image =
                copy.as_ref().map_or(callable.as_bytes().as_ptr().cast(), |copy| copy.as_ptr().cast());
            // SAFETY: the image is a checked one and readable during the call.
            let code =
                unsafe { (open.library.functions().prepare_callable)(open.handle.as_ptr(), id, image) };
            open.check("prepare_callable", code)
        })
    }

    /// Forgets a callable; an id without one is fine.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`].
    pub fn unregister_callable(&self, id: i32) -> Result<(), HostLibraryError> {
        self.with(|open| {
            // SAFETY: the context is live and ours alone.
            let code = unsafe { (open.library.functions().unregister_callable)(open.handle.as_ptr(), id) };
            open.check("unregister_callable", code)
        })
    }

    /// Runs a callable and waits for it.
    ///
    /// Tensors name host memory by address, and the library reads and writes there: whoever made `args` vouches
    /// for these addresses, as for those that any other worker gets.
    ///
    /// # Errors
    /// What is wrong with `args` or `config`; [`HostLibraryError::Call`] when the run fails. What host memory holds
    /// then is the library's matter.
    pub fn run(
        &self,
        id: i32,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<RunFigures, HostLibraryError> {
        config.validate()?;
        args.used_scalars()?;
        self.with(|open| {
            open.check_device_tensors(args)?;
            open.run(id, args, config)
        })
    }

    /// Allocates device memory, which lives until it is freed or the context is closed. Its contents are undefined.
    ///
    /// # Errors
    /// [`HostLibraryError::OutOfMemory`].
    pub fn malloc(&self, bytes: usize) -> Result<u64, HostLibraryError> {
        self.with(|open| {
            // SAFETY: the context is live and ours alone.
            let memory = unsafe { (open.library.functions().device_malloc_ctx)(open.handle.as_ptr(), bytes) };
            if memory.is_null() {
                let explanation = open.last_error();
                return Err(HostLibraryError::OutOfMemory { bytes, explanation });
            }
            let address = memory.expose_provenance() as u64;
            open.allocations.insert(address, bytes as u64);
            Ok(address)
        })
    }

    /// Frees device memory.
    ///
    /// # Errors
    /// [`HostLibraryError::Address`] when [`malloc`](Self::malloc) did not return this address, or it was freed
    /// before.
    pub fn free(&self, address: u64) -> Result<(), HostLibraryError> {
        self.with(|open| {
            if open.allocations.remove(&address).is_none() {
                return Err(HostLibraryError::Address { operation: "free", address, bytes: 0 });
            }
            // SAFETY: the context is live and ours alone, and the address is one of its own.
            unsafe { (open.library.functions().device_free_ctx)(open.handle.as_ptr(), pointer(address)) };
            Ok(())
        })
    }

    /// Copies host bytes to the device.
    ///
    /// # Errors
    /// [`HostLibraryError::Address`] outside of one allocation; [`HostLibraryError::Call`].
    pub fn copy_to(&self, to: u64, from: &[u8]) -> Result<(), HostLibraryError> {
        self.with(|open| {
            open.check_range("copy to the device", to, from.len() as u64)?;
            // SAFETY: both ranges were checked; the context is live and ours alone.
            let code = unsafe {
                let copy = open.library.functions().copy_to_device_ctx;
                copy(open.handle.as_ptr(), pointer(to), from.as_ptr().cast(), from.len())
            };
            open.check("copy_to_device_ctx", code)
        })
    }

    /// Copies device memory to the host.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to).
    pub fn copy_from(&self, to: &mut [u8], from: u64) -> Result<(), HostLibraryError> {
        self.with(|open| {
            open.check_range("copy from the device", from, to.len() as u64)?;
            // SAFETY: both ranges were checked; the context is live and ours alone.
            let code = unsafe {
                let copy = open.library.functions().copy_from_device_ctx;
                copy(open.handle.as_ptr(), to.as_mut_ptr().cast(), pointer(from), to.len())
            };
            open.check("copy_from_device_ctx", code)
        })
    }

    /// How often orchestrations were loaded; 0 once it is closed.
    #[must_use]
    pub fn load_counts(&self) -> LoadCounts {
        let counts = self.with(|open| {
            let (functions, handle) = (open.library.functions(), open.handle.as_ptr());
            // SAFETY: the context is live and ours alone.
            let host = unsafe { (functions.get_host_dlopen_count)(handle) };
            // SAFETY: as above.
            let aicpu = unsafe { (functions.get_aicpu_dlopen_count)(handle) };
            Ok(LoadCounts { host, aicpu })
        });
        counts.unwrap_or_default()
    }

    /// Device memory that is in use; none once it is closed.
    #[must_use]
    pub fn memory_in_use(&self) -> MemoryInUse {
        let in_use = self.with(|open| {
            let (communicators, windows) = open.communicators.count();
            let (allocations, bytes) = (open.allocations.len(), open.allocations.values().sum());
            Ok(MemoryInUse { allocations, bytes, communicators, windows })
        });
        in_use.unwrap_or_default()
    }

    /// What it holds by the library's count; `None` when the library does not tell, or it is closed.
    #[must_use]
    pub fn resource_report(&self) -> Option<ContextReport> {
        self.with(|open| Ok(open.report())).ok().flatten()
    }

    /// Gives everything back: the device, the context, and this context's share of the library. What is returned is
    /// what the library still held in between, if it tells. Nothing is left to do for a second call.
    ///
    /// # Errors
    /// [`HostLibraryError::Call`] of `finalize_device`; the context is gone all the same.
    pub fn close(&self) -> Result<Option<ContextReport>, HostLibraryError> {
        let Some(mut open) = self.lock().take() else { return Ok(None) };
        open.finalize()?;
        Ok(open.report())
    }

    /// Uses the context, alone, with this thread bound to its device.
    pub(crate) fn with<T>(
        &self,
        body: impl FnOnce(&mut Open) -> Result<T, HostLibraryError>,
    ) -> Result<T, HostLibraryError> {
        let mut guard = self.lock();
        let open = guard.as_mut().ok_or(HostLibraryError::Closed)?;
        let _bound = open.bind();
        body(open)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A context that exists.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) handle: NonNull<c_void>,
    /// The device that is in use; none before `simpler_init` and after `finalize_device`.
    pub(crate) device: Option<c_int>,
    allocations: BTreeMap<u64, u64>,
    pub(crate) communicators: Communicators,
    buffer: Option<RunBuffer>,
    // Declared last, so that it is dropped last: it may be unloaded then.
    pub(crate) library: Arc<HostLibrary>,
}

// SAFETY: contexts are used from any thread as long as it is one at a time (spec/public-abi.md, section A.2), which
// the mutex around this type sees to.
unsafe impl Send for Open {}

impl Open {
    fn create(library: Arc<HostLibrary>) -> Result<Self, HostLibraryError> {
        // SAFETY: the function takes nothing, and the library is loaded.
        let handle = unsafe { (library.functions().create_device_context)() };
        let Some(handle) = NonNull::new(handle) else {
            // SAFETY: null stands for what this thread did without a context.
            let explanation = unsafe { library.last_error(ptr::null_mut()) };
            return Err(HostLibraryError::NoContext { explanation });
        };
        let (allocations, communicators) = (BTreeMap::new(), Communicators::default());
        Ok(Self { handle, device: None, allocations, communicators, buffer: None, library })
    }

    fn set_option(&self, name: &str, value: &str) -> Result<(), HostLibraryError> {
        let refused = || HostLibraryError::Option { name: name.to_owned(), value: value.to_owned() };
        let set_option = self.library.additional().simpler_rs_set_option.ok_or_else(refused)?;
        let texts = CString::new(name).ok().zip(CString::new(value).ok());
        let (name, value) = texts.ok_or_else(refused)?;
        // SAFETY: the context is live and ours alone; both texts live until the call returns.
        let code = unsafe { set_option(self.handle.as_ptr(), name.as_ptr(), value.as_ptr()) };
        self.check("simpler_rs_set_option", code)
    }

    fn init(&mut self, device: c_int, programs: &Programs) -> Result<(), HostLibraryError> {
        let Programs { aicpu, aicore, dispatcher } = programs;
        // No program is told by null and 0, not by a pointer to nothing.
        let start = |bytes: &[u8]| if bytes.is_empty() { ptr::null() } else { bytes.as_ptr() };
        // SAFETY: the context is live and ours alone; the library copies what it needs of the programs.
        let code = unsafe {
            (self.library.functions().simpler_init)(
                self.handle.as_ptr(),
                device,
                start(aicpu),
                aicpu.len(),
                start(aicore),
                aicore.len(),
                start(dispatcher),
                dispatcher.len(),
            )
        };
        self.check("simpler_init", code)?;
        self.device = Some(device);
        Ok(())
    }

    fn bind(&self) -> Option<BoundThread> {
        Some(self.library.sim_context()?.bind(self.device?))
    }

    fn run(
        &mut self,
        id: i32,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<RunFigures, HostLibraryError> {
        let prefix = config.output_prefix()?;
        let prefix = CString::new(prefix)
            .map_err(|error| CallConfigError::PrefixContainsNul { position: error.nul_position() })?;
        let buffer = self.run_buffer()?;
        let mut timing = PtoRunTiming::default();
        // SAFETY: the context is live and ours alone, and so is the buffer, which has the size that was asked for.
        // The arguments are readable during the call; their maker vouches for the addresses in them.
        let code = unsafe {
            (self.library.functions().run_prepared)(
                self.handle.as_ptr(),
                buffer,
                id,
                ptr::from_ref(args).cast(),
                config.block_dim,
                config.aicpu_thread_num,
                config.enable_l2_swimlane,
                config.enable_dump_tensor,
                config.enable_pmu,
                config.enable_dep_gen,
                config.enable_scope_stats,
                prefix.as_ptr(),
                &raw mut timing,
            )
        };
        self.check("run_prepared", code)?;
        Ok(RunFigures { timing, info: self.run_info() })
    }

    /// The buffer of all runs, made by the first.
    fn run_buffer(&mut self) -> Result<*mut c_void, HostLibraryError> {
        let buffer = match self.buffer.take() {
            Some(buffer) => buffer,
            None => RunBuffer::new(self.library.runtime_size())?,
        };
        Ok(self.buffer.insert(buffer).memory.as_ptr().cast())
    }

    fn run_info(&self) -> Option<RunInfo> {
        let run_info = self.library.additional().simpler_rs_run_info?;
        let mut info = RunInfo { struct_size: size_of::<RunInfo>(), ..RunInfo::default() };
        // SAFETY: the context is live and ours alone; `info` says how large it is.
        let code = unsafe { run_info(self.handle.as_ptr(), &raw mut info) };
        (code == 0).then_some(info)
    }

    /// Kernels follow the addresses of tensors on the device unchecked.
    fn check_device_tensors(&self, args: &ChipStorageTaskArgs) -> Result<(), HostLibraryError> {
        for (index, tensor) in args.used_tensors()?.iter().enumerate() {
            let bytes = tensor.nbytes().map_err(|source| HostLibraryError::Tensor { index, source })?;
            if tensor.is_child_memory() {
                self.check_range("a tensor argument", tensor.data, bytes)?;
            }
        }
        Ok(())
    }

    fn check_range(&self, operation: &'static str, address: u64, bytes: u64) -> Result<(), HostLibraryError> {
        let holds = |start: u64, size: u64| {
            address.checked_sub(start).is_some_and(|offset| offset <= size && bytes <= size - offset)
        };
        let below = self.allocations.range(..=address).next_back();
        let allocated = below.is_some_and(|(&start, &size)| holds(start, size));
        if allocated || self.communicators.memory().any(|(start, size)| holds(start, size)) {
            Ok(())
        } else {
            Err(HostLibraryError::Address { operation, address, bytes })
        }
    }

    pub(crate) fn check(&self, function: &'static str, code: c_int) -> Result<(), HostLibraryError> {
        if code == 0 {
            return Ok(());
        }
        Err(HostLibraryError::Call { function, code, explanation: self.last_error() })
    }

    fn last_error(&self) -> Option<crate::Explanation> {
        // SAFETY: the context is live and ours alone.
        unsafe { self.library.last_error(self.handle.as_ptr()) }
    }

    fn report(&self) -> Option<ContextReport> {
        // SAFETY: the context is live and ours alone.
        unsafe { self.library.report_of(self.handle.as_ptr()) }
    }

    /// Gives the device back, if it is in use.
    fn finalize(&mut self) -> Result<(), HostLibraryError> {
        let bound = self.bind();
        self.destroy_comms();
        if self.device.take().is_none() {
            return Ok(());
        }
        // SAFETY: the context is live and ours alone.
        let code = unsafe { (self.library.functions().finalize_device)(self.handle.as_ptr()) };
        drop(bound);
        let result = self.check("finalize_device", code);
        if result.is_err() {
            // Threads of a device that could not be stopped may still run the library's code: it stays loaded.
            std::mem::forget(Arc::clone(&self.library));
        }
        result
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Err(error) = self.finalize() {
            log::error!("closing a context: {error}");
        }
        // SAFETY: the context is live, ours alone, and not used again.
        unsafe { (self.library.functions().destroy_device_context)(self.handle.as_ptr()) };
    }
}

/// The buffer that `run_prepared` works in. Nothing of it is read here.
#[derive(Debug)]
struct RunBuffer {
    memory: NonNull<u8>,
    layout: Layout,
}

impl RunBuffer {
    /// What the structure in it claims to need.
    const ALIGN: usize = 64;

    fn new(bytes: usize) -> Result<Self, HostLibraryError> {
        let refused = || HostLibraryError::RunBuffer { bytes };
        let layout = Layout::from_size_align(bytes.max(1), Self::ALIGN).map_err(|_| refused())?;
        // SAFETY: the layout has a size.
        let memory = NonNull::new(unsafe { alloc(layout) }).ok_or_else(refused)?;
        Ok(Self { memory, layout })
    }
}

impl Drop for RunBuffer {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody has the address any more.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

pub(crate) fn pointer(address: u64) -> *mut c_void {
    // Only addresses that the library has given out come here, and a pointer has 64 bits.
    ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or_default())
}

/// A copy at an address where a library may read its words; `None` when the image is at such a one already, as
/// allocators usually see to.
fn aligned_copy(image: &[u8]) -> Option<Vec<u64>> {
    if image.as_ptr().addr().is_multiple_of(align_of::<u64>()) {
        return None;
    }
    let words = image.chunks(size_of::<u64>()).map(|chunk| {
        let mut word = [0; size_of::<u64>()];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    Some(words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_at_odd_addresses_are_copied() {
        let words = [0x0807_0605_0403_0201_u64; 2];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let start = bytes.as_ptr().align_offset(align_of::<u64>());
        assert_eq!(aligned_copy(&bytes[start..]), None);
        let copy = aligned_copy(&bytes[start + 1..start + 6]).unwrap();
        assert_eq!(copy[0].to_ne_bytes()[..5], bytes[start + 1..start + 6]);
    }

    #[test]
    fn a_run_buffer_is_aligned_and_refused_when_it_is_too_large() {
        for bytes in [0, 1, 100_000] {
            let buffer = RunBuffer::new(bytes).unwrap();
            assert!(buffer.memory.addr().get().is_multiple_of(RunBuffer::ALIGN));
        }
        for bytes in [usize::MAX, 1 << 62] {
            let error = RunBuffer::new(bytes).unwrap_err();
            assert!(error.to_string().contains("get_runtime_size"), "{error}");
        }
    }
}
