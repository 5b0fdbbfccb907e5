// out = x * factor + offset. Arguments: x (in), out (out); the scalars factor, offset.
#include "chain.h"

extern "C" void build_scale_first(const ChipStorageTaskArgs &args) {
    build_chain(args, Step{SCALE, args.scalar(0)}, Step{SHIFT, args.scalar(1)});
}
