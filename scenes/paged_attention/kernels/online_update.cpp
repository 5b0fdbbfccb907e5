// Takes one more block into the running softmax. Exponentials so far are relative to the running maximum; when
// that grows, they shrink. Before the first block the maximum is -infinity, and out holds anything.
// Arguments: max, sum [heads], product [heads, dim] of the block; running max, running sum [heads], out
// [1, heads, dim]; whether the block is the last.
#include <algorithm>
#include <cmath>

#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *max = data<const float>(args, 0);
    auto *sum = data<const float>(args, 1);
    auto *product = data<const float>(args, 2);
    auto *running_max = data<float>(args, 3);
    auto *running_sum = data<float>(args, 4);
    auto *out = data<float>(args, 5);
    const auto last = scalar<bool>(args, 6);
    const uint32_t heads = tensor(args, 2).shapes[0];
    const uint32_t dim = tensor(args, 2).shapes[1];
    for (uint32_t head = 0; head < heads; ++head) {
        const float top = std::max(running_max[head], max[head]);
        const float before = std::exp(running_max[head] - top);
        const float added = std::exp(max[head] - top);
        running_max[head] = top;
        running_sum[head] = before * running_sum[head] + added * sum[head];
        const float divisor = last ? running_sum[head] : 1.0f;
        for (uint32_t i = head * dim; i < (head + 1) * dim; ++i) {
            const float kept = before > 0.0f ? before * out[i] : 0.0f;
            out[i] = (kept + added * product[i]) / divisor;
        }
    }
}
