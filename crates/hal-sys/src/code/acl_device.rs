use super::Fault::*;
use super::{Entry, row};
pub(super) const ENTRIES: &[Entry] = &[];
