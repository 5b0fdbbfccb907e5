use std::time::{Duration, Instant};

use device_runner::Arch;
use task_interface::records::{PmuRecordHead, flags};

use super::{Bench, LIMIT, everywhere, flush, push, sized, unit};
use crate::testing::BLOCK;

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
