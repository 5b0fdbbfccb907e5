// out = (x + offset) * factor. Arguments: x (in), out (out); the scalars factor, offset.
#include "chain.h"

extern "C" void build_shift_first(const ChipStorageTaskArgs &args) {
    build_chain(args, Step{SHIFT, args.scalar(1)}, Step{SCALE, args.scalar(0)});
}
