//! A device context: what is behind a handle.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chip_worker::{CallConfig, ChipStorageTaskArgs, DevPtr, ResourceReport, RunOutcome};
use device_runner::{CallableId, CallableSource, DeviceRunner, RunnerError};
use host_library::ErrorKind;
use task_interface::{ChipCallable, MAX_REGISTERED_CALLABLE_IDS, PtoRunTiming};

use crate::error::Failure;
use crate::options::Options;
use crate::program::Programs;

/// One client's device, from `create_device_context` to `destroy_device_context`.
#[derive(Debug, Default)]
pub(crate) struct Context {
    options: Mutex<Options>,
    device: RwLock<Option<Arc<Attached>>>,
    last_failure: Mutex<Option<Failure>>,
    last_run: Mutex<Option<RunOutcome>>,
    /// Orchestrations opened on devices that were given back: that count goes on.
    earlier_host_dlopens: Mutex<usize>,
}

/// A device in use.
#[derive(Debug)]
struct Attached {
    runner: Arc<DeviceRunner>,
    device: u32,
    /// The process whose threads serve it.
    process: u32,
    /// The callable of the last [`Context::run_once`].
    once: Mutex<Option<(ChipCallable, CallableId)>>,
}

impl Context {
    pub(crate) fn set_last_failure(&self, failure: Failure) {
        *lock(&self.last_failure) = Some(failure);
    }

    pub(crate) fn last_failure(&self) -> Option<Failure> {
        lock(&self.last_failure).clone()
    }

    pub(crate) fn last_run(&self) -> Option<RunOutcome> {
        *lock(&self.last_run)
    }

    pub(crate) fn set_option(&self, name: &str, value: &str) -> Result<(), Failure> {
        if self.device().is_some() {
            return Err(Failure::invalid(
                "options are set before the context gets its device; finalize_device takes it away",
            ));
        }
        lock(&self.options).set(name, value)
    }

    /// Takes a device into use; the one that is in use already is fine.
    pub(crate) fn attach(&self, device: c_int, programs: &Programs<'_>) -> Result<(), Failure> {
        let device = u32::try_from(device)
            .map_err(|_| Failure::invalid(format!("device id {device} is negative; ids start at 0")))?;
        let mut slot = self.device.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(attached) = slot.as_ref() {
            attached.check_process()?;
            if attached.device != device {
                return Err(Failure::invalid(format!(
                    "the context has device {}, not {device}; finalize it first, or make another context",
                    attached.device
                )));
            }
            return Ok(());
        }
        let builder = lock(&self.options).builder(device);
        let runner = programs.give_to(builder).build_runner()?;
        let process = std::process::id();
        *slot = Some(Arc::new(Attached { runner, device, process, once: Mutex::default() }));
        Ok(())
    }

    /// Gives everything back; a context without a device has nothing.
    pub(crate) fn finalize(&self) -> Result<(), Failure> {
        let mut slot = self.device.write().unwrap_or_else(PoisonError::into_inner);
        let Some(attached) = slot.as_ref() else { return Ok(()) };
        if attached.check_process().is_err() {
            // The threads that serve it are the parent's: there is nothing that could be given back here.
            std::mem::forget(slot.take());
            return Ok(());
        }
        let counts = attached.runner.dlopen_counts();
        attached.runner.finalize()?;
        *lock(&self.earlier_host_dlopens) += counts.host;
        *slot = None;
        Ok(())
    }

    pub(crate) fn malloc(&self, bytes: usize) -> Result<DevPtr, Failure> {
        let attached = self.attached()?;
        let _guard = attached.runner.bind()?;
        Ok(attached.runner.memory().alloc_unowned(bytes)?)
    }

    pub(crate) fn free(&self, ptr: DevPtr) -> Result<(), Failure> {
        let attached = self.attached()?;
        let _guard = attached.runner.bind()?;
        Ok(attached.runner.memory().free(ptr)?)
    }

    pub(crate) fn copy_to(&self, to: DevPtr, from: &[u8]) -> Result<(), Failure> {
        let attached = self.attached()?;
        let _guard = attached.runner.bind()?;
        Ok(attached.runner.memory().copy_to_device(to, from)?)
    }

    pub(crate) fn copy_from(&self, to: &mut [u8], from: DevPtr) -> Result<(), Failure> {
        let attached = self.attached()?;
        let _guard = attached.runner.bind()?;
        Ok(attached.runner.memory().copy_from_device(to, from)?)
    }

    pub(crate) fn prepare_callable(&self, id: i32, callable: &ChipCallable) -> Result<(), Failure> {
        let attached = self.attached()?;
        let source = CallableSource::from_image(callable)?;
        attached.leave_id(id);
        attached.runner.register(Some(id), &source)?;
        Ok(())
    }

    pub(crate) fn unregister_callable(&self, id: i32) -> Result<(), Failure> {
        // Unknown ids are fine, and a context without a device knows none.
        let Some(attached) = self.device() else { return Ok(()) };
        attached.check_process()?;
        if let Ok(id) = attached.runner.find(id)
            && !attached.is_once(id)
        {
            attached.runner.unregister(id);
        }
        Ok(())
    }

    /// Runs a registered callable.
    pub(crate) fn run(
        &self,
        id: i32,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<PtoRunTiming, Failure> {
        let attached = self.attached()?;
        let id = attached.runner.find(id)?;
        self.run_on(&attached, id, args, config)
    }

    /// Runs a callable that is not registered. It is kept until another one comes, as clients run the same again.
    pub(crate) fn run_once(
        &self,
        callable: &ChipCallable,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<PtoRunTiming, Failure> {
        let attached = self.attached()?;
        let id = attached.register_once(callable)?;
        self.run_on(&attached, id, args, config)
    }

    fn run_on(
        &self,
        attached: &Attached,
        id: CallableId,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<PtoRunTiming, Failure> {
        let outcome = attached.runner.run(id, args, config).map_err(|error| {
            if let RunnerError::Export { outcome, .. } = &error {
                // The run itself went well.
                *lock(&self.last_run) = Some(**outcome);
            }
            let failure = Failure::from(error);
            if matches!(failure.kind, ErrorKind::Stalled | ErrorKind::Unusable) {
                stay_loaded();
            }
            failure
        })?;
        *lock(&self.last_run) = Some(outcome);
        Ok(PtoRunTiming {
            host_wall_ns: nanos(outcome.host_wall),
            device_wall_ns: nanos(outcome.device_wall),
        })
    }

    /// How often orchestrations were first run on the device since they were registered.
    pub(crate) fn aicpu_dlopens(&self) -> usize {
        self.device().map_or(0, |attached| attached.runner.dlopen_counts().aicpu)
    }

    /// How often orchestrations were opened on the host.
    pub(crate) fn host_dlopens(&self) -> usize {
        let now = self.device().map_or(0, |attached| attached.runner.dlopen_counts().host);
        *lock(&self.earlier_host_dlopens) + now
    }

    /// What is held at the moment.
    pub(crate) fn report(&self) -> ResourceReport {
        self.device().map_or_else(ResourceReport::default, |attached| attached.runner.report())
    }

    fn device(&self) -> Option<Arc<Attached>> {
        self.device.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn attached(&self) -> Result<Arc<Attached>, Failure> {
        let Some(attached) = self.device() else {
            let text = "the context has no device; call simpler_init first";
            return Err(Failure::new(ErrorKind::NotInitialized, text));
        };
        attached.check_process()?;
        Ok(attached)
    }
}

impl Attached {
    /// The threads that serve a device do not survive a fork: the child would wait for them for ever.
    fn check_process(&self) -> Result<(), Failure> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let text = format!(
            "the device belongs to process {}, which this one was forked from; make a context of your own after \
             the fork",
            self.process
        );
        Err(Failure::new(ErrorKind::WrongProcess, text))
    }

    fn is_once(&self, id: CallableId) -> bool {
        lock(&self.once).as_ref().is_some_and(|(_, once)| *once == id)
    }

    /// Registers a callable in the place of the last one of this kind.
    fn register_once(&self, callable: &ChipCallable) -> Result<CallableId, Failure> {
        let mut once = lock(&self.once);
        if let Some((known, id)) = once.as_ref()
            && known == callable
        {
            return Ok(*id);
        }
        let source = CallableSource::from_image(callable)?;
        let id = match once.as_ref() {
            Some((_, id)) => self.runner.replace(*id, &source)?,
            // From the top, as clients count from 0.
            None => {
                let free = (0..CALLABLE_IDS).rev().find(|&id| self.runner.find(id).is_err());
                self.runner.register(free, &source)?
            }
        };
        *once = Some((callable.clone(), id));
        Ok(id)
    }

    /// Makes room for a client that wants the very id that [`register_once`](Self::register_once) took.
    fn leave_id(&self, id: i32) {
        let mut once = lock(&self.once);
        if let Some((_, taken)) = once.as_ref()
            && taken.index() == id
        {
            self.runner.unregister(*taken);
            *once = None;
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "64")]
const CALLABLE_IDS: i32 = MAX_REGISTERED_CALLABLE_IDS as i32;

/// Keeps this library in the process for good: a kernel that was given up returns into it, whenever that may be.
fn stay_loaded() {
    let mut place = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let here = stay_loaded as fn() as *const std::ffi::c_void;
    // SAFETY: `place` is written to, the address is one of this library; the path is valid while it is loaded.
    let pinned = unsafe {
        libc::dladdr(here, &raw mut place) != 0
            && !libc::dlopen(place.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE)
                .is_null()
    };
    if !pinned {
        log::debug!("this library is part of the program, which is not unloaded");
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
