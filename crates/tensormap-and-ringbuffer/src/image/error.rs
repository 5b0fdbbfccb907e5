//! Why a run cannot become an image, and why an image cannot be run.

use std::fmt::Display;

use task_interface::trb::MAX_CLUSTERS_PER_SCHEDULER;

/// A launch that device programs would never end (`spec/device-abi.md`, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchLimit {
    /// No thread would be left to deal tasks.
    #[error(
        "{threads} AICPU thread(s) are too few: the last one builds the graph, the others deal tasks; \
         set aicpu_thread_num to 2 or more"
    )]
    Threads {
        /// Threads asked for.
        threads: u32,
    },
    /// A thread would have to serve more clusters than it can keep track of.
    #[error(
        "{clusters} clusters are too many for {schedulers} scheduling thread(s), of which each serves up to \
         {MAX_CLUSTERS_PER_SCHEDULER}; set a larger aicpu_thread_num, or a smaller block_dim"
    )]
    Clusters {
        /// Clusters of the run.
        clusters: u32,
        /// AICPU threads but the one that builds the graph.
        schedulers: u32,
    },
}

impl LaunchLimit {
    /// Checks a launch before anything is taken for it.
    pub(crate) fn check(threads: u32, clusters: u32) -> Result<(), Self> {
        match threads.saturating_sub(1) {
            0 => Err(Self::Threads { threads }),
            schedulers if clusters.div_ceil(schedulers) as usize > MAX_CLUSTERS_PER_SCHEDULER => {
                Err(Self::Clusters { clusters, schedulers })
            }
            _ => Ok(()),
        }
    }
}

/// Why a device program cannot run an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The image contradicts itself, or the chip.
    #[error(
        "the image of the run is not valid: {what} is {found}, expected {expected}; \
             host and device programs must be of one version and one chip"
    )]
    Invalid {
        /// The part that is wrong.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What could stand there.
        expected: String,
    },
    /// The orchestration cannot be loaded.
    #[error("the orchestration of callable {callable} cannot be used on the device: {source}")]
    Orchestration {
        /// The callable's id.
        callable: i32,
        /// Why.
        source: device_runner::VariantError,
    },
}

impl ImageError {
    pub(crate) fn invalid(what: &'static str, found: impl Display, expected: impl Display) -> Self {
        Self::Invalid { what, found: found.to_string(), expected: expected.to_string() }
    }

    /// What the AICPU program returns then (`spec/device-abi.md`, section 4.7).
    #[must_use]
    pub fn status(&self) -> i32 {
        -1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_that_could_never_end_are_refused() {
        assert_eq!(LaunchLimit::check(1, 1), Err(LaunchLimit::Threads { threads: 1 }));
        assert_eq!(LaunchLimit::check(0, 1), Err(LaunchLimit::Threads { threads: 0 }));
        assert_eq!(LaunchLimit::check(2, 21), Ok(()));
        assert_eq!(LaunchLimit::check(2, 22), Err(LaunchLimit::Clusters { clusters: 22, schedulers: 1 }));
        assert_eq!(LaunchLimit::check(3, 36), Ok(()));
        assert_eq!(LaunchLimit::check(3, 42), Ok(()));
        assert!(LaunchLimit::check(3, 43).unwrap_err().to_string().contains("aicpu_thread_num"));
    }
}
