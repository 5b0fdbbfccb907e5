// Paged attention where dependencies follow from tensors: what a task creates from the task that created it,
// and the blocks of a tile follow each other because all of them change its running softmax.
#include "problem.h"

namespace {

void attend(const Work &work, const Tensor &running_max, const Tensor &running_sum) {
    Arg scores;
    scores.add_input(work.q, work.k);
    scores.add_output(work.per_token);
    const TaskOutputTensors scored = rt_submit_aic_task(SCORES, scores);

    Arg prepare;
    prepare.add_input(scored.get_ref(0));
    prepare.add_output(work.per_token, work.per_head, work.per_head);
    prepare.add_scalar(work.scale);
    const TaskOutputTensors prepared = rt_submit_aiv_task(SOFTMAX_PREPARE, prepare);

    Arg product;
    product.add_input(prepared.get_ref(0), work.v);
    product.add_output(work.per_element);
    const TaskOutputTensors multiplied = rt_submit_aic_task(WEIGHTED_SUM, product);

    Arg update;
    update.add_input(prepared.get_ref(1), prepared.get_ref(2), multiplied.get_ref(0));
    update.add_inout(running_max, running_sum, work.out);
    update.add_scalar(work.last);
    rt_submit_aiv_task(ONLINE_UPDATE, update);
}

void attend_tile(const Problem &problem, uint32_t sequence, uint32_t tile) {
    const TaskOutputTensors running = problem.new_running();
    const uint32_t blocks = problem.blocks(sequence);
    for (uint32_t i = 0; i < blocks; ++i) {
        PTO2_SCOPE() {
            const Work work = problem.work(sequence, tile, i);
            if (rt_is_fatal()) {
                return;
            }
            attend(work, running.get_ref(0), running.get_ref(1));
        }
    }
}

}  // namespace

extern "C" void build_paged_attention(const ChipStorageTaskArgs &args) {
    const Problem problem(args);
    for (uint32_t sequence = 0; sequence < problem.sequences(); ++sequence) {
        for (uint32_t tile = 0; tile < problem.tiles() && !rt_is_fatal(); ++tile) {
            PTO2_SCOPE() {
                attend_tile(problem, sequence, tile);
            }
        }
    }
}

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{6};
}
