//! Several chips together: ranks of a job, and windows that the kernels of all of them reach.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use task_interface::{COMM_MAX_RANKS, CommContext};

use crate::dev_ptr::DevPtr;
use crate::error::{DeviceError, RunnerError};
use crate::life::Work;
use crate::memory::{DevBuffer, Memory};
use crate::runner::DeviceRunner;
use crate::sync::lock;

/// A device's part in a job of several. Dropping it leaves the job.
///
/// Every call with a wait in it ends within a limit of the device's, with an error that names the missing ranks.
pub trait CommRank: fmt::Debug + Send + Sync {
    /// Windows of `bytes` bytes for each of `members`, zeroed; waits until all of them have theirs. Under `id` they
    /// are the members' own until they are dropped; without one they are those of the whole job.
    ///
    /// # Errors
    /// [`DeviceError::Platform`] with what went wrong.
    fn windows(
        &self,
        id: Option<u64>,
        members: &[u32],
        bytes: u64,
    ) -> Result<Box<dyn CommWindows>, DeviceError>;

    /// Waits for all ranks, or has the device wait for them.
    ///
    /// # Errors
    /// [`DeviceError::Platform`] with what went wrong.
    fn barrier(&self) -> Result<(), DeviceError>;
}

/// Windows of a group of ranks. Dropping them gives this rank's part back.
pub trait CommWindows: fmt::Debug + Send + Sync {
    /// Where this device reaches the window of the `index`-th member; all windows can be reached like memory that
    /// [`Device::alloc`](crate::Device::alloc) returned.
    fn window(&self, index: usize) -> DevPtr;

    /// Bytes of each window: as many as were asked for, unless the device has its own idea of none.
    fn bytes(&self) -> u64;

    /// Whether kernels find the windows under both names of the context (`spec/device-abi.md`, sections 5.8 and 7.5).
    fn has_both_directions(&self) -> bool;
}

/// A worker's rank in a job of several: windows, domains and barriers.
///
/// All calls may be made from any thread. A call that waits for other ranks does not stop other work of the worker.
pub struct Communicator {
    memory: Arc<Memory>,
    rank: u32,
    ranks: u32,
    /// Taken by [`close`](Self::close).
    state: Mutex<Option<State>>,
}

struct State {
    // Windows are given back before the rank leaves.
    domains: BTreeMap<u64, Arc<WindowSet>>,
    base: Option<Arc<WindowSet>>,
    derived: Vec<DevBuffer>,
    /// Ids of domains that are being made.
    pending: Vec<u64>,
    link: Arc<dyn CommRank>,
}

/// Windows, known to the memory of the runner, with the context that tells kernels where they are.
struct WindowSet {
    context: DevBuffer,
    windows: Box<dyn CommWindows>,
    memory: Arc<Memory>,
    members: Vec<u32>,
    own: usize,
    bytes: u64,
}

/// A domain as its members' kernels see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "what the contract returns")]
pub struct CommDomain {
    /// Device address of the [`CommContext`].
    pub context: DevPtr,
    /// This rank's own window.
    pub window: DevPtr,
}

impl fmt::Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Communicator")
            .field("rank", &self.rank)
            .field("ranks", &self.ranks)
            .finish_non_exhaustive()
    }
}

impl WindowSet {
    fn new(
        memory: &Arc<Memory>,
        windows: Box<dyn CommWindows>,
        members: &[u32],
        own: usize,
    ) -> Result<Self, DeviceError> {
        let (both, bytes) = (windows.has_both_directions(), windows.bytes());
        let addresses = (0..members.len()).map(|index| windows.window(index).addr()).collect();
        let context = context(memory, addresses, own, bytes, both)?;
        for index in 0..members.len() {
            memory.adopt(windows.window(index), bytes);
        }
        Ok(Self { context, windows, memory: Arc::clone(memory), members: members.to_vec(), own, bytes })
    }

    fn own_window(&self) -> DevPtr {
        self.windows.window(self.own)
    }

    fn domain(&self) -> CommDomain {
        CommDomain { context: self.context.ptr(), window: self.own_window() }
    }
}

impl Drop for WindowSet {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            self.memory.disown(self.windows.window(index));
        }
    }
}

/// Puts a context into device memory.
fn context(
    memory: &Arc<Memory>,
    addresses: Vec<u64>,
    own: usize,
    bytes: u64,
    both_directions: bool,
) -> Result<DevBuffer, DeviceError> {
    let mut context = CommContext { win_size: bytes, ..CommContext::default() };
    // At most 64 ranks.
    context.rank_id = u32::try_from(own).unwrap_or(u32::MAX);
    context.rank_num = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (place, address) in context.windows_in.iter_mut().zip(addresses) {
        *place = address;
    }
    if both_directions {
        context.windows_out = context.windows_in;
    }
    let buffer = memory.alloc(size_of::<CommContext>())?;
    memory.copy_to_device(buffer.ptr(), bytemuck::bytes_of(&context))?;
    Ok(buffer)
}

fn refused(call: &'static str, reason: impl Into<String>) -> RunnerError {
    RunnerError::Comm { call, reason: reason.into() }
}

impl DeviceRunner {
    /// Joins a job of `ranks` as `rank`; all of them name the same `path`. Waits for nobody yet in simulation.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] for a rank that cannot be, or the device's.
    pub fn join(
        self: &Arc<Self>,
        rank: u32,
        ranks: u32,
        path: &Path,
    ) -> Result<Arc<Communicator>, RunnerError> {
        let _ticket = self.start(Work::Call)?;
        if ranks == 0 || ranks as usize > COMM_MAX_RANKS || rank >= ranks {
            let reason =
                format!("rank {rank} of {ranks} does not exist: a job has 1 to {COMM_MAX_RANKS} ranks");
            return Err(refused("comm_init", reason));
        }
        let _guard = self.bind()?;
        let link: Arc<dyn CommRank> = self.device().join(rank, ranks, path)?.into();
        let state =
            State { domains: BTreeMap::new(), base: None, derived: Vec::new(), pending: Vec::new(), link };
        let memory = Arc::clone(self.memory());
        let communicator = Arc::new(Communicator { memory, rank, ranks, state: Mutex::new(Some(state)) });
        self.communicators().add(&communicator);
        Ok(communicator)
    }
}

impl Communicator {
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

    fn with<R>(
        &self,
        call: &'static str,
        body: impl FnOnce(&mut State) -> Result<R, RunnerError>,
    ) -> Result<R, RunnerError> {
        match lock(&self.state).as_mut() {
            Some(state) => body(state),
            None => Err(refused(call, "the communicator was destroyed; join again")),
        }
    }

    fn link(&self, call: &'static str) -> Result<Arc<dyn CommRank>, RunnerError> {
        self.with(call, |state| Ok(Arc::clone(&state.link)))
    }

    /// Makes a window of `bytes` bytes for every rank; returns the device address of the [`CommContext`]. Waits for
    /// all ranks.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] when there are windows already; otherwise the device's.
    pub fn alloc_windows(&self, bytes: u64) -> Result<DevPtr, RunnerError> {
        const CALL: &str = "comm_alloc_windows";
        let link = self.with(CALL, |state| match &state.base {
            Some(_) => Err(refused(CALL, "the windows of this communicator exist already; destroy it first")),
            None => Ok(Arc::clone(&state.link)),
        })?;
        let everyone: Vec<u32> = (0..self.ranks).collect();
        // Not under the lock: it may take as long as the slowest rank.
        let windows = link.windows(None, &everyone, bytes)?;
        let set = Arc::new(WindowSet::new(&self.memory, windows, &everyone, self.rank as usize)?);
        let context = set.context.ptr();
        self.with(CALL, |state| {
            state.base = Some(set);
            Ok(context)
        })
    }

    /// This rank's own window.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] before [`alloc_windows`](Self::alloc_windows).
    pub fn local_window(&self) -> Result<DevPtr, RunnerError> {
        self.base("comm_get_local_window_base").map(|base| base.own_window())
    }

    /// The window of a rank, as this device reaches it.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] before [`alloc_windows`](Self::alloc_windows), and for a rank that is not in the job.
    pub fn window(&self, rank: u32) -> Result<DevPtr, RunnerError> {
        const CALL: &str = "comm_window";
        let base = self.base(CALL)?;
        if rank >= self.ranks {
            return Err(refused(CALL, format!("rank {rank} is not in a job of {}", self.ranks)));
        }
        Ok(base.windows.window(rank as usize))
    }

    /// Bytes of each window; 0 before there are any.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] after the communicator was destroyed.
    pub fn window_bytes(&self) -> Result<u64, RunnerError> {
        let bytes = |state: &mut State| Ok(state.base.as_ref().map_or(0, |base| base.bytes));
        self.with("comm_get_window_size", bytes)
    }

    fn base(&self, call: &'static str) -> Result<Arc<WindowSet>, RunnerError> {
        let absent = || refused(call, "there are no windows yet; call comm_alloc_windows first");
        self.with(call, |state| state.base.clone().ok_or_else(absent))
    }

    /// A context of the ranks `members`, in this order, with a part of each window: `bytes` from `offset` on. This
    /// rank appears in it as number `own`. It lives as long as the communicator.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] for ranks or a part that do not exist; otherwise the device's.
    pub fn derive_context(
        &self,
        members: &[u32],
        own: u32,
        offset: u64,
        bytes: u64,
    ) -> Result<DevPtr, RunnerError> {
        const CALL: &str = "comm_derive_context";
        let base = self.base(CALL)?;
        if members.is_empty() || members.len() > COMM_MAX_RANKS {
            let reason = format!("{} ranks; there must be 1 to {COMM_MAX_RANKS}", members.len());
            return Err(refused(CALL, reason));
        }
        if own as usize >= members.len() {
            return Err(refused(CALL, format!("domain_rank {own} of {} does not exist", members.len())));
        }
        if let Some(stranger) = members.iter().find(|&&member| member >= self.ranks) {
            return Err(refused(CALL, format!("rank {stranger} is not in a job of {}", self.ranks)));
        }
        if offset.checked_add(bytes).is_none_or(|end| end > base.bytes) {
            let reason = format!("{bytes} bytes from {offset} on are not inside of {} bytes", base.bytes);
            return Err(refused(CALL, reason));
        }
        let address = |member: &u32| base.windows.window(*member as usize).addr() + offset;
        let addresses = members.iter().map(address).collect();
        let both = base.windows.has_both_directions();
        let context = context(&self.memory, addresses, own as usize, bytes, both)?;
        let address = context.ptr();
        self.with(CALL, |state| {
            state.derived.push(context);
            Ok(address)
        })
    }

    /// Makes windows of their own for the ranks `members`, in this order, under an id; all of them have to call it.
    /// `own` is this rank's place among them. Waits for all members.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] for a group that cannot be, or an id that is in use; otherwise the device's.
    pub fn alloc_domain(
        &self,
        id: u64,
        members: &[u32],
        own: u32,
        bytes: u64,
    ) -> Result<CommDomain, RunnerError> {
        const CALL: &str = "comm_alloc_domain_windows";
        if bytes == 0 {
            return Err(refused(CALL, "windows of 0 bytes; there must be at least one"));
        }
        if members.get(own as usize) != Some(&self.rank) {
            let reason =
                format!("place {own} of the ranks {members:?} is not that of this rank, {}", self.rank);
            return Err(refused(CALL, reason));
        }
        let link = self.with(CALL, |state| {
            if state.domains.contains_key(&id) || state.pending.contains(&id) {
                return Err(refused(CALL, format!("allocation {id} is in use; release it first")));
            }
            state.pending.push(id);
            Ok(Arc::clone(&state.link))
        })?;
        let made = link.windows(Some(id), members, bytes);
        let set = made.and_then(|windows| WindowSet::new(&self.memory, windows, members, own as usize));
        self.with(CALL, |state| {
            state.pending.retain(|&pending| pending != id);
            let set = Arc::new(set?);
            let domain = set.domain();
            state.domains.insert(id, set);
            Ok(domain)
        })
    }

    /// Gives the windows of a domain back; the others keep theirs until they do the same.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] for an id that is not in use, or whose group is another one.
    pub fn release_domain(&self, id: u64, members: usize, own: u32) -> Result<(), RunnerError> {
        const CALL: &str = "comm_release_domain_windows";
        let released = self.with(CALL, |state| {
            let Some(set) = state.domains.get(&id) else {
                return Err(refused(CALL, format!("allocation {id} does not exist")));
            };
            if (set.members.len(), set.own) != (members, own as usize) {
                let reason = format!(
                    "allocation {id} is of {} ranks, of which this is number {}",
                    set.members.len(),
                    set.own
                );
                return Err(refused(CALL, reason));
            }
            Ok(state.domains.remove(&id))
        })?;
        drop(released);
        Ok(())
    }

    /// Waits for all ranks; on hardware it is the device that waits, and the call returns at once.
    ///
    /// # Errors
    /// [`RunnerError::Comm`] before [`alloc_windows`](Self::alloc_windows); otherwise the device's.
    pub fn barrier(&self) -> Result<(), RunnerError> {
        const CALL: &str = "comm_barrier";
        self.base(CALL)?;
        Ok(self.link(CALL)?.barrier()?)
    }

    /// Leaves the job and gives everything back. Calling it again does nothing.
    pub fn close(&self) {
        let state = lock(&self.state).take();
        drop(state);
    }

    /// Sets of windows that it has.
    fn window_sets(&self) -> usize {
        lock(&self.state).as_ref().map_or(0, |state| state.domains.len() + usize::from(state.base.is_some()))
    }
}

/// The communicators of a runner, which go with it.
#[derive(Debug, Default)]
pub(crate) struct Communicators(Mutex<Vec<Weak<Communicator>>>);

impl Communicators {
    fn add(&self, communicator: &Arc<Communicator>) {
        let mut all = lock(&self.0);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(communicator));
    }

    fn living(&self) -> Vec<Arc<Communicator>> {
        let living = lock(&self.0).iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        living.into_iter().filter(|one| lock(&one.state).is_some()).collect()
    }

    /// Closes them, the youngest first.
    pub(crate) fn close(&self) {
        self.living().iter().rev().for_each(|communicator| communicator.close());
    }

    /// How many there are, and how many sets of windows they have.
    pub(crate) fn count(&self) -> (usize, usize) {
        let living = self.living();
        (living.len(), living.iter().map(|communicator| communicator.window_sets()).sum())
    }
}
