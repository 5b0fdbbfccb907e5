//! The three arenas: all or nothing, whatever the device does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use common::{Bench, quiet_injected_panics};
use device_runner::testing::Fault;
use device_runner::{ArenaSizes, DevPtr, DeviceError};
use proptest::prelude::*;

const ALIGN: u64 = 1024;

fn sizes(gm_heap: usize, gm_sm: usize, runtime_arena: usize) -> ArenaSizes {
    ArenaSizes { gm_heap, gm_sm, runtime_arena }
}

fn bases(bench: &Bench) -> [Option<DevPtr>; 3] {
    let arenas = bench.runner.arenas();
    [arenas.gm_heap(), arenas.gm_sm(), arenas.runtime_arena()]
}

fn setup(bench: &Bench, sizes: ArenaSizes) -> Result<(), DeviceError> {
    bench.runner.arenas().setup(sizes)
}

/// Nothing committed, and nothing known to the runner.
fn assert_released(bench: &Bench) {
    assert_eq!(bench.runner.arenas().committed(), ArenaSizes::default());
    assert_eq!(bases(bench), [None; 3]);
    assert_eq!(bench.runner.memory().in_use(), (0, 0));
}

#[test]
fn nothing_is_committed_at_first() {
    let bench = Bench::new();
    assert_released(&bench);
    setup(&bench, ArenaSizes::default()).unwrap();
    assert_released(&bench);
    bench.close();
}

#[test]
fn bases_are_aligned_and_the_whole_region_is_usable() {
    let bench = Bench::new();
    setup(&bench, sizes(5000, 1, 1024)).unwrap();
    assert_eq!(bench.runner.arenas().committed(), sizes(5000, 1, 1024));
    for (base, size) in bases(&bench).into_iter().zip([5000, 1, 1024]) {
        let base = base.unwrap();
        assert_eq!(base.addr() % ALIGN, 0, "{base}");
        let bytes = vec![7; size];
        bench.runner.memory().copy_to_device(base, &bytes).unwrap();
        let mut read = vec![0; size];
        bench.runner.memory().copy_from_device(&mut read, base).unwrap();
        assert_eq!(read, bytes);
    }
    bench.close();
}

#[test]
fn equal_or_smaller_sizes_keep_bases_and_contents() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 4096, 128)).unwrap();
    let before = bases(&bench);
    bench.runner.memory().copy_to_device(before[1].unwrap(), b"kept").unwrap();
    let allocations = bench.device.count("alloc");
    for again in [sizes(64, 4096, 128), sizes(1, 4095, 128), sizes(64, 1, 1)] {
        setup(&bench, again).unwrap();
        assert_eq!(bases(&bench), before);
        assert_eq!(bench.runner.arenas().committed(), sizes(64, 4096, 128), "the larger size stays");
    }
    assert_eq!(bench.device.count("alloc"), allocations);
    assert_eq!(bench.device.count("free"), 0);
    let mut read = [0; 4];
    bench.runner.memory().copy_from_device(&mut read, before[1].unwrap()).unwrap();
    assert_eq!(&read, b"kept");
    bench.close();
}

#[test]
fn one_region_grows_without_touching_the_others() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    let before = bases(&bench);
    setup(&bench, sizes(64, 65, 64)).unwrap();
    let after = bases(&bench);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_eq!(bench.runner.arenas().committed(), sizes(64, 65, 64));
    assert_eq!((bench.device.count("alloc"), bench.device.count("free")), (4, 1));
    bench.close();
}

#[test]
fn size_zero_releases_a_region() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    setup(&bench, sizes(64, 0, 64)).unwrap();
    assert_eq!(bench.runner.arenas().committed(), sizes(64, 0, 64));
    assert_eq!(bench.runner.arenas().gm_sm(), None);
    assert_eq!(bench.runner.memory().in_use().0, 2);
    setup(&bench, ArenaSizes::default()).unwrap();
    assert_released(&bench);
    bench.close();
}

#[test]
fn a_size_that_no_memory_has_is_refused_without_a_wrap() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    for size in [usize::MAX, usize::MAX - 1022] {
        let error = setup(&bench, sizes(64, 64, size)).unwrap_err();
        assert!(matches!(error, DeviceError::OutOfMemory { requested, .. } if requested == size as u64));
        assert_released(&bench);
        setup(&bench, sizes(64, 64, 64)).unwrap();
    }
    bench.close();
}

#[test]
fn leased_regions_stay_where_they_are() {
    let bench = Bench::new();
    let arenas = bench.runner.arenas();
    let lease = arenas.lease(sizes(64, 0, 64)).unwrap();
    let before = bases(&bench);
    for moving in [sizes(65, 0, 64), sizes(64, 0, 65), ArenaSizes::default()] {
        assert!(matches!(setup(&bench, moving), Err(DeviceError::Busy)));
        assert!(matches!(arenas.lease(moving), Err(DeviceError::Busy)));
        assert_eq!((bases(&bench), arenas.committed()), (before, sizes(64, 0, 64)));
    }
    // What moves nothing goes on: the same or less, and a region that nobody had.
    let second = arenas.lease(sizes(1, 8, 64)).unwrap();
    assert_eq!(bases(&bench)[0], before[0]);
    drop(lease);
    assert!(matches!(setup(&bench, sizes(65, 8, 64)), Err(DeviceError::Busy)));
    drop(second);
    setup(&bench, sizes(65, 8, 64)).unwrap();
    assert_eq!(arenas.committed(), sizes(65, 8, 64));
    bench.close();
}

#[test]
fn a_lease_that_fails_holds_nothing() {
    let bench = Bench::new();
    assert!(bench.runner.arenas().lease(sizes(usize::MAX, 1, 1)).is_err());
    setup(&bench, sizes(64, 64, 64)).unwrap();
    setup(&bench, ArenaSizes::default()).unwrap();
    assert_released(&bench);
    bench.close();
}

/// Runs `second` after `first` with a fault at every device call `second` makes.
fn fail_every_call(first: ArenaSizes, second: ArenaSizes) {
    quiet_injected_panics();
    let calls = {
        let bench = Bench::new();
        setup(&bench, first).unwrap();
        let before = bench.device.journal().len();
        setup(&bench, second).unwrap();
        bench.device.journal().len() - before
    };
    assert!(calls > 0);
    for call in 0..calls {
        for fault in [Fault::Once, Fault::PanicOnce] {
            let bench = Bench::new();
            setup(&bench, first).unwrap();
            let at = bench.device.journal().len() + call;
            bench.device.set_fault(Some(fault(at)));
            let error = setup(&bench, second).unwrap_err().to_string();
            assert!(error.contains("injected"), "{error}");
            assert_released(&bench);
            // Only memory whose release was refused is still on the device, until the end.
            let refused = usize::from(bench.device.journal()[at] == "free");
            assert_eq!(bench.runner.report().device.allocations, refused);
            setup(&bench, second).unwrap();
            bench.close();
        }
    }
}

#[test]
fn a_failure_at_any_call_of_a_first_setup_releases_all() {
    fail_every_call(ArenaSizes::default(), sizes(100, 200, 300));
}

#[test]
fn a_failure_at_any_call_while_one_region_grows_releases_all() {
    fail_every_call(sizes(100, 200, 300), sizes(101, 200, 300));
    fail_every_call(sizes(100, 200, 300), sizes(100, 201, 300));
    fail_every_call(sizes(100, 200, 300), sizes(100, 200, 301));
}

#[test]
fn a_failure_at_any_call_while_a_region_is_given_up_releases_all() {
    fail_every_call(sizes(100, 200, 300), sizes(0, 200, 300));
    fail_every_call(sizes(100, 200, 300), sizes(100, 0, 301));
}

#[test]
fn releases_that_all_fail_or_panic_still_leave_nothing_committed() {
    quiet_injected_panics();
    for fault in [Fault::Always("free"), Fault::AlwaysPanic("free")] {
        let bench = Bench::new();
        setup(&bench, sizes(64, 64, 64)).unwrap();
        bench.device.set_fault(Some(fault));
        let error = setup(&bench, sizes(64, 65, 64)).unwrap_err().to_string();
        assert!(error.contains("free"), "{error}");
        assert_released(&bench);
        let report = bench.runner.report();
        assert_eq!((report.device.allocations, report.deferred_errors), (3, 2));
        bench.heal();
        let error = bench.runner.finalize().unwrap_err().to_string();
        assert!(error.starts_with("an earlier clean-up failed"), "{error}");
        bench.close();
    }
}

#[test]
fn an_allocation_that_always_panics_leaves_the_arenas_usable_afterwards() {
    quiet_injected_panics();
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 0)).unwrap();
    bench.device.set_fault(Some(Fault::AlwaysPanic("alloc")));
    for _ in 0..2 {
        let error = setup(&bench, sizes(64, 64, 64)).unwrap_err();
        assert!(matches!(error, DeviceError::Internal(_)), "{error}");
        assert_released(&bench);
    }
    bench.heal();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    bench.close();
}

#[test]
fn the_worker_s_own_memory_cannot_be_freed_by_address() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    // The buffer starts at most 1023 bytes before the base.
    let base = bases(&bench)[0].unwrap().addr();
    let refused = (base - 1023..=base)
        .map(|address| bench.runner.memory().free(DevPtr::new(address)).unwrap_err().to_string())
        .filter(|text| text.contains("the worker uses it for itself"))
        .count();
    assert_eq!(refused, 1);
    assert_eq!(bench.runner.memory().in_use().0, 3);
    bench.close();
}

#[test]
fn a_closed_runner_commits_nothing() {
    let bench = Bench::new();
    setup(&bench, sizes(64, 64, 64)).unwrap();
    bench.close();
    assert_released(&bench);
    assert!(matches!(setup(&bench, sizes(1, 0, 0)), Err(DeviceError::Closed)));
    bench.assert_nothing_left();
}

#[derive(Clone, Debug)]
struct Step {
    sizes: [usize; 3],
    fault: Option<(usize, bool)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![2 => Just(0), 5 => 1_usize..4, 3 => 1_usize..5000];
    let fault = prop_oneof![
        2 => Just(None),
        1 => (0_usize..14, any::<bool>()).prop_map(Some),
    ];
    let step = ([size.clone(), size.clone(), size], fault).prop_map(|(sizes, fault)| Step { sizes, fault });
    prop::collection::vec(step, 1..16)
}

/// What a region's size becomes.
fn fitted(old: usize, wanted: usize) -> usize {
    if wanted == 0 || wanted > old { wanted } else { old }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_sequence_of_setups_matches_the_model(steps in steps()) {
        quiet_injected_panics();
        let bench = Bench::new();
        let mut model = [0; 3];
        let mut refused_frees = 0;
        for Step { sizes: [heap, sm, arena], fault } in steps {
            let before = bench.device.journal().len();
            bench.device.set_fault(fault.map(|(call, panics)| {
                if panics { Fault::PanicOnce(before + call) } else { Fault::Once(before + call) }
            }));
            let result = setup(&bench, sizes(heap, sm, arena));
            let journal = bench.device.journal();
            let hit = fault.and_then(|(call, _)| journal.get(before + call).copied());
            prop_assert_eq!(result.is_err(), hit.is_some());
            model = match hit {
                Some(_) => [0; 3],
                None => [fitted(model[0], heap), fitted(model[1], sm), fitted(model[2], arena)],
            };
            refused_frees += usize::from(hit == Some("free"));
            let live = model.iter().filter(|&&size| size > 0).count();
            prop_assert_eq!(bench.runner.arenas().committed(), sizes(model[0], model[1], model[2]));
            prop_assert_eq!(bases(&bench).map(|base| base.is_some()), model.map(|size| size > 0));
            prop_assert_eq!(bench.runner.memory().in_use().0, live);
            prop_assert_eq!(bench.runner.report().device.allocations, live + refused_frees);
        }
        bench.heal();
        let _ = bench.runner.finalize();
        prop_assert!(bench.runner.report().is_zero());
    }
}
