/* Kernels that meet: each counts itself, waits for all others, and notes where it runs. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "soft_cann_device.h"

struct meeting {
    _Atomic uint64_t arrived;
    uint64_t expected;
    uint32_t notes[128][4]; /* by arrival: kind of core, block, sub-block, physical core */
    uint64_t registers[128];
};

static const struct soft_cann_core *core;

void soft_cann_bind_core(const struct soft_cann_core *given) { core = given; }

static void meet(void *args, uint32_t kind) {
    struct meeting *meeting = args;
    time_t start = time(0);
    uint64_t mine = atomic_fetch_add(&meeting->arrived, 1);
    uint32_t note[4] = {kind, core->block_idx(), core->sub_block_id(), core->core_id()};
    for (int i = 0; i < 4; i++) meeting->notes[mine][i] = note[i];
    meeting->registers[mine] = (uint64_t)core->registers();
    while (atomic_load(&meeting->arrived) < meeting->expected) {
        if (core->killed() || time(0) - start > 20) return;
        sched_yield();
    }
}

void aicore_kernel_0_mix_aic(void *args) { meet(args, 0); }
void aicore_kernel_0_mix_aiv(void *args) { meet(args, 1); }
