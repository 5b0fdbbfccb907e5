//! The enums of the trb contract (`spec/public-abi.md`, section D.3).

use crate::wire_enum::wire_enum;

wire_enum! {
    /// How a scope finds the dependencies of its tasks. One byte in [`RuntimeHeader`](super::RuntimeHeader).
    ScopeMode: u8 {
        /// From the memory the tasks touch.
        Auto = 0 => "AUTO",
        /// From explicit dependencies only; also inside of every nested scope.
        Manual = 1 => "MANUAL",
    }
}

wire_enum! {
    /// Place of a kernel in a task, and of a core in a cluster.
    SubtaskSlot: u8 {
        /// The matrix (cube) core.
        Aic = 0 => "AIC",
        /// The first vector core.
        Aiv0 = 1 => "AIV0",
        /// The second vector core.
        Aiv1 = 2 => "AIV1",
    }
}

wire_enum! {
    /// What a task occupies while it runs.
    ResourceShape: u8 {
        /// One matrix core.
        Aic = 0 => "AIC",
        /// One vector core, whichever.
        Aiv = 1 => "AIV",
        /// Several cores of one cluster.
        Mix = 2 => "MIX",
        /// Nothing: the task only carries dependencies.
        Dummy = 3 => "DUMMY",
    }
}

wire_enum! {
    /// Who fulfils a completion condition. Informational: the runtime treats all alike.
    AsyncEngine: u32 {
        /// System DMA.
        Sdma = 0 => "SDMA",
        /// RDMA over converged Ethernet.
        Roce = 1 => "ROCE",
        /// Memory access over the unified bus.
        Urma = 2 => "URMA",
        /// Collective communication unit.
        Ccu = 3 => "CCU",
    }
}

wire_enum! {
    /// How a completion condition is tested (section E.7). An a5 runtime ignores the type and tests a counter.
    CompletionType: i32 {
        /// A 32-bit counter that must reach a value.
        Counter = 0 => "COUNTER",
        /// An [`SdmaEventRecord`](super::SdmaEventRecord) whose flag must be set; a2a3 only.
        SdmaEventRecord = 1 => "SDMA_EVENT_RECORD",
    }
}

wire_enum! {
    /// How a tensor relates to an earlier write of the same buffer (section D.5).
    OverlapStatus: i32 {
        /// No element in common; no dependency.
        NoOverlap = 0 => "NO_OVERLAP",
        /// The tensor contains everything that was written.
        Covered = 1 => "COVERED",
        /// Some overlap, or one that cannot be decided.
        Other = 2 => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::EnumError;

    #[test]
    fn numbers_round_trip_and_others_are_refused() {
        for &mode in ScopeMode::ALL {
            assert_eq!(ScopeMode::try_from(mode.raw()), Ok(mode));
        }
        for &kind in CompletionType::ALL {
            assert_eq!(CompletionType::try_from(i32::from(kind)), Ok(kind));
        }
        assert_eq!(ScopeMode::try_from(2), Err(EnumError::ScopeMode(2)));
        assert_eq!(SubtaskSlot::try_from(3), Err(EnumError::SubtaskSlot(3)));
        assert_eq!(ResourceShape::try_from(4), Err(EnumError::ResourceShape(4)));
        assert_eq!(AsyncEngine::try_from(4), Err(EnumError::AsyncEngine(4)));
        assert_eq!(CompletionType::try_from(-1), Err(EnumError::CompletionType(-1)));
        assert_eq!(OverlapStatus::try_from(3), Err(EnumError::OverlapStatus(3)));
    }

    #[test]
    fn errors_name_the_number() {
        for error in [EnumError::ScopeMode(77), EnumError::AsyncEngine(77), EnumError::OverlapStatus(77)] {
            assert!(error.to_string().starts_with("77 is not a"), "{error}");
        }
    }
}
