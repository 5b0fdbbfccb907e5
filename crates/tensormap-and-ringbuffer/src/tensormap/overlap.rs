//! The overlap rule between the view of a new task and a view written before.
//!
//! `spec/device-abi.md`, section 4.11, fixes the order of the tests. All of them err on the side of a dependency:
//! only views with the same grid of strides are compared dimension by dimension.

use task_interface::trb::OverlapStatus;

use super::region::{MAX_DIMS, Region};

type Extents = [u64; MAX_DIMS];

/// Decides how `probe` meets `entry`, both of the same buffer. Positions count in elements, also between views of
/// different element types, as the contract has it.
pub(crate) fn overlap(probe: &Region, entry: &Region) -> OverlapStatus {
    if probe.version > entry.version {
        return OverlapStatus::Other;
    }
    if !ranges_meet(probe, entry) {
        return OverlapStatus::NoOverlap;
    }
    if !same_layout(probe, entry) {
        return OverlapStatus::Other;
    }
    let Some(grid) = grid(probe) else { return OverlapStatus::Other };
    match (position(probe, &grid), position(entry, &grid)) {
        (Some(at), Some(entry_at)) => compare(probe, &at, entry, &entry_at),
        _ => OverlapStatus::Other,
    }
}

/// Whether the element ranges have a common element.
fn ranges_meet(a: &Region, b: &Region) -> bool {
    let has_elements = a.first <= a.last && b.first <= b.last;
    has_elements && a.first <= b.last && b.first <= a.last
}

fn same_layout(a: &Region, b: &Region) -> bool {
    a.ndims > 0 && a.ndims == b.ndims && a.dtype == b.dtype && a.strides == b.strides
}

/// The shape of the tensor whose row-major strides these are, or `None` if there is none: each stride must divide
/// the one before it, the first one the storage, and the last one must be 1.
fn grid(probe: &Region) -> Option<Extents> {
    let mut shape = [0; MAX_DIMS];
    let mut outer = probe.storage;
    for (length, &stride) in shape.iter_mut().zip(&probe.strides[..probe.dims()]) {
        let stride = u64::from(stride);
        if stride == 0 || !outer.is_multiple_of(stride) {
            return None;
        }
        *length = outer / stride;
        outer = stride;
    }
    (outer == 1).then_some(shape)
}

/// The region's first index in the grid, if the whole region lies inside the grid.
fn position(region: &Region, grid: &Extents) -> Option<Extents> {
    let mut at = [0; MAX_DIMS];
    let mut rest = region.first;
    for dim in 0..region.dims() {
        let stride = u64::from(region.strides[dim]);
        at[dim] = rest.checked_div(stride)?;
        rest -= at[dim] * stride;
        if at[dim].checked_add(u64::from(region.shapes[dim]))? > grid[dim] {
            return None;
        }
    }
    Some(at)
}

/// Compares two boxes of one grid.
fn compare(probe: &Region, probe_at: &Extents, entry: &Region, entry_at: &Extents) -> OverlapStatus {
    let mut covered = true;
    for dim in 0..probe.dims() {
        let (from, to) = (probe_at[dim], probe_at[dim] + u64::from(probe.shapes[dim]));
        let (entry_from, entry_to) = (entry_at[dim], entry_at[dim] + u64::from(entry.shapes[dim]));
        if to <= entry_from || entry_to <= from {
            return OverlapStatus::NoOverlap;
        }
        covered &= from <= entry_from && entry_to <= to;
    }
    if covered { OverlapStatus::Covered } else { OverlapStatus::Other }
}
