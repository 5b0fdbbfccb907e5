//! What callables share: kernels, images, orchestration objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use common::{
    Bench, add, assert_panics, image, image_callable, native_callable, native_orchestration,
    object_orchestration, quiet_injected_panics,
};
use device_runner::testing::{FakeDevice, Fault};
use device_runner::{
    CallableSource, Content, ContentCache, DevPtr, KernelHandle, KernelSource, KernelTable, LaunchKernel,
    RunnerError, host_api,
};
use task_interface::{CHIP_CALLABLE_HEADER_SIZE, ChipCallable};

fn object(bytes: &[u8]) -> KernelSource {
    KernelSource::Object(bytes.into())
}

/// A callable whose orchestration costs the device nothing.
fn callable(kernels: Vec<(u32, KernelSource)>) -> CallableSource {
    CallableSource::new(native_orchestration(), kernels)
}

#[test]
fn equal_content_is_made_once_from_however_many_threads() {
    let cache = Arc::new(ContentCache::<u32>::default());
    let made = AtomicUsize::new(0);
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                start.wait();
                let make = || {
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, ()>(9)
                };
                let share = cache.acquire(1, Content::Bytes([1, 2].as_slice().into()), make).unwrap();
                assert_eq!(*share, 9);
                // Nobody drops before all have it.
                start.wait();
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert!(cache.is_empty());
}

#[test]
fn a_creation_that_panics_leaves_the_cache_usable() {
    let cache = ContentCache::<u32>::default();
    assert_panics(|| {
        cache.acquire::<()>(1, Content::Identity(1), || std::panic::resume_unwind(Box::new(())))
    });
    assert!(cache.is_empty());
    assert_eq!(*cache.acquire::<()>(1, Content::Identity(1), || Ok(3)).unwrap(), 3);
}

#[test]
fn a_share_may_outlive_its_cache() {
    let cache = ContentCache::<u32>::default();
    let share = cache.acquire::<()>(1, Content::Identity(1), || Ok(3)).unwrap();
    drop(cache);
    assert_eq!(*share, 3);
}

#[test]
fn nothing_is_registered_before_it_is_needed() {
    let bench = Bench::new();
    let source = callable(vec![(0, object(b"kernel"))]);
    assert_eq!(bench.device.count("register_kernel"), 0);
    bench.register(&source);
    assert_eq!(bench.device.count("register_kernel"), 1);
    bench.close();
}

#[test]
fn a_kernel_is_registered_once_per_content() {
    let bench = Bench::new();
    let ids: Vec<_> = (0..5)
        .map(|func_id| bench.register(&callable(vec![(func_id, object(b"same")), (9, object(b"same"))])))
        .collect();
    assert_eq!(bench.device.count("register_kernel"), 1);
    bench.register(&callable(vec![(0, object(b"other"))]));
    assert_eq!(bench.device.count("register_kernel"), 2);
    assert_eq!(bench.runner.report().kernels, 2);

    let (last, others) = ids.split_last().unwrap();
    others.iter().for_each(|&id| bench.runner.unregister(id));
    assert_eq!(bench.device.count("unregister_kernel"), 0, "one user is left");
    bench.runner.unregister(*last);
    assert_eq!(bench.device.count("unregister_kernel"), 1);
    assert_eq!(bench.runner.report().device.kernels, 1);
    bench.register(&callable(vec![(0, object(b"same"))]));
    assert_eq!(bench.device.count("register_kernel"), 3, "registered anew after its last user left");
    bench.close();
}

#[test]
fn a_kernel_is_registered_once_from_however_many_threads() {
    let bench = Bench::new();
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                start.wait();
                bench.register(&callable(vec![(0, object(b"same")), (1, object(b"same too"))]));
                common::assert_unbound();
            });
        }
    });
    assert_eq!(bench.device.count("register_kernel"), 2);
    assert_eq!(bench.runner.report().callables, 16);
    bench.close();
    assert_eq!(bench.device.count("unregister_kernel"), 2);
}

#[test]
fn a_failed_registration_leaves_nothing_and_is_tried_again() {
    quiet_injected_panics();
    for fault in [Fault::Always("register_kernel"), Fault::AlwaysPanic("register_kernel")] {
        let bench = Bench::new();
        let source = callable(vec![(0, object(b"kernel"))]);
        bench.device.set_fault(Some(fault));
        for attempt in 1..=3 {
            assert!(matches!(bench.runner.register(None, &source), Err(RunnerError::Device(_))));
            assert_eq!(bench.device.count("register_kernel"), attempt);
            assert!(bench.runner.report().is_zero());
        }
        bench.heal();
        bench.register(&source);
        bench.close();
    }
}

#[test]
fn of_several_kernels_none_stays_when_one_fails() {
    let bench = Bench::new();
    // bind, bind, register: the second kernel is two calls behind the first.
    let source = callable(vec![(0, object(b"a")), (1, object(b"b")), (2, object(b"c"))]);
    bench.fail_in(4);
    bench.runner.register(None, &source).unwrap_err();
    assert_eq!(bench.device.journal().last(), Some(&"unregister_kernel"));
    assert_eq!(bench.device.count("register_kernel"), 2);
    assert!(bench.runner.report().is_zero());
    bench.close();
}

#[test]
fn finalize_drops_all_registrations() {
    let bench = Bench::new();
    bench.register(&callable(vec![(0, object(b"a")), (1, add(1))]));
    bench.register(&image_callable(b"orch", &[(0, b"a"), (1, b"b")]));
    assert_eq!(bench.runner.report().device.kernels, 3);
    bench.close();
    assert_eq!(bench.device.count("unregister_kernel"), 3);
}

#[test]
fn rust_kernels_are_told_apart_by_identity() {
    let bench = Bench::new();
    let (first, second) = (add(1), add(1));
    bench.register(&native_callable(vec![first.clone(), first.clone(), second.clone()]));
    assert_eq!(bench.device.count("register_kernel"), 2);
    let id = bench.register(&native_callable(vec![second, first]));
    assert_eq!(bench.device.count("register_kernel"), 2);
    assert_eq!(bench.run(id, &[10]).unwrap(), [12]);
    bench.close();
}

#[test]
fn a_rust_kernel_outlives_the_source_it_came_from() {
    let bench = Bench::new();
    let id = bench.register(&native_callable(vec![add(1)]));
    // Made while the first is registered, these must not be taken for it.
    for summand in 2..40 {
        let other = bench.register(&native_callable(vec![add(summand)]));
        assert_eq!(bench.run(other, &[0]).unwrap(), [summand]);
        bench.runner.unregister(other);
    }
    assert_eq!(bench.run(id, &[0]).unwrap(), [1]);
    bench.close();
}

#[test]
fn equal_images_are_uploaded_once() {
    let bench = Bench::new();
    let source = image_callable(b"orch", &[(0, b"a"), (5, b"b")]);
    let first = bench.register(&source);
    let uploads = |bench: &Bench| (bench.device.count("alloc"), bench.device.count("copy_to_device"));
    assert_eq!(uploads(&bench), (1, 1));
    let second = bench.register(&image_callable(b"orch", &[(0, b"a"), (5, b"b")]));
    assert_eq!(uploads(&bench), (1, 1));
    assert_eq!((bench.runner.report().images, bench.runner.report().allocations), (1, 1));
    // One byte of a kernel, an id, and the orchestration each make another image.
    bench.register(&image_callable(b"orch", &[(0, b"a"), (5, b"c")]));
    bench.register(&image_callable(b"orch", &[(0, b"a"), (6, b"b")]));
    bench.register(&image_callable(b"orc2", &[(0, b"a"), (5, b"b")]));
    assert_eq!(uploads(&bench), (4, 4));
    bench.runner.unregister(first);
    assert_eq!(bench.device.count("free"), 0, "the second still uses it");
    bench.runner.unregister(second);
    assert_eq!(bench.device.count("free"), 1);
    bench.close();
}

#[test]
fn an_image_without_kernels_is_not_uploaded() {
    let bench = Bench::new();
    let id = bench.register(&image_callable(b"orch", &[]));
    assert_eq!((bench.runner.report().images, bench.device.count("alloc")), (0, 0));
    assert_eq!(bench.run(id, &[4]).unwrap(), [4]);
    bench.close();
}

#[test]
fn an_image_that_cannot_be_copied_is_not_kept() {
    let bench = Bench::new();
    let source = image_callable(b"orch", &[(0, b"a")]);
    for call in ["alloc", "copy_to_device"] {
        bench.fail_always(call);
        assert!(matches!(bench.runner.register(None, &source), Err(RunnerError::Device(_))), "{call}");
        assert!(bench.runner.report().is_zero(), "{call}: {}", bench.runner.report());
    }
    bench.heal();
    bench.register(&source);
    bench.close();
}

/// The only image in the memory of a bench, decoded.
fn uploaded(bench: &Bench, address: DevPtr, image: &ChipCallable) -> ChipCallable {
    let mut bytes = vec![0; image.as_bytes().len()];
    bench.runner.memory().copy_from_device(&mut bytes, address).unwrap();
    ChipCallable::from_bytes(bytes).unwrap()
}

/// Uploads through the host API, which is what tells the address.
fn upload(bench: &Bench, image: &ChipCallable) -> Option<DevPtr> {
    let _guard = bench.runner.bind().unwrap();
    host_api::upload_chip_callable_buffer(image).unwrap()
}

#[test]
fn the_uploaded_image_has_the_handles_of_its_kernels() {
    let bench = Bench::new();
    let image = image(b"orch", &[(3, b"a"), (7, b"b"), (1, b"a")]);
    let address = upload(&bench, &image).unwrap();
    let copy = uploaded(&bench, address, &image);
    let addresses: Vec<u64> = copy.children().map(|child| child.callable.resolved_addr()).collect();
    assert_eq!(addresses[0], addresses[2], "equal kernels are one");
    assert_ne!(addresses[0], addresses[1]);
    assert!(addresses.iter().all(|&address| address != 0));
    assert_eq!(bench.runner.report().device.kernels, 2);

    // Everything else is as it was.
    let mut restored = copy;
    for child in 0..3 {
        restored.set_resolved_addr(child, 0).unwrap();
    }
    assert_eq!(restored, image);

    // A callable with the same image shares it, and its table has the same handles.
    bench.register(&CallableSource::from_image(&image).unwrap());
    assert_eq!(bench.device.count("alloc"), 1);
    bench.close();
}

#[test]
fn where_images_run_the_uploaded_one_has_the_entries_of_its_kernels() {
    let (plain, images) = (Bench::new(), Bench::on(FakeDevice::running_images()));
    let image = image(b"orch", &[(3, b"a"), (7, b"b")]);
    let addresses = [&plain, &images].map(|bench| {
        let copy = uploaded(bench, upload(bench, &image).unwrap(), &image);
        copy.children().map(|child| child.callable.resolved_addr()).collect::<Vec<_>>()
    });
    let entries: Vec<u64> = addresses[0].iter().map(|&handle| handle + 128).collect();
    assert_eq!(addresses[1], entries, "both devices give out the same handles");
    plain.close();
    images.close();
}

#[test]
fn of_kernels_with_one_id_the_last_counts() {
    let mut bytes = image(b"orch", &[(3, b"a"), (4, b"b")]).into_bytes();
    // The second id becomes 3, too: see spec/public-layouts.json, ChipCallable.child_func_ids.
    const CHILD_FUNC_IDS: usize = 588;
    bytes[CHILD_FUNC_IDS + 4] = 3;
    let image = ChipCallable::from_bytes(bytes).unwrap();
    assert!(image.as_bytes().len() > CHIP_CALLABLE_HEADER_SIZE);
    let bench = Bench::new();
    let address = upload(&bench, &image).unwrap();
    let copy = uploaded(&bench, address, &image);
    let addresses: Vec<u64> = copy.children().map(|child| child.callable.resolved_addr()).collect();
    let last = bench.register(&callable(vec![(0, object(b"b"))]));
    assert_eq!(bench.device.count("register_kernel"), 2, "the last one is b, which is registered");
    assert_eq!(addresses[0], addresses[1]);
    bench.runner.unregister(last);
    bench.close();
}

#[test]
fn callables_that_replace_a_kernel_of_their_image_do_not_share_it() {
    let bench = Bench::new();
    let plain = image_callable(b"orch", &[(0, b"a"), (1, b"b")]);
    let mut changed = image_callable(b"orch", &[(0, b"a"), (1, b"b")]);
    changed.kernels[0].1 = add(5);
    bench.register(&plain);
    let id = bench.register(&changed);
    assert_eq!(bench.runner.report().images, 2);
    assert_eq!(bench.run(id, &[1]).unwrap(), [6]);
    // Nor does the order or the number of kernels matter.
    let mut fewer = image_callable(b"orch", &[(0, b"a"), (1, b"b")]);
    fewer.kernels.remove(0);
    bench.register(&fewer);
    let mut more = image_callable(b"orch", &[(0, b"a"), (1, b"b")]);
    more.kernels.insert(0, (9, add(1)));
    bench.register(&more);
    assert_eq!(bench.runner.report().images, 3, "the last has the addresses of the first");
    bench.close();
}

#[test]
fn host_uploads_live_until_the_end_and_are_made_once() {
    let bench = Bench::new();
    let image = image(b"orch", &[(0, b"a")]);
    let address = upload(&bench, &image);
    assert!(address.is_some());
    for _ in 0..10 {
        assert_eq!(upload(&bench, &image), address);
    }
    let id = bench.register(&CallableSource::from_image(&image).unwrap());
    bench.runner.unregister(id);
    assert_eq!((bench.device.count("alloc"), bench.device.count("free")), (1, 0));
    assert_eq!(upload(&bench, &common::image(b"orch", &[])), None);
    assert!(bench.runner.memory().free(address.unwrap()).is_err(), "it is not the client's");
    bench.close();
}

#[test]
fn orchestration_objects_are_kept_once_per_content() {
    let bench = Bench::new();
    let source = |bytes: &[u8]| CallableSource::new(object_orchestration(bytes), Vec::new());
    let first = bench.register(&source(b"orch"));
    let second = bench.register(&source(b"orch"));
    assert_eq!(bench.runner.report().orchestrations, 1);
    bench.register(&source(b"other"));
    assert_eq!(bench.runner.report().orchestrations, 2);
    bench.runner.unregister(first);
    assert_eq!(bench.runner.report().orchestrations, 2);
    bench.runner.unregister(second);
    assert_eq!(bench.runner.report().orchestrations, 1);
    bench.close();
}

#[test]
fn equal_fingerprints_do_not_make_different_objects_the_same() {
    let bench = Bench::with(|variant| variant.fingerprint = |_| 42);
    for bytes in [b"one", b"two", b"one"] {
        bench.register(&CallableSource::new(object_orchestration(bytes), Vec::new()));
    }
    assert_eq!(bench.runner.report().orchestrations, 2);
    bench.close();
}

#[test]
fn an_orchestration_that_cannot_be_opened_leaves_nothing() {
    let bench = Bench::new();
    let mut source = image_callable(b"orch", &[(0, b"a")]);
    let good = image_callable(b"orch", &[(0, b"a")]);
    let device_runner::OrchestrationSource::Object { entry, .. } = &mut source.orchestration else {
        panic!("an image has an object");
    };
    entry.clear();
    let error = bench.runner.register(None, &source).unwrap_err();
    assert!(matches!(error, RunnerError::Variant(device_runner::VariantError::Load(_))), "{error}");
    assert!(bench.runner.report().is_zero(), "{}", bench.runner.report());
    bench.register(&good);
    bench.close();
}

#[test]
fn an_orchestration_that_panics_while_it_is_opened_leaves_nothing() {
    quiet_injected_panics();
    let bench = Bench::new();
    bench.probe.on_open.set(|| std::panic::resume_unwind(Box::new("opened")));
    let source = image_callable(b"orch", &[(0, b"a")]);
    assert_panics(|| bench.runner.register(None, &source));
    assert!(bench.runner.report().is_zero(), "{}", bench.runner.report());
    common::assert_unbound();
    bench.probe.on_open.clear();
    bench.register(&source);
    bench.close();
}

#[test]
fn an_image_without_an_orchestration_is_refused() {
    let error = CallableSource::from_image(&image(b"", &[(0, b"a")])).unwrap_err();
    assert!(matches!(error, RunnerError::NoOrchestration));
}

#[test]
fn a_kernel_table_finds_the_last_of_equal_ids_and_no_foreign_ones() {
    let kernel = |func_id, handle| LaunchKernel {
        handle: KernelHandle(handle),
        func_id,
        name: "k".into(),
        signature: Arc::from([]),
    };
    let table = KernelTable::new(vec![
        kernel(7, 1),
        kernel(0, 2),
        kernel(7, 3),
        kernel(1024, 4),
        kernel(u32::MAX, 5),
    ]);
    assert_eq!(table.kernels().len(), 5);
    assert_eq!([7, 0].map(|id| table.index_of(id)), [Some(2), Some(1)]);
    assert_eq!([-1, 1, 8, 1023, 1024, i32::MAX, i32::MIN].map(|id| table.index_of(id)), [None; 7]);
    assert_eq!(KernelTable::default().index_of(0), None);
}
