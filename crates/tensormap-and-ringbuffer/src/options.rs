use task_interface::trb::{DEP_POOL_SIZE, HEAP_SIZE, TASK_WINDOW_SIZE};

use crate::rings::RingConfig;

/// Sizes of the rings, equal for all four (`spec/public-abi.md`, section F.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingOptions {
    /// Tasks that may be alive in a ring; a power of two from 4 on. 16384 unless set.
    pub task_window: Option<u32>,
    /// Bytes of a ring's output heap; a power of two from 1024 on. 256 MiB unless set.
    pub heap: Option<u64>,
    /// Entries for dependencies beyond 64 of a task; from 4 on. 16384 unless set.
    pub dep_pool: Option<u32>,
}

/// An option that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value} is not possible: {rule}")]
pub struct OptionError {
    name: &'static str,
    value: String,
    rule: &'static str,
}

const WINDOW_RULE: &str = "a power of two from 4 on";
const HEAP_RULE: &str = "bytes, a power of two from 1024 on";
const POOL_RULE: &str = "4 to 2147483647 entries";

impl RingOptions {
    /// Options with a task window of its own.
    #[must_use]
    pub fn task_window(mut self, tasks: u32) -> Self {
        self.task_window = Some(tasks);
        self
    }

    /// Options with a heap of its own, in bytes per ring.
    #[must_use]
    pub fn heap(mut self, bytes: u64) -> Self {
        self.heap = Some(bytes);
        self
    }

    /// Options with a dependency pool of its own.
    #[must_use]
    pub fn dep_pool(mut self, entries: u32) -> Self {
        self.dep_pool = Some(entries);
        self
    }

    /// The sizes, with the environment in place of what is not set. A value of the environment that is not
    /// possible is logged and ignored, as the contract says; but for a dependency pool beyond 2^31.
    pub(crate) fn resolve(self) -> Result<RingConfig, OptionError> {
        let window = match self.task_window {
            Some(window) => checked("task_window", u64::from(window), is_window, WINDOW_RULE)?,
            None => {
                from_environment("PTO2_RING_TASK_WINDOW", TASK_WINDOW_SIZE as u64, is_window, WINDOW_RULE)
            }
        };
        let heap = match self.heap {
            Some(heap) => checked("heap", heap, is_heap, HEAP_RULE)?,
            None => from_environment("PTO2_RING_HEAP", HEAP_SIZE, is_heap, HEAP_RULE),
        };
        let dep_pool = match self.dep_pool {
            Some(entries) => u64::from(entries),
            None => from_environment(
                "PTO2_RING_DEP_POOL",
                DEP_POOL_SIZE as u64,
                |entries| entries >= 4,
                POOL_RULE,
            ),
        };
        let dep_pool = checked("dep_pool", dep_pool, is_pool, POOL_RULE)?;
        Ok(RingConfig { window: narrow(window), heap, dep_pool: narrow(dep_pool) })
    }
}

/// Options of device programs that come from the environment alone (`spec/device-abi.md`, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadOptions {
    pub(crate) ready_queue_shards: u32,
    /// Whether the orchestrator's thread deals tasks once the graph is built.
    pub(crate) orch_to_sched: bool,
}

impl ThreadOptions {
    pub(crate) fn from_environment(max_threads: u32) -> Self {
        let max = u64::from(max_threads);
        let shards = from_environment(
            "PTO2_READY_QUEUE_SHARDS",
            max.saturating_sub(1),
            |shards| (1..=max).contains(&shards),
            "1 to the number of AICPU threads of the chip",
        );
        let to_sched = std::env::var("PTO2_ORCH_TO_SCHED").is_ok_and(|text| is_true(&text));
        Self { ready_queue_shards: narrow(shards), orch_to_sched: to_sched }
    }
}

fn is_true(text: &str) -> bool {
    text.starts_with(['1', 't', 'T'])
}

fn is_window(value: u64) -> bool {
    value >= 4 && value.is_power_of_two() && value <= 1 << 30
}

fn is_heap(value: u64) -> bool {
    value >= 1024 && value.is_power_of_two()
}

fn is_pool(value: u64) -> bool {
    (4..=i32::MAX as u64).contains(&value)
}

/// Values that were checked to be small enough.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn checked(
    name: &'static str,
    value: u64,
    valid: impl Fn(u64) -> bool,
    rule: &'static str,
) -> Result<u64, OptionError> {
    if valid(value) { Ok(value) } else { Err(OptionError { name, value: value.to_string(), rule }) }
}

fn from_environment(name: &'static str, default: u64, valid: impl Fn(u64) -> bool, rule: &str) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    match text.trim().parse().ok().filter(|&value| valid(value)) {
        Some(value) => value,
        None => {
            log::warn!("{name}={text} is ignored, {default} is used: it must be {rule}");
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        let resolve = |task_window, heap, dep_pool| RingOptions { task_window, heap, dep_pool }.resolve();
        assert_eq!(resolve(None, None, None), Ok(RingConfig::default()));
        let small = resolve(Some(4), Some(1024), Some(4)).unwrap();
        assert_eq!((small.window, small.heap, small.dep_pool), (4, 1024, 4));
        assert!(resolve(Some(3), None, None).unwrap_err().to_string().contains("task_window = 3"));
        assert!(resolve(Some(6), None, None).is_err() && resolve(None, Some(512), None).is_err());
        assert!(resolve(None, Some(3000), None).is_err() && resolve(None, None, Some(3)).is_err());
    }
}
