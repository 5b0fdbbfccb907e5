//! Notices at once when the process of another rank ends.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::seat::Seat;

/// A thread that sleeps until a process of the job ends. There is none for a job within one process.
///
/// Waits also look from time to time, so where processes cannot be watched, as across some containers, the end of one
/// is noticed a little later.
pub(crate) struct Watcher {
    running: Option<Running>,
}

struct Running {
    stop: Arc<OwnedFd>,
    thread: JoinHandle<()>,
}

impl Watcher {
    pub(crate) fn start(seat: &Arc<Seat>) -> Self {
        let peers = peers(seat);
        if peers.is_empty() {
            return Self { running: None };
        }
        let running = spawn(Arc::clone(seat), peers);
        if let Err(error) = &running {
            log::warn!("the end of other ranks is noticed a little late: {error}");
        }
        Self { running: running.ok() }
    }
}

fn spawn(seat: Arc<Seat>, peers: Vec<(u32, OwnedFd)>) -> io::Result<Running> {
    let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name(format!("rank-{}-watch", seat.rank))
        .spawn(move || watch(&seat, peers, &stopped))?;
    Ok(Running { stop, thread })
}

/// The namespace of this process's number; 0 if the system does not tell.
pub(crate) fn pid_space() -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// Ranks of other processes, as far as their numbers mean the same here.
fn peers(seat: &Seat) -> Vec<(u32, OwnedFd)> {
    let (header, own_space) = (seat.segment.content(), pid_space());
    let mut peers = Vec::new();
    for rank in 0..seat.ranks {
        let pid = header.pids[rank as usize].load(SeqCst);
        let is_known = header.pid_spaces[rank as usize].load(SeqCst) == own_space;
        if !is_known || pid == std::process::id() {
            continue;
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(process) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
            peers.push((rank, process));
        }
    }
    peers
}

fn watch(seat: &Seat, mut peers: Vec<(u32, OwnedFd)>, stop: &OwnedFd) {
    while !peers.is_empty() {
        let mut waiting: Vec<_> =
            peers.iter().map(|(_, process)| PollFd::new(process, PollFlags::IN)).collect();
        waiting.push(PollFd::new(stop, PollFlags::IN));
        match poll(&mut waiting, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return log::warn!("the end of other ranks is noticed a little late: {error}"),
        }
        let ended: Vec<bool> = waiting.iter().map(|waited| !waited.revents().is_empty()).collect();
        if ended.last() == Some(&true) {
            return;
        }
        let header = seat.segment.content();
        let mut index = 0;
        peers.retain(|(rank, _)| {
            let has_ended = ended[index];
            index += 1;
            if has_ended && header.left.load(SeqCst) & 1 << rank == 0 {
                header.dead.fetch_or(1 << rank, SeqCst);
            }
            !has_ended
        });
        header.notify();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let Some(Running { stop, thread }) = self.running.take() else { return };
        if let Err(error) = rustix::io::write(&*stop, &1u64.to_ne_bytes()) {
            return log::error!("a thread that watches other ranks goes on: {error}");
        }
        if thread.join().is_err() {
            log::error!("a thread that watches other ranks has panicked");
        }
    }
}
