// Loads a kernel and an orchestration as a runtime would, and checks the argument lists. Says what is wrong
// and ends with 1 at the first failure.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include "orchestration_api.h"

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition);       \
            std::exit(1);                                                      \
        }                                                                      \
    } while (false)

template <typename Error>
bool throws(const std::string &start, const std::function<void()> &action) {
    try {
        action();
    } catch (const Error &error) {
        const std::string text = error.what();
        if (text.rfind(start, 0) == 0) {
            return true;
        }
        std::fprintf(stderr, "thrown: %s\n", text.c_str());
    }
    return false;
}

static ContinuousTensor tensor(void *data, DataType dtype, std::initializer_list<uint32_t> shape) {
    ContinuousTensor made{};
    made.data = reinterpret_cast<uint64_t>(data);
    made.dtype = dtype;
    for (uint32_t dim : shape) {
        made.shapes[made.ndims++] = dim;
    }
    return made;
}

static void check_types() {
    const uint64_t sizes[] = {4, 2, 4, 2, 1, 1, 2, 8, 8, 2, 4};
    const char *names[] = {"FLOAT32", "FLOAT16", "INT32", "INT16", "INT8", "UINT8",
                           "BFLOAT16", "INT64", "UINT64", "UINT16", "UINT32"};
    for (uint8_t i = 0; i < static_cast<uint8_t>(DataType::DATA_TYPE_NUM); ++i) {
        CHECK(get_element_size(static_cast<DataType>(i)) == sizes[i]);
        CHECK(std::string(get_dtype_name(static_cast<DataType>(i))) == names[i]);
    }
    CHECK(get_element_size(DataType::DATA_TYPE_NUM) == 0 && get_element_size(static_cast<DataType>(200)) == 0);
    CHECK(std::string(get_dtype_name(static_cast<DataType>(200))) == "UNKNOWN");
    CHECK(std::string(arg_direction_name(ArgDirection::INOUT)) == "INOUT");
    CHECK(std::string(arg_direction_name(static_cast<ArgDirection>(9))) == "UNKNOWN");
    CHECK(std::string(core_type_to_string(CoreType::AIC)) == "AIC");
    CHECK(std::string(core_type_to_string(CoreType::AIV)) == "AIV");
    CHECK(std::string(core_type_to_string(static_cast<CoreType>(2))) == "UNKNOWN");
    CHECK(callable_align_up(0) == 0 && callable_align_up(1) == 64 && callable_align_up(128) == 128);

    CHECK(to_u64(1.5f) == 0x3FC00000 && from_u64<float>(to_u64(-2.5f)) == -2.5f);
    CHECK(to_u64(int32_t{-1}) == 0xFFFFFFFF && to_u64(int8_t{-1}) == 0xFF && to_u64(true) == 1);
    CHECK(from_u64<int64_t>(to_u64(int64_t{-3})) == -3 && from_u64<double>(to_u64(0.1)) == 0.1);
    CHECK(from_u64<CoreType>(to_u64(CoreType::AIV)) == CoreType::AIV);

    CHECK(tensor(nullptr, DataType::INT16, {3, 5}).nbytes() == 30);
    CHECK(tensor(nullptr, DataType::INT64, {}).nbytes() == 8);
    CHECK(tensor(nullptr, DataType::UINT8, {65536, 65536, 16}).nbytes() == uint64_t{1} << 36);
    ContinuousTensor odd = tensor(nullptr, DataType::UINT8, {2, 2, 2, 2, 2});
    odd.ndims = 1000;
    CHECK(odd.nbytes() == 32 && !odd.is_child_memory());
    odd.child_memory = 2;
    CHECK(odd.is_child_memory());

    const uint32_t shape[] = {4, 6}, raw[] = {8, 12}, at[] = {1, 2};
    const TensorInfo whole = make_tensor_info(DataType::INT8, 2, shape);
    CHECK(whole.ndims == 2 && whole.raw_shapes[1] == 6 && whole.offsets[0] == 0 && whole.shapes[2] == 0);
    const TensorInfo part = make_tensor_info(DataType::INT8, 2, shape, raw, at);
    CHECK(part.shapes[0] == 4 && part.raw_shapes[0] == 8 && part.offsets[1] == 2);
    CHECK(make_tensor_info_from_tensor_arg(odd).ndims == 5);
    const TensorAllocationInfo last{UINT64_MAX - 15, 16};
    CHECK(last.contains(UINT64_MAX) && last.contains(UINT64_MAX - 15) && !last.contains(UINT64_MAX - 16));
}

template <typename Args>
static void check_list(const std::string &name) {
    Args args;
    CHECK(args.tensor_count() == 0 && args.scalar_count() == 0);
    args.add_tensor(tensor(&args, DataType::INT8, {1}));
    args.add_tensor(tensor(&args, DataType::INT8, {2}));
    args.tensor(1).shapes[0] = 3;
    args.add_scalar(5);
    args.scalar(0) += 1;
    const Args &view = args;
    CHECK(view.tensor_count() == 2 && view.tensor(1).shapes[0] == 3 && view.tensor_data()[0].shapes[0] == 1);
    CHECK(view.scalar_count() == 1 && view.scalar(0) == 6 && *view.scalars() == 6 && *view.scalar_data() == 6);
    CHECK(throws<std::logic_error>("TaskArgs: cannot add tensor after scalar", [&] { args.add_tensor({}); }));
    for (int32_t i : {-1, 2, INT32_MIN, INT32_MAX}) {
        CHECK(throws<std::out_of_range>(name + " tensor index out of range", [&] { view.tensor(i); }));
        CHECK(throws<std::out_of_range>(name + " tensor index out of range", [&] { args.tensor(i); }));
        CHECK(throws<std::out_of_range>(name + " scalar index out of range", [&] { (void)view.scalar(i); }));
        CHECK(throws<std::out_of_range>(name + " scalar index out of range", [&] { args.scalar(i); }));
    }
    args.clear();
    CHECK(args.tensor_count() == 0 && args.scalar_count() == 0);
    args.add_tensor({});
}

static void check_lists() {
    check_list<ChipStorageTaskArgs>("ChipStorageTaskArgs");
    check_list<TaskArgs>("TaskArgs");

    ChipStorageTaskArgs full;
    for (int i = 0; i < CHIP_MAX_TENSOR_ARGS; ++i) {
        full.add_tensor({});
    }
    CHECK(throws<std::out_of_range>("TaskArgs: tensor capacity exceeded", [&] { full.add_tensor({}); }));
    for (int i = 0; i < CHIP_MAX_SCALAR_ARGS; ++i) {
        full.add_scalar(0);
    }
    CHECK(throws<std::out_of_range>("TaskArgs: scalar capacity exceeded", [&] { full.add_scalar(0); }));

    TaskArgs tagged;
    tagged.add_tensor({});
    tagged.add_tensor({}, TensorArgType::NO_DEP);
    tagged.tag(0) = TensorArgType::OUTPUT;
    CHECK(tagged.tag(0) == TensorArgType::OUTPUT && tagged.tag_data()[1] == TensorArgType::NO_DEP);
    CHECK(throws<std::out_of_range>("TaskArgs tag index out of range", [&] { tagged.tag(2); }));
    TaskArgsTpl<ContinuousTensor, uint64_t, 2, 1, TensorArgType> fixed;
    fixed.add_tensor({}, TensorArgType::INOUT);
    fixed.add_tensor({});
    CHECK(fixed.tag(0) == TensorArgType::INOUT && fixed.tag(1) == TensorArgType::INPUT);
    CHECK(throws<std::out_of_range>("TaskArgs tag index out of range", [&] { fixed.tag(2); }));
}

static void check_blobs() {
    for (int tensors : {0, 1, 128}) {
        for (int scalars : {0, 1, 128}) {
            TaskArgs args;
            for (int i = 0; i < tensors; ++i) {
                args.add_tensor(tensor(&args, DataType::INT32, {static_cast<uint32_t>(i), 2}));
            }
            for (int i = 0; i < scalars; ++i) {
                args.add_scalar(static_cast<uint64_t>(i) << 40);
            }
            const size_t size = task_args_blob_size(args);
            CHECK(size == 8 + 40 * static_cast<size_t>(tensors) + 8 * static_cast<size_t>(scalars));
            std::vector<uint64_t> memory(size / 8 + 1, 0xEEEEEEEEEEEEEEEE);
            auto *blob = reinterpret_cast<uint8_t *>(memory.data());
            write_blob(blob, args);
            CHECK(memory.back() == 0xEEEEEEEEEEEEEEEE);
            const TaskArgsView view = read_blob(blob, size);
            const TaskArgsView direct = make_view(args);
            CHECK(view.tensor_count == direct.tensor_count && view.scalar_count == direct.scalar_count);
            const ChipStorageTaskArgs storage = view_to_chip_storage(view);
            CHECK(storage.tensor_count() == tensors && storage.scalar_count() == scalars);
            for (int i = 0; i < tensors; ++i) {
                CHECK(storage.tensor(i).shapes[0] == static_cast<uint32_t>(i) && storage.tensor(i).nbytes() == 8 * uint64_t(i));
            }
            for (int i = 0; i < scalars; ++i) {
                CHECK(storage.scalar(i) == direct.scalars[i]);
            }
            CHECK(throws<std::runtime_error>("read_blob: ", [&] { read_blob(blob, size - 1); }));
        }
    }

    alignas(8) uint8_t blob[16] = {};
    CHECK(throws<std::runtime_error>("read_blob: capacity 7 < header size 8", [&] { read_blob(blob, 7); }));
    int32_t counts[2] = {1, 2};
    std::memcpy(blob, counts, 8);
    CHECK(throws<std::runtime_error>("read_blob: header reports 64 bytes (T=1, S=2) but capacity is 16",
                                     [&] { read_blob(blob, 16); }));
    counts[1] = -1;
    std::memcpy(blob, counts, 8);
    CHECK(throws<std::runtime_error>("read_blob: negative counts — ", [&] { read_blob(blob, 16); }));
    counts[0] = counts[1] = INT32_MAX;
    std::memcpy(blob, counts, 8);
    CHECK(throws<std::runtime_error>("read_blob: header reports 103079215064 bytes", [&] { read_blob(blob, 16); }));

    for (int32_t count : {129, -1}) {
        CHECK(throws<std::out_of_range>("view_to_chip_storage: tensor_count exceeds CHIP_MAX_TENSOR_ARGS",
                                        [&] { view_to_chip_storage({count, 0, nullptr, nullptr}); }));
        CHECK(throws<std::out_of_range>("view_to_chip_storage: scalar_count exceeds CHIP_MAX_SCALAR_ARGS",
                                        [&] { view_to_chip_storage({0, count, nullptr, nullptr}); }));
    }
}

// A runtime that executes each task when it is added.
struct Recorder : OrchestrationRuntime {
    void (*kernel)(int64_t *);
    int tasks = 0, infos = 0, edges = 0, allocated = 0, freed = 0, printed = 0;
    void *host = nullptr, *dev = nullptr;
    size_t bytes = 0;
};

static Recorder *self(OrchestrationRuntime *rt) {
    return static_cast<Recorder *>(rt);
}

static const OrchestrationRuntimeOps OPS = {
    [](OrchestrationRuntime *rt, uint64_t *args, int num_args, int, CoreType) {
        int64_t slots[16] = {};
        std::memcpy(slots, args, static_cast<size_t>(num_args) * 8);
        self(rt)->kernel(slots);
        return self(rt)->tasks++;
    },
    [](OrchestrationRuntime *rt, int, const TensorInfo *, int count) { return self(rt)->infos += count, 0; },
    [](OrchestrationRuntime *rt, int from, int to) { self(rt)->edges += to - from; },
    [](OrchestrationRuntime *rt, void *host, void *dev, size_t bytes) {
        self(rt)->host = host, self(rt)->dev = dev, self(rt)->bytes = bytes;
    },
    [](OrchestrationRuntime *rt) { return self(rt)->tasks; },
    [](OrchestrationRuntime *rt) { self(rt)->printed++; },
    [](OrchestrationRuntime *rt, size_t bytes) { return self(rt)->allocated++, std::malloc(bytes); },
    [](OrchestrationRuntime *rt, void *dev) { self(rt)->freed++, std::free(dev); },
    [](OrchestrationRuntime *, void *dev, const void *host, size_t bytes) { return std::memcpy(dev, host, bytes), 0; },
};

template <typename Function>
static Function symbol(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        std::exit(1);
    }
    void *address = dlsym(handle, name);
    CHECK(address != nullptr);
    return reinterpret_cast<Function>(address);
}

static uint64_t shared_state = 0;

static void check_libraries(const char *kernel, const char *graph) {
    Recorder recorder{};
    recorder.ops = &OPS;
    recorder.kernel = symbol<void (*)(int64_t *)>(kernel, "kernel_entry");
    const auto build = symbol<OrchestrationFunc>(graph, "build_graph");

    float in[3] = {1, 2, 3};
    float out[3] = {};
    ChipStorageTaskArgs args;
    args.add_tensor(tensor(in, DataType::FLOAT32, {3}));
    args.add_tensor(tensor(out, DataType::FLOAT32, {3}));
    args.add_scalar(to_u64(2.0f));

    const auto run = [&](float expected) {
        recorder.tasks = 0;
        CHECK(build(&recorder, args) == 0);
        CHECK(recorder.host == out && recorder.bytes == sizeof(out));
        std::memcpy(out, recorder.dev, sizeof(out));
        CHECK(out[2] == expected);
    };
    // Without hooks: lane 0, no shared block.
    run(3 * 2 * 2);
    CHECK(shared_state == 0);

    using Register = void (*)(void *, void *);
    uint32_t (*lane)() = [] { return uint32_t{1}; };
    void *(*state)(uint64_t, size_t) = [](uint64_t key, size_t size) -> void * {
        return key == 7 && size == 8 ? &shared_state : nullptr;
    };
    symbol<Register>(kernel, "pto_sim_register_hooks")(reinterpret_cast<void *>(lane), reinterpret_cast<void *>(state));
    run((3 * 2 + 1) * 2 + 1);
    CHECK(shared_state == 2);
    CHECK(recorder.infos == 6 && recorder.edges == 2 && recorder.printed == 2);
    CHECK(recorder.allocated == 6 && recorder.freed == 2);

    ChipStorageTaskArgs empty;
    CHECK(throws<std::out_of_range>("ChipStorageTaskArgs tensor index out of range", [&] { build(&recorder, empty); }));
}

int main(int, char **argv) {
    check_types();
    check_lists();
    check_blobs();
    check_libraries(argv[1], argv[2]);
}
