//! The map against a plain list of everything inserted, and its bound on memory.

use proptest::prelude::*;
use task_interface::DataType;
use task_interface::trb::{MAX_RING_DEPTH, OverlapStatus, TaskToken, Tensor};

use super::overlap::overlap;
use super::{Handle, Region, TensorMap};

/// `len` floats from `start` on, in a buffer of 64.
fn floats(addr: u64, start: u32, len: u32) -> Region {
    let buffer = Tensor::contiguous(addr, 256, &[64], DataType::Float32).unwrap();
    Region::new(&Tensor { start_offset: u64::from(start), shapes: [len, 0, 0, 0, 0], ..buffer })
}

fn found(
    map: &TensorMap,
    probe: &Region,
    alive: impl Fn(TaskToken) -> bool,
) -> Vec<(TaskToken, OverlapStatus, Handle)> {
    let mut found = Vec::new();
    map.overlapping(probe, alive, |producer, status, handle| found.push((producer, status, handle)));
    found
}

fn producers(map: &TensorMap, probe: &Region) -> Vec<u32> {
    found(map, probe, |_| true).iter().map(|(producer, ..)| producer.local()).collect()
}

#[test]
fn an_empty_map_finds_and_drops_nothing() {
    let mut map = TensorMap::default();
    assert!(producers(&map, &floats(0, 0, 64)).is_empty());
    assert_eq!(map.drop_retired(0, 100, |_, _| ()), 0);
    map.clear();
    assert!(map.is_empty());
    assert_eq!((map.len(), map.slots()), (0, 0));
}

#[test]
fn only_the_exact_buffer_address_counts() {
    let mut map = TensorMap::new();
    map.insert(floats(0x1000, 0, 64), TaskToken::new(0, 0));
    map.insert(floats(0x1004, 0, 64), TaskToken::new(0, 1));
    assert_eq!(producers(&map, &floats(0x1000, 0, 64)), [0]);
    assert_eq!(producers(&map, &floats(0x1004, 0, 64)), [1]);
    assert!(producers(&map, &floats(0x1008, 0, 64)).is_empty());
    assert_eq!(floats(0x1000, 0, 1).addr(), 0x1000);
}

#[test]
fn writers_come_in_order_with_their_status() {
    let mut map = TensorMap::new();
    for (local, start, len) in [(0, 0, 16), (1, 16, 16), (2, 8, 48), (3, 60, 4)] {
        map.insert(floats(64, start, len), TaskToken::new(1, local));
    }
    let met = found(&map, &floats(64, 0, 32), |_| true);
    let met: Vec<_> = met.iter().map(|&(producer, status, _)| (producer.local(), status)).collect();
    let expected = [(0, OverlapStatus::Covered), (1, OverlapStatus::Covered), (2, OverlapStatus::Other)];
    assert_eq!(met, expected);
}

#[test]
fn dead_producers_are_passed_over() {
    let mut map = TensorMap::new();
    (0..4).for_each(|local| _ = map.insert(floats(64, 0, 8), TaskToken::new(0, local)));
    let met = found(&map, &floats(64, 0, 8), |producer| producer.local() >= 2);
    assert_eq!(met.iter().map(|(producer, ..)| producer.local()).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(map.len(), 4);
}

#[test]
fn retirement_drops_one_ring_up_to_its_mark() {
    let mut map = TensorMap::new();
    for local in 0..10 {
        map.insert(floats(64, 0, 8), TaskToken::new(0, local));
        map.insert(floats(64, 0, 8), TaskToken::new(3, local));
    }
    assert_eq!(map.drop_retired(0, 7, |_, _| ()), 7);
    assert_eq!(map.drop_retired(0, 7, |_, _| ()), 0);
    assert_eq!(map.drop_retired(1, 100, |_, _| ()), 0);
    assert_eq!(map.drop_retired(3, 10, |_, _| ()), 10);
    assert_eq!(map.drop_retired(200, 10, |_, _| ()), 0);
    assert_eq!(producers(&map, &floats(64, 0, 8)), [7, 8, 9]);
    assert_eq!((map.len(), map.high_water()), (3, 20));
}

#[test]
fn a_producer_out_of_order_is_dropped_late_but_never_early() {
    let mut map = TensorMap::new();
    map.insert(floats(64, 0, 8), TaskToken::new(0, 5));
    map.insert(floats(64, 0, 8), TaskToken::new(0, 2));
    assert_eq!(map.drop_retired(0, 4, |_, _| ()), 0);
    assert_eq!(map.drop_retired(0, 6, |_, _| ()), 2);
}

#[test]
fn an_old_handle_removes_nothing() {
    let mut map = TensorMap::new();
    let first = map.insert(floats(64, 0, 8), TaskToken::new(0, 0));
    assert!(map.remove(first));
    assert!(!map.remove(first), "gone");
    let second = map.insert(floats(64, 0, 8), TaskToken::new(0, 1));
    assert_eq!(map.slots(), 1, "the slot is used again");
    assert!(!map.remove(first), "the slot has another entry");
    map.clear();
    assert!(!map.remove(second));
    assert!(!map.remove(handle_of_a_larger_map()));
}

/// A handle to a slot that a map of one slot does not have.
fn handle_of_a_larger_map() -> Handle {
    let mut other = TensorMap::new();
    (0..9).map(|local| other.insert(floats(0, 0, 1), TaskToken::new(0, local))).last().unwrap()
}

#[test]
fn any_ring_number_is_taken() {
    let mut map = TensorMap::new();
    map.insert(floats(64, 0, 8), TaskToken::INVALID);
    map.insert(floats(64, 0, 8), TaskToken::new(200, 1));
    assert_eq!(map.drop_retired(200, 2, |_, _| ()), 1);
    assert_eq!(map.drop_retired(255, u32::MAX, |_, _| ()), 0);
    map.clear();
    assert!(map.is_empty());
}

/// 1 000 000 entries with 500 tasks alive at a time, each on a buffer of its own or on one of a few.
#[test]
fn memory_follows_the_tasks_alive() {
    const ALIVE: u32 = 500;
    for buffers in [7, u64::MAX] {
        let mut map = TensorMap::new();
        for local in 0..500_000u32 {
            map.drop_retired(0, local.saturating_sub(ALIVE), |_, _| ());
            for arg in 0..2 {
                let buffer = (u64::from(local) * 2 + arg) % buffers;
                map.insert(floats(0x10_0000 + 1024 * buffer, 0, 8), TaskToken::new(0, local));
            }
        }
        let most = 2 * (ALIVE as usize + 1);
        assert_eq!((map.len(), map.high_water(), map.slots()), (most, most, most));
        assert_eq!(map.drop_retired(0, 500_000, |_, _| ()), most);
        assert_eq!((map.len(), map.slots()), (0, most));
    }
}

/// The model: everything inserted, with what has become of it.
#[derive(Debug, Default)]
struct Model {
    inserted: Vec<Inserted>,
    first_alive: [u32; MAX_RING_DEPTH],
    next: [u32; MAX_RING_DEPTH],
}

#[derive(Debug)]
struct Inserted {
    region: Region,
    producer: TaskToken,
    handle: Handle,
    held: bool,
}

impl Model {
    fn is_alive(&self, producer: TaskToken) -> bool {
        producer.local() >= self.first_alive[usize::from(producer.ring())]
    }

    fn met(&self, probe: &Region) -> Vec<(TaskToken, OverlapStatus, Handle)> {
        let held = self.inserted.iter().filter(|entry| entry.held && self.is_alive(entry.producer));
        held.filter(|entry| entry.region.addr == probe.addr)
            .map(|entry| (entry.producer, overlap(probe, &entry.region), entry.handle))
            .filter(|&(_, status, _)| status != OverlapStatus::NoOverlap)
            .collect()
    }

    fn held(&self) -> usize {
        self.inserted.iter().filter(|entry| entry.held).count()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A task of a ring that writes this many regions.
    Submit(u8, Vec<Region>),
    Lookup(Region),
    Remove(prop::sample::Index),
    /// What an INOUT argument does: look up, then remove what is covered.
    Cover(Region),
    /// Tasks of a ring retire; the map may be told later.
    Retire(u8, u32),
    Tell(u8),
    Clear,
}

fn region() -> impl Strategy<Value = Region> {
    let addr = prop_oneof![3 => 0u64..4, 1 => 0u64..400].prop_map(|buffer| 0xF000_0000 + buffer * 1024);
    (addr, 0u32..48, 1u32..=16, -1i32..=0)
        .prop_map(|(addr, start, len, version)| Region { version, ..floats(addr, start, len) })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..4u8, prop::collection::vec(region(), 0..5)).prop_map(|(ring, regions)| Step::Submit(ring, regions)),
        20 => region().prop_map(Step::Lookup),
        10 => any::<prop::sample::Index>().prop_map(Step::Remove),
        10 => region().prop_map(Step::Cover),
        10 => (0..4u8, 0u32..8).prop_map(|(ring, count)| Step::Retire(ring, count)),
        10 => (0..4u8).prop_map(Step::Tell),
        1 => Just(Step::Clear),
    ]
}

fn submit(map: &mut TensorMap, model: &mut Model, ring: u8, regions: Vec<Region>) {
    let producer = TaskToken::new(ring, model.next[usize::from(ring)]);
    model.next[usize::from(ring)] += 1;
    for region in regions {
        let handle = map.insert(region, producer);
        model.inserted.push(Inserted { region, producer, handle, held: true });
    }
}

fn cover(map: &mut TensorMap, model: &mut Model, probe: &Region) {
    let met = model.met(probe);
    assert_eq!(found(map, probe, |producer| model.is_alive(producer)), met);
    for (_, _, handle) in met.into_iter().filter(|&(_, status, _)| status == OverlapStatus::Covered) {
        assert!(map.remove(handle));
        model.inserted.iter_mut().filter(|entry| entry.handle == handle).for_each(|entry| entry.held = false);
    }
}

fn tell(map: &mut TensorMap, model: &mut Model, ring: u8) {
    let mark = model.first_alive[usize::from(ring)];
    let gone =
        |entry: &&mut Inserted| entry.held && entry.producer.ring() == ring && entry.producer.local() < mark;
    let dropped = model.inserted.iter_mut().filter(gone).map(|entry| entry.held = false).count();
    assert_eq!(map.drop_retired(ring, mark, |_, _| ()), dropped);
}

fn apply(map: &mut TensorMap, model: &mut Model, step: Step) {
    match step {
        Step::Submit(ring, regions) => submit(map, model, ring, regions),
        Step::Lookup(probe) => {
            assert_eq!(found(map, &probe, |producer| model.is_alive(producer)), model.met(&probe));
        }
        Step::Remove(_) if model.inserted.is_empty() => {}
        Step::Remove(index) => {
            let index = index.index(model.inserted.len());
            let entry = &mut model.inserted[index];
            assert_eq!(map.remove(entry.handle), std::mem::take(&mut entry.held));
        }
        Step::Cover(probe) => cover(map, model, &probe),
        Step::Retire(ring, count) => {
            let (mark, next) = (&mut model.first_alive[usize::from(ring)], model.next[usize::from(ring)]);
            *mark = (*mark + count).min(next);
        }
        Step::Tell(ring) => tell(map, model, ring),
        Step::Clear => {
            map.clear();
            model.inserted.iter_mut().for_each(|entry| entry.held = false);
        }
    }
}

proptest! {
    #[test]
    fn the_map_does_what_the_model_says(steps in prop::collection::vec(step(), 1..300)) {
        let (mut map, mut model, mut most) = (TensorMap::new(), Model::default(), 0);
        for step in steps {
            apply(&mut map, &mut model, step);
            most = most.max(model.held());
            prop_assert_eq!(map.len(), model.held());
            prop_assert!(map.high_water() <= most);
            prop_assert_eq!(map.slots(), most);
        }
        for ring in 0..4u8 {
            model.first_alive[usize::from(ring)] = model.next[usize::from(ring)];
            tell(&mut map, &mut model, ring);
        }
        prop_assert!(map.is_empty());
    }
}
