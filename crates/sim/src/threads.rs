//! What the operating system says a thread is doing.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a thread stands, as far as it can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It runs, or could.
    Runnable,
    /// It sleeps in a system call that may end by itself.
    Sleeping,
    /// It waits for another thread of this process without a time limit. The number changes whenever the
    /// thread has run in between.
    WaitsForThread { switches: u64 },
}

impl Activity {
    pub(crate) fn waits_for_thread(&self) -> bool {
        matches!(self, Self::WaitsForThread { .. })
    }
}

/// A thread that runs code which cannot be looked into, and what it says about itself.
#[derive(Debug, Default)]
pub(crate) struct WatchedThread {
    /// 0 until it has said who it is.
    id: AtomicU64,
    /// Whether it is in that code. Elsewhere it may wait for a lock, which is not to be taken for waiting in that code.
    inside: AtomicBool,
}

impl WatchedThread {
    /// Says that the calling thread is the one.
    pub(crate) fn is_here(&self) {
        self.id.store(current_id(), Ordering::Release);
    }

    /// Runs the code.
    pub(crate) fn inside<R>(&self, code: impl FnOnce() -> R) -> R {
        self.inside.store(true, Ordering::Release);
        let result = code();
        self.inside.store(false, Ordering::Release);
        result
    }

    /// Runs what that code has called, and which is ours again.
    pub(crate) fn outside<R>(&self, ours: impl FnOnce() -> R) -> R {
        self.inside.store(false, Ordering::Release);
        let result = ours();
        self.inside.store(true, Ordering::Release);
        result
    }

    /// What it does in that code; `None` when it is elsewhere.
    pub(crate) fn activity(&self) -> Option<Activity> {
        let id = self.id.load(Ordering::Acquire);
        (id != 0 && self.inside.load(Ordering::Acquire)).then(|| activity(id))
    }
}

/// Id of the calling thread, as in `/proc/self/task`.
fn current_id() -> u64 {
    // SAFETY: gettid has no preconditions.
    let id = unsafe { libc::gettid() };
    u64::try_from(id).unwrap_or(0)
}

/// What the thread `id` of this process is doing; `Runnable` when it cannot be seen.
fn activity(id: u64) -> Activity {
    let state =
        read(id, "stat").and_then(|stat| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()));
    if !matches!(state, Some('S' | 'D')) {
        return Activity::Runnable;
    }
    let waits = read(id, "syscall").is_some_and(|line| waits_for_ever_on_futex(&line));
    match (waits, switches(id)) {
        (true, Some(switches)) => Activity::WaitsForThread { switches },
        _ => Activity::Sleeping,
    }
}

fn read(id: u64, what: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/task/{id}/{what}")).ok()
}

/// Times the thread has left the CPU by itself.
fn switches(id: u64) -> Option<u64> {
    let status = read(id, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// `line` is that of `/proc/<pid>/syscall`: number, six arguments, stack and instruction pointer.
fn waits_for_ever_on_futex(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let number = words.next().and_then(|word| word.parse::<libc::c_long>().ok());
    // Arguments of futex: address, operation, value, time limit.
    number == Some(libc::SYS_futex) && words.nth(3) == Some("0x0")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Looks until the thread is seen as wanted; the test runner's own limit ends a test that never is.
    fn await_activity(id: u64, wanted: fn(&Activity) -> bool) -> Activity {
        loop {
            let seen = activity(id);
            if wanted(&seen) {
                return seen;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_waits_for_another_is_told_from_one_that_sleeps_or_runs() {
        let (id_sender, ids) = mpsc::channel();
        let (_keep, never) = mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            id_sender.send(current_id()).unwrap();
            let _ = never.recv();
        });
        let id = ids.recv().unwrap();
        let first = await_activity(id, |seen| matches!(seen, Activity::WaitsForThread { .. }));
        assert_eq!(activity(id), first, "it has not run since");
        assert_eq!(activity(current_id()), Activity::Runnable);
        drop(_keep);
        waiting.join().unwrap();
        assert_eq!(activity(id), Activity::Runnable, "a thread that is gone is not waited for");
    }

    #[test]
    fn only_what_happens_inside_counts() {
        let worker = WatchedThread::default();
        assert_eq!(worker.inside(|| worker.activity()), None, "nobody knows which thread it is");
        worker.is_here();
        assert_eq!(worker.activity(), None);
        let (inside, outside) = worker.inside(|| (worker.activity(), worker.outside(|| worker.activity())));
        assert_eq!((inside, outside), (Some(Activity::Runnable), None));
        assert_eq!(worker.activity(), None);
    }

    #[test]
    fn a_limited_wait_is_not_for_ever() {
        let line = |timeout| format!("{} 0x7f 0x80 0x2 {timeout} 0x0 0xffffffff 0x7f 0x7f", libc::SYS_futex);
        assert!(waits_for_ever_on_futex(&line("0x0")));
        assert!(!waits_for_ever_on_futex(&line("0x7ffe12")));
        assert!(!waits_for_ever_on_futex("running"));
        assert!(!waits_for_ever_on_futex(""));
    }
}
