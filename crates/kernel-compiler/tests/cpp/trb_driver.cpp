// Checks the API of tensormap_and_ringbuffer against a runtime that only takes notes, then an orchestration and
// a kernel as a runtime would load them. Says what is wrong and ends with 1 at the first failure.
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "intrinsic.h"
#include "pto_async_kernel_api.h"
#include "pto_orchestration_api.h"

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            std::exit(1);                                                \
        }                                                                \
    } while (false)

#if defined(SIMPLER_ARCH_A5)
static const bool a5 = true;
static int16_t blocks(const Arg &args) { return args.launch_spec.core_num(); }
#else
static const bool a5 = false;
static int16_t blocks(const Arg &args) { return args.launch_spec.block_num(); }
#endif

// What the runtime was asked, one line per call; "?" questions are left out.
static std::string notes;
static bool fatal = false;
static uint32_t next_task = 0;
static std::vector<Tensor> outputs;
static std::vector<Arg> seen;

static void note(const std::string &line) { notes += line + "\n"; }

static bool noted(const std::string &expected) {
    if (notes == expected) {
        notes.clear();
        return true;
    }
    std::fprintf(stderr, "expected:\n%snoted:\n%s", expected.c_str(), notes.c_str());
    return false;
}

static std::string text(const char *format, va_list values) {
    char buffer[256] = "(null)";
    if (format != nullptr) {
        std::vsnprintf(buffer, sizeof(buffer), format, values);
    }
    return buffer;
}

static std::string described(const Arg &args) {
    std::string line = " [";
    for (int32_t i = 0; i < args.tensor_count(); ++i) {
        line += std::to_string(static_cast<int>(args.tag(i)));
    }
    line += "]";
    for (int32_t i = 0; i < args.scalar_count(); ++i) {
        line += " " + std::to_string(args.scalar(i));
    }
    for (uint32_t i = 0; i < args.explicit_dep_count(); ++i) {
        line += " after " + std::to_string(args.explicit_dep(i).local());
    }
    if (blocks(args) != 1 || args.launch_spec.require_sync_start()) {
        line += " x" + std::to_string(blocks(args)) + (args.launch_spec.require_sync_start() ? " together" : "");
    }
    if (args.has_error) {
        line += std::string(" wrong: ") + args.error_msg;
    }
    return line;
}

static TaskOutputTensors answer(const Arg &args) {
    seen.push_back(args);
    TaskOutputTensors result;
    result.set_task_id(PTO2TaskId::make(0, next_task++));
    for (int32_t i = 0; i < args.tensor_count(); ++i) {
        if (args.tag(i) == TensorArgType::OUTPUT) {
            const TensorCreateInfo &info = *args.tensor(i).create_info;
            outputs.push_back(make_tensor_external(nullptr, info.shapes, info.ndims, info.dtype));
            outputs.back().owner_task_id = result.task_id();
            result.materialize_output(outputs.back());
        }
    }
    return result;
}

static TaskOutputTensors fake_submit(PTO2Runtime *, const MixedKernels &kernels, const Arg &args) {
    note("submit " + std::to_string(kernels.aic_kernel_id) + " " + std::to_string(kernels.aiv0_kernel_id) + " " +
         std::to_string(kernels.aiv1_kernel_id) + described(args));
    return answer(args);
}
static TaskOutputTensors fake_dummy(PTO2Runtime *, const Arg &args) {
    note("dummy" + described(args));
    return answer(args);
}
static TaskOutputTensors fake_alloc(PTO2Runtime *, const Arg &args) {
    note("alloc" + described(args));
    return answer(args);
}
static void fake_begin(PTO2Runtime *rt) {
    note(rt->pending_scope_mode == PTO2ScopeMode::MANUAL ? "begin manual" : "begin auto");
    rt->pending_scope_mode = PTO2ScopeMode::AUTO;
}
static void fake_end(PTO2Runtime *) { note("end"); }
static void fake_done(PTO2Runtime *) { note("done"); }
static bool fake_is_fatal(PTO2Runtime *) { return fatal; }
static void fake_fatal(PTO2Runtime *, int32_t code, const char *func, const char *format, ...) {
    va_list values;
    va_start(values, format);
    note("fatal " + std::to_string(code) + " " + func + ": " + text(format, values));
    va_end(values);
    fatal = true;
}
template <char LEVEL>
static void fake_log(const char *func, const char *format, ...) {
    va_list values;
    va_start(values, format);
    note(std::string(1, LEVEL) + " " + func + ": " + text(format, values));
    va_end(values);
}
static void fake_info(const char *func, int v, const char *format, ...) {
    va_list values;
    va_start(values, format);
    note(std::to_string(v) + " " + func + ": " + text(format, values));
    va_end(values);
}
static uint64_t fake_get(PTO2Runtime *, const Tensor &, uint32_t ndims, const uint32_t *at) {
    note("get " + std::to_string(ndims) + " at " + std::to_string(at[0]));
    return 0xFFFFFFFF3F800000;
}
static void fake_set(PTO2Runtime *, const Tensor &, uint32_t ndims, const uint32_t *at, uint64_t value) {
    note("set " + std::to_string(ndims) + " at " + std::to_string(at[0]) + " to " + std::to_string(value));
}
static int site_line = 0;
static void fake_site(const char *file, int line) {
    note("site " + std::string(file).substr(std::string(file).rfind('/') + 1));
    site_line = line;
}

static PTO2RuntimeOps ops{fake_submit, fake_begin,    fake_end,      fake_done, fake_is_fatal,
                          fake_fatal,  fake_log<'E'>, fake_log<'W'>, fake_log<'D'>, fake_info,
                          fake_get,    fake_set,      fake_alloc,    fake_dummy, fake_site};
static PTO2Runtime runtime{&ops, PTO2ScopeMode::AUTO};

static bool asserts(const std::string &condition, const std::function<void()> &action) {
    try {
        action();
    } catch (const std::runtime_error &error) {
        if (std::string(error.what()).find(condition) != std::string::npos) {
            return true;
        }
        std::fprintf(stderr, "thrown: %s\n", error.what());
    }
    return false;
}

using Numbers = std::vector<uint32_t>;

static bool is(const Tensor &t, uint64_t start, const Numbers &shape, const Numbers &strides, bool dense) {
    uint64_t extent = 1;
    for (size_t dim = 0; dim < shape.size(); ++dim) {
        if (t.shapes[dim] != shape[dim] || t.strides[dim] != strides[dim]) {
            return false;
        }
        extent += uint64_t{shape[dim] - 1} * strides[dim];
    }
    return t.ndims == shape.size() && t.start_offset == start && t.is_contiguous == dense && t.extent_elem() == extent;
}

static void check_tensors() {
    const uint32_t shape[3] = {4, 5, 6};
    float memory[120];
    const Tensor whole = make_tensor_external(memory, shape, 3, DataType::FLOAT32, true, 7);
    CHECK(is(whole, 0, {4, 5, 6}, {30, 6, 1}, true));
    CHECK(whole.buffer.addr == reinterpret_cast<uint64_t>(memory) && whole.buffer.size == 480);
    CHECK(whole.owner_task_id.is_invalid() && whole.version == 7 && whole.manual_dep && whole.numel() == 120);
    const uint32_t index[3] = {1, 2, 3};
    CHECK(whole.compute_flat_offset(index, 3) == 45 && whole.compute_flat_offset(index, 1) == 30);

    const uint32_t part_shape[3] = {2, 3, 4}, part_at[3] = {1, 2, 2};
    const Tensor part = whole.view(part_shape, part_at);
    CHECK(is(part, 30 + 12 + 2, {2, 3, 4}, {30, 6, 1}, false) && !part.manual_dep && part.version == 7);
    CHECK(part.buffer.size == 480 && part.numel() == 24 && part.compute_flat_offset(index, 3) == 44 + 45);
    const uint32_t origin[3] = {0, 0, 0};
    CHECK(is(part.view(part_shape, origin, true), 44, {2, 3, 4}, {30, 6, 1}, false));
    CHECK(part.view(part_shape, origin, true).manual_dep);
    const uint32_t rows[3] = {2, 5, 6}, rows_at[3] = {2, 0, 0};
    CHECK(is(whole.view(rows, rows_at), 60, {2, 5, 6}, {30, 6, 1}, true));
    CHECK(asserts("view_offsets", [&] { part.view(part_shape, part_at); }));

    CHECK(is(part.transpose(0, 2), 44, {4, 3, 2}, {1, 6, 30}, false) && whole.transpose(1, 1, true).manual_dep);
    CHECK(whole.valid_transpose(0, 2) && !whole.valid_transpose(0, 3));
    CHECK(asserts("valid_transpose", [&] { whole.transpose(3, 0); }));
    CHECK(is(whole.transpose(0, 1).transpose(0, 1), 0, {4, 5, 6}, {30, 6, 1}, true));
    const uint32_t order[3] = {2, 0, 1}, back[3] = {1, 2, 0}, twice[3] = {0, 0, 1};
    CHECK(is(whole.permute(order), 0, {6, 4, 5}, {1, 30, 6}, false));
    CHECK(is(whole.permute(order).permute(back), 0, {4, 5, 6}, {30, 6, 1}, true));
    CHECK(asserts("order", [&] { whole.permute(twice); }));

    CHECK(is(whole.slice(1, 1, 5, 2), 6, {4, 2, 6}, {30, 12, 1}, false));
    CHECK(is(whole.slice(1, 0, 5, 2), 0, {4, 3, 6}, {30, 12, 1}, false));
    CHECK(is(whole.slice(0, 3, 4), 90, {1, 5, 6}, {30, 6, 1}, true));
    CHECK(is(whole.slice(2, 0, 6, 3).slice(2, 1, 2), 3, {4, 5, 1}, {30, 6, 3}, false));
    CHECK(asserts("dim < ndims", [&] { whole.slice(3, 0, 1); }));
    CHECK(asserts("step > 0", [&] { whole.slice(0, 0, 1, 0); }));
    CHECK(asserts("start < end", [&] { whole.slice(0, 2, 2); }));
    CHECK(asserts("end <= shapes", [&] { whole.slice(0, 0, 5); }));

    const uint32_t flat[2] = {24, 5}, wrong[2] = {24, 6};
    CHECK(is(whole.reshape(flat, 2), 0, {24, 5}, {5, 1}, true) && whole.reshape(flat, 2, true).manual_dep);
    const uint32_t sixty[1] = {60};
    CHECK(is(whole.view(rows, rows_at).reshape(sixty, 1), 60, {60}, {1}, true));
    CHECK(!whole.valid_reshape(wrong, 2));
    CHECK(asserts("valid_reshape", [&] { whole.reshape(wrong, 2); }));
    CHECK(asserts("is_contiguous", [&] { whole.transpose(0, 1).reshape(flat, 2); }));
    for (uint32_t ndims : {0u, 6u}) {
        CHECK(asserts("ndims", [&] { make_tensor_external(memory, Numbers(6, 1).data(), ndims); }));
    }
    CHECK(whole.dump().find("[4, 5, 6]") != std::string::npos && whole.dump().find("FLOAT32") != std::string::npos);

    ContinuousTensor argument{};
    argument.data = reinterpret_cast<uint64_t>(memory);
    argument.ndims = 2;
    argument.shapes[0] = 3;
    argument.shapes[1] = 4;
    argument.dtype = DataType::INT16;
    CHECK(is(from_tensor_arg(argument), 0, {3, 4}, {4, 1}, true) && from_tensor_arg(argument).buffer.size == 24);
    CHECK(from_tensor_arg(argument, true, 3).manual_dep && from_tensor_arg(argument, true, 3).version == 3);

    TensorCreateInfo info(shape, 3, DataType::INT8, true);
    CHECK(info.buffer_size_bytes() == 120 && !info.has_initial_value && info.manual_dep && info.is_contiguous);
    info.set_initial_value(int8_t{-1});
    CHECK(info.has_initial_value && info.initial_value == 0xFF && info.start_offset == 0 && info.version == 0);
}

static std::string error_of(const std::function<void(Arg &)> &build) {
    Arg args;
    build(args);
    CHECK(args.has_error == (args.error_msg != nullptr));
    return args.has_error ? args.error_msg : "";
}

static void check_args() {
    const uint32_t shape[1] = {4};
    const Tensor a = make_tensor_external(nullptr, shape, 1), b = a;
    const TensorCreateInfo info(shape, 1);
    Arg args;
    args.add_input(a, b);
    args.add_output(info);
    args.add_output(b);
    args.add_inout(a);
    args.add_no_dep(b);
    args.add_scalar(int8_t{-1}, 1.5f, true, PTO2ScopeMode::MANUAL);
    CHECK(described(args) == " [001324] 255 1069547520 1 1" && args.tensor(1).ptr == &b);
    CHECK(args.tensor(2).create_info == &info && args.tensor(3).ptr == &b);
    const int32_t words[2] = {-1, 2};
    args.add_scalars_i32(words, 2);
    const uint64_t slots[2] = {UINT64_MAX, 4};
    args.add_scalars(slots, 2);
    CHECK(args.scalar(4) == 0xFFFFFFFF && args.scalar(5) == 2 && args.scalar(6) == UINT64_MAX);
    Arg copy;
    copy.copy_scalars_from(args, 5, 3);
    CHECK(described(copy) == " [] 2 18446744073709551615 4");

    const auto starts = [](const std::string &whole, const std::string &start) { return whole.rfind(start, 0) == 0; };
    CHECK(starts(error_of([&](Arg &x) {
                     x.add_scalar(1);
                     x.add_input(a);
                     x.set_error("later");
                 }),
                 "a tensor was added"));
    CHECK(starts(error_of([&](Arg &x) { for (int i = 0; i < 17; ++i) x.add_input(a); }), "more than 16"));
    CHECK(error_of([&](Arg &x) { for (int i = 0; i < 16; ++i) x.add_output(info); }) == "");
    CHECK(starts(error_of([&](Arg &x) { for (int i = 0; i < 33; ++i) x.add_scalar(i); }), "more than 32"));
    CHECK(starts(error_of([&](Arg &x) { x.add_scalars(slots, -1); }), "more than 32"));
    CHECK(starts(error_of([&](Arg &x) { x.add_scalars_i32(words, 33); }), "more than 32"));
    for (auto [from, count] : {std::pair{-1, 1}, {0, 9}, {8, 1}, {0, -1}, {INT32_MAX, INT32_MAX}}) {
        CHECK(starts(error_of([&, f = from, n = count](Arg &x) { x.copy_scalars_from(args, f, n); }), "copy_scalars"));
    }
    const PTO2TaskId ids[2] = {PTO2TaskId{4}, PTO2TaskId{5}};
    CHECK(starts(error_of([&](Arg &x) { x.set_dependencies(nullptr, 1); }), "set_dependencies: the ids"));
    CHECK(starts(error_of([&](Arg &x) {
                     x.set_dependencies(ids, 1);
                     x.set_dependencies(ids, 2);
                 }),
                 "set_dependencies: called"));
    CHECK(error_of([&](Arg &x) {
              x.set_dependencies(ids, 2);
              CHECK(x.explicit_dep_count() == 2 && x.explicit_dep(1) == ids[1] && x.explicit_deps_data() == ids);
              CHECK(asserts("index", [&] { (void)x.explicit_dep(2); }));
              x.set_dependencies(nullptr, 0);
              CHECK(x.explicit_dep_count() == 0 && x.explicit_deps_data() == nullptr);
              x.set_dependencies(ids, 1);
          }) == "");

    Arg full;
    for (int i = 0; i < 15; ++i) {
        full.add_input(a);
    }
    full.add_input(a, b);
    CHECK(full.has_error && full.tensor_count() == 15);

    Arg dumped;
    dumped.add_input(a, b, a);
    dumped.add_output(info);
    dumped.dump(a, info);
    CHECK(dumped.tensor_dump_arg_mask() == 0b1001 && !dumped.tensor_dump_selective_requested() && !dumped.has_error);
    const Tensor stranger = a;
    dumped.dump(stranger);
    CHECK(dumped.has_error && starts(dumped.error_msg, "dump:") && dumped.tensor_dump_arg_mask() == 0b1001);
    enable_dump_tensor_selective();
    CHECK(Arg().tensor_dump_selective_requested() && is_tensor_dump_selective_requested());
    set_tensor_dump_selective_requested(false);

    dumped.set_dependencies(ids, 2);
    dumped.launch_spec.set_require_sync_start(true);
    dumped.clear();
    CHECK(dumped.tensor_count() == 0 && dumped.has_error && dumped.launch_spec.require_sync_start());
    CHECK((dumped.tensor_dump_arg_mask() == 0) == a5 && (dumped.explicit_dep_count() == 0) == a5);
    dumped.reset();
    CHECK(!dumped.has_error && dumped.error_msg == nullptr && dumped.tensor_dump_arg_mask() == 0);
    CHECK(dumped.explicit_dep_count() == 0 && dumped.launch_spec.require_sync_start());
}

static void check_deps_buffer() {
    framework_bind_runtime(&runtime);
    next_task = 0;
    const PTO2TaskId one{1}, two{2};
    ArgWithDeps<2> args;
    args.add_scalar(9);
    args.add_dep(one);
    rt_submit_aiv_task(3, args);
    args.add_dep(two);
    rt_submit_aic_task(4, args);
    rt_submit_task(MixedKernels{1, 2, 3}, args);
    args.add_dep(one);
    CHECK(args.has_error);
    args.reset();
    rt_submit_aiv_task(5, args);
    CHECK(noted("submit -1 3 -1 [] 9 after 1\nsubmit 4 -1 -1 [] 9 after 1 after 2\n"
                "submit 1 2 3 [] 9 after 1 after 2\nsubmit -1 5 -1 []\n"));
    args.add_dep(one, two, one);
    const std::string error = args.error_msg;
    CHECK(error.rfind("add_dep:", 0) == 0 && args.finalize_for_submit().explicit_dep_count() == 0);
}

static void check_calls() {
    framework_bind_runtime(&runtime);
    outputs.reserve(64);
    const uint32_t shape[1] = {4}, at[1] = {2};
    const Tensor a = make_tensor_external(nullptr, shape, 1);
    const TensorCreateInfo info(shape, 1);
    const TensorCreateInfo three[3] = {info, info, info};
    CHECK(alloc_tensors(info, info).size() == 2 && alloc_tensors(three, 3).size() == 3);
    CHECK(alloc_tensors(three, 0).empty() && noted("alloc [11]\nalloc [111]\nalloc []\n"));
    CHECK(get_tensor_data<float>(a, 1, at) == 1.0f && get_tensor_data(a, 1, at) == 0xFFFFFFFF3F800000);
    set_tensor_data(a, 1, at, 1.0f);
    set_tensor_data(a, 1, at, int8_t{-1});
    CHECK(noted("get 1 at 2\nget 1 at 2\nset 1 at 2 to 1065353216\nset 1 at 2 to 255\n"));
    LOG_ERROR("%d", 1);
    LOG_WARN("w");
    LOG_DEBUG("d");
    LOG_INFO_V0("%s", "i");
    LOG_INFO_V9("j");
    CHECK(noted("E check_calls: 1\nW check_calls: w\nD check_calls: d\n0 check_calls: i\n9 check_calls: j\n"));
    rt_orchestration_done();
    CHECK(noted("done\n"));

    TaskOutputTensors none;
    CHECK(none.empty() && none.size() == 0 && none.task_id().is_invalid());
    CHECK(asserts("index < output_count_", [&] { (void)none.get_ref(0); }));
    Arg args;
    args.add_output(info);
    const TaskOutputTensors some = rt_submit_aiv_task(1, args);
    CHECK(some.size() == 1 && some.get_ref(0).owner_task_id == some.task_id() && noted("submit -1 1 -1 [1]\n"));
}

static void check_scopes() {
    framework_bind_runtime(&runtime);
    PTO2_SCOPE() {
        CHECK(site_line == __LINE__ - 1);
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) { note("inside"); }
    }
    CHECK(noted("site trb_driver.cpp\nbegin auto\nsite trb_driver.cpp\nbegin manual\ninside\nend\nend\n"));
    {
#if defined(SIMPLER_ARCH_A5)
        PTO2_SCOPE_GUARD(PTO2ScopeMode::MANUAL);
#else
        PTO2_SCOPE_GUARD();
#endif
        PTO2_SCOPE_GUARD();
        note("inside");
    }
    const std::string mode = a5 ? "begin manual\n" : "begin auto\n";
    CHECK(noted("site trb_driver.cpp\n" + mode + "site trb_driver.cpp\nbegin auto\ninside\nend\nend\n"));
    rt_scope_begin();
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
    CHECK(noted("begin auto\nbegin manual\nend\n"));
    ops.scope_set_site = nullptr;
    PTO2_SCOPE() { }
    ops.scope_set_site = fake_site;
    CHECK(noted("begin auto\nend\n"));
    CHECK(asserts("stop", [] {
        PTO2_SCOPE() { always_assert(std::string("stop").empty()); }
    }));
    CHECK(noted("site trb_driver.cpp\nbegin auto\nend\n"));
}

static void check_fatal() {
    framework_bind_runtime(&runtime);
    const uint32_t shape[1] = {4}, at[1] = {0};
    const Tensor a = make_tensor_external(nullptr, shape, 1);
    const TensorCreateInfo info(shape, 1);
    const std::vector<TensorCreateInfo> many(17, info);
    CHECK(alloc_tensors(many.data(), 17).empty() && rt_is_fatal());
    CHECK(noted("fatal 5 alloc_tensors: more than 16 tensors\n"));
    fatal = false;
    PTO2_SCOPE() {
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%d of %s", 3, "x");
        CHECK(rt_is_fatal() && noted("site trb_driver.cpp\nbegin auto\nfatal 9 check_fatal: 3 of x\n"));
        Arg args;
        CHECK(rt_submit_aiv_task(1, args).task_id().is_invalid() && rt_submit_aic_task(1, args).empty());
        CHECK(rt_submit_task(MixedKernels(), args).empty() && rt_submit_dummy_task(args).empty());
        CHECK(alloc_tensors(info).empty() && alloc_tensors(args).empty() && alloc_tensors(&info, 1).empty());
        CHECK(get_tensor_data<float>(a, 1, at) == 0.0f);
        set_tensor_data(a, 1, at, 1.0f);
        rt_scope_begin();
        PTO2_SCOPE() { }
        rt_scope_end();
        CHECK(noted(""));
    }
    CHECK(noted(""));
    rt_report_fatal(1, "");
    rt_report_fatal(2, nullptr);
    rt_orchestration_done();
    LOG_ERROR("still");
    CHECK(noted("fatal 1 check_fatal: \nfatal 2 check_fatal: (null)\ndone\nE check_fatal: still\n"));
    fatal = false;
    framework_bind_runtime(nullptr);
    CHECK(asserts("rt != nullptr", [] { rt_is_fatal(); }));
    try {
        always_assert(fatal);
        CHECK(false);
    } catch (const AssertionError &error) {
        CHECK(std::string(error.condition()) == "fatal" && error.line() > 0);
        CHECK(std::string(error.file()).find("trb_driver.cpp") != std::string::npos);
    }
}

template <typename Function>
static Function *symbol(void *library, const char *name) {
    auto *found = reinterpret_cast<Function *>(dlsym(library, name));
    CHECK(found != nullptr);
    return found;
}

static void check_orchestration(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        std::exit(1);
    }
    CHECK(dlsym(library, "framework_current_runtime") != reinterpret_cast<void *>(&framework_current_runtime));
    auto *bind = symbol<void(PTO2Runtime *)>(library, "framework_bind_runtime");
    auto *entry = symbol<void(const ChipStorageTaskArgs &)>(library, "aicpu_orchestration_entry");
    auto *config = symbol<PTO2OrchestrationConfig(const ChipStorageTaskArgs &)>(library, "aicpu_orchestration_config");
    CHECK(bind != framework_bind_runtime);

    float memory[24] = {};
    ContinuousTensor tensor{};
    tensor.data = reinterpret_cast<uint64_t>(memory);
    tensor.ndims = 2;
    tensor.shapes[0] = 4;
    tensor.shapes[1] = 6;
    ChipStorageTaskArgs args;
    args.add_tensor(tensor);
    args.add_tensor(tensor);
    args.add_scalar(1);
    CHECK(config(args).expected_arg_count == 3);
    CHECK(asserts("rt != nullptr", [&] { entry(args); }));

    next_task = 0;
    seen.clear();
    framework_bind_runtime(nullptr);
    bind(&runtime);
    entry(args);
    bind(nullptr);
    CHECK(noted("0 aicpu_orchestration_entry: 2 tensors\n"
                "alloc [11]\n"
                "submit -1 1 -1 [01] 4 1056964608 1\n"
                "get 2 at 1\n"
                "set 2 at 1 to 1073741824\n"
                "D aicpu_orchestration_entry: Tensor(FLOAT32, shapes=[1, 2], strides=[1, 6], start_offset=9, "
                "buffer=96 bytes at " + std::to_string(tensor.data) + ", version=0, owner=none)\n"
                "site trb_graph.cpp\nbegin auto\n"
                "submit 0 -1 -1 [42] x4 together\n"
                "site trb_graph.cpp\nbegin manual\n"
                "submit 0 -1 2 [0] after 2\n"
                "end\n"
                "site trb_graph.cpp\nbegin auto\n"
                "dummy [] after 2 x4 together\n"
                "end\nend\nbegin manual\nend\n"
                "W aicpu_orchestration_entry: stop\n"
                "E aicpu_orchestration_entry: stop: 7\n"
                "fatal 9 aicpu_orchestration_entry: asked to stop with 7\n"));
    CHECK(seen[1].tensor_dump_arg_mask() == 3 && seen[1].tensor_dump_selective_requested());
    CHECK(seen[0].tensor_dump_arg_mask() == 0 && !is_tensor_dump_selective_requested());
    fatal = false;
}

static void check_kernel(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != nullptr);
    auto *entry = symbol<void(int64_t *)>(library, "kernel_entry");
    static DeferredCompletionSlab slab;
    LocalContext local{5, 9, AsyncCtx::make(PTO2TaskId{0}, &slab)};
    GlobalContext global{1};
    int32_t memory[12] = {};
    const uint32_t shape[2] = {3, 4};
    Tensor tensor = make_tensor_external(memory, shape, 2, DataType::INT32);
    uint32_t counter = 0;
    int64_t args[50] = {};
    args[0] = reinterpret_cast<int64_t>(&tensor);
    args[1] = reinterpret_cast<int64_t>(&counter);
    args[48] = reinterpret_cast<int64_t>(&local);
    args[49] = reinterpret_cast<int64_t>(&global);
    CHECK(get_block_idx(args) == 5 && get_block_num(args) == 9 && get_sub_block_id(args) == 1);

    slab.entries[1]._pad = 77;
    entry(args);
    CHECK(memory[0] == 5 && memory[1] == 9 && memory[2] == 1 && memory[3] == 1 && memory[4] == 12);
    const DeferredCompletionEntry &first = slab.entries[0], &second = slab.entries[1];
    CHECK(slab.count == 2 && slab.error_code == 0);
    CHECK(first.addr == reinterpret_cast<uint64_t>(&counter) && first.expected_value == 3 && first.engine == 0);
    CHECK(first.completion_type == 0 && second.addr == 7 && second.expected_value == 8);
    CHECK(second.engine == 3 && second.completion_type == 5 && second._pad == 0);

    slab.count = 63;
    entry(args);
    CHECK(slab.count == 64 && slab.error_code == 102 && memory[3] == 0);
    AsyncCtx none = AsyncCtx::make(PTO2TaskId::invalid(), nullptr);
    CHECK(none.completion_capacity == 0 && !register_completion_condition(none, CompletionToken{}));
#if !defined(SIMPLER_ARCH_A5)
    CHECK(!async_ctx_is_deferred(none) && async_ctx_is_deferred(get_async_ctx(args)));
#endif
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    check_tensors();
    check_args();
    check_deps_buffer();
    check_calls();
    check_scopes();
    check_fatal();
    check_orchestration(argv[1]);
    check_kernel(argv[2]);
    return 0;
}
