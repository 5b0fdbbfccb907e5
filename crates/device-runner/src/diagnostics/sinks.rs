use std::fmt;
use std::sync::Arc;

use run_records::dump::Stage;

use super::chip::SubmitRecords;
use super::dump::{DumpedArg, TensorDump};
use super::gather::TensorView;
use super::recorder::Recorder;
use super::scopes::{ScopeBorder, ScopeStats};
use super::submits::{Submit, Submits};
use super::swimlane::{SubmitLog, SubmitPhase};
use crate::program::{DeviceTime, TaskId};

/// Whom the program of a run tells what it does.
///
/// Where an engine of this process drives it, that is the run's [`Recorder`]; a device's own program writes it into
/// memory that it shares with its host. Each part is there only if it is wanted.
pub trait RunSinks: fmt::Debug + Send + Sync {
    /// Takes the state of rings at the borders of scopes.
    fn scopes(&self) -> Option<&dyn ScopeSink>;

    /// Takes tensors before and after tasks.
    fn tensors(&self) -> Option<&dyn TensorSink>;

    /// Takes what the graph is built from.
    fn submits(&self) -> Option<&dyn SubmitSink>;

    /// What is to be told of an orchestrator's work, and who takes it until it is dropped.
    fn phases(self: Arc<Self>) -> Option<(SubmitRecords, Box<dyn PhaseSink>)>;
}

/// Takes the state of rings at the borders of scopes.
pub trait ScopeSink {
    /// What rings, of this many tasks and bytes each, and the tensor map have room for.
    fn capacities(&self, tasks: u32, heap: u64, tensormap: usize);

    /// The state at a border.
    fn border(&self, at: &ScopeBorder<'_>);

    /// An error has ended the run.
    fn fatal(&self);
}

/// Takes tensors before and after tasks.
pub trait TensorSink {
    /// The client has chosen tensors: those of tasks without a choice do not count any more.
    fn select(&self);

    /// A task cannot be dumped: `expected` tensors by the signatures of its kernels, but it has `is`.
    fn skip(&self, task: TaskId, expected: usize, is: usize);

    /// A tensor of a task; it need not [count](DumpedArg::counts).
    fn tensor(&self, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>);
}

/// Takes what the graph is built from.
pub trait SubmitSink {
    /// A task with all that it depends on.
    fn submit(&self, submit: &Submit<'_>);
}

/// Takes what an orchestrator does.
pub trait PhaseSink: fmt::Debug + Send {
    /// The device's clock, if it has one of its own; otherwise the orchestrator reckons its time.
    fn now(&self) -> Option<DeviceTime> {
        None
    }

    /// A submit, or a step of one.
    fn push(&mut self, phase: SubmitPhase);
}

impl RunSinks for Recorder {
    fn scopes(&self) -> Option<&dyn ScopeSink> {
        self.scopes().map(|scopes| scopes as &dyn ScopeSink)
    }

    fn tensors(&self) -> Option<&dyn TensorSink> {
        self.dump().map(|dump| dump as &dyn TensorSink)
    }

    fn submits(&self) -> Option<&dyn SubmitSink> {
        self.submits().map(|submits| submits as &dyn SubmitSink)
    }

    fn phases(self: Arc<Self>) -> Option<(SubmitRecords, Box<dyn PhaseSink>)> {
        let (records, log) = self.swimlane()?.submit_log()?;
        Some((records, Box::new(KeptPhases { recorder: self, log: Some(log) })))
    }
}

impl ScopeSink for ScopeStats {
    fn capacities(&self, tasks: u32, heap: u64, tensormap: usize) {
        self.capacities(tasks, heap, tensormap);
    }

    fn border(&self, at: &ScopeBorder<'_>) {
        self.border(at);
    }

    fn fatal(&self) {
        self.fatal();
    }
}

impl TensorSink for TensorDump {
    fn select(&self) {
        self.select();
    }

    fn skip(&self, task: TaskId, expected: usize, is: usize) {
        self.skip(task, expected, is);
    }

    fn tensor(&self, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) {
        self.tensor(arg, stage, view);
    }
}

impl SubmitSink for Submits {
    fn submit(&self, submit: &Submit<'_>) {
        self.submit(submit);
    }
}

/// The phases of one orchestrator, which its recorder gets when this is dropped.
#[derive(Debug)]
struct KeptPhases {
    recorder: Arc<Recorder>,
    log: Option<SubmitLog>,
}

impl PhaseSink for KeptPhases {
    fn push(&mut self, phase: SubmitPhase) {
        if let Some(log) = &mut self.log {
            log.push(phase);
        }
    }
}

impl Drop for KeptPhases {
    fn drop(&mut self) {
        if let (Some(swimlane), Some(log)) = (self.recorder.swimlane(), self.log.take()) {
            swimlane.keep_submits(log);
        }
    }
}
