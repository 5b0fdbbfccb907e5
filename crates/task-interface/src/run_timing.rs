//! Wall times of one run.

use bytemuck::{Pod, Zeroable};

use crate::wire::assert_layout;

/// Wall times that `run_prepared` reports (`spec/public-abi.md`, section A.3). 16 bytes.
///
/// Both values stay zero when a run fails before it reaches the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PtoRunTiming {
    /// Time spent by the host, in nanoseconds.
    pub host_wall_ns: u64,
    /// Time spent by the device, in nanoseconds.
    pub device_wall_ns: u64,
}

assert_layout!(PtoRunTiming, size 16, align 8, { host_wall_ns @ 0, device_wall_ns @ 8 });

impl PtoRunTiming {
    /// Time spent by the host, in microseconds.
    #[must_use]
    pub fn host_wall_us(&self) -> f64 {
        self.host_wall_ns as f64 / 1000.0
    }

    /// Time spent by the device, in microseconds.
    #[must_use]
    pub fn device_wall_us(&self) -> f64 {
        self.device_wall_ns as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::PtoRunTiming;

    #[test]
    fn microseconds_keep_the_fraction() {
        let timing = PtoRunTiming { host_wall_ns: 1_500, device_wall_ns: 250 };
        assert!((timing.host_wall_us() - 1.5).abs() < f64::EPSILON);
        assert!((timing.device_wall_us() - 0.25).abs() < f64::EPSILON);
    }
}
