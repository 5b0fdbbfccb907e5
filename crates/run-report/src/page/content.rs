//! What the page knows of a run.

use std::collections::{BTreeMap, HashMap, HashSet};

use run_records::scope::Record;
use run_records::swimlane::TaskRecord;
use run_records::{Dump, Micros, Pmu, Run, ScopeStats, Summary, Swimlane};
use serde_json::{Value, json};

use super::columns::column;
use crate::check::Finding;
use crate::graph::{EdgeSource, TaskGraph};
use crate::names::FuncNames;
use crate::path::{Wait, blocking_chain, critical_path};
use crate::stats::{CoreUse, KernelUse, Makespan};

/// More findings are only counted.
const SHOWN_FINDINGS: usize = 50;
/// A chain may be as long as the run; its begin is of no use then.
const SHOWN_STEPS: usize = 2000;

/// The content of the page. Times are in ns, records and tasks are named by their places in the columns.
pub(super) fn of(run: &Run, title: &str, names: &FuncNames, findings: &[Finding]) -> Value {
    let graph = TaskGraph::new(run);
    let empty = Swimlane::default();
    let swimlane = run.swimlane.as_ref().unwrap_or(&empty);
    let view = View::new(swimlane, &graph);
    json!({
        "title": title,
        "level": swimlane.level,
        "files": files(run),
        "findings": findings.iter().take(SHOWN_FINDINGS).map(ToString::to_string).collect::<Vec<_>>(),
        "findingCount": findings.len(),
        "makespan": Makespan::of(swimlane).map(|span| [span.start.nanos(), span.end.nanos()]),
        "edgeSource": match graph.source() {
            EdgeSource::Deps => "deps.json",
            EdgeSource::Fanout => "the recorded fanout",
            EdgeSource::Nothing => "",
        },
        "cores": cores(swimlane),
        "coreCount": swimlane.core_to_thread.as_ref().map(Vec::len),
        "kernels": view.kernels(names),
        "path": critical_path(&graph).map(|path| json!({"tasks": path.tasks, "length": path.length.nanos()})),
        "chain": view.chain(),
        "records": view.records(),
        "tasks": view.tasks(run),
        "scheduler": scheduler(swimlane),
        "orchestrator": view.orchestrator(),
        "scopes": run.scope_stats.as_ref().map(scopes),
        "pmu": run.pmu.as_ref().map(|pmu| view.pmu(pmu, names)),
        "dump": run.dump.as_ref().map(dump),
        "host": run.summary.as_ref().map(host),
    })
}

fn nanos(time: Micros) -> u64 {
    // Nothing lies before the first time of a run; if it does, `check` tells of it.
    u64::try_from(time.nanos()).unwrap_or(0)
}

fn files(run: &Run) -> Value {
    json!({
        "l2_perf_records.json": run.swimlane.is_some(),
        "deps.json": run.deps.is_some(),
        "scope_stats.jsonl": run.scope_stats.is_some(),
        "pmu.csv": run.pmu.is_some(),
        "tensor_dump.json": run.dump.is_some(),
        "run.json": run.summary.is_some(),
    })
}

fn cores(swimlane: &Swimlane) -> Vec<Value> {
    let thread = |core: u32| swimlane.core_to_thread.as_ref().and_then(|map| map.get(core as usize));
    let value = |core: CoreUse| {
        json!({
            "id": core.core_id, "kind": core.core_type.to_string(), "kernels": core.kernels,
            "busy": core.busy.nanos(), "thread": thread(core.core_id),
        })
    };
    CoreUse::of(swimlane).into_iter().map(value).collect()
}

/// The swimlane in the order of the page: records by task, kernels by time.
struct View<'a> {
    swimlane: &'a Swimlane,
    graph: &'a TaskGraph,
    kernels: Vec<KernelUse>,
    /// Where each record of the swimlane stands in the columns.
    place: Vec<usize>,
}

impl<'a> View<'a> {
    fn new(swimlane: &'a Swimlane, graph: &'a TaskGraph) -> Self {
        let mut place = vec![0; swimlane.tasks.len()];
        for (column, &record) in graph.all_records().iter().enumerate() {
            place[record] = column;
        }
        Self { swimlane, graph, kernels: KernelUse::of(swimlane), place }
    }

    fn ordered(&self) -> impl Iterator<Item = &TaskRecord> {
        self.graph.all_records().iter().map(|&index| &self.swimlane.tasks[index])
    }

    fn kernels(&self, names: &FuncNames) -> Vec<Value> {
        let value = |kernel: &KernelUse| {
            json!({
                "func": kernel.func_id, "name": names.get(kernel.func_id), "count": kernel.count,
                "kind": self.swimlane.tasks[kernel.longest].core_type.to_string(),
                "total": kernel.total.nanos(), "mean": kernel.mean().nanos(), "max": kernel.max.nanos(),
                "longest": self.place[kernel.longest],
            })
        };
        self.kernels.iter().map(value).collect()
    }

    fn chain(&self) -> Value {
        let steps = blocking_chain(self.swimlane, self.graph);
        let left_out = steps.len().saturating_sub(SHOWN_STEPS);
        let total =
            |wait| steps.iter().filter(|step| step.after == wait).map(|step| step.gap).sum::<Micros>();
        json!({
            "dependencyGaps": total(Wait::Dependency).nanos(),
            "coreGaps": total(Wait::Core).nanos(),
            "length": steps.len(),
            "steps": steps[left_out..].iter().map(|step| json!([
                self.place[step.record],
                match step.after { Wait::Begin => 0, Wait::Dependency => 1, Wait::Core => 2 },
                step.gap.nanos(),
            ])).collect::<Vec<_>>(),
        })
    }

    fn records(&self) -> Value {
        let kernel: HashMap<u32, u64> = self.kernels.iter().map(|kernel| kernel.func_id).zip(0..).collect();
        json!({
            "start": column(self.ordered().map(|record| nanos(record.start))),
            "end": column(self.ordered().map(|record| nanos(record.end))),
            "dispatch": column(self.ordered().map(|record| nanos(record.dispatch))),
            "finish": column(self.ordered().map(|record| nanos(record.finish))),
            "core": column(self.ordered().map(|record| u64::from(record.core_id))),
            "kernel": column(self.ordered().map(|record| kernel.get(&record.func_id).copied().unwrap_or(0))),
        })
    }

    fn tasks(&self, run: &Run) -> Value {
        let (graph, count) = (self.graph, self.graph.ids().len());
        let mut first_successor = vec![0];
        first_successor.extend((0..count).scan(0, |sum, task| {
            *sum += graph.successors(task).len() as u64;
            Some(*sum)
        }));
        let first_record =
            (0..count).map(|task| graph.record_range(task).start).chain([graph.all_records().len()]);
        let submitted: Option<HashSet<u64>> =
            run.deps.as_ref().map(|deps| deps.tasks.iter().map(|task| task.task_id).collect());
        let without_kernel: HashSet<u64> =
            run.summary.iter().flat_map(|summary| &summary.tasks_without_kernel).flatten().copied().collect();
        // Why there is no record of a task: 1 it only allocates, 2 it has no kernel, 0 nothing tells.
        let reason = |task: usize| match &submitted {
            _ if graph.times(task).is_some() => 0,
            Some(submitted) if !submitted.contains(&graph.ids()[task]) => 1,
            _ if without_kernel.contains(&graph.ids()[task]) => 2,
            _ => 0,
        };
        json!({
            "unrecorded": column((0..count).map(reason)),
            "ring": column(graph.ids().iter().map(|id| id >> 32)),
            "number": column(graph.ids().iter().map(|id| id & 0xFFFF_FFFF)),
            "firstRecord": column(first_record.map(|record| record as u64)),
            "firstSuccessor": column(first_successor),
            "successor": column((0..count).flat_map(|task| graph.successors(task)).map(|&succ| succ as u64)),
        })
    }

    fn orchestrator(&self) -> Value {
        let phases = || {
            let threads = self.swimlane.orchestrator.iter().flatten();
            (0_u64..)
                .zip(threads)
                .flat_map(|(thread, phases)| phases.iter().map(move |phase| (thread, phase)))
        };
        // One more than the place, 0 for none.
        let task = |id| self.graph.number(id).map_or(0, |task| task as u64 + 1);
        let (kinds, kind) = dictionary(phases().map(|(_, phase)| phase.phase));
        json!({
            "thread": column(phases().map(|(thread, _)| thread)),
            "start": column(phases().map(|(_, phase)| nanos(phase.start))),
            "end": column(phases().map(|(_, phase)| nanos(phase.end))),
            "task": column(phases().map(|(_, phase)| task(phase.task_id))),
            "kind": kind, "kinds": kinds,
        })
    }

    fn pmu(&self, pmu: &Pmu, names: &FuncNames) -> Value {
        // Rows in the order of the records; several of one kernel of one task on one core in the order of the file.
        let mut rows = HashMap::<_, Vec<usize>>::new();
        for (index, row) in pmu.rows.iter().enumerate().rev() {
            rows.entry((row.task_id, row.core_id, row.func_id)).or_default().push(index);
        }
        let row_of: Vec<Option<usize>> = self
            .ordered()
            .map(|record| rows.get_mut(&(record.task_id, record.core_id, record.func_id)).and_then(Vec::pop))
            .collect();
        let of_records = |value: &dyn Fn(usize) -> u64| column(row_of.iter().map(|row| row.map_or(0, value)));
        json!({
            "counters": pmu.counters,
            "eventType": pmu.rows.first().map(|row| row.event_type),
            "rows": pmu.rows.len(),
            "kernels": pmu_by_kernel(pmu, names),
            "present": column(row_of.iter().map(|row| u64::from(row.is_some()))),
            "total": of_records(&|row| pmu.rows[row].total_cycles),
            "values": (0..pmu.counters.len())
                .map(|counter| of_records(&|row| pmu.rows[row].values[counter]))
                .collect::<Vec<_>>(),
        })
    }
}

fn scheduler(swimlane: &Swimlane) -> Value {
    let phases = || {
        let threads = swimlane.scheduler.iter().flatten();
        (0_u64..).zip(threads).flat_map(|(thread, phases)| phases.iter().map(move |phase| (thread, phase)))
    };
    let (kinds, kind) = dictionary(phases().map(|(_, phase)| phase.phase));
    json!({
        "threads": swimlane.scheduler.as_ref().map_or(0, Vec::len),
        "thread": column(phases().map(|(thread, _)| thread)),
        "start": column(phases().map(|(_, phase)| nanos(phase.start))),
        "end": column(phases().map(|(_, phase)| nanos(phase.end))),
        "tasks": column(phases().map(|(_, phase)| phase.tasks_processed)),
        "kind": kind, "kinds": kinds,
    })
}

/// The names that occur, and per value the number of its name.
fn dictionary<T: serde::Serialize>(values: impl Iterator<Item = T>) -> (Vec<String>, String) {
    let mut names: Vec<String> = Vec::new();
    let numbers: Vec<u64> = values
        .map(|value| {
            let name = serde_json::to_value(value).ok();
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
            let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            number as u64
        })
        .collect();
    (names, column(numbers))
}

fn pmu_by_kernel(pmu: &Pmu, names: &FuncNames) -> Vec<Value> {
    let mut kernels: BTreeMap<u32, (u64, u128, Vec<u128>)> = BTreeMap::new();
    for row in &pmu.rows {
        let fresh = || (0, 0, vec![0; pmu.counters.len()]);
        let (count, cycles, sums) = kernels.entry(row.func_id).or_insert_with(fresh);
        *count += 1;
        *cycles += u128::from(row.total_cycles);
        sums.iter_mut().zip(&row.values).for_each(|(sum, &value)| *sum += u128::from(value));
    }
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by_key(|(_, (_, cycles, _))| std::cmp::Reverse(*cycles));
    let value = |(func, (count, cycles, sums)): (u32, (u64, u128, Vec<u128>))| {
        let mean = |sum: u128| u64::try_from(sum / u128::from(count.max(1))).unwrap_or(u64::MAX);
        json!({
            "func": func, "name": names.get(func), "count": count,
            "cycles": mean(cycles), "values": sums.into_iter().map(mean).collect::<Vec<_>>(),
        })
    };
    kernels.into_iter().map(value).collect()
}

/// High-water marks of rings and of sites; how full the ring was at each border.
fn scopes(stats: &ScopeStats) -> Value {
    let header = &stats.header;
    let heap = |record: &Record| {
        let ring = usize::try_from(record.ring).ok();
        record.heap_used(ring.and_then(|ring| header.heap_max.get(ring)).copied().unwrap_or(0))
    };
    let marks = |records: &[&Record]| {
        json!({
            "borders": records.len(),
            "tasks": records.iter().map(|record| record.tasks_alive()).max(),
            "heap": records.iter().map(|record| heap(record)).max(),
            "tensormap": records.iter().map(|record| record.tensormap).max(),
        })
    };
    let rings: Vec<Value> = (0_i16..)
        .zip(header.task_window_max.iter().zip(&header.heap_max))
        .map(|(ring, (window, heap))| {
            let records: Vec<&Record> = stats.records.iter().filter(|record| record.ring == ring).collect();
            json!({"ring": ring, "window": window, "heap": heap, "marks": marks(&records)})
        })
        .collect();
    let mut sites: BTreeMap<(&str, i16), Vec<&Record>> = BTreeMap::new();
    for record in &stats.records {
        sites.entry((&record.site, record.ring)).or_default().push(record);
    }
    let sites: Vec<Value> = sites
        .into_iter()
        .map(|((site, ring), records)| {
            json!({"site": site, "ring": ring, "depth": records[0].depth, "marks": marks(&records)})
        })
        .collect();
    let whole = |value: i64| u64::try_from(value).unwrap_or(0);
    json!({
        "fatal": header.fatal, "dropped": header.dropped, "tensormapMax": header.tensormap_max,
        "tensormap": stats.records.iter().map(|record| record.tensormap).max(),
        "rings": rings, "sites": sites,
        "series": {
            "ring": column(stats.records.iter().map(|record| whole(record.ring.into()))),
            "tasks": column(stats.records.iter().map(|record| whole(record.tasks_alive()))),
            "heap": column(stats.records.iter().map(heap)),
        },
    })
}

fn host(summary: &Summary) -> Value {
    json!({
        "stages": summary.host_stages.named().map(|(name, length)| json!([name, nanos(length)])),
        "lost": summary.lost_records,
    })
}

fn dump(dump: &Dump) -> Value {
    let bytes: u64 = dump.tensors.iter().map(|tensor| tensor.bin_size).sum();
    json!({"counters": dump.counters().map(|(name, value)| json!([name, value])), "bytes": bytes})
}
