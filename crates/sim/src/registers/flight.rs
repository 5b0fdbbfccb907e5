use std::mem::offset_of;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use collectors::RecordPlaces;
use device_runner::{CoreId, DevPtr, DeviceError, RunningTask, TaskId, Topology};
use object_loader::call::CxxException;
use task_interface::Handshake;

use super::blocks::RegisterBlocks;
use super::crew::Job;
use super::lock;
use super::programs::{CoreLaunch, LoadedPrograms};
use super::word::Word;
use crate::foreign::{ClusterMemory, CoreThread};
use crate::memory::AddressSpace;

/// A launch, as its threads share it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) programs: Arc<LoadedPrograms>,
    pub(super) registers: Arc<RegisterBlocks>,
    pub(super) space: Arc<AddressSpace>,
    /// The image that programs run.
    pub(super) image: DevPtr,
    pub(super) topology: Topology,
    pub(super) aicpu_threads: u32,
    /// Where programs record.
    pub(super) places: RecordPlaces,
    /// Threads of the device that were given up and are not back yet.
    pub(super) abandoned: Arc<AtomicUsize>,
    clusters: ClusterMemory,
    started: Instant,
    standing: Mutex<Standing>,
    changed: Condvar,
}

/// Where a launch stands.
#[derive(Debug)]
struct Standing {
    aicpu_left: u32,
    cores_left: u32,
    /// What went wrong first.
    failure: Option<Failure>,
    /// From the start to the end of the last AICPU thread.
    wall: Duration,
    given_up: bool,
}

/// What a program met.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Failure {
    /// The AICPU program returned an error.
    #[error("the AICPU program ended with code {0}; its messages on standard error say why")]
    Code(i32),
    /// It threw.
    #[error("the AICPU program threw a {0}")]
    Aicpu(CxxException),
    /// The AICore program, or a kernel, threw.
    #[error("a kernel on {core} failed: {exception}")]
    Aicore { core: CoreId, exception: CxxException },
}

impl Failure {
    pub(super) fn into_error(self) -> DeviceError {
        let code = match self {
            Self::Code(code) => code,
            _ => -1,
        };
        DeviceError::ProgramFailed { code, source: Box::new(self) }
    }
}

/// How a launch ended.
pub(super) struct Ending {
    pub(super) wall: Duration,
    pub(super) failure: Option<Failure>,
}

/// How long a core that only answers sleeps between two looks.
const NAP: Duration = Duration::from_micros(200);

impl Flight {
    /// A launch that has not started: all of its threads are still to come back.
    pub(super) fn new(
        (programs, registers): (Arc<LoadedPrograms>, Arc<RegisterBlocks>),
        (space, image): (Arc<AddressSpace>, DevPtr),
        (topology, aicpu_threads, places): (Topology, u32, RecordPlaces),
        abandoned: Arc<AtomicUsize>,
    ) -> Self {
        let standing = Standing {
            aicpu_left: aicpu_threads,
            cores_left: topology.cores(),
            failure: None,
            wall: Duration::ZERO,
            given_up: false,
        };
        Self {
            programs,
            registers,
            space,
            image,
            topology,
            aicpu_threads,
            places,
            abandoned,
            clusters: ClusterMemory::default(),
            started: Instant::now(),
            standing: Mutex::new(standing),
            changed: Condvar::new(),
        }
    }

    /// What each AICPU thread does. Those that an affinity gate would send home are not asked at all.
    pub(super) fn aicpu_jobs(flight: &Arc<Self>) -> impl Iterator<Item = Job> {
        (0..flight.aicpu_threads).map(|_| {
            let flight = Arc::clone(flight);
            let job: Job = Box::new(move || flight.play_aicpu());
            job
        })
    }

    /// What each core does.
    pub(super) fn core_jobs(flight: &Arc<Self>) -> impl Iterator<Item = Job> {
        (0..flight.topology.cores()).map(|core| {
            let flight = Arc::clone(flight);
            let job: Job = Box::new(move || flight.play_core(CoreId(core)));
            job
        })
    }

    fn play_aicpu(&self) {
        // SAFETY: the image was made for this chip and runtime, and is kept until all threads are back.
        let failure = match unsafe { self.programs.run_aicpu(self.image.addr()) } {
            Ok(0) => None,
            Ok(code) => Some(Failure::Code(code)),
            Err(exception) => Some(Failure::Aicpu(exception)),
        };
        let mut standing = lock(&self.standing);
        standing.failure = standing.failure.take().or(failure);
        standing.wall = self.started.elapsed();
        standing.aicpu_left -= 1;
        self.note_return(standing.given_up);
        if standing.aicpu_left == 0 {
            // Nobody else tells a core to leave that the program has forgotten.
            self.release_cores();
        }
        self.changed.notify_all();
    }

    fn play_core(&self, core: CoreId) {
        let _thread = CoreThread::join(&self.clusters, self.topology, core);
        let launch = CoreLaunch {
            runtime: self.image.addr(),
            topology: self.topology,
            core,
            registers: self.registers.table(),
            places: self.places,
        };
        // SAFETY: as for the AICPU program; the registers are kept as long.
        if let Err(exception) = unsafe { self.programs.run_aicore(launch) } {
            lock(&self.standing).failure.get_or_insert(Failure::Aicore { core, exception });
            self.answer_for(core);
        }
        let mut standing = lock(&self.standing);
        standing.cores_left -= 1;
        self.note_return(standing.given_up);
        self.changed.notify_all();
    }

    /// Ends the tasks of a core whose program is gone, so that the AICPU program comes to its end.
    fn answer_for(&self, core: CoreId) {
        while let Some(was_task) = self.registers.answer(core) {
            if !was_task {
                if lock(&self.standing).given_up {
                    return;
                }
                std::thread::sleep(NAP);
            }
        }
    }

    fn note_return(&self, given_up: bool) {
        if given_up {
            self.abandoned.fetch_sub(1, Ordering::AcqRel);
            self.space.kernel_returned();
        }
    }

    /// Tells every core to leave, wherever in its handshake it is. One that has left does not see it.
    pub(super) fn release_cores(&self) {
        for core in (0..self.topology.cores()).map(CoreId) {
            self.registers.tell_exit(core);
            for offset in [offset_of!(Handshake, aicpu_ready), offset_of!(Handshake, aicpu_regs_ready)] {
                self.handshake_word(core, offset).store(1);
            }
        }
    }

    fn handshake_word(&self, core: CoreId, offset: usize) -> Word {
        let place = core.0 as usize * size_of::<Handshake>() + offset;
        let image = usize::try_from(self.image.addr()).unwrap_or(0);
        let image = std::ptr::with_exposed_provenance_mut::<u8>(image);
        // SAFETY: an image begins with the handshakes of all cores, and is aligned.
        unsafe { Word::at(image.wrapping_add(place)) }
    }

    /// Waits until a thread comes back, or for a while.
    pub(super) fn wait(&self, while_: Duration) {
        let standing = lock(&self.standing);
        if standing.aicpu_left + standing.cores_left > 0 {
            drop(self.changed.wait_timeout(standing, while_).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether all threads are back.
    pub(super) fn has_ended(&self) -> bool {
        let standing = lock(&self.standing);
        standing.aicpu_left + standing.cores_left == 0
    }

    /// Whether the AICPU program has ended; then cores have nothing to wait for.
    pub(super) fn aicpu_has_ended(&self) -> bool {
        lock(&self.standing).aicpu_left == 0
    }

    /// Changes whenever something happens that can be seen from outside.
    pub(super) fn activity(&self) -> (u32, Vec<u32>) {
        let standing = lock(&self.standing);
        let left = standing.aicpu_left + standing.cores_left;
        drop(standing);
        (left, self.cores().map(|core| self.registers.cond(core)).collect())
    }

    fn cores(&self) -> impl Iterator<Item = CoreId> {
        (0..self.topology.cores()).map(CoreId)
    }

    /// Tasks that cores have received and not ended. Their tokens are numbers of the runtime's.
    pub(super) fn running(&self, elapsed: Duration) -> Vec<RunningTask> {
        let is_running = |token: &u32| (1..1 << 31).contains(token);
        let tokens = self.cores().map(|core| (core, self.registers.cond(core)));
        let running = tokens.filter(|(_, token)| is_running(token));
        let task = |(core, token): (CoreId, u32)| RunningTask {
            task: TaskId(token.into()),
            kernel: "(known to the AICore program only)".to_owned(),
            core,
            core_type: self.topology.core_type(core),
            elapsed,
        };
        running.map(task).collect()
    }

    /// Leaves threads to themselves that do not come back. What they use stays where it is.
    pub(super) fn give_up(&self) {
        let mut standing = lock(&self.standing);
        let left = (standing.aicpu_left + standing.cores_left) as usize;
        standing.given_up = true;
        self.abandoned.fetch_add(left, Ordering::AcqRel);
        self.space.kernels_given_up(left);
        // They return into it, and it may have something to do at the end of a thread.
        std::mem::forget(Arc::clone(&self.programs));
    }

    /// How it ended, once all threads are back.
    pub(super) fn ending(&self) -> Ending {
        let standing = lock(&self.standing);
        Ending { wall: standing.wall, failure: standing.failure.clone() }
    }
}
