// What a kernel needs to be a kernel, in simulation and on the device.
// Contract: spec/public-abi.md, sections E.1, E.2, E.4 and E.6.
//
//     #include "simpler_kernel.h"
//     SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
//         auto *out = reinterpret_cast<__gm__ float *>(args[0]);
//         ...
//     }
//
// args holds what the orchestration gave to add_task, in that order. In simulation kernels of different
// cores run at the same time on several OS threads, and one after the other on the same thread: a plain
// static variable is shared by all of them, and a thread_local one holds what another core's kernel left.
#ifndef SIMPLER_INCORE_SIMPLER_KERNEL_H_
#define SIMPLER_INCORE_SIMPLER_KERNEL_H_

#include <cstddef>
#include <cstdint>

// The device compiler knows these words; a host compiler needs them to vanish. PTO-ISA defines them the
// same way, so the two headers may come in any order.
#if !defined(__CCE_AICORE__)
#ifndef __gm__
#define __gm__
#endif
#ifndef __aicore__
#define __aicore__
#endif
#endif

/// Starts the declaration of the one function the loader looks for, kernel_entry.
#if defined(__CCE_AICORE__)
#define SIMPLER_KERNEL extern "C" __aicore__
#else
#define SIMPLER_KERNEL extern "C" __attribute__((visibility("default")))
#endif

// Hooks exist in simulation only: a device kernel is one function at the start of its code. A kernel that
// brings its own pto_sim_register_hooks defines SIMPLER_KERNEL_NO_HOOKS first.
#if !defined(__CCE_AICORE__) && !defined(SIMPLER_KERNEL_NO_HOOKS)

namespace simpler {
namespace detail {

struct SimHooks {
    uint32_t (*subblock_id)();
    void *(*pipe_shared_state)(uint64_t key, size_t size);
};

// Hidden: each kernel library keeps the hooks it was given, also when a library in the global scope has a
// variable of this name. Written once by the loader, before the first call of kernel_entry.
__attribute__((visibility("hidden"))) inline SimHooks sim_hooks{nullptr, nullptr};

}  // namespace detail

/// Which vector core of its cluster runs this kernel, 0 or 1; 0 on a cube core, and when the loader gave no
/// hooks.
__attribute__((visibility("hidden"))) inline uint32_t subblock_id() {
    return detail::sim_hooks.subblock_id != nullptr ? detail::sim_hooks.subblock_id() : 0;
}

/// A block of at least `size` bytes shared by the cores of one cluster: the same address for the same key,
/// zero before its first use in a run, 16-byte aligned, gone after the run. The first caller's size counts.
/// Null for size 0, outside a simulated core, and when the loader gave no hooks.
__attribute__((visibility("hidden"))) inline void *pipe_shared_state(uint64_t key, size_t size) {
    return detail::sim_hooks.pipe_shared_state != nullptr ? detail::sim_hooks.pipe_shared_state(key, size) : nullptr;
}

}  // namespace simpler

/// Called by the loader right after it opened the library. Weak, so that all files of a kernel may include
/// this header; `used`, because nobody in the kernel calls it.
extern "C" __attribute__((visibility("default"), used)) inline void pto_sim_register_hooks(void *get_subblock_id,
                                                                                           void *get_pipe_shared_state) {
    simpler::detail::sim_hooks.subblock_id = reinterpret_cast<uint32_t (*)()>(get_subblock_id);
    simpler::detail::sim_hooks.pipe_shared_state =
        reinterpret_cast<void *(*)(uint64_t, size_t)>(get_pipe_shared_state);
}

#endif  // hooks

#endif  // SIMPLER_INCORE_SIMPLER_KERNEL_H_
