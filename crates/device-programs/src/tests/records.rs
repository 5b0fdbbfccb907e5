//! What launches record, read back from memory that is laid out as a host would do it.

use std::time::Duration;

use task_interface::CoreType;

use super::block::{Block, Bytes};
use super::{Function, Machine};
use crate::aicpu;
use crate::chip::{self, Chip};

pub(super) static CHIPS: [&Chip; 2] = [&chip::A2A3, &chip::A5];

extern "C" fn nap(_args: *mut i64) {
    std::thread::sleep(Duration::from_millis(2));
}

/// Memory of hardware counters, and the table of rings on a chip that has them.
fn pmu(chip: &'static Chip, cores: usize, buffers: u32, event_type: u32) -> (Block, Bytes, Bytes) {
    let layout = &chip.records.pmu;
    let states = layout.queues.header_bytes;
    let block = Block::new(&layout.queues, states + cores * layout.rows.bytes);
    let block = block.units(&layout.rows, states, cores, buffers);
    block.bytes.put(layout.event_type, event_type);
    let (ring_bytes, address) = layout.ring.unwrap_or((0, 0));
    let (rings, table) = (Bytes::new(cores * ring_bytes), Bytes::new(cores * 8));
    for core in (0..cores).filter(|_| ring_bytes > 0) {
        let ring = rings.address() + (core * ring_bytes) as u64;
        table.put(core * 8, ring);
        block.bytes.put(states + core * layout.rows.bytes + address, ring);
    }
    (block, rings, table)
}

#[test]
fn cycles_of_each_task_are_told_and_counters_are_armed_and_disarmed() {
    for chip in CHIPS {
        let mut machine = Machine::new(chip, 1, 2);
        let (block, _rings, table) = pmu(chip, 3, 4, 4);
        machine.places.pmu = block.address();
        machine.places.counters = machine.registers();
        machine.places.pmu_rings = table.address();
        machine.set_tasks(&[nap as Function; 5]);
        let control = machine.block(1).register("PMU_CTRL_0").unwrap();
        control.store(0x55);
        let (codes, cores) = machine.run(&machine.aicpu(aicpu::Budgets::USUAL), 2);
        assert!(codes == [0; 2] && cores.iter().all(Result::is_ok), "{codes:?} {cores:?}");
        let layout = &chip.records.pmu;
        let mut tasks = Vec::new();
        for full in block.take() {
            for record in full.records::<arch_a5::records::PmuRecord>() {
                assert_eq!(record.head.core_type, CoreType::Aiv.raw());
                assert!(record.head.pmu_total_cycles >= chip.arch.limits().clock_hz / 500, "{record:?}");
                assert_eq!(record.pmu_counters, [0; 10]);
                tasks.push(record.head.task_id);
            }
            assert!((1..3).contains(&full.unit) && full.sequence == 0 && full.thread < 2);
            assert_eq!(block.current(&layout.rows, full.unit as usize), 0);
        }
        tasks.sort_unstable();
        assert_eq!(tasks, [0, 1, 2, 3, 4]);
        let totals = (0..3).map(|core| block.count(&layout.rows, core, layout.rows.total.unwrap()));
        assert_eq!(totals.sum::<u32>(), 5);
        let events = chip.arch.diagnostics().events(4).unwrap();
        assert_eq!(machine.block(1).register("PMU_CNT3_IDX").unwrap().load(), events.counters[3].event);
        assert_eq!(control.load(), 0x55);
    }
}

#[test]
fn a_ring_without_the_task_is_counted() {
    let mut machine = Machine::new(&chip::A5, 1, 1);
    let (block, rings, _table) = pmu(&chip::A5, 3, 1, 2);
    machine.places.pmu = block.address();
    // What is in rings at first may be anything. Without the table, cores do not write there.
    (0..6).for_each(|slot| rings.put(slot * size_of::<arch_a5::records::PmuRecord>(), 77u64));
    machine.set_tasks(&[nap as Function; 3]);
    let (codes, _) = machine.run(&machine.aicpu(aicpu::Budgets::USUAL), 1);
    assert_eq!(codes, [0]);
    assert!(block.take().is_empty());
    let rows = &chip::A5.records.pmu.rows;
    let sum = |offset| (0..3).map(|core| block.count(rows, core, offset)).sum::<u32>();
    assert_eq!((sum(rows.total.unwrap()), sum(rows.mismatched.unwrap()), sum(rows.dropped)), (3, 3, 0));
}
