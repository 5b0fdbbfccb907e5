// c += partial for a square tile of `tile` rows. c lies inside a bigger row-major matrix, partial is dense.
// Arguments: c, elements per row of c's matrix, partial, tile.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *c = reinterpret_cast<__gm__ float *>(args[0]);
    const int64_t c_stride = args[1];
    auto *partial = reinterpret_cast<__gm__ const float *>(args[2]);
    const int64_t tile = args[3];
    for (int64_t row = 0; row < tile; ++row) {
        for (int64_t column = 0; column < tile; ++column) {
            c[row * c_stride + column] += partial[row * tile + column];
        }
    }
}
