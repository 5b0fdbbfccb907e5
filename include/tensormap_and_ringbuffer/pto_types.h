// The arguments of a task and what submitting it returns.
// Contract: spec/public-abi.md, sections D.3, D.5 and I; layouts: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TYPES_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "arg_direction.h"
#include "pto_submit_types.h"
#include "pto_task_id.h"
#include "task_args.h"
#include "tensor.h"
#include "tensor_arg.h"

inline constexpr int MAX_TENSOR_ARGS = CORE_MAX_TENSOR_ARGS;  ///< tensors of one task
inline constexpr int MAX_SCALAR_ARGS = CORE_MAX_SCALAR_ARGS;  ///< scalars of one task

/// Engines that work beside the cores.
typedef enum {
    ASYNC_ENGINE_SDMA = 0,
    ASYNC_ENGINE_ROCE = 1,
    ASYNC_ENGINE_URMA = 2,
    ASYNC_ENGINE_CCU = 3,
    NUM_ASYNC_ENGINES = 4,  ///< how many there are; not an engine
} AsyncEngine;

/// How a completion condition is met.
enum class CompletionType : int32_t {
    COUNTER = 0,  ///< a counter reaches a value
};

/// Who finds the dependencies of the tasks in a scope.
enum class PTO2ScopeMode : uint8_t {
    AUTO = 0,    ///< the runtime, from the memory that tasks read and write; set_dependencies adds to them
    MANUAL = 1,  ///< the orchestration: set_dependencies names all of them
};

namespace simpler {
namespace detail {

// Of this library; hidden, so that no other library's is taken for it.
__attribute__((visibility("hidden"))) inline bool selective_dump_requested = false;

}  // namespace detail
}  // namespace simpler

/// With true, Args made from now on dump only the tensors given to Arg::dump.
inline void set_tensor_dump_selective_requested(bool enable) {
    simpler::detail::selective_dump_requested = enable;
}
inline bool is_tensor_dump_selective_requested() {
    return simpler::detail::selective_dump_requested;
}

/// What submitting a task returns: its id, and the tensors that the runtime allocated for its outputs, in the
/// order in which the Arg asked for them. Without a task after a failure; then the run ends with an error.
class TaskOutputTensors {
public:
    TaskOutputTensors() : task_id_(PTO2TaskId::invalid()), output_count_(0), tensors_{} {}

    /// Whether there are no outputs; there may be a task.
    bool empty() const { return output_count_ == 0; }
    /// How many outputs there are.
    uint32_t size() const { return output_count_; }
    /// Output number `index`. The tensor belongs to the runtime and is valid until the scope that the task was
    /// submitted in ends. Throws AssertionError for an index outside [0, size()).
    const Tensor &get_ref(uint32_t index) const & {
        always_assert(index < output_count_);
        return *tensors_[index];
    }
    const Tensor &get_ref(uint32_t index) const && = delete;
    /// The task, for set_dependencies; invalid if there is none.
    PTO2TaskId task_id() const { return task_id_; }

    /// For runtimes: adds an output. The tensor stays where it is.
    void materialize_output(const Tensor &tensor) {
        always_assert(output_count_ < static_cast<uint32_t>(MAX_TENSOR_ARGS));
        tensors_[output_count_++] = &tensor;
    }
    /// For runtimes: names the task.
    void set_task_id(PTO2TaskId id) { task_id_ = id; }

private:
    PTO2TaskId task_id_;
    uint32_t output_count_;
    const Tensor *tensors_[MAX_TENSOR_ARGS];

};

#if !defined(SIMPLER_ARCH_A5)
using TaskSubmitResult = TaskOutputTensors;
#endif

/// A tensor of an Arg: the address of what was added. Which of the two is told by the tag.
union TensorRef {
    const Tensor *ptr;
    const TensorCreateInfo *create_info;  ///< for TensorArgType::OUTPUT

    TensorRef() : ptr(nullptr) {}
};

/// The arguments of a task: tensors, then scalars. The kernel gets them in the order in which they were added,
/// outputs included.
///
///     Arg args;
///     args.add_input(a, b);
///     args.add_output(c_info);
///     args.add_scalar(n, 0.5f);
///     TaskOutputTensors done = rt_submit_aiv_task(ADD, args);
///
/// Holds addresses: the tensors, infos and ids given to it must live until the task is submitted. Submitting
/// changes nothing, so an Arg may be submitted several times.
///
/// What is wrong with an Arg is recorded by the first call that finds it, and that call adds nothing;
/// submitting the Arg then fails the run with PTO2_ERROR_INVALID_ARGS.
struct Arg : TaskArgsTpl<TensorRef, uint64_t, MAX_TENSOR_ARGS, MAX_SCALAR_ARGS, TensorArgType> {
    bool has_error{false};           ///< whether something is wrong
    const char *error_msg{nullptr};  ///< the first thing that is
    PTO2LaunchSpec launch_spec;      ///< on how many cores; neither clear() nor reset() changes it

#if defined(SIMPLER_ARCH_A5)
    /// Takes everything out but a recorded error.
    void clear() { clear_all(); }
#endif

    /// Makes the Arg as good as new, but for launch_spec.
    void reset() {
        clear_all();
        has_error = false;
        error_msg = nullptr;
    }

    /// Records that something is wrong, unless something was before. The text must live as long as the Arg.
    void set_error(const char *msg) {
        if (!has_error) {
            has_error = true;
            error_msg = msg;
        }
    }

    /// Adds tensors that the task reads.
    template <typename... Args>
    void add_input(Args &&...args) {
        add_tensors<false, Args &&...>(TensorArgType::INPUT, args...);
    }

    /// Adds what the task writes: new tensors for TensorCreateInfo, and tensors that exist.
    template <typename... Args>
    void add_output(Args &&...args) {
        add_tensors<true, Args &&...>(TensorArgType::OUTPUT_EXISTING, args...);
    }

    /// Adds tensors that the task reads and writes.
    template <typename... Args>
    void add_inout(Args &&...args) {
        add_tensors<false, Args &&...>(TensorArgType::INOUT, args...);
    }

    /// Adds tensors that the task may use without being ordered after other writers of their memory; only the
    /// task that creates a tensor is waited for.
    template <typename... Args>
    void add_no_dep(Args &&...args) {
        add_tensors<false, Args &&...>(TensorArgType::NO_DEP, args...);
    }

    /// Adds scalars; arithmetic and enum types of at most 8 bytes, see to_u64.
    template <typename... Args>
    void add_scalar(Args... args) {
        static_assert(sizeof...(Args) > 0, "nothing to add");
        static_assert((is_supported_scalar_arg_v<Args> && ...),
                      "a scalar argument is an arithmetic or enum type of at most 8 bytes");
        if (has_room_for_scalars(sizeof...(Args))) {
            ((scalars_[scalar_count_++] = to_u64(args)), ...);
        }
    }

    /// Adds `count` scalars that are slots already.
    void add_scalars(const uint64_t *values, int count) {
        if (has_room_for_scalars(count)) {
            for (int i = 0; i < count; ++i) {
                scalars_[scalar_count_++] = values[i];
            }
        }
    }

    /// Adds `count` scalars of 32 bits, without sign extension.
    void add_scalars_i32(const int32_t *values, int count) {
        if (has_room_for_scalars(count)) {
            for (int i = 0; i < count; ++i) {
                scalars_[scalar_count_++] = to_u64(values[i]);
            }
        }
    }

    /// Adds `count` scalars of another Arg, from its scalar number `src_offset` on.
    void copy_scalars_from(const Arg &src, int src_offset, int count) {
        if (src_offset < 0 || count < 0 || src_offset > src.scalar_count_ - count) {
            set_error("copy_scalars_from: the source has no such scalars");
            return;
        }
        add_scalars(src.scalars_ + src_offset, count);
    }

    /// Names tasks that must be complete before this one starts; in MANUAL scopes the only ones. Once per Arg;
    /// a count of 0 takes the names out again, and others may be given.
    void set_dependencies(const PTO2TaskId *deps, uint32_t count) {
        if (count == 0) {
            explicit_deps_ = nullptr;
            explicit_dep_count_ = 0;
        } else if (deps == nullptr) {
            set_error("set_dependencies: the ids are a null pointer");
        } else if (explicit_dep_count_ != 0) {
            set_error("set_dependencies: called twice; take the first ids out with a count of 0");
        } else {
            explicit_deps_ = deps;
            explicit_dep_count_ = count;
        }
    }

    uint32_t explicit_dep_count() const { return explicit_dep_count_; }
    /// Throws AssertionError for an index outside [0, explicit_dep_count()).
    PTO2TaskId explicit_dep(uint32_t index) const {
        always_assert(index < explicit_dep_count_);
        return explicit_deps_[index];
    }
    const PTO2TaskId *explicit_deps_data() const { return explicit_deps_; }

    /// Marks tensors and infos of this Arg for the tensor dump: the objects themselves, not copies of them. Of
    /// an object that was added several times the first use is marked.
    template <typename... Args>
    void dump(Args &&...args) {
        static_assert(sizeof...(Args) > 0, "nothing to dump");
        (mark_for_dump(args), ...);
    }

    /// The marked tensors: bit i stands for tensor i.
    uint64_t tensor_dump_arg_mask() const { return tensor_dump_arg_mask_; }
    /// Whether only marked tensors are dumped.
    bool tensor_dump_selective_requested() const { return tensor_dump_selective_requested_; }

private:
    uint64_t tensor_dump_arg_mask_{0};
    bool tensor_dump_selective_requested_{is_tensor_dump_selective_requested()};
    const PTO2TaskId *explicit_deps_{nullptr};
    uint32_t explicit_dep_count_{0};

    template <typename T, typename Wanted>
    static constexpr bool is_lvalue_of =
        std::is_lvalue_reference_v<T> && std::is_same_v<std::remove_cv_t<std::remove_reference_t<T>>, Wanted>;

    template <typename T, bool WITH_INFOS>
    static constexpr bool is_accepted = is_lvalue_of<T, Tensor> || (WITH_INFOS && is_lvalue_of<T, TensorCreateInfo>);

    // `References` says how the objects were passed: temporaries would be gone before the task is submitted.
    template <bool WITH_INFOS, typename... References, typename... Args>
    void add_tensors(TensorArgType tag, const Args &...args) {
        static_assert(sizeof...(Args) > 0, "nothing to add");
        static_assert((is_accepted<References, WITH_INFOS> && ...),
                      "arguments are named Tensor objects, outputs also named TensorCreateInfo objects");
        if (scalar_count_ != 0) {
            set_error("a tensor was added after a scalar; add all tensors first");
        } else if (sizeof...(Args) > static_cast<size_t>(MAX_TENSOR_ARGS - tensor_count_)) {
            set_error("more than 16 tensors");
        } else {
            (put(tag, args), ...);
        }
    }

    void put(TensorArgType tag, const Tensor &tensor) {
        tags_[tensor_count_] = tag;
        tensors_[tensor_count_].ptr = &tensor;
        ++tensor_count_;
    }

    void put(TensorArgType, const TensorCreateInfo &info) {
        tags_[tensor_count_] = TensorArgType::OUTPUT;
        tensors_[tensor_count_].create_info = &info;
        ++tensor_count_;
    }

    template <typename Count>
    bool has_room_for_scalars(Count count) {
        const auto left = static_cast<size_t>(MAX_SCALAR_ARGS - scalar_count_);
        const bool room = count >= 0 && static_cast<size_t>(count) <= left;
        if (!room) {
            set_error("more than 32 scalars");
        }
        return room;
    }

    void mark_for_dump(const Tensor &tensor) {
        mark_where([&](int i) { return !is_info(i) && tensors_[i].ptr == &tensor; });
    }
    void mark_for_dump(const TensorCreateInfo &info) {
        mark_where([&](int i) { return is_info(i) && tensors_[i].create_info == &info; });
    }

    bool is_info(int i) const { return tags_[i] == TensorArgType::OUTPUT; }

    template <typename Match>
    void mark_where(Match matches) {
        for (int i = 0; i < tensor_count_; ++i) {
            if (matches(i)) {
                tensor_dump_arg_mask_ |= uint64_t{1} << i;
                return;
            }
        }
        set_error("dump: the tensor is not in this Arg");
    }

    void clear_all() {
        TaskArgsTpl::clear();
        tensor_dump_arg_mask_ = 0;
        tensor_dump_selective_requested_ = is_tensor_dump_selective_requested();
        explicit_deps_ = nullptr;
        explicit_dep_count_ = 0;
    }
};

static_assert(std::is_trivially_copyable_v<TaskOutputTensors>, "returned by the runtime");
static_assert(sizeof(TaskOutputTensors) == 144 && alignof(TaskOutputTensors) == 8, "spec/public-layouts.json");
static_assert(sizeof(TensorRef) == 8 && alignof(TensorRef) == 8, "spec/public-layouts.json");
static_assert(sizeof(Arg) == 512 && alignof(Arg) == 8, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TYPES_H_
