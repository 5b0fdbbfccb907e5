// s = s * w in place, for square tiles. Arguments: s [1, tile, tile], w [tile, tile].
#include <vector>

#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *s = data<float>(args, 0);
    auto *w = data<const float>(args, 1);
    const uint32_t tile = tensor(args, 1).shapes[0];
    std::vector<float> row(tile);
    for (uint32_t i = 0; i < tile; ++i) {
        for (uint32_t j = 0; j < tile; ++j) {
            float sum = 0.0f;
            for (uint32_t k = 0; k < tile; ++k) {
                sum += s[i * tile + k] * w[k * tile + j];
            }
            row[j] = sum;
        }
        for (uint32_t j = 0; j < tile; ++j) {
            s[i * tile + j] = row[j];
        }
    }
}
