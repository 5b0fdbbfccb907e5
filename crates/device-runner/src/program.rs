use std::any::Any;
use std::fmt;

use task_interface::{CoreType, RUNTIME_MAX_ARGS};

use crate::arch::{CoreId, Topology};
use crate::dev_ptr::DevPtr;
use crate::image::DeviceImage;
use crate::stall::WaitingTask;

/// Position of a task in its graph; also its token on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0)
    }
}

/// A point on the device's own clock, in nanoseconds since the launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceTime(pub u64);

/// The device half of a runtime variant: the AICPU program as a state machine.
///
/// It decides *what* runs *where*; whoever drives it (the simulator's engine) decides *how* a core runs
/// a kernel. All calls come under one lock, so an implementation needs none of its own.
pub trait DeviceProgram: Send {
    /// The code that builds the graph while it runs, if there is such; asked for once, at the launch.
    ///
    /// It runs on a thread of its own and shares its state with the program by its own means. The launch does
    /// not end before it has returned.
    fn take_orchestration(&mut self) -> Option<Box<dyn DeviceOrchestration>> {
        None
    }

    /// Picks a task that may start now and an idle core for it; `None` when there is none.
    ///
    /// The task then counts as started and the core as busy.
    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch>;

    /// Whether [`next`](Self::next) would find something.
    fn has_startable(&self, cores: &dyn Cores) -> bool;

    /// Like [`next`](Self::next), but starts nothing if the kernel of the task, an index into the launch's kernels, is not
    /// wanted.
    ///
    /// Lets an orchestration that waits run a short kernel itself; programs without one are not asked. `None` is always
    /// right: the task is started by another thread then.
    fn next_if(&mut self, _cores: &dyn Cores, _wanted: &dyn Fn(u32) -> bool) -> Option<Dispatch> {
        None
    }

    /// Tells which tasks wait for `task` at the moment, for diagnostics.
    fn fanout(&self, _task: TaskId, _visit: &mut dyn FnMut(TaskId)) {}

    /// A task that was started on `core` has finished at `at`.
    fn complete(&mut self, task: TaskId, core: CoreId, at: DeviceTime);

    /// Looks whether something in device memory that tasks wait for has come; `now` is the device time.
    fn poll_memory(&mut self, _now: DeviceTime) {}

    /// Whether tasks wait for something in device memory, which may come from outside of this launch.
    fn awaits_memory(&self) -> bool {
        false
    }

    /// Whether nothing is left to start or to wait for.
    fn is_done(&self) -> bool;

    /// Tasks that have finished so far.
    fn completed(&self) -> u64;

    /// Grows whenever the program gets on; shows whoever watches the run that it is not stuck.
    fn activity(&self) -> u64 {
        self.completed()
    }

    /// Every task that has not started, with what it waits for; called only to report a stall.
    fn waiting(&self) -> Vec<WaitingTask>;

    /// The program as the image that AICPU and AICore programs read, for a device that
    /// [runs images](crate::Device::runs_images); `None` for a program that only an engine can drive.
    fn take_image(&mut self) -> Option<DeviceImage> {
        None
    }

    /// Gives the program back to its variant after a run.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The part of a device program that builds its graph while it runs.
pub trait DeviceOrchestration: Send {
    /// Runs to its end; whatever it meets is told by the program.
    fn run(self: Box<Self>, chip: &dyn Chip);
}

/// What a [`DeviceOrchestration`] may ask of whoever runs it.
pub trait Chip {
    /// Tasks have become startable.
    fn tasks_added(&self);

    /// Number of tasks that have ended.
    fn progress(&self) -> u64;

    /// Blocks until [`progress`](Self::progress) is more than `seen`. `false` when that cannot happen any more:
    /// nothing runs, nothing can start, and nothing is awaited; or the launch is being stopped.
    ///
    /// Tasks may be run on the calling thread meanwhile, and a few more than it has to wait for.
    fn wait_beyond(&self, seen: u64) -> bool;
}

/// What a [`DeviceProgram`] may ask of the chip's cores.
pub trait Cores {
    /// The launch's cores.
    fn topology(&self) -> Topology;

    /// Whether a core of this type is idle.
    fn has_idle(&self, core_type: CoreType) -> bool;

    /// Since when this core is idle; `None` while it has a task.
    fn idle_since(&self, core: CoreId) -> Option<DeviceTime>;

    /// The idle core of this type that has been free for longest on the device clock.
    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore>;
}

/// An idle core and since when it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleCore {
    /// The core.
    pub core: CoreId,
    /// Device time at which its last task ended.
    pub free_at: DeviceTime,
}

/// One task on its way to one core.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The task.
    pub task: TaskId,
    /// Index into the kernels of the [`Launch`](crate::Launch).
    pub kernel: u32,
    /// Where it runs.
    pub core: CoreId,
    /// Device time at which its last predecessor ended.
    pub ready_at: DeviceTime,
    /// What the kernel is called with.
    pub args: KernelArgs,
    /// How many of the dispatches that come next have to run together with this one: they may wait for each
    /// other from their first instruction.
    pub followers: u32,
}

/// The argument array of a kernel.
#[derive(Clone, Debug)]
pub enum KernelArgs {
    /// Sixteen slots by value (`spec/public-abi.md`, section E.2); each call gets its own copy.
    Inline([u64; RUNTIME_MAX_ARGS]),
    /// An array that lives in device memory.
    Device(DevPtr),
}
