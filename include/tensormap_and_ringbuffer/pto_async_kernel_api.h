// For kernels that start work which goes on after they have returned: the task completes only when the
// conditions are met that the kernel registered.
// Contract: spec/public-abi.md, sections E.3, E.7 and I.
//
//     AsyncCtx ctx = get_async_ctx(args);
//     save_expected_notification_counter(ctx, counter, 1);
//     send_notification(peers_counter, 1, pto::comm::NotifyOp::AtomicAdd);
//
// Conditions of all kernels and blocks of a task add up; a task with none completes when its kernels have
// returned. send_notification takes an enum of PTO-ISA and exists when PTO-ISA's headers are found.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ASYNC_KERNEL_API_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ASYNC_KERNEL_API_H_

#if defined(__CCE_AICORE__)
#error "pto_async_kernel_api.h is for simulated cores; on the device its writes would need cache flushes"
#endif

#include <cstdint>

#if __has_include(<pto/comm/pto_comm_inst.hpp>)
#include <pto/comm/comm_types.hpp>
#include <pto/comm/pto_comm_inst.hpp>
#endif

#include "aicore_completion_mailbox.h"
#include "intrinsic.h"
#include "pto_completion_token.h"
#include "pto_runtime_status.h"

/// The context of the task that this kernel runs for. A copy; the conditions themselves are shared.
inline __aicore__ AsyncCtx get_async_ctx(__gm__ int64_t *args) {
    return simpler::detail::local_context(args)->async_ctx;
}

#if !defined(SIMPLER_ARCH_A5)
/// Whether there is a task whose completion can be deferred.
inline __aicore__ bool async_ctx_is_deferred(const AsyncCtx &ctx) {
    return ctx.task_token.is_valid();
}
#endif

/// Adds a condition to the completion of the task. The memory it names stays valid until it is met. False, and
/// the run fails with PTO2_ERROR_ASYNC_WAIT_OVERFLOW, when there are 64 already; false, and nothing happens,
/// for a context without a task.
inline __aicore__ bool register_completion_condition(AsyncCtx &ctx, const CompletionToken &token) {
    if (ctx.completion_count == nullptr || ctx.completion_error_code == nullptr || ctx.completion_entries == nullptr) {
        return false;
    }
    const uint32_t count = *ctx.completion_count;
    if (count >= ctx.completion_capacity) {
        *ctx.completion_error_code = PTO2_ERROR_ASYNC_WAIT_OVERFLOW;
        return false;
    }
    volatile __gm__ DeferredCompletionEntry &entry = ctx.completion_entries[count];
    entry.addr = token.addr;
    entry.expected_value = token.expected_value;
    entry.engine = token.engine;
    entry.completion_type = token.completion_type;
    entry._pad = 0;
    // The entry before the count that makes it valid.
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *ctx.completion_count = count + 1;
    return true;
}

/// Completes the task only when the uint32_t at `counter_addr` is at least `expected_value`. A full context
/// fails the run, see register_completion_condition.
inline __aicore__ void save_expected_notification_counter(AsyncCtx &ctx,
                                                          volatile __gm__ void *counter_addr,
                                                          uint32_t expected_value) {
    const CompletionToken token{
        reinterpret_cast<uint64_t>(counter_addr), expected_value, COMPLETION_ENGINE_SDMA, COMPLETION_TYPE_COUNTER, 0};
    (void)register_completion_condition(ctx, token);
}

#if __has_include(<pto/comm/pto_comm_inst.hpp>)
/// Adds `value` to the int32_t counter at the address, or sets it to `value`; what this kernel wrote before is
/// visible to whoever sees the new count.
inline __aicore__ void send_notification(volatile __gm__ void *remote_counter_addr,
                                         int32_t value,
                                         pto::comm::NotifyOp notify_op) {
    auto *counter = reinterpret_cast<volatile __gm__ int32_t *>(remote_counter_addr);
    if (notify_op == pto::comm::NotifyOp::AtomicAdd) {
        __atomic_fetch_add(counter, value, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(counter, value, __ATOMIC_RELEASE);
    }
}
#endif

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ASYNC_KERNEL_API_H_
