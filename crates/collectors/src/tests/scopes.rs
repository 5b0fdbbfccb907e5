use bytemuck::Zeroable as _;
use run_records::scope::Border;
use task_interface::records::{ScopeRecord, flags};

use super::{Bench, everywhere, flush, push, unit};
use crate::testing::BLOCK;

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
