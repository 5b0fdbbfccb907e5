use std::sync::Mutex;

use run_records::scope::{Border, Header, RINGS, Record, VERSION};

use super::log::Log;
use super::recorder::{Recorded, warn_lost};
use crate::sync::lock;

/// Bytes of a file name that a record has room for.
const NAME_BYTES: usize = 31;

/// The state of a ring at the border of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct ScopeBorder<'a> {
    /// File and line of the scope, if it said.
    pub site: Option<(&'a str, i32)>,
    /// Which border.
    pub border: Border,
    /// How many scopes it is inside of.
    pub depth: usize,
    /// The ring.
    pub ring: usize,
    /// The ring's oldest task that is alive, and its next one.
    pub tasks: (u32, u32),
    /// Tail and top of the ring's heap, in bytes.
    pub heap: (u64, u64),
    /// Entries of the tensor map in use.
    pub tensormap: usize,
}

/// Collects how full rings, heaps and the tensor map are.
#[derive(Debug, Default)]
pub struct ScopeStats(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: Log<Record>,
    task_window: [i32; RINGS],
    heap: [u64; RINGS],
    tensormap: i32,
    fatal: bool,
    /// Records that never came here.
    lost: u64,
}

impl State {
    fn lost(&self) -> u64 {
        self.records.lost() + self.lost
    }
}

/// Numbers of the file are 32-bit and 16-bit; larger ones are the largest.
fn number<T: TryFrom<u64>>(value: u64, most: T) -> T {
    T::try_from(value).unwrap_or(most)
}

impl ScopeStats {
    /// Says what rings, of this many tasks and bytes each, and the tensor map have room for.
    pub fn capacities(&self, tasks: u32, heap: u64, tensormap: usize) {
        let mut state = lock(&self.0);
        state.task_window = [number(tasks.into(), i32::MAX); RINGS];
        state.heap = [heap; RINGS];
        state.tensormap = number(tensormap as u64, i32::MAX);
    }

    /// Keeps the state at a border.
    pub fn border(&self, at: &ScopeBorder<'_>) {
        let record = Record {
            site: site(at.site),
            phase: at.border,
            depth: number(at.depth as u64, i16::MAX),
            ring: number(at.ring as u64, i16::MAX),
            task_window_start: number(at.tasks.0.into(), i32::MAX),
            task_window_end: number(at.tasks.1.into(), i32::MAX),
            heap_start: at.heap.0,
            heap_end: at.heap.1,
            tensormap: number(at.tensormap as u64, i32::MAX),
        };
        self.keep(record);
    }

    /// Keeps a record as it is.
    pub fn keep(&self, record: Record) {
        let mut state = lock(&self.0);
        // A map without a bound of its own may hold more than the contract's.
        state.tensormap = state.tensormap.max(record.tensormap);
        state.records.push(record);
    }

    /// Says what rings, by their own tasks and bytes, and the tensor map have room for, as device programs tell it.
    pub fn rooms(&self, tasks: [i32; RINGS], heap: [u64; RINGS], tensormap: i32) {
        let mut state = lock(&self.0);
        (state.task_window, state.heap) = (tasks, heap);
        state.tensormap = state.tensormap.max(tensormap);
    }

    /// Records were lost on their way here; 0 of them is fine.
    pub fn lose(&self, records: u64) {
        lock(&self.0).lost += records;
        warn_lost("scope statistics", records);
    }

    /// An error has ended the run, and the recording.
    pub fn fatal(&self) {
        lock(&self.0).fatal = true;
    }

    pub(super) fn is_fatal(&self) -> bool {
        lock(&self.0).fatal
    }

    pub(super) fn recorded(&self) -> Recorded {
        let state = lock(&self.0);
        Recorded { records: state.records.len() as u64, lost: state.lost() }
    }

    pub(super) fn file(&self) -> run_records::ScopeStats {
        let state = lock(&self.0);
        let dropped = state.lost();
        run_records::ScopeStats {
            header: Header {
                version: VERSION,
                fatal: state.fatal,
                dropped,
                total: state.records.len() as u64 + dropped,
                task_window_max: state.task_window,
                heap_max: state.heap,
                tensormap_max: state.tensormap,
            },
            records: state.records.iter().cloned().collect(),
        }
    }
}

/// The site as files have it.
fn site(site: Option<(&str, i32)>) -> String {
    let Some((file, line)) = site else { return "(unknown):0".to_owned() };
    format!("{}:{line}", site_name(file))
}

/// What records call a file: its name without folders, cut to what they have room for.
#[must_use]
pub fn site_name(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_names_with_lines() {
        assert_eq!(site(Some(("/a/b/orch.cpp", 41))), "orch.cpp:41");
        assert_eq!(site(Some(("orch.cpp", 1))), "orch.cpp:1");
        assert_eq!(site(None), "(unknown):0");
        assert_eq!(site(Some((&"x".repeat(40), 2))), format!("{}:2", "x".repeat(31)));
        assert_eq!(site(Some((&"\u{e4}".repeat(20), 2))), format!("{}:2", "\u{e4}".repeat(15)));
    }

    #[test]
    fn losses_are_told_and_the_map_may_hold_more_than_it_said() {
        let stats = ScopeStats::default();
        lock(&stats.0).records = Log::with_limit(1);
        stats.capacities(u32::MAX, 1024, 10);
        let border = ScopeBorder {
            site: None,
            border: Border::Begin,
            depth: 70_000,
            ring: 3,
            tasks: (1, 5),
            heap: (64, 0),
            tensormap: 12,
        };
        stats.border(&border);
        stats.border(&ScopeBorder { border: Border::End, ..border });
        assert_eq!(stats.recorded(), Recorded { records: 1, lost: 1 });
        let file = stats.file();
        assert_eq!((file.header.total, file.header.dropped, file.header.fatal), (2, 1, false));
        assert_eq!((file.header.tensormap_max, file.header.task_window_max), (12, [i32::MAX; 4]));
        assert_eq!((file.records[0].depth, file.records[0].tasks_alive()), (i16::MAX, 4));
        stats.fatal();
        assert!(stats.is_fatal() && stats.file().header.fatal);
    }
}
