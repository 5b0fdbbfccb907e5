// Argument lists of runs and tasks, and their wire form between processes.
// Contract: spec/public-abi.md, sections B.2 and B.4; layouts: spec/public-layouts.json.
#ifndef SIMPLER_TASK_INTERFACE_TASK_ARGS_H_
#define SIMPLER_TASK_INTERFACE_TASK_ARGS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "arg_direction.h"
#include "tensor_arg.h"

namespace simpler {
namespace detail {

/// Turns a signed index into an array index; throws std::out_of_range with `message` when outside [0, count).
inline size_t checked_index(int32_t index, size_t count, const char *message) {
    if (index < 0 || static_cast<size_t>(index) >= count) {
        throw std::out_of_range(message);
    }
    return static_cast<size_t>(index);
}

/// One tag per tensor of a fixed list. A base class so that a list without tags carries no bytes for them.
template <typename Tag, size_t MaxT>
struct TensorTags {
    Tag tags_[MaxT];

    /// Tag of tensor i. Throws std::out_of_range for an i outside [0, capacity).
    const Tag &tag(int32_t i) const { return tags_[checked_index(i, MaxT, "TaskArgs tag index out of range")]; }
    Tag &tag(int32_t i) { return tags_[checked_index(i, MaxT, "TaskArgs tag index out of range")]; }
    const Tag *tag_data() const { return tags_; }
};

template <typename Tag>
struct TensorTags<Tag, 0> {
    std::vector<Tag> tags_;

    /// Tag of tensor i. Throws std::out_of_range for an i outside [0, tensor_count()).
    const Tag &tag(int32_t i) const {
        return tags_[checked_index(i, tags_.size(), "TaskArgs tag index out of range")];
    }
    Tag &tag(int32_t i) { return tags_[checked_index(i, tags_.size(), "TaskArgs tag index out of range")]; }
    const Tag *tag_data() const { return tags_.data(); }
};

template <size_t MaxT>
struct TensorTags<void, MaxT> {};

template <>
struct TensorTags<void, 0> {};

}  // namespace detail
}  // namespace simpler

/// Tensors followed by scalars, with room for MaxT and MaxS of them in the object itself. Plain bytes: it
/// crosses library borders by address, and slots at and above the counts are garbage.
///
/// All tensors are added before the first scalar. Accessors check their index against the counts.
template <typename T, typename S, size_t MaxT, size_t MaxS, typename TensorTag = void>
struct TaskArgsTpl : simpler::detail::TensorTags<TensorTag, MaxT> {
    T tensors_[MaxT];
    S scalars_[MaxS];
    int32_t tensor_count_ = 0;
    int32_t scalar_count_ = 0;

    /// Appends a tensor (with tags: one whose tag is the tag type's zero). Throws std::logic_error after a
    /// scalar, std::out_of_range beyond MaxT.
    void add_tensor(const T &tensor) {
        if (scalar_count_ != 0) {
            throw std::logic_error("TaskArgs: cannot add tensor after scalar");
        }
        if (static_cast<size_t>(tensor_count_) >= MaxT) {
            throw std::out_of_range("TaskArgs: tensor capacity exceeded");
        }
        tensors_[tensor_count_] = tensor;
        if constexpr (!std::is_void_v<TensorTag>) {
            this->tags_[tensor_count_] = TensorTag{};
        }
        ++tensor_count_;
    }

    /// Appends a tensor with its tag; only for lists that have tags.
    template <typename Tag = TensorTag, typename = std::enable_if_t<!std::is_void_v<Tag>>>
    void add_tensor(const T &tensor, Tag tag) {
        add_tensor(tensor);
        this->tags_[tensor_count_ - 1] = tag;
    }

    /// Appends a scalar. Throws std::out_of_range beyond MaxS.
    void add_scalar(S scalar) {
        if (static_cast<size_t>(scalar_count_) >= MaxS) {
            throw std::out_of_range("TaskArgs: scalar capacity exceeded");
        }
        scalars_[scalar_count_] = scalar;
        ++scalar_count_;
    }

    const T &tensor(int32_t i) const { return tensors_[tensor_index(i)]; }
    T &tensor(int32_t i) { return tensors_[tensor_index(i)]; }
    S scalar(int32_t i) const { return scalars_[scalar_index(i)]; }
    S &scalar(int32_t i) { return scalars_[scalar_index(i)]; }

    const S *scalars() const { return scalars_; }
    const T *tensor_data() const { return tensors_; }
    const S *scalar_data() const { return scalars_; }
    int32_t tensor_count() const { return tensor_count_; }
    int32_t scalar_count() const { return scalar_count_; }

    void clear() {
        tensor_count_ = 0;
        scalar_count_ = 0;
    }

private:
    size_t tensor_index(int32_t i) const {
        return simpler::detail::checked_index(
            i, static_cast<size_t>(tensor_count_), "ChipStorageTaskArgs tensor index out of range");
    }
    size_t scalar_index(int32_t i) const {
        return simpler::detail::checked_index(
            i, static_cast<size_t>(scalar_count_), "ChipStorageTaskArgs scalar index out of range");
    }
};

/// The growing form: no capacity, same order rule, same accessors. Never crosses a library border.
template <typename T, typename S, typename TensorTag>
struct TaskArgsTpl<T, S, 0, 0, TensorTag> : simpler::detail::TensorTags<TensorTag, 0> {
    std::vector<T> tensors_;
    std::vector<S> scalars_;

    /// Appends a tensor (with tags: one whose tag is the tag type's zero, INPUT for TensorArgType).
    /// Throws std::logic_error after a scalar.
    void add_tensor(const T &tensor) {
        if (!scalars_.empty()) {
            throw std::logic_error("TaskArgs: cannot add tensor after scalar");
        }
        tensors_.push_back(tensor);
        if constexpr (!std::is_void_v<TensorTag>) {
            this->tags_.push_back(TensorTag{});
        }
    }

    /// Appends a tensor with its tag; only for lists that have tags.
    template <typename Tag = TensorTag, typename = std::enable_if_t<!std::is_void_v<Tag>>>
    void add_tensor(const T &tensor, Tag tag) {
        add_tensor(tensor);
        this->tags_.back() = tag;
    }

    void add_scalar(S scalar) { scalars_.push_back(scalar); }

    const T &tensor(int32_t i) const { return tensors_[tensor_index(i)]; }
    T &tensor(int32_t i) { return tensors_[tensor_index(i)]; }
    S scalar(int32_t i) const { return scalars_[scalar_index(i)]; }
    S &scalar(int32_t i) { return scalars_[scalar_index(i)]; }

    const S *scalars() const { return scalars_.data(); }
    const T *tensor_data() const { return tensors_.data(); }
    const S *scalar_data() const { return scalars_.data(); }
    int32_t tensor_count() const { return static_cast<int32_t>(tensors_.size()); }
    int32_t scalar_count() const { return static_cast<int32_t>(scalars_.size()); }

    void clear() {
        tensors_.clear();
        scalars_.clear();
        if constexpr (!std::is_void_v<TensorTag>) {
            this->tags_.clear();
        }
    }

private:
    size_t tensor_index(int32_t i) const {
        return simpler::detail::checked_index(i, tensors_.size(), "TaskArgs tensor index out of range");
    }
    size_t scalar_index(int32_t i) const {
        return simpler::detail::checked_index(i, scalars_.size(), "TaskArgs scalar index out of range");
    }
};

/// What a run hands to an orchestration.
using ChipStorageTaskArgs = TaskArgsTpl<ContinuousTensor, uint64_t, CHIP_MAX_TENSOR_ARGS, CHIP_MAX_SCALAR_ARGS>;

/// What a client builds.
using TaskArgs = TaskArgsTpl<ContinuousTensor, uint64_t, 0, 0, TensorArgType>;

/// Borrowed arguments. Valid as long as what it was made from stays alive and unchanged.
struct TaskArgsView {
    int32_t tensor_count;
    int32_t scalar_count;
    const ContinuousTensor *tensors;
    const uint64_t *scalars;
};

inline TaskArgsView make_view(const TaskArgs &args) {
    return TaskArgsView{args.tensor_count(), args.scalar_count(), args.tensor_data(), args.scalar_data()};
}

// Wire form: i32 tensor count, i32 scalar count, the tensors, the scalars. Tags stay behind.

inline constexpr size_t TASK_ARGS_BLOB_HEADER_SIZE = 8;

/// Bytes that write_blob needs for `args`.
inline size_t task_args_blob_size(const TaskArgs &args) {
    return TASK_ARGS_BLOB_HEADER_SIZE + static_cast<size_t>(args.tensor_count()) * sizeof(ContinuousTensor) +
           static_cast<size_t>(args.scalar_count()) * sizeof(uint64_t);
}

/// Writes the wire form; `dst` has room for task_args_blob_size(args) bytes, of any alignment.
inline void write_blob(uint8_t *dst, const TaskArgs &args) {
    const int32_t counts[2] = {args.tensor_count(), args.scalar_count()};
    static_assert(sizeof(counts) == TASK_ARGS_BLOB_HEADER_SIZE, "spec/public-abi.md, section B.2");
    std::memcpy(dst, counts, sizeof(counts));
    dst += sizeof(counts);
    const size_t tensor_bytes = static_cast<size_t>(counts[0]) * sizeof(ContinuousTensor);
    if (tensor_bytes != 0) {
        std::memcpy(dst, args.tensor_data(), tensor_bytes);
        dst += tensor_bytes;
    }
    const size_t scalar_bytes = static_cast<size_t>(counts[1]) * sizeof(uint64_t);
    if (scalar_bytes != 0) {
        std::memcpy(dst, args.scalar_data(), scalar_bytes);
    }
}

/// Reads the wire form in place: the view points into `src`, which is 8-byte aligned and holds at least
/// `capacity` readable bytes. Throws std::runtime_error when the header does not fit the capacity.
inline TaskArgsView read_blob(const uint8_t *src, size_t capacity) {
    if (capacity < TASK_ARGS_BLOB_HEADER_SIZE) {
        throw std::runtime_error("read_blob: capacity " + std::to_string(capacity) + " < header size " +
                                 std::to_string(TASK_ARGS_BLOB_HEADER_SIZE));
    }
    int32_t counts[2];
    std::memcpy(counts, src, sizeof(counts));
    const std::string told = "T=" + std::to_string(counts[0]) + ", S=" + std::to_string(counts[1]);
    if (counts[0] < 0 || counts[1] < 0) {
        throw std::runtime_error("read_blob: negative counts — " + told + "; the blob was overwritten or never written");
    }
    const size_t scalars_at =
        TASK_ARGS_BLOB_HEADER_SIZE + static_cast<size_t>(counts[0]) * sizeof(ContinuousTensor);
    const size_t needed = scalars_at + static_cast<size_t>(counts[1]) * sizeof(uint64_t);
    if (needed > capacity) {
        throw std::runtime_error("read_blob: header reports " + std::to_string(needed) + " bytes (" + told +
                                 ") but capacity is " + std::to_string(capacity) + " bytes");
    }
    return TaskArgsView{
        counts[0],
        counts[1],
        reinterpret_cast<const ContinuousTensor *>(src + TASK_ARGS_BLOB_HEADER_SIZE),
        reinterpret_cast<const uint64_t *>(src + scalars_at),
    };
}

/// Copies a view into the form an orchestration takes. Throws std::out_of_range when it does not fit.
inline ChipStorageTaskArgs view_to_chip_storage(TaskArgsView view) {
    if (view.tensor_count < 0 || view.tensor_count > CHIP_MAX_TENSOR_ARGS) {
        throw std::out_of_range("view_to_chip_storage: tensor_count exceeds CHIP_MAX_TENSOR_ARGS");
    }
    if (view.scalar_count < 0 || view.scalar_count > CHIP_MAX_SCALAR_ARGS) {
        throw std::out_of_range("view_to_chip_storage: scalar_count exceeds CHIP_MAX_SCALAR_ARGS");
    }
    ChipStorageTaskArgs storage;
    for (int32_t i = 0; i < view.tensor_count; ++i) {
        storage.tensors_[i] = view.tensors[i];
    }
    for (int32_t i = 0; i < view.scalar_count; ++i) {
        storage.scalars_[i] = view.scalars[i];
    }
    storage.tensor_count_ = view.tensor_count;
    storage.scalar_count_ = view.scalar_count;
    return storage;
}

static_assert(std::is_trivially_copyable_v<ChipStorageTaskArgs>, "crosses library borders by address");
static_assert(sizeof(ChipStorageTaskArgs) == 6152 && alignof(ChipStorageTaskArgs) == 8, "spec/public-layouts.json");
static_assert(offsetof(ChipStorageTaskArgs, tensors_) == 0, "spec/public-layouts.json");
static_assert(offsetof(ChipStorageTaskArgs, scalars_) == 5120, "spec/public-layouts.json");
static_assert(offsetof(ChipStorageTaskArgs, tensor_count_) == 6144, "spec/public-layouts.json");
static_assert(offsetof(ChipStorageTaskArgs, scalar_count_) == 6148, "spec/public-layouts.json");
static_assert(sizeof(TaskArgs) == 3 * sizeof(std::vector<int>), "spec/public-layouts.json");
static_assert(sizeof(TaskArgsView) == 24 && alignof(TaskArgsView) == 8, "spec/public-layouts.json");
static_assert(offsetof(TaskArgsView, tensor_count) == 0, "spec/public-layouts.json");
static_assert(offsetof(TaskArgsView, scalar_count) == 4, "spec/public-layouts.json");
static_assert(offsetof(TaskArgsView, tensors) == 8, "spec/public-layouts.json");
static_assert(offsetof(TaskArgsView, scalars) == 16, "spec/public-layouts.json");

#endif  // SIMPLER_TASK_INTERFACE_TASK_ARGS_H_
