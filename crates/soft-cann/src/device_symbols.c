/* What programs on an AICPU find without naming a library, as they do on a chip: DlogRecord is in dlog.c. */
#include <stdint.h>

struct functions {
    uint32_t (*allocate)(void **, unsigned long long, unsigned long long);
    uint32_t (*free)(void *);
    int32_t (*check_log_level)(int32_t, int32_t);
};

static const struct functions *bound;

void soft_cann_bind_device(const struct functions *functions) { bound = functions; }

uint32_t halMemAlloc(void **address, unsigned long long size, unsigned long long flag) {
    return bound->allocate(address, size, flag);
}

uint32_t halMemFree(void *address) { return bound->free(address); }

int32_t CheckLogLevel(int32_t module, int32_t level) { return bound->check_log_level(module, level); }
