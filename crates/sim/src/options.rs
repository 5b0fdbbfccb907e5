use std::time::Duration;

/// How a simulated device behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimOptions {
    /// A run in which no kernel finishes for this long is given up. `None` waits for ever.
    pub watchdog: Option<Duration>,
    /// Kernels that run at once while none of them is blocked. `None` takes the CPUs of the process.
    pub permits: Option<usize>,
    /// How long this device waits for other ranks of a job. `None` takes the limit of `rendezvous`, two minutes.
    pub comm_limit: Option<Duration>,
    /// Bytes of device memory.
    pub memory_capacity: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            watchdog: Some(Duration::from_secs(60)),
            permits: None,
            comm_limit: None,
            // That of the smaller chip; pages that are never touched cost nothing here.
            memory_capacity: 64 << 30,
        }
    }
}
