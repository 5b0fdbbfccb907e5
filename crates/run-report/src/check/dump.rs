//! The index of the dump, in itself and against records.

use std::collections::HashSet;

use run_records::dump::{DumpedTensor, Role, Stage};
use run_records::{Dump, Swimlane};

use super::{Facts, Finding};

pub(super) fn check(dump: &Dump, swimlane: Option<&Swimlane>, facts: &Facts, findings: &mut Vec<Finding>) {
    let counted = Dump::new(dump.tensors.clone(), dump.dropped_records);
    for ((counter, says), (_, is)) in dump.counters().into_iter().zip(counted.counters()) {
        if says != is {
            findings.push(Finding::DumpCounter { counter, says, is });
        }
    }
    let ran: Option<HashSet<u64>> =
        swimlane.map(|swimlane| swimlane.tasks.iter().map(|record| record.task_id).collect());
    for (index, tensor) in dump.tensors.iter().enumerate() {
        check_tensor(index, tensor, facts.dump_bytes, findings);
        let task_id = tensor.task_id;
        if ran.as_ref().is_some_and(|ran| !ran.contains(&task_id)) && !facts.deferred.contains(&task_id) {
            findings.push(Finding::DumpUnknownTask { index, task_id });
        }
    }
}

fn check_tensor(index: usize, tensor: &DumpedTensor, file: Option<u64>, findings: &mut Vec<Finding>) {
    let &DumpedTensor { task_id, arg_index, stage, numel, bin_offset, bin_size, .. } = tensor;
    let is = tensor.shape.iter().map(|&extent| u64::from(extent)).fold(1, u64::saturating_mul);
    if numel != is {
        findings.push(Finding::DumpSize { index, task_id, arg_index, says: numel, is });
    }
    if let Some(dtype) = tensor.dtype.0
        && !tensor.truncated
        && !tensor.overwritten
    {
        let is = numel.saturating_mul(dtype.element_size() as u64);
        if bin_size != is {
            findings.push(Finding::DumpSize { index, task_id, arg_index, says: bin_size, is });
        }
    }
    let end = bin_offset.saturating_add(bin_size);
    if let Some(length) = file.filter(|&length| end > length) {
        findings.push(Finding::DumpOutside { index, task_id, arg_index, begin: bin_offset, end, length });
    }
    let fits = match tensor.role {
        Role::Input => stage == Stage::BeforeDispatch,
        Role::Output => stage == Stage::AfterCompletion,
        Role::Inout => true,
    };
    if !fits {
        findings.push(Finding::DumpStage { index, task_id, arg_index, stage });
    }
}
