//! Random graphs over a few buffers, which must give the same bits whoever executes them.

use std::sync::OnceLock;

use chip_worker::{Args, CallConfig, ChipCallable, ChipWorker, CoreType, RuntimeKind};

use crate::common::{callable, kernel, trb_library};

const BUFFERS: usize = 4;
const ELEMENTS: u32 = 24;

/// Tasks that read three buffers and replace one; the graph follows from the seed, scalar 0. Scalar 1 is the number
/// of tasks; tensor 0 is what buffers start from, and the others are what they become.
pub(crate) fn random_graph(runtime: RuntimeKind) -> ChipCallable {
    static HBG: OnceLock<ChipCallable> = OnceLock::new();
    static TRB: OnceLock<ChipCallable> = OnceLock::new();
    match runtime {
        RuntimeKind::HostBuildGraph => HBG.get_or_init(hbg),
        _ => TRB.get_or_init(trb),
    }
    .clone()
}

/// Floating-point numbers, so that a task that reads too early shows in the last bits too.
const MIX: &str = "
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] * 0.75 + a[i] * b[(i + 1) % count] * 1e-3 + addend;";

/// Each task gives one of the buffers a new version.
const NEXT: &str = "
    uint64_t state = args.scalar(0);
    auto next = [&state](uint64_t below) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return (state >> 33) % below;
    };";

fn hbg() -> ChipCallable {
    let body = format!(
        "auto *a = reinterpret_cast<double *>(args[0]), *b = reinterpret_cast<double *>(args[1]);
        auto *from = reinterpret_cast<double *>(args[2]), *to = reinterpret_cast<double *>(args[3]);
        const int64_t count = args[4];
        const double addend = args[5];{MIX}"
    );
    let graph = format!(
        "{NEXT}
        enum {{ BUFFERS = {BUFFERS} }};
        const size_t bytes = args.tensor(0).nbytes();
        uint64_t buffers[BUFFERS];
        int writers[BUFFERS];
        for (int i = 0; i < BUFFERS; ++i) {{
            void *buffer = device_malloc(rt, bytes);
            if (copy_to_device(rt, buffer, args.tensor(0).data_as<void>(), bytes) != 0) return 1;
            buffers[i] = (uint64_t)buffer;
            writers[i] = -1;
        }}
        for (uint64_t i = 0; i < args.scalar(1); ++i) {{
            const uint64_t a = next(BUFFERS), b = next(BUFFERS), changed = next(BUFFERS), aic = next(2);
            const uint64_t to = (uint64_t)device_malloc(rt, bytes);
            uint64_t slots[6] = {{buffers[a], buffers[b], buffers[changed], to, bytes / 8, i}};
            const int task = add_task(rt, slots, 6, aic, aic ? CoreType::AIC : CoreType::AIV);
            const int before[3] = {{writers[a], writers[b], writers[changed]}};
            for (int w = 0; w < 3; ++w) {{
                bool is_known = before[w] < 0;
                for (int other = 0; other < w; ++other) is_known |= before[other] == before[w];
                if (!is_known) add_successor(rt, before[w], task);
            }}
            buffers[changed] = to;
            writers[changed] = task;
        }}
        for (int i = 0; i < BUFFERS; ++i)
            record_tensor_pair(rt, args.tensor(1 + i).data_as<void>(), (void *)buffers[i], bytes);
        return 0;"
    );
    callable(&graph, &[(0, kernel(CoreType::Aiv, &body)), (1, kernel(CoreType::Aic, &body))])
}

fn trb() -> ChipCallable {
    let elements = "auto elements = [](int64_t arg) {
            auto *words = reinterpret_cast<int64_t *>(arg);
            return reinterpret_cast<double *>(words[0]) + words[3];
        };
        const int64_t count = *reinterpret_cast<const uint32_t *>(args[0] + 44);";
    let body = format!(
        "{elements}
        auto *a = elements(args[0]), *b = elements(args[1]), *from = elements(args[2]), *to = elements(args[3]);
        const double addend = args[4];{MIX}"
    );
    let copy = format!(
        "{elements}
        for (int64_t i = 0; i < count; ++i) elements(args[1])[i] = elements(args[0])[i];"
    );
    let graph = format!(
        "extern \"C\" void build(const ChipStorageTaskArgs &args) {{{NEXT}
            enum {{ BUFFERS = {BUFFERS} }};
            const Tensor in = from_tensor_arg(args.tensor(0));
            const uint32_t shape[1] = {{args.tensor(0).shapes[0]}};
            const TensorCreateInfo info(shape, 1, DataType::INT64);
            TaskOutputTensors buffers[BUFFERS];
            for (TaskOutputTensors &buffer : buffers) {{
                Arg copy;
                copy.add_input(in);
                copy.add_output(info);
                buffer = rt_submit_aiv_task(2, copy);
            }}
            for (uint64_t i = 0; i < args.scalar(1); ++i) {{
                const uint64_t a = next(BUFFERS), b = next(BUFFERS), changed = next(BUFFERS), aic = next(2);
                Arg step;
                step.add_input(buffers[a].get_ref(0));
                step.add_input(buffers[b].get_ref(0));
                step.add_input(buffers[changed].get_ref(0));
                step.add_output(info);
                step.add_scalar(i);
                buffers[changed] = aic ? rt_submit_aic_task(1, step) : rt_submit_aiv_task(0, step);
            }}
            for (int i = 0; i < BUFFERS; ++i) {{
                const Tensor out = from_tensor_arg(args.tensor(1 + i));
                Arg copy;
                copy.add_input(buffers[i].get_ref(0));
                copy.add_output(out);
                rt_submit_aiv_task(2, copy);
            }}
        }}"
    );
    let library = trb_library(&graph);
    let builder = ChipCallable::builder("build").binary(&library);
    let kernels = [kernel(CoreType::Aiv, &body), kernel(CoreType::Aic, &body), kernel(CoreType::Aiv, &copy)];
    (0..).zip(&kernels).fold(builder, |builder, (id, kernel)| builder.child(id, kernel)).build().unwrap()
}

/// What the graph of a seed makes of its buffers, as bits.
pub(crate) fn run(worker: &ChipWorker, runtime: RuntimeKind, seed: u64, config: &CallConfig) -> Vec<u64> {
    let handle = worker.register(&random_graph(runtime)).unwrap();
    let input: Vec<i64> =
        (0..ELEMENTS).map(|i| (f64::from(i) * 0.37 - 2.0).to_bits().cast_signed()).collect();
    let mut outputs = vec![vec![0i64; ELEMENTS as usize]; BUFFERS];
    {
        let args = Args::new().input(&input, &[ELEMENTS]).unwrap();
        let args = outputs.iter_mut().fold(args, |args, output| args.output(output, &[ELEMENTS]).unwrap());
        let args = args.scalar(seed).unwrap().scalar(10 + seed % 50).unwrap();
        worker.run(&handle, &args, config).unwrap();
    }
    outputs.into_iter().flatten().map(i64::cast_unsigned).collect()
}
