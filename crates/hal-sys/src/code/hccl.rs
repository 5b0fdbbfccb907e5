use super::Fault::*;
use super::{Entry, row};
pub(super) const SUSPECT: &[i32] = &[15, 16];
pub(super) const ENTRIES: &[Entry] = &[];
