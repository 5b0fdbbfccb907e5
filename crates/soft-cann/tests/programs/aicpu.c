/* Functions for an AICPU. Their argument block begins with the device address of a block of words. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

struct block {
    _Atomic uint64_t arrived; /* how many threads came */
    uint64_t expected;        /* how many have to come before any goes on */
    _Atomic uint64_t flag;    /* what `wait` waits for */
    uint64_t written;         /* what `write` writes, from the second word of the argument block */
};

static uint64_t calls; /* of this copy of the program */

static int in_time(time_t start) { return time(0) - start < 20; }

int gather(void *args) {
    struct block *block = *(struct block **)args;
    time_t start = time(0);
    atomic_fetch_add(&block->arrived, 1);
    while (atomic_load(&block->arrived) < block->expected) {
        if (!in_time(start)) return 1;
        sched_yield();
    }
    return 0;
}

int wait(void *args) {
    struct block *block = *(struct block **)args;
    time_t start = time(0);
    while (!atomic_load(&block->flag)) {
        if (!in_time(start)) return 1;
        sched_yield();
    }
    return 0;
}

int write(void *args) {
    uint64_t *words = args;
    ((struct block *)words[0])->written = words[1];
    return 0;
}

int count(void *args) {
    ((struct block *)*(uint64_t *)args)->written = ++calls;
    return 0;
}

/* Functions of the device. */
uint32_t halMemAlloc(void **address, unsigned long long size, unsigned long long flag);
uint32_t halMemFree(void *address);
void DlogRecord(int32_t module, int32_t level, const char *format, ...);
int32_t CheckLogLevel(int32_t module, int32_t level);

int allocate(void *args) {
    void *memory;
    if (halMemAlloc(&memory, 64, 1 << 14)) return 1;
    *(uint64_t *)memory = 11;
    ((struct block *)*(uint64_t *)args)->written = *(uint64_t *)memory;
    DlogRecord(3, 0, "allocated %d bytes", 64);
    return CheckLogLevel(3, 4) ? (int)halMemFree(memory) : 2;
}

int fail(void *args) { (void)args; return 3; }
