// product = weights * v. Arguments: weights [heads, tokens], v [1, tokens, 1, dim], product [heads, dim]. The
// rows of v lie apart.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *weights = data<const float>(args, 0);
    auto *v = data<const float>(args, 1);
    auto *product = data<float>(args, 2);
    const uint32_t v_stride = tensor(args, 1).strides[1];
    const uint32_t tokens = tensor(args, 0).shapes[1];
    const uint32_t heads = tensor(args, 2).shapes[0];
    const uint32_t dim = tensor(args, 2).shapes[1];
    for (uint32_t head = 0; head < heads; ++head) {
        float *row = product + head * dim;
        for (uint32_t i = 0; i < dim; ++i) {
            row[i] = 0.0f;
        }
        for (uint32_t token = 0; token < tokens; ++token) {
            const float weight = weights[head * tokens + token];
            for (uint32_t i = 0; i < dim; ++i) {
                row[i] += weight * v[token * v_stride + i];
            }
        }
    }
}
