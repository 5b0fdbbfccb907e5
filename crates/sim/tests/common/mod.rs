//! A small program that runs a list of tasks, for tests of the engine.
#![allow(dead_code, reason = "each test file uses a part")]

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use device_runner::{
    CoreId, Cores, Device, DeviceError, DeviceOutcome, DeviceProgram, DeviceRun, DeviceTime, Dispatch,
    KernelArgs, KernelContext, KernelFault, KernelSource, Launch, LaunchKernel, NativeKernel, TaskId,
    Topology, WaitingTask,
};
use sim::{SimDevice, SimOptions};
use task_interface::CoreType;

/// A task: its kernel, its type, and the task it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) kernel: u32,
    pub(crate) core_type: CoreType,
    pub(crate) after: Option<usize>,
}

/// Tasks in order; each starts once the one it names has ended.
pub(crate) struct ListProgram {
    tasks: Vec<Task>,
    started: Vec<bool>,
    ended: Vec<Option<DeviceTime>>,
}

impl ListProgram {
    pub(crate) fn new(tasks: Vec<Task>) -> Box<Self> {
        let count = tasks.len();
        Box::new(Self { tasks, started: vec![false; count], ended: vec![None; count] })
    }

    /// `count` independent AIV tasks of kernels 0, 1, 2, …
    pub(crate) fn independent(count: u32) -> Box<Self> {
        Self::new((0..count).map(|kernel| Task { kernel, core_type: CoreType::Aiv, after: None }).collect())
    }

    fn ready(&self, task: usize) -> Option<DeviceTime> {
        match self.tasks[task].after {
            None => Some(DeviceTime(0)),
            Some(before) => self.ended[before],
        }
    }
}

impl DeviceProgram for ListProgram {
    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch> {
        let (task, ready_at, idle) =
            (0..self.tasks.len()).filter(|&task| !self.started[task]).find_map(|task| {
                Some((task, self.ready(task)?, cores.earliest_idle(self.tasks[task].core_type)?))
            })?;
        self.started[task] = true;
        Some(Dispatch {
            task: TaskId(task as u64),
            kernel: self.tasks[task].kernel,
            core: idle.core,
            ready_at,
            args: KernelArgs::Inline([task as u64; 16]),
            followers: 0,
        })
    }

    fn has_startable(&self, cores: &dyn Cores) -> bool {
        (0..self.tasks.len()).any(|task| {
            !self.started[task] && self.ready(task).is_some() && cores.has_idle(self.tasks[task].core_type)
        })
    }

    fn complete(&mut self, task: TaskId, _core: CoreId, at: DeviceTime) {
        self.ended[usize::try_from(task.0).unwrap()] = Some(at);
    }

    fn is_done(&self) -> bool {
        self.ended.iter().all(Option::is_some)
    }

    fn completed(&self) -> u64 {
        self.ended.iter().flatten().count() as u64
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        (0..self.tasks.len())
            .filter(|&task| !self.started[task])
            .map(|task| WaitingTask {
                task: TaskId(task as u64),
                kernel: "listed".into(),
                core_type: self.tasks[task].core_type,
                unmet: self.tasks[task].after.into_iter().map(|task| TaskId(task as u64)).collect(),
            })
            .collect()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A device with a list of Rust kernels.
pub(crate) struct Bench {
    pub(crate) device: SimDevice,
    pub(crate) kernels: Vec<LaunchKernel>,
}

pub(crate) fn native<F>(name: &str, kernel: F) -> NativeKernel
where
    F: Fn(&KernelContext<'_>) -> Result<(), KernelFault> + Send + Sync + 'static,
{
    NativeKernel::new(name, kernel)
}

impl Bench {
    pub(crate) fn new(permits: usize, watchdog: Duration, kernels: Vec<NativeKernel>) -> Self {
        let mut options = SimOptions::default();
        options.permits = Some(permits);
        options.watchdog = Some(watchdog);
        let device = SimDevice::new(0, options).unwrap();
        let kernels = (0u32..)
            .zip(kernels)
            .map(|(func_id, kernel)| {
                let name = Arc::clone(kernel.name());
                let handle = device.register_kernel(&name, &KernelSource::Native(kernel), &[]).unwrap();
                LaunchKernel { handle, func_id, name, signature: Arc::from([]) }
            })
            .collect();
        Self { device, kernels }
    }

    pub(crate) fn launch(
        &self,
        block_dim: u32,
        program: Box<dyn DeviceProgram>,
    ) -> Result<Box<dyn DeviceRun>, DeviceError> {
        self.device.launch(Launch {
            topology: Topology::new(block_dim),
            aicpu_threads: 1,
            kernels: self.kernels.clone(),
            program,
            recorder: None,
        })
    }

    pub(crate) fn run(
        &self,
        block_dim: u32,
        program: Box<dyn DeviceProgram>,
    ) -> Result<DeviceOutcome, DeviceError> {
        self.launch(block_dim, program)?.wait()
    }

    /// Waits until nothing is left of a run that was given up; the test runner's limit ends a test that
    /// never gets there.
    pub(crate) fn await_no_abandoned_threads(&self) {
        while self.device.usage().abandoned_threads > 0 {
            std::thread::yield_now();
        }
    }
}

/// A flag that kernels wait for without a time limit.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn wait(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}
