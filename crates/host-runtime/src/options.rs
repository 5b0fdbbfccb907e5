//! Options of a context, by name.

use std::str::FromStr;
use std::time::Duration;

use chip_worker::{ChipWorker, ChipWorkerBuilder, RingOptions};

use crate::error::Failure;
use crate::selection::{PLATFORM, RUNTIME};

/// What a context will be made of when it gets its device.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    builder: ChipWorkerBuilder,
    rings: RingOptions,
}

#[cfg(not(feature = "onboard"))]
const NAMES: &str = "watchdog_ms, permits, memory_capacity, comm_limit_ms, task_window, heap, dep_pool";
#[cfg(feature = "onboard")]
const NAMES: &str = "watchdog_ms, permits, memory_capacity, comm_limit_ms, task_window, heap, dep_pool, \
                     op_timeout_ms, stream_timeout_ms";

impl Default for Options {
    fn default() -> Self {
        let builder = ChipWorker::builder().platform(PLATFORM).runtime(RUNTIME);
        Self { builder, rings: RingOptions::default() }
    }
}

impl Options {
    /// Sets the option `name` to the decimal number `value`.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let builder = self.builder.clone();
        match name {
            "watchdog_ms" => {
                let limit: u64 = number(name, value)?;
                self.builder = builder.watchdog((limit > 0).then(|| Duration::from_millis(limit)));
            }
            "permits" => match number(name, value)? {
                0 => return Err(Failure::invalid("option permits: at least 1 kernel has to run at a time")),
                permits => self.builder = builder.permits(permits),
            },
            "memory_capacity" => self.builder = builder.memory_capacity(number(name, value)?),
            "comm_limit_ms" => {
                self.builder = builder.comm_limit(Duration::from_millis(number(name, value)?));
            }
            #[cfg(feature = "onboard")]
            "op_timeout_ms" => {
                self.builder = builder.op_timeout(Duration::from_millis(number(name, value)?));
            }
            #[cfg(feature = "onboard")]
            "stream_timeout_ms" => {
                self.builder = builder.stream_timeout(Duration::from_millis(number(name, value)?));
            }
            "task_window" => self.rings = self.rings.task_window(number(name, value)?),
            "heap" => self.rings = self.rings.heap(number(name, value)?),
            "dep_pool" => self.rings = self.rings.dep_pool(number(name, value)?),
            _ => return Err(Failure::invalid(format!("there is no option \"{name}\"; known are {NAMES}"))),
        }
        Ok(())
    }

    /// The worker that these options describe.
    pub(crate) fn builder(&self, device: u32) -> ChipWorkerBuilder {
        self.builder.clone().rings(self.rings).device(device)
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, Failure> {
    value.parse().map_err(|_| Failure::invalid(format!("option {name}: \"{value}\" is not such a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_named_in_the_error_can_be_set() {
        let mut options = Options::default();
        for name in NAMES.split(", ") {
            options.set(name, "64").unwrap();
            assert!(options.set(name, "much").unwrap_err().text.contains(name));
            assert!(options.set(name, "-1").is_err());
        }
        assert!(options.set("permits", "0").is_err());
        assert!(options.set("task_window", "4294967296").is_err());
        assert!(options.set("speed", "1").unwrap_err().text.contains("watchdog_ms"));
    }
}
