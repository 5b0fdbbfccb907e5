//! What this library is for. A client finds that out by where the library lies, so it is fixed when it is built.

use std::ffi::CStr;

use chip_worker::{Platform, RuntimeKind};

#[cfg(not(any(feature = "a2a3", feature = "a5")))]
compile_error!("enable the cargo feature of one chip: a2a3 or a5");
#[cfg(not(any(feature = "sim", feature = "onboard")))]
compile_error!("enable the cargo feature of one kind of device: sim or onboard");
#[cfg(not(any(feature = "host_build_graph", feature = "tensormap_and_ringbuffer")))]
compile_error!("enable the cargo feature of one runtime: host_build_graph or tensormap_and_ringbuffer");

pub(crate) const PLATFORM: Platform = match (cfg!(feature = "a2a3"), cfg!(feature = "sim")) {
    (true, true) => Platform::A2a3Sim,
    (false, true) => Platform::A5Sim,
    (true, false) => Platform::A2a3,
    (false, false) => Platform::A5,
};

pub(crate) const RUNTIME: RuntimeKind = if cfg!(feature = "host_build_graph") {
    RuntimeKind::HostBuildGraph
} else {
    RuntimeKind::TensormapAndRingbuffer
};

/// [`PLATFORM`] by its name in the contract.
pub(crate) const PLATFORM_NAME: &CStr = match PLATFORM {
    Platform::A5Sim => c"a5sim",
    Platform::A2a3 => c"a2a3",
    Platform::A5 => c"a5",
    _ => c"a2a3sim",
};

/// [`RUNTIME`] by its name in the contract.
pub(crate) const RUNTIME_NAME: &CStr = match RUNTIME {
    RuntimeKind::TensormapAndRingbuffer => c"tensormap_and_ringbuffer",
    _ => c"host_build_graph",
};

/// The chip's name in the contract.
pub(crate) const ARCH_NAME: &str = PLATFORM.folders().0;

/// Whether the chip records dependencies; the other one ignores the request (`spec/public-abi.md`, section I).
pub(crate) const HAS_DEP_GEN: bool = matches!(PLATFORM, Platform::A2a3Sim | Platform::A2a3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        assert_eq!(PLATFORM_NAME.to_str().unwrap(), PLATFORM.name());
        assert_eq!(RUNTIME_NAME.to_str().unwrap(), RUNTIME.name());
        assert!(PLATFORM.name().starts_with(ARCH_NAME));
    }
}
