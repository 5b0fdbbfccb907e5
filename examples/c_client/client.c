/*
 * Runs a graph through the C API: client LIBHOST_RUNTIME_SO GRAPH_SO KERNEL_SO
 * The file `run` builds all that and calls it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "simpler/callable.h"
#include "simpler/host_runtime.h"

enum { COUNT = 1024 };

static void *library;
static void *ctx;

/* A function of the library, with the type that the header declares. */
#define API(name) ((__typeof__(&name))dlsym(library, #name))

static void stop(const char *what) {
    char why[1024] = "";
    if (library != NULL) {
        API(simpler_rs_last_error)(ctx, why, sizeof(why), NULL);
    }
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop(path);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size);
    if (bytes == NULL || fread(bytes, 1, *size, file) != *size) stop(path);
    fclose(file);
    return bytes;
}

static struct simpler_tensor tensor(float *values) {
    struct simpler_tensor tensor = {
        .data = (uint64_t)(uintptr_t)values, .shapes = {COUNT}, .ndims = 1, .dtype = SIMPLER_FLOAT32
    };
    return tensor;
}

int main(int argc, char **argv) {
    if (argc != 4) stop("usage: client LIBHOST_RUNTIME_SO GRAPH_SO KERNEL_SO");
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) stop(dlerror());

    /* An image holds the graph and its kernels. */
    size_t graph_size, kernel_size;
    void *graph = read_file(argv[2], &graph_size);
    void *kernel = read_file(argv[3], &kernel_size);
    struct simpler_kernel_binary kernels[] = {{.func_id = 0, .bytes = kernel, .size = kernel_size}};
    size_t size = simpler_callable_write(NULL, 0, "build", graph, graph_size, kernels, 1);
    void *image = malloc(size);
    simpler_callable_write(image, size, "build", graph, graph_size, kernels, 1);

    ctx = API(create_device_context)();
    if (API(simpler_init)(ctx, 0, NULL, 0, NULL, 0, NULL, 0) != 0) stop("simpler_init");
    if (API(prepare_callable)(ctx, 0, image) != 0) stop("prepare_callable");
    free(image), free(graph), free(kernel);

    static float in[COUNT], out[COUNT];
    for (int i = 0; i < COUNT; i++) in[i] = (float)i;
    static struct simpler_task_args args;
    args.tensors[0] = tensor(in);
    args.tensors[1] = tensor(out);
    args.tensor_count = 2;

    void *buffer = malloc(API(get_runtime_size)());
    PtoRunTiming timing;
    if (API(run_prepared)(ctx, buffer, 0, &args, 0, 3, 0, 0, 0, 0, 0, NULL, &timing) != 0) stop("run_prepared");
    for (int i = 0; i < COUNT; i++) {
        if (out[i] != 2 * in[i]) stop("a wrong result");
    }
    printf(
        "%s, %s: %d values doubled in %.1f us, of which %.1f us on the device\n", API(get_platform)(),
        API(simpler_rs_runtime)(), COUNT, (double)timing.host_wall_ns / 1e3, (double)timing.device_wall_ns / 1e3
    );

    free(buffer);
    API(destroy_device_context)(ctx);
    return dlclose(library);
}
