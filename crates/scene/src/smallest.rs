//! The smallest rings with which a case passes.

use chip_worker::{RingOptions, RunnerError, TrbErrorCode, VariantError, WorkerError};

use crate::build::BuiltScene;
use crate::case::{Case, CaseReport, Setup, run_alone};
use crate::error::CaseError;

/// Sizes of the rings of `tensormap_and_ringbuffer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingSizes {
    /// Tasks per ring.
    pub task_window: u32,
    /// Bytes of outputs per ring.
    pub heap: u64,
    /// Entries for dependencies beyond 64.
    pub dep_pool: u32,
}

/// The least that is possible at all.
const LEAST: RingSizes = RingSizes { task_window: 4, heap: 1024, dep_pool: 4 };

/// What rings have unless they are told otherwise.
const DEFAULT: RingSizes = RingSizes { task_window: 16_384, heap: 256 << 20, dep_pool: 16_384 };

/// Runs a case with rings of the least size, and with larger ones for as long as the runtime says that they are too
/// small. What it says is thus checked as well: each of these runs has to end at once, and to release everything.
///
/// # Errors
/// Wrong results with any rings; any failure with rings as large as the case wants them.
pub fn run_with_smallest_rings(
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
) -> Result<(RingSizes, CaseReport), CaseError> {
    let most = RingSizes {
        task_window: case.own_rings().task_window.unwrap_or(DEFAULT.task_window),
        heap: case.own_rings().heap.unwrap_or(DEFAULT.heap),
        dep_pool: case.own_rings().dep_pool.unwrap_or(DEFAULT.dep_pool),
    };
    let mut sizes = LEAST;
    loop {
        let rings =
            RingOptions::default().task_window(sizes.task_window).heap(sizes.heap).dep_pool(sizes.dep_pool);
        let error = match run_alone(scene, &case.clone().rings(rings), setup) {
            Ok(report) => return Ok((sizes, report)),
            Err(error) => error,
        };
        let larger = sizes.larger(&error, most);
        if larger == sizes {
            return Err(error);
        }
        sizes = larger;
    }
}

impl RingSizes {
    /// Twice as much of what was too little, up to `most`.
    fn larger(self, error: &CaseError, most: Self) -> Self {
        let window = (self.task_window * 2).min(most.task_window);
        let heap = (self.heap * 2).min(most.heap);
        match error.of_rank() {
            CaseError::Worker(WorkerError::Runner(RunnerError::Variant(VariantError::Status {
                code,
                ..
            }))) => match TrbErrorCode::from_code(code.wrapping_neg()) {
                Some(TrbErrorCode::ScopeDeadlock | TrbErrorCode::FlowControlDeadlock) => {
                    Self { task_window: window, ..self }
                }
                Some(TrbErrorCode::HeapRingDeadlock) => Self { heap, ..self },
                Some(TrbErrorCode::DepPoolOverflow) => {
                    Self { dep_pool: (self.dep_pool * 2).min(most.dep_pool), ..self }
                }
                _ => self,
            },
            // The case wanted the run to fail, and it did for another reason than the one wanted.
            CaseError::Check(_) => Self { task_window: window, heap, ..self },
            _ => self,
        }
    }
}
