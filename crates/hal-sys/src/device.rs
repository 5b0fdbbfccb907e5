//! Attaching threads to a device, giving a device back, and what holds for a whole device.

use std::time::Duration;

use crate::error::HalError;
use crate::hal::{Hal, acl, function};

impl Hal {
    /// Attaches the calling thread to a device, and opens the device with the first call of the process.
    ///
    /// CANN counts these calls, also repeated ones of a thread: each wants a
    /// [`reset_device`](Self::reset_device).
    ///
    /// # Errors
    /// 107001: there is no such device; 507033: it cannot be opened.
    pub fn set_device(&self, device: i32) -> Result<(), HalError> {
        let set = function!(self, rtSetDevice)?;
        // SAFETY: the call takes a number.
        acl("rtSetDevice", unsafe { set(device) })
    }

    /// Takes one [`set_device`](Self::set_device) back. The last one closes the device: memory, streams and
    /// programs that are left on it are gone, their handles must not be used any more, and every thread
    /// is detached.
    ///
    /// # Errors
    /// 507007: there is nothing to take back.
    pub fn reset_device(&self, device: i32) -> Result<(), HalError> {
        let reset = function!(self, rtDeviceReset)?;
        // SAFETY: the call takes a number.
        acl("rtDeviceReset", unsafe { reset(device) })
    }

    /// Closes a device now, whoever has set it in this process, as the last
    /// [`reset_device`](Self::reset_device) does. Needs [`Group::Teardown`](crate::Group::Teardown).
    ///
    /// # Errors
    /// 507007: the device is not set.
    pub fn reset_device_force(&self, device: i32) -> Result<(), HalError> {
        let reset = function!(self, aclrtResetDeviceForce)?;
        // SAFETY: the call takes a number.
        acl("aclrtResetDeviceForce", unsafe { reset(device) })
    }

    /// Limits how long one kernel may run on a core, from then on, for the device that the thread is
    /// *attached* to; a kernel that takes longer is killed. The device counts in steps: what it has set
    /// is returned.
    ///
    /// # Errors
    /// 107002: the thread is not attached.
    pub fn set_op_timeout(&self, limit: Duration) -> Result<Duration, HalError> {
        let set = function!(self, aclrtSetOpExecuteTimeOutV2)?;
        let microseconds = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let mut actual = 0;
        // SAFETY: `actual` lives during the call.
        acl("aclrtSetOpExecuteTimeOutV2", unsafe { set(microseconds, &raw mut actual) })?;
        Ok(Duration::from_micros(actual))
    }

    /// How many AICPU cores the device has that the thread is *attached* to. Needs
    /// [`Group::Information`](crate::Group::Information).
    ///
    /// # Errors
    /// 107002: the thread is not attached.
    pub fn aicpu_count(&self) -> Result<u32, HalError> {
        let get = function!(self, rtGetAiCpuCount)?;
        let mut count = 0;
        // SAFETY: `count` lives during the call.
        acl("rtGetAiCpuCount", unsafe { get(&raw mut count) })?;
        Ok(count)
    }

    /// Sets the level of CANN's log: 0 debug, 1 info, 2 warning, 3 error, 4 none. `module` -1 stands for all;
    /// `event` also logs events. It counts for what is logged from then on: call it before a device is
    /// opened.
    ///
    /// # Errors
    /// The number that the log library returns.
    pub fn dlog_set_level(&self, module: i32, level: i32, event: bool) -> Result<(), HalError> {
        let set = function!(self, dlog_setlevel)?;
        // SAFETY: the call takes numbers.
        acl("dlog_setlevel", unsafe { set(module, level, i32::from(event)) })
    }
}
