//! Windows: memory of each rank that the others of a group can reach.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use task_interface::fnv1a64;

use crate::MAX_RANKS;
use crate::error::{RankSet, RendezvousError};
use crate::segment::{GRAIN, Header, Mapping, ROOMS, Room};
use crate::session::Inner;

/// What windows are for; ids of one kind do not meet those of the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of the whole job.
    Base = 1,
    /// Of a group.
    Domain = 2,
    /// To leave something for each other, see [`exchange`].
    Board = 3,
    /// Made by those who have left it.
    Left = 4,
}

/// Some ranks of a job in an order, seen by one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    members: Vec<u32>,
    own: usize,
}

impl Group {
    /// The group of `members`, of which `rank` is one, in a job of `ranks`.
    ///
    /// # Errors
    /// [`RendezvousError::Group`].
    pub fn new(members: &[u32], rank: u32, ranks: u32) -> Result<Self, RendezvousError> {
        let refused = |reason| RendezvousError::Group { members: members.to_vec(), rank, ranks, reason };
        if members.len() > MAX_RANKS as usize {
            return Err(refused("it has more than 64 members"));
        }
        if members.iter().any(|&member| member >= ranks) {
            return Err(refused("a member is not in the job"));
        }
        let group = Self { members: members.to_vec(), own: 0 };
        if group.bits().count_ones() as usize != members.len() {
            return Err(refused("a member is named twice"));
        }
        let own = members.iter().position(|&member| member == rank);
        own.map(|own| Self { own, ..group }).ok_or_else(|| refused("the rank itself is not a member"))
    }

    fn bits(&self) -> u64 {
        self.members.iter().fold(0, |bits, member| bits | 1 << member)
    }

    /// Differs for groups of the same members in another order.
    fn order(&self) -> u64 {
        let members: Vec<u8> = self.members.iter().flat_map(|member| member.to_le_bytes()).collect();
        fnv1a64(&members)
    }
}

/// The windows of a group, in this process's memory. Dropping them gives them back; the memory goes with the last.
pub struct Windows {
    job: Arc<Inner>,
    room: usize,
    mapping: Mapping,
    group: Group,
    bytes: u64,
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows")
            .field("group", &self.group)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

const WHAT: &str = "windows of a group";

/// Bytes from one window to the next.
fn stride(bytes: u64) -> Option<u64> {
    bytes.max(1).checked_next_multiple_of(GRAIN)
}

impl Windows {
    pub(crate) fn open(
        job: &Arc<Inner>,
        kind: Kind,
        id: u64,
        group: &Group,
        bytes: u64,
    ) -> Result<Self, RendezvousError> {
        let windows = Self::take(job, kind, id, group, bytes)?;
        let room = &job.header().rooms[windows.room];
        let members = group.bits();
        let all_mapped = || {
            let missing = members & !room.mapped.load(SeqCst);
            (missing, room.released.load(SeqCst) & members)
        };
        job.wait(WHAT, all_mapped)?;
        Ok(windows)
    }

    /// The room of that name, made if this rank is the first.
    fn take(
        job: &Arc<Inner>,
        kind: Kind,
        id: u64,
        group: &Group,
        bytes: u64,
    ) -> Result<Self, RendezvousError> {
        let segment = &job.seat.segment;
        let bit = 1u64 << job.seat.rank;
        let out_of_memory = |source| RendezvousError::OutOfMemory { bytes, source };
        let too_large = || out_of_memory(std::io::ErrorKind::OutOfMemory.into());
        let all = stride(bytes).and_then(|stride| stride.checked_mul(group.members.len() as u64));
        let all = all.ok_or_else(too_large)?;

        let lock = job.lock()?;
        let header = job.header();
        let room = match find(header, kind, id, bit) {
            Some(room) => {
                let found = &header.rooms[room];
                if found.mapped.load(SeqCst) & bit != 0 {
                    return Err(RendezvousError::Exists { id });
                }
                let theirs = found.bytes.load(SeqCst);
                if theirs != bytes || found.order.load(SeqCst) != group.order() {
                    return Err(RendezvousError::Mismatch { id, own: bytes, theirs });
                }
                // Whoever waited for this rank has given up.
                let gone = RankSet(found.released.load(SeqCst));
                if gone.0 != 0 {
                    found.mapped.fetch_or(bit, SeqCst);
                    give_back(job, room);
                    return Err(job.deserted(WHAT, gone));
                }
                room
            }
            None => {
                let free = header.rooms.iter().position(|room| room.kind.load(SeqCst) == 0);
                let room = free.ok_or(RendezvousError::TooMany { capacity: ROOMS })?;
                let offset = header.end.load(SeqCst);
                let end = offset.checked_add(all).ok_or_else(too_large)?;
                segment.reserve(offset, all).map_err(out_of_memory)?;
                header.end.store(end, SeqCst);
                fill(&header.rooms[room], kind, id, bytes, offset, group);
                room
            }
        };
        let mapped = segment.map(header.rooms[room].offset.load(SeqCst), all).map_err(out_of_memory);
        header.rooms[room].mapped.fetch_or(bit, SeqCst);
        if mapped.is_err() {
            give_back(job, room);
        }
        drop(lock);
        header.notify();
        Ok(Self { job: Arc::clone(job), room, mapping: mapped?, group: group.clone(), bytes })
    }

    /// Bytes of each window.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Members of the group.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        &self.group.members
    }

    /// This rank's place among the members.
    #[must_use]
    pub fn own(&self) -> usize {
        self.group.own
    }

    /// Where the window of the `index`-th member starts in this process's memory; 0 if there is no such member.
    #[must_use]
    pub fn address(&self, index: usize) -> u64 {
        let Some(stride) = stride(self.bytes).filter(|_| index < self.group.members.len()) else { return 0 };
        self.mapping.address() + stride * index as u64
    }

    /// Cuts this process off from the windows: what is at their addresses is memory that nobody shares from then on, and
    /// stays for ever. For windows that code may still use which cannot be stopped.
    pub fn cut_off(&mut self) {
        if let Err(error) = self.mapping.cut_off() {
            log::error!("windows stay within reach of code that was given up: {error}");
        }
    }
}

/// Gives `own` to all members of a group, and returns what each of them gave, in their order. All give equally much.
pub(crate) fn exchange(
    job: &Arc<Inner>,
    id: u64,
    group: &Group,
    own: &[u8],
) -> Result<Vec<Vec<u8>>, RendezvousError> {
    let board = Windows::open(job, Kind::Board, id, group, own.len() as u64)?;
    let place = |index| board.address(index) - board.address(0);
    board.mapping.store(place(board.own()), own);
    // Nobody comes here before it has left its part, so when all are here, all is there.
    let _all_left = Windows::open(job, Kind::Left, id, group, 0)?;
    Ok((0..group.members.len()).map(|index| board.mapping.load(place(index), own.len())).collect())
}

impl Drop for Windows {
    fn drop(&mut self) {
        match self.job.lock() {
            Ok(_lock) => give_back(&self.job, self.room),
            Err(error) => log::error!("giving windows back: {error}"),
        }
        self.job.header().notify();
    }
}

/// The room of that name which is for this rank and which it has not given back yet.
fn find(header: &Header, kind: Kind, id: u64, bit: u64) -> Option<usize> {
    header.rooms.iter().position(|room| {
        room.kind.load(SeqCst) == kind as u32
            && room.id.load(SeqCst) == id
            && room.members.load(SeqCst) & bit != 0
            && room.released.load(SeqCst) & bit == 0
    })
}

fn fill(room: &Room, kind: Kind, id: u64, bytes: u64, offset: u64, group: &Group) {
    room.id.store(id, SeqCst);
    room.bytes.store(bytes, SeqCst);
    room.offset.store(offset, SeqCst);
    room.order.store(group.order(), SeqCst);
    room.members.store(group.bits(), SeqCst);
    room.mapped.store(0, SeqCst);
    room.released.store(0, SeqCst);
    room.kind.store(kind as u32, SeqCst);
}

/// Notes that this rank does not need a room any more, and frees it if nobody does. Called under the lock.
fn give_back(job: &Inner, index: usize) {
    let header = job.header();
    let room = &header.rooms[index];
    let done = room.released.fetch_or(1 << job.seat.rank, SeqCst) | 1 << job.seat.rank;
    let gone = header.left.load(SeqCst) | header.dead.load(SeqCst);
    let members = room.members.load(SeqCst);
    if members & !(done | gone) != 0 {
        return;
    }
    let (offset, bytes) = (room.offset.load(SeqCst), room.bytes.load(SeqCst));
    let all = stride(bytes).unwrap_or(0).saturating_mul(u64::from(members.count_ones()));
    if let Err(error) = job.seat.segment.discard(offset, all) {
        log::error!("{all} bytes of shared memory stay in use until the job ends: {error}");
    }
    room.kind.store(0, SeqCst);
    if header.rooms.iter().all(|room| room.kind.load(SeqCst) == 0) {
        header.end.store(GRAIN, SeqCst);
    }
}
