#include <cstdint>

extern "C" void kernel_entry(int64_t *args) {
    const float *in = reinterpret_cast<const float *>(args[0]);
    float *out = reinterpret_cast<float *>(args[1]);
    for (int64_t i = 0; i < args[2]; i++) out[i] = 2 * in[i];
}
