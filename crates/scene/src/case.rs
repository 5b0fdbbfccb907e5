use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chip_worker::{
    CallConfig, CallableHandle, CallableSource, ChipWorker, Communicator, LibraryFiles, Platform,
    ResourceReport, RingOptions, RunOutcome, WorkerError, programs_in_tree,
};

use crate::build::BuiltScene;
use crate::data::Data;
use crate::diagnostics;
use crate::error::CaseError;
use crate::random::Random;
use crate::ranks::{Failure, MakeWorker, Seat, run_ranks};

type Script = dyn Fn(&mut Stage<'_>) -> Result<(), CaseError> + Send + Sync;

/// One thing that a scene shows: arguments to run with, and how to see that all went well.
#[derive(Clone)]
pub struct Case {
    name: String,
    script: Arc<Script>,
    rings: RingOptions,
    ranks: u32,
    simulated_only: Option<&'static str>,
}

/// On hardware each rank is a process with a device of its own, see [`run_as_rank`](crate::run_as_rank).
const RANKS_ON_HARDWARE: &str = "its ranks need a chip each; start them with mpirun and --as-rank";

impl Case {
    /// A case that does as it likes.
    pub fn new<F>(name: impl Into<String>, script: F) -> Self
    where
        F: Fn(&mut Stage<'_>) -> Result<(), CaseError> + Send + Sync + 'static,
    {
        let rings = RingOptions::default();
        Self { name: name.into(), script: Arc::new(script), rings, ranks: 1, simulated_only: None }
    }

    /// A case that runs `program` once and compares its results with the expected ones of `data`, which it draws
    /// from the numbers given to it: the same for the same seed.
    pub fn golden<F>(name: impl Into<String>, program: &'static str, config: CallConfig, data: F) -> Self
    where
        F: Fn(&mut Random) -> Data + Send + Sync + 'static,
    {
        Self::new(name, move |stage| {
            let handle = stage.register(program)?;
            stage.run(&handle, data(&mut stage.random(0)), &config)?;
            Ok(())
        })
    }

    /// The case on a worker with such rings.
    #[must_use]
    pub fn rings(mut self, rings: RingOptions) -> Self {
        self.rings = rings;
        self
    }

    /// The case as a job of that many ranks: each does what the case says on a worker of its own, at the same time, with a
    /// communicator to reach the others by, see [`Stage::comm`].
    #[must_use]
    pub fn ranks(mut self, ranks: u32) -> Self {
        self.ranks = ranks;
        self
    }

    /// Its ranks; 1 unless it is a job of several.
    #[must_use]
    pub fn rank_count(&self) -> u32 {
        self.ranks
    }

    /// The case in simulation only, as it needs what no device program has: `why`.
    #[must_use]
    pub fn simulated_only(mut self, why: &'static str) -> Self {
        self.simulated_only = Some(why);
        self
    }

    /// Whether it can run on a platform at all.
    fn check(&self, platform: Platform) -> Result<(), CaseError> {
        match self.simulated_only {
            Some(why) if !platform.is_simulated() => Err(CaseError::SimulatedOnly { why }),
            None if self.ranks > 1 && !platform.is_simulated() => {
                Err(CaseError::SimulatedOnly { why: RANKS_ON_HARDWARE })
            }
            _ => Ok(()),
        }
    }

    /// The rings that it wants.
    pub(crate) fn own_rings(&self) -> RingOptions {
        self.rings
    }

    /// Its name within the scene.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a case did; times and tasks are sums over its runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaseReport {
    /// Runs.
    pub runs: u64,
    /// Tasks.
    pub tasks: u64,
    /// Wall clock of the runs on the host.
    pub host_wall: Duration,
    /// Time of the runs on the device's clock.
    pub device_wall: Duration,
}

impl CaseReport {
    /// Adds what another rank did at the same time.
    pub(crate) fn add_rank(&mut self, rank: &Self) {
        self.runs += rank.runs;
        self.tasks += rank.tasks;
        self.host_wall = self.host_wall.max(rank.host_wall);
        self.device_wall = self.device_wall.max(rank.device_wall);
    }
}

/// What a case is run with, apart from its scene.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Setup {
    device: u32,
    seed: u64,
    watchdog: Option<Duration>,
    diagnostics: Option<PathBuf>,
    programs: Option<PathBuf>,
}

impl Setup {
    /// That of a rank: with a device and a folder of its own.
    pub(crate) fn of_rank(&self, rank: u32) -> Self {
        let mut setup = self.clone();
        setup.device = self.device.wrapping_add(rank);
        setup.diagnostics = self.diagnostics.as_ref().map(|folder| folder.join(format!("rank_{rank}")));
        setup
    }

    pub(crate) fn device_id(&self) -> u32 {
        self.device
    }

    /// The device id, of the first rank if there are several; 0 unless set.
    pub fn device(mut self, id: u32) -> Self {
        self.device = id;
        self
    }

    /// What random arguments are drawn from; 0 unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long no kernel may end before a simulated run is given up; the worker's default unless set.
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// A folder in which runs leave what they have recorded: all of it, and of several runs the last counts. A case whose
    /// records do not hold together fails.
    pub fn diagnostics(mut self, folder: impl Into<PathBuf>) -> Self {
        self.diagnostics = Some(folder.into());
        self
    }

    /// On hardware, the `build/lib` tree that has the programs of the device itself; needed there, unless the runtime
    /// is a library of such a tree.
    pub fn programs(mut self, tree: impl Into<PathBuf>) -> Self {
        self.programs = Some(tree.into());
        self
    }
}

/// Where a case plays: a worker, and the programs of the scene.
#[derive(Debug)]
pub struct Stage<'a> {
    worker: &'a ChipWorker,
    scene: &'a BuiltScene,
    case: &'a str,
    seed: u64,
    comm: Option<&'a Communicator>,
    diagnostics: Option<&'a Path>,
    report: CaseReport,
}

impl<'a> Stage<'a> {
    /// The worker.
    #[must_use]
    pub fn worker(&self) -> &'a ChipWorker {
        self.worker
    }

    /// This rank's link to the others.
    ///
    /// # Errors
    /// [`CaseError::Check`] in a case of one rank.
    pub fn comm(&self) -> Result<&'a Communicator, CaseError> {
        self.comm.ok_or_else(|| CaseError::Check("a case of one rank has nobody to talk to".to_owned()))
    }

    /// Numbers to make arguments of: for each case, seed and `stream` a sequence of its own.
    #[must_use]
    pub fn random(&self, stream: u64) -> Random {
        Random::of_case(self.seed, self.scene.scene().name, self.case, stream)
    }

    /// A program of the scene.
    ///
    /// # Errors
    /// [`CaseError::NoProgram`].
    pub fn program(&self, name: &'static str) -> Result<&'a CallableSource, CaseError> {
        self.scene.program(name).ok_or(CaseError::NoProgram(name))
    }

    /// Registers a program of the scene.
    ///
    /// # Errors
    /// [`CaseError::NoProgram`], or the worker's.
    pub fn register(&self, name: &'static str) -> Result<CallableHandle, CaseError> {
        Ok(self.worker.register_source(self.program(name)?)?)
    }

    /// Runs a callable and compares the results.
    ///
    /// # Errors
    /// The worker's, or [`CaseError::Wrong`].
    pub fn run(
        &mut self,
        handle: &CallableHandle,
        mut data: Data,
        config: &CallConfig,
    ) -> Result<RunOutcome, CaseError> {
        let config = self.recorded(config)?;
        let args = data.args()?;
        let outcome = self.worker.run(handle, &args, &config)?;
        drop(args);
        self.report.runs += 1;
        self.report.tasks += outcome.tasks;
        self.report.host_wall += outcome.host_wall;
        self.report.device_wall += outcome.device_wall;
        let mismatches = data.mismatches();
        if !mismatches.is_empty() {
            return Err(CaseError::Wrong(mismatches));
        }
        self.diagnostics.map_or(Ok(()), |folder| diagnostics::check(folder, self.scene.scene()))?;
        Ok(outcome)
    }

    fn recorded(&self, config: &CallConfig) -> Result<CallConfig, CaseError> {
        self.diagnostics.map_or(Ok(*config), |folder| diagnostics::all_on(config, folder))
    }

    /// Runs a callable that fails; the status it ends with, and its text. The results that `data` expects are those from
    /// before, as a failed run writes none.
    ///
    /// # Errors
    /// [`CaseError::Check`] when it does not fail or fails without a status, or [`CaseError::Wrong`].
    pub fn run_to_status(
        &mut self,
        handle: &CallableHandle,
        mut data: Data,
        config: &CallConfig,
    ) -> Result<(i32, String), CaseError> {
        let config = self.recorded(config)?;
        let args = data.args()?;
        let result = self.worker.run(handle, &args, &config);
        drop(args);
        let status = match result {
            Err(error) => match error.code() {
                Some(code) => (code, error.to_string()),
                None => return Err(error.into()),
            },
            Ok(_) => return Err(CaseError::Check("the run was expected to fail, and did not".to_owned())),
        };
        let mismatches = data.mismatches();
        if mismatches.is_empty() { Ok(status) } else { Err(CaseError::Wrong(mismatches)) }
    }

    /// Demands that two values are equal.
    ///
    /// # Errors
    /// [`CaseError::Check`] with `what` and both values.
    pub fn expect_eq<T: PartialEq + fmt::Debug>(
        &self,
        what: &str,
        got: &T,
        expected: &T,
    ) -> Result<(), CaseError> {
        if got == expected {
            return Ok(());
        }
        Err(CaseError::Check(format!("{what}: expected {expected:?}, got {got:?}")))
    }
}

/// Runs a case of one rank on a worker, whatever its rings, with arguments of a seed.
///
/// # Errors
/// Why it failed. That includes a case which ends well but leaves memory or a callable behind.
pub fn run_case(
    worker: &ChipWorker,
    scene: &BuiltScene,
    case: &Case,
    seed: u64,
) -> Result<CaseReport, CaseError> {
    perform(worker, scene, case, &Setup::default().seed(seed), None)
}

fn perform(
    worker: &ChipWorker,
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    seat: Option<Seat<'_>>,
) -> Result<CaseReport, CaseError> {
    let before = worker.report();
    let comm = seat.map(|seat| worker.join(seat.rank, seat.ranks, seat.path)).transpose()?;
    let mut stage = Stage {
        worker,
        scene,
        case: case.name(),
        seed: setup.seed,
        comm: comm.as_ref(),
        diagnostics: setup.diagnostics.as_deref(),
        report: CaseReport::default(),
    };
    let failure = Failure(seat);
    (case.script)(&mut stage)?;
    failure.dismiss();
    let report = stage.report;
    comm.map(Communicator::close).transpose()?;
    let after = worker.report();
    if held(&before) != held(&after) {
        return Err(CaseError::Left { before: Box::new(before), after: Box::new(after) });
    }
    Ok(report)
}

/// Runs a case on a worker of its own whose runtime is a library of a `build/lib` tree.
///
/// # Errors
/// As [`run_alone`]; [`CaseError::lacks`] tells what loaded libraries do not have.
pub fn run_in_tree(
    tree: &Path,
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
) -> Result<CaseReport, CaseError> {
    let (platform, runtime) = (scene.platform(), scene.scene().runtime);
    case.check(platform)?;
    let (arch, variant) = platform.folders();
    let files = LibraryFiles::in_tree(tree, arch, variant, runtime.name()).map_err(WorkerError::from)?;
    let rings = case.rings;
    let sizes = [
        ("task_window", rings.task_window.map(u64::from)),
        ("heap", rings.heap),
        ("dep_pool", rings.dep_pool.map(u64::from)),
    ];
    let mut companions = files.companions;
    for (name, size) in sizes {
        companions =
            size.iter().fold(companions, |companions, size| companions.option(name, size.to_string()));
    }
    let load = |device| ChipWorker::load_as(&files.library, &companions, platform, runtime, device);
    run_on(scene, case, setup, &load)
}

/// Runs a case on a worker of its own, with rings as it wants them, and demands that closing it gives back everything.
///
/// # Errors
/// As [`run_case`], and [`CaseError::NotReleased`].
pub fn run_alone(scene: &BuiltScene, case: &Case, setup: &Setup) -> Result<CaseReport, CaseError> {
    case.check(scene.platform())?;
    run_on(scene, case, setup, &|device| linked_worker(scene, case, setup, device))
}

/// A worker for a case, with rings as it wants them.
pub(crate) fn linked_worker(
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    device: u32,
) -> Result<ChipWorker, WorkerError> {
    let (platform, runtime) = (scene.platform(), scene.scene().runtime);
    let mut worker =
        ChipWorker::builder().platform(platform).runtime(runtime).device(device).rings(case.rings);
    if let Some(tree) = setup.programs.as_ref().filter(|_| !platform.is_simulated()) {
        worker = worker.programs(programs_in_tree(tree, platform, runtime)?);
    }
    if let Some(limit) = setup.watchdog {
        worker = worker.watchdog(Some(limit)).comm_limit(limit);
    }
    worker.build()
}

fn run_on(
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    make: &MakeWorker<'_>,
) -> Result<CaseReport, CaseError> {
    if case.ranks > 1 {
        return run_ranks(scene, case, setup, make);
    }
    run_and_close(make(setup.device)?, scene, case, setup, None)
}

pub(crate) fn run_and_close(
    worker: ChipWorker,
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    seat: Option<Seat<'_>>,
) -> Result<CaseReport, CaseError> {
    let result = perform(&worker, scene, case, setup, seat);
    let running = worker.report().device.abandoned_threads > 0;
    let report = match result {
        Err(error) if running => return Err(CaseError::LeftRunning { source: Box::new(error) }),
        result => result?,
    };
    let left = worker.close()?;
    if left.is_zero() { Ok(report) } else { Err(CaseError::NotReleased(Box::new(left))) }
}

/// What a case has to give back. Threads and arenas, for two, stay; allocations are counted, as arenas take more
/// bytes than they say.
fn held(report: &ResourceReport) -> [usize; 9] {
    let arenas = [report.arenas.gm_heap, report.arenas.gm_sm, report.arenas.runtime_arena];
    [
        report.allocations - arenas.iter().filter(|&&bytes| bytes > 0).count(),
        report.callables,
        report.kernels,
        report.images,
        report.orchestrations,
        report.runs,
        report.deferred_errors,
        report.communicators,
        report.windows,
    ]
}
