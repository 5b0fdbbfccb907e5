//! Which kernels a task runs.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::enums::{ResourceShape, SubtaskSlot};
use crate::wire::assert_layout;

/// Marks an unused slot of [`MixedKernels`].
pub const INVALID_KERNEL_ID: i32 = -1;

/// Slots of a task that have a kernel, and how they start (`spec/public-abi.md`, section D.3). 1 byte.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct ActiveMask {
    /// The raw bits.
    pub raw: u8,
}

assert_layout!(ActiveMask, size 1, align 1, { raw @ 0 });

impl ActiveMask {
    /// The matrix core.
    pub const AIC: u8 = 1;
    /// The first vector core.
    pub const AIV0: u8 = 2;
    /// The second vector core.
    pub const AIV1: u8 = 4;
    /// All blocks start together. Not a core.
    pub const SYNC_START: u8 = 8;

    const CORES: u8 = Self::AIC | Self::AIV0 | Self::AIV1;

    /// The bit of a slot.
    #[must_use]
    pub const fn bit(slot: SubtaskSlot) -> u8 {
        match slot {
            SubtaskSlot::Aic => Self::AIC,
            SubtaskSlot::Aiv0 => Self::AIV0,
            SubtaskSlot::Aiv1 => Self::AIV1,
        }
    }

    /// The same mask with this slot active.
    #[must_use]
    pub const fn with(self, slot: SubtaskSlot) -> Self {
        Self { raw: self.raw | Self::bit(slot) }
    }

    /// The same mask, all blocks starting together.
    #[must_use]
    pub const fn with_sync_start(self) -> Self {
        Self { raw: self.raw | Self::SYNC_START }
    }

    /// Whether this slot is active.
    #[must_use]
    pub const fn contains(self, slot: SubtaskSlot) -> bool {
        self.raw & Self::bit(slot) != 0
    }

    /// Whether all blocks start together.
    #[must_use]
    pub const fn sync_start(self) -> bool {
        self.raw & Self::SYNC_START != 0
    }

    /// Number of active slots, 0..=3.
    #[must_use]
    pub const fn count(self) -> u32 {
        (self.raw & Self::CORES).count_ones()
    }

    /// What a task with this mask occupies.
    #[must_use]
    pub const fn shape(self) -> ResourceShape {
        match self.raw & Self::CORES {
            0 => ResourceShape::Dummy,
            Self::AIC => ResourceShape::Aic,
            Self::AIV0 | Self::AIV1 => ResourceShape::Aiv,
            _ => ResourceShape::Mix,
        }
    }
}

impl fmt::Debug for ActiveMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActiveMask({:#06b})", self.raw)
    }
}

/// The kernels of one task, one per kind of core (`spec/public-abi.md`, section D.3). 12 bytes.
///
/// Every id but [`INVALID_KERNEL_ID`] marks its slot as used; whether a kernel with that id exists is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MixedKernels {
    /// Kernel of the matrix core.
    pub aic_kernel_id: i32,
    /// Kernel of the first vector core.
    pub aiv0_kernel_id: i32,
    /// Kernel of the second vector core.
    pub aiv1_kernel_id: i32,
}

assert_layout!(MixedKernels, size 12, align 4, { aic_kernel_id @ 0, aiv0_kernel_id @ 4, aiv1_kernel_id @ 8 });

impl MixedKernels {
    /// No kernel at all.
    pub const NONE: Self = Self {
        aic_kernel_id: INVALID_KERNEL_ID,
        aiv0_kernel_id: INVALID_KERNEL_ID,
        aiv1_kernel_id: INVALID_KERNEL_ID,
    };

    /// The kernel id of a slot, if the slot is used.
    #[must_use]
    pub const fn kernel_id(&self, slot: SubtaskSlot) -> Option<i32> {
        let id = match slot {
            SubtaskSlot::Aic => self.aic_kernel_id,
            SubtaskSlot::Aiv0 => self.aiv0_kernel_id,
            SubtaskSlot::Aiv1 => self.aiv1_kernel_id,
        };
        if id == INVALID_KERNEL_ID { None } else { Some(id) }
    }

    /// The used slots.
    #[must_use]
    pub fn active(&self) -> ActiveMask {
        let used = SubtaskSlot::ALL.iter().filter(|&&slot| self.kernel_id(slot).is_some());
        used.fold(ActiveMask::default(), |mask, &slot| mask.with(slot))
    }

    /// What the task occupies.
    #[must_use]
    pub fn shape(&self) -> ResourceShape {
        self.active().shape()
    }

    /// The same kernels; a vector kernel alone in the second slot moves to the first, where the runtime expects it
    /// (section D.5).
    #[must_use]
    pub fn normalized(self) -> Self {
        if self.active().raw == ActiveMask::AIV1 {
            Self { aiv0_kernel_id: self.aiv1_kernel_id, ..Self::NONE }
        } else {
            self
        }
    }
}

impl Default for MixedKernels {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn kernels(aic: i32, aiv0: i32, aiv1: i32) -> MixedKernels {
        MixedKernels { aic_kernel_id: aic, aiv0_kernel_id: aiv0, aiv1_kernel_id: aiv1 }
    }

    #[test]
    fn masks_and_shapes_follow_the_used_slots() {
        let cases = [
            (kernels(-1, -1, -1), 0, 0, ResourceShape::Dummy),
            (kernels(0, -1, -1), 1, 1, ResourceShape::Aic),
            (kernels(-1, 5, -1), 2, 1, ResourceShape::Aiv),
            (kernels(-1, -1, 5), 4, 1, ResourceShape::Aiv),
            (kernels(-1, 5, 6), 6, 2, ResourceShape::Mix),
            (kernels(1, 5, 6), 7, 3, ResourceShape::Mix),
            (kernels(i32::MIN, 5, -1), 3, 2, ResourceShape::Mix),
        ];
        for (kernels, mask, count, shape) in cases {
            assert_eq!(
                (kernels.active().raw, kernels.active().count(), kernels.shape()),
                (mask, count, shape)
            );
        }
        assert_eq!(MixedKernels::default().active(), ActiveMask::default());
        assert_eq!(kernels(1, -1, 3).kernel_id(SubtaskSlot::Aiv1), Some(3));
        assert_eq!(kernels(1, -1, 3).kernel_id(SubtaskSlot::Aiv0), None);
    }

    #[test]
    fn only_a_lonely_second_vector_kernel_moves() {
        assert_eq!(kernels(-1, -1, 9).normalized(), kernels(-1, 9, -1));
        for unchanged in [kernels(-1, 8, 9), kernels(1, -1, 9), kernels(-1, -1, -1)] {
            assert_eq!(unchanged.normalized(), unchanged);
        }
    }

    #[test]
    fn the_start_flag_is_not_a_core() {
        let mask = ActiveMask::default().with(SubtaskSlot::Aic).with_sync_start();
        assert_eq!((mask.raw, mask.count(), mask.shape()), (9, 1, ResourceShape::Aic));
        assert!(mask.sync_start() && mask.contains(SubtaskSlot::Aic) && !mask.contains(SubtaskSlot::Aiv0));
        assert_eq!(ActiveMask { raw: 0xf0 }.shape(), ResourceShape::Dummy);
        assert_eq!(format!("{mask:?}"), "ActiveMask(0b1001)");
    }
}
