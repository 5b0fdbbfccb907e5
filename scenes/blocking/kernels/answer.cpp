// Waits for a question, answers it with its square plus 1. Arguments: question flag, answer flag.
#include "../flags.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const uint64_t question = receive(reinterpret_cast<__gm__ const uint64_t *>(args[0]));
    send(reinterpret_cast<__gm__ uint64_t *>(args[1]), question * question + 1);
}
