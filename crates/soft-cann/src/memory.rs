//! The memory of one device: what is allocated, and what is wrong with an address.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;
use std::sync::{Mutex, OnceLock};

use crate::codes;
use crate::region::{Alias, Region, UNIT, pointer};
use crate::report::{Violation, ViolationKind};
use crate::sync::lock;

/// Addresses of one device: far more than its capacity, so that freed ones stay unused for long.
const ADDRESSES: u64 = 64 << 30;

/// Red zone on each side of an allocation, in bytes. It is what keeps buffers from being better aligned than
/// CANN promises, too.
const GUARD: u64 = 64;
const GUARD_BYTE: u8 = 0xC7;
/// What fresh memory is filled with: a program that counts on zeroes finds out.
const FRESH_BYTE: u8 = 0xA5;
/// Larger buffers are filled at their two ends only, [`FILLED_END`] bytes each.
const FILLED_WHOLLY: u64 = 1 << 20;
const FILLED_END: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Memory {
    /// Reserved by the first allocation.
    region: OnceLock<Region>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    live: BTreeMap<u64, Allocation>,
    /// Freed and not handed out again: start and end of the units.
    freed: BTreeMap<u64, Freed>,
    used: u64,
    limit: u64,
    /// Where the next search for room begins.
    cursor: u64,
}

#[derive(Debug)]
struct Allocation {
    size: u64,
    /// What it takes off the capacity.
    charged: u64,
    /// Mapped into the host by halHostRegister.
    alias: Option<Alias>,
}

#[derive(Clone, Copy, Debug)]
struct Freed {
    address: u64,
    size: u64,
    end: u64,
    /// By a reset, which also ends what may still use it.
    swept: bool,
}

/// A call that is refused, and what to report about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) violation: Option<Violation>,
}

impl From<i32> for Refusal {
    fn from(code: i32) -> Self {
        Self { code, violation: None }
    }
}

impl Refusal {
    pub(crate) fn new(code: i32, kind: ViolationKind, text: String) -> Self {
        Self { code, violation: Some(Violation { kind, text }) }
    }
}

fn unit_of(address: u64) -> u64 {
    address - GUARD
}

fn end_of(address: u64, size: u64) -> u64 {
    (address + size + GUARD).next_multiple_of(UNIT)
}

impl Memory {
    /// Memory of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let state = State { live: BTreeMap::new(), freed: BTreeMap::new(), used: 0, limit, cursor: 0 };
        Self { region: OnceLock::new(), state: Mutex::new(state) }
    }

    pub(crate) fn set_limit(&self, bytes: u64) {
        lock(&self.state).limit = bytes;
    }

    /// Takes `size` bytes off the capacity without an address, as code on the device does.
    pub(crate) fn charge(&self, size: u64) -> Result<(), i32> {
        let mut state = lock(&self.state);
        let used = state.used.checked_add(size).filter(|used| *used <= state.limit);
        state.used = used.ok_or(codes::MEMORY_ALLOCATION)?;
        Ok(())
    }

    pub(crate) fn discharge(&self, size: u64) {
        let mut state = lock(&self.state);
        state.used = state.used.saturating_sub(size);
    }

    /// A new buffer of `size` bytes, filled with a pattern; it takes `charged` off the capacity.
    pub(crate) fn allocate(&self, size: u64, charged: u64) -> Result<u64, i32> {
        if size > ADDRESSES {
            return Err(codes::MEMORY_ALLOCATION);
        }
        self.charge(charged)?;
        let region = self.region().ok_or(codes::MEMORY_ALLOCATION);
        let placed = region.and_then(|region| self.place(region, size, charged));
        if placed.is_err() {
            self.discharge(charged);
        }
        placed
    }

    fn region(&self) -> Option<&Region> {
        if self.region.get().is_none() {
            match Region::reserve(ADDRESSES) {
                // Two threads may come here at once; the region that loses is dropped.
                Ok(region) => drop(self.region.set(region)),
                Err(error) => log::error!("this machine has no room for the memory of a device: {error}"),
            }
        }
        self.region.get()
    }

    fn place(&self, region: &Region, size: u64, charged: u64) -> Result<u64, i32> {
        let mut state = lock(&self.state);
        let unit = state.room(region, GUARD + size + GUARD).ok_or(codes::MEMORY_ALLOCATION)?;
        let address = unit + GUARD;
        state.cursor = end_of(address, size);
        let reused: Vec<u64> = state
            .freed
            .range(..state.cursor)
            .rev()
            // They do not overlap, and there are many.
            .take_while(|(_, freed)| freed.end > unit)
            .map(|(start, _)| *start)
            .collect();
        for start in reused {
            state.freed.remove(&start);
        }
        region.discard(unit, state.cursor - unit);
        fill(unit, GUARD, GUARD_BYTE);
        if size <= FILLED_WHOLLY {
            fill(address, size, FRESH_BYTE);
        } else {
            fill(address, FILLED_END, FRESH_BYTE);
            fill(address + size - FILLED_END, FILLED_END, FRESH_BYTE);
        }
        fill(address + size, GUARD, GUARD_BYTE);
        state.live.insert(address, Allocation { size, charged, alias: None });
        Ok(address)
    }

    /// Gives a buffer back. Damage to its red zones is returned, and is no reason to refuse.
    pub(crate) fn free(&self, address: u64) -> Result<Option<Violation>, Refusal> {
        let mut state = lock(&self.state);
        let Some(allocation) = state.live.get(&address) else {
            let (kind, text) = state.describe(address);
            return Err(Refusal::new(codes::PARAM_INVALID, kind, format!("free of {text}")));
        };
        if allocation.alias.is_some() {
            let text =
                format!("free of {address:#x}, which is still mapped into the host by halHostRegister");
            return Err(Refusal::new(codes::PARAM_INVALID, ViolationKind::HostMapping, text));
        }
        let (size, charged) = (allocation.size, allocation.charged);
        let damage = guard_damage(address, size);
        state.live.remove(&address);
        state.used = state.used.saturating_sub(charged);
        let end = end_of(address, size);
        state.freed.insert(unit_of(address), Freed { address, size, end, swept: false });
        if let Some(region) = self.region.get() {
            region.discard(unit_of(address), end - unit_of(address));
        }
        Ok(damage)
    }

    /// Whether `[address, address + size)` lies wholly inside of one buffer.
    pub(crate) fn check(&self, what: &str, address: u64, size: u64) -> Result<(), Refusal> {
        let state = lock(&self.state);
        if let Some((start, allocation)) = state.buffer_at(address) {
            if size <= start + allocation.size - address {
                return Ok(());
            }
            let text = format!(
                "{what} of {size} bytes at {address:#x} runs over the end of the {} bytes at {start:#x}",
                allocation.size
            );
            return Err(Refusal::new(codes::PARAM_INVALID, ViolationKind::OutOfBounds, text));
        }
        let (kind, text) = state.describe(address);
        Err(Refusal::new(codes::PARAM_INVALID, kind, format!("{what} of {size} bytes at {text}")))
    }

    /// Whether the address belongs to this device, allocated or not.
    pub(crate) fn owns(&self, address: u64) -> bool {
        self.region.get().is_some_and(|region| (region.base()..region.end()).contains(&address))
    }

    /// The memory file, and where in it an address is.
    pub(crate) fn place_of(&self, address: u64) -> Option<(RawFd, u64)> {
        self.region.get().map(|region| region.place(address))
    }

    /// Start and size of all buffers.
    pub(crate) fn live(&self) -> Vec<(u64, u64)> {
        lock(&self.state).live.iter().map(|(address, allocation)| (*address, allocation.size)).collect()
    }

    /// All buffers that are mapped into the host.
    pub(crate) fn host_mapped(&self) -> Vec<u64> {
        let state = lock(&self.state);
        state
            .live
            .iter()
            .filter(|(_, allocation)| allocation.alias.is_some())
            .map(|(address, _)| *address)
            .collect()
    }

    /// A second mapping of `[address, address + size)`. One buffer has one at the most.
    pub(crate) fn map_to_host(&self, address: u64, size: u64) -> Result<u64, Refusal> {
        self.check("halHostRegister", address, size)
            .map_err(|refusal| Refusal { code: codes::DRV_INVALID_VALUE, ..refusal })?;
        let mut state = lock(&self.state);
        let start = state.buffer_at(address).map_or(address, |(start, _)| start);
        let (Some(region), Some(allocation)) = (self.region.get(), state.live.get_mut(&start)) else {
            return Err(codes::DRV_INVALID_VALUE.into());
        };
        if allocation.alias.is_some() {
            let text = format!("halHostRegister of {address:#x}, which is mapped into the host already");
            return Err(Refusal::new(codes::DRV_REPEATED_USED, ViolationKind::HostMapping, text));
        }
        let alias = region.alias(address, size).map_err(|_| Refusal::from(codes::DRV_OUT_OF_MEMORY))?;
        let mapped = alias.address;
        allocation.alias = Some(alias);
        Ok(mapped)
    }

    /// Takes the second mapping away.
    pub(crate) fn unmap_from_host(&self, address: u64) -> Result<(), Refusal> {
        let mut state = lock(&self.state);
        let start = state.buffer_at(address).map(|(start, _)| start);
        if start.and_then(|start| state.live.get_mut(&start)?.alias.take()).is_some() {
            return Ok(());
        }
        let text = format!("halHostUnregister of {address:#x}, which is not mapped into the host");
        Err(Refusal::new(codes::DRV_INVALID_VALUE, ViolationKind::HostMapping, text))
    }

    /// All buffers that can be reached from these words: they point into it, or a buffer that they reach
    /// does.
    pub(crate) fn reachable(&self, roots: &[u64]) -> BTreeSet<u64> {
        let state = lock(&self.state);
        let mut reached = BTreeSet::new();
        let Some(region) = self.region.get() else { return reached };
        let mut next: Vec<u64> = roots.to_vec();
        while let Some(word) = next.pop() {
            let Some((start, allocation)) = state.buffer_at(word) else { continue };
            if reached.insert(start) {
                pointers_in(region, start, start + allocation.size, &mut next);
            }
        }
        reached
    }

    /// What programs did to memory that they had no business with. Asked at the end, when nothing runs any
    /// more.
    pub(crate) fn damage(&self) -> Vec<Violation> {
        let state = lock(&self.state);
        let Some(region) = self.region.get() else { return Vec::new() };
        let guards =
            state.live.iter().filter_map(|(address, allocation)| guard_damage(*address, allocation.size));
        let freed = state.freed.iter().filter(|(_, freed)| !freed.swept).filter_map(|(unit, freed)| {
            let (at, _) = region.touched(*unit, freed.end)?;
            let text = format!(
                "the buffer at {:#x} of {} bytes was used after it had been freed, near {at:#x}",
                freed.address, freed.size
            );
            Some(Violation { kind: ViolationKind::UseAfterFree, text })
        });
        guards.chain(freed).collect()
    }

    /// Frees everything.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        for (address, allocation) in std::mem::take(&mut state.live) {
            let end = end_of(address, allocation.size);
            state.freed.insert(unit_of(address), Freed { address, size: allocation.size, end, swept: true });
            if let Some(region) = self.region.get() {
                region.discard(unit_of(address), end - unit_of(address));
            }
        }
        state.used = 0;
    }
}

impl State {
    /// The next free run of units after the cursor: addresses come round as late as possible.
    fn room(&self, region: &Region, bytes: u64) -> Option<u64> {
        let from = self.cursor.max(region.base());
        self.room_within(from, region.end(), bytes).or_else(|| self.room_within(region.base(), from, bytes))
    }

    fn room_within(&self, from: u64, end: u64, bytes: u64) -> Option<u64> {
        let mut start = from.next_multiple_of(UNIT);
        for (address, allocation) in self.live.range(from..) {
            if start.checked_add(bytes)? <= unit_of(*address) {
                break;
            }
            start = end_of(*address, allocation.size);
        }
        (start.checked_add(bytes)?.next_multiple_of(UNIT) <= end).then_some(start)
    }

    fn buffer_at(&self, address: u64) -> Option<(u64, &Allocation)> {
        let (start, allocation) = self.live.range(..=address).next_back()?;
        (address - start < allocation.size).then_some((*start, allocation))
    }

    /// What is known about an address that is not the start of a buffer.
    fn describe(&self, address: u64) -> (ViolationKind, String) {
        if let Some((start, _)) = self.buffer_at(address) {
            return (
                ViolationKind::UnknownPointer,
                format!("{address:#x}, inside of the buffer at {start:#x}"),
            );
        }
        match self.freed.range(..=address).next_back() {
            Some((_, freed)) if address < freed.end => {
                (ViolationKind::UseAfterFree, format!("{address:#x}, in a buffer that has been freed"))
            }
            _ => (ViolationKind::UnknownPointer, format!("{address:#x}, which is no memory of this device")),
        }
    }
}

fn fill(address: u64, size: u64, byte: u8) {
    if let Ok(size) = usize::try_from(size) {
        // SAFETY: callers pass ranges of units of the region that the state's lock makes theirs.
        unsafe { pointer(address).write_bytes(byte, size) };
    }
}

fn guard_damage(address: u64, size: u64) -> Option<Violation> {
    let damaged = |start: u64| (start..start + GUARD).find(|at| read_byte(*at) != GUARD_BYTE);
    let at = damaged(address + size).or_else(|| damaged(unit_of(address)))?;
    let text = format!("{at:#x} was written, outside of the buffer at {address:#x} of {size} bytes");
    Some(Violation { kind: ViolationKind::GuardDamaged, text })
}

fn read_byte(address: u64) -> u8 {
    // SAFETY: callers pass addresses of live units, which are mapped; a device program may write at the same
    // time, hence volatile, and any value is a valid byte.
    unsafe { pointer(address).read_volatile() }
}

/// Collects the words of a range that could be addresses of the region. Pages that nobody touched are
/// skipped.
fn pointers_in(region: &Region, start: u64, end: u64, found: &mut Vec<u64>) {
    let mut from = start;
    while let Some((touched, until)) = region.touched(from, end) {
        let mut at = touched.max(start).next_multiple_of(8);
        while at + 8 <= until {
            // SAFETY: an aligned word of a live buffer, which is mapped; volatile as in read_byte.
            let word = unsafe { pointer(at).cast::<u64>().read_volatile() };
            if (region.base()..region.end()).contains(&word) {
                found.push(word);
            }
            at += 8;
        }
        from = until;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Allocate(u64),
        /// Frees the buffer at this place in the order of allocation, modulo how many there are.
        Free(usize),
        /// Writes the last byte of a buffer.
        Write(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..300_000_u64).prop_map(Step::Allocate),
            any::<usize>().prop_map(Step::Free),
            (any::<usize>(), any::<u8>()).prop_map(|(index, byte)| Step::Write(index, byte)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The model is a list of buffers with the byte at the end of each.
        #[test]
        fn buffers_are_apart_and_counted(steps in proptest::collection::vec(step(), 1..60)) {
            const LIMIT: u64 = 2_000_000;
            let memory = Memory::new(LIMIT);
            let mut model: Vec<(u64, u64, u8)> = Vec::new();
            for step in steps {
                let used: u64 = model.iter().map(|(_, size, _)| size).sum();
                match step {
                    Step::Allocate(size) => match memory.allocate(size, size) {
                        Ok(address) => {
                            prop_assert!(used + size <= LIMIT && address % 64 == 0 && memory.owns(address));
                            let apart = |(start, length, _): &(u64, u64, u8)| {
                                address + size < *start || start + length < address
                            };
                            prop_assert!(model.iter().all(apart));
                            model.push((address, size, FRESH_BYTE));
                        }
                        Err(code) => {
                            prop_assert_eq!(code, codes::MEMORY_ALLOCATION);
                            prop_assert!(used + size > LIMIT);
                        }
                    },
                    Step::Free(index) if !model.is_empty() => {
                        let (address, size, byte) = model.remove(index % model.len());
                        prop_assert_eq!(read_byte(address + size - 1), byte);
                        prop_assert!(memory.free(address).expect("a buffer").is_none());
                        let again = memory.free(address).expect_err("freed").violation.expect("a reason");
                        prop_assert_eq!(again.kind, ViolationKind::UseAfterFree);
                        prop_assert!(memory.check("a use", address, 1).is_err());
                    }
                    Step::Write(index, byte) if !model.is_empty() => {
                        let index = index % model.len();
                        let (address, size, last) = &mut model[index];
                        fill(*address + *size - 1, 1, byte);
                        *last = byte;
                    }
                    Step::Free(_) | Step::Write(..) => {}
                }
                let mut expected: Vec<_> = model.iter().map(|(address, size, _)| (*address, *size)).collect();
                expected.sort_unstable();
                prop_assert_eq!(memory.live(), expected);
            }
            prop_assert_eq!(memory.damage(), vec![]);
            memory.clear();
            prop_assert!(memory.live().is_empty() && memory.charge(LIMIT).is_ok());
        }
    }

    #[test]
    fn addresses_come_round_when_there_are_no_others() {
        let memory = Memory::new(u64::MAX);
        let half = ADDRESSES / 2 - UNIT;
        let first = memory.allocate(half, 0).expect("room");
        let second = memory.allocate(half, 0).expect("room");
        assert_eq!(memory.allocate(half, 0), Err(codes::MEMORY_ALLOCATION));
        memory.free(first).expect("a buffer");
        assert_eq!(memory.allocate(half, 0), Ok(first));
        memory.free(second).expect("a buffer");
        assert_eq!(memory.allocate(1, 0), Ok(second));
        assert_eq!(memory.damage(), []);
    }

    #[test]
    fn buffers_are_reached_through_buffers() {
        let memory = Memory::new(u64::MAX);
        let buffers: Vec<u64> = (0..4).map(|_| memory.allocate(2 << 20, 0).expect("room")).collect();
        let put = |at: u64, word: u64| {
            // SAFETY: an aligned word of a buffer of this test.
            unsafe { pointer(at).cast::<u64>().write(word) }
        };
        put(buffers[0] + (1 << 20), buffers[1] + 77);
        put(buffers[1], buffers[2]);
        put(buffers[2] + (2 << 20) - 8, buffers[0]);
        let expected = BTreeSet::from([buffers[0], buffers[1], buffers[2]]);
        assert_eq!(memory.reachable(&[1, buffers[0] + 5, u64::MAX]), expected);
        assert_eq!(memory.reachable(&[]), BTreeSet::new());
    }
}
