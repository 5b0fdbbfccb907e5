// Runs a program of eight-word operations, which tensor 0 holds; the tensors behind it can be used by their index.
//
// What an operation creates gets the next index, until the end of its scope.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "pto_orchestration_api.h"

namespace {

enum Op : int64_t { BEGIN, END, COMBINE, CREATE, CREATE_FILLED, ALLOC, DUMMY, ADD, FATAL, THROW, TOO_LARGE };
enum Kernel : int32_t { WHOLE, LANE_0, LANE_1, LANE_2 };

struct Step {
    int64_t op, a, b, c;
    int64_t scalar, blocks, cores, length;
};

/// Kernels read how they shall combine from their second scalar: 0 keeps a part of what was there.
void submit(const Step &step, Arg &arg, int64_t overwrite, TaskOutputTensors *outputs = nullptr) {
    arg.add_scalar(step.scalar, overwrite);
    arg.launch_spec.set_block_num(static_cast<int16_t>(step.blocks));
    MixedKernels kernels;
    if (step.cores == 0) {
        kernels.aic_kernel_id = WHOLE;
    } else if (step.cores == 1) {
        kernels.aiv0_kernel_id = WHOLE;
    } else {
        kernels.aic_kernel_id = LANE_0;
        kernels.aiv0_kernel_id = LANE_1;
        kernels.aiv1_kernel_id = LANE_2;
    }
    const TaskOutputTensors made = rt_submit_task(kernels, arg);
    if (outputs != nullptr) {
        *outputs = made;
    }
}

struct Machine {
    std::vector<Tensor> tensors;
    std::vector<size_t> scopes;

    TensorCreateInfo info(const Step &step) {
        const uint32_t shape[1] = {static_cast<uint32_t>(step.length)};
        return TensorCreateInfo(shape, 1, DataType::INT64);
    }

    void create(const Step &step, bool filled) {
        TensorCreateInfo created = info(step);
        if (filled) {
            created.set_initial_value<int64_t>(step.scalar);
        }
        Arg arg;
        arg.add_input(tensors[step.a], tensors[step.b]);
        arg.add_output(created);
        TaskOutputTensors outputs;
        submit(step, arg, filled ? 0 : 1, &outputs);
        if (!rt_is_fatal()) {
            tensors.push_back(outputs.get_ref(0));
        }
    }

    void alloc(const Step &step) {
        const TaskOutputTensors outputs = alloc_tensors(info(step));
        if (rt_is_fatal()) {
            return;
        }
        tensors.push_back(outputs.get_ref(0));
        Arg arg;
        arg.add_input(tensors[step.a], tensors[step.b]);
        arg.add_output(tensors.back());
        submit(step, arg, 1);
    }

    void add(const Step &step) {
        const uint32_t from[1] = {static_cast<uint32_t>(step.blocks)}, to[1] = {static_cast<uint32_t>(step.length)};
        const int64_t value = get_tensor_data<int64_t>(tensors[step.a], 1, from);
        set_tensor_data<int64_t>(tensors[step.c], 1, to, value + step.scalar);
    }

    void run(const Step &step) {
        switch (step.op) {
        case BEGIN:
            scopes.push_back(tensors.size());
            rt_scope_begin();
            break;
        case END:
            rt_scope_end();
            tensors.erase(tensors.begin() + static_cast<ptrdiff_t>(scopes.back()), tensors.end());
            scopes.pop_back();
            break;
        case COMBINE: {
            Arg arg;
            arg.add_input(tensors[step.a], tensors[step.b]);
            arg.add_inout(tensors[step.c]);
            submit(step, arg, 0);
            break;
        }
        case CREATE:
        case CREATE_FILLED:
            create(step, step.op == CREATE_FILLED);
            break;
        case ALLOC:
            alloc(step);
            break;
        case DUMMY: {
            Arg arg;
            arg.add_input(tensors[step.a]);
            arg.add_inout(tensors[step.c]);
            rt_submit_dummy_task(arg);
            break;
        }
        case ADD:
            add(step);
            break;
        case FATAL:
            rt_report_fatal(static_cast<int32_t>(step.scalar), "as the program says");
            break;
        case THROW:
            throw std::runtime_error("as the program says");
        case TOO_LARGE: {
            Step huge = step;
            huge.length = 1 << 20;
            alloc(huge);
            break;
        }
        default:
            throw std::runtime_error("no such operation");
        }
    }
};

}  // namespace

extern "C" void interpret(const ChipStorageTaskArgs &args) {
    const ContinuousTensor &program = args.tensor(0);
    Machine machine;
    for (int32_t i = 1; i < args.tensor_count(); ++i) {
        machine.tensors.push_back(from_tensor_arg(args.tensor(i)));
    }
    const Step *steps = program.data_as<const Step>();
    for (uint64_t i = 0; i < program.nbytes() / sizeof(Step) && !rt_is_fatal(); ++i) {
        machine.run(steps[i]);
    }
}

extern "C" void interpret_nothing(const ChipStorageTaskArgs &) {}

extern "C" PTO2OrchestrationConfig two_arguments(const ChipStorageTaskArgs &) { return {2}; }
