//! Records among themselves.

use std::collections::{BTreeMap, HashMap};

use run_records::swimlane::{OrchestratorWork, SchedulerWork, TaskRecord};
use run_records::{Micros, Swimlane, swimlane};
use task_interface::CoreType;

use super::{Facts, Finding};

pub(super) fn check(swimlane: &Swimlane, facts: &Facts, findings: &mut Vec<Finding>) {
    let level = swimlane.level;
    if !(1..=4).contains(&level) {
        findings.push(Finding::UnknownLevel { level });
    }
    for record in &swimlane.tasks {
        check_record(record, level, findings);
    }
    for pair in swimlane.tasks.windows(2).filter(|pair| pair[1].task_id < pair[0].task_id) {
        findings.push(Finding::NotSorted { record: (&pair[1]).into() });
    }
    check_cores(swimlane, findings);
    check_parts(swimlane, facts, findings);
    check_phases(swimlane, findings);
    check_submits(swimlane, findings);
}

fn check_record(record: &TaskRecord, level: u32, findings: &mut Vec<Finding>) {
    let (place, zero) = (record.into(), Micros::default());
    if record.end < record.start {
        findings.push(Finding::EndBeforeStart { record: place });
    }
    if record.start < zero || record.dispatch < zero || record.finish < zero {
        findings.push(Finding::NegativeTime { record: place });
    }
    // Files of others have it rounded apart from start and end.
    if (record.duration - (record.end - record.start)).nanos().abs() > 1 {
        findings.push(Finding::WrongDuration { record: place, duration: record.duration });
    }
    if record.ring_id != swimlane::ring_of(record.task_id) {
        findings.push(Finding::WrongRing { record: place, ring_id: record.ring_id });
    }
    if level >= 2 && record.dispatch > record.start {
        findings.push(Finding::StartBeforeDispatch { record: place, dispatch: record.dispatch });
    }
    if level >= 2 && record.finish < record.end {
        findings.push(Finding::FinishBeforeEnd { record: place, finish: record.finish });
    }
    let listed = record.fanout.as_ref().map_or(0, Vec::len);
    match record.fanout_count {
        Some(count) if count as usize != listed => {
            findings.push(Finding::FanoutCount { record: place, listed, count });
        }
        _ => {}
    }
}

/// Per core: its kind, its place, and one kernel at a time.
fn check_cores(swimlane: &Swimlane, findings: &mut Vec<Finding>) {
    let threads = swimlane.scheduler.as_ref().map(Vec::len);
    if let (Some(map), Some(threads)) = (&swimlane.core_to_thread, threads) {
        for (core_id, &thread) in map.iter().enumerate() {
            // -1 is a core that nobody schedules.
            if thread != -1 && usize::try_from(thread).map_or(true, |thread| thread >= threads) {
                findings.push(Finding::UnknownThread { core_id, thread, threads });
            }
        }
    }
    let cores = swimlane.core_to_thread.as_ref().map(Vec::len);
    let mut records: Vec<&TaskRecord> = swimlane.tasks.iter().collect();
    records.sort_by_key(|record| (record.core_id, record.start, record.end));
    // The record of the core that ended last: a long one may overlap several.
    let mut last: Option<&TaskRecord> = None;
    for record in records {
        if cores.is_some_and(|cores| record.core_id as usize >= cores) {
            findings.push(Finding::UnknownCore { record: record.into(), cores: cores.unwrap_or_default() });
        }
        let Some(before) = last.filter(|before| before.core_id == record.core_id) else {
            last = Some(record);
            continue;
        };
        if before.core_type != record.core_type {
            findings.push(Finding::CoreChangesKind { record: record.into() });
        }
        if before.task_id == record.task_id && before.start == record.start && before.end == record.end {
            findings.push(Finding::Duplicate { record: record.into() });
        } else if record.start < before.end {
            findings.push(Finding::Overlap { first: before.into(), second: record.into() });
        }
        if record.end >= before.end {
            last = Some(record);
        }
    }
}

/// Every sub-task of a task runs once per block.
fn check_parts(swimlane: &Swimlane, facts: &Facts, findings: &mut Vec<Finding>) {
    // Per task, per kind of core, per kernel.
    let mut parts: BTreeMap<u64, BTreeMap<(CoreType, u32), usize>> = BTreeMap::new();
    for record in &swimlane.tasks {
        *parts.entry(record.task_id).or_default().entry((record.core_type, record.func_id)).or_default() += 1;
    }
    for (&task_id, kernels) in &parts {
        let total = |kind| {
            kernels.iter().filter(|((core_type, _), _)| *core_type == kind).map(|(_, records)| records).sum()
        };
        let (aic, aiv): (usize, usize) = (total(CoreType::Aic), total(CoreType::Aiv));
        if let Some(&expected) = facts.records_per_task.get(&task_id)
            && expected != aic + aiv
        {
            findings.push(Finding::RecordCount { task_id, records: aic + aiv, expected });
        }
        if facts.deferred.contains(&task_id) {
            continue;
        }
        if aic > 0 && aiv > 0 && aiv != aic && aiv != 2 * aic {
            findings.push(Finding::UnevenBlocks { task_id, aic, aiv });
        }
        let pairs = kernels.iter().zip(kernels.iter().skip(1));
        for ((&(kind, func_id), &records), (&(other_kind, other), &other_records)) in pairs {
            if kind == other_kind && records != other_records {
                findings.push(Finding::UnevenKernels { task_id, func_id, records, other, other_records });
            }
        }
    }
    for (&task_id, &expected) in &facts.records_per_task {
        if expected > 0 && !parts.contains_key(&task_id) {
            findings.push(Finding::RecordCount { task_id, records: 0, expected });
        }
    }
}

fn check_phases(swimlane: &Swimlane, findings: &mut Vec<Finding>) {
    let scheduler = swimlane.scheduler.iter().flatten().enumerate().flat_map(|(thread, phases)| {
        let known = |phase| phase != SchedulerWork::Unknown;
        let phases = phases.iter().map(move |phase| (phase.start, phase.end, known(phase.phase)));
        phases.enumerate().map(move |phase| ("scheduler", thread, phase))
    });
    let orchestrator = swimlane.orchestrator.iter().flatten().enumerate().flat_map(|(thread, phases)| {
        let known = |phase| phase != OrchestratorWork::Unknown;
        let phases = phases.iter().map(move |phase| (phase.start, phase.end, known(phase.phase)));
        phases.enumerate().map(move |phase| ("orchestrator", thread, phase))
    });
    for (what, thread, (index, (start, end, known))) in scheduler.chain(orchestrator) {
        if end < start {
            findings.push(Finding::PhaseEndBeforeStart { what, thread, index, start, end });
        }
        if !known {
            findings.push(Finding::UnknownPhase { what, thread, index });
        }
    }
}

/// Where whole submits are recorded, every task that ran has one, before its dispatch.
fn check_submits(swimlane: &Swimlane, findings: &mut Vec<Finding>) {
    let phases = swimlane.orchestrator.iter().flatten().flatten();
    let mut submits: HashMap<u64, (u32, Micros)> = HashMap::new();
    for submit in phases.filter(|phase| phase.phase == OrchestratorWork::OrchSubmit) {
        let (task_id, second) = (submit.task_id, submit.submit_idx);
        if let Some((first, _)) = submits.insert(task_id, (second, submit.start)) {
            findings.push(Finding::SubmittedTwice { task_id, first, second });
        }
    }
    if submits.is_empty() {
        return;
    }
    let mut last_missing = None;
    for record in &swimlane.tasks {
        let task_id = record.task_id;
        match submits.get(&task_id) {
            // Once per task, not per record.
            None if last_missing == Some(task_id) => {}
            None => {
                last_missing = Some(task_id);
                findings.push(Finding::NotSubmitted { task_id });
            }
            Some(&(_, submit)) if swimlane.level >= 2 && record.dispatch < submit => {
                findings.push(Finding::DispatchBeforeSubmit { record: record.into(), submit });
            }
            Some(_) => {}
        }
    }
}
