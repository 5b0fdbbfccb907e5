use device_runner::Limits;

/// Numeric limits (`spec/device-abi.md`, section 1.1).
pub(crate) static LIMITS: Limits = Limits {
    max_block_dim: 24,
    max_aicpu_threads: 4,
    launched_aicpu_threads: 6,
    physical_core_ids: 75,
    clock_hz: 50_000_000,
    op_timeout_us: 1_000_000,
    stream_sync_timeout_ms: 2_000,
};
