//! What the orchestrator tells of its work and of its scopes.

use std::borrow::Cow;
use std::sync::Arc;

use device_runner::{
    DeviceTime, PhaseSink, RunSinks, ScopeBorder, Submit, SubmitPhase, SubmitRecords, TaskId,
};
use run_records::scope::Border;
use run_records::swimlane::OrchestratorWork;
use task_interface::TensorArgType;
use task_interface::trb::{TENSORMAP_POOL_SIZE, TaskToken, Tensor};

use crate::orchestrator::{ArgTensor, Submission};
use crate::state::{RINGS, State};

/// File and line of a scope.
pub(crate) type Site = (Cow<'static, str>, i32);

/// What is told of one run's orchestrator; nothing, if nobody wants any of it.
#[derive(Debug)]
pub(crate) struct Trace {
    sinks: Option<Arc<dyn RunSinks>>,
    phases: Option<(SubmitRecords, Box<dyn PhaseSink>)>,
    has_scopes: bool,
    /// Of the submit that is told; empty between calls.
    tensors: Vec<(TensorArgType, Option<Tensor>)>,
    /// Submits so far.
    submit: u32,
    /// When the submit, or the step of it, that is under way has begun.
    begun: DeviceTime,
}

impl Trace {
    pub(crate) fn new(sinks: Option<&Arc<dyn RunSinks>>, state: &State) -> Self {
        let scopes = sinks.and_then(|sinks| sinks.scopes());
        if let Some(scopes) = scopes {
            scopes.capacities(state.config.window, state.config.heap, TENSORMAP_POOL_SIZE);
        }
        Self {
            phases: sinks.and_then(|sinks| Arc::clone(sinks).phases()),
            has_scopes: scopes.is_some(),
            sinks: sinks.map(Arc::clone),
            tensors: Vec::new(),
            submit: 0,
            begun: DeviceTime(0),
        }
    }

    /// Whether borders of scopes are recorded, and their sites are wanted.
    pub(crate) fn has_scopes(&self) -> bool {
        self.has_scopes
    }

    /// Whether tensors are dumped.
    pub(crate) fn has_tensors(&self) -> bool {
        self.sinks.as_ref().is_some_and(|sinks| sinks.tensors().is_some())
    }

    /// A submit begins.
    pub(crate) fn begin(&mut self, now: DeviceTime) {
        self.begun = self.phases.as_ref().and_then(|(_, sink)| sink.now()).unwrap_or(now);
    }

    /// A step of a submit has ended. One that had nothing to do takes no time, also none to look at the clock.
    pub(crate) fn step(
        &mut self,
        work: OrchestratorWork,
        task: TaskToken,
        had_work: bool,
        now: impl FnOnce() -> DeviceTime,
    ) {
        self.record(SubmitRecords::Steps, work, task, had_work.then_some(now));
    }

    /// A submit has ended.
    pub(crate) fn end(&mut self, task: TaskToken, now: impl FnOnce() -> DeviceTime) {
        self.record(SubmitRecords::Whole, OrchestratorWork::OrchSubmit, task, Some(now));
        self.submit = self.submit.saturating_add(1);
    }

    fn record(
        &mut self,
        kind: SubmitRecords,
        work: OrchestratorWork,
        task: TaskToken,
        now: Option<impl FnOnce() -> DeviceTime>,
    ) {
        if let Some((wanted, sink)) = &mut self.phases
            && *wanted == kind
        {
            let end = now.map_or(self.begun, |now| sink.now().unwrap_or_else(now));
            let start = std::mem::replace(&mut self.begun, end);
            sink.push(SubmitPhase { work, start, end, submit: self.submit, task: TaskId(task.raw) });
        }
    }

    /// A scope at this depth begins or ends.
    pub(crate) fn border(&self, state: &State, border: Border, depth: usize, site: Option<&Site>) {
        let Some(scopes) = self.sinks.as_ref().and_then(|sinks| sinks.scopes()) else { return };
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
        if let Some(tensors) = self.sinks.as_ref().and_then(|sinks| sinks.tensors()) {
            tensors.select();
        }
    }

    /// A task depends on these.
    pub(crate) fn submit(
        &mut self,
        task: TaskToken,
        manual: bool,
        submission: &Submission,
        producers: &[TaskToken],
    ) {
        let Some(submits) = self.sinks.as_ref().and_then(|sinks| sinks.submits()) else { return };
        self.tensors.extend(submission.tensors.iter().map(|tensor| match tensor {
            // Checked when the task was placed: what is undefined in a tensor is not what tells.
            ArgTensor::Existing(tag, tensor) => (*tag, Some(tensor.payload_copy().unwrap_or(*tensor))),
            ArgTensor::Create(_) => (TensorArgType::Output, None),
        }));
        submits.submit(&Submit {
            task,
            manual,
            tensors: &self.tensors,
            explicit: &submission.deps,
            producers,
        });
        self.tensors.clear();
    }
}
