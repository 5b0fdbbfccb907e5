// The headers in C++, with a callable and a run: LIBRARY GRAPHS
#include <type_traits>
#include <vector>

#include "client.h"

// The functions are C functions, whatever includes their header.
static_assert(std::is_same_v<decltype(&create_device_context), void *(*)()>);
static_assert(sizeof(simpler_tensor) == 40 && sizeof(simpler_task_args) == 6152 && sizeof(PtoRunTiming) == 16);
static_assert(sizeof(simpler_chip_callable) == 8852 && sizeof(simpler_core_callable) == 80);
static_assert(sizeof(simpler_rs_report) == 152 && sizeof(simpler_rs_run) == 48 && sizeof(simpler_host_api) == 72);

int main(int argc, char **argv) {
    CHECK_EQ(argc, 3);
    const api library = open_api(argv[1]);
    file image = make_callable(&library, argv[2]);
    std::vector<void *> contexts;
    for (int device = 0; device < 4; device++) {
        contexts.push_back(new_context(&library, device));
        CHECK_EQ(library.prepare_callable(contexts.back(), 0, image.bytes), 0);
    }
    for (void *ctx : contexts) run_well(&library, ctx, 0);
    for (void *ctx : contexts) library.destroy_device_context(ctx);
    CHECK_EQ(held(&library, nullptr), 0);
    std::free(image.bytes);
    CHECK_EQ(dlclose(library.library), 0);
}
