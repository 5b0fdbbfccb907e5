use std::sync::Arc;

use bytemuck::Zeroable as _;
use device_runner::Arch as _;
use device_runner::testing::recorded;
use task_interface::records::{SubmitOverflowRecord, SubmitRecord, flags, submit_flags};
use task_interface::trb::Tensor;

use super::{Bench, flush, push, unit};
use crate::testing::BLOCK;

fn submit(task: u64, flags: u32, deps: &[u64]) -> SubmitRecord {
    let mut record = SubmitRecord { task_id: task, flags, ..SubmitRecord::zeroed() };
    record.explicit_dep_count = u16::try_from(deps.len()).unwrap();
    record.explicit_deps[..deps.len()].copy_from_slice(deps);
    record
}

fn more(task: u64, flags: u32, deps: &[u64]) -> SubmitOverflowRecord {
    let mut record = SubmitOverflowRecord { task_id: task, flags, ..SubmitOverflowRecord::zeroed() };
    record.dep_count = u16::try_from(deps.len()).unwrap();
    record.deps[..deps.len()].copy_from_slice(deps);
    record
}

#[test]
fn submits_come_whole() {
    for copies in [false, true] {
        let bench = Bench::new(&arch_a2a3::CHIP, copies, |config| config.enable_dep_gen = 1);
        let layout = arch_a2a3::CHIP.records().submits.unwrap();
        assert_eq!((bench.places().flags, bench.places().submits), (flags::DEP_GEN, BLOCK));
        let state = unit(layout.queues, layout.submits, layout.queues.header_bytes, 0);
        let deps: Vec<u64> = (0..64).collect();
        bench.device(|memory| {
            assert_eq!(memory.get(layout.num_instances), 1);
            let mut first = submit(1, submit_flags::MANUAL, &[]);
            first.tensor_count = 2;
            first.arg_types[..2].copy_from_slice(&[1, 2]);
            let tensor = Tensor { buffer_addr: 77, version: 5, ..Tensor::zeroed() };
            first.tensors[1].copy_from_slice(bytemuck::bytes_of(&tensor));
            push(memory, &state, bytemuck::bytes_of(&first));
            push(memory, &state, bytemuck::bytes_of(&submit(2, submit_flags::CONTINUED, &deps)));
            push(memory, &state, bytemuck::bytes_of(&more(2, submit_flags::CONTINUES, &[64, 65])));
            let last = submit_flags::CONTINUES | submit_flags::LAST;
            push(memory, &state, bytemuck::bytes_of(&more(2, last, &[66])));
            push(memory, &state, bytemuck::bytes_of(&submit(3, 0, &[2])));
            // Submits and what continues them are counted apart.
            let total = state.state + layout.submits.total.unwrap();
            memory.set32(total, 3);
            memory.set32(state.state + layout.overflows, 2);
            flush(memory, &state);
        });
        let recorder = Arc::clone(&bench.recorder);
        bench.collection.finish().unwrap();
        let submits = recorder.submits().unwrap();
        assert_eq!((submits.lost(), recorded(&recorder).lost), (0, 0));
        let shapes: Vec<(u64, bool, Vec<u64>)> = submits.read(|all| {
            all.map(|one| (one.task.raw, one.manual, one.explicit.iter().map(|task| task.raw).collect()))
                .collect()
        });
        let expected = [(1, true, vec![]), (2, false, (0..67).collect()), (3, false, vec![2])];
        assert_eq!(shapes, expected);
        let tensors = submits.read(|all| all.next().unwrap().tensors.to_vec());
        assert_eq!(tensors[0].1, None, "it is made by the submit");
        assert_eq!(tensors[1].1.map(|tensor| (tensor.buffer_addr, tensor.version)), Some((77, 5)));
    }
}

#[test]
fn submits_that_are_missing_or_cannot_be_are_told() {
    let bench = Bench::new(&arch_a2a3::CHIP, false, |config| config.enable_dep_gen = 1);
    let layout = arch_a2a3::CHIP.records().submits.unwrap();
    let state = unit(layout.queues, layout.submits, layout.queues.header_bytes, 0);
    bench.device(|memory| {
        push(memory, &state, bytemuck::bytes_of(&SubmitRecord { tensor_count: 17, ..submit(1, 0, &[]) }));
        let mut strange = SubmitRecord { tensor_count: 1, ..submit(2, 0, &[]) };
        strange.arg_types[0] = 9;
        push(memory, &state, bytemuck::bytes_of(&strange));
        // Of another task than the one before, and the end of a chain that does not come.
        push(memory, &state, bytemuck::bytes_of(&submit(3, submit_flags::CONTINUED, &[1])));
        push(memory, &state, bytemuck::bytes_of(&more(9, submit_flags::CONTINUES, &[5])));
        state.add(memory, layout.overflows, 1);
        memory.set32(state.state + layout.submits.total.unwrap(), 5);
        flush(memory, &state);
    });
    let recorder = Arc::clone(&bench.recorder);
    bench.collection.finish().unwrap();
    let submits = recorder.submits().unwrap();
    assert_eq!((submits.lost(), recorded(&recorder).lost), (4, 4));
    assert_eq!(submits.read(|all| all.map(|one| one.explicit.len()).collect::<Vec<_>>()), [1]);
}
