//! Collectors of both chips, on memory that a device has written as section 6 of the contract says.

use std::mem::offset_of;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytemuck::Zeroable as _;
use device_runner::testing::{export, recorded, recorder};
use device_runner::{Arch, Recorder};
use proptest::prelude::*;
use run_records::Run;
use run_records::dump::{Role, Stage};
use run_records::scope::Border;
use run_records::swimlane::{OrchestratorWork, SchedulerWork};
use task_interface::CallConfig;
use task_interface::records::{
    CoreTimesMemory, DUMP_MAGIC, DumpRecord, DumpState, PHASE_MAGIC, PhaseHeader, PhaseRecord, PmuRecordHead,
    ReadyQueues, ScopeRecord, SubmitOverflowRecord, SubmitRecord, TaskRecordHead, UnitLayout, flags,
    submit_flags,
};
use task_interface::trb::Tensor;

use crate::collection::{Collection, CollectorError, RecordPlaces};
use crate::testing::{BLOCK, Bytes, DeviceUnit, Plain, Trouble, World, enter};

static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A chip, its memory with one collector on, and what comes of it.
struct Bench {
    chip: &'static dyn Arch,
    scratch: tempfile::TempDir,
    recorder: Arc<Recorder>,
    memory: Plain,
    collection: Collection<Plain>,
}

fn config(folder: &Path, change: impl FnOnce(&mut CallConfig)) -> CallConfig {
    let mut config = CallConfig { block_dim: 2, aicpu_thread_num: 3, ..CallConfig::default() };
    change(&mut config);
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

fn all(config: &mut CallConfig) {
    config.enable_l2_swimlane = 4;
    config.enable_dump_tensor = 1;
    config.enable_pmu = 2;
    config.enable_dep_gen = 1;
    config.enable_scope_stats = 1;
}

impl Bench {
    fn new(chip: &'static dyn Arch, copies: bool, change: impl FnOnce(&mut CallConfig)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let recorder = recorder(&config(scratch.path(), change), chip).unwrap().unwrap();
        let memory = Plain { copies, ..Plain::default() };
        let collection = Collection::open(memory.clone(), Some(Arc::clone(&recorder))).unwrap();
        Self { chip, scratch, recorder, memory, collection }
    }

    fn places(&self) -> RecordPlaces {
        *self.collection.places()
    }

    /// The only block that there is.
    fn device<R>(&self, act: impl FnOnce(&mut Bytes) -> R) -> R {
        let world = Arc::clone(&self.memory.worlds.lock().unwrap()[0]);
        act(&mut world.lock().unwrap().memory)
    }

    /// The end of the run: its files, and how many records were lost.
    fn end(self) -> (Run, u64, tempfile::TempDir) {
        self.collection.finish().unwrap();
        for world in &*self.memory.worlds.lock().unwrap() {
            assert!(world.lock().unwrap().memory.is_released);
        }
        export(&self.recorder).unwrap();
        (Run::read(self.scratch.path()).unwrap(), recorded(&self.recorder).lost, self.scratch)
    }
}

/// Runs a test on both chips, with the host's ways to see memory.
fn everywhere(test: impl Fn(&'static dyn Arch, bool)) {
    for chip in CHIPS {
        for copies in [false, true] {
            test(chip, copies);
        }
    }
}

/// A unit whose states follow something at `states`.
fn unit(queues: ReadyQueues, layout: UnitLayout, states: usize, index: u32) -> DeviceUnit {
    let state = states + index as usize * layout.bytes;
    DeviceUnit { queues, layout, state, index, thread: 0 }
}

fn push(memory: &mut Bytes, unit: &DeviceUnit, record: &[u8]) {
    unit.push(memory, record, &mut |memory, entry| entry.show(memory));
}

fn flush(memory: &mut Bytes, unit: &DeviceUnit) {
    let lost = unit.flush(memory, &mut |memory, entry| entry.show(memory));
    assert!(lost.is_empty());
}

/// A record of a kind, filled up to its size on the chip.
fn sized(head: &[u8], bytes: usize) -> Vec<u8> {
    let mut record = head.to_vec();
    record.resize(bytes, 0);
    record
}

#[test]
fn nothing_is_made_for_a_run_that_records_nothing() {
    let memory = Plain::default();
    let mut collection = Collection::open(memory.clone(), None).unwrap();
    assert_eq!(*collection.places(), RecordPlaces::default());
    collection.start().unwrap();
    collection.finish().unwrap();
    assert!(memory.worlds.lock().unwrap().is_empty());
}

fn pmu_row(chip: &dyn Arch, task: u64) -> Vec<u8> {
    let layout = &chip.records().pmu;
    let head = PmuRecordHead { task_id: task, func_id: 3, core_type: 1, pmu_total_cycles: 1 << 40 };
    let mut record = bytemuck::bytes_of(&head).to_vec();
    (0..layout.counters)
        .for_each(|counter| record.extend(u32::try_from(10 + counter).unwrap().to_le_bytes()));
    sized(&record, layout.rows.buffer.record_bytes)
}

#[test]
fn counters_come_with_their_cores() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_pmu = 4);
        let layout = &chip.records().pmu;
        let places = bench.places();
        assert_eq!((places.flags, places.pmu), (flags::PMU, BLOCK));
        let core = |index| unit(layout.queues, layout.rows, layout.queues.header_bytes, index);
        bench.device(|memory| {
            assert_eq!([memory.get(layout.num_cores), memory.get(layout.event_type)], [6, 4]);
            if let Some((bytes, address)) = layout.ring {
                let table = *memory.at(places.pmu_rings).first_chunk::<48>().unwrap();
                for (index, ring) in (0..).zip(table.as_chunks::<8>().0) {
                    let ring = u64::from_le_bytes(*ring);
                    assert_eq!(memory.get64(core(index).state + address), ring);
                    assert!(memory.at(ring)[..bytes].iter().all(|&byte| byte == 0));
                }
            } else {
                assert_eq!(places.pmu_rings, 0);
            }
            assert!(core(5).pop(memory) && core(2).pop(memory));
            push(memory, &core(5), &pmu_row(chip, 7));
            push(memory, &core(2), &pmu_row(chip, 8));
            push(memory, &core(5), &pmu_row(chip, 9));
            flush(memory, &core(2));
            // The other one is not handed over, which loses nothing.
        });
        let (run, lost, _scratch) = bench.end();
        let pmu = run.pmu.unwrap();
        assert_eq!(lost, 0);
        let rows: Vec<(u32, u64)> = pmu.rows.iter().map(|row| (row.core_id, row.task_id)).collect();
        assert_eq!(rows, [(2, 8), (5, 7), (5, 9)]);
        let events = chip.diagnostics().events(4).unwrap();
        let named = (10..).zip(events.counters).filter(|(_, counter)| !counter.name.is_empty());
        let values: Vec<u64> = named.map(|(value, _)| value).collect();
        assert!(pmu.rows.iter().all(|row| row.values == values && row.total_cycles == 1 << 40));
        assert!(pmu.rows.iter().all(|row| (row.func_id, row.event_type) == (3, 4)));
    });
}

#[test]
fn what_the_device_has_no_room_for_is_counted() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_pmu = 2);
        let layout = &chip.records().pmu;
        let (core, room) = (unit(layout.queues, layout.rows, layout.queues.header_bytes, 1), 512);
        // The host does not look while four buffers are filled, and then one of them a second time.
        bench.device(|memory| {
            (0..5 * room).for_each(|task| push(memory, &core, &pmu_row(chip, task)));
            if let Some(mismatched) = layout.rows.mismatched {
                core.add(memory, mismatched, 2);
                core.add(memory, layout.rows.total.unwrap(), 2);
            }
            flush(memory, &core);
        });
        let (run, lost, _scratch) = bench.end();
        assert_eq!(lost, room + if layout.rows.mismatched.is_some() { 2 } else { 0 });
        let tasks: Vec<u64> = run.pmu.unwrap().rows.iter().map(|row| row.task_id).collect();
        let kept = (0..3 * room).chain(4 * room..5 * room);
        assert!(tasks.into_iter().eq(kept));
    });
}

#[test]
fn buffers_come_and_go_while_the_device_runs() {
    everywhere(|chip, copies| {
        let mut bench = Bench::new(chip, copies, |config| config.enable_pmu = 2);
        let layout = &chip.records().pmu;
        let core = unit(layout.queues, layout.rows, layout.queues.header_bytes, 0);
        bench.collection.start().unwrap();
        let begun = Instant::now();
        for task in 0..20 * 512 {
            while task > 0 && task % 512 == 0 && !bench.device(|memory| core.has_free(memory)) {
                assert!(begun.elapsed() < LIMIT, "no buffer comes");
                std::thread::sleep(Duration::from_micros(50));
            }
            bench.device(|memory| push(memory, &core, &pmu_row(chip, task)));
        }
        bench.device(|memory| flush(memory, &core));
        let (run, lost, _scratch) = bench.end();
        assert_eq!(lost, 0);
        assert!(run.pmu.unwrap().rows.iter().map(|row| row.task_id).eq(0..20 * 512));
    });
}

fn border(line: i32, phase: i16, name: &str) -> ScopeRecord {
    let mut record = ScopeRecord { site_line: line, phase, depth: 2, ring_id: 1, ..ScopeRecord::zeroed() };
    record.site_file_basename[..name.len()].copy_from_slice(name.as_bytes());
    (record.task_start, record.task_end, record.tensormap_used) = (3, 9, 100);
    (record.heap_start, record.heap_end) = (1 << 33, 64);
    record
}

#[test]
fn borders_of_scopes_come_with_what_rings_have_room_for() {
    everywhere(|chip, copies| {
        for fatal in [false, true] {
            let bench = Bench::new(chip, copies, |config| config.enable_scope_stats = 1);
            let layout = &chip.records().scopes;
            assert_eq!((bench.places().flags, bench.places().scopes), (flags::SCOPE_STATS, BLOCK));
            let state = unit(layout.queues, layout.borders, layout.queues.header_bytes, 0);
            bench.device(|memory| {
                assert_eq!(memory.get(layout.num_instances), 1);
                for ring in 0..4u32 {
                    let place = ring as usize;
                    memory.set32(layout.task_windows + 4 * place, 64 + ring);
                    memory.set(layout.heaps + 8 * place, &(1u64 << (33 + ring)).to_le_bytes());
                }
                memory.set32(layout.tensormap, 65_536);
                memory.set32(layout.fatal, fatal.into());
                push(memory, &state, bytemuck::bytes_of(&border(41, 0, "orch.cpp")));
                // A name that fills its place has no NUL.
                push(memory, &state, bytemuck::bytes_of(&border(7, 1, &"x".repeat(32))));
                push(memory, &state, bytemuck::bytes_of(&border(0, 1, "")));
                flush(memory, &state);
                state.add(memory, layout.borders.dropped, 5);
                state.add(memory, layout.borders.total.unwrap(), 5);
            });
            let (run, lost, _scratch) = bench.end();
            let scopes = run.scope_stats.unwrap();
            assert_eq!((lost, scopes.header.dropped, scopes.header.total), (5, 5, 8));
            assert_eq!(scopes.header.fatal, fatal);
            assert_eq!(scopes.header.task_window_max, [64, 65, 66, 67]);
            assert_eq!(scopes.header.heap_max, [1 << 33, 1 << 34, 1 << 35, 1 << 36]);
            assert_eq!(scopes.header.tensormap_max, 65_536);
            let sites: Vec<&str> = scopes.records.iter().map(|record| &*record.site).collect();
            assert_eq!(sites, ["orch.cpp:41", &format!("{}:7", "x".repeat(32)), "(unknown):0"]);
            let borders: Vec<Border> = scopes.records.iter().map(|record| record.phase).collect();
            assert_eq!(borders, [Border::Begin, Border::End, Border::End]);
            let first = &scopes.records[0];
            assert_eq!((first.depth, first.ring, first.tensormap), (2, 1, 100));
            assert_eq!((first.task_window_start, first.task_window_end), (3, 9));
            assert_eq!((first.heap_start, first.heap_end), (1 << 33, 64));
        }
    });
}

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

/// Where the parts of a swimlane are.
struct Lanes {
    tasks: usize,
    times: usize,
    phase_header: usize,
    phases: usize,
}

impl Lanes {
    fn new(chip: &dyn Arch, cores: usize) -> Self {
        let layout = &chip.records().swimlane;
        let tasks = layout.queues.header_bytes;
        let times = tasks + cores * layout.tasks.bytes;
        let bytes = match layout.core_times {
            CoreTimesMemory::Rotation(unit) => unit.bytes,
            CoreTimesMemory::Ring { .. } => 0,
        };
        let phase_header = times + cores * bytes;
        Self { tasks, times, phase_header, phases: phase_header + layout.phase_header_bytes }
    }
}

/// Three tasks on a core, of which the core of a chip with rotations has told the times of two.
fn run_tasks(chip: &dyn Arch, memory: &mut Bytes, lanes: &Lanes, core: u32) {
    let layout = &chip.records().swimlane;
    let tasks = unit(layout.queues, layout.tasks, lanes.tasks, core);
    assert!(tasks.pop(memory));
    for task in 0..3u32 {
        let ticks = 1_000 + 100 * u64::from(task);
        let mut head = TaskRecordHead { task_id: task.into(), func_id: 8, ..TaskRecordHead::zeroed() };
        (head.dispatch_time, head.finish_time) = (ticks, ticks + 60);
        let mut rest = Vec::new();
        if let CoreTimesMemory::Rotation(_) = layout.core_times {
            rest.extend((40 + task).to_le_bytes());
        } else {
            (head.start_time, head.end_time) = (ticks + 10, ticks + 50);
            rest.resize(1024, 0);
            rest[..8].copy_from_slice(&u64::from(task + 1).to_le_bytes());
            rest.extend(1i32.to_le_bytes());
        }
        let record = [bytemuck::bytes_of(&head), &rest].concat();
        push(memory, &tasks, &sized(&record, layout.tasks.buffer.record_bytes));
    }
    flush(memory, &tasks);
    let CoreTimesMemory::Rotation(times) = layout.core_times else { return };
    let times = unit(layout.queues, times, lanes.times, core);
    assert!(times.pop(memory));
    for task in 0..2u64 {
        let start = 1_010 + 100 * task;
        let words = [start, start + 40, 40 + task, 0];
        push(memory, &times, bytemuck::bytes_of(&words));
    }
    // A place that the core has left as it was.
    push(memory, &times, &[0; 32]);
    flush(memory, &times);
}

#[test]
fn tasks_come_with_the_times_of_their_cores() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_l2_swimlane = 2);
        let layout = &chip.records().swimlane;
        let places = bench.places();
        assert_eq!((places.flags, places.swimlane), (flags::SWIMLANE, BLOCK));
        assert_ne!(places.core_times, 0);
        bench.device(|memory| {
            assert_eq!([memory.get(layout.num_cores), memory.get(layout.level)], [6, 2]);
            run_tasks(chip, memory, &Lanes::new(chip, 6), 4);
        });
        let (run, lost, _scratch) = bench.end();
        let swimlane = run.swimlane.unwrap();
        let has_rings = matches!(layout.core_times, CoreTimesMemory::Ring { .. });
        assert_eq!((lost, swimlane.tasks.len()), if has_rings { (0, 3) } else { (1, 2) });
        let tick = i64::try_from(1_000_000_000 / chip.limits().clock_hz).unwrap();
        for (index, task) in (0i64..).zip(&swimlane.tasks) {
            let ticks = |time: run_records::Micros| time.nanos() / tick - 100 * index;
            assert_eq!([task.dispatch, task.start, task.end, task.finish].map(ticks), [0, 10, 50, 60]);
            assert_eq!((task.core_id, task.func_id), (4, 8));
            assert_eq!(task.fanout.clone(), has_rings.then(|| vec![task.task_id + 1]));
        }
        assert_eq!((swimlane.scheduler, swimlane.core_to_thread), (None, None));
    });
}

fn phase(id: u32, start: u64, task: u64) -> PhaseRecord {
    PhaseRecord {
        start_time: start,
        end_time: start + 5,
        loop_iter: 2,
        phase_id: id,
        task_id: task,
        extra1: 3,
        extra2: 4,
    }
}

#[test]
fn phases_come_from_the_threads_that_had_them() {
    everywhere(|chip, copies| {
        for level in [3, 4] {
            let bench = Bench::new(chip, copies, |config| config.enable_l2_swimlane = level);
            let layout = &chip.records().swimlane;
            let lanes = Lanes::new(chip, 6);
            let submit = if layout.queues.threads == 4 { 25 } else { 22 };
            bench.device(|memory| {
                run_tasks(chip, memory, &lanes, 0);
                let thread = |index| unit(layout.queues, layout.phases, lanes.phases, index);
                for index in 0..3 {
                    assert!(thread(index).pop(memory));
                }
                push(memory, &thread(0), bytemuck::bytes_of(&phase(0, 990, 6)));
                push(memory, &thread(0), bytemuck::bytes_of(&phase(1, 995, 7)));
                push(memory, &thread(1), bytemuck::bytes_of(&phase(12, 995, 7)));
                if level == 4 {
                    push(memory, &thread(2), bytemuck::bytes_of(&phase(submit, 980, 1 << 32)));
                    push(memory, &thread(2), bytemuck::bytes_of(&phase(99, 981, 1)));
                }
                (0..3).for_each(|index| flush(memory, &thread(index)));
                thread(1).add(memory, layout.phases.dropped, 9);
                thread(1).add(memory, layout.phases.total.unwrap(), 9);
                let header = lanes.phase_header;
                memory.set32(header + offset_of!(PhaseHeader<0>, magic), PHASE_MAGIC);
                memory.set32(header + offset_of!(PhaseHeader<0>, num_cores), 6);
                let map = header + offset_of!(PhaseHeader<0>, core_to_thread);
                memory.set(map, &[0, 1, 0xff, 1, 0, 1]);
            });
            let (run, lost, _scratch) = bench.end();
            let swimlane = run.swimlane.unwrap();
            assert_eq!(lost, if layout.queues.threads == 4 { 10 } else { 9 });
            assert_eq!(swimlane.core_to_thread.as_deref(), Some(&[0, 1, -1, 1, 0, 1][..]));
            let schedulers = swimlane.scheduler.unwrap();
            assert_eq!(schedulers.len(), layout.queues.threads as usize);
            let works: Vec<Vec<SchedulerWork>> =
                schedulers.iter().map(|lane| lane.iter().map(|phase| phase.phase).collect()).collect();
            assert_eq!(works[0], [SchedulerWork::Complete, SchedulerWork::Dispatch]);
            assert_eq!(works[1], [SchedulerWork::Unknown]);
            assert!(works[2..].iter().all(Vec::is_empty));
            let [complete, dispatch] = &schedulers[0][..] else { panic!("{schedulers:?}") };
            assert_eq!((complete.pop_hit, dispatch.pop_hit, dispatch.pop_miss), (None, Some(3), Some(4)));
            assert_eq!((complete.tasks_processed, complete.loop_iter), (6, 2));
            let orchestrators = swimlane.orchestrator;
            assert_eq!(orchestrators.is_some(), level == 4);
            let Some(lane) = orchestrators.map(|lanes| lanes[2].clone()) else { continue };
            let expected =
                if submit == 25 { OrchestratorWork::OrchSubmit } else { OrchestratorWork::OrchFanin };
            assert_eq!([lane[0].phase, lane[1].phase], [expected, OrchestratorWork::Unknown]);
            assert_eq!((lane[0].start.nanos(), lane[0].submit_idx, lane[0].task_id), (0, 2, 1 << 32));
        }
    });
}

#[test]
fn a_level_with_phases_has_them_also_if_nobody_told_any() {
    everywhere(|chip, copies| {
        let bench = Bench::new(chip, copies, |config| config.enable_l2_swimlane = 4);
        bench.device(|memory| run_tasks(chip, memory, &Lanes::new(chip, 6), 0));
        let (run, ..) = bench.end();
        let swimlane = run.swimlane.unwrap();
        assert!(swimlane.scheduler.unwrap().iter().all(Vec::is_empty));
        assert_eq!((swimlane.orchestrator, swimlane.core_to_thread), (None, None));
    });
}

#[test]
fn whatever_call_is_refused_memory_is_given_back() {
    everywhere(|chip, copies| {
        let mut refused = 0;
        loop {
            // Later ones are much alike.
            refused += 1 + refused / 16;
            let scratch = tempfile::tempdir().unwrap();
            let recorder = recorder(&config(scratch.path(), all), chip).unwrap().unwrap();
            let trouble = Trouble::at(refused);
            let memory = Plain { copies, trouble: trouble.clone(), ..Plain::default() };
            let ended = Collection::open(memory.clone(), Some(recorder)).and_then(Collection::finish);
            for world in &*memory.worlds.lock().unwrap() {
                assert!(world.lock().unwrap().memory.is_released, "{refused}");
            }
            if !trouble.has_come() {
                assert!(ended.is_ok(), "{ended:?}");
                assert!(refused > 100, "calls are counted");
                break;
            }
            assert!(matches!(ended, Err(CollectorError::Memory(_))), "{refused}: {ended:?}");
        }
    });
}

#[test]
fn a_collection_that_is_dropped_gives_its_memory_back() {
    for is_started in [false, true] {
        let mut bench = Bench::new(CHIPS[0], false, all);
        assert_eq!(bench.places().flags, 0b11111);
        if is_started {
            bench.collection.start().unwrap();
        }
        drop(bench.collection);
        let worlds = bench.memory.worlds.lock().unwrap();
        assert!(worlds.len() == 5 && worlds.iter().all(|world| world.lock().unwrap().memory.is_released));
    }
}

/// Puts bytes anywhere in a block, but for the places of the arenas, which only a host that trusts them would follow.
fn spoil(world: &Mutex<World<()>>, places: &[(prop::sample::Index, u64)]) {
    let memory = &mut world.lock().unwrap().memory;
    let words = memory.block.len() / 8;
    for (place, value) in places {
        memory.set(place.index(words) * 8, &value.to_le_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the memory of collectors, they end, and look nowhere else.
    #[test]
    fn spoiled_memory_does_no_harm(
        is_a5: bool,
        copies: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..9u64, 0..9000u64, any::<u64>()]), 0..400),
    ) {
        let bench = Bench::new(CHIPS[usize::from(is_a5)], copies, |config| {
            all(config);
            config.enable_l2_swimlane = 2;
        });
        let worlds = bench.memory.worlds.lock().unwrap().clone();
        worlds.iter().for_each(|world| spoil(world, &places));
        bench.collection.finish().unwrap();
    }

    /// Likewise, of records that are handed over as they should be.
    #[test]
    fn spoiled_records_do_no_harm(copies: bool, seed in prop::collection::vec(any::<u8>(), 97)) {
        for collector in 0..4 {
            let chip: &dyn Arch = &arch_a2a3::CHIP;
            let bench = Bench::new(&arch_a2a3::CHIP, copies, |config| match collector {
                0 => config.enable_pmu = 2,
                1 => config.enable_dump_tensor = 1,
                2 => config.enable_dep_gen = 1,
                _ => config.enable_scope_stats = 1,
            });
            let records = chip.records();
            let (queues, layout) = match collector {
                0 => (records.pmu.queues, records.pmu.rows),
                1 => (records.dump.queues, records.dump.tensors),
                2 => (records.submits.unwrap().queues, records.submits.unwrap().submits),
                _ => (records.scopes.queues, records.scopes.borders),
            };
            let unit = unit(queues, layout, queues.header_bytes, 0);
            let bytes: Vec<u8> = seed.iter().cycle().take(8 * layout.buffer.record_bytes).copied().collect();
            bench.device(|memory| {
                bytes.chunks(layout.buffer.record_bytes).for_each(|record| push(memory, &unit, record));
                flush(memory, &unit);
                // And one with a buffer that nobody has got.
                enter(memory, size_of::<task_interface::records::ReadyEntry>(), (0, layout.kind), 0x77);
                memory.set32(queues.tails, 2);
            });
            bench.collection.finish().unwrap();
        }
    }
}
