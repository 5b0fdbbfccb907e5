// out = x * y for square tiles of `tile` rows. x and y lie inside bigger row-major matrices, out is dense.
// Arguments: x, elements per row of x's matrix, y, elements per row of y's matrix, out, tile.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = reinterpret_cast<__gm__ const float *>(args[0]);
    const int64_t x_stride = args[1];
    auto *y = reinterpret_cast<__gm__ const float *>(args[2]);
    const int64_t y_stride = args[3];
    auto *out = reinterpret_cast<__gm__ float *>(args[4]);
    const int64_t tile = args[5];
    for (int64_t row = 0; row < tile; ++row) {
        __gm__ float *out_row = out + row * tile;
        for (int64_t column = 0; column < tile; ++column) {
            out_row[column] = 0.0f;
        }
        for (int64_t k = 0; k < tile; ++k) {
            const float factor = x[row * x_stride + k];
            __gm__ const float *y_row = y + k * y_stride;
            for (int64_t column = 0; column < tile; ++column) {
                out_row[column] += factor * y_row[column];
            }
        }
    }
}
