//! A job whose ranks are all there.

use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use task_interface::fnv1a64;

use crate::error::{RankSet, RendezvousError};
use crate::room::{Group, Kind, Windows, exchange};
use crate::seat::{GLANCE, Seat, look_for_dead};
use crate::segment::{Header, Segment};
use crate::watcher::Watcher;

/// A rank of a job that is complete. Dropping it leaves the job, which others notice.
pub struct Session {
    inner: Arc<Inner>,
}

/// What windows keep alive.
pub(crate) struct Inner {
    // Dropped first: it looks at the segment.
    _watcher: Watcher,
    pub(crate) seat: Arc<Seat>,
    /// The segment's lock belongs to a process; this one, to a thread of it.
    own: Mutex<()>,
    /// How many barriers it has been through; locked in one.
    barriers: Mutex<u32>,
}

/// The segment, in the hands of one rank.
pub(crate) struct SegmentLock<'a> {
    segment: &'a Segment<Header>,
    _own: MutexGuard<'a, ()>,
}

impl Drop for SegmentLock<'_> {
    fn drop(&mut self) {
        self.segment.unlock();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.seat.fmt(f)
    }
}

impl Session {
    pub(crate) fn new(seat: Seat) -> Self {
        let seat = Arc::new(seat);
        let watcher = Watcher::start(&seat);
        Self {
            inner: Arc::new(Inner { _watcher: watcher, seat, own: Mutex::new(()), barriers: Mutex::new(0) }),
        }
    }

    /// This rank.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.inner.seat.rank
    }

    /// Ranks of the job.
    #[must_use]
    pub fn ranks(&self) -> u32 {
        self.inner.seat.ranks
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// [`RendezvousError::Timeout`], [`RendezvousError::Died`] or [`RendezvousError::Left`], with the ranks that are
    /// missing. After a timeout it may be tried again.
    pub fn barrier(&self) -> Result<(), RendezvousError> {
        let inner = &self.inner;
        let Ok(mut done) = inner.barriers.try_lock() else {
            return Err(RendezvousError::Twice { rank: self.rank() });
        };
        let (header, next) = (inner.header(), done.wrapping_add(1));
        let own = &header.arrivals[self.rank() as usize];
        // Those whose count is behind; it may be one ahead, too.
        let is_missing = |&rank: &u32| header.arrivals[rank as usize].load(SeqCst) == next.wrapping_sub(1);
        let missing = || (0..self.ranks()).filter(is_missing).fold(0, |bits, rank| bits | 1 << rank);
        own.store(next, SeqCst);
        if missing() == 0 {
            header.notify();
        }
        let mut waited = inner.wait("a barrier", || (missing(), 0));
        if waited.is_err() {
            own.store(*done, SeqCst);
            // If all others were there meanwhile, they may have gone on with this rank.
            if missing() == 1 << self.rank() {
                own.store(next, SeqCst);
                header.notify();
                waited = Ok(());
            }
        }
        if waited.is_ok() {
            *done = next;
        }
        waited
    }

    /// Gives `own` to all of `members` and returns what each of them gave, in their order; waits for all of them. They
    /// name what it is about, and give equally many bytes.
    ///
    /// # Errors
    /// [`RendezvousError`].
    pub fn exchange(
        &self,
        about: &str,
        members: &[u32],
        own: &[u8],
    ) -> Result<Vec<Vec<u8>>, RendezvousError> {
        let group = Group::new(members, self.rank(), self.ranks())?;
        exchange(&self.inner, fnv1a64(about.as_bytes()), &group, own)
    }

    /// Ranks that have ended without leaving.
    #[must_use]
    pub fn dead(&self) -> RankSet {
        let seat = &self.inner.seat;
        look_for_dead(&seat.segment, RankSet(self.inner.header().everyone() & !(1 << seat.rank)));
        RankSet(self.inner.header().dead.load(SeqCst))
    }

    /// Windows of `bytes` bytes for every rank, zeroed; waits until all ranks have them.
    ///
    /// # Errors
    /// [`RendezvousError`]; nothing of them is left then.
    pub fn windows(&self, bytes: u64) -> Result<Windows, RendezvousError> {
        let everyone: Vec<u32> = (0..self.ranks()).collect();
        Windows::open(&self.inner, Kind::Base, 0, &Group::new(&everyone, self.rank(), self.ranks())?, bytes)
    }

    /// Windows of `bytes` bytes for each of `members`, zeroed, under an id that is theirs as long as they live; waits
    /// until all members have them. The order of the members counts.
    ///
    /// # Errors
    /// [`RendezvousError`]; nothing of them is left then.
    pub fn domain(&self, id: u64, members: &[u32], bytes: u64) -> Result<Windows, RendezvousError> {
        Windows::open(&self.inner, Kind::Domain, id, &Group::new(members, self.rank(), self.ranks())?, bytes)
    }
}

impl Inner {
    pub(crate) fn header(&self) -> &Header {
        self.seat.segment.content()
    }

    pub(crate) fn limit(&self) -> Duration {
        self.seat.limit()
    }

    /// Waits until no rank is missing any more. `look` tells who is missing, and who will not come.
    pub(crate) fn wait(
        &self,
        what: &'static str,
        look: impl Fn() -> (u64, u64),
    ) -> Result<(), RendezvousError> {
        let (start, limit) = (Instant::now(), self.limit());
        loop {
            let header = self.header();
            let event = header.event.load(SeqCst);
            let (missing, gave_up) = look();
            if missing == 0 {
                return Ok(());
            }
            look_for_dead(&self.seat.segment, RankSet(missing & !(1 << self.seat.rank)));
            let gone = RankSet(header.left.load(SeqCst) & missing | gave_up);
            let dead = header.dead.load(SeqCst) & missing;
            // What is missing may have come between the looks, and left or ended after that.
            if (dead | gone.0) != 0 && look().0 != 0 {
                return Err(self.deserted(what, gone));
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(RendezvousError::Timeout { what, missing: RankSet(missing), limit });
            }
            header.sleep(event, left.min(GLANCE));
        }
    }

    /// The error when ranks have left. Where some have ended, others leave because of them: then the cause is told,
    /// and not what followed from it.
    pub(crate) fn deserted(&self, what: &'static str, gone: RankSet) -> RendezvousError {
        match RankSet(self.header().dead.load(SeqCst)) {
            RankSet(0) => RendezvousError::Left { what, gone },
            dead => RendezvousError::Died { what, dead },
        }
    }

    /// The right to change rooms.
    pub(crate) fn lock(&self) -> Result<SegmentLock<'_>, RendezvousError> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, limit) = (Instant::now(), self.limit());
        let refused = |source| RendezvousError::System {
            call: "flock of a segment",
            path: self.seat.path().to_owned(),
            source,
        };
        while !self.seat.segment.try_lock().map_err(refused)? {
            if start.elapsed() > limit {
                let what = "the windows of a job are locked";
                return Err(RendezvousError::Timeout { what, missing: RankSet::default(), limit });
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(SegmentLock { segment: &self.seat.segment, _own: own })
    }
}
