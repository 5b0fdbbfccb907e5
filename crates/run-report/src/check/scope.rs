//! Scopes: borders in pairs, and nothing fuller than it can be.

use run_records::ScopeStats;
use run_records::scope::{Border, Header, Record};

use super::Finding;

pub(super) fn check(stats: &ScopeStats, findings: &mut Vec<Finding>) {
    let Header { dropped, total, fatal, .. } = stats.header;
    let records = stats.records.len();
    if dropped.saturating_add(records as u64) != total {
        findings.push(Finding::ScopeCount { records, dropped, total });
    }
    for (index, record) in stats.records.iter().enumerate() {
        check_capacity(index, record, &stats.header, findings);
    }
    // With lost records, borders have no partners.
    if dropped == 0 {
        check_borders(&stats.records, fatal, findings);
    }
}

fn check_borders(records: &[Record], fatal: bool, findings: &mut Vec<Finding>) {
    let mut open: Vec<i16> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let (site, depth) = (record.site.clone(), record.depth);
        match record.phase {
            Border::Begin if open.last().is_some_and(|&outer| depth != outer + 1) => {
                findings.push(Finding::ScopeDepth { index, site, depth, open: open.len() });
                open.push(depth);
            }
            Border::Begin => open.push(depth),
            Border::End => match open.pop() {
                None => findings.push(Finding::ScopeNotOpen { index, site }),
                Some(begun) if begun != depth => {
                    findings.push(Finding::ScopeDepth { index, site, depth, open: open.len() + 1 });
                }
                Some(_) => {}
            },
        }
    }
    // A fatal error ends the recording anywhere.
    if !open.is_empty() && !fatal {
        findings.push(Finding::ScopeLeftOpen { open: open.len() });
    }
}

fn check_capacity(index: usize, record: &Record, header: &Header, findings: &mut Vec<Finding>) {
    let ring = usize::try_from(record.ring).ok();
    let capacities = ring.and_then(|ring| header.task_window_max.get(ring).zip(header.heap_max.get(ring)));
    let Some((&window, &heap)) = capacities else {
        findings.push(Finding::ScopeRing { index, site: record.site.clone(), ring: record.ring });
        return;
    };
    let uses = [
        ("tasks of the ring", i128::from(record.tasks_alive()), i128::from(window)),
        ("bytes of the heap", i128::from(record.heap_used(heap)), i128::from(heap)),
        ("entries of the tensor map", i128::from(record.tensormap), i128::from(header.tensormap_max)),
    ];
    let over = uses.into_iter().find(|&(_, used, capacity)| used < 0 || used > capacity);
    if let Some((what, used, capacity)) = over {
        findings.push(Finding::ScopeOverCapacity { index, site: record.site.clone(), what, used, capacity });
    }
}
