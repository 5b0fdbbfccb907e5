//! `tensormap_and_ringbuffer`: orchestrations in Rust and C++, waits, errors.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use chip_worker::{
    Args, CallConfig, CallableHandle, CallableSource, ChipWorker, DataType, DevPtr, DeviceError, Graph,
    GraphStopped, MixedKernels, NativeKernel, NativeOrchestration, Platform, RingOptions, RunnerError,
    RuntimeKind, ScopeMode, TaskSpec, TaskToken, TensorKernel as _, TrbErrorCode, VariantError, View,
    WorkerError,
};

fn worker(platform: Platform, rings: RingOptions) -> ChipWorker {
    ChipWorker::builder()
        .platform(platform)
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .rings(rings)
        .build()
        .unwrap()
}

/// Kernel 0 adds its scalar to int64 elements: out = in + scalar. Kernel 1 does nothing.
fn register<F>(worker: &ChipWorker, build: F) -> CallableHandle
where
    F: Fn(&mut Graph<'_, '_>) -> Result<(), GraphStopped> + Send + Sync + 'static,
{
    let add = NativeKernel::new("add", |kernel| {
        let values: Vec<i64> = kernel.elements(0)?;
        let sums: Vec<i64> = values.iter().map(|value| value + kernel.args()[2].cast_signed()).collect();
        kernel.set_elements(1, &sums)
    });
    let noop = NativeKernel::new("noop", |_| Ok(()));
    let kernels = vec![(0, add.into()), (1, noop.into()), (2, never_due().into())];
    worker.register_source(&CallableSource::new(NativeOrchestration::new(build).into(), kernels)).unwrap()
}

/// Kernel 2 registers a condition that never comes about: a counter of its own that nobody increments.
fn never_due() -> NativeKernel {
    NativeKernel::new("never due", |kernel| {
        let context = kernel.local_context()?.async_ctx;
        let counter = kernel.tensor(0)?.buffer_addr;
        let entries = DevPtr::new(context.completion_entries);
        kernel.write(entries, &[counter, u64::from(u32::MAX), 0])?;
        kernel.write(DevPtr::new(context.completion_count), &[1u32])
    })
}

/// An immutable static is in memory that cannot be written to.
static IN_READ_ONLY_MEMORY: [i64; 3] = [1, 2, 3];

#[test]
fn inputs_are_not_written_to_whatever_the_graph_does() {
    let worker = worker(Platform::A2a3Sim, RingOptions::default());
    let handle = register(&worker, |graph| {
        let (input, output) = (graph.tensor(0)?, graph.tensor(1)?);
        graph.submit(TaskSpec::aiv(0).input(&input).output_existing(&input).scalar(5))?;
        graph.submit(TaskSpec::aiv(0).input(&input).output_existing(&output).scalar(10)).map(drop)
    });
    let mut output = [0i64; 3];
    let args = Args::new().input(&IN_READ_ONLY_MEMORY, &[3]).unwrap().output(&mut output, &[3]).unwrap();
    worker.run(&handle, &args, &CallConfig::default()).unwrap();
    drop(args);
    assert_eq!((output, IN_READ_ONLY_MEMORY), ([16, 17, 18], [1, 2, 3]));
}

#[test]
fn dependencies_follow_from_tensors() {
    for platform in Platform::SIMULATED {
        let worker = worker(platform, RingOptions::default());
        let handle = register(&worker, |graph| {
            let (input, output) = (graph.tensor(0)?, graph.tensor(1)?);
            let mut value = graph
                .submit(TaskSpec::aiv(0).input(&input).output(&[1], DataType::Int64)?.scalar(1))?
                .outputs[0];
            for step in 2..=100 {
                let task = TaskSpec::aiv(0).input(&value).output(&[1], DataType::Int64)?.scalar(step);
                value = graph.submit(task)?.outputs[0];
            }
            graph.submit(TaskSpec::aiv(0).input(&value).output_existing(&output).scalar(0)).map(drop)
        });
        for start in 0..3 {
            let (input, mut output) = ([start], [0i64]);
            let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
            let outcome = worker.run(&handle, &args, &CallConfig::default()).unwrap();
            drop(args);
            assert_eq!((output[0], outcome.tasks), (start + 5050, 101));
        }
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
    }
}

#[test]
fn views_are_what_kernels_see() {
    let worker = worker(Platform::A2a3Sim, RingOptions::default());
    let handle = register(&worker, |graph| {
        let (matrix, out) = (graph.tensor(0)?, graph.tensor(1)?);
        let mut add = |from: &View<'_>, to: &View<'_>, value| {
            graph.submit(TaskSpec::aiv(0).input(from).output_existing(to).scalar(value)).map(drop)
        };
        // Odd columns of the two middle rows, turned over; and the last row, as two rows.
        let columns = matrix.part(&[1, 0], &[2, 6])?.slice(1, 1, 6, 2)?;
        add(&columns.transposed(0, 1)?, &out.part(&[0, 0], &[3, 2])?, 100)?;
        add(&matrix.part(&[3, 0], &[1, 6])?.reshaped(&[3, 2])?, &out.part(&[3, 0], &[3, 2])?, 200)?;
        // Written element by element: columns of the matrix, once the tasks above have read it.
        add(&out.part(&[0, 0], &[3, 2])?.permuted(&[1, 0])?, &columns, 0)?;
        let filled = graph.submit(TaskSpec::aiv(1).output_filled(&[2], DataType::Int64, 7)?)?.outputs[0];
        graph.submit(
            TaskSpec::aiv(0).input(&filled).output_existing(&out.part(&[6, 0], &[1, 2])?).scalar(0),
        )?;
        assert!(matrix.part(&[0, 4], &[1, 3]).is_err() && columns.reshaped(&[6]).is_err());
        Ok(())
    });
    let mut matrix: Vec<i64> = (0..24).collect();
    let mut out = [0i64; 14];
    let args = Args::new().output(&mut matrix, &[4, 6]).unwrap().output(&mut out, &[7, 2]).unwrap();
    worker.run(&handle, &args, &CallConfig::default()).unwrap();
    drop(args);
    assert_eq!(out, [107, 113, 109, 115, 111, 117, 218, 219, 220, 221, 222, 223, 7, 7]);
    assert_eq!(matrix[6..18], [6, 107, 8, 109, 10, 111, 12, 113, 14, 115, 16, 117]);
}

#[test]
fn graphs_larger_than_the_window_stream_through_it() {
    let rings = RingOptions::default().task_window(16).heap(16 * 1024);
    let worker = worker(Platform::A2a3Sim, rings);
    let handle = register(&worker, |graph| {
        let total = graph.tensor(0)?;
        for round in 0..2000 {
            graph.scope(ScopeMode::Auto, |graph| {
                let task = TaskSpec::aiv(0).input(&total).output(&[1], DataType::Int64)?.scalar(round);
                let sum = graph.submit(task)?.outputs[0];
                graph.submit(TaskSpec::aiv(0).input(&sum).output_existing(&total).scalar(0)).map(drop)
            })?;
        }
        Ok(())
    });
    let mut total = [7i64];
    let args = Args::new().output(&mut total, &[1]).unwrap();
    worker.run(&handle, &args, &CallConfig::default()).unwrap();
    drop(args);
    assert_eq!(total[0], 7 + 1999 * 2000 / 2);
}

/// Runs a graph that must end with `code`, and then one that must end well on the same worker.
fn fails_with<F>(code: i32, block_dim: i32, rings: RingOptions, build: F) -> String
where
    F: Fn(&mut Graph<'_, '_>) -> Result<(), GraphStopped> + Send + Sync + 'static,
{
    let worker = worker(Platform::A5Sim, rings);
    let handle = register(&worker, build);
    let mut tensor = [5i64];
    let args = Args::new().output(&mut tensor, &[1]).unwrap();
    let error = worker.run(&handle, &args, &common::config(block_dim, 1)).unwrap_err();
    drop(args);
    assert_eq!(tensor, [5], "a failed run changes nothing");
    let WorkerError::Runner(RunnerError::Variant(VariantError::Status { code: status, text })) = error else {
        panic!("{error}")
    };
    assert_eq!(status, -code, "{text}");
    if let Some(known) = TrbErrorCode::from_code(code) {
        assert!(text.starts_with(known.name()) && text.ends_with(known.next_action()), "{text}");
    }
    let good = register(&worker, |graph| graph.submit(TaskSpec::aiv(1)).map(drop));
    assert_eq!(worker.run(&good, &Args::new(), &common::config(1, 1)).unwrap().tasks, 1);
    drop((good, handle));
    assert!(worker.close().unwrap().is_zero());
    text
}

fn one() -> TaskSpec {
    TaskSpec::aiv(1)
}

#[test]
fn every_code_of_the_contract_is_told_and_leaves_the_worker_usable() {
    let small = RingOptions::default().task_window(8);
    let default = RingOptions::default();
    // 1: one scope with as many tasks as the window.
    let text = fails_with(1, 1, small, |graph| (0..8).try_for_each(|_| graph.submit(one()).map(drop)));
    assert!(text.contains("depth 0 holds 7 tasks"), "{text}");
    // 2: outputs of an open scope fill the heap; and one that never fits.
    let heap = RingOptions::default().heap(4096);
    let text = fails_with(2, 1, heap, |graph| {
        (0..5).try_for_each(|_| graph.submit(one().output(&[128], DataType::Int64)?).map(drop))
    });
    assert!(text.contains("ring 0") && text.contains("4096"), "{text}");
    fails_with(2, 1, heap, |graph| graph.submit(one().output(&[1024], DataType::Int64)?).map(drop));
    // 3: scopes beyond the third share a ring, and all of them are open.
    let text = fails_with(3, 1, small, |graph| {
        fn deeper(graph: &mut Graph<'_, '_>, depth: u32) -> Result<(), GraphStopped> {
            graph.submit(one())?;
            if depth == 0 { Ok(()) } else { graph.scope(ScopeMode::Auto, |graph| deeper(graph, depth - 1)) }
        }
        deeper(graph, 20)
    });
    assert!(text.contains("ring 3"), "{text}");
    // 4: more producers than the pool has entries for.
    fails_with(4, 1, RingOptions::default().dep_pool(4), |graph| {
        let ids: Vec<_> =
            (0..70).map(|_| graph.submit(one()).map(|task| task.id)).collect::<Result<_, _>>()?;
        graph.submit(ids.into_iter().fold(one(), TaskSpec::after)).map(drop)
    });
    // 5: kernels, blocks, scopes and dependencies that are not possible.
    let text = fails_with(5, 1, default, |graph| graph.submit(TaskSpec::aiv(9)).map(drop));
    assert!(text.contains("kernel id 9") && text.contains("0, 1"), "{text}");
    fails_with(5, 1, default, |graph| graph.submit(TaskSpec::mix(MixedKernels::NONE)).map(drop));
    fails_with(5, 1, default, |graph| graph.submit(one().blocks(0)).map(drop));
    fails_with(5, 1, default, |graph| graph.submit(one().after(TaskToken::INVALID)).map(drop));
    fails_with(5, 1, default, |graph| graph.alloc(&[]).map(drop));
    fails_with(5, 1, default, |graph| {
        graph.scope(ScopeMode::Manual, |graph| {
            graph.scope(ScopeMode::Auto, |graph| graph.submit(one()).map(drop))
        })
    });
    fails_with(5, 1, default, |graph| {
        fn deeper(graph: &mut Graph<'_, '_>, depth: u32) -> Result<(), GraphStopped> {
            match depth {
                0 => graph.submit(one()).map(drop),
                _ => graph.scope(ScopeMode::Auto, |graph| deeper(graph, depth - 1)),
            }
        }
        deeper(graph, 64)
    });
    // 7: more blocks that start together than there are cores.
    let text = fails_with(7, 2, default, |graph| graph.submit(one().blocks(5).starting_together()).map(drop));
    assert!(text.contains("5 blocks") && text.contains("4 can"), "{text}");
    // 9 and codes of one's own; an orchestration that gives up.
    fails_with(9, 1, default, |graph| Err(graph.fail(9, "enough")));
    let text = fails_with(4242, 1, default, |graph| Err(graph.fail(4242, "my own reason")));
    assert_eq!(text, "my own reason");
    fails_with(9, 1, default, |graph| graph.tensor(7).map(drop));
    // 0 says that all is well, so a run that was ended with it ends with 9.
    let text = fails_with(9, 1, default, |graph| Err(graph.fail(0, "no code at all")));
    assert!(text.contains("no code at all"), "{text}");
    fails_with(77, 1, default, |graph| Err(graph.fail(-77, "the sign is not part of a code")));
    // 10: more tasks in open scopes than can be tracked.
    fails_with(10, 1, RingOptions::default().task_window(1 << 17), |graph| {
        (0..65_537).try_for_each(|_| graph.submit(TaskSpec::dummy()).map(drop))
    });
}

#[test]
fn what_the_reference_hangs_or_times_out_on_just_works() {
    let worker = worker(Platform::A2a3Sim, RingOptions::default());
    let nothing = register(&worker, |_| Ok(()));
    assert_eq!(worker.run(&nothing, &Args::new(), &common::config(1, 1)).unwrap().tasks, 0);
    let some = register(&worker, |graph| (0..200).try_for_each(|_| graph.submit(one().blocks(3)).map(drop)));
    for block_dim in [1, 22, 23, 24] {
        for threads in 1..=4 {
            let outcome = worker.run(&some, &Args::new(), &common::config(block_dim, threads)).unwrap();
            assert_eq!(outcome.tasks, 200);
        }
    }
    // Nothing of a failed run reaches the next one.
    let bad = register(&worker, |graph| {
        graph.submit(one())?;
        graph.submit(TaskSpec::aiv(9)).map(drop)
    });
    for _ in 0..3 {
        assert!(worker.run(&bad, &Args::new(), &common::config(1, 2)).is_err());
        assert_eq!(worker.run(&some, &Args::new(), &common::config(2, 2)).unwrap().tasks, 200);
    }
}

#[test]
fn an_orchestration_that_never_returns_is_given_up() {
    let worker = ChipWorker::builder()
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .watchdog(Some(std::time::Duration::from_millis(300)))
        .build()
        .unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let handle = register(&worker, move |_| {
        while !stopped.load(std::sync::atomic::Ordering::Acquire) {
            std::thread::yield_now();
        }
        Ok(())
    });
    let error = worker.run(&handle, &Args::new(), &CallConfig::default()).unwrap_err();
    assert!(error.to_string().contains("running: the orchestration"), "{error}");
    stop.store(true, std::sync::atomic::Ordering::Release);
    while worker.report().device.abandoned_threads > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn what_never_comes_about_in_memory_ends_with_the_watchdog() {
    let worker = ChipWorker::builder()
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .watchdog(Some(std::time::Duration::from_millis(300)))
        .build()
        .unwrap();
    let mut tensor = [5i64];
    let mut run = |handle: &CallableHandle| {
        let args = Args::new().output(&mut tensor, &[1]).unwrap();
        worker.run(handle, &args, &common::config(1, 1)).map(drop)
    };
    // The orchestration wants the data: code 8. Without that the run is stalled. Neither spoils the worker.
    let reads = register(&worker, |graph| {
        let tensor = graph.tensor(0)?;
        graph.submit(TaskSpec::aiv(2).inout(&tensor))?;
        graph.read(&tensor, &[0]).map(drop)
    });
    let error = run(&reads).unwrap_err();
    assert!(error.to_string().contains("TENSOR_WAIT_TIMEOUT"), "{error}");
    let waits = register(&worker, |graph| {
        let tensor = graph.tensor(0)?;
        graph.submit(TaskSpec::aiv(2).inout(&tensor)).map(drop)
    });
    let error = run(&waits).unwrap_err();
    assert!(matches!(error, WorkerError::Runner(RunnerError::Device(DeviceError::Stalled(_)))), "{error}");
    let good = register(&worker, |graph| graph.submit(one()).map(drop));
    run(&good).unwrap();
}

#[test]
fn conditions_that_cannot_be_looked_at_are_told() {
    // The slab of completion conditions: count, error; then address and expected value.
    let kernel_with = |count: u32, error: i32, address: u64| {
        NativeKernel::new("odd", move |kernel| {
            let local: Vec<u64> = kernel.read(DevPtr::new(kernel.args()[48]), 6)?;
            kernel.write(DevPtr::new(local[3]), &[address, 1, 0])?;
            kernel.write(DevPtr::new(local[1]), &[count, error.cast_unsigned()])
        })
    };
    for (code, kernel) in [
        (101, kernel_with(1, 0, 0)),
        (101, kernel_with(1, 0, 6)),
        (102, kernel_with(0, 102, 8)),
        (103, kernel_with(65, 0, 8)),
        (103, kernel_with(0, 77, 8)),
    ] {
        let worker = worker(Platform::A5Sim, RingOptions::default());
        let graph = NativeOrchestration::new(|graph| graph.submit(TaskSpec::aiv(0)).map(drop));
        let handle =
            worker.register_source(&CallableSource::new(graph.into(), vec![(0, kernel.into())])).unwrap();
        let error = worker.run(&handle, &Args::new(), &common::config(1, 1)).unwrap_err();
        let WorkerError::Runner(RunnerError::Variant(VariantError::Status { code: status, .. })) = error
        else {
            panic!("{error}")
        };
        assert_eq!(status, -code);
    }
}
