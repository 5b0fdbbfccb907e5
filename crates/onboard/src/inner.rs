use std::sync::{Arc, Mutex};
use std::time::Duration;

use device_runner::DeviceError;
use hal_sys::{Hal, HalError};

use crate::attachment::Attachment;
use crate::bootstrap;
use crate::chip::OnboardChip;
use crate::error::OnboardError;
use crate::holdings::Holdings;
use crate::memory::DeviceMemory;
use crate::options::OnboardOptions;
use crate::session::Session;
use crate::sync::lock;

/// What a device and its launches share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) hal: Arc<Hal>,
    pub(crate) chip: &'static dyn OnboardChip,
    pub(crate) id: u32,
    pub(crate) options: OnboardOptions,
    /// Of the AICPU program (`spec/device-abi.md`, section 5.2).
    pub(crate) fingerprint: u64,
    pub(crate) memory: DeviceMemory,
    attachment: Attachment,
    life: Mutex<Life>,
    lost: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Life {
    session: Option<Arc<Session>>,
    /// What could not be given back yet.
    left: Holdings,
}

/// Device ids are signed in every call.
const MAX_ID: u32 = i32::MAX.unsigned_abs();

impl Inner {
    pub(crate) fn new(
        hal: Arc<Hal>,
        chip: &'static dyn OnboardChip,
        id: u32,
        options: OnboardOptions,
    ) -> Result<Self, DeviceError> {
        let signed = i32::try_from(id)
            .map_err(|_| DeviceError::NoSuchDevice { id, available: format!("0 to {MAX_ID}") })?;
        let fingerprint = object_loader::elf::build_id_64(&options.programs.aicpu);
        let memory = DeviceMemory::new(Arc::clone(&hal), id);
        let attachment = Attachment::new(signed);
        let (life, lost) = Default::default();
        Ok(Self { hal, chip, id, options, fingerprint, memory, attachment, life, lost })
    }

    /// How long each stream of a run is waited for.
    pub(crate) fn stream_timeout(&self) -> Duration {
        let chips = Duration::from_millis(self.chip.limits().stream_sync_timeout_ms);
        self.options.stream_timeout.unwrap_or(chips)
    }

    /// Makes the calling thread one that may talk to the device.
    pub(crate) fn attach(&self) -> Result<(), OnboardError> {
        if !self.attachment.is_held() {
            // Before the device is opened, as it takes the level over then.
            self.set_log_level();
        }
        if self.attachment.attach(&self.hal)? {
            self.set_op_timeout();
        }
        Ok(())
    }

    /// As [`attach`](Self::attach), after a call that may have taken the thread to another device.
    pub(crate) fn attach_again(&self) -> Result<(), OnboardError> {
        self.attachment.attach_again(&self.hal)
    }

    /// The device id, as most calls want it.
    pub(crate) fn signed_id(&self) -> i32 {
        // It was checked when the device was made.
        i32::try_from(self.id).unwrap_or(i32::MAX)
    }

    /// Gives something back where nobody could be told of an error.
    pub(crate) fn give_back_or_log(&self, what: &str, give: impl FnOnce() -> Result<(), HalError>) {
        let given = self.attach_again().and_then(|()| Ok(give()?));
        if let Err(error) = given {
            log::warn!("{what} of device {} is not given back: {error}", self.id);
        }
    }

    fn set_log_level(&self) {
        const ALL_MODULES: i32 = -1;
        if std::env::var_os("ASCEND_GLOBAL_LOG_LEVEL").is_some() {
            return;
        }
        let level = i32::try_from(self.options.effective_log_level()).unwrap_or(i32::MAX);
        if let Err(error) = self.hal.dlog_set_level(ALL_MODULES, level, false) {
            log::warn!("the driver keeps its log level: {error}");
        }
    }

    fn set_op_timeout(&self) {
        let chips = Duration::from_micros(self.chip.limits().op_timeout_us);
        let limit = self.options.op_timeout.unwrap_or(chips);
        match self.hal.set_op_timeout(limit) {
            Ok(actual) => log::debug!("device {}: kernels may run for {actual:?}", self.id),
            Err(error) => log::warn!("device {}: kernels may run for as long as ever: {error}", self.id),
        }
    }

    /// The open device; opens it if it is not.
    pub(crate) fn session(&self) -> Result<Arc<Session>, DeviceError> {
        const STEP: &str = "opening the device";
        self.check_usable()?;
        let mut life = lock(&self.life);
        if let Some(session) = &life.session {
            return Ok(Arc::clone(session));
        }
        self.attach().map_err(|error| self.fail(STEP, error))?;
        life.left.give_back(&self.hal).map_err(|error| self.fail(STEP, error.into()))?;
        let opened = Session::open(self, &mut life.left).map_err(|error| {
            if life.left.is_busy() {
                return self.lose(error);
            }
            if let Err(error) = life.left.give_back(&self.hal) {
                log::warn!("after device {} could not be opened: {error}", self.id);
            }
            self.fail(STEP, error)
        });
        let session = Arc::new(opened?);
        life.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// That the device was not lost.
    pub(crate) fn check_usable(&self) -> Result<(), DeviceError> {
        match &*lock(&self.lost) {
            Some(reason) => Err(DeviceError::Unusable { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        lock(&self.lost).is_some()
    }

    /// Nothing can be launched any more until the device is given back; the first reason counts.
    fn mark_lost(&self, error: &OnboardError) {
        lock(&self.lost).get_or_insert_with(|| error.to_string());
        bootstrap::forget(&self.hal, self.fingerprint, self.id);
    }

    /// The error of a launch that leaves the device in a state that nobody knows.
    pub(crate) fn lose(&self, error: OnboardError) -> DeviceError {
        self.mark_lost(&error);
        DeviceError::Lost { source: Box::new(error) }
    }

    /// The error of any other call; `step` says what was being done.
    pub(crate) fn fail(&self, step: &'static str, error: OnboardError) -> DeviceError {
        if error.is_suspect() {
            self.mark_lost(&error);
        }
        error.during(step)
    }

    /// Makes a device usable whose program has ended a launch with an error, and nothing else has happened.
    pub(crate) fn recover(&self) -> Result<(), DeviceError> {
        const STEP: &str = "going on after a lost launch";
        self.attach().map_err(|error| self.fail(STEP, error))?;
        let mut life = lock(&self.life);
        let session = match life.session.take().map(Arc::try_unwrap) {
            Some(Ok(session)) if session.has_ended_by_itself() => session,
            Some(Ok(session)) => {
                life.session = Some(Arc::new(session));
                return self.check_usable();
            }
            Some(Err(session)) => {
                life.session = Some(session);
                return Err(DeviceError::Busy);
            }
            None => return self.check_usable(),
        };
        let renewed = session.renew_lanes(&self.hal, &mut life.left);
        let session = renewed.map_err(|error| self.fail(STEP, error.into()))?;
        life.session = Some(Arc::new(session));
        *lock(&self.lost) = None;
        Ok(())
    }

    /// Gives everything back. After an error the rest can be given back later.
    pub(crate) fn reset(&self) -> Result<(), DeviceError> {
        let mut life = lock(&self.life);
        if let Some(session) = life.session.take() {
            match Arc::try_unwrap(session) {
                Ok(session) => life.left = session.into_holdings(),
                Err(session) => {
                    life.session = Some(session);
                    return Err(DeviceError::Busy);
                }
            }
        }
        if self.attachment.is_gone() {
            self.attachment.forget();
            self.forget(&mut life.left);
        } else if self.attachment.is_held() {
            let given = self.attach().and_then(|()| Ok(self.give_back(&mut life.left)?));
            given.map_err(|error| error.during("giving the device back"))?;
        }
        *lock(&self.lost) = None;
        Ok(())
    }

    fn give_back(&self, left: &mut Holdings) -> Result<(), HalError> {
        let lost = self.is_lost();
        if lost && !left.settle(&self.hal, self.stream_timeout()) {
            return self.take_away(left);
        }
        let programs = left.give_back(&self.hal);
        let given = self.memory.release_all().and(programs);
        if given.is_err() && !lost {
            return given;
        }
        // Of a lost device, what could not be given back goes with the device itself.
        self.attachment.release(&self.hal)?;
        self.forget(left);
        given
    }

    /// Takes the device away from work that does not end.
    fn take_away(&self, left: &mut Holdings) -> Result<(), HalError> {
        log::warn!("device {} still works on a lost run and is taken down for everybody", self.id);
        match self.attachment.force(&self.hal) {
            // Older versions have no such call: then it goes with the last one who uses it.
            Err(HalError::Missing { .. }) => self.attachment.release(&self.hal)?,
            forced => forced?,
        }
        self.forget(left);
        Ok(())
    }

    fn forget(&self, left: &mut Holdings) {
        *left = Holdings::default();
        self.memory.forget_all();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.reset() {
            log::error!("device {} is given up: {error}", self.id);
            if let Err(error) = self.attachment.release(&self.hal) {
                log::error!("device {} stays attached: {error}", self.id);
            }
        }
    }
}
