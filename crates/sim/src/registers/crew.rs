use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use device_runner::DeviceError;

use crate::carrier::STACK;

/// Something for a thread to do.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads that are made once and sleep between runs.
#[derive(Debug, Default)]
pub(super) struct Crew {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Crew {
    /// Makes the threads that are still missing to `size`.
    pub(super) fn grow(&mut self, name: &str, size: u32) -> Result<(), DeviceError> {
        for index in self.members.len()..size as usize {
            let (sender, receiver) = channel();
            let thread = Builder::new()
                .name(format!("{name}-{index}"))
                .stack_size(STACK)
                .spawn(move || work(&receiver))
                .map_err(|source| DeviceError::Platform {
                    call: "starting a thread",
                    source: source.into(),
                })?;
            self.members.push(Member { jobs: sender, thread });
        }
        Ok(())
    }

    /// Gives each of the first threads its job.
    pub(super) fn start(&self, jobs: impl Iterator<Item = Job>) {
        for (member, job) in self.members.iter().zip(jobs) {
            // The other end lives as long as the thread, which ends after this one.
            let _ = member.jobs.send(job);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Lets the threads go on as they like: some are inside code that may never return.
    pub(super) fn abandon(&mut self) {
        self.members.clear();
    }
}

fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        // A job reports by itself, whatever happens in it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Waits for all of them, which must have nothing to do.
impl Drop for Crew {
    fn drop(&mut self) {
        for Member { jobs, thread } in self.members.drain(..) {
            drop(jobs);
            let _ = thread.join();
        }
    }
}
