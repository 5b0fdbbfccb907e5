//! What the orchestrator tells of its work and of its scopes.

use std::borrow::Cow;
use std::sync::Arc;

use device_runner::{DeviceTime, Recorder, ScopeBorder, SubmitPhase, SubmitRecords, TaskId};
use run_records::scope::Border;
use run_records::swimlane::OrchestratorWork;
use task_interface::trb::{TENSORMAP_POOL_SIZE, TaskToken};

use crate::state::{RINGS, State};

/// File and line of a scope.
pub(crate) type Site = (Cow<'static, str>, i32);

/// What is recorded of one run's orchestrator; nothing, if its recorder does not want any of it.
#[derive(Debug)]
pub(crate) struct Trace {
    recorder: Option<Arc<Recorder>>,
    submits: Option<SubmitRecords>,
    has_scopes: bool,
    /// Submits so far.
    submit: u32,
    /// When the submit, or the step of it, that is under way has begun.
    begun: DeviceTime,
}

impl Trace {
    pub(crate) fn new(recorder: Option<&Arc<Recorder>>, state: &State) -> Self {
        let scopes = recorder.and_then(|recorder| recorder.scopes());
        if let Some(scopes) = scopes {
            scopes.capacities(state.config.window, state.config.heap, TENSORMAP_POOL_SIZE);
        }
        let swimlane = recorder.and_then(|recorder| recorder.swimlane());
        Self {
            submits: swimlane.and_then(|swimlane| swimlane.submit_records()),
            has_scopes: scopes.is_some(),
            recorder: recorder.map(Arc::clone),
            submit: 0,
            begun: DeviceTime(0),
        }
    }

    /// Whether borders of scopes are recorded, and their sites are wanted.
    pub(crate) fn has_scopes(&self) -> bool {
        self.has_scopes
    }

    /// A submit begins.
    pub(crate) fn begin(&mut self, now: DeviceTime) {
        self.begun = now;
    }

    /// A step of a submit has ended.
    pub(crate) fn step(&mut self, work: OrchestratorWork, task: TaskToken, now: impl FnOnce() -> DeviceTime) {
        if self.submits == Some(SubmitRecords::Steps) {
            self.record(work, task, now());
        }
    }

    /// A submit has ended.
    pub(crate) fn end(&mut self, task: TaskToken, now: impl FnOnce() -> DeviceTime) {
        if self.submits == Some(SubmitRecords::Whole) {
            self.record(OrchestratorWork::OrchSubmit, task, now());
        }
        self.submit = self.submit.saturating_add(1);
    }

    fn record(&mut self, work: OrchestratorWork, task: TaskToken, end: DeviceTime) {
        let start = std::mem::replace(&mut self.begun, end);
        let phase = SubmitPhase { work, start, end, submit: self.submit, task: TaskId(task.raw) };
        if let Some(swimlane) = self.recorder.as_ref().and_then(|recorder| recorder.swimlane()) {
            swimlane.submit(phase);
        }
    }

    /// A scope at this depth begins or ends.
    pub(crate) fn border(&self, state: &State, border: Border, depth: usize, site: Option<&Site>) {
        let Some(scopes) = self.recorder.as_ref().and_then(|recorder| recorder.scopes()) else { return };
        let index = depth.min(RINGS - 1);
        let ring = &state.rings[index];
        scopes.border(&ScopeBorder {
            site: site.map(|(file, line)| (&**file, *line)),
            border,
            depth,
            ring: index,
            tasks: (ring.first_alive(), ring.next_id()),
            heap: ring.heap_span(),
            tensormap: state.map.len(),
        });
    }

    /// The client has chosen which tensors are dumped.
    pub(crate) fn select_tensors(&self) {
        if let Some(dump) = self.recorder.as_ref().and_then(|recorder| recorder.dump()) {
            dump.select();
        }
    }
}
