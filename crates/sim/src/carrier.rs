use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use device_runner::{DeviceError, KernelArgs, KernelContext};

use crate::engine::{Done, Engine, Job, RunShared};
use crate::{identity, threads};

/// Kernels keep their tiles in thread-local memory and on the stack; pages that are not touched cost nothing.
const STACK: usize = 8 << 20;

/// Starts a thread that carries out tasks until the engine ends it.
pub(crate) fn spawn(engine: Arc<Engine>, index: usize) -> Result<JoinHandle<()>, DeviceError> {
    Builder::new()
        .name(format!("sim-core-{index}"))
        .stack_size(STACK)
        .spawn(move || run(&engine, index))
        .map_err(|source| DeviceError::Platform { call: "starting a thread", source: source.into() })
}

fn run(engine: &Arc<Engine>, index: usize) {
    let mut joined: Option<Arc<RunShared>> = None;
    let mut state = engine.lock();
    state.register_thread(index, threads::current_id());
    loop {
        if let Some(mut job) = engine.take_job(&mut state, index) {
            drop(state);
            join(&mut joined, &job.run);
            let done = execute(engine, &mut job);
            state = engine.lock();
            if !engine.finish_job(&mut state, index, &job, done) {
                return;
            }
            continue;
        }
        if joined.as_ref().is_some_and(|run| !state.is_current(run.serial)) {
            // Kernels and pipe memory of the run must not be kept by an idle thread.
            drop(state);
            leave(&mut joined);
            state = engine.lock();
            continue;
        }
        if !state.has_run() && engine.is_surplus(index) {
            state.leave(index);
            return;
        }
        match engine.await_work(state) {
            Some(guard) => state = guard,
            None => return,
        }
    }
}

fn join(joined: &mut Option<Arc<RunShared>>, run: &Arc<RunShared>) {
    if joined.as_ref().is_none_or(|joined| joined.serial != run.serial) {
        identity::join_run(Arc::clone(&run.pipes));
        *joined = Some(Arc::clone(run));
    }
}

fn leave(joined: &mut Option<Arc<RunShared>>) {
    identity::leave_run();
    *joined = None;
}

fn execute(engine: &Engine, job: &mut Job) -> Done {
    let kernel = Arc::clone(&job.run.kernels[job.dispatch.kernel as usize]);
    let slots = match job.dispatch.args {
        KernelArgs::Inline(slots) => slots,
        KernelArgs::Device(_) => [0; 16],
    };
    let args = job.args();
    let (task, core) = (job.dispatch.task, job.dispatch.core);
    let context = KernelContext::new(engine.space().as_ref(), task, core, &slots);
    identity::become_core(job.run.topology, core);
    let start = Instant::now();
    // SAFETY: the array was made by the program for this kernel: sixteen slots of our own, or one that it
    // keeps in device memory for as long as the run.
    let result = unsafe { kernel.call(args, &context) };
    Done { duration: start.elapsed(), result }
}
