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
    /// The a2a3 chip on hardware.
    A2a3,
    /// The a5 chip on hardware.
    A5,
}

/// Numbers of a chip (`spec/device-abi.md`, section 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChipNumbers {
    pub(crate) max_block_dim: u32,
    /// Ticks of its system counter per second.
    pub(crate) clock_hz: u64,
}

impl Platform {
    /// All platforms, available or not.
    pub const ALL: [Self; 4] = [Self::A2a3Sim, Self::A5Sim, Self::A2a3, Self::A5];

    /// Those in simulation, which need nothing but this program.
    pub const SIMULATED: [Self; 2] = [Self::A2a3Sim, Self::A5Sim];

    /// Its name in the contract (`spec/public-abi.md`, section A.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A2a3Sim => "a2a3sim",
            Self::A5Sim => "a5sim",
            Self::A2a3 => "a2a3",
            Self::A5 => "a5",
        }
    }

    /// Whether it is simulated.
    #[must_use]
    pub const fn is_simulated(self) -> bool {
        matches!(self, Self::A2a3Sim | Self::A5Sim)
    }

    /// Whether this build of the crate has it, by its cargo features. Hardware may be missing all the same.
    #[must_use]
    pub fn is_available(self) -> bool {
        let has_device = match self {
            Self::A2a3Sim | Self::A5Sim => cfg!(feature = "sim"),
            Self::A2a3 | Self::A5 => cfg!(feature = "onboard"),
        };
        has_device && self.arch().is_some()
    }

    /// Clusters that its chip has; `None` where it is not available.
    #[must_use]
    pub fn max_block_dim(self) -> Option<u32> {
        self.arch().map(|arch| arch.limits().max_block_dim)
    }

    /// Its chip and its variant in paths (`spec/public-abi.md`, section A.1).
    #[must_use]
    pub const fn folders(self) -> (&'static str, &'static str) {
        match self {
            Self::A2a3Sim => ("a2a3", "sim"),
            Self::A5Sim => ("a5", "sim"),
            Self::A2a3 => ("a2a3", "onboard"),
            Self::A5 => ("a5", "onboard"),
        }
    }

    /// What a loaded library may not tell of its chip, known also where this build leaves the chip out.
    pub(crate) const fn chip(self) -> ChipNumbers {
        match self {
            Self::A2a3Sim | Self::A2a3 => ChipNumbers { max_block_dim: 24, clock_hz: 50_000_000 },
            Self::A5Sim | Self::A5 => ChipNumbers { max_block_dim: 36, clock_hz: 1_000_000_000 },
        }
    }

    /// The chip, if this build has it.
    pub(crate) fn arch(self) -> Option<&'static dyn Arch> {
        match self {
            #[cfg(feature = "a2a3")]
            Self::A2a3Sim | Self::A2a3 => Some(&arch_a2a3::CHIP),
            #[cfg(feature = "a5")]
            Self::A5Sim | Self::A5 => Some(&arch_a5::CHIP),
            #[cfg(not(all(feature = "a2a3", feature = "a5")))]
            _ => None,
        }
    }

    /// The chip for a device on hardware, if this build has it.
    #[cfg(feature = "onboard")]
    pub(crate) fn onboard_chip(self) -> Option<&'static dyn onboard::OnboardChip> {
        match self {
            #[cfg(feature = "a2a3")]
            Self::A2a3 => Some(&arch_a2a3::CHIP),
            #[cfg(feature = "a5")]
            Self::A5 => Some(&arch_a5::CHIP),
            _ => None,
        }
    }

    /// The cargo features it needs.
    pub(crate) const fn features(self) -> &'static str {
        match self {
            Self::A2a3Sim => "a2a3 and sim",
            Self::A5Sim => "a5 and sim",
            Self::A2a3 => "a2a3 and onboard",
            Self::A5 => "a5 and onboard",
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
            WorkerError::UnknownName {
                what: "platform",
                name: name.to_owned(),
                known: "a2a3sim, a5sim, a2a3, a5",
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_chip_are_those_of_its_crate() {
        for platform in Platform::ALL {
            let Some(arch) = platform.arch() else { continue };
            let limits = arch.limits();
            let expected = ChipNumbers { max_block_dim: limits.max_block_dim, clock_hz: limits.clock_hz };
            assert_eq!(platform.chip(), expected);
            assert_eq!(platform.folders().0, arch.name());
        }
    }

    #[test]
    fn a_platform_is_found_by_its_name_and_is_simulated_or_not() {
        for platform in Platform::ALL {
            assert_eq!(platform.name().parse::<Platform>().unwrap(), platform);
            let (arch, variant) = platform.folders();
            assert_eq!(platform.is_simulated(), variant == "sim");
            assert_eq!(Platform::SIMULATED.contains(&platform), platform.is_simulated());
            assert_eq!(platform.name().trim_end_matches("sim"), arch);
        }
        assert!("a6".parse::<Platform>().unwrap_err().to_string().contains("a2a3sim, a5sim, a2a3, a5"));
    }
}
