use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Some of a job's ranks, as a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RankSet(pub(crate) u64);

impl RankSet {
    /// Whether a rank is among them.
    #[must_use]
    pub fn contains(self, rank: u32) -> bool {
        self.0.checked_shr(rank).is_some_and(|bits| bits & 1 == 1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The ranks, ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |&rank| self.contains(rank))
    }
}

impl FromIterator<u32> for RankSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ranks: I) -> Self {
        Self(ranks.into_iter().fold(0, |bits, rank| bits | 1u64.checked_shl(rank).unwrap_or(0)))
    }
}

impl fmt::Debug for RankSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for RankSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranks: Vec<String> = self.iter().map(|rank| rank.to_string()).collect();
        let noun = if ranks.len() == 1 { "rank" } else { "ranks" };
        write!(f, "{noun} {}", ranks.join(", "))
    }
}

/// Why ranks could not get together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RendezvousError {
    /// A rank or a number of ranks that no job has.
    #[error("rank {rank} of {ranks} does not exist: a job has 1 to {max} ranks, counted from 0", max = crate::MAX_RANKS)]
    NoSuchRank {
        /// The rank.
        rank: u32,
        /// The ranks of its job.
        ranks: u32,
    },
    /// Ranks did not come in time.
    #[error(
        "{what}: {missing} did not come within {limit:.1?}; look whether they run and use the same path, or raise the limit"
    )]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// Who did not come.
        missing: RankSet,
        /// How long it was waited.
        limit: Duration,
    },
    /// Ranks have ended without leaving, as in a crash.
    #[error("{what}: {dead} ended unexpectedly; the job cannot go on")]
    Died {
        /// What was waited for.
        what: &'static str,
        /// Who ended.
        dead: RankSet,
    },
    /// Ranks have left before the others were done.
    #[error("{what}: {gone} left already; all ranks have to make the same calls before one of them leaves")]
    Left {
        /// What was waited for.
        what: &'static str,
        /// Who left.
        gone: RankSet,
    },
    /// Two calls of one rank at once.
    #[error("rank {rank} is in this call already, on another thread; a rank makes one of them at a time")]
    Twice {
        /// The rank.
        rank: u32,
    },
    /// A group of ranks that does not fit the job or the calling rank.
    #[error("the group {members:?} is not possible for rank {rank} of {ranks}: {reason}")]
    Group {
        /// The members.
        members: Vec<u32>,
        /// Who asks.
        rank: u32,
        /// The ranks of the job.
        ranks: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// The ranks of a group ask for different windows.
    #[error(
        "windows {id} of {own} bytes: another rank asks for {theirs} bytes or for other members; all members have to ask for the same"
    )]
    Mismatch {
        /// The windows' id.
        id: u64,
        /// Bytes that this rank asks for.
        own: u64,
        /// Bytes that the first rank asked for.
        theirs: u64,
    },
    /// The windows exist already.
    #[error("windows {id} exist already; release them first")]
    Exists {
        /// Their id.
        id: u64,
    },
    /// Too many windows at once.
    #[error("there are {capacity} sets of windows already; release one first")]
    TooMany {
        /// How many there may be.
        capacity: usize,
    },
    /// Shared memory ran out.
    #[error(
        "{bytes} bytes of shared memory cannot be had: {source}; make /dev/shm larger (in a container: --shm-size), or the windows smaller"
    )]
    OutOfMemory {
        /// Bytes asked for.
        bytes: u64,
        /// What the system says.
        source: io::Error,
    },
    /// What is found under the name is not of this library, or of another version of it.
    #[error("the shared memory of {path} is of another program or version; remove /dev/shm{name}")]
    Foreign {
        /// The path of the rendezvous.
        path: PathBuf,
        /// Name of the segment.
        name: String,
    },
    /// The system refuses something.
    #[error("{call} for the rendezvous at {path}: {source}")]
    System {
        /// What was tried.
        call: &'static str,
        /// The path of the rendezvous.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The environment of a launcher says something that cannot be.
    #[error("the environment says {name}={value}: {reason}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}
