//! Whatever device call fails, or panics, in a worker's life with compiled code: nothing is left behind.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use chip_worker::{
    Args, CallConfig, CallableSource, ChipCallable, DataType, NativeGraph, NativeKernel, RunnerError,
};
use chip_worker::{CoreType, ResourceReport};
use common::add_callable;
use device_runner::testing::{Fault, FaultyDevice};
use device_runner::{Arch, ArenaSizes, DeviceRunner, current_runner};
use host_build_graph::HostBuildGraph;
use sim::{SimDevice, SimOptions};

fn native() -> CallableSource {
    let graph = NativeGraph::new(|graph| {
        let (on_device, back) = (graph.stage_in(0)?, graph.stage_out(1)?);
        graph.add_task(&[on_device.addr(), back.addr()], 3, CoreType::Aic)?;
        Ok(())
    });
    let copy = NativeKernel::new("copy", |kernel| {
        let bytes: Vec<u8> = kernel.read(kernel.ptr(0), 8)?;
        kernel.write(kernel.ptr(1), &bytes)
    });
    CallableSource::new(graph.into(), vec![(3, copy.into())])
}

/// What a client does with a worker. It goes on after errors, as a client may.
fn live(runner: &Arc<DeviceRunner>, compiled: &ChipCallable) -> Vec<RunnerError> {
    let mut errors = Vec::new();
    let mut note = |result: Result<(), RunnerError>| errors.extend(result.err());
    let config = CallConfig::default();

    note(
        runner.arenas().setup(ArenaSizes { gm_heap: 4096, gm_sm: 100, runtime_arena: 0 }).map_err(Into::into),
    );
    note(
        runner.arenas().setup(ArenaSizes { gm_heap: 100, gm_sm: 9000, runtime_arena: 1 }).map_err(Into::into),
    );
    let source = CallableSource::from_image(compiled).unwrap();
    let first = runner.register(None, &source).map_err(|error| note(Err(error))).ok();
    let second = runner.register(Some(7), &native()).map_err(|error| note(Err(error))).ok();
    let memory = runner.memory().alloc_unowned(8).map_err(|error| note(Err(error.into()))).ok();
    for _ in 0..2 {
        if let Some(id) = first {
            let (input, mut output) = ([4i64], [0i64]);
            let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
            let args = args.scalar(38).unwrap();
            let result = runner.run(id, args.as_raw(), &config);
            drop(args);
            assert_eq!(output[0], if result.is_ok() { 42 } else { 0 }, "all of the result, or none");
            note(result.map(drop));
        }
        if let (Some(id), Some(memory)) = (second, memory) {
            note(runner.memory().copy_to_device(memory, &[6; 8]).map_err(Into::into));
            let mut output = [0u8; 8];
            let args =
                Args::new().device(memory, &[8], DataType::Uint8).unwrap().output(&mut output, &[8]).unwrap();
            // Prepared and launched by hand, and every second time given up half-way.
            let active =
                runner.prepare(id, args.as_raw(), &config).and_then(device_runner::PreparedRun::launch);
            note(active.and_then(device_runner::ActiveRun::finish).map(drop));
            note(runner.prepare(id, args.as_raw(), &config).map(drop));
            let dropped =
                runner.prepare(id, args.as_raw(), &config).and_then(device_runner::PreparedRun::launch);
            note(dropped.map(drop));
        }
    }
    if let Some(id) = second {
        match runner.replace(id, &source) {
            Ok(id) => runner.unregister(id),
            Err(error) => note(Err(error)),
        }
    }
    if let Some(memory) = memory {
        note(runner.memory().free(memory).map_err(Into::into));
    }
    errors
}

/// One life over a simulated device; the errors met, and the device calls.
fn whole_life(
    arch: &'static dyn Arch,
    compiled: &ChipCallable,
    fault: Option<Fault>,
) -> (Vec<RunnerError>, Vec<&'static str>) {
    let device = FaultyDevice::new(Arc::new(SimDevice::new(0, SimOptions::default()).unwrap()));
    device.set_fault(fault);
    let attached = DeviceRunner::attach(arch, Box::new(HostBuildGraph::default()), Arc::clone(&device) as _);
    let mut errors = Vec::new();
    match attached {
        Err(error) => errors.push(error),
        Ok(runner) => {
            errors.extend(live(&runner, compiled));
            if let Err(error) = runner.finalize() {
                errors.push(error);
                runner.finalize().unwrap();
            }
            assert_eq!(runner.report(), ResourceReport::default(), "{fault:?} {errors:?}");
        }
    }
    assert!(current_runner().is_none(), "{fault:?}");
    (errors, device.journal())
}

#[test]
fn the_kth_device_call_fails_or_panics_for_every_k() {
    // Injected panics are caught and would only fill the output.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().is_some_and(|text| text.starts_with("injected")) {
            report(info);
        }
    }));
    let compiled = add_callable();
    for arch in [&arch_a2a3::CHIP as &dyn Arch, &arch_a5::CHIP] {
        let (errors, calls) = whole_life(arch, &compiled, None);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(calls.len() > 60, "{calls:?} is not a whole life");
        for (k, call) in calls.iter().enumerate() {
            for fault in [Fault::Once(k), Fault::PanicOnce(k)] {
                let (errors, _) = whole_life(arch, &compiled, Some(fault));
                // Dropping a run has nobody to tell.
                assert!(!errors.is_empty() || *call == "cancel", "{fault:?} in {call} went unnoticed");
            }
        }
        println!("{}: each of {} device calls failed and panicked in turn", arch.name(), calls.len());
    }
}
