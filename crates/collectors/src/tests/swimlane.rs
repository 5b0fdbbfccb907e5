use std::mem::offset_of;

use bytemuck::Zeroable as _;
use device_runner::Arch;
use run_records::swimlane::{OrchestratorWork, SchedulerWork};
use task_interface::records::{
    CoreTimesMemory, PHASE_MAGIC, PhaseHeader, PhaseRecord, TaskRecordHead, flags,
};

use super::{Bench, everywhere, flush, push, sized, unit};
use crate::testing::{BLOCK, Bytes};

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
