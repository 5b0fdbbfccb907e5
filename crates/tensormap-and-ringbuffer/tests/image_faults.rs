//! What may go wrong with images: refused before a launch, by the device half, or told in the shared memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use common::{
    ByAddress, CHIPS, ImageDevice, Misbehaviour, callable, header_word, interpreter, object, offset,
};
use device_runner::{
    Arch, ArenaSizes, CallableId, Device, DeviceError, DeviceRunner, DeviceUsage, OrchestrationSource,
    RunnerError, VariantError,
};
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tensormap_and_ringbuffer::image::{DeviceHalf, ImageError, LaunchLimit};
use tensormap_and_ringbuffer::{NativeOrchestration, RingOptions};

const COMBINE: i64 = 2;
const ALLOC: i64 = 5;
const FATAL: i64 = 8;
const THROW: i64 = 9;
const TOO_LARGE: i64 = 10;

/// c = 3a + 5b + 1 + 7c over the three tensors behind the program.
const GOOD: [i64; 8] = [COMBINE, 0, 1, 2, 1, 1, 1, 2];

struct Bench {
    chip: &'static dyn Arch,
    device: Arc<ImageDevice>,
    runner: Arc<DeviceRunner>,
    id: CallableId,
}

fn config(block_dim: i32, aicpu_thread_num: i32) -> CallConfig {
    CallConfig { block_dim, aicpu_thread_num, ..CallConfig::default() }
}

fn rings() -> RingOptions {
    RingOptions::default().task_window(16).heap(1 << 14).dep_pool(16)
}

impl Bench {
    fn new(chip: &'static dyn Arch) -> Self {
        let device = ImageDevice::new(chip, 7);
        let runner = device.runner(rings());
        let source = object(interpreter(), "interpret", "two_arguments");
        let id = runner.register(Some(5), &callable(source)).unwrap();
        Self { chip, device, runner, id }
    }

    /// Runs one operation with the tensors [1, 2], [3, 4] and [5, 6]; the last one afterwards.
    fn run_as(&self, step: [i64; 8], config: &CallConfig) -> (Result<(), RunnerError>, [i64; 2]) {
        let (mut step, mut tensors) = (step, [[1i64, 2], [3, 4], [5, 6]]);
        let mut args = ChipStorageTaskArgs::new();
        for words in std::iter::once(&mut step[..]).chain(tensors.iter_mut().map(|words| &mut words[..])) {
            let length = u32::try_from(words.len()).unwrap();
            let address = words.as_mut_ptr().expose_provenance() as u64;
            args.add_tensor(ContinuousTensor::new(address, &[length], DataType::Int64).unwrap()).unwrap();
        }
        let result = self.runner.run(self.id, &*args, config).map(drop);
        (result, tensors[2])
    }

    fn run(&self, step: [i64; 8]) -> (Result<(), RunnerError>, [i64; 2]) {
        self.run_as(step, &config(2, 3))
    }

    /// A run that fails; nothing is copied back then.
    fn failing(&self, step: [i64; 8]) -> RunnerError {
        let (result, left) = self.run(step);
        assert_eq!(left, [5, 6], "{result:?}");
        result.unwrap_err()
    }

    fn assert_works(&self) {
        let (result, left) = self.run(GOOD);
        result.unwrap();
        assert_eq!(left, [3 + 15 + 1 + 35, 6 + 20 + 1 + 42]);
    }

    fn header(&self, member: &str) -> i32 {
        header_word(&self.device, self.chip, member)
    }

    fn close(self) {
        self.runner.finalize().unwrap();
        assert_eq!(self.device.usage(), DeviceUsage::default());
    }
}

fn step(op: i64, scalar: i64) -> [i64; 8] {
    [op, 0, 0, 0, scalar, 1, 1, 2]
}

fn status(error: &RunnerError) -> (i32, &str) {
    let RunnerError::Variant(VariantError::Status { code, text }) = error else { panic!("{error}") };
    (*code, text)
}

#[test]
fn codes_of_the_orchestrator_come_out_of_the_shared_memory() {
    for chip in CHIPS {
        let bench = Bench::new(chip);
        for (step, code) in [
            (step(FATAL, 77), -77),
            (step(FATAL, -78), -78),
            (step(FATAL, 0), -9),
            (step(THROW, 0), -1),
            (step(TOO_LARGE, 0), -2),
            ([ALLOC, 0, 1, 0, 0, 0, 1, 2], -5),
        ] {
            let error = bench.failing(step);
            assert_eq!(status(&error).0, code, "{error}");
            assert!(status(&error).1.contains("the orchestrator on the device"), "{error}");
            assert_eq!(bench.header("orch_error_code").wrapping_abs().wrapping_neg(), code);
            bench.assert_works();
            assert_eq!(bench.header("orch_error_code"), 0);
        }
        let error = bench.failing(step(TOO_LARGE, 0));
        assert!(status(&error).1.contains("HEAP_RING_DEADLOCK"), "{error}");
        bench.close();
    }
}

#[test]
fn a_thread_that_gives_up_leaves_its_number_and_code() {
    for chip in CHIPS {
        let bench = Bench::new(chip);
        *bench.device.misbehaviour.lock().unwrap() = Misbehaviour::GivesUp;
        let error = bench.failing(GOOD);
        assert_eq!(status(&error).0, -100);
        assert!(status(&error).1.contains("scheduling thread 1"), "{error}");
        let told = ["sched_error_code", "sched_error_thread", "sched_error_bitmap", "orch_error_code"];
        assert_eq!(told.map(|member| bench.header(member)), [100, 1, 2, 0]);
        *bench.device.misbehaviour.lock().unwrap() = Misbehaviour::None;
        bench.assert_works();
        bench.close();
    }
}

/// The shared memory still says how an earlier run has ended.
#[test]
fn a_program_that_never_boots_is_not_misread() {
    let bench = Bench::new(CHIPS[0]);
    for (misbehaviour, before) in [
        (Misbehaviour::NeverBoots, GOOD),
        (Misbehaviour::NeverBoots, step(FATAL, 77)),
        (Misbehaviour::Lost, step(FATAL, 77)),
        (Misbehaviour::Lost, GOOD),
    ] {
        drop(bench.run(before));
        *bench.device.misbehaviour.lock().unwrap() = misbehaviour;
        let error = bench.failing(GOOD);
        match misbehaviour {
            Misbehaviour::Lost => {
                let RunnerError::Device(DeviceError::Platform { call, .. }) = &error else {
                    panic!("{error}")
                };
                assert_eq!(*call, "simpler_aicpu_exec");
            }
            _ => assert!(
                status(&error) == (-1, status(&error).1) && status(&error).1.contains("no orchestrator")
            ),
        }
        *bench.device.misbehaviour.lock().unwrap() = Misbehaviour::None;
        bench.assert_works();
    }
    bench.close();
}

#[test]
fn launches_that_could_never_end_take_nothing() {
    let bench = Bench::new(CHIPS[1]);
    let before = bench.device.usage();
    let refused = |block_dim, threads| {
        let (result, left) = bench.run_as(GOOD, &config(block_dim, threads));
        assert_eq!(left, [5, 6]);
        assert_eq!(
            (bench.device.usage(), bench.runner.arenas().committed()),
            (before, ArenaSizes::default())
        );
        let RunnerError::Variant(VariantError::Graph(source)) = result.unwrap_err() else {
            panic!("a limit")
        };
        *source.downcast::<LaunchLimit>().unwrap()
    };
    assert_eq!(refused(1, 1), LaunchLimit::Threads { threads: 1 });
    assert_eq!(refused(22, 2), LaunchLimit::Clusters { clusters: 22, schedulers: 1 });
    assert_eq!(refused(0, 2), LaunchLimit::Clusters { clusters: 36, schedulers: 1 });
    for (block_dim, threads) in [(21, 2), (22, 3), (0, 3), (36, 7)] {
        bench.run_as(GOOD, &config(block_dim, threads)).0.unwrap();
    }
    bench.close();
}

#[test]
fn missing_arguments_end_a_run_but_not_the_callable() {
    let bench = Bench::new(CHIPS[0]);
    let mut word = [0i64];
    let mut args = ChipStorageTaskArgs::new();
    let address = word.as_mut_ptr().expose_provenance() as u64;
    args.add_tensor(ContinuousTensor::new(address, &[1], DataType::Int64).unwrap()).unwrap();
    let error = bench.runner.run(bench.id, &*args, &config(1, 2)).unwrap_err();
    assert_eq!(status(&error).0, -1);
    bench.assert_works();
    bench.close();
}

/// Where a member of the prebuilt arena's `PTO2Runtime` lies.
fn in_arena(chip: &dyn Arch, image: u64, member: &str) -> u64 {
    let of_runtime = |member: &str| ByAddress::read::<u64>(image + offset(chip, "Runtime", member) as u64);
    let runtime = of_runtime("prebuilt_arena_base_") + of_runtime("prebuilt_runtime_offset_");
    runtime + offset(chip, "PTO2Runtime", member) as u64
}

#[test]
fn images_that_contradict_themselves_or_the_chip_are_refused() {
    type Change = Box<dyn Fn(u64) + Send>;
    for chip in CHIPS {
        let bench = Bench::new(chip);
        let word = move |member: &'static str, change: fn(u64) -> u64| -> Change {
            Box::new(move |image| {
                let place = image + offset(chip, "Runtime", member) as u64;
                ByAddress::write(place, &change(ByAddress::read(place)));
            })
        };
        let int = move |member: &'static str, value: i32| -> Change {
            Box::new(move |image| ByAddress::write(image + offset(chip, "Runtime", member) as u64, &value))
        };
        let arena = move |member: &'static str, skip: u64| -> Change {
            Box::new(move |image| {
                let place = in_arena(chip, image, member) + skip;
                ByAddress::write(place, &(ByAddress::read::<u64>(place) + 64));
            })
        };
        let name = move |member: &'static str, byte: u8| -> Change {
            Box::new(move |image| {
                ByAddress::write(image + offset(chip, "Runtime", member) as u64, &[byte; 64]);
            })
        };
        let changes: Vec<(&str, Change)> = vec![
            ("worker_count", int("worker_count", 0)),
            ("worker_count", int("worker_count", -3)),
            ("worker_count", int("worker_count", 7)),
            ("worker_count", int("worker_count", 111)),
            ("aicpu_thread_num", int("aicpu_thread_num", 1)),
            ("aicpu_thread_num", int("aicpu_thread_num", 8)),
            ("core_type", Box::new(|image| ByAddress::write(image + 16, &1i32))),
            ("gm_heap_ptr", word("gm_heap_ptr_", |_| 0)),
            ("gm_sm_ptr", word("gm_sm_ptr_", |at| at + 512)),
            ("prebuilt_arena_base", word("prebuilt_arena_base_", |at| at + 64)),
            ("prebuilt_runtime_offset", word("prebuilt_runtime_offset_", |_| u64::MAX)),
            ("prebuilt_layout", word("prebuilt_runtime_offset_", |at| at - 128)),
            ("task_window_size", word("task_window_size", |_| 8)),
            ("heap_size", word("heap_size", |size| size * 2)),
            ("dep_pool_size", word("dep_pool_size", |_| 17)),
            ("dev_orch_so_size", word("dev_orch_so_size_", |_| 0)),
            ("dev_orch_so_addr", word("dev_orch_so_addr_", |_| 0)),
            (
                "resolved_addr",
                word("func_id_to_addr_", |at| {
                    ByAddress::write(at + 72, &0u64);
                    at
                }),
            ),
            ("device_orch_func_name", name("device_orch_func_name_", b'x')),
            ("device_orch_config_name", name("device_orch_config_name_", 0xff)),
            ("gm_heap of the arena", arena("gm_heap", 0)),
            ("gm_heap_size", arena("gm_heap_size", 0)),
            ("prebuilt_layout", arena("prebuilt_layout", 0)),
            ("prebuilt_layout", arena("prebuilt_layout", 264)),
            ("prebuilt_layout", arena("prebuilt_layout", 288)),
        ];
        for (what, change) in changes {
            *bench.device.tamper.lock().unwrap() = Some(change);
            let error = bench.failing(GOOD);
            assert!(matches!(error, RunnerError::Device(DeviceError::Platform { .. })), "{what}: {error}");
            let refused = bench.device.refused.lock().unwrap().take().unwrap();
            let ImageError::Invalid { what: found, .. } = &refused else { panic!("{what}: {refused}") };
            assert!(found.contains(what), "{what}: {refused}");
            assert_eq!(bench.header("orchestrator_done"), 0, "nothing was booted");
        }
        *bench.device.tamper.lock().unwrap() = None;
        // The kernel's header was spoiled in place.
        let header: u64 = bench.device.member("func_id_to_addr_");
        ByAddress::write(header + 72, &(header + 128));
        bench.assert_works();
        bench.close();
    }
}

#[test]
fn sizes_that_an_image_leaves_out_are_those_of_its_arena() {
    let bench = Bench::new(CHIPS[0]);
    *bench.device.tamper.lock().unwrap() = Some(Box::new(|image| {
        for member in ["task_window_size", "heap_size", "dep_pool_size"] {
            ByAddress::write(image + offset(CHIPS[0], "Runtime", member) as u64, &0u64);
        }
    }));
    bench.assert_works();
    bench.close();
}

fn load_error(result: Result<CallableId, RunnerError>) -> String {
    match result.unwrap_err() {
        RunnerError::Variant(VariantError::Load(source)) => source.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn what_can_be_told_of_an_orchestration_is_told_at_its_registration() {
    let bench = Bench::new(CHIPS[0]);
    let before = (bench.device.usage(), bench.runner.report().callables);
    let register = |source: OrchestrationSource| bench.runner.register(None, &callable(source));
    let bytes = interpreter();
    assert!(load_error(register(object(bytes[..4096].into(), "interpret", ""))).contains("truncated"));
    assert!(
        load_error(register(object(b"no library".as_slice().into(), "", ""))).contains("not an ELF file")
    );
    let missing = load_error(register(object(Arc::clone(&bytes), "interpreter", "")));
    assert!(missing.contains("no symbol `interpreter`"), "{missing}");
    // Without a name it is the default, which this library does not have.
    assert!(load_error(register(object(Arc::clone(&bytes), "", ""))).contains("aicpu_orchestration_entry"));
    for name in ["n".repeat(64), "a\0b".to_owned()] {
        assert!(
            load_error(register(object(Arc::clone(&bytes), "interpret", &name))).contains("not possible")
        );
    }
    let native = NativeOrchestration::new(|_| Ok(()));
    let error = register(native.into()).unwrap_err();
    assert!(matches!(error, RunnerError::Variant(VariantError::WrongKind { .. })), "{error}");
    assert_eq!((bench.device.usage(), bench.runner.report().callables), before);
    bench.close();
}

/// The library of another machine cannot be loaded here, but where its device programs run.
#[test]
fn objects_for_other_machines_are_uploaded_and_the_device_says_if_it_cannot_load_them() {
    let bench = Bench::new(CHIPS[0]);
    let mut foreign = interpreter().to_vec();
    // e_machine: RISC-V.
    foreign[18..20].copy_from_slice(&243u16.to_le_bytes());
    bench.runner.replace(bench.id, &callable(object(foreign.into(), "interpret", ""))).unwrap();
    let bench = Bench { id: bench.runner.find(5).unwrap(), ..bench };
    let error = bench.failing(GOOD);
    assert_eq!(status(&error).0, -1);
    let refused = bench.device.refused.lock().unwrap().take().unwrap();
    assert!(matches!(&refused, ImageError::Orchestration { callable: 5, .. }), "{refused}");
    assert!(refused.to_string().contains("riscv"), "{refused}");
    // Another callable takes its id: what the device knows under it is not used any more.
    let source = object(interpreter(), "interpret", "");
    bench.runner.replace(bench.id, &callable(source)).unwrap();
    let bench = Bench { id: bench.runner.find(5).unwrap(), ..bench };
    bench.assert_works();
    assert_eq!(bench.device.member::<u8>("register_new_callable_id_"), 1);
    bench.assert_works();
    assert_eq!(bench.device.member::<u8>("register_new_callable_id_"), 0);
    // So it is on device programs that were loaded anew.
    bench.device.generation.store(2, std::sync::atomic::Ordering::Relaxed);
    bench.assert_works();
    assert_eq!(bench.device.member::<u8>("register_new_callable_id_"), 1);
    bench.assert_works();
    assert_eq!(bench.device.member::<u8>("register_new_callable_id_"), 0);
    bench.close();
}

/// Says of every image that its orchestration is known on the device, and that it is that of `callable`.
fn known_as(bench: &Bench, callable: i32) {
    let chip = bench.chip;
    *bench.device.tamper.lock().unwrap() = Some(Box::new(move |image| {
        let place = |member| image + offset(chip, "Runtime", member) as u64;
        ByAddress::write(place("register_new_callable_id_"), &0u8);
        ByAddress::write(place("active_callable_id_"), &callable);
    }));
}

#[test]
fn an_orchestration_that_the_device_has_forgotten_is_loaded_again() {
    let bench = Bench::new(CHIPS[0]);
    for callable in [5, 6, 63, 5] {
        known_as(&bench, callable);
        bench.assert_works();
    }
    for callable in [-1, 64] {
        known_as(&bench, callable);
        assert_eq!(status(&bench.failing(GOOD)).0, -1);
        let refused = bench.device.refused.lock().unwrap().take().unwrap();
        assert!(refused.to_string().contains("out of range"), "{refused}");
    }
    bench.close();
}

/// Each runner counts its callables from the same id on.
#[test]
fn hosts_that_share_a_loaded_program_do_not_get_each_others_orchestrations() {
    let half = Arc::new(DeviceHalf::new(CHIPS[0]));
    let bench = |entry: &str| {
        let device = ImageDevice::with_half(CHIPS[0], 7, Arc::clone(&half));
        let runner = device.runner(rings());
        let id = runner.register(Some(0), &callable(object(interpreter(), entry, ""))).unwrap();
        Bench { chip: CHIPS[0], device, runner, id }
    };
    let [works, fails] = [bench("interpret"), bench("interpret_nothing")];
    for _ in 0..3 {
        works.assert_works();
        let (result, left) = fails.run(GOOD);
        result.unwrap();
        assert_eq!(left, [5, 6], "nothing was interpreted");
    }
    works.close();
    fails.close();
}

#[test]
fn equal_orchestrations_are_in_device_memory_once_and_go_with_their_last_callable() {
    let bench = Bench::new(CHIPS[0]);
    bench.assert_works();
    let address: u64 = bench.device.member("dev_orch_so_addr_");
    assert_eq!(bench.device.member::<u64>("dev_orch_so_size_"), interpreter().len() as u64);
    let before = bench.device.usage();
    let second = bench.runner.register(Some(6), &callable(object(interpreter(), "interpret", ""))).unwrap();
    // Its four kernels are other functions; the orchestration is the same.
    assert_eq!(bench.device.usage().allocations, before.allocations + 4);
    let bench = Bench { id: second, ..bench };
    bench.assert_works();
    assert_eq!(bench.device.member::<u64>("dev_orch_so_addr_"), address);
    let mut copy = vec![0u8; interpreter().len()];
    copy.iter_mut().zip(address..).for_each(|(byte, at)| *byte = ByAddress::read(at));
    assert_eq!(copy[..], interpreter()[..]);
    bench.runner.unregister(bench.runner.find(5).unwrap());
    bench.assert_works();
    let mut other = interpreter().to_vec();
    other.extend_from_slice(b"behind the end");
    let third = bench.runner.register(Some(7), &callable(object(other.into(), "interpret", ""))).unwrap();
    let bench = Bench { id: third, ..bench };
    bench.assert_works();
    assert_ne!(bench.device.member::<u64>("dev_orch_so_addr_"), address);
    for id in [6, 7] {
        bench.runner.unregister(bench.runner.find(id).unwrap());
    }
    // The three regions are left.
    assert_eq!(bench.device.usage().allocations, 3);
    bench.close();
}

#[test]
fn the_image_says_what_the_run_is_about() {
    for chip in CHIPS {
        let bench = Bench::new(chip);
        bench.assert_works();
        let device = &bench.device;
        let name = |member| {
            let bytes: [u8; 64] = device.member(member);
            std::ffi::CStr::from_bytes_until_nul(&bytes).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name("device_orch_func_name_"), "interpret");
        assert_eq!(name("device_orch_config_name_"), "two_arguments");
        let ints = ["worker_count", "aicpu_thread_num", "ready_queue_shards", "active_callable_id_"];
        let threads = i32::try_from(chip.limits().max_aicpu_threads).unwrap();
        assert_eq!(ints.map(|member| device.member::<i32>(member)), [6, 3, threads - 1, 5]);
        let sizes = ["task_window_size", "heap_size", "dep_pool_size"];
        assert_eq!(sizes.map(|member| device.member::<u64>(member)), [16, 1 << 14, 16]);
        let arenas = bench.runner.arenas();
        let bases =
            [arenas.gm_heap(), arenas.gm_sm(), arenas.runtime_arena()].map(|base| base.unwrap().addr());
        let named = ["gm_heap_ptr_", "gm_sm_ptr_", "prebuilt_arena_base_"];
        assert_eq!(named.map(|member| device.member::<u64>(member)), bases);
        assert!(bases.iter().all(|base| base.is_multiple_of(1024)));
        let args: ChipStorageTaskArgs = device.member("orch_args_storage_");
        assert_eq!(args.used_tensors().unwrap().len(), 4);
        for zero in ["slot_states_ptr_", "host_api", "tensor_pairs_"] {
            assert_eq!(device.member::<u64>(zero), 0, "{zero}");
        }
        let cores: Vec<i32> =
            device.member::<[[i32; 16]; 8]>("workers").iter().map(|handshake| handshake[4]).collect();
        assert_eq!(cores, [0, 0, 1, 1, 1, 1, 0, 0]);
        let table: [u64; 1024] = device.member("func_id_to_addr_");
        assert!(table[..4].iter().all(|&at| ByAddress::read::<u64>(at + 72) == at + 128));
        assert!(table[4..].iter().all(|&at| at == 0));
        bench.close();
    }
}
