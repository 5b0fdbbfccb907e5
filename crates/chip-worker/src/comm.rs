use std::path::Path;
use std::sync::Arc;

use device_runner::{CommDomain, DevPtr};
use host_library::CommId;

use crate::error::WorkerError;
use crate::loaded::LoadedRunner;
use crate::worker::{ChipWorker, Engine};

/// A worker's rank in a job of several chips: windows of memory that the kernels of all ranks reach, domains of some of
/// the ranks, and barriers.
///
/// Kernels find the windows through a [`CommContext`](crate::CommContext) in device memory; its address is what
/// [`alloc_windows`](Self::alloc_windows) and its like return, to be passed to graphs as a scalar. C++ kernels include
/// `platform_comm/comm_context.h`. For copies and tensors of the worker, windows are memory like any.
///
/// Each call that waits for others has a limit and names those that did not come, left, or ended. In simulation ranks
/// may be threads or processes of one machine, and the limit is that of
/// [`comm_limit`](crate::ChipWorkerBuilder::comm_limit); runs whose kernels wait for a rank that has ended fail as well.
/// Dropping it leaves the job; so does closing the worker.
///
/// Calls of a linked worker that wait for other ranks do not stop its other work; those of a loaded library take place
/// one after the other like all its calls.
///
/// ```
/// use chip_worker::{ChipWorker, DevPtr, Platform, WorkerError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if !Platform::A2a3Sim.is_available() { return Ok(()) }
/// let folder = std::env::temp_dir();
/// let meeting_place = folder.join(format!("ranks-{}", std::process::id()));
/// let rank = |rank: u32| -> Result<u8, WorkerError> {
///     let worker = ChipWorker::builder().platform(Platform::A2a3Sim).device(rank).build()?;
///     let comm = worker.join(rank, 2, &meeting_place)?;
///     comm.alloc_windows(64)?;
///     worker.copy_to(comm.local_window()?, &[7 + rank as u8])?;
///     comm.barrier()?;
///     let mut other = [0];
///     worker.copy_from(&mut other, comm.window(1 - rank)?)?;
///     comm.barrier()?;
///     worker.close()?;
///     Ok(other[0])
/// };
/// std::thread::scope(|scope| {
///     let ranks = [0, 1].map(|number| scope.spawn(move || rank(number)));
///     let read = ranks.map(|rank| rank.join().unwrap().unwrap());
///     assert_eq!(read, [8, 7]);
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Communicator {
    link: Link,
    rank: u32,
    ranks: u32,
}

#[derive(Debug)]
enum Link {
    Linked(Arc<device_runner::Communicator>),
    Loaded(Arc<LoadedRunner>, CommId),
}

impl ChipWorker {
    /// Joins a job of `ranks` workers as `rank`. All of them name the same `path`, which is only a name in simulation;
    /// on hardware files appear next to it for a while.
    ///
    /// Jobs that meet at one path at the same time are told apart by what their launcher says of them (OpenMPI, MPICH,
    /// Slurm), or by the variable `SIMPLER_COMM_JOB`.
    ///
    /// # Errors
    /// For a rank that cannot be, and on chips that cannot talk to others. In simulation nobody is waited for yet.
    pub fn join(&self, rank: u32, ranks: u32, path: impl AsRef<Path>) -> Result<Communicator, WorkerError> {
        let path = path.as_ref();
        let link = match &self.engine {
            Engine::Linked(runner) => Link::Linked(runner.join(rank, ranks, path)?),
            Engine::Loaded(runner) => {
                let id = runner.context().comm_init(rank, ranks, path)?;
                Link::Loaded(Arc::clone(runner), id)
            }
        };
        Ok(Communicator { link, rank, ranks })
    }

    /// As [`join`](Self::join), with rank and size from the environment: `SIMPLER_COMM_RANK` and `SIMPLER_COMM_SIZE`,
    /// or what mpirun (OpenMPI, MPICH) or Slurm set. See [`Launch`](crate::Launch).
    ///
    /// # Errors
    /// As [`join`](Self::join); [`WorkerError::Environment`] for values that cannot be, [`WorkerError::NotLaunched`]
    /// without any.
    pub fn join_from_environment(&self, path: impl AsRef<Path>) -> Result<Communicator, WorkerError> {
        let launch = crate::Launch::from_environment().map_err(WorkerError::Environment)?;
        let launch = launch.ok_or(WorkerError::NotLaunched)?;
        self.join(launch.rank, launch.ranks, path)
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

    /// Makes a window of `bytes` bytes for every rank, zeroed in simulation, and waits for all of them; the device address of the
    /// [`CommContext`](crate::CommContext). Once per communicator.
    ///
    /// # Errors
    /// Who did not come, and everything that the device refuses.
    pub fn alloc_windows(&self, bytes: usize) -> Result<DevPtr, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.alloc_windows(bytes as u64)?),
            Link::Loaded(runner, id) => Ok(DevPtr::new(runner.context().comm_alloc_windows(*id, bytes)?)),
        }
    }

    /// This rank's own window.
    ///
    /// # Errors
    /// Before [`alloc_windows`](Self::alloc_windows).
    pub fn local_window(&self) -> Result<DevPtr, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.local_window()?),
            Link::Loaded(runner, id) => Ok(DevPtr::new(runner.context().comm_local_window(*id)?)),
        }
    }

    /// The window of a rank, as this worker's device reaches it.
    ///
    /// # Errors
    /// Before [`alloc_windows`](Self::alloc_windows), and for a rank that is not in the job.
    pub fn window(&self, rank: u32) -> Result<DevPtr, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.window(rank)?),
            Link::Loaded(runner, id) => Ok(DevPtr::new(runner.context().comm_window(*id, rank)?)),
        }
    }

    /// Bytes of each window; 0 before there are any.
    ///
    /// # Errors
    /// After the worker was closed.
    pub fn window_bytes(&self) -> Result<u64, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.window_bytes()?),
            Link::Loaded(runner, id) => Ok(runner.context().comm_window_bytes(*id)? as u64),
        }
    }

    /// A context of the ranks `members`, in this order, with a part of each window: `bytes` bytes from `offset` on.
    /// This rank is number `own` in it. It lives as long as the communicator.
    ///
    /// # Errors
    /// For ranks or a part that do not exist, and before [`alloc_windows`](Self::alloc_windows).
    pub fn derive_context(
        &self,
        members: &[u32],
        own: u32,
        offset: usize,
        bytes: usize,
    ) -> Result<DevPtr, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.derive_context(members, own, offset as u64, bytes as u64)?),
            Link::Loaded(runner, id) => {
                let context = runner.context().comm_derive_context(*id, members, own, offset, bytes)?;
                Ok(DevPtr::new(context))
            }
        }
    }

    /// Makes windows of their own for the ranks `members`, in this order, zeroed, and waits for all of them. They call
    /// it with the same `id`, which is theirs until the windows are released; `own` is this rank's place among them.
    ///
    /// # Errors
    /// For a group that cannot be, an id that is in use, and members that did not come.
    pub fn alloc_domain(
        &self,
        id: u64,
        members: &[u32],
        own: u32,
        bytes: usize,
    ) -> Result<CommDomain, WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.alloc_domain(id, members, own, bytes as u64)?),
            Link::Loaded(runner, comm) => {
                let domain = runner.context().comm_alloc_domain(*comm, id, members, own, bytes)?;
                Ok(CommDomain { context: DevPtr::new(domain.context), window: DevPtr::new(domain.window) })
            }
        }
    }

    /// Gives the windows of a domain of `members` ranks back. Libraries other than ours wait for all members here.
    ///
    /// # Errors
    /// For an id that is not in use, or whose group is another one.
    pub fn release_domain(&self, id: u64, members: usize, own: u32) -> Result<(), WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.release_domain(id, members, own)?),
            Link::Loaded(runner, comm) => {
                Ok(runner.context().comm_release_domain(*comm, id, members, own)?)
            }
        }
    }

    /// Waits for all ranks; on hardware the device waits, and the call returns at once.
    ///
    /// # Errors
    /// Who did not come, and before [`alloc_windows`](Self::alloc_windows).
    pub fn barrier(&self) -> Result<(), WorkerError> {
        match &self.link {
            Link::Linked(comm) => Ok(comm.barrier()?),
            Link::Loaded(runner, id) => Ok(runner.context().comm_barrier(*id)?),
        }
    }

    /// Leaves the job. Kernels that use the windows must have ended.
    ///
    /// # Errors
    /// What a loaded library says; the communicator is gone all the same.
    pub fn close(self) -> Result<(), WorkerError> {
        self.leave()
    }

    fn leave(&self) -> Result<(), WorkerError> {
        match &self.link {
            Link::Linked(comm) => comm.close(),
            Link::Loaded(runner, id) => runner.context().comm_destroy(*id)?,
        }
        Ok(())
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        use host_library::HostLibraryError::{Closed, CommDestroyed};
        match self.leave() {
            Ok(()) | Err(WorkerError::Library(Closed | CommDestroyed)) => {}
            Err(error) => log::error!("leaving a job: {error}"),
        }
    }
}
