use device_runner::Register;

const fn reg(name: &'static str, id: u8, offset: u32) -> Register {
    Register { name, id, offset }
}

/// All registers by id (`spec/device-abi.md`, section 2.2).
pub(crate) static REGISTERS: [Register; 31] = [
    reg("DATA_MAIN_BASE", 0, 0xd0),
    reg("COND", 1, 0x5108),
    reg("CTRL", 2, 0x0),
    reg("PMU_CTRL_0", 3, 0x4200),
    reg("PMU_CTRL_1", 4, 0x2400),
    reg("PMU_CNT0", 5, 0x4210),
    reg("PMU_CNT1", 6, 0x4218),
    reg("PMU_CNT2", 7, 0x4220),
    reg("PMU_CNT3", 8, 0x4228),
    reg("PMU_CNT4", 9, 0x4230),
    reg("PMU_CNT5", 10, 0x4238),
    reg("PMU_CNT6", 11, 0x4240),
    reg("PMU_CNT7", 12, 0x4248),
    reg("PMU_CNT8", 13, 0x4250),
    reg("PMU_CNT9", 14, 0x4254),
    reg("PMU_CNT_TOTAL0", 15, 0x4260),
    reg("PMU_CNT_TOTAL1", 16, 0x4264),
    reg("PMU_START_CYC0", 17, 0x42a0),
    reg("PMU_START_CYC1", 18, 0x42a4),
    reg("PMU_STOP_CYC0", 19, 0x42a8),
    reg("PMU_STOP_CYC1", 20, 0x42ac),
    reg("PMU_CNT0_IDX", 21, 0x2500),
    reg("PMU_CNT1_IDX", 22, 0x2504),
    reg("PMU_CNT2_IDX", 23, 0x2508),
    reg("PMU_CNT3_IDX", 24, 0x250c),
    reg("PMU_CNT4_IDX", 25, 0x2510),
    reg("PMU_CNT5_IDX", 26, 0x2514),
    reg("PMU_CNT6_IDX", 27, 0x2518),
    reg("PMU_CNT7_IDX", 28, 0x251c),
    reg("PMU_CNT8_IDX", 29, 0x2520),
    reg("PMU_CNT9_IDX", 30, 0x2524),
];

/// Bytes of the block that stands for one core's registers in simulation.
pub(crate) const SIM_BLOCK_BYTES: u32 = 0x4000;

/// Where a register lies in that block: three pages stand for the sparse address range.
pub(crate) const fn sim_block_offset(offset: u32) -> u32 {
    match offset {
        0..0x2400 => offset,
        0x2400..0x5000 => 0x1000 + (offset - 0x2400),
        _ => 0x3000 + (offset - 0x5000),
    }
}
