//! The device that runs device programs, with programs that do what they should not.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use device_runner::{
    CoreId, Device, DeviceError, DeviceImage, ImageProgram, KernelSource, Launch, NativeKernel, Programs,
    Topology,
};
use sim::{RegisterDevice, SimDevice, SimOptions};
use task_interface::Handshake;

const RUN: i32 = 0;
const RETURN_AT_ONCE: i32 = 1;
const RETURN_AND_KEEP_CORES: i32 = 2;
const NEVER_RETURN: i32 = 3;
const HANG_IN_KERNEL: i32 = 4;
const THROW_IN_KERNEL: i32 = 5;

const CLUSTERS: u32 = 2;
const RUNTIME: &str = "host_build_graph";
/// Nothing here takes as long on purpose.
const LIMIT: Duration = Duration::from_secs(60);

fn compile(name: &str, defines: &[&str]) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("program.so");
    let (variable, usual) = if name.ends_with(".c") { ("CC", "cc") } else { ("CXX", "c++") };
    let compiler = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let compiled = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-pthread"])
        .args(defines)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name))
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::read(output).unwrap()
}

fn programs() -> Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    let build = || Programs::simulated(compile("aicpu.c", &[]), compile("aicore.cpp", &[]));
    PROGRAMS.get_or_init(build).clone()
}

fn open(programs: Programs, watchdog: Duration) -> Result<RegisterDevice, DeviceError> {
    let mut options = SimOptions::default();
    options.watchdog = Some(watchdog);
    RegisterDevice::open(3, &arch_a2a3::CHIP, RUNTIME, programs, options)
}

/// An image that asks for something.
fn launch(ask: i32, value: i32) -> Launch {
    let topology = Topology::new(CLUSTERS);
    let handshakes = 72 * size_of::<Handshake>();
    let mut bytes = vec![0; handshakes + 32];
    for core in 0..topology.cores() {
        let core_type = topology.core_type(CoreId(core)).raw();
        let handshake = Handshake { core_type, ..Handshake::default() };
        let at = core as usize * size_of::<Handshake>();
        bytes[at..at + size_of::<Handshake>()].copy_from_slice(bytemuck::bytes_of(&handshake));
    }
    let cores = i32::try_from(topology.cores()).unwrap();
    bytes[handshakes..handshakes + 16].copy_from_slice(bytemuck::bytes_of(&[cores, 2, ask, value]));
    let image = DeviceImage { bytes: bytes.len(), parts: vec![(0, bytes)] };
    let program = Box::new(ImageProgram::new(image));
    Launch { topology, aicpu_threads: 2, kernels: Vec::new(), program, recorder: None }
}

fn run(device: &RegisterDevice, ask: i32, value: i32) -> Result<u64, DeviceError> {
    let started = Instant::now();
    let run = device.launch(launch(ask, value))?;
    let result = run.wait().map(|outcome| outcome.device_wall_ns);
    assert!(started.elapsed() < LIMIT);
    result
}

fn assert_nothing_left(device: &RegisterDevice) {
    let usage = device.usage();
    assert_eq!((usage.allocations, usage.bytes, usage.abandoned_threads), (0, 0, 0));
}

#[test]
fn runs_end_well_again_and_again_on_the_same_threads() {
    let device = open(programs(), LIMIT).unwrap();
    assert_eq!(device.usage().threads, 0);
    for _ in 0..20 {
        assert!(run(&device, RUN, 0).unwrap() > 0);
        assert_eq!(device.usage().threads, 6 + 3 * CLUSTERS as usize);
    }
    assert_nothing_left(&device);
    device.reset().unwrap();
    assert_eq!(device.usage().threads, 0);
    run(&device, RUN, 0).unwrap();
}

#[test]
fn a_code_of_the_aicpu_program_is_that_of_the_run_wherever_its_cores_are() {
    let device = open(programs(), LIMIT).unwrap();
    for ask in [RETURN_AT_ONCE, RETURN_AND_KEEP_CORES] {
        let generation = device.program_generation();
        let error = run(&device, ask, -100).unwrap_err();
        assert!(matches!(error, DeviceError::ProgramFailed { code: -100, .. }), "{error}");
        assert!(!error.leaves_device_unusable());
        assert!(device.program_generation() > generation, "it is loaded anew");
        assert_nothing_left(&device);
        run(&device, RUN, 0).unwrap();
    }
}

#[test]
fn a_kernel_that_throws_fails_the_run_and_no_more() {
    let device = open(programs(), LIMIT).unwrap();
    let error = run(&device, THROW_IN_KERNEL, 4).unwrap_err();
    assert!(
        error.to_string().contains("core 4") && error.to_string().contains("thrown by a kernel"),
        "{error}"
    );
    assert_nothing_left(&device);
    run(&device, RUN, 0).unwrap();
}

#[test]
fn a_program_that_never_returns_is_given_up_and_the_process_lives() {
    for ask in [NEVER_RETURN, HANG_IN_KERNEL] {
        let device = open(programs(), Duration::from_millis(300)).unwrap();
        let error = run(&device, ask, 2).unwrap_err();
        assert!(matches!(error, DeviceError::Watchdog { .. }), "{error}");
        assert_eq!(error.to_string().contains("core 2"), ask == HANG_IN_KERNEL, "{error}");
        assert!(device.usage().abandoned_threads > 0);
        let again = device.launch(launch(RUN, 0)).unwrap_err();
        assert!(matches!(again, DeviceError::Unusable { .. }), "{again}");
        assert_eq!(device.usage().allocations, 0);
        // Given back, it is as good as new.
        device.reset().unwrap();
        run(&device, RUN, 0).unwrap();
    }
}

/// The other rank of the test below, in a process of its own.
#[test]
fn rank_to_be_killed() {
    let Ok(path) = std::env::var("REGISTERS_TEST_RANK") else { return };
    let device = SimDevice::new(1, SimOptions::default()).unwrap();
    let rank = device.join(1, 2, Path::new(&path)).unwrap();
    let windows = rank.windows(None, &[0, 1], 64).unwrap();
    std::thread::sleep(LIMIT);
    drop(windows);
}

#[test]
fn kernels_that_wait_for_a_rank_that_is_gone_are_given_up_long_before_their_limit() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("rootinfo");
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rank_to_be_killed", "--nocapture"])
        .env("REGISTERS_TEST_RANK", &path)
        .spawn()
        .unwrap();
    let device = open(programs(), LIMIT).unwrap();
    let rank = device.join(0, 2, &path).unwrap();
    let windows = rank.windows(None, &[0, 1], 64).unwrap();
    run(&device, RUN, 0).unwrap();
    let waiting = device.launch(launch(HANG_IN_KERNEL, 2)).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    let killed = Instant::now();
    let error = waiting.wait().unwrap_err();
    assert!(killed.elapsed() < LIMIT / 2, "not by the watchdog");
    assert!(matches!(error, DeviceError::RanksLost { .. }), "{error}");
    assert!(error.to_string().contains("rank 1") && error.to_string().contains("core 2"), "{error}");
    assert!(device.usage().abandoned_threads > 0);
    assert!(matches!(device.launch(launch(RUN, 0)), Err(DeviceError::Unusable { .. })));
    drop((windows, rank));
    device.reset().unwrap();
    run(&device, RUN, 0).unwrap();
}

#[test]
fn one_launch_at_a_time_and_a_dropped_one_is_waited_for() {
    let device = open(programs(), LIMIT).unwrap();
    let first = device.launch(launch(RUN, 0)).unwrap();
    let busy = device.launch(launch(RUN, 0)).unwrap_err();
    assert!(matches!(busy, DeviceError::Busy), "{busy}");
    assert!(matches!(device.reset(), Err(DeviceError::Busy)));
    drop(first);
    assert_nothing_left(&device);
    run(&device, RUN, 0).unwrap();
}

#[test]
fn devices_have_copies_of_their_own() {
    let devices: Vec<_> = (0..3).map(|_| open(programs(), LIMIT).unwrap()).collect();
    std::thread::scope(|scope| {
        for device in &devices {
            scope.spawn(move || {
                for round in 0..10 {
                    if round == 5 {
                        run(device, RETURN_AT_ONCE, 7).unwrap_err();
                    }
                    run(device, RUN, 0).unwrap();
                }
            });
        }
    });
    devices.iter().for_each(assert_nothing_left);
}

#[test]
fn programs_that_do_not_fit_are_refused_before_anything_runs() {
    let text = |programs: Programs| open(programs, LIMIT).unwrap_err().to_string();
    let Programs { aicpu, aicore, .. } = programs();
    let missing = text(Programs::simulated(compile("aicpu.c", &["-DWITHOUT_REGISTERS"]), aicore.clone()));
    assert!(missing.contains("AICPU program") && missing.contains("set_platform_regs"), "{missing}");
    let missing = text(Programs::simulated(aicpu.clone(), aicpu.clone()));
    assert!(missing.contains("AICore program") && missing.contains("aicore_execute_wrapper"), "{missing}");
    let garbage = text(Programs::simulated(&b"no object"[..], aicore));
    assert!(garbage.contains("AICPU program"), "{garbage}");
    let no_device =
        RegisterDevice::open(u32::MAX, &arch_a2a3::CHIP, RUNTIME, programs(), SimOptions::default());
    assert!(matches!(no_device, Err(DeviceError::NoSuchDevice { .. })));
}

#[test]
fn what_only_an_engine_can_run_is_refused() {
    let device = open(programs(), LIMIT).unwrap();
    let native = KernelSource::Native(NativeKernel::new("k", |_| Ok(())));
    assert!(matches!(device.register_kernel("k", &native, &[]), Err(DeviceError::Unsupported { .. })));
    let mut taken = launch(RUN, 0);
    taken.program.take_image();
    let error = device.launch(taken).unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
    assert_nothing_left(&device);
}
