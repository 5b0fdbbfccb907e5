// out = x * factor + offset. Arguments: x (in), out (out); the scalars factor, offset.
#include "chain.h"

extern "C" int build_scale_first(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    return build_chain(rt, args, Step{SCALE, args.scalar(0)}, Step{SHIFT, args.scalar(1)});
}
