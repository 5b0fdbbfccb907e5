// out = (x + offset) * factor. Arguments: x (in), out (out); the scalars factor, offset.
#include "chain.h"

extern "C" int build_shift_first(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    return build_chain(rt, args, Step{SHIFT, args.scalar(1)}, Step{SCALE, args.scalar(0)});
}
