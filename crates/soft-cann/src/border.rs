//! What every exported function does around its own job: rules, the lost device, the journal, panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::codes;
use crate::device::Device;
use crate::process::process;
use crate::report::{Call, ViolationKind};
use crate::rule::{Verdict, usual_code};

/// Whose codes a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// rt* and acl*.
    Acl,
    /// hal*.
    Driver,
    /// Hccl*.
    Hccl,
    /// dlog*, which has no device.
    Log,
}

impl Family {
    fn lost(self) -> Option<i32> {
        match self {
            Self::Acl => Some(codes::SOCKET_CLOSE),
            Self::Driver => Some(codes::DRV_INNER_ERR),
            Self::Hccl => Some(codes::HCCL_RUNTIME),
            Self::Log => None,
        }
    }
}

/// Makes one call of a device: fails it if a rule says so, else does `job`, and records it.
pub(crate) fn enter(
    family: Family,
    name: &'static str,
    device: &Arc<Device>,
    args: &[u64],
    job: impl FnOnce() -> Result<(), i32>,
) -> i32 {
    let verdict = device.rules.on_call(name);
    if verdict == Some(Verdict::Lose) {
        device.lose();
    }
    let lost = if device.is_lost() { family.lost() } else { None };
    let code = match (lost, verdict) {
        (Some(code), _) => code,
        (None, Some(Verdict::Fail(code))) => code.unwrap_or_else(|| usual_code(name)),
        (None, _) => guarded(name, device, job),
    };
    device.record(Call {
        name,
        args: args.to_vec(),
        code,
        // SAFETY: asks for a number.
        thread: unsafe { libc::gettid() },
        time: process().start.elapsed(),
    });
    code
}

fn guarded(name: &str, device: &Device, job: impl FnOnce() -> Result<(), i32>) -> i32 {
    // What a panic leaves half done is behind locks that survive it; the report says not to trust the rest.
    match catch_unwind(AssertUnwindSafe(job)) {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code,
        Err(_) => {
            device.report(ViolationKind::Setting, format!("the instrument has a bug: {name} panicked"));
            codes::INTERNAL_ERROR
        }
    }
}

/// An argument as a word of the journal.
pub(crate) trait Word {
    fn word(self) -> u64;
}

macro_rules! words {
    ($($type:ty),*) => {$(
        impl Word for $type {
            #[allow(clippy::cast_sign_loss, reason = "negative numbers are recorded as their bits")]
            #[allow(clippy::cast_lossless, reason = "one spelling for all integers")]
            fn word(self) -> u64 {
                self as u64
            }
        }
    )*};
}
words!(u16, u32, i32, u64, usize);

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self.expose_provenance() as u64
    }
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self.expose_provenance() as u64
    }
}

/// Defines an exported function of CANN. `on` names the device that the call is put down to, after `=>`
/// follows the job, a `Result<(), i32>`.
macro_rules! exported {
    ($(
        $(#[$meta:meta])*
        $family:ident fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $returned:ty,
        on $device:expr => $job:expr
    )*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// That of the CANN function of this name: pointers are null or valid for what the call does.
        #[unsafe(export_name = concat!("soft_cann_", stringify!($name)))]
        #[allow(non_snake_case, reason = "the name is that of C")]
        pub(crate) unsafe extern "C" fn $name($($arg: $type),*) -> $returned {
            let device = $device;
            let args: &[u64] = &[$($crate::border::Word::word($arg)),*];
            let family = $crate::border::Family::$family;
            let code = $crate::border::enter(family, stringify!($name), &device, args, || $job);
            $crate::border::Returned::from_code(code)
        }
    )*};
}
pub(crate) use exported;

/// The types that codes are returned in: C enumerations are unsigned.
pub(crate) trait Returned {
    fn from_code(code: i32) -> Self;
}

impl Returned for i32 {
    fn from_code(code: i32) -> Self {
        code
    }
}

impl Returned for u32 {
    #[allow(clippy::cast_sign_loss, reason = "codes of the driver and of HCCL are not negative")]
    fn from_code(code: i32) -> Self {
        code as Self
    }
}
