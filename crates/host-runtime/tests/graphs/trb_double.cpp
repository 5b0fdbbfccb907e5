#include "simpler_kernel.h"
#include "tensor.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const Tensor &in = *reinterpret_cast<const Tensor *>(args[0]);
    const Tensor &out = *reinterpret_cast<const Tensor *>(args[1]);
    const float *from = reinterpret_cast<const float *>(in.buffer.addr) + in.start_offset;
    float *to = reinterpret_cast<float *>(out.buffer.addr) + out.start_offset;
    for (uint64_t i = 0; i < in.numel(); i++) to[i] = 2 * from[i];
}
