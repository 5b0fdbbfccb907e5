//! The files of a schedule.

use std::collections::BTreeMap;

use run_records::deps::{Arg, ArgKind, ArgTensor, Edge, Overlap, Reason, Scope, Task, TensorVersion, View};
use run_records::dump::{DumpedTensor, Role, Stage};
use run_records::pmu::PmuRow;
use run_records::summary::HostStages;
use run_records::swimlane::{OrchestratorPhase, OrchestratorWork, SchedulerPhase, SchedulerWork};
use run_records::{Dtype, Micros, Summary, deps};
use task_interface::DataType;

use super::*;

fn us(nanos: i64) -> Micros {
    Micros::from_nanos(nanos)
}

pub(super) fn swimlane(sample: &Sample, jobs: &[Job], schedule: &Schedule, random: &mut Random) -> Swimlane {
    let mut successors: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (succ, job) in jobs.iter().enumerate() {
        job.waits_for.iter().for_each(|&pred| successors[pred].push(succ));
    }
    let mut tasks = Vec::new();
    for ((job, parts), successors) in jobs.iter().zip(&schedule.parts).zip(&successors) {
        for part in parts {
            let (_, kind, _) = KERNELS[part.kernel];
            let func_id = u32::try_from(part.kernel).unwrap_or_default();
            let mut record =
                TaskRecord::new(job.task_id, func_id, (part.core, kind), us(part.start), us(part.end));
            if sample.level >= 2 {
                (record.dispatch, record.finish) = (us(part.dispatch), us(part.finish));
                if sample.chip == Chip::A5 {
                    let waiting = successors.iter().filter(|&&succ| schedule.submits[succ].1 <= part.finish);
                    let ids: Vec<u64> = waiting.map(|&succ| jobs[succ].task_id).collect();
                    record.fanout_count = u32::try_from(ids.len()).ok();
                    record.fanout = Some(ids);
                }
            }
            tasks.push(record);
        }
    }
    tasks.sort_by_key(|record| record.task_id);
    let threads = sample.threads.max(2) as usize;
    Swimlane {
        level: sample.level,
        tasks,
        scheduler: (sample.level >= 3).then(|| scheduler(schedule, threads, random)),
        orchestrator: (sample.level >= 4).then(|| orchestrator(sample, jobs, schedule, threads)),
        core_to_thread: (sample.level >= 3).then(|| schedule.core_to_thread.clone()),
    }
}

/// Each thread works where a task of its cores is dispatched or seen done.
fn scheduler(schedule: &Schedule, threads: usize, random: &mut Random) -> Vec<Vec<SchedulerPhase>> {
    let mut events: Vec<Vec<(i64, SchedulerWork)>> = vec![Vec::new(); threads];
    for part in schedule.parts.iter().flatten() {
        let thread = usize::try_from(schedule.core_to_thread[part.core as usize]).unwrap_or_default();
        events[thread].push((part.dispatch, SchedulerWork::Dispatch));
        events[thread].push((part.finish, SchedulerWork::Complete));
    }
    let phases = |mut events: Vec<(i64, SchedulerWork)>| {
        events.sort_by_key(|&(time, _)| time);
        let mut phases: Vec<SchedulerPhase> = Vec::new();
        for (time, phase) in events {
            match phases.last_mut() {
                Some(last) if us(time) < last.end => last.tasks_processed += 1,
                _ => phases.push(SchedulerPhase {
                    start: us(time),
                    end: us(time + random.nanos(4, 12) * 20),
                    phase,
                    loop_iter: u32::try_from(phases.len()).unwrap_or(u32::MAX),
                    tasks_processed: 1,
                    pop_hit: (phase == SchedulerWork::Dispatch).then_some(1),
                    pop_miss: (phase == SchedulerWork::Dispatch).then_some(0),
                }),
            }
        }
        phases
    };
    events.into_iter().map(phases).collect()
}

fn orchestrator(
    sample: &Sample,
    jobs: &[Job],
    schedule: &Schedule,
    threads: usize,
) -> Vec<Vec<OrchestratorPhase>> {
    use OrchestratorWork::{OrchFanin, OrchInsert, OrchLookup, OrchSubmit};
    let mut all = vec![Vec::new(); threads];
    for (index, (job, &(begin, end))) in jobs.iter().zip(&schedule.submits).enumerate() {
        if sample.chip == Chip::A2a3 && job.allocates {
            continue;
        }
        let steps = match sample.chip {
            Chip::A2a3 => vec![(OrchSubmit, begin, end)],
            Chip::A5 => {
                let (one, two) = (begin + (end - begin) / 3, begin + (end - begin) * 2 / 3);
                vec![(OrchLookup, begin, one), (OrchInsert, one, two), (OrchFanin, two, end)]
            }
        };
        all[threads - 1].extend(steps.into_iter().map(|(phase, start, end)| OrchestratorPhase {
            phase,
            start: us(start),
            end: us(end),
            submit_idx: u32::try_from(index).unwrap_or(u32::MAX),
            task_id: job.task_id,
        }));
    }
    all
}

pub(super) fn deps(jobs: &[Job], random: &mut Random) -> Deps {
    let float32 = Dtype::from(DataType::Float32);
    let mut deps = Deps::default();
    let mut tensors = BTreeMap::new();
    let view = || View { shape: vec![64, 64], start_offset: 0, strides: vec![64, 1] };
    for job in jobs.iter().filter(|job| !job.allocates) {
        let mut args = Vec::new();
        for &pred in &job.waits_for {
            // Each job has one output, whose address follows from its place.
            let buffer_addr = 0x1000_0000 + 0x4000 * pred as u64;
            let tensor_id = deps::tensor_id(buffer_addr, 0);
            let consumer = || ArgTensor { tensor_id, dtype: float32, view: view() };
            let reason = match random.below(10) {
                0 => Reason::Explicit,
                1..6 => Reason::Creator { consumer: consumer() },
                _ => Reason::Tensormap { overlap: Overlap::Covered, consumer: consumer(), producer: view() },
            };
            let idx = u32::try_from(args.len()).unwrap_or_default();
            let arg = if reason == Reason::Explicit { -1 } else { i32::try_from(idx).unwrap_or_default() };
            if arg >= 0 {
                tensors.insert(tensor_id, buffer_addr);
                args.push(Arg { idx, kind: ArgKind::Input, tensor: Some(consumer()) });
            }
            deps.edges.push(Edge { pred: jobs[pred].task_id, succ: job.task_id, arg, reason });
        }
        let idx = u32::try_from(args.len()).unwrap_or_default();
        args.push(Arg { idx, kind: ArgKind::Output, tensor: None });
        deps.tasks.push(Task { task_id: job.task_id, scope: Scope::Auto, args });
    }
    deps.tensors = tensors
        .into_iter()
        .map(|(tensor_id, buffer_addr)| TensorVersion {
            tensor_id,
            buffer_addr,
            version: 0,
            dtype: float32,
            buffer_numel: 4096,
        })
        .collect();
    deps
}

pub(super) fn pmu(swimlane: &Swimlane, random: &mut Random) -> Pmu {
    let names = [
        "vec_busy_cycles",
        "cube_busy_cycles",
        "scalar_busy_cycles",
        "mte1_busy_cycles",
        "mte2_busy_cycles",
        "mte3_busy_cycles",
        "icache_miss",
        "icache_req",
    ];
    let mut row = |record: &TaskRecord| {
        let total_cycles = u64::try_from((record.end - record.start).nanos()).unwrap_or_default() * 18 / 10;
        let busy = |random: &mut Random, percent: u64| total_cycles * random.below(percent + 1) / 100;
        let (vec, cube) = match record.core_type {
            CoreType::Aic => (0, busy(random, 90)),
            CoreType::Aiv => (busy(random, 90), 0),
        };
        let [scalar, mte1, mte2, mte3] = [20, 30, 70, 40].map(|percent| busy(random, percent));
        let requests = 40 + random.below(400);
        PmuRow {
            thread_id: 0,
            core_id: record.core_id,
            task_id: record.task_id,
            func_id: record.func_id,
            core_type: record.core_type,
            total_cycles,
            values: vec![vec, cube, scalar, mte1, mte2, mte3, random.below(12), requests],
            event_type: 2,
        }
    };
    let rows = swimlane.tasks.iter().map(&mut row).collect();
    Pmu { counters: names.map(str::to_owned).to_vec(), rows }
}

/// Stages of about the length of the run.
pub(super) fn summary(jobs: &[Job], schedule: &Schedule, random: &mut Random) -> Summary {
    let end = schedule.parts.iter().flatten().map(|part| part.finish).max().unwrap_or(0);
    let mut stage = |nanos: i64| us(random.nanos(nanos / 2, nanos + 2));
    let without_kernel = jobs.iter().filter(|job| job.kernels.is_empty() && !job.allocates);
    Summary {
        host_stages: HostStages {
            prepare: stage(300_000),
            launch: stage(40_000),
            wait: us(end) + stage(20_000),
            copy_back: stage(80_000),
            export: stage(2_000_000),
        },
        lost_records: 0,
        tasks_without_kernel: Some(without_kernel.map(|job| job.task_id).collect()),
    }
}

/// The first tasks, one tensor before and one after each.
pub(super) fn dump(swimlane: &Swimlane) -> Dump {
    const BYTES: u64 = 1024;
    let mut tensors = Vec::new();
    for record in swimlane.tasks.iter().take(100) {
        for (arg_index, role, stage) in
            [(0, Role::Input, Stage::BeforeDispatch), (1, Role::Output, Stage::AfterCompletion)]
        {
            tensors.push(DumpedTensor {
                task_id: record.task_id,
                subtask_id: u8::from(record.core_type == CoreType::Aiv),
                func_id: record.func_id,
                role,
                stage,
                arg_index,
                dtype: DataType::Float32.into(),
                is_contiguous: true,
                shape: vec![16, 16],
                strides: vec![16, 1],
                start_offset: 0,
                numel: 256,
                bin_offset: tensors.len() as u64 * BYTES,
                bin_size: BYTES,
                truncated: false,
                overwritten: false,
            });
        }
    }
    Dump::new(tensors, 0)
}
