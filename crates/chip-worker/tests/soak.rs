//! After very many runs and workers, everything is where it was: memory, threads, files, thread-local keys.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use chip_worker::{
    Args, CallConfig, CallableHandle, ChipCallable, ChipWorker, CoreType, Platform, RingOptions, RuntimeKind,
};
use common::{add_callable, callable, config, kernel};

/// What the process holds, as the operating system sees it.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    resident_kib: u64,
    threads: usize,
    files: usize,
    mappings: usize,
    /// Thread-local keys that can still be made.
    free_keys: usize,
}

impl Footprint {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            threads: std::fs::read_dir("/proc/self/task").unwrap().count(),
            files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            free_keys: free_keys(),
        }
    }

    /// Allows the allocator to keep some freed memory and its arenas; a leak of a few bytes per step would
    /// be far more.
    fn assert_same(self, before: Self) {
        assert_eq!(self.threads, before.threads, "{before:?} {self:?}");
        assert_eq!(self.files, before.files, "{before:?} {self:?}");
        assert_eq!(self.free_keys, before.free_keys, "{before:?} {self:?}");
        assert!(self.mappings <= before.mappings + 40, "{before:?} {self:?}");
        assert!(self.resident_kib <= before.resident_kib + 4096, "{before:?} {self:?}");
    }
}

#[allow(unsafe_code, reason = "there is no safe way to count thread-local keys")]
fn free_keys() -> usize {
    let mut keys = Vec::new();
    loop {
        let mut key = 0;
        // SAFETY: the pointer is valid, and there is no destructor.
        if unsafe { libc::pthread_key_create(&raw mut key, None) } != 0 {
            break;
        }
        keys.push(key);
    }
    for &key in &keys {
        // SAFETY: the key was made above and nobody uses it.
        unsafe { libc::pthread_key_delete(key) };
    }
    keys.len()
}

/// In debug builds the same is shown with fewer steps.
const fn steps(release: usize) -> usize {
    if cfg!(debug_assertions) { release / 10 } else { release }
}

// One test, so that nothing else changes the process meanwhile.
#[test]
fn nothing_is_left_behind() {
    runs_of_one_worker(steps(100_000));
    workers_one_after_the_other(steps(1_000));
    registrations(steps(2_000));
    tasks_while_running(steps(20_000), steps(500));
}

fn runs_of_one_worker(runs: usize) {
    // The bound on threads below is for these permits; without them it would depend on the machine.
    let worker = ChipWorker::builder().platform(Platform::A2a3Sim).permits(2).build().unwrap();
    let handle = worker.register(&add_callable()).unwrap();
    let input = [1i64; 8];
    let run = |block_dim| {
        let mut output = [0i64; 8];
        let args = Args::new().input(&input, &[8]).unwrap().output(&mut output, &[8]).unwrap();
        worker.run(&handle, &args.scalar(1).unwrap(), &config(block_dim, 3)).unwrap();
        assert_eq!(output, [2; 8]);
    };
    (0..100).for_each(|_| run(0));
    let before = Footprint::now();
    (0..runs).for_each(|index| run(i32::from(index % 2 == 0)));
    // A worker makes threads when they pay, and keeps no more than a few.
    let after = Footprint::now();
    assert!(after.threads <= 2 + 3, "{after:?}");
    Footprint { threads: before.threads, ..after }.assert_same(before);
    let report = worker.report();
    assert_eq!((report.runs, report.allocations, report.images), (0, 1, 1), "only the callable's image");
}

fn workers_one_after_the_other(workers: usize) {
    let callable = add_callable();
    let live = |index: u32| {
        let platform = Platform::SIMULATED[index as usize % 2];
        let worker = ChipWorker::builder().platform(platform).device(index).build().unwrap();
        let handle = worker.register(&callable).unwrap();
        let (input, mut output) = ([5i64], [0i64]);
        let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
        worker.run(&handle, &args.scalar(2).unwrap(), &CallConfig::default()).unwrap();
        worker.malloc(1000).unwrap();
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
        assert_eq!(output, [7]);
    };
    (0..20).for_each(live);
    let before = Footprint::now();
    (0..u32::try_from(workers).unwrap()).for_each(live);
    Footprint::now().assert_same(before);
}

/// The kernel has a thread-local variable with a destructor, which pins its object to the threads it ran on.
fn registrations(times: usize) {
    let body = r"
        struct Counted { int64_t value = 0; ~Counted() { value = -1; } };
        static thread_local Counted counted;
        *reinterpret_cast<int64_t *>(args[0]) = ++counted.value;";
    let graph = r"
        int64_t *dev = (int64_t *)device_malloc(rt, 8);
        record_tensor_pair(rt, args.tensor(0).data_as<void>(), dev, 8);
        uint64_t s[1] = {(uint64_t)dev};
        add_task(rt, s, 1, 0, CoreType::AIV);
        return 0;";
    let worker = common::worker(Platform::A5Sim);
    let image = callable(graph, &[(0, kernel(CoreType::Aiv, body))]);
    let register_and_run = || {
        let handle = worker.register(&image).unwrap();
        let mut output = [0i64];
        let args = Args::new().output(&mut output, &[1]).unwrap();
        worker.run(&handle, &args, &config(1, 1)).unwrap();
        drop(args);
        assert!(output[0] > 0);
    };
    (0..20).for_each(|_| register_and_run());
    let before = Footprint::now();
    (0..times).for_each(|_| register_and_run());
    let after = Footprint::now();
    assert_eq!((after.files, after.free_keys), (before.files, before.free_keys));
    assert_eq!(worker.dlopen_counts().host, 20 + times);
}

/// The runtime that builds its graph while it runs: many runs, some of which fail, and then many workers, each of which
/// loads the library.
fn tasks_while_running(runs: usize, workers: usize) {
    let library = common::trb_library(
        r#"
        extern "C" void build(const ChipStorageTaskArgs &args) {
            const Tensor out = from_tensor_arg(args.tensor(0));
            const uint32_t shape[1] = {1};
            const TensorCreateInfo info(shape, 1, DataType::INT64);
            for (int round = 0; round < 20; ++round) {
                PTO2_SCOPE() {
                    Arg make;
                    make.add_output(info);
                    TaskOutputTensors made = rt_submit_aiv_task(0, make);
                    Arg keep;
                    keep.add_input(made.get_ref(0));
                    keep.add_inout(out);
                    rt_submit_aiv_task(0, keep);
                }
            }
            if (args.scalar(0) != 0) throw std::runtime_error("as wanted");
        }"#,
    );
    let write = r"
        struct Tensor { int64_t addr, size, owner, start; };
        auto *first = reinterpret_cast<Tensor *>(args[0]);
        reinterpret_cast<int64_t *>(first->addr)[first->start] = 1;";
    let write = kernel(CoreType::Aiv, write);
    let image = ChipCallable::builder("build").binary(&library).child(0, &write).build().unwrap();
    let open = || {
        let rings = RingOptions::default().task_window(16).heap(16 * 1024);
        let builder = ChipWorker::builder().platform(Platform::A2a3Sim).permits(2).rings(rings);
        builder.runtime(RuntimeKind::TensormapAndRingbuffer).build().unwrap()
    };
    let run = |worker: &ChipWorker, handle: &CallableHandle, fails: bool| {
        let mut output = [3i64];
        let args = Args::new().output(&mut output, &[1]).unwrap().scalar(u64::from(fails)).unwrap();
        assert_eq!(worker.run(handle, &args, &config(3, 2)).is_err(), fails);
    };
    let worker = open();
    let handle = worker.register(&image).unwrap();
    (0..200).for_each(|index| run(&worker, &handle, index % 10 == 0));
    let before = Footprint::now();
    (0..runs).for_each(|index| run(&worker, &handle, index % 10 == 0));
    let after = Footprint::now();
    assert!(after.threads <= 2 + 3, "{after:?}");
    Footprint { threads: before.threads, ..after }.assert_same(before);
    drop(handle);
    assert!(worker.close().unwrap().is_zero());
    let live = |_| {
        let worker = open();
        let handle = worker.register(&image).unwrap();
        run(&worker, &handle, false);
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
    };
    (0..20).for_each(live);
    let before = Footprint::now();
    (0..workers).for_each(live);
    Footprint::now().assert_same(before);
}
