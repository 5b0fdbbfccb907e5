// What the kernels of this scene are given. Arguments: in, out, count of in, context, round.
#ifndef SCENES_COMM_COLLECTIVES_COLLECTIVE_H_
#define SCENES_COMM_COLLECTIVES_COLLECTIVE_H_

#include <algorithm>

#include "ranks.h"

struct Collective {
    explicit Collective(__gm__ int64_t *args)
        : in(reinterpret_cast<__gm__ const int32_t *>(args[0])),
          out(reinterpret_cast<__gm__ int32_t *>(args[1])),
          count(args[2]),
          ranks(args[3]),
          round(static_cast<uint64_t>(args[4])) {}

    __gm__ const int32_t *in;
    __gm__ int32_t *out;
    int64_t count;
    Ranks ranks;
    uint64_t round;
};

#endif  // SCENES_COMM_COLLECTIVES_COLLECTIVE_H_
