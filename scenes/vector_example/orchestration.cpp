// f = (a + b + 1) * (a + b + 2) + (a + b), element by element.
//
// Arguments: the float tensors a, b (in) and f (out), all of one shape.
//
//     sum ---> plus_one --.
//      |                   +--> product --> f
//      +-----> plus_two --'                 ^
//      '------------------------------------'
#include <cstring>

#include "orchestration_api.h"

namespace {

enum Kernel { ADD = 0, ADD_SCALAR = 1, MUL = 2 };

uint64_t bits(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

uint64_t bits(float value) {
    uint32_t narrow;
    std::memcpy(&narrow, &value, sizeof(narrow));
    return narrow;
}

void *copy_in(OrchestrationRuntime *rt, const ContinuousTensor &tensor) {
    void *dev = device_malloc(rt, tensor.nbytes());
    copy_to_device(rt, dev, tensor.data_as<void>(), tensor.nbytes());
    return dev;
}

// All tensors are like `f`; what they are is for dumps only.
int add_vector_task(OrchestrationRuntime *rt, Kernel kernel, uint64_t x, uint64_t y, void *out,
                    const ContinuousTensor &f) {
    uint64_t args[] = {x, y, bits(out), f.nbytes() / sizeof(float)};
    const TensorInfo like = make_tensor_info_from_tensor_arg(f);
    const TensorInfo tensors[] = {like, like, like};
    return add_task_with_tensor_info(rt, args, 4, kernel, CoreType::AIV, tensors, kernel == ADD_SCALAR ? 2 : 3);
}

}  // namespace

extern "C" int build_vector_example(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &a = args.tensor(0);
    const ContinuousTensor &b = args.tensor(1);
    const ContinuousTensor &f = args.tensor(2);
    const uint64_t bytes = f.nbytes();
    if (a.nbytes() != bytes || b.nbytes() != bytes) {
        return 1;
    }

    void *dev_a = copy_in(rt, a);
    void *dev_b = copy_in(rt, b);
    void *sum = device_malloc(rt, bytes);
    void *plus_one = device_malloc(rt, bytes);
    void *plus_two = device_malloc(rt, bytes);
    void *product = device_malloc(rt, bytes);
    void *dev_f = device_malloc(rt, bytes);
    record_tensor_pair(rt, f.data_as<void>(), dev_f, bytes);

    const int t_sum = add_vector_task(rt, ADD, bits(dev_a), bits(dev_b), sum, f);
    const int t_one = add_vector_task(rt, ADD_SCALAR, bits(sum), bits(1.0f), plus_one, f);
    const int t_two = add_vector_task(rt, ADD_SCALAR, bits(sum), bits(2.0f), plus_two, f);
    const int t_product = add_vector_task(rt, MUL, bits(plus_one), bits(plus_two), product, f);
    const int t_f = add_vector_task(rt, ADD, bits(product), bits(sum), dev_f, f);

    add_successor(rt, t_sum, t_one);
    add_successor(rt, t_sum, t_two);
    add_successor(rt, t_one, t_product);
    add_successor(rt, t_two, t_product);
    add_successor(rt, t_product, t_f);
    add_successor(rt, t_sum, t_f);
    return 0;
}
