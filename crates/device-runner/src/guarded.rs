use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use task_interface::ArgDirection;

use crate::comm::CommRank;
use crate::dev_ptr::DevPtr;
use crate::device::{Device, DeviceOutcome, DeviceRun, DeviceUsage, GlobalMemory, Launch};
use crate::error::{DeferredErrors, DeviceError};
use crate::kernel::{KernelHandle, KernelSource};

/// A device whose panics are errors like any other.
///
/// The runner calls its device from drops and in the middle of clean-ups; with this between them, no code
/// above has to think of panics.
#[derive(Debug)]
pub(crate) struct GuardedDevice {
    device: Arc<dyn Device>,
    deferred: DeferredErrors,
}

impl GuardedDevice {
    /// `deferred` gets what happens while a launch is dropped.
    pub(crate) fn new(device: Arc<dyn Device>, deferred: DeferredErrors) -> Arc<Self> {
        Arc::new(Self { device, deferred })
    }
}

fn guard<T>(name: &str, call: impl FnOnce() -> Result<T, DeviceError>) -> Result<T, DeviceError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic_text(panic.as_ref());
        Err(DeviceError::Internal(format!("the device panicked in {name}: {text}")))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl GlobalMemory for GuardedDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        guard("copy_to_device", || self.device.copy_to_device(to, from))
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        guard("copy_from_device", || self.device.copy_from_device(to, from))
    }
}

impl Device for GuardedDevice {
    fn id(&self) -> u32 {
        self.device.id()
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        guard("bind_thread", || self.device.bind_thread())
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        guard("alloc", || self.device.alloc(bytes))
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        guard("free", || self.device.free(ptr))
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        guard("register_kernel", || self.device.register_kernel(name, source, signature))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        guard("unregister_kernel", || self.device.unregister_kernel(handle))
    }

    fn max_block_dim(&self, chip_max: u32) -> Result<u32, DeviceError> {
        guard("max_block_dim", || self.device.max_block_dim(chip_max))
    }

    fn runs_images(&self) -> bool {
        self.device.runs_images()
    }

    fn takes_records(&self) -> bool {
        self.device.takes_records()
    }

    fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        self.device.kernel_entry(kernel)
    }

    fn program_generation(&self) -> u64 {
        self.device.program_generation()
    }

    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let run = guard("launch", || self.device.launch(launch))?;
        Ok(Box::new(GuardedRun { run: Some(run), error: None, deferred: self.deferred.clone() }))
    }

    fn join(&self, rank: u32, ranks: u32, path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        guard("join", || self.device.join(rank, ranks, path))
    }

    fn recover(&self) -> Result<(), DeviceError> {
        guard("recover", || self.device.recover())
    }

    fn reset(&self) -> Result<(), DeviceError> {
        guard("reset", || self.device.reset())
    }

    fn usage(&self) -> DeviceUsage {
        self.device.usage()
    }
}

#[derive(Debug)]
struct GuardedRun {
    run: Option<Box<dyn DeviceRun>>,
    /// Why there is no run any more.
    error: Option<DeviceError>,
    deferred: DeferredErrors,
}

impl GuardedRun {
    fn stop(&mut self) {
        let run = self.run.take();
        let stopped = guard("the drop of a launch", || {
            drop(run);
            Ok(())
        });
        self.deferred.keep(stopped);
    }
}

impl DeviceRun for GuardedRun {
    fn poll(&mut self) -> bool {
        let Some(run) = &mut self.run else { return true };
        match guard("poll", || Ok(run.poll())) {
            Ok(ended) => ended,
            Err(error) => {
                self.error = Some(error);
                self.stop();
                true
            }
        }
    }

    fn wait(mut self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        match self.run.take() {
            Some(run) => guard("wait", || run.wait()),
            None => Err(self.error.take().unwrap_or(DeviceError::Cancelled)),
        }
    }
}

impl Drop for GuardedRun {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{CoreId, Topology};
    use crate::kernel::NativeKernel;
    use crate::program::{Cores, DeviceProgram, DeviceTime, Dispatch, TaskId};
    use crate::stall::WaitingTask;
    use crate::testing::{FakeDevice, Fault, FaultyDevice};

    /// A program without tasks.
    struct Nothing;

    impl DeviceProgram for Nothing {
        fn next(&mut self, _: &dyn Cores) -> Option<Dispatch> {
            None
        }
        fn has_startable(&self, _: &dyn Cores) -> bool {
            false
        }
        fn complete(&mut self, _: TaskId, _: CoreId, _: DeviceTime) {}
        fn is_done(&self) -> bool {
            true
        }
        fn completed(&self) -> u64 {
            0
        }
        fn waiting(&self) -> Vec<WaitingTask> {
            Vec::new()
        }
        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }

    fn launch() -> Launch {
        Launch {
            topology: Topology::new(1),
            aicpu_threads: 1,
            kernels: Vec::new(),
            program: Box::new(Nothing),
            recorder: None,
        }
    }

    fn text<T>(result: Result<T, DeviceError>) -> String {
        match result {
            Err(DeviceError::Internal(text)) => text,
            Err(other) => panic!("not an internal error: {other}"),
            Ok(_) => panic!("no error"),
        }
    }

    fn bound_pair() -> (Arc<FaultyDevice>, Arc<GuardedDevice>, DeferredErrors) {
        let faulty = FaultyDevice::new(FakeDevice::new());
        let deferred = DeferredErrors::default();
        let guarded = GuardedDevice::new(faulty.clone(), deferred.clone());
        guarded.bind_thread().unwrap();
        (faulty, guarded, deferred)
    }

    #[test]
    fn a_panic_in_any_call_is_an_error_that_names_the_call() {
        let (faulty, device, _) = bound_pair();
        let source = KernelSource::Native(NativeKernel::new("k", |_| Ok(())));
        type Call<'a> = &'a dyn Fn() -> String;
        let calls: [(&'static str, Call<'_>); 8] = [
            ("copy_to_device", &|| text(device.copy_to_device(DevPtr::NULL, &[]))),
            ("copy_from_device", &|| text(device.copy_from_device(&mut [], DevPtr::NULL))),
            ("bind_thread", &|| text(device.bind_thread())),
            ("alloc", &|| text(device.alloc(1))),
            ("free", &|| text(device.free(DevPtr::NULL))),
            ("register_kernel", &|| text(device.register_kernel("k", &source, &[]))),
            ("unregister_kernel", &|| text(device.unregister_kernel(KernelHandle(1)))),
            ("reset", &|| text(device.reset())),
        ];
        for (name, call) in calls {
            faulty.set_fault(Some(Fault::AlwaysPanic(name)));
            assert_eq!(call(), format!("the device panicked in {name}: injected panic in {name}"));
        }
        faulty.set_fault(Some(Fault::AlwaysPanic("launch")));
        assert!(text(device.launch(launch())).contains("injected panic in launch"));
        faulty.set_fault(None);
        assert_eq!(device.usage(), DeviceUsage::default());
        assert_eq!(device.id(), faulty.id());
    }

    #[test]
    fn a_panic_of_a_launch_ends_it() {
        let (faulty, device, deferred) = bound_pair();
        let run = device.launch(launch()).unwrap();
        faulty.set_fault(Some(Fault::AlwaysPanic("wait")));
        assert!(text(run.wait()).contains("injected panic in wait"));

        let mut run = device.launch(launch()).unwrap();
        faulty.set_fault(Some(Fault::AlwaysPanic("poll")));
        assert!(run.poll(), "a launch that cannot be asked any more has ended");
        assert!(run.poll());
        assert!(text(run.wait()).contains("injected panic in poll"));
        assert_eq!(deferred.len(), 0);

        let run = device.launch(launch()).unwrap();
        faulty.set_fault(Some(Fault::AlwaysPanic("cancel")));
        drop(run);
        assert!(text::<()>(Err(deferred.take_all().unwrap())).contains("injected panic in cancel"));
        // The fake takes the next launch only if the one before is gone.
        faulty.set_fault(None);
        assert!(device.launch(launch()).unwrap().wait().is_ok());
    }

    #[test]
    fn any_kind_of_panic_has_a_text() {
        let caught = |panic: Box<dyn Any + Send>| text(guard::<()>("x", || std::panic::resume_unwind(panic)));
        assert_eq!(caught(Box::new("str")), "the device panicked in x: str");
        assert_eq!(caught(Box::new("string".to_owned())), "the device panicked in x: string");
        assert_eq!(caught(Box::new(7)), "the device panicked in x: no message");
    }
}
