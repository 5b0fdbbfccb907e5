// Does not return before there is a file where the environment says.
#include <cstdint>
#include <cstdlib>
#include <unistd.h>

extern "C" void kernel_entry(int64_t *) {
    const char *end = std::getenv("SIMPLER_TEST_END_OF_SPIN");
    volatile uint64_t count = 0;
    while (end == nullptr || access(end, F_OK) != 0) {
        for (int i = 0; i < 100000; i++) count = count + 1;
    }
}
