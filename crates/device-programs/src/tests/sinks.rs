//! What programs of runs tell, read back from memory that is laid out as a host would do it.

use std::mem::offset_of;
use std::sync::Arc;

use device_runner::{
    DevPtr, DeviceTime, DumpedArg, RunSinks, ScopeBorder, Submit, SubmitPhase, SubmitRecords, TaskId,
    TensorView,
};
use run_records::dump::{Role, Stage};
use run_records::scope::Border;
use run_records::swimlane::{OrchestratorWork, SchedulerWork};
use task_interface::records::{
    CoreTimesMemory, DumpRecord, DumpState, PHASE_MAGIC, PhaseHeader, PhaseRecord, SELECTIVE, ScopeRecord,
    SubmitOverflowRecord, SubmitRecord, submit_flags,
};
use task_interface::trb::{TaskToken, Tensor};
use task_interface::{DataType, TensorArgType};

use super::Machine;
use super::block::{Block, Bytes};
use super::records::CHIPS;
use crate::chip::{self, Chip};
use crate::records::{Passes, RecordPlaces, SharedSinks, Threads, now};

const THREADS: Threads = Threads { all: 3, schedulers: 2 };
/// The thread that builds the graph.
const ORCHESTRATOR: u32 = 2;

fn open(chip: &'static Chip, places: RecordPlaces) -> Arc<SharedSinks> {
    // SAFETY: tests keep their blocks until the end.
    unsafe { SharedSinks::open(chip, Machine::memory(), &places, &THREADS) }.unwrap()
}

fn border(border: Border, depth: usize) -> ScopeBorder<'static> {
    let site = (border == Border::Begin).then_some(("/src/orchestration.cpp", 41));
    ScopeBorder { site, border, depth, ring: 1, tasks: (3, 9), heap: (64, 4096), tensormap: 12 }
}

#[test]
fn borders_of_scopes_are_told_with_what_there_is_room_for() {
    for chip in CHIPS {
        let layout = &chip.records.scopes;
        let states = layout.queues.header_bytes;
        let block = Block::new(&layout.queues, states + layout.borders.bytes);
        let block = block.units(&layout.borders, states, 1, 3);
        let sinks = open(chip, RecordPlaces { scopes: block.address(), ..RecordPlaces::default() });
        assert!(sinks.tensors().is_none() && sinks.submits().is_none());
        let scopes = RunSinks::scopes(&*sinks).unwrap();
        scopes.capacities(16, 1 << 20, 65_536);
        (0..512).for_each(|depth| scopes.border(&border(Border::Begin, depth)));
        scopes.border(&border(Border::End, 511));
        assert_eq!(block.bytes.get::<u32>(layout.fatal), 0);
        scopes.fatal();
        sinks.flush();
        let all = block.take();
        assert_eq!(all.iter().map(|full| (full.thread, full.sequence)).collect::<Vec<_>>(), [(2, 0), (2, 1)]);
        let (first, second) = (all[0].records::<ScopeRecord>(), all[1].records::<ScopeRecord>());
        assert_eq!((first.len(), second.len()), (512, 1));
        let expected = ScopeRecord {
            site_file_basename: std::array::from_fn(|index| {
                b"orchestration.cpp".get(index).copied().unwrap_or(0)
            }),
            site_line: 41,
            heap_start: 64,
            heap_end: 4096,
            task_start: 3,
            task_end: 9,
            tensormap_used: 12,
            depth: 7,
            ring_id: 1,
            phase: 0,
            pad: 0,
        };
        assert_eq!(first[7], expected);
        let expected =
            ScopeRecord { site_file_basename: [0; 32], site_line: 0, depth: 511, phase: 1, ..expected };
        assert_eq!(second[0], expected);
        assert_eq!(block.bytes.get::<[u32; 4]>(layout.task_windows), [16; 4]);
        assert_eq!(block.bytes.get::<[u64; 4]>(layout.heaps), [1 << 20; 4]);
        assert_eq!(
            (block.bytes.get::<u32>(layout.tensormap), block.bytes.get::<u32>(layout.fatal)),
            (65_536, 1)
        );
        assert_eq!(block.count(&layout.borders, 0, layout.borders.total.unwrap()), 513);
    }
}

/// A tensor that there is, and one that is made.
fn two_tensors() -> [(TensorArgType, Option<Tensor>); 2] {
    let tensor = Tensor::contiguous(0x1000, 64, &[16], DataType::Float32).unwrap();
    [(TensorArgType::Inout, Some(tensor)), (TensorArgType::Output, None)]
}

#[test]
fn records_of_a_submit_with_many_dependencies_are_in_one_buffer() {
    let layout = chip::A2A3.records.submits.as_ref().unwrap();
    let states = layout.queues.header_bytes;
    let block = Block::new(&layout.queues, states + layout.submits.bytes);
    let block = block.units(&layout.submits, states, 1, 2);
    let sinks = open(&chip::A2A3, RecordPlaces { submits: block.address(), ..RecordPlaces::default() });
    let submits = RunSinks::submits(&*sinks).unwrap();
    let deps: Vec<TaskToken> = (0..64 + 326 + 1).map(|id| TaskToken::new(0, id)).collect();
    let tensors = two_tensors();
    let tell = |task, manual, explicit| {
        let task = TaskToken::new(1, task);
        submits.submit(&Submit { task, manual, tensors: &tensors, explicit, producers: &[] });
    };
    (0..30).for_each(|task| tell(task, false, &deps[..1]));
    tell(30, true, &deps);
    sinks.flush();
    let all = block.take();
    assert_eq!(all.iter().map(|full| full.thread).collect::<Vec<_>>(), [ORCHESTRATOR; 2]);
    let (short, long) = (all[0].records::<SubmitRecord>(), all[1].records::<SubmitRecord>());
    assert_eq!((short.len(), long.len()), (30, 3), "three records more would not have had room");
    assert_eq!((short[7].task_id, short[7].flags), (TaskToken::new(1, 7).raw, 0));
    assert_eq!((short[7].tensor_count, short[7].explicit_dep_count), (2, 1));
    let kinds = [TensorArgType::Inout, TensorArgType::Output].map(|kind| u8::try_from(kind.raw()).unwrap());
    assert_eq!(short[7].arg_types[..2], kinds);
    assert_eq!(short[7].tensors[0][..], *bytemuck::bytes_of(&tensors[0].1.unwrap()));
    assert_eq!(short[7].tensors[1], [0; 128]);
    assert_eq!(long[0].flags, submit_flags::MANUAL | submit_flags::CONTINUED);
    let more = all[1].records::<SubmitOverflowRecord>();
    let flags = [submit_flags::CONTINUES, submit_flags::CONTINUES | submit_flags::LAST];
    assert_eq!([more[1].flags, more[2].flags], flags);
    let told = long[0].explicit_deps.iter().chain(&more[1].deps).chain(&more[2].deps[..1]);
    assert!(told.copied().eq(deps.iter().map(|dep| dep.raw)));
    assert_eq!((long[0].explicit_dep_count, more[1].dep_count, more[2].dep_count), (64, 326, 1));
    let counted = |offset| block.count(&layout.submits, 0, offset);
    assert_eq!([counted(layout.submits.total.unwrap()), counted(layout.overflows)], [31, 2]);
    assert_eq!(counted(layout.submits.dropped), 0);
}

/// A swimlane's memory of a launch with one cluster; and where the header of phases is.
fn swimlane(chip: &'static Chip, level: u32, buffers: u32) -> (Block, usize) {
    let layout = &chip.records.swimlane;
    let times = match &layout.core_times {
        CoreTimesMemory::Rotation(unit) => unit.bytes,
        CoreTimesMemory::Ring { .. } => 0,
    };
    let phases = layout.queues.header_bytes + 3 * (layout.tasks.bytes + times);
    let states = phases + layout.phase_header_bytes;
    let threads = layout.queues.threads as usize;
    let block = Block::new(&layout.queues, states + threads * layout.phases.bytes);
    let block = block.units(&layout.phases, states, THREADS.all as usize, buffers);
    block.bytes.put(layout.num_cores, 3u32);
    block.bytes.put(layout.level, level);
    (block, phases)
}

/// Waits until the chip's counter has moved.
fn after(chip: &Chip) {
    let start = now(chip.arch);
    while now(chip.arch) == start {
        std::hint::spin_loop();
    }
}

#[test]
fn threads_tell_what_they_do() {
    for chip in CHIPS {
        let (block, header) = swimlane(chip, 4, 1);
        let sinks = open(chip, RecordPlaces { swimlane: block.address(), ..RecordPlaces::default() });
        // Nothing to do three times, then something in either half of a pass, and again nothing until the loop is left.
        let mut passes = Passes::new(Some(&sinks), 0);
        for [complete, dispatch] in [[0, 0], [0, 0], [0, 0], [2, 3], [0, 4], [0, 0]] {
            passes.begin();
            passes.did(SchedulerWork::Complete, complete);
            passes.did(SchedulerWork::Dispatch, dispatch);
            after(chip);
        }
        drop(passes);
        let (kind, mut orchestrator) = RunSinks::phases(Arc::clone(&sinks)).unwrap();
        let (kinds, work, number) = match chip.arch.name() {
            "a5" => (SubmitRecords::Steps, OrchestratorWork::OrchFanin, 22),
            _ => (SubmitRecords::Whole, OrchestratorWork::OrchSubmit, 25),
        };
        let start = orchestrator.now().unwrap();
        let end = DeviceTime(start.0 + 1_000_000);
        orchestrator.push(SubmitPhase { work, start, end, submit: 5, task: TaskId(77) });
        drop(orchestrator);
        assert_eq!(kind, kinds);
        let head = || block.bytes.get::<[u32; 4]>(header);
        let capacity = u32::try_from(chip.records.swimlane.phases.buffer.capacity).unwrap();
        assert_eq!(head(), [PHASE_MAGIC, 2, capacity, 0]);
        sinks.map_cores(&[0, 0, 1]);
        assert_eq!(head()[3], 3);
        assert_eq!(
            block.bytes.get::<[i8; 3]>(header + offset_of!(PhaseHeader<0>, core_to_thread)),
            [0, 0, 1]
        );
        sinks.flush();
        let all = block.take();
        assert_eq!(all.iter().map(|full| (full.unit, full.thread)).collect::<Vec<_>>(), [(0, 0), (2, 2)]);
        let records = all[0].records::<PhaseRecord>();
        let told = records.iter().map(|phase| {
            assert!(phase.start_time <= phase.end_time && phase.start_time > 0);
            [
                phase.loop_iter,
                phase.phase_id,
                u32::try_from(phase.task_id).unwrap(),
                phase.extra1,
                phase.extra2,
            ]
        });
        let mut expected = vec![[1, 3, 0, 0, 0], [4, 0, 2, 0, 0], [4, 1, 3, 3, 4], [5, 1, 4, 4, 1]];
        expected.extend([[6, 3, 0, 0, 0], [6, 1, 0, 0, 1]]);
        expected.retain(|[_, phase, ..]| *phase != 3 || chip.arch.name() == "a5");
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert!(records.windows(2).all(|pair| pair[0].end_time <= pair[1].start_time));
        let submit = all[1].records::<PhaseRecord>()[0];
        assert_eq!((submit.loop_iter, submit.phase_id, submit.task_id), (5, number, 77));
        assert_eq!(submit.end_time - submit.start_time, chip.arch.limits().clock_hz / 1000);
    }
}

#[test]
fn phases_are_for_levels_that_have_them() {
    for (level, schedulers, submits) in [(2, false, false), (3, true, false), (4, true, true)] {
        let (block, _) = swimlane(&chip::A2A3, level, 1);
        let places = RecordPlaces { swimlane: block.address(), ..RecordPlaces::default() };
        // SAFETY: as in `open`.
        let sinks = unsafe { SharedSinks::open(&chip::A2A3, Machine::memory(), &places, &THREADS) };
        assert_eq!(sinks.is_some(), schedulers);
        assert_eq!(sinks.is_some_and(|sinks| RunSinks::phases(sinks).is_some()), submits);
    }
}

/// A host gives buffers for phases only in the place of full ones; and until it does, they are lost and counted.
#[test]
fn full_buffers_of_phases_go_before_there_are_others() {
    let (mut block, header) = swimlane(&chip::A2A3, 3, 1);
    let sinks = open(&chip::A2A3, RecordPlaces { swimlane: block.address(), ..RecordPlaces::default() });
    let phases = &chip::A2A3.records.swimlane.phases;
    let tell = |count: usize| {
        let mut passes = Passes::new(Some(&sinks), 1);
        for _ in 0..count {
            passes.begin();
            passes.did(SchedulerWork::Complete, 1);
        }
    };
    tell(phases.buffer.capacity + 5);
    let counted = |block: &Block, offset| block.count(phases, 1, offset);
    assert_eq!(counted(&block, phases.dropped), 5);
    assert_eq!(block.current(phases, 1), 0);
    let all = block.take();
    assert_eq!((all.len(), all[0].records::<PhaseRecord>().len()), (1, phases.buffer.capacity));
    block.give(phases, header + chip::A2A3.records.swimlane.phase_header_bytes + phases.bytes);
    tell(2);
    sinks.flush();
    assert_eq!(block.take()[0].records::<PhaseRecord>().len(), 2);
    let total = u32::try_from(phases.buffer.capacity + 7).unwrap();
    assert_eq!([counted(&block, phases.total.unwrap()), counted(&block, phases.dropped)], [total, 5]);
}

const ARENA: u64 = 256;

/// Memory of a dump, with arenas of [`ARENA`] bytes.
fn dump(chip: &'static Chip) -> (Block, Vec<Bytes>) {
    let layout = &chip.records.dump;
    let states = layout.queues.header_bytes;
    let threads = THREADS.all as usize;
    let block = Block::new(&layout.queues, states + threads * layout.tensors.bytes);
    let block = block.units(&layout.tensors, states, threads, 1);
    block.bytes.put(layout.num_threads, THREADS.all);
    let arenas = (0..threads).map(|thread| {
        let arena = Bytes::new(usize::try_from(ARENA).unwrap());
        let state = states + thread * layout.tensors.bytes;
        block.bytes.put(state + offset_of!(DumpState, arena_base), arena.address());
        block.bytes.put(state + offset_of!(DumpState, arena_size), ARENA);
        arena
    });
    let arenas = arenas.collect();
    (block, arenas)
}

fn arg(task: u64, role: Role, chosen: Option<u64>) -> DumpedArg {
    DumpedArg { task: TaskId(task), subtask: 1, func_id: 4, index: 2, role, chosen }
}

fn view<'a>(data: &[u16], shape: &'a [u32], strides: &'a [u32]) -> TensorView<'a> {
    let buffer = DevPtr::new(data.as_ptr().expose_provenance() as u64);
    let bytes = size_of_val(data) as u64;
    TensorView { buffer, bytes, dtype: DataType::Int16.raw(), start_offset: 1, shape, strides }
}

#[test]
fn tensors_go_round_in_the_arena_of_the_thread() {
    for chip in CHIPS {
        let (block, arenas) = dump(chip);
        let sinks = open(chip, RecordPlaces { dump: block.address(), ..RecordPlaces::default() });
        let tensors = RunSinks::tensors(&*sinks).unwrap();
        let data: Vec<u16> = (0..300).collect();
        sinks.act_for(1);
        let before = Stage::BeforeDispatch;
        tensors.tensor(&arg(1, Role::Input, None), before, &view(&data, &[100], &[1]));
        tensors.tensor(&arg(2, Role::Inout, None), before, &view(&data, &[8, 5], &[10, 2]));
        // More than there is room for: half of the arena.
        tensors.tensor(&arg(3, Role::Inout, None), Stage::AfterCompletion, &view(&data, &[129], &[1]));
        // These do not count.
        tensors.tensor(&arg(4, Role::Output, None), before, &view(&data, &[1], &[1]));
        tensors.tensor(&arg(5, Role::Input, Some(0b1011)), before, &view(&data, &[1], &[1]));
        let selective = || block.bytes.get::<u32>(chip.records.dump.selective);
        assert_eq!(selective(), 0);
        tensors.select();
        assert_eq!(selective(), SELECTIVE);
        tensors.tensor(&arg(6, Role::Input, None), before, &view(&data, &[1], &[1]));
        sinks.act_for(0);
        tensors.tensor(&arg(7, Role::Input, Some(0b100)), before, &view(&data, &[1], &[1]));
        sinks.flush();
        let all = block.take();
        assert_eq!(all.iter().map(|full| (full.unit, full.thread)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        let first = all[0].records::<DumpRecord>()[0];
        assert_eq!((first.task_id, first.chosen), (7, 1));
        let records = all[1].records::<DumpRecord>();
        let places: Vec<_> = records
            .iter()
            .map(|record| (record.task_id, record.payload_offset, record.payload_size, record.truncated))
            .collect();
        assert_eq!(places, [(1, 0, 200, 0), (2, 200, 80, 0), (3, 280, 128, 1)]);
        let strided = DumpRecord {
            task_id: 2,
            subtask_id: 1,
            role: 2,
            ndims: 2,
            func_id: 4,
            arg_index: 2,
            dtype: DataType::Int16.raw(),
            payload_offset: 200,
            payload_size: 80,
            start_offset: 1,
            strides: [10, 2, 0, 0, 0],
            shapes: [8, 5, 0, 0, 0],
            ..DumpRecord::default()
        };
        assert_eq!(records[1], strided);
        assert_eq!((records[0].is_contiguous, records[0].stage, records[2].stage), (1, 0, 1));
        // The second one begins 56 bytes before the end of the arena; the third is behind it.
        let mut expected = (0..8).flat_map(|row| (0..5).map(move |column| 1 + 10 * row + 2 * column));
        assert!((0..28).all(|index| Some(arenas[1].get::<u16>(200 + 2 * index)) == expected.next()));
        assert!((0..12).all(|index| Some(arenas[1].get::<u16>(2 * index)) == expected.next()));
        assert!((0..64u16).all(|index| arenas[1].get::<u16>(24 + 2 * usize::from(index)) == index + 1));
        let layout = &chip.records.dump;
        let state = layout.queues.header_bytes + layout.tensors.bytes;
        assert_eq!(block.bytes.get::<u64>(state + offset_of!(DumpState, arena_write_offset)), 408);
    }
}

#[test]
fn tensors_that_cannot_be_had_are_counted() {
    let (block, _arenas) = dump(&chip::A5);
    let sinks = open(&chip::A5, RecordPlaces { dump: block.address(), ..RecordPlaces::default() });
    let tensors = RunSinks::tensors(&*sinks).unwrap();
    let data = [0; 4];
    let unknown = TensorView { dtype: 99, ..view(&data, &[1], &[1]) };
    tensors.tensor(&arg(1, Role::Input, None), Stage::BeforeDispatch, &unknown);
    let nowhere = TensorView { buffer: DevPtr::NULL, start_offset: 0, ..view(&data, &[1], &[1]) };
    tensors.tensor(&arg(1, Role::Input, None), Stage::BeforeDispatch, &nowhere);
    let beyond = TensorView { bytes: 5, ..view(&data, &[2], &[1]) };
    tensors.tensor(&arg(1, Role::Input, None), Stage::BeforeDispatch, &beyond);
    tensors.skip(TaskId(1), 2, 3);
    sinks.flush();
    assert!(block.take().is_empty());
    let unit = &chip::A5.records.dump.tensors;
    assert_eq!(block.count(unit, 0, unit.dropped), 3);
}
