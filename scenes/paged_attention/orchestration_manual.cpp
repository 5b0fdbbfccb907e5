// Paged attention where every dependency is named. That includes those that only keep memory alive: what a task
// uses must not be given away before the task is complete, also when its content has long been there.
#include "problem.h"

namespace {

/// Returns the task after which the running softmax has the block in it.
PTO2TaskId attend(const Work &work, const TaskOutputTensors &running, PTO2TaskId before) {
    Arg scores;
    scores.add_input(work.q, work.k);
    scores.add_output(work.per_token);
    const TaskOutputTensors scored = rt_submit_aic_task(SCORES, scores);

    Arg prepare;
    prepare.add_input(scored.get_ref(0));
    prepare.add_output(work.per_token, work.per_head, work.per_head);
    prepare.add_scalar(work.scale);
    const PTO2TaskId scored_id = scored.task_id();
    prepare.set_dependencies(&scored_id, 1);
    const TaskOutputTensors prepared = rt_submit_aiv_task(SOFTMAX_PREPARE, prepare);

    Arg product;
    product.add_input(prepared.get_ref(0), work.v);
    product.add_output(work.per_element);
    const PTO2TaskId prepared_id = prepared.task_id();
    product.set_dependencies(&prepared_id, 1);
    const TaskOutputTensors multiplied = rt_submit_aic_task(WEIGHTED_SUM, product);

    ArgWithDeps<4> update;
    update.add_input(prepared.get_ref(1), prepared.get_ref(2), multiplied.get_ref(0));
    update.add_inout(running.get_ref(0), running.get_ref(1), work.out);
    update.add_scalar(work.last);
    update.add_dep(prepared_id, multiplied.task_id(), running.task_id());
    if (before.is_valid()) {
        update.add_dep(before);
    }
    return rt_submit_aiv_task(ONLINE_UPDATE, update).task_id();
}

void attend_tile(const Problem &problem, uint32_t sequence, uint32_t tile) {
    const TaskOutputTensors running = problem.new_running();
    const uint32_t blocks = problem.blocks(sequence);
    PTO2TaskId before = PTO2TaskId::invalid();
    for (uint32_t i = 0; i < blocks; ++i) {
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            const Work work = problem.work(sequence, tile, i);
            if (rt_is_fatal()) {
                return;
            }
            before = attend(work, running, before);
        }
    }
}

}  // namespace

extern "C" void build_paged_attention_manual(const ChipStorageTaskArgs &args) {
    const Problem problem(args);
    for (uint32_t sequence = 0; sequence < problem.sequences(); ++sequence) {
        for (uint32_t tile = 0; tile < problem.tiles() && !rt_is_fatal(); ++tile) {
            PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
                attend_tile(problem, sequence, tile);
            }
        }
    }
}

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{6};
}
