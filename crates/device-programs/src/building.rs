//! Building device programs: each is this crate with features of its own, made by cargo.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use workshop::{Product, WorkshopError};

/// The programs of a device.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Programs {
    /// Its AICPU program.
    pub aicpu: Vec<u8>,
    /// Its AICore program.
    pub aicore: Vec<u8>,
    /// What installs the AICPU program.
    pub dispatcher: Vec<u8>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { aicpu, aicore, dispatcher } = self;
        write!(
            f,
            "Programs(AICPU {}, AICore {}, dispatcher {} bytes)",
            aicpu.len(),
            aicore.len(),
            dispatcher.len()
        )
    }
}

/// Builds the programs for a chip (`a2a3`, `a5`) and a runtime (`host_build_graph`, `tensormap_and_ringbuffer`) for a
/// test, as quickly as possible.
///
/// What is built lies in the target directory, so that only what has changed is built again; a process asks for it once.
/// Processes take turns.
///
/// # Errors
/// [`WorkshopError`].
pub fn build(arch: &str, runtime: &str) -> Result<Programs, WorkshopError> {
    static BUILT: Mutex<BTreeMap<(String, String), Programs>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (arch.to_owned(), runtime.to_owned());
    if let Some(programs) = built.get(&key) {
        return Ok(programs.clone());
    }
    // As optimised as whoever measures them.
    let programs = build_with_profile(if cfg!(debug_assertions) { "dev" } else { "release" }, arch, runtime)?;
    built.insert(key, programs.clone());
    Ok(programs)
}

/// As [`build`], with a profile of cargo; a second call looks again whether anything has changed.
///
/// # Errors
/// [`WorkshopError`].
pub fn build_with_profile(profile: &str, arch: &str, runtime: &str) -> Result<Programs, WorkshopError> {
    let program = |program: &str| {
        workshop::build(&Product {
            package: env!("CARGO_PKG_NAME"),
            file: "libdevice_programs.so",
            features: &format!("{arch},{runtime},{program}"),
            profile,
            is_shown: false,
        })
    };
    Ok(Programs {
        aicpu: program("aicpu")?,
        aicore: program("aicore")?,
        dispatcher: crate::dispatcher().to_vec(),
    })
}
