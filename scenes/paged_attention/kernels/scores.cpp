// scores = q * k^T. Arguments: q [1, heads, dim], k [1, tokens, 1, dim], scores [heads, tokens]. The rows of k
// lie apart.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *q = data<const float>(args, 0);
    auto *k = data<const float>(args, 1);
    auto *scores = data<float>(args, 2);
    const uint32_t k_stride = tensor(args, 1).strides[1];
    const uint32_t dim = tensor(args, 0).shapes[2];
    const uint32_t heads = tensor(args, 2).shapes[0];
    const uint32_t tokens = tensor(args, 2).shapes[1];
    for (uint32_t head = 0; head < heads; ++head) {
        for (uint32_t token = 0; token < tokens; ++token) {
            float sum = 0.0f;
            for (uint32_t i = 0; i < dim; ++i) {
                sum += q[head * dim + i] * k[token * k_stride + i];
            }
            scores[head * tokens + token] = sum;
        }
    }
}
