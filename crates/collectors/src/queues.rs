use std::collections::HashMap;
use std::mem::offset_of;

use task_interface::records::{ReadyEntry, ReadyQueues, UnitLayout};

use crate::shared::Shared;

/// Units of one kind, whose states lie side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) layout: UnitLayout,
    /// Where the first state is in the block.
    pub(crate) offset: usize,
    pub(crate) units: u32,
    /// Buffers are handed out full of zeros, as not every record in them may be written.
    pub(crate) clean: bool,
    /// As many free buffers a unit has while it uses them, if it has slots for them.
    pub(crate) ahead: u32,
}

impl Group {
    pub(crate) fn new(layout: UnitLayout, offset: usize, units: u32) -> Self {
        Self { layout, offset, units, clean: false, ahead: layout.slots }
    }
}

/// Records of one buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full<'a> {
    /// Index of the group.
    pub(crate) group: usize,
    pub(crate) unit: u32,
    pub(crate) records: &'a [u8],
}

/// What became of a group's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) collected: u64,
    /// Records that the device had no room for.
    pub(crate) dropped: u64,
    /// Records that the device could not make.
    pub(crate) mismatched: u64,
    /// Records that the device tried to write, where it counts them.
    pub(crate) total: Option<u64>,
}

impl Tally {
    /// Records that are not there.
    pub(crate) fn lost(&self) -> u64 {
        let known = self.dropped + self.mismatched;
        let missing = self.total.unwrap_or(0).saturating_sub(self.collected);
        known.max(missing)
    }
}

/// The host's side of a collector's queues (`spec/device-abi.md`, section 6.0).
#[derive(Debug)]
pub(crate) struct Queues<S> {
    shared: S,
    layout: ReadyQueues,
    groups: Vec<Group>,
    /// By AICPU thread: the next entry to be taken.
    heads: Vec<u32>,
    /// By group and unit.
    units: Vec<Vec<Unit>>,
    /// By group: buffers that the device has given back.
    spare: Vec<Vec<u64>>,
    /// By group: buffers that it never had.
    fresh: Vec<Vec<u64>>,
    /// The unit that has got a buffer.
    owners: HashMap<u64, (usize, u32)>,
    /// An index that cannot be has been told of.
    told: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    /// Buffers that it ever got.
    given: u32,
    collected: u64,
}

/// Takes the records of a buffer; it may look at whatever else the device has left.
pub(crate) type Sink<'a, S> = dyn FnMut(&mut S, &Full<'_>) -> Result<(), <S as Shared>::Error> + 'a;

/// Memory that is asked for at a time, if there is room for more than one buffer in it: asking takes long.
const PIECE: usize = 1 << 20;

const ENTRY: usize = size_of::<ReadyEntry>();
const BUFFER: usize = offset_of!(ReadyEntry, buffer_ptr);

impl<S: Shared> Queues<S> {
    pub(crate) fn new(shared: S, layout: ReadyQueues, groups: Vec<Group>) -> Self {
        let units = groups.iter().map(|group| vec![Unit::default(); group.units as usize]).collect();
        let (spare, fresh) = (vec![Vec::new(); groups.len()], vec![Vec::new(); groups.len()]);
        let heads = vec![0; layout.threads as usize];
        Self { shared, layout, groups, heads, units, spare, fresh, owners: HashMap::new(), told: false }
    }

    pub(crate) fn into_shared(self) -> S {
        self.shared
    }

    /// Records that a unit at least has room for while nobody looks at its queues.
    pub(crate) fn room(&self) -> u32 {
        let room = |group: &Group| {
            u32::try_from(group.layout.buffer.capacity).unwrap_or(u32::MAX).saturating_mul(group.layout.slots)
        };
        self.groups.iter().map(room).min().unwrap_or(u32::MAX)
    }

    /// Gives each unit its first buffers, and shows the block to the device.
    pub(crate) fn prime(&mut self) -> Result<(), S::Error> {
        for group in 0..self.groups.len() {
            let Group { layout, units, .. } = self.groups[group];
            self.make(group, units as usize * layout.primed as usize)?;
            for unit in 0..units {
                for _ in 0..layout.primed {
                    self.give(group, unit)?;
                }
            }
        }
        self.shared.publish()
    }

    /// Takes what has become full, and sees to it that units have free buffers; whether anything was taken.
    pub(crate) fn poll(&mut self, sink: &mut Sink<'_, S>) -> Result<bool, S::Error> {
        self.shared.refresh()?;
        let mut found = false;
        for thread in 0..self.heads.len() {
            found |= self.drain(thread, sink)?;
        }
        for group in 0..self.groups.len() {
            for unit in 0..self.groups[group].units {
                self.top_up(group, unit)?;
            }
        }
        Ok(found)
    }

    /// Takes all that is there once the device writes no more, also from buffers that it has not filled.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_, S>) -> Result<Vec<Tally>, S::Error> {
        while self.poll(sink)? {}
        self.shared.refresh()?;
        (0..self.groups.len()).map(|group| self.reconcile(group, sink)).collect()
    }

    fn drain(&mut self, thread: usize, sink: &mut Sink<'_, S>) -> Result<bool, S::Error> {
        let capacity = self.layout.capacity;
        let tail = self.shared.load_u32(self.layout.tails + thread * size_of::<u32>())?;
        if tail >= capacity {
            self.tell(&format!(
                "entry {tail} of {capacity} full buffers is the next of AICPU thread {thread}"
            ));
            return Ok(false);
        }
        let mut found = false;
        while self.heads[thread] != tail {
            let head = self.heads[thread];
            let entry = (thread * capacity as usize + head as usize) * ENTRY;
            self.shared.refresh_part(entry, ENTRY)?;
            let buffer = self.shared.load_u64(entry + BUFFER)?;
            if buffer == 0 {
                // The device has counted it, but what is in it cannot be seen yet.
                break;
            }
            let unit = self.shared.load_u32(entry + offset_of!(ReadyEntry, unit))?;
            let kind = self.shared.load_u32(entry + offset_of!(ReadyEntry, kind))?;
            // So that it is not taken for the next one that the device will put there.
            self.shared.store_u64(entry + BUFFER, 0)?;
            self.heads[thread] = (head + 1) % capacity;
            self.shared.store_u32(self.layout.heads + thread * size_of::<u32>(), self.heads[thread])?;
            self.take(buffer, unit, kind, sink)?;
            found = true;
        }
        Ok(found)
    }

    fn take(&mut self, buffer: u64, unit: u32, kind: u32, sink: &mut Sink<'_, S>) -> Result<(), S::Error> {
        let group = self.groups.iter().position(|group| group.layout.kind == kind && unit < group.units);
        let owner = group.map(|group| (group, unit));
        let Some((group, unit)) = owner.filter(|owner| self.owners.get(&buffer) == Some(owner)) else {
            self.tell(&format!("unit {unit} of kind {kind} never had the buffer at {buffer:#x}"));
            return Ok(());
        };
        self.owners.remove(&buffer);
        // Before anything else, so that the device finds one.
        self.top_up(group, unit)?;
        self.collect(group, unit, buffer, sink)?;
        self.spare[group].push(buffer);
        Ok(())
    }

    fn collect(
        &mut self,
        group: usize,
        unit: u32,
        buffer: u64,
        sink: &mut Sink<'_, S>,
    ) -> Result<(), S::Error> {
        let layout = self.groups[group].layout.buffer;
        let mut count = [0; size_of::<u32>()];
        self.shared.read(buffer + layout.count as u64, &mut count)?;
        let count = (u32::from_le_bytes(count) as usize).min(layout.capacity);
        let mut records = vec![0; count * layout.record_bytes];
        self.shared.read(buffer + layout.records as u64, &mut records)?;
        self.units[group][unit as usize].collected += count as u64;
        sink(&mut self.shared, &Full { group, unit, records: &records })
    }

    /// Fills up the queue of a unit that has begun to use it.
    fn top_up(&mut self, group: usize, unit: u32) -> Result<(), S::Error> {
        let Group { layout, ahead, .. } = self.groups[group];
        let taken = self.shared.load_u32(self.state(group, unit) + layout.free_head)?;
        if taken == 0 {
            return Ok(());
        }
        loop {
            let free = self.units[group][unit as usize].given.wrapping_sub(taken);
            if free > layout.slots {
                self.tell(&format!("unit {unit} of kind {} has taken {taken} buffers", layout.kind));
                return Ok(());
            }
            if free >= ahead.min(layout.slots) {
                return Ok(());
            }
            self.give(group, unit)?;
        }
    }

    fn give(&mut self, group: usize, unit: u32) -> Result<(), S::Error> {
        let Group { layout, clean, .. } = self.groups[group];
        let buffer = match self.spare[group].pop() {
            Some(buffer) if clean => {
                self.shared.fill(buffer, &vec![0; layout.buffer.bytes])?;
                buffer
            }
            Some(buffer) => buffer,
            None => self.fresh(group)?,
        };
        let state = self.state(group, unit);
        let given = &mut self.units[group][unit as usize].given;
        let slot = (*given % layout.slots) as usize;
        *given = given.wrapping_add(1);
        let given = *given;
        self.owners.insert(buffer, (group, unit));
        self.shared.store_u64(state + layout.free_slots + slot * size_of::<u64>(), buffer)?;
        self.shared.store_u32(state + layout.free_tail, given)
    }

    /// A buffer that the device never had.
    fn fresh(&mut self, group: usize) -> Result<u64, S::Error> {
        let bytes = self.groups[group].layout.buffer.bytes;
        loop {
            if let Some(buffer) = self.fresh[group].pop() {
                return Ok(buffer);
            }
            self.make(group, (PIECE / bytes).max(1))?;
        }
    }

    /// Makes as many buffers in one piece of memory.
    fn make(&mut self, group: usize, buffers: usize) -> Result<(), S::Error> {
        let Group { layout, clean, .. } = self.groups[group];
        let bytes = layout.buffer.bytes;
        let piece = self.shared.allocate(buffers * bytes)?;
        if clean {
            self.shared.fill(piece, &vec![0; buffers * bytes])?;
        }
        // They are taken from the end.
        self.fresh[group].extend((0..buffers).rev().map(|index| piece + (index * bytes) as u64));
        Ok(())
    }

    fn reconcile(&mut self, group: usize, sink: &mut Sink<'_, S>) -> Result<Tally, S::Error> {
        let Group { layout, units, .. } = self.groups[group];
        let mut tally = Tally { total: layout.total.map(|_| 0), ..Tally::default() };
        for unit in 0..units {
            let state = self.state(group, unit);
            let current = self.shared.load_u64(state + layout.current)?;
            if self.owners.get(&current) == Some(&(group, unit)) {
                // One that is empty stays there. Others should not, but their records are good.
                self.collect(group, unit, current, sink)?;
            }
            let count = |offset: usize| self.shared.load_u32(state + offset).map(u64::from);
            tally.dropped += count(layout.dropped)?;
            tally.mismatched += layout.mismatched.map_or(Ok(0), count)?;
            if let (Some(total), Some(offset)) = (&mut tally.total, layout.total) {
                *total += count(offset)?;
            }
            tally.collected += self.units[group][unit as usize].collected;
        }
        Ok(tally)
    }

    fn state(&self, group: usize, unit: u32) -> usize {
        let Group { layout, offset, .. } = &self.groups[group];
        offset + unit as usize * layout.bytes
    }

    /// Memory that the device has spoiled: what can be is collected all the same.
    fn tell(&mut self, what: &str) {
        if !self.told {
            log::error!("the memory of a collector is not as it should be: {what}");
            self.told = true;
        }
    }
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
