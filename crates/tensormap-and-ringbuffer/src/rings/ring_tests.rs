//! Rings as a whole, and against a model that keeps every task it ever saw.

use proptest::prelude::*;
use task_interface::trb::{DEP_POOL_SIZE, TASK_WINDOW_SIZE};

use super::error::{DepsError, NotAlive};
use super::ring::Freed;
use super::*;

fn ring(window: u32, heap: u64, dep_pool: u32) -> Ring {
    Ring::new(&RingConfig { window, heap, dep_pool }).unwrap()
}

#[test]
fn impossible_sizes_are_refused() {
    let sizes = RingConfig::default();
    assert_eq!((sizes.window as usize, sizes.dep_pool as usize), (TASK_WINDOW_SIZE, DEP_POOL_SIZE));
    assert!(Ring::new(&sizes).is_ok());
    let error = |config| Ring::new(&config).unwrap_err().to_string();
    assert!(error(RingConfig { window: 5, ..sizes }).contains("window of 5"));
    assert!(error(RingConfig { heap: 100, ..sizes }).contains("heap of 100"));
    assert!(error(RingConfig { dep_pool: 1, ..sizes }).contains("pool of 1"));
}

#[test]
fn the_smallest_ring_works_round_and_round() {
    let mut ring = ring(4, 1024, 4);
    for turn in 0..100u32 {
        let ids = [0, 1, 2].map(|_| ring.try_alloc(320).unwrap().local_id);
        assert_eq!(ids, [0, 1, 2].map(|n| turn * 3 + n));
        assert!(matches!(ring.try_alloc(0), Err(Full::Window { alive: 3, window: 4 })));
        for local_id in ids {
            assert_eq!(ring.retire(local_id).unwrap().tasks, local_id..local_id + 1);
        }
    }
    assert_eq!(ring.stats().tasks, Usage { in_use: 0, high_water: 3, capacity: 3 });
    assert_eq!(ring.stats().heap, Usage { in_use: 0, high_water: 960, capacity: 1024 });
}

#[test]
fn one_retirement_can_free_many() {
    let mut ring = ring(8, 1024, 8);
    for count in 1..4 {
        let slot = ring.try_alloc(64).unwrap();
        ring.take_deps(slot.local_id, count).unwrap();
    }
    let nothing = Freed { tasks: 0..0, heap_bytes: 0, dep_entries: 0 };
    assert_eq!(ring.retire(2), Ok(nothing.clone()));
    assert_eq!(ring.retire(1), Ok(nothing));
    assert!(ring.is_alive(2) && !ring.is_alive(3));
    assert_eq!(ring.retire(0), Ok(Freed { tasks: 0..3, heap_bytes: 192, dep_entries: 6 }));
    assert_eq!((ring.first_alive(), ring.next_id()), (3, 3));
}

#[test]
fn failures_change_nothing() {
    let mut ring = ring(4, 1024, 4);
    ring.try_alloc(512).unwrap();
    ring.take_deps(0, 3).unwrap();
    let before = format!("{ring:?}");
    let full = ring.try_alloc(1024).unwrap_err();
    assert_eq!(full, Full::Heap { needed: 1024, free: 512, in_use: 512, size: 1024 });
    assert!(full.to_string().contains("1024 bytes in one piece, the heap has 512"));
    let exhausted = DepsError::Exhausted { needed: 2, free: 1, capacity: 4 };
    assert_eq!(ring.take_deps(0, 2), Err(exhausted));
    let not_alive = NotAlive { local_id: 1, alive: 0..1 };
    assert_eq!(ring.take_deps(1, 1), Err(DepsError::NotAlive(not_alive.clone())));
    assert_eq!(ring.retire(1), Err(not_alive));
    assert_eq!(format!("{ring:?}"), before);
}

#[test]
fn a_task_retires_once() {
    let mut ring = ring(4, 1024, 4);
    (0..2).for_each(|local_id| assert_eq!(ring.try_alloc(64).unwrap().local_id, local_id));
    ring.retire(1).unwrap();
    let again = ring.retire(1).unwrap_err();
    assert_eq!(again, NotAlive { local_id: 1, alive: 0..2 });
    assert!(again.to_string().contains("alive: 0 to below 2"));
    assert!(ring.take_deps(1, 1).is_err_and(|error| error.is_permanent()));
}

#[test]
fn waiting_is_in_vain_only_for_what_never_fits() {
    let mut ring = ring(4, 2048, 4);
    assert!(ring.would_ever_fit(2048) && !ring.would_ever_fit(2049));
    assert!(ring.try_alloc(2049).unwrap_err().is_permanent());
    (0..3).for_each(|_| assert_eq!(ring.try_alloc(0).map(|slot| slot.heap_len), Ok(0)));
    assert!(!ring.try_alloc(0).unwrap_err().is_permanent());
    assert!(Full::Numbers.is_permanent());
}

#[test]
fn clear_starts_over() {
    let mut ring = ring(4, 1024, 4);
    for bytes in [512, 0, 256] {
        let slot = ring.try_alloc(bytes).unwrap();
        ring.take_deps(slot.local_id, 1).unwrap();
    }
    ring.retire(1).unwrap();
    ring.clear();
    let fresh = Ring::new(&RingConfig { window: 4, heap: 1024, dep_pool: 4 }).unwrap();
    assert_eq!(ring.stats(), fresh.stats());
    assert_eq!(ring.try_alloc(1024).unwrap(), Slot { local_id: 0, slot: 0, heap_offset: 0, heap_len: 1024 });
}

/// A task as the model remembers it, for ever.
#[derive(Clone, Debug)]
struct Seen {
    start: u64,
    end: u64,
    deps: u32,
    consumed: bool,
}

/// The rules of section 4.10, read from the history of all tasks.
#[derive(Debug, Default)]
struct Model {
    seen: Vec<Seen>,
    ended: usize,
}

impl Model {
    fn alive(&self) -> &[Seen] {
        &self.seen[self.ended..]
    }

    /// Where the youngest block of these tasks ends, 0 if they have none.
    fn last_end(tasks: &[Seen]) -> u64 {
        tasks.iter().rev().find(|task| task.end > task.start).map_or(0, |task| task.end)
    }

    /// Where a block of `len` bytes must go.
    fn place(&self, len: u64, size: u64) -> Option<u64> {
        let (top, tail) = match self.is_idle() {
            true => (0, 0),
            false => (Self::last_end(self.alive()), Self::last_end(&self.seen[..self.ended])),
        };
        match (len, top >= tail) {
            (0, _) => Some(top),
            (_, true) if top + len <= size => Some(top),
            (_, true) => (len < tail).then_some(0),
            (_, false) => (top + len < tail).then_some(top),
        }
    }

    fn is_idle(&self) -> bool {
        self.alive().iter().all(|task| task.start == task.end)
    }

    /// An empty heap starts over, as if there had been no blocks before.
    fn forget_blocks_when_idle(&mut self) {
        if self.is_idle() {
            for task in &mut self.seen {
                (task.start, task.end) = (0, 0);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u64),
    Deps(usize, u32),
    Retire(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..=1600).prop_map(Step::Alloc),
        2 => prop::sample::select(vec![0, 64, 512, 1024, 2048, 4096]).prop_map(Step::Alloc),
        2 => (any::<prop::sample::Index>(), 0u32..6).prop_map(|(index, count)| Step::Deps(index.index(16), count)),
        5 => (any::<prop::sample::Index>()).prop_map(|index| Step::Retire(index.index(3))),
    ]
}

fn alloc(ring: &mut Ring, model: &mut Model, bytes: u64, size: u64) {
    let len = bytes.next_multiple_of(64);
    let local_id = model.seen.len();
    let result = ring.try_alloc(bytes);
    let stats = ring.stats();
    if model.alive().len() as u64 == stats.tasks.capacity {
        assert!(matches!(result, Err(Full::Window { .. })));
        return;
    }
    let Some(start) = model.place(len, size) else {
        let Err(Full::Heap { needed, free, .. }) = result else { panic!("{result:?}") };
        assert!(needed == len && free < len, "{free} {len}");
        let largest =
            (0..=size / 64).map(|n| n * 64).filter(|&len| len == 0 || model.place(len, size).is_some());
        assert_eq!(largest.max(), Some(free));
        return;
    };
    let slot = result.unwrap();
    assert_eq!((slot.local_id as usize, slot.heap_offset, slot.heap_len), (local_id, start, len));
    assert_eq!(u64::from(slot.slot), u64::from(slot.local_id) % (stats.tasks.capacity + 1));
    assert!(start + len <= size);
    let apart = |task: &Seen| task.end <= start || start + len <= task.start;
    assert!(model.alive().iter().filter(|task| task.start < task.end).all(|task| len == 0 || apart(task)));
    model.seen.push(Seen { start, end: start + len, deps: 0, consumed: false });
}

fn retire(ring: &mut Ring, model: &mut Model, task: usize) {
    let result = ring.retire(u32::try_from(task).unwrap());
    if model.seen[task].consumed {
        assert!(result.is_err());
        return;
    }
    model.seen[task].consumed = true;
    let first = model.ended;
    let tasks = &model.seen[first..];
    let count = tasks.iter().take_while(|task| task.consumed).count();
    let freed = result.unwrap();
    assert_eq!(freed.tasks.start as usize..freed.tasks.end as usize, first..first + count);
    assert_eq!(freed.heap_bytes, tasks[..count].iter().map(|task| task.end - task.start).sum::<u64>());
    assert_eq!(freed.dep_entries, tasks[..count].iter().map(|task| u64::from(task.deps)).sum::<u64>());
    model.ended += count;
    model.forget_blocks_when_idle();
}

fn take_deps(ring: &mut Ring, model: &mut Model, task: usize, count: u32) {
    let capacity = ring.stats().deps.capacity;
    let in_use: u64 = model.alive().iter().map(|task| u64::from(task.deps)).sum();
    let possible = !model.seen[task].consumed && in_use + u64::from(count) <= capacity;
    assert_eq!(ring.take_deps(u32::try_from(task).unwrap(), count).is_ok(), possible);
    if possible {
        model.seen[task].deps += count;
    }
}

fn check_stats(ring: &Ring, model: &Model) {
    let stats = ring.stats();
    let alive = model.alive();
    assert_eq!(stats.tasks.in_use, alive.len() as u64);
    assert_eq!(stats.heap.in_use, alive.iter().map(|task| task.end - task.start).sum::<u64>());
    assert_eq!(stats.deps.in_use, alive.iter().map(|task| u64::from(task.deps)).sum::<u64>());
    for usage in [stats.tasks, stats.heap, stats.deps] {
        assert!(usage.in_use <= usage.high_water && usage.high_water <= usage.capacity);
    }
}

proptest! {
    #[test]
    fn a_ring_does_what_the_model_says(
        window in prop::sample::select(vec![4u32, 8, 64]),
        size in prop::sample::select(vec![1024u64, 2048, 4096]),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (mut ring, mut model) = (ring(window, size, 8), Model::default());
        for step in steps {
            match step {
                Step::Alloc(bytes) => alloc(&mut ring, &mut model, bytes, size),
                _ if model.seen.is_empty() => {}
                Step::Deps(back, count) => {
                    let task = model.seen.len().saturating_sub(1 + back);
                    take_deps(&mut ring, &mut model, task, count);
                }
                Step::Retire(ahead) => {
                    let task = (model.ended + ahead).min(model.seen.len() - 1);
                    retire(&mut ring, &mut model, task);
                }
            }
            check_stats(&ring, &model);
        }
        for task in model.ended..model.seen.len() {
            if !model.seen[task].consumed {
                retire(&mut ring, &mut model, task);
            }
        }
        prop_assert_eq!(ring.first_alive(), ring.next_id());
        prop_assert_eq!(ring.try_alloc(size).map(|slot| slot.heap_offset), Ok(0));
    }

    #[test]
    fn what_ever_fits_fits_an_empty_ring(bytes in any::<u64>(), small in 0u64..4096) {
        for bytes in [bytes, small] {
            let mut ring = ring(4, 2048, 4);
            let fits = ring.would_ever_fit(bytes);
            let result = ring.try_alloc(bytes);
            prop_assert_eq!(result.is_ok(), fits);
            prop_assert_eq!(result.is_err_and(|full| full.is_permanent()), !fits);
        }
    }
}
