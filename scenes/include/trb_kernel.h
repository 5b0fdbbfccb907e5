// What kernels of tensormap_and_ringbuffer scenes have in common: their arguments, and waiting in memory.
#ifndef SCENES_TRB_KERNEL_H_
#define SCENES_TRB_KERNEL_H_

#include <sched.h>
#include <unistd.h>

#include "intrinsic.h"
#include "simpler_kernel.h"
#include "tensor.h"

/// Argument `index`, a tensor.
inline __gm__ const Tensor &tensor(__gm__ int64_t *args, int index) {
    return *reinterpret_cast<__gm__ const Tensor *>(args[index]);
}

/// First element of argument `index`, a tensor.
template <typename T>
inline __gm__ T *data(__gm__ int64_t *args, int index) {
    __gm__ const Tensor &t = tensor(args, index);
    return reinterpret_cast<__gm__ T *>(t.buffer.addr) + t.start_offset;
}

/// Elements of argument `index`, a tensor.
inline int64_t count(__gm__ int64_t *args, int index) {
    return static_cast<int64_t>(tensor(args, index).numel());
}

/// Argument `index`, a scalar.
template <typename T = uint64_t>
inline T scalar(__gm__ int64_t *args, int index) {
    return from_u64<T>(static_cast<uint64_t>(args[index]));
}

/// Waits in memory until `done` says so.
template <typename Done>
inline void wait_until(Done done) {
    while (!done()) {
        sched_yield();
    }
}

/// Waits until `participants` kernels have come here; the counter is 0 before.
inline void barrier(__gm__ uint64_t *counter, uint64_t participants) {
    __atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
    wait_until([=] { return __atomic_load_n(counter, __ATOMIC_ACQUIRE) >= participants; });
}

/// Gives others time to run first, if nothing makes them wait.
inline void dawdle() {
    usleep(500);
}

#endif  // SCENES_TRB_KERNEL_H_
