// An Arg that collects the tasks it depends on. Comes with pto_orchestration_api.h.
// Contract: spec/public-abi.md, section D.3; layout: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ARG_WITH_DEPS_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ARG_WITH_DEPS_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pto_orchestration_api.h"

/// An Arg with room for the ids of MAX_DEP_COUNT tasks, added one by one. Submitted like an Arg.
template <size_t MAX_DEP_COUNT = 16>
class ArgWithDeps : private Arg {
public:
    using Arg::add_inout;
    using Arg::add_input;
    using Arg::add_no_dep;
    using Arg::add_output;
    using Arg::add_scalar;
    using Arg::add_scalars;
    using Arg::add_scalars_i32;
    using Arg::copy_scalars_from;
    using Arg::error_msg;
    using Arg::has_error;
    using Arg::launch_spec;
    using Arg::set_error;

    /// Adds tasks that must be complete before this one starts. Their ids are copied. Beyond the room it
    /// records an error and adds none of them.
    template <typename... Ids>
    void add_dep(Ids... ids) {
        static_assert(sizeof...(Ids) > 0, "nothing to add");
        static_assert((std::is_same_v<Ids, PTO2TaskId> && ...), "dependencies are PTO2TaskId");
        if (sizeof...(Ids) > MAX_DEP_COUNT - count_) {
            set_error("add_dep: more ids than the ArgWithDeps has room for");
        } else {
            ((deps_[count_++] = ids), ...);
        }
    }

    /// Makes it as good as new, but for launch_spec.
    void reset() {
        Arg::reset();
        count_ = 0;
    }

    /// The Arg with all dependencies, for submitting; valid until the next change of this object. May be
    /// called again.
    Arg &finalize_for_submit() {
        set_dependencies(nullptr, 0);
        set_dependencies(deps_, count_);
        return *this;
    }

private:
    PTO2TaskId deps_[MAX_DEP_COUNT];
    uint32_t count_ = 0;
};

/// rt_submit_task with the dependencies of `awd`.
template <size_t N>
static inline TaskOutputTensors rt_submit_task(const MixedKernels &mixed_kernels, ArgWithDeps<N> &awd) {
    return rt_submit_task(mixed_kernels, awd.finalize_for_submit());
}

/// rt_submit_aic_task with the dependencies of `awd`.
template <size_t N>
static inline TaskOutputTensors rt_submit_aic_task(int32_t kernel_id, ArgWithDeps<N> &awd) {
    return rt_submit_aic_task(kernel_id, awd.finalize_for_submit());
}

/// rt_submit_aiv_task with the dependencies of `awd`.
template <size_t N>
static inline TaskOutputTensors rt_submit_aiv_task(int32_t kernel_id, ArgWithDeps<N> &awd) {
    return rt_submit_aiv_task(kernel_id, awd.finalize_for_submit());
}

static_assert(sizeof(ArgWithDeps<16>) == 648, "spec/public-abi.md, section D.3");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ARG_WITH_DEPS_H_
