use std::fmt;
use std::str::FromStr;

use device_runner::Arch;

use crate::error::WorkerError;

/// A chip and what executes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// The a2a3 chip in simulation.
    A2a3Sim,
    /// The a5 chip in simulation.
    A5Sim,
}

impl Platform {
    /// All platforms, available or not.
    pub const ALL: [Self; 2] = [Self::A2a3Sim, Self::A5Sim];

    /// Its name in the contract (`spec/public-abi.md`, section A.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A2a3Sim => "a2a3sim",
            Self::A5Sim => "a5sim",
        }
    }

    /// Whether this build of the crate has it, by its cargo features.
    #[must_use]
    pub fn is_available(self) -> bool {
        cfg!(feature = "sim") && self.arch().is_some()
    }

    /// Clusters that its chip has; `None` where it is not available.
    #[must_use]
    pub fn max_block_dim(self) -> Option<u32> {
        self.arch().map(|arch| arch.limits().max_block_dim)
    }

    /// The chip, if this build has it.
    pub(crate) fn arch(self) -> Option<&'static dyn Arch> {
        match self {
            #[cfg(feature = "a2a3")]
            Self::A2a3Sim => Some(&arch_a2a3::CHIP),
            #[cfg(feature = "a5")]
            Self::A5Sim => Some(&arch_a5::CHIP),
            #[cfg(not(all(feature = "a2a3", feature = "a5")))]
            _ => None,
        }
    }

    /// The cargo features it needs.
    pub(crate) const fn features(self) -> &'static str {
        match self {
            Self::A2a3Sim => "a2a3 and sim",
            Self::A5Sim => "a5 and sim",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = WorkerError;

    fn from_str(name: &str) -> Result<Self, WorkerError> {
        Self::ALL.into_iter().find(|platform| platform.name() == name).ok_or_else(|| {
            WorkerError::UnknownName { what: "platform", name: name.to_owned(), known: "a2a3sim, a5sim" }
        })
    }
}

/// How task graphs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuntimeKind {
    /// The host builds the whole graph before it runs.
    HostBuildGraph,
    /// The graph is built on the device while its tasks already run; dependencies follow from tensors.
    TensormapAndRingbuffer,
}

impl RuntimeKind {
    /// All runtimes.
    pub const ALL: [Self; 2] = [Self::HostBuildGraph, Self::TensormapAndRingbuffer];

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HostBuildGraph => host_build_graph::HostBuildGraph::NAME,
            Self::TensormapAndRingbuffer => tensormap_and_ringbuffer::TensormapAndRingbuffer::NAME,
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RuntimeKind {
    type Err = WorkerError;

    fn from_str(name: &str) -> Result<Self, WorkerError> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name).ok_or_else(|| WorkerError::UnknownName {
            what: "runtime",
            name: name.to_owned(),
            known: "host_build_graph, tensormap_and_ringbuffer",
        })
    }
}
