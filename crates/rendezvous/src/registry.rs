//! Which segments of a path still gather their ranks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use task_interface::fnv1a64;

use crate::error::{RankSet, RendezvousError};
use crate::segment::{Header, Segment, Shared};

/// Jobs that may gather at one path at once.
const PLACES: usize = 128;

/// Serials of the segments that gather; 0 for none. Changed only under the lock.
#[repr(C)]
pub(crate) struct Table {
    serials: [AtomicU64; PLACES],
}

// SAFETY: integer atomics only, of 1 KiB.
unsafe impl Shared for Table {}

/// A path that ranks meet at.
#[derive(Debug)]
pub(crate) struct Registry {
    path: PathBuf,
    name: String,
}

/// Names of shared memory that exist for a path at the moment: some while ranks gather, none before and after.
///
/// # Errors
/// When the folder of shared memory cannot be read.
pub fn names(path: &Path) -> io::Result<Vec<String>> {
    let registry = Registry::at(path);
    let mut all = all_names()?;
    all.retain(|name| name.starts_with(registry.name.trim_start_matches('/')));
    Ok(all)
}

/// Names of all shared memory, without their slash.
fn all_names() -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir("/dev/shm")?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The registry, in the hands of one rank.
pub(crate) struct Locked<'a> {
    registry: &'a Registry,
    table: Segment<Table>,
}

/// A holder does a few system calls; one that is stopped in between must not stop others for ever.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

impl Registry {
    /// The registry of a path. Different spellings of a path are the same as far as its folder exists.
    pub(crate) fn at(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().and_then(|folder| folder.canonicalize().ok());
        let place = match (folder, absolute.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => absolute,
        };
        let hash = fnv1a64(place.as_os_str().as_encoded_bytes());
        Self { path: path.to_owned(), name: format!("{}{hash:016x}", prefix()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn segment_name(&self, serial: u64) -> String {
        format!("{}-{serial:016x}", self.name)
    }

    pub(crate) fn refused(&self, call: &'static str) -> impl FnOnce(io::Error) -> RendezvousError {
        let path = self.path.clone();
        move |source| RendezvousError::System { call, path, source }
    }

    pub(crate) fn lock(&self) -> Result<Locked<'_>, RendezvousError> {
        let start = Instant::now();
        loop {
            if let Some(locked) = self.try_lock(true)? {
                return Ok(locked);
            }
            if start.elapsed() > LOCK_LIMIT {
                let what = "the registry of the rendezvous is locked";
                return Err(RendezvousError::Timeout {
                    what,
                    missing: RankSet::default(),
                    limit: LOCK_LIMIT,
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// `None` when another rank has it, or when it is not there and not to be made.
    fn try_lock(&self, make: bool) -> Result<Option<Locked<'_>>, RendezvousError> {
        let opened = Segment::open(&self.name, make).map_err(self.refused("shm_open of the registry"))?;
        let Some(table) = opened else { return Ok(None) };
        if !table.try_lock().map_err(self.refused("flock of the registry"))? {
            return Ok(None);
        }
        // The last one who had it may have removed it between our two calls.
        if table.is_unlinked().map_err(self.refused("fstat of the registry"))? {
            return Ok(None);
        }
        Ok(Some(Locked { registry: self, table }))
    }

    /// Removes what jobs of this user have left at other paths, where they were killed while they gathered: nobody may
    /// ever come there again.
    pub(crate) fn sweep_others(&self) {
        let digits = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        for name in all_names().unwrap_or_default() {
            let name = format!("/{name}");
            if name == self.name || !name.strip_prefix(&prefix()).is_some_and(digits) {
                continue;
            }
            let other = Self { path: PathBuf::from(&name), name };
            let swept = other.try_lock(false).and_then(|locked| {
                // Looking does it.
                locked.map_or(Ok(()), |locked| locked.gathering().map(drop))
            });
            if let Err(error) = swept {
                log::debug!("what a job may have left stays: {error}");
            }
        }
    }
}

/// What names of this user's registries begin with.
fn prefix() -> String {
    format!("/simpler-{}-", rustix::process::geteuid().as_raw())
}

impl Locked<'_> {
    /// The segments that gather, with their serials. What crashed jobs have left is removed.
    pub(crate) fn gathering(&self) -> Result<Vec<(u64, Segment<Header>)>, RendezvousError> {
        let mut found = Vec::new();
        for place in &self.table.content().serials {
            let serial = place.load(Ordering::SeqCst);
            if serial == 0 {
                continue;
            }
            let name = self.registry.segment_name(serial);
            let segment =
                Segment::open(&name, false).map_err(self.registry.refused("shm_open of a segment"))?;
            match segment {
                Some(segment) if has_living(&segment) => found.push((serial, segment)),
                _ => self.remove(serial),
            }
        }
        Ok(found)
    }

    /// Enters a new segment.
    pub(crate) fn add(&self, serial: u64) -> Result<(), RendezvousError> {
        let mut places = self.table.content().serials.iter();
        match places.find(|place| place.load(Ordering::SeqCst) == 0) {
            Some(place) => {
                place.store(serial, Ordering::SeqCst);
                Ok(())
            }
            None => Err(RendezvousError::TooMany { capacity: PLACES }),
        }
    }

    /// Takes the name of a segment away. Ranks that have it keep it.
    pub(crate) fn remove(&self, serial: u64) {
        match rustix::shm::unlink(self.registry.segment_name(serial)) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => log::error!("the name of a shared segment cannot be removed: {error}"),
        }
        for place in &self.table.content().serials {
            // Equal to none but its own.
            let _ = place.compare_exchange(serial, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

fn has_living(segment: &Segment<Header>) -> bool {
    let header = segment.content();
    let seated = RankSet(header.seated.load(Ordering::SeqCst));
    // Told as living when the system does not answer: a job that lives must not lose its segment.
    seated.iter().any(|rank| segment.is_held(rank).unwrap_or(true))
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let serials = &self.table.content().serials;
        if serials.iter().all(|place| place.load(Ordering::SeqCst) == 0) {
            // Under the lock, so that nobody can be entering meanwhile.
            let _ = rustix::shm::unlink(&self.registry.name);
        }
        self.table.unlock();
    }
}
