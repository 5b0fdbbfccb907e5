//! What a run tells its recorder about the cores.

use std::sync::Arc;

use device_runner::{DeviceProgram, DeviceTime, MAX_COUNTERS, PmuSample, Recorder, TaskId, TaskRun};

use crate::run::Job;

/// The recorder of a run.
#[derive(Debug)]
pub(crate) struct Record {
    recorder: Arc<Recorder>,
    /// Reused from task to task.
    fanout: Vec<TaskId>,
}

impl Record {
    pub(crate) fn new(recorder: Arc<Recorder>) -> Self {
        Self { recorder, fanout: Vec::new() }
    }

    /// A kernel has run, and its program has not been told yet.
    ///
    /// On the device clock a task starts when it is given to its core, and is seen to be done when it is.
    pub(crate) fn task(
        &mut self,
        program: &dyn DeviceProgram,
        job: &Job,
        start: DeviceTime,
        end: DeviceTime,
    ) {
        let (task, core) = (job.dispatch.task, job.dispatch.core);
        let func_id = job.run.names[job.dispatch.kernel as usize].func_id;
        if let Some(swimlane) = self.recorder.swimlane() {
            self.fanout.clear();
            if swimlane.has_fanout() {
                program.fanout(task, &mut |waiting| self.fanout.push(waiting));
            }
            let run = TaskRun { task, func_id, core, dispatch: start, start, end, finish: end };
            swimlane.task(run, &self.fanout);
        }
        if let Some(pmu) = self.recorder.pmu() {
            // There is no hardware to be counted: of a kernel only its time is known.
            let total_cycles = self.recorder.ticks(end) - self.recorder.ticks(start);
            pmu.sample(PmuSample { task, func_id, core, total_cycles, counters: [0; MAX_COUNTERS] });
        }
    }
}
