// The last statement of a kernel that stored through a pipe.
// Contract: spec/public-abi.md, section E.5.
#ifndef SIMPLER_INCORE_PIPE_SYNC_H_
#define SIMPLER_INCORE_PIPE_SYNC_H_

#if !defined(__CCE_AICORE__) && !defined(__aicore__)
#define __aicore__
#endif

/// Holds the scalar unit until the storing pipe (FIX on a cube core, MTE3 on a vector core) has finished, so
/// that the task is reported done only when its results are in memory. Uses event 7 between the two; keep
/// that event free. In simulation stores are done when they return: PTO-ISA's flags are empty there, and
/// without PTO-ISA there is nothing to wait for.
static __aicore__ inline void pipe_sync() {
#if defined(__CCE_AICORE__) || (defined(set_flag) && defined(wait_flag))
#if defined(__DAV_CUBE__)
    set_flag(PIPE_FIX, PIPE_S, EVENT_ID7);
    wait_flag(PIPE_FIX, PIPE_S, EVENT_ID7);
#else
    set_flag(PIPE_MTE3, PIPE_S, EVENT_ID7);
    wait_flag(PIPE_MTE3, PIPE_S, EVENT_ID7);
#endif
#endif
}

#endif  // SIMPLER_INCORE_PIPE_SYNC_H_
