//! Runs that share their memory, and lives in which a call of the device fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::{Arc, Mutex};

use bytemuck::Zeroable as _;

use common::{CHIPS, ImageDevice, callable, interpreter, object};
use device_runner::testing::{Fault, FaultyDevice};
use device_runner::{CallableSource, DevPtr, Device, DeviceRunner, DeviceUsage, NativeKernel, RunnerError};
use task_interface::trb::DeferredCompletionEntry;
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tensormap_and_ringbuffer::image::{DeviceHalf, DeviceLaunch};
use tensormap_and_ringbuffer::{RingOptions, TensorKernel as _, TensormapAndRingbuffer};

/// An AICPU program has several threads.
#[test]
fn threads_may_share_the_device_half() {
    fn shared<T: Send + Sync>() {}
    shared::<DeviceHalf>();
    shared::<DeviceLaunch>();
}

/// A program of one task, and its tensors.
struct Client {
    words: [Vec<i64>; 4],
}

impl Client {
    /// Ends with 3 * 1 + 5 * 2 + addend + 7 * 3.
    fn adding(addend: i64) -> Self {
        Self { words: [vec![2, 0, 1, 2, addend, 1, 1, 1], vec![1], vec![2], vec![3]] }
    }

    /// Ends with an error.
    fn failing() -> Self {
        Self { words: [vec![8, 0, 0, 0, 44, 0, 0, 0], vec![1], vec![2], vec![3]] }
    }

    fn args(&mut self) -> Box<ChipStorageTaskArgs> {
        let mut args = ChipStorageTaskArgs::new();
        for words in &mut self.words {
            let length = u32::try_from(words.len()).unwrap();
            let address = words.as_mut_ptr().expose_provenance() as u64;
            args.add_tensor(ContinuousTensor::new(address, &[length], DataType::Int64).unwrap()).unwrap();
        }
        args
    }

    fn result(&self) -> i64 {
        self.words[3][0]
    }
}

fn rings() -> RingOptions {
    RingOptions::default().task_window(8).heap(1 << 12).dep_pool(8)
}

fn config() -> CallConfig {
    CallConfig { block_dim: 1, aicpu_thread_num: 2, ..CallConfig::default() }
}

/// Arenas are pooled: what a run needs in them is written when it has them for itself.
#[test]
fn runs_that_are_bound_at_the_same_time_do_not_disturb_each_other() {
    let device = ImageDevice::new(CHIPS[0], 11);
    let runner = device.runner(rings());
    let id = runner.register(None, &callable(object(interpreter(), "interpret", ""))).unwrap();
    let mut clients = [Client::adding(100), Client::failing(), Client::adding(200), Client::adding(300)];
    let args = clients.each_mut().map(Client::args);
    let [first, failing, dropped, last] = args.each_ref().map(|args| runner.prepare(id, &**args, &config()));
    let first = first.unwrap().launch().unwrap();
    let failed = failing.unwrap().launch();
    assert!(matches!(failed, Err(RunnerError::Device(device_runner::DeviceError::Busy))));
    let mut more = Client::failing();
    let more_args = more.args();
    let more_run = runner.prepare(id, &*more_args, &config()).unwrap();
    first.finish().unwrap();
    assert!(more_run.launch().unwrap().finish().unwrap_err().to_string().contains("-44"));
    drop(dropped.unwrap());
    last.unwrap().launch().unwrap().finish().unwrap();
    assert_eq!(clients.each_ref().map(Client::result), [134, 3, 3, 334]);
    runner.finalize().unwrap();
    assert_eq!(device.usage(), DeviceUsage::default());
}

/// Leaves a condition in its slab, or an error; notes where the slab is.
fn deferring(error: i32, slabs: &Arc<Mutex<Vec<u64>>>) -> NativeKernel {
    let slabs = Arc::clone(slabs);
    NativeKernel::new("deferring", move |kernel| {
        let context = kernel.local_context()?.async_ctx;
        slabs.lock().unwrap().push(context.completion_count);
        kernel.set_elements(2, &[kernel.elements::<i64>(2)?[0] + 1])?;
        let counter = DeferredCompletionEntry {
            addr: kernel.tensor(2)?.buffer_addr,
            expected_value: 4,
            ..DeferredCompletionEntry::zeroed()
        };
        kernel.write(DevPtr::new(context.completion_entries), &[counter])?;
        kernel.write(DevPtr::new(context.completion_count), &[1u32])?;
        kernel.write(DevPtr::new(context.completion_error_code), &[error])
    })
}

/// Both slabs of a core, in turn: the kernels count to 5, and from 4 on what they wait for has come.
#[test]
fn conditions_that_kernels_leave_are_waited_for() {
    let device = ImageDevice::new(CHIPS[1], 17);
    let runner = device.runner(rings());
    for (error, expected) in [(0, Ok(5)), (103, Err("-103"))] {
        let slabs = Arc::default();
        let kernels = vec![(0, deferring(error, &slabs).into())];
        let source = CallableSource::new(object(interpreter(), "interpret", ""), kernels);
        let id = runner.register(None, &source).unwrap();
        let mut client = Client::adding(0);
        client.words[0] = [[2, 0, 1, 2, 0, 1, 0, 1]; 2].concat();
        let args = client.args();
        let ran = runner.run(id, &*args, &config());
        match expected {
            Ok(result) => {
                assert_eq!((ran.unwrap().tasks, client.result()), (2, result));
                let slabs = slabs.lock().unwrap();
                assert!(slabs.len() == 2 && slabs[0].abs_diff(slabs[1]) == 1600, "{slabs:x?}");
            }
            Err(text) => assert!(ran.unwrap_err().to_string().contains(text)),
        }
    }
}

/// Registers, runs twice, unregisters.
fn live(runner: &Arc<DeviceRunner>) -> Result<(), RunnerError> {
    let id = runner.register(None, &callable(object(interpreter(), "interpret", "")))?;
    for addend in [10, 20] {
        let mut client = Client::adding(addend);
        let args = client.args();
        runner.run(id, &*args, &config())?;
        assert_eq!(client.result(), 34 + addend);
    }
    runner.unregister(id);
    Ok(())
}

#[test]
fn whichever_call_of_the_device_fails_nothing_is_kept() {
    let chip = CHIPS[0];
    let mut failed = 0;
    for call in 0.. {
        let device = ImageDevice::new(chip, 13);
        let faulty = FaultyDevice::new(Arc::clone(&device) as Arc<dyn Device>);
        let variant = Box::new(TensormapAndRingbuffer::with_rings(rings()));
        let runner = DeviceRunner::attach(chip, variant, Arc::clone(&faulty) as Arc<dyn Device>).unwrap();
        let before = faulty.journal().len();
        faulty.set_fault(Some(Fault::Once(before + call)));
        let lived = live(&runner);
        let reached = faulty.journal().len() > before + call;
        faulty.set_fault(None);
        if !reached {
            lived.unwrap();
            break;
        }
        failed += 1;
        // A failure to give something back shows up later: in the next call, or here.
        let closed = runner.finalize();
        assert!(lived.is_err() || closed.is_err(), "call {call}: {:?}", faulty.journal().get(before + call));
        runner.finalize().unwrap();
        assert!(runner.report().is_zero(), "call {call}: {:?}", runner.report());
        assert_eq!(device.usage(), DeviceUsage::default(), "call {call}");
    }
    assert!(failed > 40, "only {failed} calls");
}

/// Devices of one process may share a loaded AICPU program.
#[test]
fn launches_of_one_device_half_may_overlap() {
    let half = Arc::new(DeviceHalf::new(CHIPS[1]));
    std::thread::scope(|scope| {
        for worker in 0..3u32 {
            let half = Arc::clone(&half);
            scope.spawn(move || {
                let device = ImageDevice::with_half(CHIPS[1], u64::from(worker), half);
                let runner = device.runner(rings());
                (0..5).for_each(|_| live(&runner).unwrap());
                runner.finalize().unwrap();
                assert_eq!(device.usage(), DeviceUsage::default());
            });
        }
    });
}
