// The AICore program to aicpu.c. Its kernels, of which 3 run on each core, are a part of it: they throw, hang, or
// count the runs of cores that are who they should be.
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

struct Handshake {
    uint32_t aicpu_ready, aicore_done;
    uint64_t task;
    int32_t core_type;
    uint32_t physical_core_id, aicpu_regs_ready, aicore_regs_ready, pad[8];
};

struct Image {
    Handshake cores[72];
    int32_t core_count, thread_count, ask, value;
    int32_t threads_seen, collectors_seen, runs_seen, kernels_run;
};

enum { HANG_IN_KERNEL = 4, THROW_IN_KERNEL };

static void kernel(Image *image, int worker) {
    if (image->ask == HANG_IN_KERNEL && worker == image->value)
        while (*static_cast<volatile int32_t *>(&image->ask) == HANG_IN_KERNEL) usleep(1000);
    if (image->ask == THROW_IN_KERNEL && worker == image->value) throw std::runtime_error("thrown by a kernel");
    __atomic_add_fetch(&image->kernels_run, 1, __ATOMIC_SEQ_CST);
}

extern "C" void aicore_execute_wrapper(Image *image, int worker, int32_t core_type, uint32_t physical, uint64_t table,
                                       uint32_t collectors, uint64_t ring) {
    Handshake &core = image->cores[worker];
    if (core.core_type != core_type || collectors != 0 || ring != 0) return;
    auto word = [](void *place) -> volatile uint32_t & { return *static_cast<volatile uint32_t *>(place); };
    while (word(&core.aicpu_ready) == 0) sched_yield();
    word(&core.physical_core_id) = physical;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    word(&core.aicore_regs_ready) = 1;
    while (word(&core.aicpu_regs_ready) == 0) sched_yield();
    char *block = reinterpret_cast<char *>(reinterpret_cast<uint64_t *>(table)[physical]);
    word(block + 0x4c8) = 0xffffffff;
    word(&core.aicore_done) = worker + 1;
    for (uint32_t last = 0x7ffffffd;;) {
        const uint32_t token = word(block + 0xa0);
        if (token == 0x7ffffff0) break;
        if (token == last || token == 0x7ffffffd) {
            sched_yield();
            continue;
        }
        word(block + 0x4c8) = token;
        kernel(image, worker);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        word(block + 0x4c8) = token | 1u << 31;
        last = token;
    }
    word(block + 0x4c8) = 0xfffffffe;
}
