use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use run_records::{Deps, RecordsError, Summary};
use task_interface::records::RecordMemory;

use super::dump::TensorDump;
use super::pmu::Pmu;
use super::request::Request;
use super::scopes::ScopeStats;
use super::submits::Submits;
use super::swimlane::{Spare, Swimlane, place};
use crate::arch::{Arch, CoreId, Limits, Topology};
use crate::memory::Memory;
use crate::phases::HostStages;
use crate::program::{DeviceTime, TaskId};
use crate::sync::lock;

/// What one run records. Each part is there only if it was asked for.
pub struct Recorder {
    request: Request,
    arch: &'static dyn Arch,
    topology: Topology,
    aicpu_threads: u32,
    roles: OnceLock<Roles>,
    swimlane: Option<Swimlane>,
    pmu: Option<Pmu>,
    scopes: Option<ScopeStats>,
    dump: Option<TensorDump>,
    submits: Option<Submits>,
    deps: Mutex<Option<Deps>>,
    tasks_without_kernel: Mutex<Option<Vec<TaskId>>>,
    /// Records that were lost on their way here.
    lost: AtomicU64,
}

/// Which AICPU threads do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct Roles {
    /// Clusters are dealt to that many threads in turn.
    pub schedulers: u32,
    /// The thread that builds the graph while it runs, if there is one.
    pub orchestrator: Option<u32>,
}

impl Roles {
    /// The thread that schedules a core.
    pub(super) fn thread_of(&self, topology: Topology, core: CoreId) -> u32 {
        topology.cluster(core) % self.schedulers.max(1)
    }
}

/// How much was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Records that were kept.
    pub records: u64,
    /// Records that were lost; 0 unless memory, or a place to write to, was missing.
    pub lost: u64,
}

impl std::ops::Add for Recorded {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { records: self.records + other.records, lost: self.lost + other.lost }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(crate) fn new(
        request: Request,
        arch: &'static dyn Arch,
        topology: Topology,
        aicpu_threads: u32,
        memory: &Arc<Memory>,
        spare: &Spare,
    ) -> Arc<Self> {
        let chip = arch.diagnostics();
        Arc::new(Self {
            arch,
            topology,
            aicpu_threads,
            roles: OnceLock::new(),
            swimlane: request.swimlane.map(|level| Swimlane::new(level, chip, spare)),
            pmu: request.pmu.map(Pmu::new),
            scopes: request.scope_stats.then(ScopeStats::default),
            dump: request.dump.then(|| TensorDump::new(&request.folder, Arc::clone(memory))),
            submits: request.dep_gen.then(Submits::default),
            deps: Mutex::new(None),
            tasks_without_kernel: Mutex::new(None),
            lost: AtomicU64::new(0),
            request,
        })
    }

    /// When each task ran where.
    pub fn swimlane(&self) -> Option<&Swimlane> {
        self.swimlane.as_ref()
    }

    /// Hardware counters.
    pub fn pmu(&self) -> Option<&Pmu> {
        self.pmu.as_ref()
    }

    /// How full rings, heaps and the tensor map are.
    pub fn scopes(&self) -> Option<&ScopeStats> {
        self.scopes.as_ref()
    }

    /// Tensors before and after tasks.
    pub fn dump(&self) -> Option<&TensorDump> {
        self.dump.as_ref()
    }

    /// What the graph is built from. The variant makes [the graph](Self::set_deps) of it when the run has ended.
    pub fn submits(&self) -> Option<&Submits> {
        self.submits.as_ref()
    }

    /// The graph of the run.
    pub fn set_deps(&self, deps: Deps) {
        *lock(&self.deps) = Some(deps);
    }

    /// The tasks of the run that have no kernel, and so no record of one. Whoever does not know them does not call this.
    pub fn set_tasks_without_kernel(&self, tasks: Vec<TaskId>) {
        *lock(&self.tasks_without_kernel) = Some(tasks);
    }

    /// Records of a collector were lost on their way here; 0 of them is fine.
    pub fn lose(&self, collector: &str, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
        warn_lost(collector, records);
    }

    /// Numbers of the chip.
    pub fn limits(&self) -> &'static Limits {
        self.arch.limits()
    }

    /// Where device programs of the chip record.
    pub fn layouts(&self) -> &'static RecordMemory {
        self.arch.records()
    }

    /// Cores of the run.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// A time in ticks of the chip's counter.
    pub fn ticks(&self, time: DeviceTime) -> u64 {
        self.arch.limits().ticks(time)
    }

    /// Logical AICPU threads of the run.
    pub fn aicpu_threads(&self) -> u32 {
        self.aicpu_threads
    }

    /// Says which threads do what. Without it all of them schedule; what is said first counts.
    pub fn set_roles(&self, roles: Roles) {
        // Said twice: of one run there is only one truth.
        let _ = self.roles.set(roles);
    }

    fn roles(&self) -> Roles {
        let all = Roles { schedulers: self.aicpu_threads, orchestrator: None };
        *self.roles.get().unwrap_or(&all)
    }

    /// What was recorded so far.
    pub(crate) fn recorded(&self) -> Recorded {
        let swimlane = self.swimlane.as_ref().map(Swimlane::recorded);
        let pmu = self.pmu.as_ref().map(Pmu::recorded);
        let scopes = self.scopes.as_ref().map(ScopeStats::recorded);
        let dump = self.dump.as_ref().map(TensorDump::recorded);
        let deps = lock(&self.deps).as_ref().map(|deps| deps.tasks.len() as u64);
        let deps = deps.map(|records| Recorded { records, lost: 0 });
        let lost = Recorded { records: 0, lost: self.lost.load(Ordering::Relaxed) };
        [swimlane, pmu, scopes, dump, deps, Some(lost)]
            .into_iter()
            .flatten()
            .fold(Recorded::default(), |a, b| a + b)
    }

    /// Writes the files of a run that has ended well; each is whole, and each is tried. `stages` tells what the host
    /// has done until now.
    ///
    /// # Errors
    /// The first file that could not be written.
    pub(crate) fn export(&self, stages: impl FnOnce() -> HostStages) -> Result<(), RecordsError> {
        let folder = &self.request.folder;
        let roles = self.roles();
        let limits = self.arch.limits();
        let swimlane = self.swimlane.as_ref();
        let swimlane =
            swimlane.and_then(|swimlane| swimlane.file(limits, self.topology, self.aicpu_threads, &roles));
        let pmu = self.pmu.as_ref().and_then(|pmu| pmu.file(|core| place(self.topology, &roles, core)));
        let results = [
            swimlane.map_or(Ok(()), |file| file.write(folder)),
            self.dump.as_ref().map_or(Ok(()), TensorDump::export),
            pmu.map_or(Ok(()), |file| file.write(folder)),
            self.export_deps(),
            self.export_scopes(),
            // Last, as it tells how long writing the others took.
            self.summary(&stages()).write(folder),
        ];
        first_error(results)
    }

    /// Writes what tells of a run that a fatal error has ended.
    pub(crate) fn export_fatal(&self) {
        if self.scopes.as_ref().is_some_and(ScopeStats::is_fatal)
            && let Err(error) = self.export_scopes()
        {
            log::error!("{error}");
        }
    }

    fn summary(&self, stages: &HostStages) -> Summary {
        let tasks = lock(&self.tasks_without_kernel);
        Summary {
            host_stages: stages.for_file(),
            lost_records: self.recorded().lost,
            tasks_without_kernel: tasks.as_ref().map(|tasks| tasks.iter().map(|task| task.0).collect()),
        }
    }

    fn export_scopes(&self) -> Result<(), RecordsError> {
        self.scopes.as_ref().map_or(Ok(()), |scopes| scopes.file().write(&self.request.folder))
    }

    fn export_deps(&self) -> Result<(), RecordsError> {
        if !self.request.dep_gen {
            return Ok(());
        }
        match &*lock(&self.deps) {
            Some(deps) => deps.write(&self.request.folder),
            None => {
                log::error!("dep_gen: the run has no dependencies to write; deps.json is not made");
                Ok(())
            }
        }
    }
}

pub(super) fn warn_lost(collector: &str, records: u64) {
    if records > 0 {
        log::warn!("{collector}: {records} record(s) of the run are lost");
    }
}

/// The first error; the others are told only.
fn first_error<const N: usize>(results: [Result<(), RecordsError>; N]) -> Result<(), RecordsError> {
    let mut errors = results.into_iter().filter_map(Result::err);
    let first = errors.next();
    errors.for_each(|error| log::error!("{error}"));
    first.map_or(Ok(()), Err)
}
