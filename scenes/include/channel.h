// A channel for one value at a time, between two cores of a cluster.
#ifndef SCENES_CHANNEL_H_
#define SCENES_CHANNEL_H_

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "simpler_kernel.h"

class Channel {
public:
    /// Waits until the channel is empty, then fills it.
    void push(uint64_t value) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !full_; });
        value_ = value;
        full_ = true;
        changed_.notify_all();
    }

    /// Waits until the channel is full, then empties it.
    uint64_t pop() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return full_; });
        full_ = false;
        changed_.notify_all();
        return value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool full_ = false;
    uint64_t value_ = 0;
};

/// The channel of this key in the calling core's cluster; null outside of a simulated core.
inline Channel *channel_of_cluster(uint64_t key = 1) {
    // What cores share is zero at first. Whoever comes first builds the channel, the others wait for that.
    enum State : uint32_t { EMPTY = 0, UNDER_CONSTRUCTION = 1, READY = 2 };
    struct Shared {
        std::atomic<uint32_t> state;
        alignas(Channel) unsigned char channel[sizeof(Channel)];
    };
    auto *shared = static_cast<Shared *>(simpler::pipe_shared_state(key, sizeof(Shared)));
    if (shared == nullptr) {
        return nullptr;
    }
    uint32_t state = EMPTY;
    if (shared->state.compare_exchange_strong(state, UNDER_CONSTRUCTION)) {
        new (shared->channel) Channel();
        shared->state.store(READY);
    }
    while (shared->state.load() != READY) {
        std::this_thread::yield();
    }
    return std::launder(reinterpret_cast<Channel *>(shared->channel));
}

#endif  // SCENES_CHANNEL_H_
