// Why a run failed: the codes of rt_report_fatal and of the runtime itself. A failed run returns the negative
// code to the client.
// Contract: spec/public-abi.md, section F.2.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_RUNTIME_STATUS_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_RUNTIME_STATUS_H_

#include <cstdint>

inline constexpr int32_t PTO2_ERROR_NONE = 0;

// Of the orchestration and of the calls it makes.
inline constexpr int32_t PTO2_ERROR_SCOPE_DEADLOCK = 1;         ///< more tasks in one scope than a ring has slots
inline constexpr int32_t PTO2_ERROR_HEAP_RING_DEADLOCK = 2;     ///< output memory used up, nothing is given back
inline constexpr int32_t PTO2_ERROR_FLOW_CONTROL_DEADLOCK = 3;  ///< task slots used up, nothing is given back
inline constexpr int32_t PTO2_ERROR_DEP_POOL_OVERFLOW = 4;      ///< no room for another dependency
inline constexpr int32_t PTO2_ERROR_INVALID_ARGS = 5;           ///< an Arg, a dependency or a scope mode is wrong
inline constexpr int32_t PTO2_ERROR_DEPENDENCY_OVERFLOW = 6;    ///< reserved; nothing reports it
inline constexpr int32_t PTO2_ERROR_REQUIRE_SYNC_START_INVALID = 7;  ///< more blocks to start together than cores
inline constexpr int32_t PTO2_ERROR_TENSOR_WAIT_TIMEOUT = 8;    ///< get_tensor_data or set_tensor_data gave up
inline constexpr int32_t PTO2_ERROR_EXPLICIT_ORCH_FATAL = 9;    ///< for the orchestration's own failures
inline constexpr int32_t PTO2_ERROR_SCOPE_TASKS_OVERFLOW = 10;  ///< more tasks in open scopes than can be tracked

// Of the execution.
inline constexpr int32_t PTO2_ERROR_SCHEDULER_TIMEOUT = 100;          ///< nothing happened for too long
inline constexpr int32_t PTO2_ERROR_ASYNC_COMPLETION_INVALID = 101;   ///< a completion condition of unknown kind
inline constexpr int32_t PTO2_ERROR_ASYNC_WAIT_OVERFLOW = 102;        ///< too many completion conditions
inline constexpr int32_t PTO2_ERROR_ASYNC_REGISTRATION_FAILED = 103;  ///< the conditions of a task contradict it

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_RUNTIME_STATUS_H_
