//! Many workers at once, of all platforms, from many threads.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::sync::Barrier;

use chip_worker::{Args, ChipWorker, Platform};
use common::{add_callable, config};

#[test]
fn ten_workers_with_equal_and_different_device_ids_do_not_disturb_each_other() {
    let callable = add_callable();
    let start = Barrier::new(10);
    std::thread::scope(|scope| {
        for index in 0..10u32 {
            let (callable, start) = (&callable, &start);
            scope.spawn(move || {
                let platform = Platform::SIMULATED[index as usize % 2];
                let worker = ChipWorker::builder().platform(platform).device(index / 4).build().unwrap();
                let handle = worker.register(callable).unwrap();
                start.wait();
                for run in 0..200i64 {
                    let input: Vec<i64> = (0..64).map(|value| value * run + i64::from(index)).collect();
                    let mut output = vec![0i64; 64];
                    let args = Args::new().input(&input, &[64]).unwrap().output(&mut output, &[64]).unwrap();
                    let args = args.scalar(run.unsigned_abs()).unwrap();
                    worker.run(&handle, &args, &config((run % 4) as i32, 1)).unwrap();
                    drop(args);
                    assert!(output.iter().zip(&input).all(|(out, value)| *out == value + run));
                }
                drop(handle);
                assert!(worker.close().unwrap().is_zero());
            });
        }
    });
}

#[test]
fn one_worker_serves_many_threads() {
    let worker = common::worker(Platform::A5Sim);
    let handle = worker.register(&add_callable()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8i64 {
            let (worker, handle) = (&worker, &handle);
            scope.spawn(move || {
                for run in 0..50 {
                    let (input, mut output) = ([thread, run], [0i64; 2]);
                    let args = Args::new().input(&input, &[2]).unwrap().output(&mut output, &[2]).unwrap();
                    worker.run(handle, &args.scalar(3).unwrap(), &config(1, 1)).unwrap();
                    assert_eq!(output, [thread + 3, run + 3]);
                }
            });
        }
    });
    assert_eq!(worker.report().runs, 0);
}
