//! The AICPU program: shakes hands with the cores, deals tasks to them, and lets them go
//! (`spec/device-abi.md`, sections 1.4, 2 and 3.3).

mod program;
mod session;
mod start;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use device_runner::{CoreId, RunSinks};

pub(crate) use program::{HostBuildGraph, Runtime, TensormapAndRingbuffer};
use session::Session;

use crate::chip::{Chip, ImageHead, LaunchArgs, RegisterMap};
use crate::memory::DeviceMemory;
use crate::patience::Patience;
use crate::records::{CoreRecords, RecordPlaces, SharedSinks};
use crate::word::store_u64;

/// How long the program waits for what should happen at once. These are bounds for what has gone wrong, not
/// measures: on this machine cores are threads, and there may be many for each CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// For all cores to come.
    pub(crate) handshake: Duration,
    /// While nothing ends and nothing starts.
    pub(crate) idle: Duration,
    /// For cores to leave.
    pub(crate) exit: Duration,
}

impl Budgets {
    pub(crate) const USUAL: Self = Self {
        handshake: Duration::from_secs(5),
        idle: Duration::from_secs(10),
        exit: Duration::from_secs(10),
    };
}

/// The program of one chip and one runtime, with the runs that are under way.
///
/// Runs are told apart by their images, so that devices of one process may share a loaded program.
pub(crate) struct Aicpu {
    chip: &'static Chip,
    runtime: &'static dyn Runtime,
    budgets: Budgets,
    runs: Mutex<Option<HashMap<u64, Arc<Run>>>>,
}

/// One launch of the program.
struct Run {
    args: LaunchArgs,
    started: Instant,
    /// Threads that have come, and threads that have gone again.
    arrived: AtomicU32,
    left: AtomicU32,
    /// Made by the first thread; `None` when that failed.
    session: OnceLock<Option<Session>>,
}

const FAILED: i32 = -1;

impl Aicpu {
    pub(crate) const fn new(chip: &'static Chip, runtime: &'static dyn Runtime, budgets: Budgets) -> Self {
        Self { chip, runtime, budgets, runs: Mutex::new(None) }
    }

    /// The entry `simpler_aicpu_init`, called once before each launch.
    ///
    /// # Safety
    /// `kernel_args` must be 0 or the address of the chip's `KernelArgs`, and all addresses in there be of accessible
    /// memory until the launch is over.
    pub(crate) unsafe fn init(&self, kernel_args: u64) -> i32 {
        // SAFETY: as the caller promises.
        let memory = unsafe { DeviceMemory::new() };
        let Some(args) = self.chip.launch_args(memory, kernel_args) else { return FAILED };
        log::set_max_level(args.log_level);
        if args.device_wall != 0 {
            // SAFETY: the launch's own word.
            unsafe { store_u64(args.device_wall, 0) };
        }
        self.insert(args);
        0
    }

    /// The entry `simpler_aicpu_exec`, called by every thread of a launch.
    ///
    /// # Safety
    /// As [`init`](Self::init).
    pub(crate) unsafe fn exec(&self, kernel_args: u64) -> i32 {
        // SAFETY: as the caller promises.
        let memory = unsafe { DeviceMemory::new() };
        let Some(args) = self.chip.launch_args(memory, kernel_args) else { return FAILED };
        let run = self.find(args);
        let launched = Some(self.chip.arch.limits().launched_aicpu_threads);
        // SAFETY: as the caller promises.
        let code = unsafe { self.take_part(&run, memory, RegisterMap::Chip, launched) };
        if code == 0 && args.device_wall != 0 {
            let wall = u64::try_from(run.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: the launch's own word.
            unsafe { store_u64(args.device_wall, wall) };
        }
        code
    }

    /// The entry of simulated devices (`spec/device-abi.md`, section 7.2), whose host lets pass only as many threads
    /// as the run needs.
    ///
    /// # Safety
    /// As [`init`](Self::init), for the image, the table of registers, and the places.
    pub(crate) unsafe fn execute(&self, runtime: u64, registers: u64, places: RecordPlaces) -> i32 {
        if runtime == 0 {
            return FAILED;
        }
        // SAFETY: as the caller promises.
        let memory = unsafe { DeviceMemory::new() };
        let run =
            self.find(LaunchArgs { runtime, registers, device_wall: 0, log_level: log::max_level(), places });
        // SAFETY: as the caller promises.
        unsafe { self.take_part(&run, memory, RegisterMap::Simulated, None) }
    }

    fn with_runs<R>(&self, access: impl FnOnce(&mut HashMap<u64, Arc<Run>>) -> R) -> R {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        access(runs.get_or_insert_default())
    }

    /// A new run; what was left of an earlier one with the same image goes.
    fn insert(&self, args: LaunchArgs) {
        self.with_runs(|runs| runs.insert(args.runtime, Arc::new(Run::new(args))));
    }

    fn find(&self, args: LaunchArgs) -> Arc<Run> {
        self.with_runs(|runs| {
            Arc::clone(runs.entry(args.runtime).or_insert_with(|| Arc::new(Run::new(args))))
        })
    }

    /// One thread's part. The first threads of a launch do the work, the others return 0 at once; `launched` is how many
    /// come, if not only as many as the run needs. The last one leaves nothing behind.
    ///
    /// # Safety
    /// As [`init`](Self::init).
    unsafe fn take_part(
        &self,
        run: &Arc<Run>,
        memory: DeviceMemory,
        map: RegisterMap,
        launched: Option<u32>,
    ) -> i32 {
        let head = match ImageHead::read(memory, self.chip, run.args.runtime) {
            Ok(head) => head,
            Err(reason) => {
                log::error!("{reason}");
                self.forget(run);
                return FAILED;
            }
        };
        let thread = run.arrived.fetch_add(1, Ordering::AcqRel);
        let code = if thread < head.aicpu_threads {
            // SAFETY: as the caller promises.
            unsafe { self.work(run, memory, map, head, thread) }
        } else {
            0
        };
        if run.left.fetch_add(1, Ordering::AcqRel) + 1 >= launched.unwrap_or(head.aicpu_threads) {
            self.forget(run);
        }
        code
    }

    fn forget(&self, run: &Arc<Run>) {
        self.with_runs(|runs| {
            if runs.get(&run.args.runtime).is_some_and(|known| Arc::ptr_eq(known, run)) {
                runs.remove(&run.args.runtime);
            }
        });
    }

    /// # Safety
    /// As [`init`](Self::init).
    unsafe fn work(
        &self,
        run: &Run,
        memory: DeviceMemory,
        map: RegisterMap,
        head: ImageHead,
        thread: u32,
    ) -> i32 {
        if thread == 0 {
            // SAFETY: as the caller promises.
            let session = unsafe { self.start(run, memory, map, head) };
            run.session.get_or_init(|| session);
        }
        let mut patience = Patience::new(self.budgets.handshake + self.budgets.exit);
        patience.until(|| run.session.get().is_some());
        match run.session.get() {
            Some(Some(session)) => session.take_part(thread),
            _ => FAILED,
        }
    }

    /// Makes the session, or lets go of all cores.
    ///
    /// # Safety
    /// As [`init`](Self::init).
    unsafe fn start(
        &self,
        run: &Run,
        memory: DeviceMemory,
        map: RegisterMap,
        head: ImageHead,
    ) -> Option<Session> {
        let places = &run.args.places;
        // SAFETY: as the caller promises.
        let records = unsafe { CoreRecords::open(self.chip, memory, places, head.topology) };
        let threads = self.runtime.threads(head.aicpu_threads);
        // SAFETY: as the caller promises.
        let sinks = unsafe { SharedSinks::open(self.chip, memory, places, &threads) };
        let told = sinks.as_ref().map(|sinks| Arc::clone(sinks) as Arc<dyn RunSinks>);
        // SAFETY: as the caller promises.
        let program = unsafe { self.runtime.open(memory, self.chip, &head, told) };
        // Without a program too: cores that have come must be told to leave.
        let payloads = |core| program.as_ref().map_or(0, |program| program.payloads(core));
        let registers = (map, run.args.registers);
        // SAFETY: as the caller promises.
        let (links, failure) =
            unsafe { start::shake_hands(self.chip, registers, &head, payloads, &self.budgets) };
        let reason = match (program, failure) {
            (Ok(program), None) => {
                let mut records = records;
                if let Some(records) = &mut records {
                    // SAFETY: as the caller promises.
                    unsafe { self.arm(records, &run.args, map, &head) };
                }
                return Some(Session::new(head, links, program, (records, sinks), run.started, self.budgets));
            }
            (Ok(mut program), Some(reason)) => {
                program.fail(0, &reason);
                program.close(FAILED);
                reason
            }
            (Err(reason), _) => reason,
        };
        log::error!("{reason}");
        // SAFETY: as the caller promises.
        unsafe { links.emergency_stop(&head, &self.budgets) };
        None
    }

    /// Makes all cores count. They have answered.
    ///
    /// # Safety
    /// As [`init`](Self::init).
    unsafe fn arm(&self, records: &mut CoreRecords, args: &LaunchArgs, map: RegisterMap, head: &ImageHead) {
        for core in (0..head.topology.cores()).map(CoreId) {
            // SAFETY: as the caller promises.
            let counters = unsafe {
                let physical = head.handshake(core).physical_core_id.load();
                self.chip.block(map, args.places.counters, physical)
            };
            records.arm(core, counters.as_ref());
        }
    }
}

impl Run {
    fn new(args: LaunchArgs) -> Self {
        let (arrived, left) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { args, started: Instant::now(), arrived, left, session: OnceLock::new() }
    }
}
