//! Runs, and what becomes of a device when one does not end well.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::any::Any;
use std::time::{Duration, Instant};

use common::{Bench, CHIPS, Plan, SHORT, Worker};
use device_runner::{
    CoreId, Cores, Device as _, DeviceError, DeviceImage, DeviceProgram, DeviceTime, Dispatch,
    GlobalMemory as _, ImageProgram, Launch, TaskId, Topology, WaitingTask,
};
use soft_cann::{Chip, Rule};

const SYNCHRONIZE: &str = "aclrtSynchronizeStreamWithTimeout";

/// The error of a run that loses its device, as text that names all of these.
fn lost<T: std::fmt::Debug>(result: Result<T, DeviceError>, parts: &[&str]) {
    let error = result.unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

/// A lost device launches nothing, keeps memory, still lets results be read, and works again after its reset.
fn assert_lost_until_reset(bench: &Bench, worker: &Worker, by_force: u64) {
    let device = &worker.device;
    let error = worker.run(Plan::default()).unwrap_err();
    assert!(matches!(error, DeviceError::Unusable { .. }), "{error}");
    assert!(matches!(device.max_block_dim(24), Err(DeviceError::Unusable { .. })));
    worker.report().unwrap();
    let (kept, before) = (device.alloc(10_000).unwrap(), device.usage());
    let from = bench.calls_so_far();
    device.free(kept).unwrap();
    assert_eq!(bench.calls(from), Vec::<&str>::new(), "it may still be used");
    assert_eq!(device.usage(), before);

    bench.lease.clear_rules();
    let forced = bench.lease.calls("aclrtResetDeviceForce");
    worker.close().unwrap();
    assert_eq!(bench.lease.calls("aclrtResetDeviceForce") - forced, by_force);
    assert_eq!(device.usage(), device_runner::DeviceUsage::default());
    bench.assert_clean();

    bench.assert_works();
    bench.assert_clean();
}

#[test]
fn a_program_that_fails_loses_the_device() {
    for of in CHIPS {
        let bench = Bench::new(of);
        let worker = Worker::new(bench.open().unwrap()).unwrap();
        let from = bench.calls_so_far();
        let failed = worker.run(Plan { returned: 3, ..Plan::default() });
        lost(failed, &["AICPU", "2 cluster(s)", SYNCHRONIZE, "507018", "close this worker"]);
        let synchronised = bench.calls(from).into_iter().filter(|&name| name == SYNCHRONIZE).count();
        assert_eq!(synchronised, 2, "the other stream is waited for, too, and none twice");
        assert_lost_until_reset(&bench, &worker, 0);
        // A lost device may have lost the AICPU program.
        assert_eq!(bench.lease.calls("rtAicpuKernelLaunchExWithArgs"), 2);
    }
}

#[test]
fn a_program_that_never_ends_is_taken_down() {
    let bench = Bench::impatient(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
    lost(worker.run(Plan::default()), &["AICPU", "300", SYNCHRONIZE, "507046"]);
    assert_lost_until_reset(&bench, &worker, 1);
}

#[test]
fn whoever_shared_a_device_that_was_taken_down_is_told() {
    let mut bench = Bench::impatient(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    let other = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
    lost(worker.run(Plan::default()), &["507046"]);
    bench.lease.clear_rules();
    worker.close().unwrap();

    bench.options.stream_timeout = Some(Duration::from_secs(20));
    let new = Worker::new(bench.open().unwrap()).unwrap();
    let error = other.device.bind_thread().unwrap_err();
    assert!(error.to_string().contains("was taken down for everybody"), "{error}");
    let from = bench.calls_so_far();
    let error = other.run(Plan::default()).unwrap_err();
    assert!(error.to_string().contains("was taken down for everybody"), "{error}");
    // What lies at its addresses now may be somebody else's.
    assert!(other.close().is_err());
    other.device.reset().unwrap();
    assert_eq!(bench.calls(from), Vec::<&str>::new());
    assert_eq!(other.device.usage(), device_runner::DeviceUsage::default());
    new.run(Plan::default()).unwrap();
    new.close().unwrap();
    bench.assert_clean();
    for worker in [worker, other] {
        bench.assert_works();
        drop(worker);
    }
}

#[test]
fn where_no_call_takes_a_device_down_it_goes_with_its_last_user() {
    let bench = Bench::impatient(Chip::A2a3);
    let mut table = soft_cann::raw_table();
    table.aclrtResetDeviceForce = None;
    // SAFETY: the stand-in's functions keep what those of CANN promise.
    let older = std::sync::Arc::new(unsafe { hal_sys::Hal::from_raw_table(table) });
    let chip = common::chip(Chip::A2a3);
    let device = onboard::OnboardDevice::open(older, chip, bench.id(), bench.options.clone()).unwrap();
    let worker = Worker::new(device).unwrap();
    bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
    lost(worker.run(Plan::default()), &["507046"]);
    bench.lease.clear_rules();
    worker.close().unwrap();
    assert_eq!(worker.device.usage(), device_runner::DeviceUsage::default());
    assert_eq!(bench.lease.leaks().device_references, 0);
    bench.assert_works();
}

#[test]
fn a_program_that_ends_late_is_waited_for_before_memory_goes() {
    let mut bench = Bench::new(Chip::A5);
    let limit = Duration::from_secs(2);
    bench.options.stream_timeout = Some(limit);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    // The second task of the run is the one that works on the image.
    let late = bench.lease.inject(Rule::late(limit + SHORT).nth(2));
    lost(worker.run(Plan::default()), &["507046"]);
    assert_eq!(late.fired(), 1);
    assert_lost_until_reset(&bench, &worker, 0);
}

#[test]
fn the_error_of_the_first_stream_counts_and_the_second_is_drained() {
    let mut bench = Bench::new(Chip::A2a3);
    bench.options.op_timeout = Some(SHORT);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    let hang = bench.lease.inject(Rule::aicore_hang());
    let impatient = Plan { patience: SHORT / 3, ..Plan::default() };
    lost(worker.run(impatient), &["AICPU", "507018"]);
    assert!(hang.fired() > 0);
    assert_lost_until_reset(&bench, &worker, 0);
}

#[test]
fn an_error_of_the_cores_alone_is_told() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    // That of the AICore stream, after that of the AICPU stream.
    bench.lease.inject(Rule::fail(SYNCHRONIZE).nth(2).code(507_015));
    lost(worker.run(Plan::default()), &["AICore", "507015"]);
    assert_lost_until_reset(&bench, &worker, 0);
}

#[test]
fn a_launch_that_fails_on_the_way_is_waited_for() {
    for hangs in [false, true] {
        let bench = Bench::impatient(Chip::A2a3);
        let worker = Worker::new(bench.open().unwrap()).unwrap();
        bench.lease.inject(Rule::fail("rtKernelLaunchWithHandleV2").code(207_001));
        if hangs {
            bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
        }
        // The AICPU program is there already, and waits for its cores.
        let failed = worker.launch(Plan { patience: SHORT / 3, ..Plan::default() });
        lost(failed.map(drop), &["rtKernelLaunchWithHandleV2", "207001"]);
        assert_lost_until_reset(&bench, &worker, u64::from(hangs));
    }
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    // Only the first of the two functions is there, which ends by itself.
    bench.lease.inject(Rule::fail("rtsLaunchCpuKernel").nth(2).code(107_000));
    let error = worker.launch(Plan::default()).unwrap_err();
    assert!(matches!(error, DeviceError::Platform { .. }), "{error}");
    assert!(error.to_string().contains("rtsLaunchCpuKernel failed with 107000"), "{error}");
    worker.run(Plan::default()).unwrap();
    worker.close().unwrap();
    bench.assert_clean();
}

#[test]
fn the_cores_program_is_registered_once_and_tried_again_after_a_failure() {
    let bench = Bench::new(Chip::A5);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::fail("rtRegisterAllKernel").first(2).code(107_000));
    for _ in 0..2 {
        let error = worker.launch(Plan::default()).unwrap_err();
        assert!(error.to_string().contains("rtRegisterAllKernel failed with 107000"), "{error}");
    }
    assert_eq!(bench.lease.calls("rtsLaunchCpuKernel"), 0, "nothing is started before it is there");
    for _ in 0..5 {
        worker.run(Plan::default()).unwrap();
    }
    assert_eq!(bench.lease.calls("rtRegisterAllKernel"), 3);
    assert_eq!(bench.lease.calls("halResMap"), 36, "nor is anything else made twice");
    worker.close().unwrap();
    bench.assert_clean();
}

#[test]
fn a_busy_driver_is_asked_again_three_times() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::busy(3));
    worker.run(Plan::default()).unwrap();
    assert_eq!(bench.lease.calls("halMemCtl"), 4);
    worker.close().unwrap();
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.clear_rules();
    bench.lease.inject(Rule::busy(4));
    let error = worker.run(Plan::default()).unwrap_err();
    assert!(error.to_string().contains("halMemCtl failed with 13"), "{error}");
    worker.run(Plan::default()).unwrap();
    worker.close().unwrap();
    bench.assert_clean();
}

#[test]
fn polling_sees_the_end() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::late(SHORT).nth(2));
    let mut run = worker.launch(Plan::default()).unwrap();
    assert!(!run.poll(), "it takes {SHORT:?} at least");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !run.poll() {
        assert!(Instant::now() < deadline);
    }
    assert!(run.poll());
    assert_eq!(run.wait().unwrap().device_wall_ns, 12345);
    // A failure that polling met is told by whoever waits.
    let mut run = worker.launch(Plan { returned: 1, ..Plan::default() }).unwrap();
    while !run.poll() {
        assert!(Instant::now() < deadline);
    }
    lost(run.wait(), &["507018"]);
    assert_lost_until_reset(&bench, &worker, 0);
}

#[test]
fn polling_ends_when_time_is_over() {
    let bench = Bench::impatient(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
    let mut run = worker.launch(Plan::default()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !run.poll() {
        assert!(Instant::now() < deadline);
    }
    lost(run.wait(), &["507046"]);
    assert_lost_until_reset(&bench, &worker, 1);
}

#[test]
fn a_run_that_is_dropped_is_waited_for() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::late(SHORT).nth(2));
    let run = worker.launch(Plan::default()).unwrap();
    let busy = worker.launch(Plan::default()).unwrap_err();
    assert!(matches!(busy, DeviceError::Busy), "{busy}");
    assert!(matches!(worker.device.reset(), Err(DeviceError::Busy)));
    drop(run);
    assert_eq!(bench.lease.leaks().running_tasks, 0);
    worker.run(Plan::default()).unwrap();
    // If it fails, the next launch says so.
    drop(worker.launch(Plan { returned: 1, ..Plan::default() }).unwrap());
    assert_lost_until_reset(&bench, &worker, 0);
}

#[test]
fn a_run_may_go_from_thread_to_thread() {
    let bench = Bench::new(Chip::A5);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    for _ in 0..3 {
        let run = worker.launch(Plan::default()).unwrap();
        let waited = std::thread::scope(|scope| scope.spawn(|| run.wait()).join().unwrap());
        assert_eq!(waited.unwrap().device_wall_ns, 12345);
        let mut run = worker.launch(Plan::default()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                run.poll();
                drop(run);
            });
        });
    }
    worker.close().unwrap();
    bench.assert_clean();
    assert_eq!(bench.lease.calls("rtSetDevice"), bench.lease.calls("rtDeviceReset"));
}

#[test]
fn one_image_takes_the_place_of_another() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    worker.run(Plan::default()).unwrap();
    let launch = |bytes, parts| Launch {
        topology: Topology::new(1),
        aicpu_threads: 3,
        kernels: Vec::new(),
        program: Box::new(ImageProgram::new(DeviceImage { bytes, parts })),
        recorder: None,
    };
    let report = worker.device.alloc(128).unwrap();
    let image = common::image_words(report, Plan { block_dim: 1, ..Plan::default() });
    for (bytes, calls) in [(48, 0), (4096, 0), (1 << 20, 1), (5000, 0)] {
        let from = bench.calls_so_far();
        let run = worker.device.launch(launch(bytes, vec![(0, image.clone())])).unwrap();
        run.wait().unwrap();
        let of = |name| bench.calls(from).into_iter().filter(|&call| call == name).count();
        assert_eq!((of("rtMalloc"), of("rtFree")), (calls, calls), "{bytes} bytes");
    }
    let error = worker.device.launch(launch(40, vec![(0, image)])).unwrap_err();
    assert!(error.to_string().contains("bytes 0 to 48 of its 40"), "{error}");
    worker.run(Plan::default()).unwrap();
    worker.close().unwrap();
    bench.assert_clean();
}

/// A graph that has no image.
struct Engine;

impl DeviceProgram for Engine {
    fn next(&mut self, _cores: &dyn Cores) -> Option<Dispatch> {
        None
    }

    fn has_startable(&self, _cores: &dyn Cores) -> bool {
        false
    }

    fn complete(&mut self, _task: TaskId, _core: CoreId, _at: DeviceTime) {}

    fn is_done(&self) -> bool {
        true
    }

    fn completed(&self) -> u64 {
        0
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        Vec::new()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[test]
fn a_graph_without_an_image_is_refused() {
    let bench = Bench::new(Chip::A5);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    let launch = Launch {
        topology: Topology::new(1),
        aicpu_threads: 1,
        kernels: Vec::new(),
        program: Box::new(Engine),
        recorder: None,
    };
    let error = worker.device.launch(launch).unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { device: "a5", .. }), "{error}");
    worker.run(Plan::default()).unwrap();
    worker.close().unwrap();
    bench.assert_clean();
}

#[test]
fn a_device_whose_link_is_lost_says_so_and_goes() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    worker.run(Plan::default()).unwrap();
    bench.lease.lose();
    let error = worker.device.alloc(10).unwrap_err();
    assert!(error.to_string().contains("507901"), "{error}");
    let error = worker.run(Plan::default()).unwrap_err();
    assert!(matches!(error, DeviceError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("507901"), "{error}");
    let error = worker.device.reset().unwrap_err();
    assert!(error.to_string().contains("507901"), "{error}");
    drop(worker);
    assert_eq!(bench.lease.violations(), []);
}

#[test]
fn a_device_where_something_failed_before_is_suspect() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    bench.lease.inject(Rule::cascade());
    lost(worker.run(Plan { returned: 1, ..Plan::default() }), &["507018"]);
    let error = worker.device.alloc(10).unwrap_err();
    assert!(error.to_string().contains("rtMalloc failed with 507899"), "{error}");
    worker.close().unwrap();
    bench.lease.clear_rules();
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    worker.run(Plan::default()).unwrap();
    worker.device.copy_to_device(worker.device.alloc(4).unwrap(), &[1; 4]).unwrap();
    worker.close().unwrap();
    bench.assert_clean();
}
