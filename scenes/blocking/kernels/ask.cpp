// Asks and waits for the answer. Arguments: question flag, answer flag, question, out.
#include "../flags.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    send(reinterpret_cast<__gm__ uint64_t *>(args[0]), static_cast<uint64_t>(args[2]));
    *reinterpret_cast<__gm__ uint64_t *>(args[3]) = receive(reinterpret_cast<__gm__ const uint64_t *>(args[1]));
}
