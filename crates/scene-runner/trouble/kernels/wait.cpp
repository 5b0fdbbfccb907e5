// Waits for something that nobody does.
#include <condition_variable>
#include <mutex>

#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *) {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> lock(mutex);
    never.wait(lock, [] { return false; });
}
