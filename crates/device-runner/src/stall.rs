use std::fmt;
use std::time::Duration;

use task_interface::CoreType;

use crate::arch::CoreId;
use crate::program::TaskId;

/// Why a run could not go on: every task that is stuck, and what each waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// Tasks whose kernel was started and has not returned.
    pub running: Vec<RunningTask>,
    /// Tasks that were never started.
    pub waiting: Vec<WaitingTask>,
    /// Tasks that had finished before.
    pub completed: u64,
    /// Whether code that builds the graph was still running.
    pub orchestrating: bool,
}

impl Stall {
    /// A report of what runs and what waits.
    #[must_use]
    pub fn new(running: Vec<RunningTask>, waiting: Vec<WaitingTask>, completed: u64) -> Self {
        Self { running, waiting, completed, orchestrating: false }
    }

    /// The same, while code that builds the graph was still running, or not.
    #[must_use]
    pub fn with_orchestration(mut self, orchestrating: bool) -> Self {
        self.orchestrating = orchestrating;
        self
    }
}

/// A task inside its kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "built by devices outside of this crate")]
pub struct RunningTask {
    /// The task.
    pub task: TaskId,
    /// Name of its kernel.
    pub kernel: String,
    /// The core it runs on.
    pub core: CoreId,
    /// That core's type.
    pub core_type: CoreType,
    /// For how long it has been running.
    pub elapsed: Duration,
}

/// A task that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "built by variants outside of this crate")]
pub struct WaitingTask {
    /// The task.
    pub task: TaskId,
    /// Name of its kernel.
    pub kernel: String,
    /// The type of core it needs.
    pub core_type: CoreType,
    /// Predecessors that have not finished; empty when it waits for a core only.
    pub unmet: Vec<TaskId>,
}

/// Lines of each list that the text shows; the lists themselves are whole.
const SHOWN: usize = 16;

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} task(s) done, {} inside a kernel, {} waiting",
            self.completed,
            self.running.len(),
            self.waiting.len()
        )?;
        if self.orchestrating {
            write!(f, "\n  running: the orchestration")?;
        }
        for task in self.running.iter().take(SHOWN) {
            write!(
                f,
                "\n  running: {} ({}) on {} {} for {:.1?}",
                task.task, task.kernel, task.core_type, task.core, task.elapsed
            )?;
        }
        more(f, self.running.len())?;
        for task in self.waiting.iter().take(SHOWN) {
            write!(f, "\n  waiting: {} ({}) ", task.task, task.kernel)?;
            match task.unmet.as_slice() {
                [] => write!(f, "for a free {} core", task.core_type)?,
                unmet => write!(f, "on {} for {}", task.core_type, list(unmet))?,
            }
        }
        more(f, self.waiting.len())
    }
}

fn more(f: &mut fmt::Formatter<'_>, len: usize) -> fmt::Result {
    if len > SHOWN { write!(f, "\n  ... and {} more", len - SHOWN) } else { Ok(()) }
}

fn list(tasks: &[TaskId]) -> String {
    let mut text: Vec<String> = tasks.iter().take(SHOWN).map(ToString::to_string).collect();
    if tasks.len() > SHOWN {
        text.push(format!("{} more", tasks.len() - SHOWN));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_tasks_kernels_cores_and_predecessors_and_stays_short() {
        let waiting = (0..40)
            .map(|task| WaitingTask {
                task: TaskId(task),
                kernel: "add".into(),
                core_type: CoreType::Aiv,
                unmet: if task == 0 { vec![] } else { vec![TaskId(task - 1), TaskId(99)] },
            })
            .collect();
        let running = vec![RunningTask {
            task: TaskId(99),
            kernel: "spin".into(),
            core: CoreId(3),
            core_type: CoreType::Aic,
            elapsed: Duration::from_millis(1500),
        }];
        let text = Stall::new(running, waiting, 7).to_string();
        assert!(text.starts_with("7 task(s) done, 1 inside a kernel, 40 waiting"), "{text}");
        assert!(text.contains("running: task 99 (spin) on AIC core 3 for 1.5s"), "{text}");
        assert!(text.contains("waiting: task 0 (add) for a free AIV core"), "{text}");
        assert!(text.contains("waiting: task 5 (add) on AIV for task 4, task 99"), "{text}");
        assert!(text.ends_with("... and 24 more"), "{text}");
    }
}
