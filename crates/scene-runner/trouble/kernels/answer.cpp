// Stores what the PTO-ISA tree says.
#include "simpler_kernel.h"
#include "pto/pto-inst.hpp"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    *reinterpret_cast<__gm__ uint64_t *>(args[0]) = THE_ANSWER;
}
