//! The AICore program: one core's handshake and its loop over tasks (`spec/device-abi.md`, sections 1.5, 2.4 and
//! 2.5).

mod kernels;
mod tasks;

use std::time::Duration;

use device_runner::CoreId;
use task_interface::CoreType;

pub(crate) use kernels::{Entries, LaunchKernels};
pub(crate) use tasks::TaskSource;

use crate::chip::{Chip, HandshakeWords, RegisterMap, Registers};
use crate::memory::DeviceMemory;
use crate::patience::Patience;
use crate::protocol::{EXIT, IDLE, LEFT, NO_TASK, ended, received};
use crate::records::{RecordPlaces, Telling};

/// Who a core is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) worker: CoreId,
    pub(crate) core_type: CoreType,
    pub(crate) physical: u32,
}

/// Where a launch is, in device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    pub(crate) runtime: u64,
    pub(crate) registers: u64,
    pub(crate) map: RegisterMap,
    pub(crate) places: RecordPlaces,
}

/// How long a core waits. It is the AICPU program that ends a launch; these only keep a core from waiting for ever for
/// one that is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// For each step of the handshake.
    pub(crate) handshake: Duration,
    /// For a task, or the end. Other cores may be at work meanwhile.
    pub(crate) task: Duration,
}

impl Budgets {
    pub(crate) const USUAL: Self =
        Self { handshake: Duration::from_secs(30), task: Duration::from_secs(600) };
}

/// Why a core left before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CoreError {
    /// The launch was ended by force.
    #[error("{0}: the launch was ended")]
    Killed(CoreId),
    /// The AICPU program did not do its part.
    #[error("{core}: the AICPU program {lacks}")]
    NoAicpu { core: CoreId, lacks: &'static str },
    /// The image or the registers are not what they should be.
    #[error("{core}: {reason}")]
    Broken { core: CoreId, reason: String },
    /// A kernel could not be run, or threw.
    #[error("{core}, token {token}: {reason}")]
    Kernel { core: CoreId, token: u32, reason: String },
}

/// One core of a launch.
pub(crate) struct Core<'a> {
    pub(crate) chip: &'static Chip,
    pub(crate) launch: Launch,
    pub(crate) identity: Identity,
    pub(crate) tasks: TaskSource,
    pub(crate) entries: Entries<'a>,
    pub(crate) budgets: Budgets,
    /// Whether the launch was ended by force.
    pub(crate) killed: &'a dyn Fn() -> bool,
}

impl Core<'_> {
    /// Runs tasks until the AICPU program says that there are no more.
    ///
    /// # Errors
    /// [`CoreError`]; the core shows that it has left all the same.
    ///
    /// # Safety
    /// The image and the register blocks must be accessible, and tasks be those of kernels of this launch.
    pub(crate) unsafe fn run(&self) -> Result<(), CoreError> {
        // SAFETY: as the caller promises.
        let memory = unsafe { DeviceMemory::new() };
        // SAFETY: as the caller promises.
        let handshake = unsafe { HandshakeWords::at(self.launch.runtime, self.identity.worker) };
        // SAFETY: as the caller promises.
        let registers = unsafe { self.shake_hands(&handshake) }?;
        // SAFETY: as the caller promises.
        let done = unsafe { self.run_tasks(memory, &handshake, &registers) };
        registers.cond.store(LEFT);
        done
    }

    fn wait_for(&self, what: &'static str, so: impl Fn() -> bool) -> Result<(), CoreError> {
        let core = self.identity.worker;
        let mut patience = Patience::new(self.budgets.handshake);
        while !so() {
            if (self.killed)() {
                return Err(CoreError::Killed(core));
            }
            if !patience.wait() {
                return Err(CoreError::NoAicpu { core, lacks: what });
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn shake_hands(&self, handshake: &HandshakeWords) -> Result<Registers, CoreError> {
        let Identity { worker, core_type, physical } = self.identity;
        self.wait_for("does not come", || handshake.aicpu_ready.load() != 0)?;
        handshake.physical_core_id.store(physical);
        handshake.aicore_regs_ready.store(1);
        self.wait_for("does not open the registers", || handshake.aicpu_regs_ready.load() != 0)?;
        let Launch { registers, map, .. } = self.launch;
        // SAFETY: as the caller promises.
        let registers = unsafe { self.chip.registers(map, registers, physical) };
        let registers = registers.ok_or_else(|| CoreError::Broken {
            core: worker,
            reason: format!("physical core {physical} has no registers"),
        })?;
        // An AICPU program that gives up releases cores whose registers it has not opened: what is in them is no task.
        if !matches!(registers.data_main_base.load(), NO_TASK | EXIT) {
            registers.cond.store(LEFT);
            return Err(CoreError::NoAicpu { core: worker, lacks: "gave up" });
        }
        registers.cond.store(IDLE);
        handshake.core_type.store(u32::from_ne_bytes(core_type.raw().to_ne_bytes()));
        handshake.aicore_done.store(worker.0 + 1);
        Ok(registers)
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_tasks(
        &self,
        memory: DeviceMemory,
        handshake: &HandshakeWords,
        registers: &Registers,
    ) -> Result<(), CoreError> {
        let core = self.identity.worker;
        let mut last = NO_TASK;
        let mut telling = None;
        let mut patience = Patience::new(self.budgets.task);
        loop {
            let token = registers.data_main_base.load();
            if token == EXIT {
                return Ok(());
            }
            if token == NO_TASK || token == last {
                if (self.killed)() {
                    return Err(CoreError::Killed(core));
                }
                if !patience.wait() {
                    return Err(CoreError::NoAicpu { core, lacks: "does not end the launch" });
                }
                continue;
            }
            registers.cond.store(received(token));
            // SAFETY: as the caller promises. By now the AICPU program has made everything ready.
            let telling = telling.get_or_insert_with(|| unsafe {
                Telling::open(self.chip, memory, &self.launch, &self.identity)
            });
            let start = telling.as_ref().map_or(0, Telling::now);
            // SAFETY: as the caller promises.
            unsafe { self.run_task(memory, handshake, token) }.map_err(|reason| CoreError::Kernel {
                core,
                token,
                reason,
            })?;
            if let Some(telling) = telling {
                telling.tell(token, start);
            }
            last = token;
            registers.cond.store(ended(token));
            patience.renew();
        }
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn run_task(
        &self,
        memory: DeviceMemory,
        handshake: &HandshakeWords,
        token: u32,
    ) -> Result<(), String> {
        // SAFETY: as the caller promises.
        let task = unsafe { self.tasks.task(self.chip, memory, self.launch.runtime, handshake, token) }?;
        if task.entry == 0 {
            return Ok(());
        }
        // SAFETY: the AICPU program names a kernel of this launch and its arguments.
        unsafe { self.entries.call(memory, task.entry, task.args) }
    }
}
