//! What goes wrong on demand, what is noticed, and what is told about it.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Life, code, hal};
use hal_sys::{AddrKind, CoreKind};
use soft_cann::{Chip, Devices, LeakReport, Rule, ViolationKind};

/// As long as a wait of a test may take.
const LIMIT: Duration = Duration::from_secs(30);

fn id(life: &Life) -> u32 {
    u32::try_from(life.device.id()).unwrap()
}

fn kinds(life: &Life) -> BTreeSet<String> {
    life.device.violations().iter().map(|violation| format!("{:?}", violation.kind)).collect()
}

#[test]
fn calls_fail_when_they_are_told_to() {
    let life = Life::start(Chip::A2a3);
    let third = life.device.inject(Rule::fail("rtMalloc").nth(3).code(107_000));
    let results: Vec<_> = (0..5).map(|_| life.hal.malloc(64)).collect();
    let failed: Vec<_> = results.iter().map(|result| result.is_err()).collect();
    assert_eq!((failed, third.fired()), (vec![false, false, true, false, false], 1));
    // A call that fails does nothing.
    assert_eq!((life.device.leaks().allocations.len(), life.device.calls("rtMalloc")), (4, 5));

    life.device.clear_rules();
    let every = life.device.inject(Rule::fail("rtFree").every(2));
    let buffers: Vec<_> = results.into_iter().flatten().collect();
    let failed: Vec<_> = buffers.iter().map(|buffer| life.hal.free(*buffer).is_err()).collect();
    assert_eq!((failed, every.fired()), (vec![false, true, false, true], 2));
    life.device.clear_rules();
    for buffer in [buffers[1], buffers[3]] {
        life.hal.free(buffer).unwrap();
    }
    let usual = [
        (
            code({
                life.device.inject(Rule::fail("rtMalloc"));
                life.hal.malloc(64)
            }),
            207_001,
        ),
        (
            code({
                life.device.inject(Rule::fail("rtStreamCreate"));
                life.hal.stream_create()
            }),
            507_899,
        ),
        (
            code({
                life.device.inject(Rule::fail("halMemCtl"));
                life.hal.map_registers(AddrKind::AicCtrl, id(&life))
            }),
            7,
        ),
        (
            code({
                life.device.inject(Rule::fail("HcclGetRootInfo"));
                life.hal.hccl_root_info()
            }),
            15,
        ),
        (
            code({
                life.device.inject(Rule::fail("dlog_setlevel"));
                life.hal.dlog_set_level(-1, 3, false)
            }),
            -1,
        ),
    ];
    for (returned, expected) in usual {
        assert_eq!(returned, expected);
    }
    life.device.clear_rules();
    life.end();
}

#[test]
fn calls_without_a_device_are_put_down_to_the_leased_one() {
    let device = Devices::lease(Chip::A2a3).unwrap();
    let refused = device.inject(Rule::fail("aclInit").code(100_001));
    assert_eq!(code(hal().acl_init()), 100_001);
    hal().dlog_set_level(-1, 3, false).unwrap();
    assert_eq!(refused.fired(), 1);
    let names: Vec<_> = device.journal().iter().map(|call| (call.name, call.code)).collect();
    assert_eq!(names, [("aclInit", 100_001), ("dlog_setlevel", 0)]);
}

#[test]
fn the_journal_has_arguments_and_codes() {
    let life = Life::start(Chip::A2a3);
    let buffer = life.hal.malloc(100).unwrap();
    life.hal.free(buffer).unwrap();
    let journal = life.device.journal();
    let names: Vec<_> = journal.iter().map(|call| call.name).collect();
    assert_eq!(names, ["rtSetDevice", "rtStreamCreate", "rtMalloc", "rtFree"]);
    assert_eq!(journal[0].args, [u64::try_from(life.device.id()).unwrap()]);
    assert_eq!(journal[2].args[1..], [100, 2, 0]);
    assert_eq!((journal[3].args.as_slice(), journal[3].code), ([buffer].as_slice(), 0));
    assert!(journal[0].time <= journal[3].time && journal[0].thread == journal[3].thread);
    life.end();
}

#[test]
fn memory_ends_where_the_rule_says() {
    let life = Life::start(Chip::A2a3);
    life.device.inject(Rule::memory_limit(1000));
    let buffer = life.hal.malloc(960).unwrap();
    assert_eq!(code(life.hal.malloc(64)), 207_001);
    // ACL adds 32 bytes to each buffer.
    assert_eq!(code(life.hal.acl_malloc(32)), 207_001);
    let small = life.hal.malloc(32).unwrap();
    life.hal.free(buffer).unwrap();
    let again = life.hal.acl_malloc(928).unwrap();
    for buffer in [small, again] {
        life.hal.free(buffer).unwrap();
    }
    life.end();
}

#[test]
fn a_kernel_s_binary_takes_memory_of_the_device_at_its_first_launch() {
    let life = Life::start(Chip::A2a3);
    let kernels: Vec<_> = (0..2).map(|_| life.kernels()).collect();
    let size = common::aicore().len() as u64;
    life.device.inject(Rule::memory_limit(size + 8192));
    let meeting = life.bytes(&[0; 16 + 128 * 16 + 128 * 8]);
    for _ in 0..2 {
        life.hal.launch_kernel(&kernels[0], 0, 1, &meeting.to_ne_bytes(), life.stream()).unwrap();
    }
    let full = life.hal.launch_kernel(&kernels[1], 0, 1, &meeting.to_ne_bytes(), life.stream());
    assert_eq!(code(full), 207_001);
    life.hal.stream_synchronize(life.stream()).unwrap();
    let mut kernels = kernels.into_iter();
    life.hal.unregister_kernels(kernels.next().unwrap()).unwrap();
    let last = kernels.next().unwrap();
    life.hal.launch_kernel(&last, 0, 1, &meeting.to_ne_bytes(), life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    life.hal.unregister_kernels(last).unwrap();
    life.hal.free(meeting).unwrap();
    life.end();
}

#[test]
fn a_late_task_is_waited_for_and_its_buffers_are_watched() {
    let life = Life::start(Chip::A2a3);
    let (binary, functions) = life.aicpu(&[c"gather"]);
    let late = life.device.inject(Rule::late(Duration::from_millis(300)).nth(1));
    let block = life.words(&[0, 1, 0, 0]);
    life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    let waited = life.hal.stream_synchronize_within(life.stream(), Duration::from_millis(1));
    assert_eq!(code(waited), 507_046);
    let unrelated = life.words(&[1]);
    life.hal.free(unrelated).unwrap();
    assert_eq!(life.device.violations(), []);
    life.hal.free(block).unwrap();
    assert_eq!(kinds(&life), BTreeSet::from(["UseAfterFree".to_owned()]));
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(late.fired(), 1);
    life.hal.unload_cpu_binary(binary).unwrap();
}

#[test]
fn buffers_behind_buffers_are_watched_too() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"wait"]);
    let last = life.words(&[0; 8]);
    let mut middle = vec![0; 1 << 17];
    middle[1 << 16] = last + 16;
    let middle = life.words(&middle);
    let block = life.words(&[0, middle, 0, 0]);
    life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    life.hal.free(last).unwrap();
    assert_eq!(kinds(&life), BTreeSet::from(["UseAfterFree".to_owned()]));
    life.hal.copy_to_device(block + 16, &1_u64.to_ne_bytes()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    for buffer in [middle, block] {
        life.hal.free(buffer).unwrap();
    }
    assert_eq!(life.device.violations().len(), 1);
}

#[test]
fn aicpu_functions_return_what_the_rule_says_and_may_cascade() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"gather"]);
    let block = life.words(&[0, 5, 0, 0]);
    let returned = life.device.inject(Rule::aicpu_return("gather", 7).block(3));
    let cascade = life.device.inject(Rule::cascade());
    life.hal.launch_cpu(&functions[0], 6, &block.to_ne_bytes(), life.stream()).unwrap();
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_018);
    assert_eq!((returned.fired(), cascade.fired(), life.read::<1>(block)), (1, 1, [5]));
    assert_eq!(code(life.hal.malloc(64)), 507_899);
    assert_eq!(code(life.hal.acl_malloc(64)), 507_899);
    assert_eq!(code(life.hal.stream_create()), 507_899);
    life.hal.reset_device_force(life.device.id()).unwrap();
    life.hal.set_device(life.device.id()).unwrap();
    let buffer = life.hal.malloc(64).unwrap();
    life.hal.free(buffer).unwrap();
    life.hal.reset_device(life.device.id()).unwrap();
    assert!(life.device.leaks().is_empty(), "{}", life.device.leaks());
}

#[test]
fn an_aicpu_that_hangs_ends_with_the_reset() {
    let life = Life::start(Chip::A2a3);
    life.device.set_time_scale(1);
    let (_binary, functions) = life.aicpu(&[c"gather"]);
    let hang = life.device.inject(Rule::aicpu_hang("gather"));
    let block = life.words(&[0, 1, 0, 0]);
    life.hal.launch_cpu(&functions[0], 2, &block.to_ne_bytes(), life.stream()).unwrap();
    let waited = life.hal.stream_synchronize_within(life.stream(), Duration::from_millis(50));
    assert_eq!(code(waited), 507_046);
    assert_eq!(life.device.leaks().running_tasks, 1);
    life.hal.reset_device_force(life.device.id()).unwrap();
    assert!(life.device.wait_idle(LIMIT));
    assert_eq!(hang.fired(), 1);
    assert!(life.device.leaks().is_empty(), "{}", life.device.leaks());
}

#[test]
fn an_aicore_that_hangs_is_ended_by_the_op_timeout() {
    for (rule, blocks) in [(Rule::aicore_hang(), 3), (Rule::aicore_hang().core(25 + 2), 2)] {
        let life = Life::start(Chip::A2a3);
        life.device.set_time_scale(1);
        life.hal.set_op_timeout(Duration::from_millis(100)).unwrap();
        let hang = life.device.inject(rule);
        let kernels = life.kernels();
        let mut bytes = [0; 16 + 128 * 16 + 128 * 8];
        bytes[8] = 3 * u8::try_from(blocks).unwrap();
        let meeting = life.bytes(&bytes);
        life.hal.launch_kernel(&kernels, 0, blocks, &meeting.to_ne_bytes(), life.stream()).unwrap();
        assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_014);
        assert_eq!(hang.fired(), 1);
        // The programs are told in two ways to leave.
        assert!(life.device.wait_idle(LIMIT));
        let (registers, _) = life.hal.map_registers(AddrKind::AicCtrl, id(&life)).unwrap();
        let data_main_base =
            std::ptr::with_exposed_provenance::<u32>(usize::try_from(registers).unwrap() + 0xA0);
        // SAFETY: the mapped register of core 0, which nobody writes any more.
        assert_eq!(unsafe { data_main_base.read_volatile() }, 0x7FFF_FFF0);
    }
}

#[test]
fn a_thread_that_never_returns_does_not_hang_the_process() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"gather"]);
    // It waits for a second thread, which nobody starts.
    let block = life.words(&[0, 2, 0, 0]);
    life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    let start = Instant::now();
    while life.read::<1>(block) == [0] && start.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    life.hal.reset_device_force(life.device.id()).unwrap();
    assert!(start.elapsed() < LIMIT);
    // It is still there, and its buffer too, though nobody else can reach it.
    assert_eq!(life.device.leaks(), LeakReport { running_tasks: 1, ..LeakReport::default() });
    assert_eq!(life.device.violations(), []);
}

#[test]
fn a_lost_device_refuses_everything() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"wait"]);
    let block = life.words(&[0; 4]);
    life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    let lost = life.device.inject(Rule::lose_at("rtMemcpy").nth(2));
    assert_eq!(life.read::<1>(block), [0]);
    assert_eq!(code(life.hal.copy_to_device(block, &[0])), 507_901);
    assert_eq!(lost.fired(), 1);
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_901);
    assert_eq!(code(life.hal.malloc(64)), 507_901);
    assert_eq!(code(life.hal.free(block)), 507_901);
    assert_eq!(code(life.hal.map_registers(AddrKind::AicCtrl, id(&life))), 7);
    assert_eq!(code(life.hal.hccl_root_info()), 15);
    assert_eq!(code(life.hal.reset_device(life.device.id())), 507_901);
    life.hal.dlog_set_level(-1, 3, false).unwrap();
    // What was there went with it.
    assert!(life.device.leaks().is_empty());
}

#[test]
fn a_device_that_is_lost_during_a_wait_ends_the_wait() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"gather"]);
    life.device.inject(Rule::aicpu_hang("gather"));
    life.hal.launch_cpu(&functions[0], 1, &[0; 8], life.stream()).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            life.hal.set_device(life.device.id()).unwrap();
            life.hal.stream_synchronize(life.stream())
        });
        while life.device.calls("rtSetDevice") < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20));
        life.device.lose();
        let result = waiting.join().unwrap();
        // Waiting already, or only now about to.
        assert!([507_010, 507_901].contains(&code(result)));
    });
}

#[test]
fn a_chip_may_lack_cores() {
    let life = Life::start(Chip::A2a3);
    life.device.inject(Rule::core_bitmap(0b1010_0001));
    assert_eq!(life.hal.core_bitmap(id(&life)).unwrap(), 0b1010_0001);
    assert_eq!(life.hal.stream_core_limit(life.stream(), CoreKind::Vector).unwrap(), 6);
    let kernels = life.kernels();
    let meeting = life.bytes(&[0; 16 + 128 * 16 + 128 * 8]);
    let four = life.hal.launch_kernel(&kernels, 0, 4, &meeting.to_ne_bytes(), life.stream());
    assert_eq!(code(four), 107_000);
    assert_eq!(kinds(&life), BTreeSet::from(["TooManyBlocks".to_owned()]));
    life.hal.launch_kernel(&kernels, 0, 3, &meeting.to_ne_bytes(), life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    let mut notes = vec![0; 16 + 9 * 16];
    life.hal.copy_from_device(&mut notes, meeting).unwrap();
    let cores: BTreeSet<u8> = (0..9).map(|i| notes[16 + 16 * i + 12]).collect();
    assert_eq!(cores, BTreeSet::from([0, 5, 7, 25, 26, 35, 36, 39, 40]));
}

#[test]
fn register_mapping_may_be_busy() {
    let life = Life::start(Chip::A2a3);
    let busy = life.device.inject(Rule::busy(2));
    let results: Vec<_> = (0..3).map(|_| life.hal.map_registers(AddrKind::AicPmu, id(&life))).collect();
    assert_eq!(
        (results[0].as_ref().err().and_then(hal_sys::HalError::code).map(|code| code.number())),
        Some(13)
    );
    assert!(results[1].is_err() && results[2].is_ok() && busy.fired() == 2);
    // It is always the same mapping.
    assert_eq!(life.hal.map_registers(AddrKind::AicPmu, id(&life)).unwrap(), *results[2].as_ref().unwrap());
    life.end();
}

#[test]
fn what_a_reset_sweeps_away_was_leaked() {
    let mut life = Life::start(Chip::A2a3);
    let (binary, _) = life.aicpu(&[c"gather"]);
    let kernels = life.kernels();
    let buffer = life.words(&[1; 4]);
    life.hal.host_register(buffer, 32, id(&life)).unwrap();
    life.hal.acl_init().unwrap();
    life.hal.reset_device(life.device.id()).unwrap();
    let leaks = life.device.leaks();
    let expected = LeakReport {
        allocations: vec![(buffer, 32)],
        streams: 1,
        programs: 1,
        binaries: 1,
        host_mappings: 1,
        acl_inits: 1,
        ..LeakReport::default()
    };
    assert_eq!(leaks, expected);
    let text = leaks.to_string();
    assert!(text.starts_with("left: 1 allocations, 32 bytes, 1 streams"), "{text}");
    // All handles are stale now, and every thread is detached.
    life.hal.set_device(life.device.id()).unwrap();
    assert_eq!(code(life.hal.stream_destroy(life.stream.take().unwrap())), 107_003);
    assert_eq!(code(life.hal.unregister_kernels(kernels)), 107_017);
    assert_eq!(code(life.hal.unload_cpu_binary(binary)), 107_000);
    assert_eq!(code(life.hal.free(buffer)), 107_000);
    let kinds = kinds(&life);
    assert_eq!(kinds, BTreeSet::from(["StaleHandle".to_owned(), "UseAfterFree".to_owned()]));
}

#[test]
fn other_threads_lose_their_context_with_the_last_reset() {
    let life = Life::start(Chip::A2a3);
    std::thread::scope(|scope| {
        let (to_thread, from_test) = std::sync::mpsc::channel::<()>();
        let (to_test, from_thread) = std::sync::mpsc::channel();
        let (hal, device) = (&life.hal, &life.device);
        scope.spawn(move || {
            hal.set_device(device.id()).unwrap();
            to_test.send(hal.malloc(64)).unwrap();
            from_test.recv_timeout(LIMIT).unwrap();
            to_test.send(hal.malloc(64)).unwrap();
            to_test.send(hal.set_device(device.id()).and_then(|()| hal.malloc(64))).unwrap();
        });
        let buffer = from_thread.recv_timeout(LIMIT).unwrap().unwrap();
        life.hal.free(buffer).unwrap();
        life.hal.reset_device(life.device.id()).unwrap();
        life.hal.malloc(64).map(|buffer| life.hal.free(buffer).unwrap()).unwrap();
        life.hal.reset_device(life.device.id()).unwrap();
        assert_eq!(code(life.hal.malloc(64)), 107_002);
        to_thread.send(()).unwrap();
        assert_eq!(code(from_thread.recv_timeout(LIMIT).unwrap()), 107_002);
        from_thread.recv_timeout(LIMIT).unwrap().unwrap();
    });
}

#[test]
fn a_stream_that_is_destroyed_lets_its_tasks_end() {
    let mut life = Life::start(Chip::A2a3);
    let (binary, functions) = life.aicpu(&[c"write"]);
    let late = life.device.inject(Rule::late(Duration::from_millis(50)));
    let block = life.words(&[0; 4]);
    let args: Vec<u8> = [block, 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
    for _ in 0..3 {
        life.hal.launch_cpu(&functions[0], 1, &args, life.stream()).unwrap();
    }
    life.hal.stream_destroy(life.stream.take().unwrap()).unwrap();
    assert_eq!((late.fired(), life.read::<4>(block)[3]), (3, 5));
    life.hal.free(block).unwrap();
    life.hal.unload_cpu_binary(binary).unwrap();
    life.end();
}

#[test]
fn a_stream_that_is_destroyed_does_not_wait_for_ever() {
    let mut life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"gather"]);
    life.device.inject(Rule::aicpu_hang("gather"));
    life.hal.launch_cpu(&functions[0], 1, &[0; 8], life.stream()).unwrap();
    life.hal.stream_destroy(life.stream.take().unwrap()).unwrap();
    assert_eq!(kinds(&life), BTreeSet::from(["DestroyedBusy".to_owned()]));
    assert!(life.device.wait_idle(LIMIT));
}

#[test]
fn damage_around_a_buffer_is_seen() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"write"]);
    // The function writes the fourth word of a block that has three.
    let block = life.words(&[0; 3]);
    let args: Vec<u8> = [block, 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
    life.hal.launch_cpu(&functions[0], 1, &args, life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(kinds(&life), BTreeSet::from(["GuardDamaged".to_owned()]));
    life.hal.free(block).unwrap();
    assert!(life.device.violations().iter().all(|violation| violation.kind == ViolationKind::GuardDamaged));
    // Now into memory that is free.
    let block = life.words(&[0; 4]);
    life.hal.free(block).unwrap();
    let args: Vec<u8> = [block, 5].iter().flat_map(|word| word.to_ne_bytes()).collect();
    life.hal.launch_cpu(&functions[0], 1, &args, life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(kinds(&life), BTreeSet::from(["GuardDamaged".to_owned(), "UseAfterFree".to_owned()]));
}

#[test]
fn fresh_memory_is_not_zero() {
    let life = Life::start(Chip::A2a3);
    for size in [8, 1 << 20, 3 << 20] {
        let buffer = life.hal.malloc(size).unwrap();
        assert_eq!(life.read::<1>(buffer), [0xA5A5_A5A5_A5A5_A5A5]);
        assert_eq!(life.read::<1>(buffer + size - 8), [0xA5A5_A5A5_A5A5_A5A5]);
        life.hal.free(buffer).unwrap();
    }
    life.end();
}
