// Pairs of tasks that wait for each other, without an edge between any two.
//
// Arguments: the uint64 tensors questions (in) and answers (out), of one element per pair.
//
// All answering tasks come first, so on a host that runs few kernels at once those that run all wait.
#include <vector>

#include "orchestration_api.h"

namespace {

enum Kernel { ANSWER = 0, ASK = 1 };

}  // namespace

extern "C" int build_flags(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &questions = args.tensor(0);
    const ContinuousTensor &answers = args.tensor(1);
    const uint64_t pairs = questions.nbytes() / sizeof(uint64_t);
    if (answers.nbytes() != questions.nbytes()) {
        return 1;
    }
    const std::vector<uint64_t> zeros(2 * pairs, 0);
    const size_t flag_bytes = zeros.size() * sizeof(uint64_t);
    void *dev_flags = device_malloc(rt, flag_bytes);
    copy_to_device(rt, dev_flags, zeros.data(), flag_bytes);
    void *dev_answers = device_malloc(rt, answers.nbytes());
    record_tensor_pair(rt, answers.data_as<void>(), dev_answers, answers.nbytes());

    const uint64_t flags = reinterpret_cast<uint64_t>(dev_flags);
    for (uint64_t pair = 0; pair < pairs; ++pair) {
        const uint64_t question_flag = flags + pair * 2 * sizeof(uint64_t);
        uint64_t slots[] = {question_flag, question_flag + sizeof(uint64_t)};
        add_task(rt, slots, 2, ANSWER, CoreType::AIC);
    }
    for (uint64_t pair = 0; pair < pairs; ++pair) {
        const uint64_t question_flag = flags + pair * 2 * sizeof(uint64_t);
        const uint64_t out = reinterpret_cast<uint64_t>(dev_answers) + pair * sizeof(uint64_t);
        uint64_t slots[] = {question_flag, question_flag + sizeof(uint64_t),
                            questions.data_as<const uint64_t>()[pair], out};
        add_task(rt, slots, 4, ASK, CoreType::AIV);
    }
    return 0;
}
