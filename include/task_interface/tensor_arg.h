// The tensor descriptor that clients hand to an orchestration.
// Contract: spec/public-abi.md, section B.2; layout: spec/public-layouts.json.
#ifndef SIMPLER_TASK_INTERFACE_TENSOR_ARG_H_
#define SIMPLER_TASK_INTERFACE_TENSOR_ARG_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "data_type.h"

constexpr int CONTINUOUS_TENSOR_MAX_DIMS = 5;

/// A dense row-major tensor somewhere in memory. Plain data without a constructor: a
/// default-initialised one holds garbage, `ContinuousTensor{}` holds zeros.
struct ContinuousTensor {
    uint64_t data;                                ///< address of the first element, see child_memory
    uint32_t shapes[CONTINUOUS_TENSOR_MAX_DIMS];  ///< elements per dimension, outermost first
    uint32_t ndims;                               ///< used entries of shapes, 1..5
    DataType dtype;
    uint8_t child_memory;  ///< 0: data is a host address; otherwise it is device memory already

    /// Bytes of all elements. No dimensions count as one element; an unknown dtype as 0 bytes.
    uint64_t nbytes() const {
        uint64_t bytes = get_element_size(dtype);
        for (uint32_t dim = 0; dim < ndims && dim < static_cast<uint32_t>(CONTINUOUS_TENSOR_MAX_DIMS); ++dim) {
            bytes *= shapes[dim];
        }
        return bytes;
    }

    /// The address as a pointer; `data_as<void>()` when only the address matters.
    template <typename T>
    T *data_as() const {
        return reinterpret_cast<T *>(static_cast<uintptr_t>(data));
    }

    bool is_child_memory() const { return child_memory != 0; }
};

/// What a task does with a tensor argument.
enum class TensorArgType : int32_t {
    INPUT = 0,            ///< read
    OUTPUT = 1,           ///< written; the runtime allocates it
    INOUT = 2,            ///< read and written
    OUTPUT_EXISTING = 3,  ///< written; the memory exists
    NO_DEP = 4,           ///< passed on without a dependency
};

static_assert(std::is_trivially_copyable_v<ContinuousTensor>, "copied bytewise between processes");
static_assert(sizeof(ContinuousTensor) == 40 && alignof(ContinuousTensor) == 8, "spec/public-layouts.json");
static_assert(offsetof(ContinuousTensor, data) == 0, "spec/public-layouts.json");
static_assert(offsetof(ContinuousTensor, shapes) == 8, "spec/public-layouts.json");
static_assert(offsetof(ContinuousTensor, ndims) == 28, "spec/public-layouts.json");
static_assert(offsetof(ContinuousTensor, dtype) == 32, "spec/public-layouts.json");
static_assert(offsetof(ContinuousTensor, child_memory) == 33, "spec/public-layouts.json");

#endif  // SIMPLER_TASK_INTERFACE_TENSOR_ARG_H_
