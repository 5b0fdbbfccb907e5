//! Options of device programs that come from the environment; alone in its process, which it changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use common::{CHIPS, ImageDevice, callable, interpreter, object};
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tensormap_and_ringbuffer::RingOptions;

#[test]
fn the_environment_sets_threads_and_sizes() {
    // Shards, whether the orchestrator's thread joins the others, window and heap; what becomes of them on a2a3.
    let cases = [
        (["2", "true", "32", "4096"], (2, 1, 32, 4096)),
        (["4", "T", "4", "1024"], (4, 1, 4, 1024)),
        (["5", "yes", "33", "3000"], (3, 0, 16384, 256 << 20)),
        (["0", "0", "", "x"], (3, 0, 16384, 256 << 20)),
        (["1", "1", "64", "65536"], (1, 1, 64, 65536)),
    ];
    let names = ["PTO2_READY_QUEUE_SHARDS", "PTO2_ORCH_TO_SCHED", "PTO2_RING_TASK_WINDOW", "PTO2_RING_HEAP"];
    for (values, expected) in cases {
        for (name, value) in names.into_iter().zip(values) {
            // SAFETY: this is the only test of its process, and nothing else runs meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
        let device = ImageDevice::new(CHIPS[0], 3);
        let runner = device.runner(RingOptions::default().dep_pool(4));
        let id = runner.register(None, &callable(object(interpreter(), "interpret", ""))).unwrap();
        // A scope without tasks.
        let mut steps = [0i64, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let mut args = ChipStorageTaskArgs::new();
        let address = steps.as_mut_ptr().expose_provenance() as u64;
        args.add_tensor(ContinuousTensor::new(address, &[16], DataType::Int64).unwrap()).unwrap();
        let config = CallConfig { aicpu_thread_num: 2, block_dim: 1, ..CallConfig::default() };
        let outcome = runner.run(id, &*args, &config).unwrap();
        assert_eq!(outcome.tasks, 0);
        let found = (
            device.member::<i32>("ready_queue_shards"),
            device.member::<u8>("orch_to_sched"),
            device.member::<u64>("task_window_size"),
            device.member::<u64>("heap_size"),
        );
        assert_eq!(found, expected, "{values:?}");
        assert_eq!(device.member::<u64>("dep_pool_size"), 4);
    }
}
