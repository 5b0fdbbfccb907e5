// What orchestrations of tensormap_and_ringbuffer scenes have in common.
#ifndef SCENES_TRB_GRAPH_H_
#define SCENES_TRB_GRAPH_H_

#include "pto_orchestration_api.h"

/// Runs the task once per block. The two chips call the same thing by different names.
inline void set_blocks(Arg &args, uint64_t blocks) {
#if defined(SIMPLER_ARCH_A5)
    args.launch_spec.set_core_num(static_cast<int16_t>(blocks));
#else
    args.launch_spec.set_block_num(static_cast<int16_t>(blocks));
#endif
}

/// A new tensor of `count` uint64 in one dimension.
inline TensorCreateInfo new_u64(uint32_t count) {
    return TensorCreateInfo(&count, 1, DataType::UINT64);
}

/// `count` elements of a tensor of one dimension, from element `first` on.
inline Tensor part(const Tensor &tensor, uint32_t first, uint32_t count) {
    return tensor.view(&count, &first);
}

#endif  // SCENES_TRB_GRAPH_H_
