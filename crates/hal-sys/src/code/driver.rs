use super::Fault::*;
use super::{Entry, row};
pub(super) const SUSPECT: &[i32] = &[7, 16, 17];
pub(super) const ENTRIES: &[Entry] = &[];
