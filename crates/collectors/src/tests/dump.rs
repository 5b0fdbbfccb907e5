use std::mem::offset_of;

use bytemuck::Zeroable as _;
use run_records::dump::{Role, Stage};
use task_interface::records::{DUMP_MAGIC, DumpRecord, DumpState, SELECTIVE, flags};

use super::{Bench, everywhere, flush, push, unit};
use crate::testing::{BLOCK, Bytes, DeviceUnit};

/// A thread's dump, as the device has it.
struct DumpThread {
    unit: DeviceUnit,
    written: u64,
}

impl DumpThread {
    fn new(bench: &Bench, index: u32) -> Self {
        let layout = &bench.chip.records().dump;
        let states = layout.queues.header_bytes;
        Self { unit: unit(layout.queues, layout.tensors, states, index), written: 0 }
    }

    fn arena(&self, memory: &Bytes) -> (u64, u64) {
        let field = |offset| memory.get64(self.unit.state + offset);
        (field(offset_of!(DumpState, arena_base)), field(offset_of!(DumpState, arena_size)))
    }

    /// As if so many bytes had been put into the arena so far.
    fn skip_to(&mut self, memory: &mut Bytes, written: u64) {
        self.written = written;
        let place = self.unit.state + offset_of!(DumpState, arena_write_offset);
        memory.set(place, &written.to_le_bytes());
    }

    fn tensor(&mut self, memory: &mut Bytes, record: DumpRecord, elements: &[u8]) {
        let (base, size) = self.arena(memory);
        let offset = self.written;
        self.skip_to(memory, offset + elements.len() as u64);
        for (index, byte) in (offset..).zip(elements) {
            memory.set_at(base + index % size, &[*byte]);
        }
        let record = DumpRecord { payload_offset: offset, payload_size: elements.len() as u64, ..record };
        push(memory, &self.unit, bytemuck::bytes_of(&record));
    }
}

/// A record of four bytes in a square.
fn square(task: u64) -> DumpRecord {
    let mut record =
        DumpRecord { task_id: task, ndims: 2, dtype: 4, is_contiguous: 1, ..DumpRecord::zeroed() };
    record.shapes[..2].copy_from_slice(&[2, 2]);
    record.strides[..2].copy_from_slice(&[2, 1]);
    record
}

#[test]
fn tensors_come_with_their_elements() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_dump_tensor = 1);
        let layout = &chip.records().dump;
        assert_eq!((bench.places().flags, bench.places().dump), (flags::DUMP, BLOCK));
        let mut threads = [DumpThread::new(&bench, 0), DumpThread::new(&bench, 2)];
        bench.device(|memory| {
            let header = [layout.num_threads, layout.records_per_buffer, layout.magic];
            assert_eq!(header.map(|place| memory.get(place)), [3, 256, DUMP_MAGIC]);
            assert_eq!(memory.get64(layout.arena_size), layout.arena_bytes);
            assert_ne!(threads[0].arena(memory).0, threads[1].arena(memory).0);
            threads[0].tensor(memory, square(1), &[1, 2, 3, 4]);
            // The next one goes on at the start of the arena.
            threads[1].skip_to(memory, 5 * layout.arena_bytes - 1);
            let record =
                DumpRecord { role: 2, stage: 1, subtask_id: 2, func_id: 6, arg_index: 3, ..square(2) };
            threads[1].tensor(memory, DumpRecord { truncated: 1, start_offset: 9, ..record }, &[5, 6, 7, 8]);
            threads.iter().for_each(|thread| flush(memory, &thread.unit));
            threads[1].unit.add(memory, layout.tensors.dropped, 3);
        });
        let (run, lost, scratch) = bench.end();
        let dump = run.dump.unwrap();
        assert_eq!((lost, dump.dropped_records, dump.total_tensors, dump.truncated_tensors), (3, 3, 2, 1));
        let [first, second] = &dump.tensors[..] else { panic!("{dump:?}") };
        assert_eq!((first.role, first.stage), (Role::Input, Stage::BeforeDispatch));
        assert_eq!((&*first.shape, &*first.strides, first.numel), (&[2, 2][..], &[2, 1][..], 4));
        assert_eq!((second.role, second.stage), (Role::Inout, Stage::AfterCompletion));
        assert_eq!((second.subtask_id, second.func_id, second.arg_index, second.start_offset), (2, 6, 3, 9));
        assert!(first.is_contiguous && !first.truncated && second.truncated && !second.overwritten);
        assert_eq!(dump.bytes_of(scratch.path(), first).unwrap(), [1, 2, 3, 4]);
        assert_eq!(dump.bytes_of(scratch.path(), second).unwrap(), [5, 6, 7, 8]);
    });
}

/// What was dumped before the orchestration made its first choice counts only if the device does not say that it did.
#[test]
fn where_tensors_are_chosen_only_those_count() {
    for (told, expected) in [(0, &[1, 2, 3][..]), (1, &[1, 2, 3]), (SELECTIVE, &[2])] {
        everywhere(|chip, copies| {
            let bench = Bench::new(chip, copies, |config| config.enable_dump_tensor = 1);
            let mut thread = DumpThread::new(&bench, 1);
            bench.device(|memory| {
                thread.tensor(memory, square(1), &[1; 4]);
                thread.tensor(memory, DumpRecord { chosen: 1, ..square(2) }, &[2; 4]);
                // Whatever others leave in padding.
                thread.tensor(memory, DumpRecord { chosen: 0x100, ..square(3) }, &[3; 4]);
                memory.set(chip.records().dump.selective, &u32::to_le_bytes(told));
                flush(memory, &thread.unit);
            });
            let (run, lost, scratch) = bench.end();
            let dump = run.dump.unwrap();
            let tasks: Vec<_> = dump.tensors.iter().map(|tensor| tensor.task_id).collect();
            assert_eq!((lost, &tasks[..]), (0, expected));
            for tensor in &dump.tensors {
                let elements = [u8::try_from(tensor.task_id).unwrap(); 4];
                assert_eq!(dump.bytes_of(scratch.path(), tensor).unwrap(), elements);
            }
        });
    }
}

#[test]
fn elements_that_are_gone_are_told_and_so_are_tensors_that_cannot_be() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_dump_tensor = 1);
        let layout = &chip.records().dump;
        let mut thread = DumpThread::new(&bench, 1);
        bench.device(|memory| {
            thread.tensor(memory, square(1), &[1; 4]);
            thread.skip_to(memory, layout.arena_bytes + 3);
            thread.tensor(memory, square(2), &[2; 4]);
            let mut strange = |change: fn(&mut DumpRecord)| {
                let mut record = square(3);
                change(&mut record);
                push(memory, &thread.unit, bytemuck::bytes_of(&record));
            };
            strange(|record| record.ndims = 6);
            strange(|record| record.role = 3);
            strange(|record| record.stage = 2);
            strange(|record| record.payload_size = u64::MAX);
            strange(|record| (record.payload_offset, record.payload_size) = (u64::MAX, 8));
            flush(memory, &thread.unit);
        });
        let (run, lost, scratch) = bench.end();
        let dump = run.dump.unwrap();
        assert_eq!((lost, dump.dropped_records, dump.dropped_overwrite), (4, 4, 1));
        let [first, second, third] = &dump.tensors[..] else { panic!("{dump:?}") };
        assert!(first.overwritten && (first.bin_offset, first.bin_size) == (0, 0));
        assert_eq!(dump.bytes_of(scratch.path(), second).unwrap(), [2; 4]);
        assert_eq!((third.task_id, third.bin_size), (3, 8), "it may be, and is somewhere in the arena");
    });
}
