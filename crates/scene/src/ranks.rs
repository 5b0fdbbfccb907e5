//! Cases of several ranks: a worker for each, in threads of this process or with the others in other processes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chip_worker::{ChipWorker, Launch, WorkerError};

use crate::build::BuiltScene;
use crate::case::{Case, CaseReport, Setup, linked_worker, run_and_close};
use crate::error::CaseError;

/// A rank's place in the job of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    pub(crate) rank: u32,
    pub(crate) ranks: u32,
    /// Where they meet.
    pub(crate) path: &'a Path,
    /// The rank that has failed first: others fail because of it, and may do so in many ways.
    pub(crate) first_to_fail: &'a OnceLock<u32>,
}

/// Notes that a rank has failed when this is dropped, on whatever way. For that it has to be dropped before the rank leaves
/// the job: others that see it leave fail at once.
pub(crate) struct Failure<'a>(pub(crate) Option<Seat<'a>>);

impl Failure<'_> {
    /// The rank has not failed.
    pub(crate) fn dismiss(mut self) {
        self.0 = None;
    }
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.0 {
            // Only the first one counts.
            let _ = seat.first_to_fail.set(seat.rank);
        }
    }
}

/// Makes a worker with a device id.
pub(crate) type MakeWorker<'a> = dyn Fn(u32) -> Result<ChipWorker, WorkerError> + Sync + 'a;

/// As much as the main thread of a program has: scenes calculate golden results on it.
const STACK_BYTES: usize = 8 << 20;

/// Runs all ranks of a case, as threads. Sums of what they did; times are those of the slowest.
pub(crate) fn run_ranks(
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    make: &MakeWorker<'_>,
) -> Result<CaseReport, CaseError> {
    let (ranks, path) = (case.rank_count(), place_of_threads());
    let first_to_fail = OnceLock::new();
    let run = |rank| {
        let seat = Seat { rank, ranks, path: &path, first_to_fail: &first_to_fail };
        let failure = Failure(Some(seat));
        let setup = setup.of_rank(rank);
        let worker = make(setup.device_id());
        let result = worker
            .map_err(CaseError::from)
            .and_then(|worker| run_and_close(worker, scene, case, &setup, Some(seat)));
        if result.is_ok() {
            failure.dismiss();
        }
        result
    };
    let results: Vec<Result<CaseReport, CaseError>> = thread::scope(|scope| {
        let run = &run;
        let started: Vec<_> = (0..ranks)
            .map(|rank| {
                let thread = thread::Builder::new().name(format!("rank{rank}")).stack_size(STACK_BYTES);
                thread.spawn_scoped(scope, move || run(rank))
            })
            .collect();
        let ended = started.into_iter().map(|thread| match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CaseError::Check("the case panicked".to_owned())),
            Err(error) => Err(CaseError::Check(format!("no thread for a rank: {error}"))),
        });
        ended.collect()
    });
    let still_running = results.iter().any(|result| result.as_ref().is_err_and(CaseError::may_still_run));
    let first = first_to_fail.get().copied();
    let mut sum = CaseReport::default();
    let mut failed = None;
    for (rank, result) in (0..).zip(results) {
        match result {
            Ok(report) => sum.add_rank(&report),
            Err(error) if failed.is_none() || first == Some(rank) => failed = Some((rank, error)),
            Err(_) => {}
        }
    }
    match failed {
        None => Ok(sum),
        Some((rank, error)) => Err(CaseError::Rank { rank, still_running, source: Box::new(error) }),
    }
}

/// Runs one rank of a case on a worker of its own, while other processes run the others; the report is that of this
/// rank.
///
/// # Errors
/// As [`run_alone`](crate::run_alone); [`CaseError::Check`] for a case of another number of ranks.
pub fn run_as_rank(
    scene: &BuiltScene,
    case: &Case,
    setup: &Setup,
    launch: Launch,
) -> Result<CaseReport, CaseError> {
    if launch.ranks != case.rank_count() {
        let text = format!("the case is one of {} ranks, and there are {}", case.rank_count(), launch.ranks);
        return Err(CaseError::Check(text));
    }
    let name = format!("simpler-scene-{}-{}-{}", scene.scene().name, case.name(), scene.platform());
    let path = std::env::temp_dir().join(name);
    let first_to_fail = OnceLock::new();
    let seat = Seat { rank: launch.rank, ranks: launch.ranks, path: &path, first_to_fail: &first_to_fail };
    let setup = setup.of_rank(launch.rank);
    let worker = linked_worker(scene, case, &setup, setup.device_id())?;
    run_and_close(worker, scene, case, &setup, Some(seat))
}

/// A place that no other case meets at. It is only a name: nothing is made there.
fn place_of_threads() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("simpler-scene-{}-{number}", std::process::id()))
}
