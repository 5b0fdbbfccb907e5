//! A device from its opening to the end of its life.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use common::{Bench, CHIPS, Plan, Worker, chip, launched_threads};
use device_runner::{
    DevPtr, Device as _, DeviceError, DeviceUsage, GlobalMemory as _, KernelHandle, KernelSource,
    NativeKernel,
};
use onboard::{OnboardDevice, RegisterBank};
use soft_cann::Chip;

/// Whether the user has set the driver's level himself.
fn log_level_is_set() -> bool {
    std::env::var_os("ASCEND_GLOBAL_LOG_LEVEL").is_some()
}

#[test]
fn the_log_level_of_the_environment_is_left_alone() {
    if !log_level_is_set() {
        // Once more, in a process of its own where it is set.
        let tests = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_log_level_of_the_environment_is_left_alone"])
            .env("ASCEND_GLOBAL_LOG_LEVEL", "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&tests.stdout);
        assert!(tests.status.success() && output.contains("1 passed"), "{output}");
        return;
    }
    let bench = Bench::new(Chip::A5);
    bench.open().unwrap().reset().unwrap();
    assert_eq!(bench.lease.calls("dlog_setlevel"), 0);
    bench.assert_clean();
}

#[test]
fn calls_come_in_the_order_of_the_contract() {
    for of in CHIPS {
        let bench = Bench::new(of);
        let worker = Worker::new(bench.open().unwrap()).unwrap();
        let mut opening = bench.calls(0);
        if log_level_is_set() {
            opening.insert(0, "dlog_setlevel");
        }
        assert_eq!(
            opening,
            [
                &[
                    "dlog_setlevel",
                    "rtSetDevice",
                    "aclrtSetOpExecuteTimeOutV2",
                    "rtStreamCreate",
                    "rtStreamCreate"
                ][..],
                // The bootstrap.
                &["rtMalloc", "rtMemcpy", "rtMalloc", "rtMemcpy", "rtMalloc", "rtMemcpy"],
                &[
                    "rtAicpuKernelLaunchExWithArgs",
                    "aclrtSynchronizeStreamWithTimeout",
                    "rtFree",
                    "rtFree",
                    "rtFree"
                ],
                &["rtsBinaryLoadFromFile", "rtsFuncGetByName", "rtsFuncGetByName"],
                // The device arguments, and the memory of the test.
                &["rtMalloc", "rtMemcpy", "rtMalloc", "rtMemcpy"],
            ]
            .concat(),
            "{of:?}"
        );
        let from = bench.calls_so_far();
        assert_eq!(worker.device.max_block_dim(1000).unwrap(), if of == Chip::A5 { 36 } else { 24 });
        assert_eq!(worker.run(Plan::default()).unwrap(), 12345);
        let registers: &[&str] = match of {
            Chip::A5 => &["halResMap"; 36],
            _ => &["halGetDeviceInfoByBuff", "halMemCtl"],
        };
        let ffts: &[&str] = if of == Chip::A5 { &[] } else { &["rtGetC2cCtrlAddr"] };
        let run = &[
            &["rtMalloc", "rtMemcpy", "rtMemcpy"][..],
            &["rtMemcpy", "rtsLaunchCpuKernel", "rtsLaunchCpuKernel", "rtKernelLaunchWithHandleV2"],
        ];
        let first = [
            &["aclrtGetStreamResLimit", "aclrtGetStreamResLimit"][..],
            registers,
            // The register table, then the image in two parts.
            &["rtMalloc", "rtMemcpy"],
            run[0],
            ffts,
            // Run time, KernelArgs, AICore program.
            &["rtMalloc", "rtMemcpy", "rtMalloc", "rtMemcpy", "rtRegisterAllKernel"],
            &run[1][1..],
            &["aclrtSynchronizeStreamWithTimeout", "aclrtSynchronizeStreamWithTimeout", "rtMemcpy"],
        ]
        .concat();
        assert_eq!(bench.calls(from), first, "{of:?}");

        // What the first run made is there for the next one.
        let from = bench.calls_so_far();
        assert_eq!(worker.run(Plan::default()).unwrap(), 12345);
        let again = [
            &run[0][1..],
            run[1],
            &["aclrtSynchronizeStreamWithTimeout", "aclrtSynchronizeStreamWithTimeout", "rtMemcpy"],
        ]
        .concat();
        assert_eq!(bench.calls(from), again, "{of:?}");

        let from = bench.calls_so_far();
        worker.close().unwrap();
        let closing = bench.calls(from);
        assert_eq!(
            closing[..5],
            ["rtFree", "rtStreamDestroy", "rtStreamDestroy", "rtsBinaryUnload", "rtDevBinaryUnRegister"]
        );
        assert_eq!(closing[5..closing.len() - 1], ["rtFree"; 5]);
        assert_eq!(closing.last(), Some(&"rtDeviceReset"));
        bench.assert_clean();
        assert_eq!(bench.lease.calls("rtSetDevice"), bench.lease.calls("rtDeviceReset"));
        // All is given back already.
        let from = bench.calls_so_far();
        worker.device.reset().unwrap();
        drop(worker);
        assert_eq!(bench.calls(from), Vec::<&str>::new());
    }
}

#[test]
fn programs_see_what_the_launch_says() {
    for of in CHIPS {
        let mut bench = Bench::new(of);
        bench.options.log_level = Some(3);
        bench.options.log_verbosity = 7;
        let worker = Worker::new(bench.open().unwrap()).unwrap();
        for run in 1..=3u32 {
            worker.run(Plan { block_dim: run, ..Plan::default() }).unwrap();
            let report = worker.report().unwrap();
            assert_eq!(report[0], launched_threads(of));
            assert_eq!(report[1], u64::from(3 * run), "all cores of {run} clusters");
            assert!(report[2] != 0 && report[3] != 0 && report[4] != 0, "{report:?}");
            assert_eq!(report[5] != 0, of == Chip::A2a3, "the FFTS base");
            assert_eq!(report[6..10], [3, 7, 0, u64::from(bench.id())]);
            assert_eq!(report[10], u64::from(run), "one init for each run");
        }
        let set = bench.lease.journal().into_iter().find(|call| call.name == "dlog_setlevel");
        // All modules, with that level, and no events.
        assert_eq!(set.map(|call| call.args[1..].to_vec()), (!log_level_is_set()).then(|| vec![3, 0]));
        worker.close().unwrap();
        bench.assert_clean();
    }
}

#[test]
fn a_device_can_be_used_again_after_its_life() {
    let bench = Bench::new(Chip::A2a3);
    let device = bench.open().unwrap();
    for life in 1..=3 {
        device.bind_thread().unwrap();
        let ptr = device.alloc(64).unwrap();
        device.copy_to_device(ptr, &[life; 64]).unwrap();
        assert_eq!(device.max_block_dim(1000).unwrap(), 24, "it is open");
        device.reset().unwrap();
        assert_eq!(device.usage(), DeviceUsage::default());
        bench.assert_clean();
    }
    // The AICPU program is on the device since the first life.
    assert_eq!(bench.lease.calls("rtAicpuKernelLaunchExWithArgs"), 1);
}

#[test]
fn devices_with_one_id_do_not_end_each_other() {
    let bench = Bench::new(Chip::A5);
    let (one, other) =
        (Worker::new(bench.open().unwrap()).unwrap(), Worker::new(bench.open().unwrap()).unwrap());
    one.run(Plan::default()).unwrap();
    one.close().unwrap();
    other.device.bind_thread().unwrap();
    other.run(Plan::default()).unwrap();
    other.close().unwrap();
    bench.assert_clean();
}

#[test]
fn a_device_that_is_dropped_gives_everything_back() {
    let bench = Bench::new(Chip::A2a3);
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    worker.run(Plan::default()).unwrap();
    drop(worker);
    bench.assert_clean();
}

#[test]
fn each_thread_attaches_once_unless_it_turns_to_another_device() {
    let (one, other) = (Bench::new(Chip::A2a3), Bench::new(Chip::A2a3));
    let (here, there) = (one.open().unwrap(), other.open().unwrap());
    let sets = || (one.lease.calls("rtSetDevice"), other.lease.calls("rtSetDevice"));
    assert_eq!(sets(), (1, 1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10 {
                here.bind_thread().unwrap();
                here.alloc(8).unwrap();
            }
            assert_eq!(sets(), (2, 1));
            for _ in 0..2 {
                there.bind_thread().unwrap();
                there.alloc(8).unwrap();
                here.bind_thread().unwrap();
                here.alloc(8).unwrap();
            }
            assert_eq!(sets(), (4, 3));
        });
    });
    // This thread is attached to the one that it has opened last.
    there.alloc(8).unwrap();
    for (device, bench) in [(here, &one), (there, &other)] {
        device.reset().unwrap();
        bench.assert_clean();
        assert_eq!(bench.lease.calls("rtSetDevice"), bench.lease.calls("rtDeviceReset"));
    }
}

#[test]
fn addresses_are_checked_before_the_driver_sees_them() {
    let bench = Bench::new(Chip::A2a3);
    let device = bench.open().unwrap();
    let ptr = device.alloc(100).unwrap();
    let empty = device.alloc(0).unwrap();
    device.copy_to_device(ptr, &[7; 100]).unwrap();
    let mut bytes = [0; 60];
    device.copy_from_device(&mut bytes, DevPtr::new(ptr.addr() + 40)).unwrap();
    assert_eq!(bytes, [7; 60]);
    device.copy_to_device(empty, &[]).unwrap();
    device.copy_to_device(DevPtr::new(ptr.addr() + 100), &[]).unwrap();

    let from = bench.calls_so_far();
    let bad = |result: Result<(), DeviceError>| {
        assert!(matches!(result, Err(DeviceError::InvalidPointer { .. })), "{result:?}");
    };
    bad(device.copy_to_device(ptr, &[0; 101]));
    bad(device.copy_to_device(DevPtr::new(ptr.addr() + 101), &[]));
    bad(device.copy_from_device(&mut bytes, DevPtr::new(ptr.addr() + 41)));
    bad(device.copy_to_device(empty, &[1]));
    bad(device.copy_to_device(DevPtr::new(0), &[1]));
    bad(device.free(DevPtr::new(ptr.addr() + 1)));
    device.free(ptr).unwrap();
    bad(device.free(ptr));
    bad(device.copy_to_device(ptr, &[1]));
    assert_eq!(bench.calls(from), ["rtFree"]);
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn memory_that_is_not_there_is_a_typed_error() {
    let bench = Bench::new(Chip::A2a3);
    let device = bench.open().unwrap();
    let _held = device.alloc(5000).unwrap();
    bench.lease.inject(soft_cann::Rule::memory_limit(1 << 20));
    let error = device.alloc(2 << 20).unwrap_err();
    match &error {
        DeviceError::OutOfMemory { requested: 2_097_152, in_use, .. } => assert!(*in_use >= 5000),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("rtMalloc failed with 207001"), "{error}");
    device.alloc(100).unwrap();
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn a_kernel_is_a_callable_of_its_own() {
    let bench = Bench::new(Chip::A2a3);
    let device = bench.open().unwrap();
    let before = device.usage();
    let code = [9; 300];
    let handle = device.register_kernel("add", &KernelSource::Object(code.as_slice().into()), &[]).unwrap();
    let after = device.usage();
    assert_eq!((after.allocations, after.kernels), (before.allocations + 1, 1));
    let mut header = [0; 128 + 300];
    device.copy_from_device(&mut header, DevPtr::new(handle.0)).unwrap();
    let entry = device.kernel_entry(handle);
    assert_eq!(entry, handle.0 + 128);
    assert_eq!(header[68..72], 300u32.to_le_bytes());
    assert_eq!(header[72..80], entry.to_le_bytes());
    assert_eq!(header[128..], code);
    device.unregister_kernel(handle).unwrap();
    assert_eq!(device.usage(), before);
    for unknown in [handle, KernelHandle(1)] {
        let error = device.unregister_kernel(unknown).unwrap_err();
        assert!(matches!(error, DeviceError::UnknownKernel { .. }), "{error}");
    }
    let native = NativeKernel::new("native", |_| Ok(())).into();
    let error = device.register_kernel("native", &native, &[]).unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { device: "a2a3", .. }), "{error}");
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn launches_have_as_many_clusters_as_the_stream_has_cores_for() {
    let bench = Bench::new(Chip::A2a3);
    // A version that does not tell: the chip's own number counts.
    bench.lease.inject(soft_cann::Rule::fail("aclrtGetStreamResLimit").code(207_000));
    let device = bench.open().unwrap();
    assert_eq!(device.max_block_dim(24).unwrap(), 24);
    assert_eq!(device.max_block_dim(3).unwrap(), 3);
    // It is asked once in a life.
    assert_eq!(bench.lease.calls("aclrtGetStreamResLimit"), 1);
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn registers_are_those_of_the_cores_that_are_there() {
    let bench = Bench::new(Chip::A2a3);
    let device = bench.open().unwrap();
    let table = |bank| chip(Chip::A2a3).register_table(&bench.hal, bench.id(), bank).unwrap();
    let control = table(RegisterBank::Control);
    let present = bench.hal.core_bitmap(bench.id()).unwrap().count_ones() as usize;
    assert_eq!(control.iter().filter(|&&address| address != 0).count(), 3 * present);
    let both = table(RegisterBank::Pmu).into_iter().zip(control);
    assert!(
        both.into_iter().all(|(pmu, control)| (pmu == 0) == (control == 0) && (pmu == 0 || pmu != control))
    );
    bench.lease.inject(soft_cann::Rule::core_bitmap(0b1_0000_0000_0000_0000_0000_0010));
    let harvested = table(RegisterBank::Control);
    let there: Vec<usize> = (0..75).filter(|&id| harvested[id] != 0).collect();
    assert_eq!(there, [1, 24, 27, 28, 73, 74]);
    device.reset().unwrap();
    bench.assert_clean();

    let bench = Bench::new(Chip::A5);
    let device = bench.open().unwrap();
    let table = |bank| chip(Chip::A5).register_table(&bench.hal, bench.id(), bank).unwrap();
    let control = table(RegisterBank::Control);
    assert_eq!(control.iter().filter(|&&address| address != 0).count(), 108);
    assert_eq!(table(RegisterBank::Pmu), control);
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn an_id_that_no_call_can_say_is_refused() {
    let bench = Bench::new(Chip::A2a3);
    let options = bench.options.clone();
    let error = OnboardDevice::open(Arc::clone(&bench.hal), chip(Chip::A2a3), u32::MAX, options).unwrap_err();
    assert!(matches!(error, DeviceError::NoSuchDevice { id: u32::MAX, .. }), "{error}");
    let options = bench.options.clone();
    let error = OnboardDevice::open(Arc::clone(&bench.hal), chip(Chip::A2a3), 9999, options).unwrap_err();
    assert!(error.to_string().contains("rtSetDevice failed with 107001"), "{error}");
    bench.assert_clean();
}

#[test]
fn what_goes_wrong_is_told_with_what_to_do() {
    let text = |error: DeviceError| error.to_string();
    let bench = Bench::new(Chip::A2a3);
    bench.lease.inject(soft_cann::Rule::fail("rtStreamCreate").nth(2).code(207_008));
    let error = text(bench.open().unwrap_err());
    assert!(error.starts_with("opening the device failed: rtStreamCreate failed with 207008 ("), "{error}");
    let worker = Worker::new(bench.open().unwrap()).unwrap();
    let error = text(worker.run(Plan { returned: 1, ..Plan::default() }).unwrap_err());
    let expected = "the launch failed and the device cannot be used any more: the AICPU part of the run on 2 \
                    cluster(s) failed within 20.0s: aclrtSynchronizeStreamWithTimeout failed with 507018 (";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.ends_with("close this worker and open another"), "{error}");
    worker.close().unwrap();
    bench.assert_clean();
}

#[test]
fn calls_that_are_missing_are_said_to_be() {
    let bench = Bench::new(Chip::A2a3);
    let mut table = soft_cann::raw_table();
    // An older version has neither, and needs neither.
    (table.rtDevBinaryUnRegister, table.dlog_setlevel) = (None, None);
    // SAFETY: the stand-in's functions keep what those of CANN promise.
    let older = Arc::new(unsafe { hal_sys::Hal::from_raw_table(table) });
    let open = |hal| OnboardDevice::open(hal, chip(Chip::A2a3), bench.id(), bench.options.clone());
    let worker = Worker::new(open(older).unwrap()).unwrap();
    worker.run(Plan::default()).unwrap();
    worker.close().unwrap();
    assert_eq!(bench.lease.leaks().programs, 1, "the AICore program stays in the process");
    table.rtStreamCreate = None;
    // SAFETY: as above.
    let broken = Arc::new(unsafe { hal_sys::Hal::from_raw_table(table) });
    let error = open(broken).unwrap_err();
    assert!(error.to_string().contains("rtStreamCreate is missing"), "{error}");
    assert_eq!(bench.lease.leaks().device_references, 0);
}
