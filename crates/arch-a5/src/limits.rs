use device_runner::Limits;

/// Numeric limits (`spec/device-abi.md`, section 1.1).
pub(crate) static LIMITS: Limits = Limits {
    max_block_dim: 36,
    max_aicpu_threads: 7,
    launched_aicpu_threads: 7,
    physical_core_ids: 108,
    clock_hz: 1_000_000_000,
    op_timeout_us: 1_000_000,
    stream_sync_timeout_ms: 2_000,
};
