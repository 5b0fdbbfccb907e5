use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use device_runner::{Chip, DeviceError, GlobalMemory, KernelArgs, KernelContext};
use task_interface::trb::DISPATCH_MAX_ARGS;

use crate::engine::{Engine, Next, State};
use crate::identity;
use crate::placement::{self, Placement};
use crate::run::{Done, Job, RunShared, Work};
use crate::spin;
use crate::threads::WatchedThread;

/// Kernels keep their tiles in thread-local memory and on the stack; pages that are not touched cost nothing.
pub(crate) const STACK: usize = 8 << 20;

/// Starts a thread that carries out tasks until the engine ends it.
pub(crate) fn spawn(
    engine: Arc<Engine>,
    index: usize,
    thread: Arc<WatchedThread>,
) -> Result<JoinHandle<()>, DeviceError> {
    Builder::new()
        .name(format!("sim-core-{index}"))
        .stack_size(STACK)
        .spawn(move || run(&engine, index, &thread))
        .map_err(|source| DeviceError::Platform { call: "starting a thread", source: source.into() })
}

fn run(engine: &Arc<Engine>, index: usize, thread: &WatchedThread) {
    let mut joined: Option<Arc<RunShared>> = None;
    thread.is_here();
    let mut state = engine.lock();
    // When the last task ended, if that was just now: looking at the clock takes as long as a short kernel.
    let mut ended = None;
    let mut placement = Placement::default();
    loop {
        if let Some(work) = engine.take_work(&mut state, index, ended.take().unwrap_or_else(Instant::now)) {
            drop(state);
            let run = match &work {
                Work::Task(job) => &job.run,
                Work::Orchestration(run, _) => run,
            };
            join(&mut joined, run);
            let next;
            (state, next) = carry_out(engine, index, thread, work, &mut ended);
            match next {
                Next::Work => continue,
                Next::Leave => return,
                Next::Rest => {
                    // Others work for the run, so that nothing of it ends here, under the lock.
                    leave(&mut joined);
                    state = engine.park(state);
                    ended = None;
                    continue;
                }
            }
        }
        // Kernels and pipe memory of the run must not be kept by an idle thread.
        if joined.as_ref().is_some_and(|run| !state.is_current(run.serial)) {
            drop(state);
            leave(&mut joined);
            state = engine.lock();
            continue;
        }
        leave(&mut joined);
        if !state.has_run() && engine.is_surplus(index) {
            state.leave(index);
            return;
        }
        match idle(engine, state, &mut placement) {
            Some(guard) => state = guard,
            None => return,
        }
    }
}

/// Waits for work, and not on a CPU that others need; `None` when the carrier has to end.
fn idle<'e>(
    engine: &'e Engine,
    state: MutexGuard<'e, State>,
    placement: &mut Placement,
) -> Option<MutexGuard<'e, State>> {
    let in_the_way = spin::cpus() > 1 && placement::here().is_some_and(|cpu| engine.needs_cpu(&state, cpu));
    if in_the_way && placement.may_move(Instant::now()) {
        drop(state);
        placement.leave_cpu();
        return Some(engine.lock());
    }
    // To look for work would keep those that bring it from running.
    engine.await_work(state, !in_the_way)
}

/// Does the work and reports it; what the carrier does then.
fn carry_out<'e>(
    engine: &'e Arc<Engine>,
    index: usize,
    thread: &WatchedThread,
    work: Work,
    ended: &mut Option<Instant>,
) -> (MutexGuard<'e, State>, Next) {
    match work {
        Work::Task(mut job) => {
            let done = execute(engine, thread, &mut job);
            *ended = Some(done.at);
            let mut state = engine.lock();
            let next = engine.finish_job(&mut state, index, &job, done);
            (state, next)
        }
        Work::Orchestration(run, code) => {
            let serial = run.serial;
            let chip = SimChip { engine, carrier: index, thread, run };
            // What it throws or panics with is its program's to catch; nothing may pass this thread.
            let _ = thread.inside(|| catch_unwind(AssertUnwindSafe(|| code.run(&chip))));
            let mut state = engine.lock();
            let next = engine.finish_orchestration(&mut state, serial);
            (state, next)
        }
    }
}

/// The chip as an orchestration sees it, from the carrier that runs it.
struct SimChip<'a> {
    engine: &'a Arc<Engine>,
    carrier: usize,
    thread: &'a WatchedThread,
    run: Arc<RunShared>,
}

impl Chip for SimChip<'_> {
    fn tasks_added(&self) {
        self.thread.outside(|| self.engine.tasks_added());
    }

    fn progress(&self) -> u64 {
        self.thread.outside(|| self.engine.progress_of(self.run.serial))
    }

    fn wait_beyond(&self, seen: u64) -> bool {
        let execute = |job: &mut Job| execute(self.engine, self.thread, job);
        self.thread.outside(|| self.engine.wait_beyond(&self.run, self.carrier, seen, execute))
    }
}

fn join(joined: &mut Option<Arc<RunShared>>, run: &Arc<RunShared>) {
    if joined.as_ref().is_none_or(|joined| joined.serial != run.serial) {
        identity::join_run(Arc::clone(&run.pipes));
        *joined = Some(Arc::clone(run));
    }
}

fn leave(joined: &mut Option<Arc<RunShared>>) {
    if joined.take().is_some() {
        identity::leave_run();
    }
}

fn execute(engine: &Engine, thread: &WatchedThread, job: &mut Job) -> Done {
    let kernel = Arc::clone(&job.run.kernels[job.dispatch.kernel as usize]);
    let mut slots = [0; DISPATCH_MAX_ARGS];
    let slots = if kernel.is_native() { seen_args(engine, &job.dispatch.args, &mut slots) } else { &[] };
    let args = job.args();
    let (task, core) = (job.dispatch.task, job.dispatch.core);
    let context = KernelContext::new(engine.space().as_ref(), task, core, slots);
    identity::become_core(job.run.topology, core);
    let start = Instant::now();
    // SAFETY: the array was made by the program for this kernel: sixteen slots of our own, or one that it
    // keeps in device memory for as long as the run.
    let result = thread.inside(|| unsafe { kernel.call(args, &context) });
    let at = Instant::now();
    Done { at, duration: at - start, result }
}

/// The arguments of a Rust kernel, which does not follow addresses by itself.
fn seen_args<'a>(engine: &Engine, args: &KernelArgs, slots: &'a mut [u64; DISPATCH_MAX_ARGS]) -> &'a [u64] {
    match args {
        KernelArgs::Inline(inline) => {
            slots[..inline.len()].copy_from_slice(inline);
            &slots[..inline.len()]
        }
        KernelArgs::Device(array) => {
            let mut bytes = [0; DISPATCH_MAX_ARGS * size_of::<u64>()];
            if engine.space().copy_from_device(&mut bytes, *array).is_ok() {
                for (slot, word) in slots.iter_mut().zip(bytes.chunks_exact(size_of::<u64>())) {
                    *slot = word.try_into().map_or(0, u64::from_le_bytes);
                }
            }
            slots
        }
    }
}
