use std::fmt;

use task_interface::CoreType;
use task_interface::records::RecordMemory;

use crate::diagnostics::Diagnostics;
use crate::error::RunnerError;
use crate::program::DeviceTime;

/// What differs between the chips, as a run-time value.
///
/// Implemented by the arch crates; everything equal in both chips lives here instead.
pub trait Arch: fmt::Debug + Send + Sync {
    /// Lower-case name as used in paths and messages: `a2a3`, `a5`.
    fn name(&self) -> &'static str;

    /// Numeric limits (`spec/device-abi.md`, section 1.1).
    fn limits(&self) -> &'static Limits;

    /// Whether kernels may wait for SDMA event records (`spec/public-abi.md`, section E.7); elsewhere every
    /// completion condition is a counter.
    fn has_sdma_event_records(&self) -> bool;

    /// What its runs can record (`spec/device-abi.md`, section 6).
    fn diagnostics(&self) -> &'static Diagnostics;

    /// All registers of a core, by id.
    fn registers(&self) -> &'static [Register];

    /// Bytes of the block that stands for one core's registers in simulation.
    fn sim_register_bytes(&self) -> u32;

    /// Where in that block the register at `offset` lies.
    fn sim_register_offset(&self, offset: u32) -> u32;

    /// Where its device programs leave what they record (`spec/device-abi.md`, section 6).
    fn records(&self) -> &'static RecordMemory;

    /// What its device programs have in simulation that the other chip's have not.
    fn sim_programs(&self) -> &'static SimPrograms;

    /// Clusters a run uses: 0 asks for all, otherwise 1 to the chip's maximum.
    ///
    /// # Errors
    /// [`RunnerError::BlockDim`] outside of that range.
    fn resolve_block_dim(&self, requested: i32) -> Result<u32, RunnerError> {
        let max = self.limits().max_block_dim;
        match u32::try_from(requested) {
            Ok(0) => Ok(max),
            Ok(block_dim) if block_dim <= max => Ok(block_dim),
            _ => Err(RunnerError::BlockDim { requested, max, arch: self.name() }),
        }
    }

    /// AICPU threads a run uses: 1 to the chip's maximum.
    ///
    /// # Errors
    /// [`RunnerError::AicpuThreads`] outside of that range.
    fn resolve_aicpu_threads(&self, requested: i32) -> Result<u32, RunnerError> {
        let max = self.limits().max_aicpu_threads;
        match u32::try_from(requested) {
            Ok(threads) if (1..=max).contains(&threads) => Ok(threads),
            _ => Err(RunnerError::AicpuThreads { requested, max, arch: self.name() }),
        }
    }
}

/// Numbers of one chip (`spec/device-abi.md`, section 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the arch crates build it; a new number must be given by both")]
pub struct Limits {
    /// Clusters of one launch at the most.
    pub max_block_dim: u32,
    /// Logical AICPU threads at the most.
    pub max_aicpu_threads: u32,
    /// AICPU threads that are always launched on hardware; the surplus leaves at the affinity gate.
    pub launched_aicpu_threads: u32,
    /// Exclusive upper bound of physical core ids.
    pub physical_core_ids: u32,
    /// Ticks of the device clock per second.
    pub clock_hz: u64,
    /// Op execution timeout given to the driver, in microseconds.
    pub op_timeout_us: u64,
    /// Synchronisation timeout of each stream, in milliseconds.
    pub stream_sync_timeout_ms: u64,
}

impl Limits {
    /// Whole ticks of the system counter that have passed at `time`.
    #[must_use]
    pub fn ticks(&self, time: DeviceTime) -> u64 {
        let ticks = u128::from(time.0) * u128::from(self.clock_hz) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// When as many ticks have passed.
    #[must_use]
    pub fn time(&self, ticks: u64) -> DeviceTime {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.clock_hz.max(1));
        DeviceTime(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// How a chip's device programs are called in simulation, where the chips differ (`spec/device-abi.md`, section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the arch crates build it; what is new must be given by both")]
pub struct SimPrograms {
    /// Functions of the AICPU program that take the address of memory for diagnostics, a `u64`.
    pub addresses: &'static [(&'static str, RecordPlace)],
    /// Functions of the AICPU program that switch a collector by a `bool`, with its bit of
    /// [`flags`](task_interface::records::flags).
    pub switches: &'static [(&'static str, u32)],
    /// Tables that the entry of the AICore program takes.
    pub rings: AicoreRings,
}

/// What of a launch's diagnostics an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a device has to serve all")]
pub enum RecordPlace {
    /// The swimlane.
    Swimlane,
    /// The table of where cores tell their times.
    CoreTimes,
    /// The tensor dump.
    Dump,
    /// Hardware counters.
    Pmu,
    /// The table of the registers that are these counters.
    PmuRegisters,
    /// Scope statistics.
    Scopes,
    /// Submits.
    Submits,
}

/// The tables of diagnostics memory by core that AICore programs take, each as a `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a device has to serve both")]
pub enum AicoreRings {
    /// That of the swimlane.
    Swimlane,
    /// Those of swimlane and performance counters.
    SwimlaneAndPmu,
}

/// A 32-bit register of a core (`spec/device-abi.md`, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct Register {
    /// Its name in the contract.
    pub name: &'static str,
    /// Its id; ids differ between the chips.
    pub id: u8,
    /// Bytes from the core's register base.
    pub offset: u32,
}

/// Index of a core in a launch: AIC cores first, then AIV cores in cluster order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u32);

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {}", self.0)
    }
}

/// Cores of a launch and how they form clusters of one AIC and two AIV.
///
/// Core `c < B` is the AIC of cluster `c`; cores `B + 2c` and `B + 2c + 1` are its AIV lanes
/// (`spec/device-abi.md`, notation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    block_dim: u32,
}

impl Topology {
    /// AIV cores of a cluster.
    pub const AIV_PER_CLUSTER: u32 = 2;
    /// Cores of a cluster.
    pub const CORES_PER_CLUSTER: u32 = 1 + Self::AIV_PER_CLUSTER;

    /// The cores of `block_dim` clusters.
    #[must_use]
    pub const fn new(block_dim: u32) -> Self {
        Self { block_dim }
    }

    /// Number of clusters.
    #[must_use]
    pub const fn block_dim(self) -> u32 {
        self.block_dim
    }

    /// Number of cores.
    #[must_use]
    pub const fn cores(self) -> u32 {
        self.block_dim * Self::CORES_PER_CLUSTER
    }

    /// Number of cores of one type.
    #[must_use]
    pub const fn cores_of(self, core_type: CoreType) -> u32 {
        match core_type {
            CoreType::Aic => self.block_dim,
            CoreType::Aiv => self.block_dim * Self::AIV_PER_CLUSTER,
        }
    }

    /// Ids of the cores of one type, ascending.
    #[must_use]
    pub const fn ids_of(self, core_type: CoreType) -> std::ops::Range<u32> {
        match core_type {
            CoreType::Aic => 0..self.block_dim,
            CoreType::Aiv => self.block_dim..self.cores(),
        }
    }

    /// The type of a core.
    #[must_use]
    pub const fn core_type(self, core: CoreId) -> CoreType {
        if core.0 < self.block_dim { CoreType::Aic } else { CoreType::Aiv }
    }

    /// The cluster a core belongs to.
    #[must_use]
    pub const fn cluster(self, core: CoreId) -> u32 {
        match self.core_type(core) {
            CoreType::Aic => core.0,
            CoreType::Aiv => (core.0 - self.block_dim) / Self::AIV_PER_CLUSTER,
        }
    }

    /// Sub-block id: the AIV lane 0 or 1; 0 on an AIC.
    #[must_use]
    pub const fn lane(self, core: CoreId) -> u32 {
        match self.core_type(core) {
            CoreType::Aic => 0,
            CoreType::Aiv => (core.0 - self.block_dim) % Self::AIV_PER_CLUSTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_one_aic_and_both_lanes() {
        let topology = Topology::new(5);
        for cluster in 0..5 {
            let members: Vec<_> = (0..topology.cores())
                .map(CoreId)
                .filter(|&core| topology.cluster(core) == cluster)
                .map(|core| (topology.core_type(core), topology.lane(core)))
                .collect();
            assert_eq!(members, [(CoreType::Aic, 0), (CoreType::Aiv, 0), (CoreType::Aiv, 1)]);
        }
        assert_eq!(topology.ids_of(CoreType::Aiv), 5..15);
        assert_eq!(topology.cores_of(CoreType::Aiv), 10);
    }
}
