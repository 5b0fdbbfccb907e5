//! A run as a Chrome trace, for Perfetto and `chrome://tracing`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use run_records::swimlane::{SchedulerWork, TaskRecord};
use run_records::{Micros, Run, Swimlane};
use serde::Serialize;
use task_interface::CoreType;

use crate::graph::TaskGraph;
use crate::names::FuncNames;
use crate::task_name;

/// The processes of the trace (`spec/device-abi.md`, section 6.6).
#[derive(Clone, Copy)]
enum Process {
    AiCore = 1,
    Aicpu = 2,
    Scheduler = 3,
    Orchestrator = 4,
}

/// Writes the trace of a run: what ran on the cores, what the AICPU saw of it, what schedulers and the
/// orchestrator did; with arrows for dependencies, and from dispatches to kernels.
///
/// # Errors
/// Those of the writer.
pub fn trace(run: &Run, names: &FuncNames, out: &mut dyn Write) -> io::Result<()> {
    let empty = Swimlane::default();
    let swimlane = run.swimlane.as_ref().unwrap_or(&empty);
    let graph = TaskGraph::new(run);
    let mut trace = Trace { out, names, first: true, flows: 0 };
    trace.out.write_all(b"{\"displayTimeUnit\": \"ns\", \"traceEvents\": [")?;
    trace.header(swimlane)?;
    for record in &swimlane.tasks {
        trace.record(record, swimlane.level)?;
    }
    trace.phases(swimlane)?;
    trace.dependencies(swimlane, &graph)?;
    trace.dispatches(swimlane)?;
    trace.out.write_all(b"\n]}\n")
}

struct Trace<'a> {
    out: &'a mut dyn Write,
    names: &'a FuncNames,
    first: bool,
    flows: u64,
}

/// One end of an arrow: a slice, by a time inside of it.
#[derive(Clone, Copy)]
struct End {
    process: Process,
    thread: usize,
    time: Micros,
}

impl Trace<'_> {
    fn event(&mut self, text: &str) -> io::Result<()> {
        let separator = if self.first { "\n" } else { ",\n" };
        self.first = false;
        self.out.write_all(separator.as_bytes())?;
        self.out.write_all(text.as_bytes())
    }

    fn header(&mut self, swimlane: &Swimlane) -> io::Result<()> {
        let cores: BTreeMap<u32, CoreType> =
            swimlane.tasks.iter().map(|record| (record.core_id, record.core_type)).collect();
        let threads = |count: Option<usize>, name: &str| -> Vec<(usize, String)> {
            (0..count.unwrap_or(0)).map(|thread| (thread, format!("{name}_{thread}"))).collect()
        };
        let cores: Vec<(usize, String)> =
            cores.into_iter().map(|(core, kind)| (core as usize, format!("{kind}_{core}"))).collect();
        let processes = [
            (Process::AiCore, "AICore", cores.clone()),
            (Process::Aicpu, "AICPU view", if swimlane.level >= 2 { cores } else { vec![] }),
            (Process::Scheduler, "Scheduler", threads(swimlane.scheduler.as_ref().map(Vec::len), "Sched")),
            (
                Process::Orchestrator,
                "Orchestrator",
                threads(swimlane.orchestrator.as_ref().map(Vec::len), "Orch"),
            ),
        ];
        for (process, name, threads) in processes {
            let pid = process as u32;
            let meta = |what: &str, tid: usize, value: &str| {
                format!(
                    r#"{{"ph": "M", "name": "{what}", "pid": {pid}, "tid": {tid}, "args": {{"name": "{value}"}}}}"#
                )
            };
            self.event(&meta("process_name", 0, name))?;
            for (thread, name) in threads {
                self.event(&meta("thread_name", thread, &name))?;
            }
        }
        Ok(())
    }

    fn slice(
        &mut self,
        process: Process,
        thread: usize,
        name: &str,
        (start, end): (Micros, Micros),
        args: &impl Serialize,
    ) -> io::Result<()> {
        let (pid, length) = (process as u32, end - start);
        let (name, args) = (serde_json::to_string(name)?, serde_json::to_string(args)?);
        self.event(&format!(
            r#"{{"ph": "X", "name": {name}, "pid": {pid}, "tid": {thread}, "ts": {start}, "dur": {length}, "args": {args}}}"#
        ))
    }

    fn record(&mut self, record: &TaskRecord, level: u32) -> io::Result<()> {
        #[derive(Serialize)]
        struct Args {
            // Numbers of 64 bits do not survive in the viewers.
            task_id: String,
            func_id: u32,
            ring_id: u32,
        }
        let name = format!("{} {}", self.names.get(record.func_id), task_name(record.task_id));
        let thread = record.core_id as usize;
        let args =
            Args { task_id: record.task_id.to_string(), func_id: record.func_id, ring_id: record.ring_id };
        self.slice(Process::AiCore, thread, &name, (record.start, record.end), &args)?;
        if level >= 2 {
            self.slice(Process::Aicpu, thread, &name, (record.dispatch, record.finish), &args)?;
        }
        Ok(())
    }

    fn phases(&mut self, swimlane: &Swimlane) -> io::Result<()> {
        for (thread, phases) in swimlane.scheduler.iter().flatten().enumerate() {
            for phase in phases {
                let kind = serde_json::to_value(phase.phase)?;
                let name = format!("{}({})", kind.as_str().unwrap_or_default(), phase.tasks_processed);
                self.slice(Process::Scheduler, thread, &name, (phase.start, phase.end), phase)?;
            }
        }
        for (thread, phases) in swimlane.orchestrator.iter().flatten().enumerate() {
            for phase in phases {
                let kind = serde_json::to_value(phase.phase)?;
                let name = format!("{} {}", kind.as_str().unwrap_or_default(), task_name(phase.task_id));
                self.slice(Process::Orchestrator, thread, &name, (phase.start, phase.end), phase)?;
            }
        }
        Ok(())
    }

    fn arrow(&mut self, category: &str, from: End, to: End) -> io::Result<()> {
        let id = self.flows;
        self.flows += 1;
        for (letter, End { process, thread, time }) in [("\"s\"", from), ("\"f\", \"bp\": \"e\"", to)] {
            let pid = process as u32;
            self.event(&format!(
                r#"{{"ph": {letter}, "cat": "{category}", "name": "{category}", "id": {id}, "pid": {pid}, "tid": {thread}, "ts": {time}}}"#
            ))?;
        }
        Ok(())
    }

    /// From the last part of each task to every first part that waited for it.
    fn dependencies(&mut self, swimlane: &Swimlane, graph: &TaskGraph) -> io::Result<()> {
        for task in 0..graph.ids().len() {
            let records = graph.records(task).iter().map(|&index| &swimlane.tasks[index]);
            let Some(last) = records.max_by_key(|record| record.end) else { continue };
            for &succ in graph.successors(task) {
                let Some(&first) = graph.records(succ).first() else { continue };
                let first = &swimlane.tasks[first];
                let from = End {
                    process: Process::AiCore,
                    thread: last.core_id as usize,
                    time: inside(last.start, last.end),
                };
                let to = End { process: Process::AiCore, thread: first.core_id as usize, time: first.start };
                self.arrow("dependency", from, to)?;
            }
        }
        Ok(())
    }

    /// From the scheduler's phase in which a task was dispatched, else from the AICPU's view of it, to the
    /// kernel.
    fn dispatches(&mut self, swimlane: &Swimlane) -> io::Result<()> {
        if swimlane.level < 2 {
            return Ok(());
        }
        for record in &swimlane.tasks {
            let core = record.core_id as usize;
            let from =
                dispatching_thread(swimlane, record)
                    .map_or(End { process: Process::Aicpu, thread: core, time: record.dispatch }, |thread| {
                        End { process: Process::Scheduler, thread, time: record.dispatch }
                    });
            self.arrow("dispatch", from, End { process: Process::AiCore, thread: core, time: record.start })?;
        }
        Ok(())
    }
}

/// The last time that lies inside of a slice; at its end, viewers take the one behind it.
fn inside(start: Micros, end: Micros) -> Micros {
    start.max(end - Micros::from_nanos(1))
}

/// The scheduler that was dispatching when the task was dispatched.
fn dispatching_thread(swimlane: &Swimlane, record: &TaskRecord) -> Option<usize> {
    let thread = *swimlane.core_to_thread.as_ref()?.get(record.core_id as usize)?;
    let thread = usize::try_from(thread).ok()?;
    let phases = swimlane.scheduler.as_ref()?.get(thread)?;
    // The phases of a thread follow each other.
    let behind = phases.partition_point(|phase| phase.start <= record.dispatch);
    let phase = phases.get(behind.checked_sub(1)?)?;
    (phase.phase == SchedulerWork::Dispatch && record.dispatch <= phase.end).then_some(thread)
}
