use device_runner::Register;

const fn reg(name: &'static str, id: u8, offset: u32) -> Register {
    Register { name, id, offset }
}

/// All registers by id (`spec/device-abi.md`, section 2.2).
pub(crate) static REGISTERS: [Register; 27] = [
    reg("DATA_MAIN_BASE", 0, 0xa0),
    reg("COND", 1, 0x4c8),
    reg("FAST_PATH_ENABLE", 2, 0x18),
    reg("CTRL", 3, 0x0),
    reg("PMU_CTRL_0", 4, 0x200),
    reg("PMU_CNT0", 5, 0x210),
    reg("PMU_CNT1", 6, 0x218),
    reg("PMU_CNT2", 7, 0x220),
    reg("PMU_CNT3", 8, 0x228),
    reg("PMU_CNT4", 9, 0x230),
    reg("PMU_CNT5", 10, 0x238),
    reg("PMU_CNT6", 11, 0x240),
    reg("PMU_CNT7", 12, 0x248),
    reg("PMU_CNT_TOTAL0", 13, 0x250),
    reg("PMU_CNT_TOTAL1", 14, 0x254),
    reg("PMU_START_CYC0", 15, 0x2a0),
    reg("PMU_START_CYC1", 16, 0x2a4),
    reg("PMU_STOP_CYC0", 17, 0x2a8),
    reg("PMU_STOP_CYC1", 18, 0x2ac),
    reg("PMU_CNT0_IDX", 19, 0x1280),
    reg("PMU_CNT1_IDX", 20, 0x1284),
    reg("PMU_CNT2_IDX", 21, 0x1288),
    reg("PMU_CNT3_IDX", 22, 0x128c),
    reg("PMU_CNT4_IDX", 23, 0x1290),
    reg("PMU_CNT5_IDX", 24, 0x1294),
    reg("PMU_CNT6_IDX", 25, 0x1298),
    reg("PMU_CNT7_IDX", 26, 0x129c),
];

/// Bytes of the block that stands for one core's registers in simulation.
pub(crate) const SIM_BLOCK_BYTES: u32 = 0x1400;

/// Where a register lies in that block: at its own offset.
pub(crate) const fn sim_block_offset(offset: u32) -> u32 {
    offset
}
