/*
 * An AICPU program of a2a3 in simulation (spec/device-abi.md, sections 2 and 7.2) that does what the image asks for.
 * Behind the handshakes of 72 cores an image has: number of cores, number of threads, what to do, a value, a result.
 */
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

struct handshake {
    uint32_t aicpu_ready, aicore_done;
    uint64_t task;
    int32_t core_type;
    uint32_t physical_core_id, aicpu_regs_ready, aicore_regs_ready, pad[8];
};

struct image {
    struct handshake cores[72];
    int32_t core_count, thread_count, ask, value;
    int32_t threads_seen, collectors_seen, runs_seen, pad;
};

/* Others are for kernels. */
enum { RETURN_AT_ONCE = 1, RETURN_AND_KEEP_CORES, NEVER_RETURN };

static uint64_t registers;
/* As in programs that keep what they were told: whatever is on shows. */
static int32_t collectors;
/* Starts anew with each copy. */
static int32_t runs;

#ifndef WITHOUT_REGISTERS
void set_platform_regs(uint64_t table) { registers = table; }
#endif
#define ADDRESS(name) \
    void name(uint64_t address) { collectors += address != 0; }
#define SWITCH(name) \
    void name(_Bool on) { collectors += on; }
ADDRESS(set_platform_dump_base)
ADDRESS(set_platform_l2_perf_base)
ADDRESS(set_platform_aicore_rotation_table)
ADDRESS(set_platform_pmu_base)
ADDRESS(set_platform_pmu_reg_addrs)
ADDRESS(set_platform_dep_gen_base)
ADDRESS(set_platform_scope_stats_base)
SWITCH(set_dump_tensor_enabled)
SWITCH(set_l2_swimlane_enabled)
SWITCH(set_pmu_enabled)
SWITCH(set_dep_gen_enabled)
SWITCH(set_scope_stats_enabled)

#define WORD(pointer) (*(volatile uint32_t *)(pointer))

static void await(volatile uint32_t *word, uint32_t value) {
    while (*word != value) sched_yield();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static char *block(const struct handshake *core) {
    return (char *)((uint64_t *)registers)[core->physical_core_id];
}

static void open_core(struct handshake *core) {
    WORD(&core->aicpu_ready) = 1;
    await(&core->aicore_regs_ready, 1);
    WORD(block(core) + 0xa0) = 0x7ffffffd;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    WORD(&core->aicpu_regs_ready) = 1;
    while (WORD(&core->aicore_done) == 0) sched_yield();
}

static void run_task(struct handshake *core, uint32_t token) {
    WORD(block(core) + 0xa0) = token;
    await((uint32_t *)(block(core) + 0x4c8), token | 1u << 31);
}

static void close_core(struct handshake *core) {
    WORD(block(core) + 0xa0) = 0x7ffffff0;
    await((uint32_t *)(block(core) + 0x4c8), 0xfffffffe);
}

int aicpu_execute(struct image *image) {
    if (__atomic_add_fetch(&image->threads_seen, 1, __ATOMIC_SEQ_CST) != 1) return 0;
    image->collectors_seen = collectors;
    image->runs_seen = ++runs;
    if (image->ask == RETURN_AT_ONCE) return image->value;
    for (int32_t i = 0; i < image->core_count; ++i) open_core(&image->cores[i]);
    if (image->ask == RETURN_AND_KEEP_CORES) return image->value;
    while (image->ask == NEVER_RETURN) usleep(1000);
    for (uint32_t token = 1; token <= 3; ++token)
        for (int32_t i = 0; i < image->core_count; ++i) run_task(&image->cores[i], token);
    for (int32_t i = 0; i < image->core_count; ++i) close_core(&image->cores[i]);
    return 0;
}
