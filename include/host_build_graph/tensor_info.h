// Descriptions of a task's tensors; only the tensor dump reads them.
// Contract: spec/public-abi.md, section C.2; layouts: spec/public-layouts.json.
#ifndef SIMPLER_HOST_BUILD_GRAPH_TENSOR_INFO_H_
#define SIMPLER_HOST_BUILD_GRAPH_TENSOR_INFO_H_

#include <cstddef>
#include <cstdint>

#include "data_type.h"
#include "tensor_arg.h"

/// A tensor that is a box inside a bigger dense one; all counts are elements. For a tensor that is no part
/// of another, raw_shapes equals shapes and offsets are 0.
struct TensorInfo {
    DataType dtype;
    uint8_t ndims;  ///< used entries of the arrays
    uint16_t reserved;
    uint32_t shapes[CONTINUOUS_TENSOR_MAX_DIMS];      ///< of the box
    uint32_t raw_shapes[CONTINUOUS_TENSOR_MAX_DIMS];  ///< of the tensor around it
    uint32_t offsets[CONTINUOUS_TENSOR_MAX_DIMS];     ///< of the box inside it
};

/// One device allocation: [base_addr, base_addr + size_bytes).
struct TensorAllocationInfo {
    uint64_t base_addr;
    uint64_t size_bytes;

    bool contains(uint64_t addr) const { return addr >= base_addr && addr - base_addr < size_bytes; }
};

/// Describes a tensor of `ndims` dimensions. Without raw_shapes the tensor is whole, without offsets it
/// starts at the origin. Dimensions beyond the fifth are left out.
inline TensorInfo make_tensor_info(DataType dtype,
                                   uint32_t ndims,
                                   const uint32_t *shapes,
                                   const uint32_t *raw_shapes = nullptr,
                                   const uint32_t *offsets = nullptr) {
    const uint32_t most = CONTINUOUS_TENSOR_MAX_DIMS;
    const uint32_t used = ndims < most ? ndims : most;
    const uint32_t *around = raw_shapes != nullptr ? raw_shapes : shapes;
    TensorInfo info{};
    info.dtype = dtype;
    info.ndims = static_cast<uint8_t>(used);
    for (uint32_t dim = 0; dim < used; ++dim) {
        info.shapes[dim] = shapes[dim];
        info.raw_shapes[dim] = around[dim];
        if (offsets != nullptr) {
            info.offsets[dim] = offsets[dim];
        }
    }
    return info;
}

/// Describes an argument of the run as a whole tensor.
inline TensorInfo make_tensor_info_from_tensor_arg(const ContinuousTensor &tensor) {
    return make_tensor_info(tensor.dtype, tensor.ndims, tensor.shapes);
}

static_assert(sizeof(TensorInfo) == 64 && alignof(TensorInfo) == 4, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, dtype) == 0, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, ndims) == 1, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, reserved) == 2, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, shapes) == 4, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, raw_shapes) == 24, "spec/public-layouts.json");
static_assert(offsetof(TensorInfo, offsets) == 44, "spec/public-layouts.json");
static_assert(sizeof(TensorAllocationInfo) == 16 && alignof(TensorAllocationInfo) == 8, "spec/public-layouts.json");
static_assert(offsetof(TensorAllocationInfo, base_addr) == 0, "spec/public-layouts.json");
static_assert(offsetof(TensorAllocationInfo, size_bytes) == 8, "spec/public-layouts.json");

#endif  // SIMPLER_HOST_BUILD_GRAPH_TENSOR_INFO_H_
