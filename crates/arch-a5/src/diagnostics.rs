//! What runs on this chip can record (`spec/device-abi.md`, section 6).

use device_runner::{Diagnostics, PmuCounter, PmuEvents, SubmitRecords};

pub(crate) static DIAGNOSTICS: Diagnostics = Diagnostics {
    has_dep_gen: false,
    has_fanout: true,
    submits: SubmitRecords::Steps,
    has_idle_phases: true,
    pmu: &PMU,
};

/// Hardware counters of a core.
const COUNTERS: usize = 10;

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

static ARITHMETIC: Counters = counters([(0x323, "cube_fp_instr_busy"), (0x324, "cube_int_instr_busy")]);

static PIPE_UTILIZATION: Counters = counters([
    (0x501, "pmu_idc_aic_vec_busy_o"),
    (0x301, "cube_instr_busy"),
    (0x1, "scalar_instr_busy"),
    (0x701, "mte1_instr_busy"),
    (0x202, "mte2_instr_busy"),
    (0x203, "mte3_instr_busy"),
    (0x34, "icache_req"),
    (0x35, "icache_miss"),
    (0x714, "pmu_fix_instr_busy"),
]);

static MEMORY: Counters = counters([
    (0, ""),
    (0, ""),
    (0x400, "bif_sc_pmu_read_main_instr_core"),
    (0x401, "bif_sc_pmu_write_main_instr_core"),
    (0x56f, "pmu_aiv_ext_rd_ub_instr"),
    (0x571, "ub_pmu_vec_rd_ub_acc"),
    (0x570, "pmu_aiv_ext_wr_ub_instr"),
    (0x572, "ub_pmu_vec_wr_ub_acc"),
    (0x707, "pmu_rd_l1_instr"),
    (0x709, "pmu_wr_l1_instr"),
]);

static MEMORY_L0: Counters = counters([
    (0x304, "cube_sc_pmu_read_l0a_instr"),
    (0x703, "pmu_wr_l0a_instr"),
    (0x306, "cube_sc_pmu_read_l0b_instr"),
    (0x705, "pmu_wr_l0b_instr"),
    (0x712, "fixp_rd_l0c_instr"),
    (0x30a, "cube_sc_pmu_read_l0c_instr"),
    (0x308, "cube_sc_pmu_write_l0c_instr"),
]);

static RESOURCE_CONFLICT: Counters = counters([
    (0x3556, "stu_pmu_wctl_ub_cflt"),
    (0x3540, "ldu_pmu_ib_ub_cflt"),
    (0x3502, "pmu_idc_aic_vec_instr_vf_busy_o"),
    (0x3528, "idu_pmu_ins_iss_cnt"),
]);

static MEMORY_UB: Counters = counters([
    (0x3, "pmu_rd_acc_ub_instr_p"),
    (0x5, "pmu_wr_acc_ub_instr_p"),
    (0x70c, "pmu_fix_wr_ub_instr"),
    (0x206, "mte_sc_pmu_write_acc_ub_instr_0"),
    (0x204, "mte_sc_pmu_read_acc_ub_instr_0"),
    (0x571, "ub_pmu_vec_rd_ub_acc"),
    (0x572, "ub_pmu_vec_wr_ub_acc"),
]);

static L2_CACHE: Counters = counters([
    (0x424, "bif_sc_pmu_ar_close_l2_hit_core"),
    (0x425, "bif_sc_pmu_ar_close_l2_miss_core"),
    (0x426, "bif_sc_pmu_ar_close_l2_victim_core"),
    (0x42a, "bif_sc_pmu_aw_close_l2_hit_core"),
    (0x42b, "bif_sc_pmu_aw_close_l2_miss_core"),
    (0x42c, "bif_sc_pmu_aw_close_l2_victim_core"),
]);
