//! Devices for tests: a strict one in plain memory, and a decorator that makes any device's k-th call
//! fail and keeps a journal.

mod contract;
mod records;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use task_interface::{ArgDirection, CoreType, RUNTIME_MAX_ARGS};

use crate::arch::{CoreId, Topology};
use crate::comm::CommRank;
use crate::dev_ptr::DevPtr;
use crate::device::{Device, DeviceOutcome, DeviceRun, DeviceUsage, GlobalMemory, Launch};
use crate::diagnostics::{MAX_COUNTERS, PmuSample, Recorder, TaskRun};
use crate::error::DeviceError;
use crate::kernel::{KernelContext, KernelHandle, KernelSource, LaunchKernel, NativeKernel};
use crate::program::{Cores, DeviceTime, Dispatch, IdleCore, KernelArgs};
use crate::stall::Stall;
use crate::sync::lock;

pub use contract::assert_chip_is_the_contracts;
pub use records::{export, recorded, recorder};

/// A device in host memory that runs Rust kernels one after the other on the launching thread; compiled
/// ones are taken and do nothing.
///
/// Addresses are numbers without memory behind them, so nothing but a checked copy can reach the bytes, and
/// no more than 64-byte aligned. It is strict: threads must be bound, handles known, one launch at a time.
#[derive(Debug, Default)]
pub struct FakeDevice {
    state: Arc<Mutex<FakeState>>,
    images: bool,
}

#[derive(Debug, Default)]
struct FakeState {
    allocations: BTreeMap<u64, Vec<u8>>,
    kernels: BTreeMap<u64, Option<NativeKernel>>,
    next: u64,
    bound: HashSet<ThreadId>,
    /// The launch under way; gone with its [`FakeRun`].
    launch: Weak<()>,
}

const PAGE: u64 = 1 << 20;
/// Keeps addresses from being aligned better than a real allocator would have them.
const MISALIGNMENT: u64 = 64;

impl FakeDevice {
    /// A device without memory limit.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The same, but it says that it runs images.
    #[must_use]
    pub fn running_images() -> Arc<Self> {
        Arc::new(Self { images: true, ..Self::default() })
    }

    /// The state, for a call that only a bound thread may make.
    fn bound(&self, call: &'static str) -> Result<MutexGuard<'_, FakeState>, DeviceError> {
        let state = lock(&self.state);
        if state.bound.contains(&std::thread::current().id()) {
            Ok(state)
        } else {
            Err(DeviceError::Platform { call, source: "the thread is not bound to the device".into() })
        }
    }

    fn with_range<R>(
        &self,
        operation: &'static str,
        ptr: DevPtr,
        len: usize,
        access: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, DeviceError> {
        let mut state = self.bound(operation)?;
        let bad = |reason: &str| DeviceError::InvalidPointer {
            operation,
            ptr,
            len: len as u64,
            reason: reason.to_owned(),
        };
        let (base, bytes) =
            state.allocations.range_mut(..=ptr.addr()).next_back().ok_or_else(|| bad("not allocated"))?;
        let start = usize::try_from(ptr.addr() - base).map_err(|_| bad("not allocated"))?;
        let end = start.checked_add(len).ok_or_else(|| bad("range overflow"))?;
        let range = bytes.get_mut(start..end).ok_or_else(|| bad("out of range"))?;
        Ok(access(range))
    }
}

impl GlobalMemory for FakeDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.with_range("copy to device", to, from.len(), |range| range.copy_from_slice(from))
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.with_range("copy from device", from, to.len(), |range| to.copy_from_slice(range))
    }
}

impl Device for FakeDevice {
    fn id(&self) -> u32 {
        0
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        lock(&self.state).bound.insert(std::thread::current().id());
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        let mut state = self.bound("alloc")?;
        state.next += (bytes as u64 / PAGE + 1) * PAGE;
        let address = state.next - bytes as u64 / PAGE * PAGE + MISALIGNMENT;
        state.allocations.insert(address, vec![0; bytes]);
        Ok(DevPtr::new(address))
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        let known = self.bound("free")?.allocations.remove(&ptr.addr());
        known.map(drop).ok_or_else(|| DeviceError::InvalidPointer {
            operation: "free",
            ptr,
            len: 0,
            reason: "not allocated".to_owned(),
        })
    }

    fn register_kernel(
        &self,
        _name: &str,
        source: &KernelSource,
        _signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let mut state = self.bound("register_kernel")?;
        state.next += PAGE;
        let handle = state.next;
        let native = match source {
            KernelSource::Native(kernel) => Some(kernel.clone()),
            KernelSource::Object(_) => None,
        };
        state.kernels.insert(handle, native);
        Ok(KernelHandle(handle))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        let known = self.bound("unregister_kernel")?.kernels.remove(&handle.0);
        known.map(drop).ok_or(DeviceError::UnknownKernel { handle: handle.0 })
    }

    fn runs_images(&self) -> bool {
        self.images
    }

    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let token = Arc::new(());
        {
            let mut state = self.bound("launch")?;
            if state.launch.strong_count() > 0 {
                return Err(DeviceError::Busy);
            }
            state.launch = Arc::downgrade(&token);
        }
        Ok(Box::new(FakeRun { result: self.execute(launch), _token: token }))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        let mut state = self.bound("reset")?;
        state.allocations.clear();
        state.kernels.clear();
        // A thread must bind itself anew, as on hardware.
        state.bound.clear();
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        let state = lock(&self.state);
        DeviceUsage {
            allocations: state.allocations.len(),
            bytes: state.allocations.values().map(|bytes| bytes.len() as u64).sum(),
            kernels: state.kernels.len(),
            ..DeviceUsage::default()
        }
    }
}

/// All cores idle, always: for programs that are driven one task at a time.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data of tests")]
pub struct IdleCores(pub Topology);

impl Cores for IdleCores {
    fn topology(&self) -> Topology {
        self.0
    }

    fn has_idle(&self, _core_type: CoreType) -> bool {
        true
    }

    fn idle_since(&self, _core: CoreId) -> Option<DeviceTime> {
        Some(DeviceTime(0))
    }

    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
        let core = CoreId(self.0.ids_of(core_type).next()?);
        Some(IdleCore { core, free_at: DeviceTime(0) })
    }
}

impl FakeDevice {
    fn execute(&self, mut launch: Launch) -> Result<DeviceOutcome, DeviceError> {
        let started = Instant::now();
        let elapsed = || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let cores = IdleCores(launch.topology);
        if launch.program.take_orchestration().is_some() {
            return Err(DeviceError::Unsupported {
                what: "an orchestration on the device",
                device: "the fake device",
            });
        }
        while let Some(dispatch) = launch.program.next(&cores) {
            let kernel = &launch.kernels[dispatch.kernel as usize];
            let start = DeviceTime(elapsed());
            self.call(kernel, &dispatch)?;
            let end = DeviceTime(elapsed());
            if let Some(recorder) = &launch.recorder {
                record(recorder, kernel.func_id, &dispatch, (start, end));
            }
            launch.program.complete(dispatch.task, dispatch.core, end);
        }
        if !launch.program.is_done() {
            let stall = Stall::new(Vec::new(), launch.program.waiting(), launch.program.completed());
            return Err(DeviceError::Stalled(Box::new(stall)));
        }
        Ok(DeviceOutcome { device_wall_ns: elapsed(), program: launch.program })
    }

    fn call(&self, kernel: &LaunchKernel, dispatch: &Dispatch) -> Result<(), DeviceError> {
        let handle = kernel.handle.0;
        let known = lock(&self.state).kernels.get(&handle).cloned();
        let Some(native) = known.ok_or(DeviceError::UnknownKernel { handle })? else { return Ok(()) };
        let args = match dispatch.args {
            KernelArgs::Inline(args) => args,
            KernelArgs::Device(address) => {
                let mut args = [0; RUNTIME_MAX_ARGS];
                self.copy_from_device(bytemuck::must_cast_slice_mut(&mut args), address)?;
                args
            }
        };
        let context = KernelContext::new(self, dispatch.task, dispatch.core, &args);
        native.call(&context).map_err(|fault| DeviceError::KernelFailed {
            task: dispatch.task,
            kernel: kernel.name.to_string(),
            core: dispatch.core,
            source: fault.into(),
        })
    }
}

fn record(recorder: &Recorder, func_id: u32, dispatch: &Dispatch, (start, end): (DeviceTime, DeviceTime)) {
    let (task, core) = (dispatch.task, dispatch.core);
    if let Some(swimlane) = recorder.swimlane() {
        let run = TaskRun { task, func_id, core, dispatch: start, start, end, finish: end };
        let mut log = swimlane.task_log();
        // Nobody waits for its tasks.
        log.push(run, &[]);
        swimlane.keep_tasks(log);
    }
    if let Some(pmu) = recorder.pmu() {
        let total_cycles = end.0 - start.0;
        pmu.sample(PmuSample { task, func_id, core, total_cycles, counters: [1; MAX_COUNTERS] });
    }
}

#[derive(Debug)]
struct FakeRun {
    result: Result<DeviceOutcome, DeviceError>,
    _token: Arc<()>,
}

impl DeviceRun for FakeRun {
    fn poll(&mut self) -> bool {
        true
    }

    fn wait(self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        self.result
    }
}

/// Passes every call on to another device, notes it, and lets chosen ones fail instead.
#[derive(Debug)]
pub struct FaultyDevice {
    inner: Arc<dyn Device>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    journal: Mutex<Vec<&'static str>>,
    fail: Mutex<Option<Fault>>,
    /// Why nothing can be launched until the next reset.
    lost: Mutex<Option<String>>,
}

/// Which call fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call of this index (0 is the first) fails once.
    Once(usize),
    /// The call of this index panics once.
    PanicOnce(usize),
    /// Every call of this name fails.
    Always(&'static str),
    /// Every call of this name panics.
    AlwaysPanic(&'static str),
    /// Launches end as if a kernel never returned; the device then refuses others until it is reset.
    Hang,
}

impl FaultyDevice {
    /// Wraps a device; no fault is set.
    #[must_use]
    pub fn new(inner: Arc<dyn Device>) -> Arc<Self> {
        Arc::new(Self { inner, shared: Arc::default() })
    }

    /// Sets or clears the fault.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.shared.fail) = fault;
    }

    /// The fault that is set, whether or not it has struck.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        *lock(&self.shared.fail)
    }

    /// Names of all calls so far, failed ones included: those of [`Device`] and [`DeviceRun`] that may
    /// fail, and `cancel` for a launch that is dropped before its end was waited for.
    #[must_use]
    pub fn journal(&self) -> Vec<&'static str> {
        lock(&self.shared.journal).clone()
    }

    /// Number of calls of one name.
    #[must_use]
    pub fn count(&self, call: &str) -> usize {
        lock(&self.shared.journal).iter().filter(|&&name| name == call).count()
    }
}

impl Shared {
    #[allow(clippy::panic, reason = "an injected panic is what was asked for")]
    fn enter(&self, call: &'static str) -> Result<(), DeviceError> {
        let index = {
            let mut journal = lock(&self.journal);
            journal.push(call);
            journal.len() - 1
        };
        let fault = *lock(&self.fail);
        match fault {
            Some(Fault::Once(at)) if at == index => {}
            Some(Fault::Always(name)) if name == call => {}
            Some(Fault::PanicOnce(at)) if at == index => panic!("injected panic in {call}"),
            Some(Fault::AlwaysPanic(name)) if name == call => panic!("injected panic in {call}"),
            _ => return Ok(()),
        }
        Err(DeviceError::Platform { call, source: format!("injected failure of call {index}").into() })
    }
}

impl GlobalMemory for FaultyDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.shared.enter("copy_to_device")?;
        self.inner.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.shared.enter("copy_from_device")?;
        self.inner.copy_from_device(to, from)
    }
}

impl Device for FaultyDevice {
    fn id(&self) -> u32 {
        self.inner.id()
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        self.shared.enter("bind_thread")?;
        self.inner.bind_thread()
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        self.shared.enter("alloc")?;
        self.inner.alloc(bytes)
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        self.shared.enter("free")?;
        self.inner.free(ptr)
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        self.shared.enter("register_kernel")?;
        self.inner.register_kernel(name, source, signature)
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        self.shared.enter("unregister_kernel")?;
        self.inner.unregister_kernel(handle)
    }

    fn max_block_dim(&self, chip_max: u32) -> Result<u32, DeviceError> {
        self.shared.enter("max_block_dim")?;
        self.inner.max_block_dim(chip_max)
    }

    fn runs_images(&self) -> bool {
        self.inner.runs_images()
    }

    fn takes_records(&self) -> bool {
        self.inner.takes_records()
    }

    fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        self.inner.kernel_entry(kernel)
    }

    fn program_generation(&self) -> u64 {
        self.inner.program_generation()
    }

    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        self.shared.enter("launch")?;
        if let Some(reason) = lock(&self.shared.lost).clone() {
            return Err(DeviceError::Unusable { reason });
        }
        let run = self.inner.launch(launch)?;
        Ok(Box::new(FaultyRun { run: Some(run), failed: None, shared: Arc::clone(&self.shared) }))
    }

    fn join(&self, rank: u32, ranks: u32, path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        self.shared.enter("join")?;
        self.inner.join(rank, ranks, path)
    }

    fn recover(&self) -> Result<(), DeviceError> {
        self.shared.enter("recover")?;
        self.inner.recover()
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.shared.enter("reset")?;
        self.inner.reset()?;
        *lock(&self.shared.lost) = None;
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        self.inner.usage()
    }
}

#[derive(Debug)]
struct FaultyRun {
    /// `None` once it was waited for.
    run: Option<Box<dyn DeviceRun>>,
    /// An injected failure of `poll`, which has no other way to tell.
    failed: Option<DeviceError>,
    shared: Arc<Shared>,
}

impl DeviceRun for FaultyRun {
    fn poll(&mut self) -> bool {
        if let Err(error) = self.shared.enter("poll") {
            self.failed = Some(error);
        }
        self.failed.is_some() || self.run.as_mut().is_none_or(|run| run.poll())
    }

    fn wait(mut self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        let outcome = self.run.take().map_or(Err(DeviceError::Cancelled), |run| run.wait());
        self.shared.enter("wait")?;
        if *lock(&self.shared.fail) == Some(Fault::Hang) {
            let error = DeviceError::Watchdog { limit: Duration::from_secs(1), stall: Box::default() };
            *lock(&self.shared.lost) = Some(error.to_string());
            return Err(error);
        }
        self.failed.take().map_or(outcome, Err)
    }
}

impl Drop for FaultyRun {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            drop(run);
            // Nobody can be told of a failure here, but a panic goes its way.
            drop(self.shared.enter("cancel"));
        }
    }
}
