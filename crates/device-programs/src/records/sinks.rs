use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use device_runner::{
    DumpedArg, PhaseSink, RunSinks, ScopeSink, SubmitRecords as SubmitKind, SubmitSink, TaskId, TensorSink,
    TensorView,
};
use run_records::dump::Stage;

use super::RecordPlaces;
use super::dump::Dump;
use super::phases::{OrchestratorPhases, PhaseRecords};
use super::scopes::Scopes;
use super::submits::SubmitRecords;
use crate::chip::Chip;
use crate::memory::DeviceMemory;

/// What programs of runs tell, in memory that the host reads.
#[derive(Debug)]
pub(crate) struct SharedSinks {
    chip: &'static Chip,
    orchestrator: u32,
    /// The thread that drives the scheduler at the moment.
    acting: AtomicU32,
    pub(super) phases: Option<PhaseRecords>,
    scopes: Option<Scopes>,
    submits: Option<SubmitRecords>,
    dump: Option<Dump>,
}

/// The AICPU threads of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads {
    pub(crate) all: u32,
    /// Those that schedule; if these are not all, the last one builds the graph.
    pub(crate) schedulers: u32,
}

impl SharedSinks {
    /// Takes up what a launch asks for; `None` if that is nothing.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(crate) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        threads: &Threads,
    ) -> Option<Arc<Self>> {
        let RecordPlaces { scopes, submits, dump, .. } = *places;
        let orchestrator = threads.all.saturating_sub(1);
        // Only where a thread builds the graph is there anything to be told of that.
        let orchestrates = threads.schedulers < threads.all;
        let records = chip.records;
        let submit_memory = records.submits.as_ref().filter(|_| orchestrates && submits != 0);
        // SAFETY: as the caller promises.
        let sinks = unsafe {
            Self {
                chip,
                orchestrator,
                acting: AtomicU32::new(0),
                phases: if orchestrates { PhaseRecords::open(chip, memory, places, threads) } else { None },
                scopes: (orchestrates && scopes != 0)
                    .then(|| Scopes::open(&records.scopes, memory, scopes, orchestrator)),
                submits: submit_memory
                    .map(|layout| SubmitRecords::open(layout, memory, submits, orchestrator)),
                dump: (dump != 0).then(|| Dump::open(&records.dump, memory, dump)),
            }
        };
        let Self { phases, scopes, submits, dump, .. } = &sinks;
        let any = phases.is_some() || scopes.is_some() || submits.is_some() || dump.is_some();
        any.then(|| Arc::new(sinks))
    }

    /// From now on it is this thread that drives the scheduler.
    pub(crate) fn act_for(&self, thread: u32) {
        self.acting.store(thread, Ordering::Release);
    }

    /// The graph is built; by core, the thread that schedules it.
    pub(crate) fn map_cores(&self, threads: &[u32]) {
        if let Some(phases) = &self.phases {
            phases.map_cores(threads);
        }
    }

    /// The end: hands over what there is.
    pub(crate) fn flush(&self) {
        self.phases.iter().for_each(PhaseRecords::flush);
        self.scopes.iter().for_each(Scopes::flush);
        self.submits.iter().for_each(SubmitRecords::flush);
        self.dump.iter().for_each(Dump::flush);
    }
}

impl RunSinks for SharedSinks {
    fn scopes(&self) -> Option<&dyn ScopeSink> {
        self.scopes.as_ref().map(|scopes| scopes as &dyn ScopeSink)
    }

    fn tensors(&self) -> Option<&dyn TensorSink> {
        self.dump.as_ref().map(|_| self as &dyn TensorSink)
    }

    fn submits(&self) -> Option<&dyn SubmitSink> {
        self.submits.as_ref().map(|submits| submits as &dyn SubmitSink)
    }

    fn phases(self: Arc<Self>) -> Option<(SubmitKind, Box<dyn PhaseSink>)> {
        self.phases.as_ref().filter(|phases| phases.has_submits)?;
        let (kind, thread) = (self.chip.arch.diagnostics().submits, self.orchestrator);
        Some((kind, Box::new(OrchestratorPhases { sinks: self, thread })))
    }
}

impl TensorSink for SharedSinks {
    fn select(&self) {
        self.dump.iter().for_each(Dump::select);
    }

    fn skip(&self, task: TaskId, expected: usize, is: usize) {
        self.dump.iter().for_each(|dump| dump.skip(task, expected, is));
    }

    fn tensor(&self, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) {
        let thread = self.acting.load(Ordering::Acquire);
        self.dump.iter().for_each(|dump| dump.tensor(thread, arg, stage, view));
    }
}
