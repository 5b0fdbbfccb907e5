//! What runs on this chip can record (`spec/device-abi.md`, section 6).

use device_runner::{Diagnostics, PmuCounter, PmuEvents, SubmitRecords};

pub(crate) static DIAGNOSTICS: Diagnostics = Diagnostics {
    has_dep_gen: true,
    has_fanout: false,
    submits: SubmitRecords::Whole,
    has_idle_phases: false,
    pmu: &PMU,
};

/// Hardware counters of a core.
const COUNTERS: usize = 8;

type Counters = [PmuCounter; COUNTERS];

/// The events and columns of section 6.3; counters beyond those that are named count nothing.
const fn counters<const N: usize>(named: [(u32, &'static str); N]) -> Counters {
    let mut all = [PmuCounter { event: 0, name: "" }; COUNTERS];
    let mut index = 0;
    while index < N {
        all[index] = PmuCounter { event: named[index].0, name: named[index].1 };
        index += 1;
    }
    all
}

static PMU: [PmuEvents; 7] = [
    PmuEvents { event_type: 1, counters: &ARITHMETIC },
    PmuEvents { event_type: 2, counters: &PIPE_UTILIZATION },
    PmuEvents { event_type: 4, counters: &MEMORY },
    PmuEvents { event_type: 5, counters: &MEMORY_L0 },
    PmuEvents { event_type: 6, counters: &RESOURCE_CONFLICT },
    PmuEvents { event_type: 7, counters: &MEMORY_UB },
    PmuEvents { event_type: 8, counters: &L2_CACHE },
];

static ARITHMETIC: Counters = counters([
    (0x49, "cube_fp16_exec"),
    (0x4a, "cube_int8_exec"),
    (0x4b, "vec_fp32_exec"),
    (0x4c, "vec_fp16_128lane_exec"),
    (0x4d, "vec_fp16_64lane_exec"),
    (0x4e, "vec_int32_exec"),
    (0x4f, "vec_misc_exec"),
]);

static PIPE_UTILIZATION: Counters = counters([
    (0x08, "vec_busy_cycles"),
    (0x0a, "cube_busy_cycles"),
    (0x09, "scalar_busy_cycles"),
    (0x0b, "mte1_busy_cycles"),
    (0x0c, "mte2_busy_cycles"),
    (0x0d, "mte3_busy_cycles"),
    (0x55, "icache_miss"),
    (0x54, "icache_req"),
]);

static MEMORY: Counters = counters([
    (0x15, "ub_read_req"),
    (0x16, "ub_write_req"),
    (0x31, "l1_read_req"),
    (0x32, "l1_write_req"),
    (0x0f, "l2_read_req"),
    (0x10, "l2_write_req"),
    (0x12, "main_read_req"),
    (0x13, "main_write_req"),
]);

static MEMORY_L0: Counters = counters([
    (0x1b, "l0a_read_req"),
    (0x1c, "l0a_write_req"),
    (0x21, "l0b_read_req"),
    (0x22, "l0b_write_req"),
    (0x27, "l0c_read_req"),
    (0x28, "l0c_write_req"),
]);

static RESOURCE_CONFLICT: Counters = counters([
    (0x64, "bankgroup_stall_cycles"),
    (0x65, "bank_stall_cycles"),
    (0x66, "vec_resc_conflict_cycles"),
]);

static MEMORY_UB: Counters = counters([
    (0x3d, "ub_read_bw_mte"),
    (0x10, "l2_write_bw"),
    (0x13, "main_mem_write_bw"),
    (0x3e, "ub_write_bw_mte"),
    (0x43, "ub_read_bw_vector"),
    (0x44, "ub_write_bw_vector"),
    (0x37, "ub_read_bw_scalar"),
    (0x38, "ub_write_bw_scalar"),
]);

static L2_CACHE: Counters = counters([
    (0x500, "write_cache_hit"),
    (0x502, "write_cache_miss_allocate"),
    (0x504, "r0_read_cache_hit"),
    (0x506, "r0_read_cache_miss_allocate"),
    (0x508, "r1_read_cache_hit"),
    (0x50a, "r1_read_cache_miss_allocate"),
]);
