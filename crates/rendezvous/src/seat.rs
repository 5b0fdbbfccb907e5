//! Coming together: a seat in the segment of one's job.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::error::{RankSet, RendezvousError};
use crate::job::Job;
use crate::registry::{Locked, Registry};
use crate::segment::{Header, MAGIC, Segment};
use crate::session::Session;
use crate::{MAX_RANKS, segment};

/// How a rank takes part.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long each wait may take; 120 seconds unless set.
    pub limit: Duration,
    /// The job; that of this process unless set.
    pub job: Job,
}

impl Default for Options {
    fn default() -> Self {
        Self { limit: Duration::from_secs(120), job: Job::of_this_process() }
    }
}

impl Options {
    /// Options with another limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Options of another job.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.job = job;
        self
    }
}

/// A rank that has come, while others are still to come. Dropping it leaves.
pub struct Seat {
    pub(crate) segment: Segment<Header>,
    serial: u64,
    registry: Registry,
    pub(crate) rank: u32,
    pub(crate) ranks: u32,
    options: Options,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("rank", &self.rank).field("ranks", &self.ranks).finish_non_exhaustive()
    }
}

/// After that long, ranks of jobs that differ only in their process group are taken for one job.
const GRACE: Duration = Duration::from_millis(500);

/// How long a rank sleeps at the most without a look whether the others live.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// Comes as `rank` of a job of `ranks`, to the place that `path` names; nothing need be there. Waits for nobody.
///
/// A rank of which there is one already, in a job that still gathers, begins another job at the same place.
/// So does one that comes when others of its job have ended meanwhile: it cannot be told from the first rank of a job that
/// follows under the same name, and learns from the limit that nobody else comes.
///
/// # Errors
/// [`RendezvousError`]; nothing is left behind.
pub fn enter(path: &Path, rank: u32, ranks: u32, options: Options) -> Result<Seat, RendezvousError> {
    if ranks == 0 || ranks > MAX_RANKS || rank >= ranks {
        return Err(RendezvousError::NoSuchRank { rank, ranks });
    }
    let registry = Registry::at(path);
    registry.sweep_others();
    let (serial, segment) = {
        let locked = registry.lock()?;
        let own = |header: &Header| same_job(header, options.job);
        match find(&registry, &locked, rank, ranks, own)? {
            Some(found) => found,
            None => make(&registry, &locked, rank, ranks, options.job)?,
        }
    };
    Ok(Seat { segment, serial, registry, rank, ranks, options })
}

fn same_job(header: &Header, job: Job) -> bool {
    header.job.load(SeqCst) == job.id && (header.job_is_certain.load(SeqCst) != 0) == job.is_certain
}

fn age(serial: u64, header: &Header) -> (u64, u64) {
    (header.born.load(SeqCst), serial)
}

/// Takes the seat in the oldest segment that has it and that is `wanted`.
fn find(
    registry: &Registry,
    locked: &Locked<'_>,
    rank: u32,
    ranks: u32,
    wanted: impl Fn(&Header) -> bool,
) -> Result<Option<(u64, Segment<Header>)>, RendezvousError> {
    let mut candidates = locked.gathering()?;
    candidates.sort_by_key(|(serial, segment)| age(*serial, segment.content()));
    for (serial, segment) in candidates {
        let header = segment.content();
        if header.magic.load(SeqCst) != MAGIC {
            let (path, name) = (registry.path().to_owned(), registry.segment_name(serial));
            return Err(RendezvousError::Foreign { path, name });
        }
        let seated = RankSet(header.seated.load(SeqCst));
        let is_free = header.ranks.load(SeqCst) == ranks && !seated.contains(rank);
        if is_free
            && wanted(header)
            && look_for_dead(&segment, seated).0 == 0
            && sit(&segment, rank, registry)?
        {
            if header.seated.load(SeqCst) == header.everyone() {
                header.is_complete.store(1, SeqCst);
                locked.remove(serial);
            }
            header.notify();
            return Ok(Some((serial, segment)));
        }
    }
    Ok(None)
}

fn make(
    registry: &Registry,
    locked: &Locked<'_>,
    rank: u32,
    ranks: u32,
    job: Job,
) -> Result<(u64, Segment<Header>), RendezvousError> {
    let serial = RandomState::new().build_hasher().finish() | 1;
    let name = registry.segment_name(serial);
    locked.add(serial)?;
    let made = Segment::open(&name, true)
        .map_err(|source| RendezvousError::OutOfMemory { bytes: segment::GRAIN, source });
    let sat = made.and_then(|segment| {
        let refused = || registry.refused("shm_open of a segment")(std::io::ErrorKind::InvalidData.into());
        let segment: Segment<Header> = segment.ok_or_else(refused)?;
        let header = segment.content();
        header.job.store(job.id, SeqCst);
        header.job_is_certain.store(u32::from(job.is_certain), SeqCst);
        header.ranks.store(ranks, SeqCst);
        header.end.store(segment::GRAIN, SeqCst);
        header.born.store(machine_time(), SeqCst);
        header.magic.store(MAGIC, SeqCst);
        sit(&segment, rank, registry)?;
        Ok(segment)
    });
    match sat {
        Ok(segment) if ranks == 1 => {
            segment.content().is_complete.store(1, SeqCst);
            locked.remove(serial);
            Ok((serial, segment))
        }
        Ok(segment) => Ok((serial, segment)),
        Err(error) => {
            locked.remove(serial);
            Err(error)
        }
    }
}

/// Nanoseconds on a clock that all processes of this machine have in common.
fn machine_time() -> u64 {
    // Through the C library: valgrind hides from a process what other ways to the clock read.
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours to be written to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

fn sit(segment: &Segment<Header>, rank: u32, registry: &Registry) -> Result<bool, RendezvousError> {
    if !segment.hold(rank).map_err(registry.refused("fcntl of a seat"))? {
        return Ok(false);
    }
    let header = segment.content();
    header.pids[rank as usize].store(std::process::id(), SeqCst);
    header.pid_spaces[rank as usize].store(crate::watcher::pid_space(), SeqCst);
    header.seated.fetch_or(1 << rank, SeqCst);
    Ok(true)
}

/// Marks those of `ranks` as dead whose process has ended.
pub(crate) fn look_for_dead(segment: &Segment<Header>, ranks: RankSet) -> RankSet {
    let header = segment.content();
    let ended = |&rank: &u32| !segment.is_held(rank).unwrap_or(true);
    let dead = ranks.iter().filter(ended).fold(0, |bits, rank| bits | 1 << rank);
    // One that has left before it let go of its seat is not dead.
    let dead = dead & !header.left.load(SeqCst);
    if dead & !header.dead.fetch_or(dead, SeqCst) != 0 {
        header.notify();
    }
    RankSet(dead)
}

impl Seat {
    /// This rank.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Ranks of the job.
    #[must_use]
    pub fn ranks(&self) -> u32 {
        self.ranks
    }

    pub(crate) fn limit(&self) -> Duration {
        self.options.limit
    }

    pub(crate) fn path(&self) -> &Path {
        self.registry.path()
    }

    /// Waits until all ranks have come.
    ///
    /// # Errors
    /// [`RendezvousError::Timeout`] with those that did not come, [`RendezvousError::Died`] with those that ended
    /// meanwhile.
    pub fn complete(mut self) -> Result<Session, RendezvousError> {
        const WHAT: &str = "the ranks of a job come together";
        let start = Instant::now();
        loop {
            let header = self.segment.content();
            let event = header.event.load(SeqCst);
            if header.is_complete.load(SeqCst) != 0 {
                return Ok(Session::new(self));
            }
            let seated = header.seated.load(SeqCst);
            look_for_dead(&self.segment, RankSet(seated & !(1 << self.rank)));
            let dead = RankSet(header.dead.load(SeqCst));
            if dead.0 != 0 {
                return Err(RendezvousError::Died { what: WHAT, dead });
            }
            let waited = start.elapsed();
            let left = self.options.limit.saturating_sub(waited);
            if left.is_zero() {
                let missing = RankSet(header.everyone() & !seated);
                return match self.give_up()? {
                    true => Err(RendezvousError::Timeout { what: WHAT, missing, limit: self.options.limit }),
                    false => Ok(Session::new(self)),
                };
            }
            if !self.options.job.is_certain && waited > GRACE && self.join_an_older_job()? {
                continue;
            }
            self.segment.content().sleep(event, left.min(GLANCE));
        }
    }

    /// Moves to a job that was there first and lacks this rank, if it may be this one under another name.
    fn join_an_older_job(&mut self) -> Result<bool, RendezvousError> {
        let locked = self.registry.lock()?;
        let header = self.segment.content();
        if header.is_complete.load(SeqCst) != 0 {
            return Ok(false);
        }
        let own_age = age(self.serial, header);
        // Serials are not known here; no two segments are made in the same nanosecond under one lock.
        let older =
            |other: &Header| other.job_is_certain.load(SeqCst) == 0 && other.born.load(SeqCst) < own_age.0;
        let Some((serial, segment)) = find(&self.registry, &locked, self.rank, self.ranks, older)? else {
            return Ok(false);
        };
        self.stand_up(&locked);
        (self.serial, self.segment) = (serial, segment);
        Ok(true)
    }

    /// Leaves a job that is not complete; `false` when it has become so.
    fn give_up(&self) -> Result<bool, RendezvousError> {
        let locked = self.registry.lock()?;
        if self.segment.content().is_complete.load(SeqCst) != 0 {
            return Ok(false);
        }
        self.stand_up(&locked);
        Ok(true)
    }

    fn stand_up(&self, locked: &Locked<'_>) {
        let header = self.segment.content();
        header.seated.fetch_and(!(1 << self.rank), SeqCst);
        self.segment.let_go(self.rank);
        if header.seated.load(SeqCst) & !header.dead.load(SeqCst) == 0 {
            locked.remove(self.serial);
        }
        header.notify();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let header = self.segment.content();
        let is_mine = header.seated.load(SeqCst) & 1 << self.rank != 0;
        if is_mine && header.is_complete.load(SeqCst) == 0 {
            match self.registry.lock() {
                Ok(locked) if header.is_complete.load(SeqCst) == 0 => return self.stand_up(&locked),
                Ok(_) => {}
                Err(error) => log::error!("leaving a job that gathers: {error}"),
            }
        }
        if is_mine {
            header.left.fetch_or(1 << self.rank, SeqCst);
            header.notify();
        }
    }
}
