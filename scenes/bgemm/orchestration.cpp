// C += A * B for a batch of matrices, tile by tile.
//
// Arguments: the float tensors A [batch, M, K], B [batch, K, N] (in) and C [batch, M, N] (inout); then the
// scalar `tile`, which divides M, K and N.
//
// Cube cores multiply tiles, vector cores add the products to C. The additions to one tile of C are a chain
// over k; everything else may run at the same time.
#include "orchestration_api.h"

namespace {

enum Kernel { GEMM_TILE = 0, ADD_TILE = 1 };

struct Matrix {
    uint64_t dev;
    uint64_t rows;
    uint64_t columns;

    uint64_t at(uint64_t batch, uint64_t row, uint64_t column) const {
        return dev + ((batch * rows + row) * columns + column) * sizeof(float);
    }
};

Matrix copy_in(OrchestrationRuntime *rt, const ContinuousTensor &tensor) {
    void *dev = device_malloc(rt, tensor.nbytes());
    copy_to_device(rt, dev, tensor.data_as<void>(), tensor.nbytes());
    return Matrix{reinterpret_cast<uint64_t>(dev), tensor.shapes[1], tensor.shapes[2]};
}

// What a tile is, for dumps: a task gets the address of its first element, and the length of the rows it lies in.
TensorInfo describe(uint64_t tile, uint64_t row) {
    const uint32_t shape[] = {static_cast<uint32_t>(tile), static_cast<uint32_t>(tile)};
    const uint32_t around[] = {shape[0], static_cast<uint32_t>(row)};
    return make_tensor_info(DataType::FLOAT32, 2, shape, around);
}

int multiply(OrchestrationRuntime *rt, uint64_t x, uint64_t x_stride, uint64_t y, uint64_t y_stride, uint64_t out,
             uint64_t tile) {
    uint64_t args[] = {x, x_stride, y, y_stride, out, tile};
    const TensorInfo tensors[] = {describe(tile, x_stride), describe(tile, y_stride), describe(tile, tile)};
    return add_task_with_tensor_info(rt, args, 6, GEMM_TILE, CoreType::AIC, tensors, 3);
}

int accumulate(OrchestrationRuntime *rt, uint64_t c, uint64_t c_stride, uint64_t partial, uint64_t tile) {
    uint64_t args[] = {c, c_stride, partial, tile};
    const TensorInfo tensors[] = {describe(tile, c_stride), describe(tile, tile)};
    return add_task_with_tensor_info(rt, args, 4, ADD_TILE, CoreType::AIV, tensors, 2);
}

}  // namespace

extern "C" int build_bgemm(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &host_c = args.tensor(2);
    const uint64_t tile = args.scalar(0);
    const Matrix a = copy_in(rt, args.tensor(0));
    const Matrix b = copy_in(rt, args.tensor(1));
    const Matrix c = copy_in(rt, host_c);
    record_tensor_pair(rt, host_c.data_as<void>(), reinterpret_cast<void *>(c.dev), host_c.nbytes());
    if (tile == 0 || c.rows % tile != 0 || c.columns % tile != 0 || a.columns % tile != 0) {
        return 1;
    }

    const uint64_t batches = host_c.shapes[0];
    const uint64_t steps = a.columns / tile;
    const uint64_t partial_bytes = tile * tile * sizeof(float);
    const uint64_t products = batches * (c.rows / tile) * (c.columns / tile) * steps;
    uint64_t partial = reinterpret_cast<uint64_t>(device_malloc(rt, products * partial_bytes));

    for (uint64_t batch = 0; batch < batches; ++batch) {
        for (uint64_t row = 0; row < c.rows; row += tile) {
            for (uint64_t column = 0; column < c.columns; column += tile) {
                int before = -1;
                for (uint64_t k = 0; k < a.columns; k += tile) {
                    const int product = multiply(
                        rt, a.at(batch, row, k), a.columns, b.at(batch, k, column), b.columns, partial, tile);
                    const int sum = accumulate(rt, c.at(batch, row, column), c.columns, partial, tile);
                    add_successor(rt, product, sum);
                    if (before >= 0) {
                        add_successor(rt, before, sum);
                    }
                    before = sum;
                    partial += partial_bytes;
                }
            }
        }
    }
    return 0;
}
