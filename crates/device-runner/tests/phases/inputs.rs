//! What a run refuses before anything has happened.

use device_runner::{Arch, DevPtr, RunnerError};
use task_interface::{CallConfig, CallConfigError, ChipStorageTaskArgs, ContinuousTensor, DataType};

use crate::common::{ARCH, Bench, args};
use crate::eleven;

fn config(block_dim: i32, aicpu_thread_num: i32) -> CallConfig {
    CallConfig { block_dim, aicpu_thread_num, ..CallConfig::default() }
}

#[test]
fn block_dim_is_checked_against_the_chip() {
    let (bench, id) = eleven();
    let run =
        |block_dim| bench.runner.run(id, &args(&[]), &config(block_dim, 1)).map(|outcome| outcome.block_dim);
    assert_eq!(run(0).unwrap(), 4, "0 is all");
    assert_eq!([run(1).unwrap(), run(4).unwrap()], [1, 4]);
    for bad in [5, i32::MAX] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::BlockDim { requested, max: 4, arch: "test-chip" } if requested == bad),
            "{error}"
        );
    }
    for bad in [-1, i32::MIN] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::Config(CallConfigError::NegativeBlockDim { value }) if value == bad),
            "{error}"
        );
        assert!(
            matches!(ARCH.resolve_block_dim(bad), Err(RunnerError::BlockDim { requested, .. }) if requested == bad)
        );
    }
    bench.close();
}

#[test]
fn aicpu_thread_num_is_checked_against_the_chip() {
    let (bench, id) = eleven();
    let run = |threads| bench.runner.run(id, &args(&[]), &config(1, threads));
    for good in [1, 3] {
        run(good).unwrap();
    }
    for bad in [0, 4, i32::MAX] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::AicpuThreads { requested, max: 3, arch: "test-chip" } if requested == bad),
            "{error}"
        );
    }
    for bad in [-1, i32::MIN] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::Config(CallConfigError::NegativeThreadNum { value }) if value == bad),
            "{error}"
        );
        assert!(ARCH.resolve_aicpu_threads(bad).is_err());
    }
    bench.close();
}

#[test]
fn device_tensors_must_be_inside_one_allocation() {
    let (bench, id) = eleven();
    let memory = bench.runner.memory();
    let block = memory.alloc_unowned(64).unwrap().addr();
    let freed = memory.alloc_unowned(64).unwrap();
    memory.free(freed).unwrap();
    let run = |address: u64, values: u32| {
        let mut args = ChipStorageTaskArgs::new();
        // Host tensors are not looked at; this one only moves the index.
        args.add_tensor(ContinuousTensor::new(3, &[1], DataType::Int8).unwrap()).unwrap();
        let tensor = ContinuousTensor::new(address, &[values], DataType::Float32).unwrap();
        args.add_tensor(tensor.in_child_memory()).unwrap();
        bench.runner.run(id, &args, &CallConfig::default())
    };
    for (address, values) in [(block, 16), (block, 1), (block + 60, 1), (block + 4, 15)] {
        run(address, values).unwrap();
    }
    let bad = [
        (block, 17),
        (block + 61, 1),
        (block + 64, 1),
        (block - 1, 1),
        (block - 4, 20),
        (freed.addr(), 1),
        (0, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 1),
    ];
    for (address, values) in bad {
        let error = run(address, values).unwrap_err();
        let expected = (1, DevPtr::new(address), u64::from(values) * 4);
        assert!(
            matches!(error, RunnerError::DeviceTensor { index, ptr, bytes } if (index, ptr, bytes) == expected),
            "{address:#x} x {values}: {error}"
        );
    }
    let other = Bench::new();
    let foreign = other.runner.memory().alloc_unowned(1 << 20).unwrap().addr() + (1 << 19);
    assert!(matches!(run(foreign, 1), Err(RunnerError::DeviceTensor { .. })), "another runner's memory");
    bench.close();
}

#[test]
fn tensors_that_are_not_valid_are_refused() {
    let (bench, id) = eleven();
    let good = ContinuousTensor::new(64, &[2, 2], DataType::Float32).unwrap();
    let foreign: [fn(&mut ContinuousTensor); 3] = [
        |tensor| tensor.dtype = 250,
        |tensor| tensor.ndims = 6,
        |tensor| {
            tensor.ndims = 5;
            tensor.shapes = [u32::MAX; 5];
        },
    ];
    for spoil in foreign {
        let mut args = ChipStorageTaskArgs::new();
        args.add_tensor(good).unwrap();
        args.add_tensor(good).unwrap();
        spoil(args.tensor_mut(1).unwrap());
        let error = bench.runner.run(id, &args, &CallConfig::default()).unwrap_err();
        assert!(matches!(error, RunnerError::Tensor { index: 1, .. }), "{error}");
    }
    bench.close();
}

#[test]
fn argument_counts_out_of_range_are_refused() {
    let (bench, id) = eleven();
    for bad in [-1, 129, i32::MIN, i32::MAX] {
        let mut tensors = ChipStorageTaskArgs::new();
        tensors.tensor_count = bad;
        let mut scalars = ChipStorageTaskArgs::new();
        scalars.scalar_count = bad;
        for args in [tensors, scalars] {
            let error = bench.runner.run(id, &args, &CallConfig::default()).unwrap_err();
            assert!(matches!(error, RunnerError::Args(_)), "{error}");
        }
    }
    assert_eq!(bench.runner.report().runs, 0);
    let full = args(&(0..128).collect::<Vec<_>>());
    bench.runner.run(id, &full, &CallConfig::default()).unwrap();
    assert_eq!(bench.probe.output().len(), 128);
    bench.close();
}
