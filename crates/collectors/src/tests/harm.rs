use std::sync::Mutex;

use device_runner::Arch;
use device_runner::testing::recorder;
use proptest::prelude::*;
use task_interface::records::ReadyEntry;

use super::{Bench, CHIPS, all, config, everywhere, flush, push, unit};
use crate::collection::{Collection, CollectorError};
use crate::testing::{Plain, PlainWorld, Trouble, World, enter};

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
            let ended = Collection::open(memory.clone(), Some(&recorder)).and_then(Collection::finish);
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
        let are_published = |world: &PlainWorld| world.lock().unwrap().memory.is_published;
        assert!(bench.memory.worlds.lock().unwrap().iter().all(are_published));
        if is_started {
            bench.collection.start().unwrap();
        }
        drop(bench.collection);
        let worlds = bench.memory.worlds.lock().unwrap();
        assert!(worlds.len() == 5 && worlds.iter().all(|world| world.lock().unwrap().memory.is_released));
        // The swimlane's is the first; programs may hold on to it.
        let retired: Vec<bool> = worlds.iter().map(|world| world.lock().unwrap().memory.is_retired).collect();
        assert_eq!(retired, [true, false, false, false, false]);
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
                enter(memory, size_of::<ReadyEntry>(), (0, layout.kind), 0x77);
                memory.set32(queues.tails, 2);
            });
            bench.collection.finish().unwrap();
        }
    }
}
