// What a kernel knows about the ranks of its job, and where their windows are.
// Contract: spec/public-abi.md, section A.6; layout: spec/device-layouts.json.
//
// The client makes the windows (comm_alloc_windows and its like) and passes the device address of this structure on as
// a scalar. Kernels of all ranks read and write the windows; there is no order between them but the one that kernels
// make, by a word that one of them stores with release order and the other one loads with acquire order:
//
//     #include "platform_comm/comm_context.h"
//     #include "simpler_kernel.h"
//     SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
//         auto *ranks = reinterpret_cast<__gm__ const CommContext *>(args[0]);
//         const uint32_t next = (ranks->rankId + 1) % ranks->rankNum;
//         auto *inbox = reinterpret_cast<__gm__ uint64_t *>(ranks->windowsIn[next]);
//         __atomic_store_n(inbox, 1, __ATOMIC_RELEASE);
//     }
//
// Address a window by windowsIn: in simulation windowsOut says the same, on hardware it is 0.
#ifndef SIMPLER_PLATFORM_COMM_COMM_CONTEXT_H_
#define SIMPLER_PLATFORM_COMM_COMM_CONTEXT_H_

#include <cstddef>
#include <cstdint>

/// Ranks of a job at the most.
static constexpr uint32_t COMM_MAX_RANK_NUM = 64;

/// The ranks of a job, or of a domain of it, as one of them sees them. Addresses are those of its own device.
struct CommContext {
    uint64_t workSpace;                      ///< memory for transfers by SDMA; 0 where there is none
    uint64_t workSpaceSize;                  ///< its bytes
    uint32_t rankId;                         ///< the rank of whoever reads this
    uint32_t rankNum;                        ///< how many ranks there are
    uint64_t winSize;                        ///< bytes of each window
    uint64_t windowsIn[COMM_MAX_RANK_NUM];   ///< each rank's window, its own among them; rankNum of them count
    uint64_t windowsOut[COMM_MAX_RANK_NUM];  ///< see above
};

static_assert(sizeof(CommContext) == 1056 && alignof(CommContext) == 8, "spec/device-layouts.json");
static_assert(offsetof(CommContext, workSpace) == 0, "spec/device-layouts.json");
static_assert(offsetof(CommContext, workSpaceSize) == 8, "spec/device-layouts.json");
static_assert(offsetof(CommContext, rankId) == 16, "spec/device-layouts.json");
static_assert(offsetof(CommContext, rankNum) == 20, "spec/device-layouts.json");
static_assert(offsetof(CommContext, winSize) == 24, "spec/device-layouts.json");
static_assert(offsetof(CommContext, windowsIn) == 32, "spec/device-layouts.json");
static_assert(offsetof(CommContext, windowsOut) == 544, "spec/device-layouts.json");

#endif  // SIMPLER_PLATFORM_COMM_COMM_CONTEXT_H_
