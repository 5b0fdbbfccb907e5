use collectors::RecordPlaces;
use device_runner::Arch;
use hal_sys::{Group, Hal, HalError};

/// What differs between the chips on hardware.
///
/// Implemented by the arch crates; everything that both chips do in the same way lives in this crate.
pub trait OnboardChip: Arch {
    /// Calls that it needs besides those that every chip does.
    fn needed_calls(&self) -> &'static [Group];

    /// The `KernelArgs` of a launch, which host, AICPU and AICore share (`spec/device-abi.md`, section 1.2).
    fn kernel_args(&self, launch: &LaunchArgs) -> Vec<u8>;

    /// Where each core's registers lie, by physical core id; 0 for a core that the device does not have
    /// (`spec/device-abi.md`, section 5.9).
    ///
    /// # Errors
    /// The driver's. On a device without any core, that of the call that says so.
    fn register_table(&self, hal: &Hal, device: u32, bank: RegisterBank) -> Result<Vec<u64>, HalError>;

    /// Whether the AICPU program reads counters through [registers of their own](RegisterBank::Pmu), whose table it is
    /// given when a launch counts.
    fn has_pmu_table(&self) -> bool;

    /// Whether it can be a rank of a job of several, whose kernels reach each other's windows (`spec/device-abi.md`,
    /// section 5.8).
    fn has_ranks(&self) -> bool;

    /// Whether the host sees the memory of records as it is (`halHostRegister`), and not in copies only.
    fn maps_records(&self) -> bool;

    /// The base that AICore programs hand to the FFTS unit; 0 on a chip that has none.
    ///
    /// # Errors
    /// The driver's.
    fn ffts_base(&self, hal: &Hal) -> Result<u64, HalError>;
}

/// A group of core registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a chip has to serve both")]
pub enum RegisterBank {
    /// Those that tasks are handed over with.
    Control,
    /// Those of the performance counters.
    Pmu,
}

/// What a launch says in its `KernelArgs`, by whatever place a chip has for it. Addresses are device addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchArgs {
    /// The device arguments.
    pub device_args: u64,
    /// The image to run.
    pub runtime: u64,
    /// The register table.
    pub registers: u64,
    /// Likewise, of the performance counters; 0 in a launch that does not count, and on a chip that has none.
    pub pmu_registers: u64,
    /// See [`OnboardChip::ffts_base`].
    pub ffts_base: u64,
    /// Severity from which the AICPU logs, 0 to 4.
    pub log_level: u32,
    /// Verbosity of its info lines, 0 to 9.
    pub log_verbosity: u32,
    /// Where what it records goes.
    pub records: RecordPlaces,
    /// A `u64` that receives the run time in nanoseconds.
    pub wall: u64,
    /// The device id, for file names.
    pub device_id: u32,
}
