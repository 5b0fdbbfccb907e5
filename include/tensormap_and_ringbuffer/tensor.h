// Tensors in device memory, as orchestrations hand them to tasks and as kernels find them in their arguments.
// Contract: spec/public-abi.md, section D.3; layouts: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_TENSOR_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "common.h"
#include "data_type.h"
#include "pto_task_id.h"

constexpr int RUNTIME_MAX_TENSOR_DIMS = 5;

/// One allocation in device memory.
struct PTOBufferHandle {
    uint64_t addr;  ///< of the first byte
    uint64_t size;  ///< bytes; for outputs of tasks more than the tensor needs
};

/// Asks for a new tensor: an output that the runtime allocates when the task is submitted. The tensor is dense
/// and row-major.
class alignas(64) TensorCreateInfo {
public:
    /// A tensor of `ndims_in` dimensions, 1 to 5. With `manual_dep_in` only the task that creates it is a
    /// dependency of those that use it; later writers are not.
    TensorCreateInfo(const uint32_t shapes_in[],
                     uint32_t ndims_in,
                     DataType dtype_in = DataType::FLOAT32,
                     bool manual_dep_in = false)
        : ndims(ndims_in), dtype(dtype_in), manual_dep(manual_dep_in) {
        debug_assert(ndims_in >= 1 && ndims_in <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        const uint32_t most = RUNTIME_MAX_TENSOR_DIMS;
        for (uint32_t dim = 0; dim < ndims_in && dim < most; ++dim) {
            shapes[dim] = shapes_in[dim];
        }
    }

    TensorCreateInfo(const TensorCreateInfo &) = default;
    TensorCreateInfo &operator=(const TensorCreateInfo &) = default;

    /// Fills the new tensor with the low bytes of `value`, as many as an element has; without it the content is
    /// undefined. Give a value of the element's own type: nothing is converted.
    template <typename T = uint64_t>
    void set_initial_value(T value) {
        has_initial_value = true;
        initial_value = to_u64(value);
    }

    /// Bytes of all elements.
    uint64_t buffer_size_bytes() const {
        uint64_t bytes = get_element_size(dtype);
        for (uint32_t dim = 0; dim < ndims; ++dim) {
            bytes *= shapes[dim];
        }
        return bytes;
    }

    // From start_offset on the bytes are those of the first half of the Tensor that it becomes.
    uint64_t initial_value{0};
    bool has_initial_value{false};
    uint8_t __pad1__[7]{};
    uint64_t __pad2__{0};
    uint64_t start_offset{0};
    int32_t version{0};
    uint32_t ndims;
    DataType dtype;
    bool manual_dep;
    bool is_contiguous{true};
    uint8_t __pad_flags__{0};
    uint32_t shapes[RUNTIME_MAX_TENSOR_DIMS]{};
};

/// A box of elements in an allocation. Element (i, j, …) lies at
/// buffer.addr + (start_offset + i * strides[0] + j * strides[1] + …) * get_element_size(dtype).
///
/// Plain bytes, copied freely; a copy is another name of the same memory. Made by make_tensor_external, by
/// from_tensor_arg, by the runtime as an output of a task, and from other tensors by the functions below; those
/// keep the memory and the task that creates it, and set manual_dep to what they are given. In builds without
/// NDEBUG they throw AssertionError for indices outside the tensor; with NDEBUG such a tensor is made.
struct alignas(64) Tensor {
    PTOBufferHandle buffer;
    PTO2TaskId owner_task_id;  ///< task that creates the memory; invalid for memory from outside
    uint64_t start_offset;     ///< elements between the allocation's start and the first element
    int32_t version;           ///< a tensor depends on writers of lower versions even if they hide nothing of it
    uint32_t ndims;            ///< used entries of shapes and strides, 1..5
    DataType dtype;
    bool manual_dep;     ///< only the creating task is a dependency, later writers are not
    bool is_contiguous;  ///< the strides are the row-major ones of the shapes
    uint8_t _pad_cl1;
    uint32_t shapes[RUNTIME_MAX_TENSOR_DIMS];   ///< elements per dimension, outermost first
    uint64_t extent_elem_cache;                 ///< see extent_elem
    uint32_t strides[RUNTIME_MAX_TENSOR_DIMS];  ///< elements between neighbours, per dimension
    uint8_t _pad_cl2[36];

    Tensor(const Tensor &) = default;
    Tensor &operator=(const Tensor &) = default;
    Tensor(Tensor &&) = default;
    Tensor &operator=(Tensor &&) = default;
    ~Tensor() = default;

    /// Elements of the tensor.
    uint64_t numel() const {
        uint64_t count = 1;
        for (uint32_t dim = 0; dim < ndims; ++dim) {
            count *= shapes[dim];
        }
        return count;
    }

    /// Elements of memory from the first element of the tensor to the last, both counted.
    uint64_t extent_elem() const { return extent_elem_cache; }

    /// Elements between the allocation's start and the element with these indices. Dimensions beyond
    /// `in_ndims` are at 0.
    uint64_t compute_flat_offset(const uint32_t indices[], uint32_t in_ndims) const {
        uint64_t offset = start_offset;
        for (uint32_t dim = 0; dim < in_ndims; ++dim) {
            offset += static_cast<uint64_t>(indices[dim]) * strides[dim];
        }
        return offset;
    }

    /// The box of `view_shapes` elements that starts at `view_offsets`; both have ndims entries.
    Tensor view(const uint32_t view_shapes[], const uint32_t view_offsets[], bool in_manual_dep = false) const {
        Tensor made = with_manual_dep(in_manual_dep);
        for (uint32_t dim = 0; dim < ndims; ++dim) {
            debug_assert(static_cast<uint64_t>(view_offsets[dim]) + view_shapes[dim] <= shapes[dim]);
            made.start_offset += static_cast<uint64_t>(view_offsets[dim]) * strides[dim];
            made.shapes[dim] = view_shapes[dim];
        }
        made.derive();
        return made;
    }

    /// Whether x and y are dimensions of this tensor.
    bool valid_transpose(uint32_t x, uint32_t y) const { return x < ndims && y < ndims; }

    /// The same elements with dimensions x and y exchanged.
    Tensor transpose(uint32_t x, uint32_t y, bool in_manual_dep = false) const {
        debug_assert(valid_transpose(x, y));
        Tensor made = with_manual_dep(in_manual_dep);
        made.shapes[x] = shapes[y];
        made.shapes[y] = shapes[x];
        made.strides[x] = strides[y];
        made.strides[y] = strides[x];
        made.derive();
        return made;
    }

    /// The same elements with dimension order[i] of this tensor as dimension i; `order` holds each of the ndims
    /// dimensions once.
    Tensor permute(const uint32_t order[], bool in_manual_dep = false) const {
        Tensor made = with_manual_dep(in_manual_dep);
        uint32_t used = 0;
        for (uint32_t dim = 0; dim < ndims; ++dim) {
            debug_assert(order[dim] < ndims && (used & (1u << order[dim])) == 0);
            used |= 1u << order[dim];
            made.shapes[dim] = shapes[order[dim]];
            made.strides[dim] = strides[order[dim]];
        }
        made.derive();
        return made;
    }

    /// Of dimension `dim` the elements start, start + step, … below `end`; of the others all.
    Tensor slice(uint32_t dim, uint32_t start, uint32_t end, uint32_t step = 1, bool in_manual_dep = false) const {
        debug_assert(dim < ndims);
        debug_assert(step > 0);
        debug_assert(start < end && end <= shapes[dim]);
        Tensor made = with_manual_dep(in_manual_dep);
        made.start_offset += static_cast<uint64_t>(start) * strides[dim];
        made.shapes[dim] = (end - start - 1) / step + 1;
        made.strides[dim] = strides[dim] * step;
        made.derive();
        return made;
    }

    /// Whether the new shape has as many elements as this tensor.
    bool valid_reshape(const uint32_t new_shapes[], uint32_t new_ndims) const {
        uint64_t count = 1;
        for (uint32_t dim = 0; dim < new_ndims; ++dim) {
            count *= new_shapes[dim];
        }
        return count == numel();
    }

    /// The same elements in row-major order under another shape of as many elements. Throws AssertionError, in
    /// every build, when this tensor is not contiguous.
    Tensor reshape(const uint32_t new_shapes[], uint32_t new_ndims, bool in_manual_dep = false) const {
        debug_assert(new_ndims >= 1 && new_ndims <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        debug_assert(valid_reshape(new_shapes, new_ndims));
        always_assert(is_contiguous);
        Tensor made = with_manual_dep(in_manual_dep);
        made.set_dense_shape(new_shapes, new_ndims);
        return made;
    }

    /// All of it as text, for messages.
    std::string dump() const {
        const auto list = [this](const uint32_t *numbers) {
            std::string text = "[";
            for (uint32_t dim = 0; dim < ndims; ++dim) {
                text += (dim == 0 ? "" : ", ") + std::to_string(numbers[dim]);
            }
            return text + "]";
        };
        return std::string("Tensor(") + get_dtype_name(dtype) + ", shapes=" + list(shapes) + ", strides=" +
               list(strides) + ", start_offset=" + std::to_string(start_offset) + ", buffer=" +
               std::to_string(buffer.size) + " bytes at " + std::to_string(buffer.addr) + ", version=" +
               std::to_string(version) + ", owner=" +
               (owner_task_id.is_valid() ? std::to_string(owner_task_id.raw) : std::string("none")) +
               (manual_dep ? ", manual_dep" : "") + (is_contiguous ? ", contiguous)" : ")");
    }

private:
    // A dense tensor at the start of an allocation. A constructor of one's own: an aggregate could be made by
    // anybody.
    Tensor(const PTOBufferHandle &allocation, const uint32_t in_shapes[], uint32_t in_ndims, DataType in_dtype)
        : buffer(allocation),
          owner_task_id(PTO2TaskId::invalid()),
          start_offset(0),
          version(0),
          ndims(in_ndims),
          dtype(in_dtype),
          manual_dep(false),
          is_contiguous(true),
          _pad_cl1(0),
          shapes{},
          extent_elem_cache(0),
          strides{},
          _pad_cl2{} {
        always_assert(in_ndims >= 1 && in_ndims <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        set_dense_shape(in_shapes, in_ndims);
    }

    Tensor with_manual_dep(bool in_manual_dep) const {
        Tensor made = *this;
        made.manual_dep = in_manual_dep;
        return made;
    }

    void set_dense_shape(const uint32_t in_shapes[], uint32_t in_ndims) {
        ndims = in_ndims;
        uint32_t stride = 1;
        for (uint32_t dim = in_ndims; dim-- > 0;) {
            shapes[dim] = in_shapes[dim];
            strides[dim] = stride;
            stride *= in_shapes[dim];
        }
        derive();
    }

    // Sets what follows from shapes and strides. Dimensions without elements take part in a dense tensor only.
    void derive() {
        uint64_t dense = 1;
        uint64_t reach = 1;
        is_contiguous = true;
        for (uint32_t dim = ndims; dim-- > 0;) {
            is_contiguous = is_contiguous && strides[dim] == dense;
            dense *= shapes[dim];
            reach += shapes[dim] == 0 ? 0 : (static_cast<uint64_t>(shapes[dim]) - 1) * strides[dim];
        }
        extent_elem_cache = is_contiguous ? dense : reach;
        debug_assert((start_offset + extent_elem_cache) * get_element_size(dtype) <= buffer.size);
    }

    friend inline Tensor make_tensor_external(
        void *addr, const uint32_t shapes[], uint32_t ndims, DataType dtype, bool manual_dep, int32_t version);
};

/// A dense tensor over device memory that exists already, for example an argument of the run. Throws
/// AssertionError unless ndims is 1 to 5.
inline Tensor make_tensor_external(void *addr,
                                   const uint32_t shapes[],
                                   uint32_t ndims,
                                   DataType dtype = DataType::FLOAT32,
                                   bool manual_dep = false,
                                   int32_t version = 0) {
    uint64_t bytes = get_element_size(dtype);
    for (uint32_t dim = 0; dim < ndims; ++dim) {
        bytes *= shapes[dim];
    }
    Tensor made(PTOBufferHandle{reinterpret_cast<uint64_t>(addr), bytes}, shapes, ndims, dtype);
    made.manual_dep = manual_dep;
    made.version = version;
    return made;
}

static_assert(std::is_trivially_copyable_v<Tensor>, "copied bytewise into tasks");
static_assert(std::is_trivially_copyable_v<TensorCreateInfo>, "copied bytewise into tasks");
static_assert(sizeof(PTOBufferHandle) == 16 && alignof(PTOBufferHandle) == 8, "spec/public-layouts.json");
static_assert(offsetof(PTOBufferHandle, addr) == 0, "spec/public-layouts.json");
static_assert(offsetof(PTOBufferHandle, size) == 8, "spec/public-layouts.json");
static_assert(sizeof(Tensor) == 128 && alignof(Tensor) == 64, "spec/public-layouts.json");
static_assert(offsetof(Tensor, buffer) == 0, "spec/public-layouts.json");
static_assert(offsetof(Tensor, owner_task_id) == 16, "spec/public-layouts.json");
static_assert(offsetof(Tensor, start_offset) == 24, "spec/public-layouts.json");
static_assert(offsetof(Tensor, version) == 32, "spec/public-layouts.json");
static_assert(offsetof(Tensor, ndims) == 36, "spec/public-layouts.json");
static_assert(offsetof(Tensor, dtype) == 40, "spec/public-layouts.json");
static_assert(offsetof(Tensor, manual_dep) == 41, "spec/public-layouts.json");
static_assert(offsetof(Tensor, is_contiguous) == 42, "spec/public-layouts.json");
static_assert(offsetof(Tensor, shapes) == 44, "spec/public-layouts.json");
static_assert(offsetof(Tensor, extent_elem_cache) == 64, "spec/public-layouts.json");
static_assert(offsetof(Tensor, strides) == 72, "spec/public-layouts.json");
static_assert(sizeof(TensorCreateInfo) == 64 && alignof(TensorCreateInfo) == 64, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, initial_value) == 0, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, has_initial_value) == 8, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, start_offset) == 24, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, version) == 32, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, ndims) == 36, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, dtype) == 40, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, manual_dep) == 41, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, is_contiguous) == 42, "spec/public-layouts.json");
static_assert(offsetof(TensorCreateInfo, shapes) == 44, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_TENSOR_H_
