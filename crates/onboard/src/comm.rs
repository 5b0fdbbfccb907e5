//! Chips of one machine as ranks of a job (`spec/device-abi.md`, section 5.8).
//!
//! Ranks meet as simulated ones do, in shared memory: there they exchange what HCCL and the driver want to know, and
//! there it is noticed when one ends. So no file is written, none can be stale, and nobody polls for one.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use device_runner::{CommRank, CommWindows, DevPtr, DeviceError};
use hal_sys::{Hal, IpcKey, RootInfo, sys};
use rendezvous::{Options, RankSet, Session};

use crate::error::OnboardError;
use crate::hccl::Hccl;
use crate::inner::Inner;
use crate::sync::lock;

/// A device's part in a job.
pub(crate) struct OnboardRank {
    job: Arc<Job>,
    /// None once a barrier has failed.
    hccl: Mutex<Option<Hccl>>,
}

/// What windows keep alive.
struct Job {
    inner: Arc<Inner>,
    session: Session,
    /// Devices whose memory this one reaches.
    reached: Mutex<BTreeSet<i32>>,
}

/// Steps, for messages.
const JOINING: &str = "joining a job";
const MAKING_WINDOWS: &str = "making windows";
const BARRIER: &str = "a barrier";

/// Bytes of a window if none are asked for (`spec/device-abi.md`, section 5.8).
const DEFAULT_BYTES: u64 = 200 << 20;

/// How long access between two devices may take to be there, and how often the driver is asked: it says so only then
/// (`spec/hal.md`, section 1.2).
const ACCESS_LIMIT: Duration = Duration::from_secs(30);
const ACCESS_PAUSE: Duration = Duration::from_millis(1);

const KEY_BYTES: usize = sys::ACL_IPC_KEY_LENGTH as usize;
const ROOT_BYTES: usize = sys::HCCL_ROOT_INFO_BYTES as usize;

impl fmt::Debug for OnboardRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnboardRank").field("session", &self.job.session).finish_non_exhaustive()
    }
}

impl OnboardRank {
    /// Joins, and waits for all ranks.
    pub(crate) fn join(inner: &Arc<Inner>, rank: u32, ranks: u32, path: &Path) -> Result<Self, DeviceError> {
        let joined = || -> Result<Self, OnboardError> {
            let options = Options::default().limit(limit(inner));
            let session = rendezvous::enter(path, rank, ranks, options)?.complete()?;
            let job = Arc::new(Job { inner: Arc::clone(inner), session, reached: Mutex::default() });
            let hccl = Mutex::new(Some(job.join_hccl()?));
            Ok(Self { job, hccl })
        };
        joined().map_err(|error| inner.fail(JOINING, error))
    }

    fn wait_for_all(&self) -> Result<(), OnboardError> {
        let (inner, session) = (&self.job.inner, &self.job.session);
        // First where it is seen who is missing: then the devices have nobody to wait for.
        session.barrier()?;
        let mut hccl = lock(&self.hccl);
        let met = hccl.as_ref().ok_or(OnboardError::BarrierBroken)?.barrier(limit(inner));
        if met.is_err() {
            *hccl = None;
        }
        met
    }
}

/// How long is waited for other ranks.
fn limit(inner: &Inner) -> Duration {
    inner.options.comm_limit.unwrap_or(Options::default().limit)
}

impl CommRank for OnboardRank {
    fn windows(
        &self,
        id: Option<u64>,
        members: &[u32],
        bytes: u64,
    ) -> Result<Box<dyn CommWindows>, DeviceError> {
        let about = id.map_or_else(|| "windows".to_owned(), |id| format!("windows of domain {id}"));
        let bytes = if bytes == 0 { DEFAULT_BYTES } else { bytes };
        let made = OnboardWindows::make(&self.job, about, members, bytes);
        made.map(|windows| Box::new(windows) as Box<dyn CommWindows>)
            .map_err(|error| self.job.inner.fail(MAKING_WINDOWS, error))
    }

    fn barrier(&self) -> Result<(), DeviceError> {
        self.wait_for_all().map_err(|error| self.job.inner.fail(BARRIER, error))
    }
}

impl Job {
    fn hal(&self) -> &Hal {
        &self.inner.hal
    }

    /// Tells the members how a step went here, with a note for them, and waits until all have done so; what this rank
    /// made, and all their notes. If the step has failed anywhere, it has failed for all of them.
    fn agree<T>(
        &self,
        about: &str,
        step: &'static str,
        members: &[u32],
        made: Result<(T, Vec<u8>), OnboardError>,
        note_bytes: usize,
    ) -> Result<(T, Vec<Vec<u8>>), OnboardError> {
        let mut own = made.as_ref().map_or_else(|_| vec![0], |(_, note)| [&[1], note.as_slice()].concat());
        own.resize(1 + note_bytes, 0);
        let exchanged = self.session.exchange(about, members, &own);
        let (made, mut notes) = (made?.0, exchanged?);
        let failed = members.iter().zip(&notes).filter(|(_, note)| note[0] == 0);
        let failed: RankSet = failed.map(|(&member, _)| member).collect();
        if !failed.is_empty() {
            return Err(OnboardError::Others { ranks: failed.to_string(), step });
        }
        for note in &mut notes {
            note.remove(0);
        }
        Ok((made, notes))
    }

    /// Has HCCL bring the devices together, by what its root tells.
    fn join_hccl(&self) -> Result<Hccl, OnboardError> {
        let (rank, everyone) = (self.session.rank(), (0..self.session.ranks()).collect::<Vec<_>>());
        let started = Hccl::start(&self.inner).and_then(|hccl| {
            let info = if rank == 0 { self.hal().hccl_root_info()?.to_bytes() } else { Vec::new() };
            Ok((hccl, info))
        });
        let (mut hccl, notes) = self.agree("HCCL", "start HCCL", &everyone, started, ROOT_BYTES)?;
        let mut root = Box::new([0; ROOT_BYTES]);
        root.copy_from_slice(&notes[0]);
        hccl.join(self.session.ranks(), &RootInfo::from_bytes(&root), rank)?;
        Ok(hccl)
    }

    /// Sees to it that this device reaches the memory of another one.
    fn reach(&self, peer: i32) -> Result<(), OnboardError> {
        let own = self.inner.signed_id();
        let mut reached = lock(&self.reached);
        if peer == own || reached.contains(&peer) {
            return Ok(());
        }
        if let Err(error) = self.hal().enable_peer_access(peer) {
            // It may be so already. Whether it is shows below.
            log::debug!("access of device {own} to device {peer}: {error}");
        }
        let start = Instant::now();
        while !self.hal().peer_access(own, peer)? {
            if start.elapsed() > ACCESS_LIMIT.min(limit(&self.inner)) {
                let limit = ACCESS_LIMIT.min(limit(&self.inner));
                return Err(OnboardError::NoPeerAccess { device: self.inner.id, peer, limit });
            }
            std::thread::sleep(ACCESS_PAUSE);
        }
        reached.insert(peer);
        Ok(())
    }
}

/// Who exports what, as ranks tell each other.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Announcement {
    key: IpcKey,
    process: i32,
    device: i32,
}

impl Announcement {
    const BYTES: usize = KEY_BYTES + 8;

    fn to_bytes(&self) -> Vec<u8> {
        [&self.key.as_bytes()[..], &self.process.to_le_bytes(), &self.device.to_le_bytes()].concat()
    }

    /// `None` for another number of bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, numbers) = bytes.split_first_chunk()?;
        let (process, numbers) = numbers.split_first_chunk()?;
        let (device, rest) = numbers.split_first_chunk()?;
        let number = |bytes: &[u8; 4]| i32::from_le_bytes(*bytes);
        let (process, device) = (number(process), number(device));
        rest.is_empty().then(|| Self { key: IpcKey::from_bytes(*key), process, device })
    }
}

/// Memory of this device that others may import.
struct Exported {
    job: Arc<Job>,
    address: u64,
    key: Option<IpcKey>,
}

impl Exported {
    /// Allocates it, zeroed before anybody else can write to it.
    fn new(job: &Arc<Job>, bytes: u64) -> Result<(Self, Vec<u8>), OnboardError> {
        job.inner.attach()?;
        let hal = job.hal();
        let mut exported = Self { job: Arc::clone(job), address: hal.acl_malloc(bytes)?, key: None };
        hal.acl_memset(exported.address, 0, bytes)?;
        let key = hal.ipc_export(exported.address, bytes)?;
        exported.key = Some(key.clone());
        let process = i32::try_from(std::process::id()).unwrap_or_default();
        let announcement = Announcement { key, process, device: job.inner.signed_id() };
        Ok((exported, announcement.to_bytes()))
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        let (inner, hal) = (&self.job.inner, self.job.hal());
        inner.give_back_or_log("the export of a window", || {
            self.key.take().map_or(Ok(()), |key| hal.ipc_close(&key))
        });
        inner.give_back_or_log("a window", || hal.acl_free(self.address));
    }
}

/// Memory of another rank's device.
struct Imported {
    job: Arc<Job>,
    key: IpcKey,
    address: u64,
}

impl Imported {
    fn new(job: &Arc<Job>, announced: &Announcement) -> Result<Self, OnboardError> {
        let address = job.hal().ipc_import(&announced.key)?;
        Ok(Self { job: Arc::clone(job), key: announced.key.clone(), address })
    }
}

impl Drop for Imported {
    fn drop(&mut self) {
        let hal = self.job.hal();
        self.job.inner.give_back_or_log("a window of another rank", || hal.ipc_close(&self.key));
    }
}

/// The windows of a group, this rank's own and those of others.
struct OnboardWindows {
    about: String,
    members: Vec<u32>,
    bytes: u64,
    /// By member; `None` for this rank itself.
    imported: Vec<Option<Imported>>,
    exported: Exported,
}

impl fmt::Debug for OnboardWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnboardWindows")
            .field("members", &self.members)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl OnboardWindows {
    fn make(job: &Arc<Job>, about: String, members: &[u32], bytes: u64) -> Result<Self, OnboardError> {
        let agree = "export a window";
        let (exported, notes) =
            job.agree(&about, agree, members, Exported::new(job, bytes), Announcement::BYTES)?;
        let announced: Vec<_> = notes.iter().filter_map(|note| Announcement::from_bytes(note)).collect();
        let peers = || announced.iter().zip(members).filter(|(_, member)| **member != job.session.rank());

        let granted = || -> Result<((), Vec<u8>), OnboardError> {
            peers().try_for_each(|(peer, _)| job.reach(peer.device))?;
            let processes: Vec<i32> = peers().map(|(peer, _)| peer.process).collect();
            match &exported.key {
                Some(key) if !processes.is_empty() => job.hal().ipc_allow(key, &processes)?,
                _ => {}
            }
            Ok(((), Vec::new()))
        };
        job.agree(&about, "reach the devices of the others", members, granted(), 0)?;

        let import = |(announced, &member)| match member == job.session.rank() {
            true => Ok(None),
            false => Imported::new(job, announced).map(Some),
        };
        let imported: Result<Vec<_>, OnboardError> = announced.iter().zip(members).map(import).collect();
        let imported = imported.map(|imported| (imported, Vec::new()));
        // Nobody takes back what another one has not imported yet.
        let (imported, _) = job.agree(&about, "import the windows of the others", members, imported, 0)?;
        let windows = Self { about, members: members.to_vec(), bytes, imported, exported };
        for index in 0..members.len() {
            job.inner.memory.adopt(windows.window(index).addr(), bytes);
        }
        Ok(windows)
    }
}

impl CommWindows for OnboardWindows {
    fn window(&self, index: usize) -> DevPtr {
        let imported = self.imported.get(index).map(Option::as_ref);
        DevPtr::new(match imported {
            Some(Some(imported)) => imported.address,
            Some(None) => self.exported.address,
            None => 0,
        })
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn has_both_directions(&self) -> bool {
        false
    }
}

impl Drop for OnboardWindows {
    fn drop(&mut self) {
        let job = &self.exported.job;
        for index in 0..self.members.len() {
            job.inner.memory.disown(self.window(index).addr());
        }
        self.imported.clear();
        // The memory goes when nobody has it any more. Who ended or left does not.
        if let Err(error) = job.session.exchange(&self.about, &self.members, &[]) {
            log::debug!("giving {} back: {error}", self.about);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_survive_their_bytes() {
        let key = IpcKey::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap() + 1));
        let announcement = Announcement { key, process: -7, device: 3 };
        let bytes = announcement.to_bytes();
        assert_eq!(bytes.len(), Announcement::BYTES);
        assert_eq!(Announcement::from_bytes(&bytes), Some(announcement));
        assert_eq!(Announcement::from_bytes(&bytes[1..]), None);
    }
}
