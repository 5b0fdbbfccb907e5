//! A run as a Chrome trace, for Perfetto and `chrome://tracing`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use run_records::summary::HostStages;
use run_records::swimlane::{SchedulerWork, TaskRecord};
use run_records::{Micros, Run, Swimlane};

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
    /// Not among the contract's: it has a clock of its own.
    Host = 5,
}

/// Writes the trace of a run: what ran on the cores, what the AICPU saw of it, what schedulers and the
/// orchestrator did; with arrows for dependencies, and from dispatches to kernels. The stages of the host are a process
/// of their own that begins at 0, as their clock is another one.
///
/// # Errors
/// Those of the writer.
pub fn trace(run: &Run, names: &FuncNames, out: &mut dyn Write) -> io::Result<()> {
    let empty = Swimlane::default();
    let swimlane = run.swimlane.as_ref().unwrap_or(&empty);
    let graph = TaskGraph::new(run);
    let aicpu = if swimlane.level >= 2 { aicpu_threads(&swimlane.tasks) } else { vec![] };
    let mut trace = Trace { out, names, aicpu, first: true, flows: 0 };
    trace.out.write_all(b"{\"displayTimeUnit\": \"ns\", \"traceEvents\": [")?;
    trace.header(swimlane, run.summary.is_some())?;
    for (index, record) in swimlane.tasks.iter().enumerate() {
        trace.record(index, record)?;
    }
    trace.phases(swimlane)?;
    run.summary.iter().try_for_each(|summary| trace.host(&summary.host_stages))?;
    trace.dependencies(swimlane, &graph)?;
    trace.dispatches(swimlane)?;
    trace.out.write_all(b"\n]}\n")
}

struct Trace<'a> {
    out: &'a mut dyn Write,
    names: &'a FuncNames,
    /// The thread in the AICPU's view of each record; empty if that is not known.
    aicpu: Vec<usize>,
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

    fn header(&mut self, swimlane: &Swimlane, has_host: bool) -> io::Result<()> {
        let threads = |count: Option<usize>, name: &str| -> Threads {
            (0..count.unwrap_or(0)).map(|thread| (thread, format!("{name}_{thread}"))).collect()
        };
        let mut cores = Threads::new();
        let mut aicpu = Threads::new();
        for (index, record) in swimlane.tasks.iter().enumerate() {
            let name = || format!("{}_{}", record.core_type, record.core_id);
            cores.entry(record.core_id as usize).or_insert_with(name);
            if let Some(&thread) = self.aicpu.get(index) {
                aicpu.entry(thread).or_insert_with(name);
            }
        }
        let processes = [
            (Process::AiCore, "AICore", cores),
            (Process::Aicpu, "AICPU view", aicpu),
            (Process::Scheduler, "Scheduler", threads(swimlane.scheduler.as_ref().map(Vec::len), "Sched")),
            (
                Process::Orchestrator,
                "Orchestrator",
                threads(swimlane.orchestrator.as_ref().map(Vec::len), "Orch"),
            ),
        ];
        let host = has_host.then(|| (Process::Host, "Host (wall clock)", threads(Some(1), "Host")));
        for (process, name, threads) in processes.into_iter().chain(host) {
            let pid = process as u32;
            let meta = |what: &str, tid: usize, value: &str| {
                format!(r#"{{"ph":"M","name":"{what}","pid":{pid},"tid":{tid},"args":{{"name":"{value}"}}}}"#)
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
        args: &str,
    ) -> io::Result<()> {
        let (pid, length) = (process as u32, end - start);
        let name = serde_json::to_string(name)?;
        self.event(&format!(
            r#"{{"ph":"X","name":{name},"pid":{pid},"tid":{thread},"ts":{start},"dur":{length},"args":{args}}}"#
        ))
    }

    fn record(&mut self, index: usize, record: &TaskRecord) -> io::Result<()> {
        let name = format!("{} {}", self.names.get(record.func_id), task_name(record.task_id));
        let core = record.core_id as usize;
        // Numbers of 64 bits do not survive in the viewers.
        let args = format!(r#"{{"task_id":"{}","func_id":{}}}"#, record.task_id, record.func_id);
        self.slice(Process::AiCore, core, &name, (record.start, record.end), &args)?;
        if let Some(&thread) = self.aicpu.get(index) {
            self.slice(Process::Aicpu, thread, &name, (record.dispatch, record.finish), "{}")?;
        }
        Ok(())
    }

    fn phases(&mut self, swimlane: &Swimlane) -> io::Result<()> {
        for (thread, phases) in swimlane.scheduler.iter().flatten().enumerate() {
            for phase in phases {
                let kind = serde_json::to_value(phase.phase)?;
                let name = format!("{}({})", kind.as_str().unwrap_or_default(), phase.tasks_processed);
                let args = format!(r#"{{"loop_iter":{}}}"#, phase.loop_iter);
                self.slice(Process::Scheduler, thread, &name, (phase.start, phase.end), &args)?;
            }
        }
        for (thread, phases) in swimlane.orchestrator.iter().flatten().enumerate() {
            for phase in phases {
                let kind = serde_json::to_value(phase.phase)?;
                let name = format!("{} {}", kind.as_str().unwrap_or_default(), task_name(phase.task_id));
                let args = format!(r#"{{"submit_idx":{}}}"#, phase.submit_idx);
                self.slice(Process::Orchestrator, thread, &name, (phase.start, phase.end), &args)?;
            }
        }
        Ok(())
    }

    fn host(&mut self, stages: &HostStages) -> io::Result<()> {
        let mut start = Micros::default();
        for (name, length) in stages.named() {
            let end = start + length;
            self.slice(Process::Host, 0, name, (start, end), "{}")?;
            start = end;
        }
        Ok(())
    }

    fn arrow(&mut self, category: &str, from: End, to: End) -> io::Result<()> {
        let id = self.flows;
        self.flows += 1;
        for (letter, End { process, thread, time }) in [("\"s\"", from), ("\"f\",\"bp\":\"e\"", to)] {
            let pid = process as u32;
            self.event(&format!(
                r#"{{"ph":{letter},"cat":"{category}","name":"{category}","id":{id},"pid":{pid},"tid":{thread},"ts":{time}}}"#
            ))?;
        }
        Ok(())
    }

    /// To the first part of each task from the last part of every one that it waited for; through tasks without parts
    /// from what those waited for.
    fn dependencies(&mut self, swimlane: &Swimlane, graph: &TaskGraph) -> io::Result<()> {
        for task in 0..graph.ids().len() {
            let Some(&first) = graph.records(task).first() else { continue };
            let first = &swimlane.tasks[first];
            let preds = graph.predecessors(task).iter().filter_map(|&pred| graph.done_with_record(pred));
            for last in preds.collect::<BTreeSet<_>>() {
                let last = &swimlane.tasks[last];
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
        for (record, thread) in swimlane.tasks.iter().zip(self.aicpu.clone()) {
            let core = record.core_id as usize;
            let (process, thread) = match dispatching_thread(swimlane, record) {
                Some(scheduler) => (Process::Scheduler, scheduler),
                None => (Process::Aicpu, thread),
            };
            let from = End { process, thread, time: record.dispatch };
            self.arrow("dispatch", from, End { process: Process::AiCore, thread: core, time: record.start })?;
        }
        Ok(())
    }
}

/// Names of threads by number.
type Threads = BTreeMap<usize, String>;

/// Per record its thread in the AICPU's view: a core may be given its next task before it is done, and slices of a
/// thread must not overlap, so each core has two.
fn aicpu_threads(records: &[TaskRecord]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&index| (records[index].core_id, records[index].dispatch));
    let mut threads = vec![0; records.len()];
    let mut first: Option<&TaskRecord> = None;
    for index in order {
        let record = &records[index];
        let is_busy =
            first.is_some_and(|first| first.core_id == record.core_id && record.dispatch < first.finish);
        threads[index] = 2 * record.core_id as usize + usize::from(is_busy);
        if !is_busy {
            first = Some(record);
        }
    }
    threads
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
