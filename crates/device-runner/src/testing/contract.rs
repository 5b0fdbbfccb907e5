use serde_json::Value;

use crate::arch::Arch;

/// Panics unless a chip's data is that of the measured contract (`spec/public-layouts.json`, given as text).
///
/// # Panics
/// With the name of the first number that differs.
#[allow(clippy::panic, reason = "an assertion for tests")]
pub fn assert_chip_is_the_contracts(chip: &dyn Arch, contract: &str, kernel_args_bytes: usize) {
    let contract: Value = serde_json::from_str(contract).unwrap_or_else(|error| panic!("{error}"));
    let constants = &contract["constants"][chip.name()]["common"];
    assert_limits(chip, constants);
    assert_registers(chip, constants, &contract["enums"][chip.name()]["RegId"]["values"]);
    let expected = contract[chip.name()]["KernelArgs"]["size"].as_u64();
    assert_eq!(Some(kernel_args_bytes as u64), expected, "KernelArgs");
}

fn assert_limits(chip: &dyn Arch, constants: &Value) {
    let limits = chip.limits();
    let ours = [
        ("PLATFORM_MAX_BLOCKDIM", u64::from(limits.max_block_dim)),
        ("PLATFORM_MAX_CORES", u64::from(limits.max_block_dim) * 3),
        ("PLATFORM_MAX_AICPU_THREADS", u64::from(limits.max_aicpu_threads)),
        ("PLATFORM_MAX_AICPU_THREADS_JUST_FOR_LAUNCH", u64::from(limits.launched_aicpu_threads)),
        ("PLATFORM_PROF_SYS_CNT_FREQ", limits.clock_hz),
        ("PLATFORM_OP_EXECUTE_TIMEOUT_US", limits.op_timeout_us),
        ("PLATFORM_STREAM_SYNC_TIMEOUT_MS", limits.stream_sync_timeout_ms),
    ];
    for (name, ours) in ours {
        assert_eq!(Some(ours), constants[name].as_u64(), "{name}");
    }
    // The chips name the size of the simulated block differently.
    let block = ["SIM_REG_BLOCK_SIZE", "SIM_REG_TOTAL_SIZE"].iter().find_map(|name| constants[name].as_u64());
    assert_eq!(Some(u64::from(chip.sim_register_bytes())), block, "bytes of the simulated registers");
}

fn assert_registers(chip: &dyn Arch, constants: &Value, ids: &Value) {
    assert_eq!(
        ids.as_object().map(serde_json::Map::len),
        Some(chip.registers().len()),
        "number of registers"
    );
    let mut places = Vec::new();
    for register in chip.registers() {
        let name = register.name;
        assert_eq!(ids[name].as_u64(), Some(u64::from(register.id)), "id of {name}");
        let offset =
            ["SPR", "MMIO"].iter().find_map(|kind| constants[format!("REG_{kind}_{name}_OFFSET")].as_u64());
        assert_eq!(Some(u64::from(register.offset)), offset, "offset of {name}");
        places.push(chip.sim_register_offset(register.offset));
    }
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0] + 4 <= pair[1]), "registers overlap: {places:x?}");
    assert!(places.iter().all(|place| place + 4 <= chip.sim_register_bytes()), "outside: {places:x?}");
}
