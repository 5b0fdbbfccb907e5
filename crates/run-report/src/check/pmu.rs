//! Counters against records.

use std::collections::BTreeMap;

use run_records::{Pmu, Swimlane};

use super::Finding;

pub(super) fn check(pmu: &Pmu, swimlane: Option<&Swimlane>, findings: &mut Vec<Finding>) {
    if let Some(first) = pmu.rows.first().map(|row| row.event_type) {
        let rows = pmu.rows.iter().enumerate().filter(|(_, row)| row.event_type != first);
        findings.extend(rows.map(|(row, other)| Finding::PmuEventType {
            row,
            event_type: other.event_type,
            first,
        }));
    }
    let Some(swimlane) = swimlane else { return };
    // Rows and records of each kernel of each task on each core.
    let mut counts: BTreeMap<(u64, u32, u32), (usize, usize)> = BTreeMap::new();
    for row in &pmu.rows {
        counts.entry((row.task_id, row.func_id, row.core_id)).or_default().0 += 1;
    }
    for record in &swimlane.tasks {
        counts.entry((record.task_id, record.func_id, record.core_id)).or_default().1 += 1;
    }
    for ((task_id, func_id, core_id), (pmu, records)) in counts {
        if pmu != records {
            findings.push(Finding::PmuCount { task_id, func_id, core_id, pmu, records });
        }
    }
}
