//! Communicators: ranks of one or several processes that meet in a shared file (spec/hal.md, section 1.3).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::codes;
use crate::device::Device;
use crate::peers::{Note, unique_name};
use crate::region::{Alias, pointer};
use crate::stream::Job;

/// More ranks than any system has; they fit into the file.
const MOST_RANKS: u32 = 1024;
const FILE_BYTES: u64 = 64 << 10;
/// How long ranks wait for each other.
const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(1);

/// One rank of a group.
#[derive(Debug)]
pub(crate) struct Communicator {
    device: Arc<Device>,
    board: Arc<Board>,
    rank: u32,
    /// Barriers that were launched.
    barriers: AtomicU64,
}

/// The file, in which word 0 is the number of ranks, and word 8 + r is 0 until rank r is there, then one more
/// than the barriers it has come to.
#[derive(Debug)]
struct Board {
    mapping: Alias,
    ranks: u32,
}

impl Board {
    fn open(path: &Path, ranks: u32) -> Option<Self> {
        let file = File::options().read(true).write(true).open(path).ok()?;
        Some(Self { mapping: Alias::of(&file, 0, FILE_BYTES).ok()?, ranks })
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        let address = self.mapping.address + 8 * u64::from(index);
        // SAFETY: an aligned word of the mapping, which lives as long as `self`; all processes access it
        // atomically.
        unsafe { AtomicU64::from_ptr(pointer(address).cast()) }
    }

    fn rank(&self, rank: u32) -> &AtomicU64 {
        self.word(8 + rank)
    }

    /// Whether every rank has come so far.
    fn all_at(&self, count: u64) -> bool {
        (0..self.ranks).all(|rank| self.rank(rank).load(Ordering::SeqCst) >= count)
    }
}

/// Makes a new meeting place and returns its name.
pub(crate) fn new_group() -> Result<String, i32> {
    let name = unique_name("hccl");
    let made = File::create_new(Note::path(&name)).and_then(|file| file.set_len(FILE_BYTES));
    made.map(|()| name).map_err(|_| codes::HCCL_RUNTIME)
}

impl Communicator {
    /// Joins a group and waits until all ranks have.
    pub(crate) fn join(device: &Arc<Device>, name: &str, ranks: u32, rank: u32) -> Result<Arc<Self>, i32> {
        if rank >= ranks || ranks > MOST_RANKS || !name.starts_with("soft-cann-hccl-") {
            return Err(codes::HCCL_PARA);
        }
        let path = Note::path(name);
        let board = Board::open(&path, ranks).ok_or(codes::HCCL_PARA)?;
        let expected =
            board.word(0).compare_exchange(0, u64::from(ranks), Ordering::SeqCst, Ordering::SeqCst);
        let agreed = expected.map_or_else(|other| other == u64::from(ranks), |_| true);
        let first = board.rank(rank).compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if !agreed || !first {
            return Err(codes::HCCL_PARA);
        }
        let deadline = Instant::now() + LIMIT;
        while !board.all_at(1) {
            if device.is_lost() {
                return Err(codes::HCCL_RUNTIME);
            }
            if Instant::now() > deadline {
                return Err(codes::HCCL_TIMEOUT);
            }
            std::thread::sleep(POLL);
        }
        if rank == 0 {
            // All have it open; what cannot be removed stays in a folder for such.
            drop(std::fs::remove_file(path));
        }
        let (device, board) = (Arc::clone(device), Arc::new(board));
        Ok(Arc::new(Self { device, board, rank, barriers: AtomicU64::new(0) }))
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// What a stream has to do to wait for all other ranks' barriers.
    pub(crate) fn barrier(&self) -> Job {
        let count = 2 + self.barriers.fetch_add(1, Ordering::SeqCst);
        let (board, rank) = (Arc::clone(&self.board), self.rank);
        Box::new(move |task| {
            board.rank(rank).fetch_max(count, Ordering::SeqCst);
            let deadline = Instant::now() + LIMIT;
            while !board.all_at(count) {
                if Instant::now() > deadline {
                    return Err(codes::AICPU_EXCEPTION);
                }
                task.pause(Some(POLL));
                if task.is_killed() {
                    break;
                }
            }
            Ok(())
        })
    }
}
