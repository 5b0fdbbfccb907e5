// What kernels of several ranks have in common: addresses in windows, and words that one rank sets and another waits
// for. Signals count up from run to run in the same windows, so nobody has to clear them.
#ifndef SCENES_RANKS_H_
#define SCENES_RANKS_H_

#include <sched.h>

#include "platform_comm/comm_context.h"
#include "simpler_kernel.h"

/// A kernel's view of the windows of its ranks. Each starts with `SIGNALS` words for signals.
class Ranks {
public:
    static constexpr uint64_t SIGNALS = 64;

    explicit Ranks(int64_t context) : context_(reinterpret_cast<__gm__ const CommContext *>(context)) {}

    uint32_t own() const { return context_->rankId; }
    uint32_t count() const { return context_->rankNum; }
    uint32_t next() const { return (own() + 1) % count(); }

    /// The data in a rank's window, from element `first` on.
    template <typename T>
    __gm__ T *data(uint32_t rank, uint64_t first = 0) const {
        return reinterpret_cast<__gm__ T *>(context_->windowsIn[rank] + SIGNALS * sizeof(uint64_t)) + first;
    }

    /// Says in a rank's window that what was written before is there.
    void signal(uint32_t rank, uint32_t number, uint64_t value) const {
        __atomic_store_n(word(rank, number), value, __ATOMIC_RELEASE);
    }

    /// Waits until another rank has said so in this rank's window.
    void wait(uint32_t number, uint64_t value) const {
        while (__atomic_load_n(word(own(), number), __ATOMIC_ACQUIRE) < value) {
            sched_yield();
        }
    }

    /// Signals all ranks with this rank's own number, and waits until all of them have done the same.
    void meet(uint64_t value) const {
        for (uint32_t rank = 0; rank < count(); ++rank) {
            signal(rank, own(), value);
        }
        for (uint32_t rank = 0; rank < count(); ++rank) {
            wait(rank, value);
        }
    }

    /// Signal number `number` in a rank's window.
    __gm__ uint64_t *word(uint32_t rank, uint32_t number) const {
        return reinterpret_cast<__gm__ uint64_t *>(context_->windowsIn[rank]) + number;
    }

private:
    __gm__ const CommContext *context_;
};

#endif  // SCENES_RANKS_H_
