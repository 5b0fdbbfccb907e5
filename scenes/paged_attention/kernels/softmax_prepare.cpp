// Of every row of scores its maximum, the exponentials above it, and their sum.
// Arguments: scores, weights [heads, tokens], max, sum [heads], the factor for scores.
#include <algorithm>
#include <cmath>

#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *scores = data<const float>(args, 0);
    auto *weights = data<float>(args, 1);
    auto *max = data<float>(args, 2);
    auto *sum = data<float>(args, 3);
    const auto scale = scalar<float>(args, 4);
    const uint32_t heads = tensor(args, 0).shapes[0];
    const uint32_t tokens = tensor(args, 0).shapes[1];
    for (uint32_t head = 0; head < heads; ++head) {
        const float *row = scores + head * tokens;
        max[head] = scale * *std::max_element(row, row + tokens);
        sum[head] = 0.0f;
        for (uint32_t token = 0; token < tokens; ++token) {
            const float weight = std::exp(scale * row[token] - max[head]);
            weights[head * tokens + token] = weight;
            sum[head] += weight;
        }
    }
}
