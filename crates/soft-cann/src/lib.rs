//! A stand-in for CANN on a machine without an NPU. **This is a test instrument**: nothing that is shipped
//! may depend on it.
//!
//! **Owns:** the functions of `spec/hal.md`, section 1, over host memory, as strict as section 5 says: attachment
//! per thread, counted references to devices, streams on threads, memory with red zones, launches whose blocks all
//! run at once, AICPU and AICore programs that are shared objects of this machine (`include/soft_cann_device.h`),
//! register blocks; failures on demand ([`Rule`]), and what a program left and did wrong ([`LeakReport`],
//! [`Violation`]).
//!
//! **Must not know:** what the programs that it runs do, and anything of this project but the C interface of CANN
//! (`hal-sys`) and the loading of objects (`object-loader`). Argument blocks are words to it.
//!
//! There are two ways to it. Tests in Rust take [`raw_table`] and a device for themselves
//! ([`Devices::lease`]). Programs load the shared objects in [`libraries_dir`], which have the vendor's names
//! and share one state of their own; the environment controls them:
//!
//! | variable | meaning |
//! |---|---|
//! | `SOFT_CANN_DEVICES` | number of devices, 64 |
//! | `SOFT_CANN_CHIP` | `a2a3` or `a5` |
//! | `SOFT_CANN_MEMORY` | bytes of each device, 32 GiB |
//! | `SOFT_CANN_TIME_SCALE` | how many times longer limits of time are than calls say, 10 |
//! | `SOFT_CANN_INJECT` | rules ([`Rule`]'s text), separated by `;`, with `dev=D` for one device only |
//! | `SOFT_CANN_REPORT` | a file to which the process adds a line for everything left or done wrong when it ends |
//!
//! ```
//! use soft_cann::{Chip, Devices, Rule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Devices::lease(Chip::A2a3)?;
//! let table = soft_cann::raw_table();
//! let refused = device.inject(Rule::fail("rtMalloc").nth(1).code(207001));
//! let (set, malloc) = (table.rtSetDevice.ok_or("no set")?, table.rtMalloc.ok_or("no malloc")?);
//! let mut address = std::ptr::null_mut();
//! // SAFETY: `address` is valid for a write.
//! let codes = unsafe { [set(device.id()), malloc(&raw mut address, 64, 2, 0)] };
//! assert_eq!(codes, [0, 207001]);
//! assert_eq!(refused.fired(), 1);
//! assert_eq!(device.leaks().device_references, 1);
//! # Ok(())
//! # }
//! ```

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("soft-cann runs programs of 64-bit Linux with glibc");

mod aicore;
mod aicpu;
mod border;
mod calls;
mod chip;
mod codes;
mod context;
mod control;
mod copy;
mod device;
mod device_symbols;
mod exit;
mod group;
mod handle;
mod lease;
mod libraries;
mod memory;
mod ops;
mod peers;
mod process;
mod region;
mod report;
mod rule;
mod settings;
mod stream;
mod sync;
mod table;
mod task;

pub use chip::Chip;
pub use lease::{DeviceLease, Devices, NoDevice};
pub use libraries::libraries_dir;
pub use report::{Call, LeakReport, Violation, ViolationKind};
pub use rule::{Injected, Rule, RuleError};
pub use table::raw_table;
