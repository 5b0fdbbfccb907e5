//! Building device programs: each is this crate with features of its own, made by cargo.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

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

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file or a process that does not do what it should.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Cargo has failed, for example because there is no such chip or runtime.
    #[error("cargo failed to build device programs with features {features}:\n{output}")]
    Cargo {
        /// The features.
        features: String,
        /// What it said.
        output: String,
    },
}

impl BuildError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}

/// Builds the programs for a chip (`a2a3`, `a5`) and a runtime (`host_build_graph`, `tensormap_and_ringbuffer`) for a
/// test, as quickly as possible.
///
/// What is built lies in the target directory, so that only what has changed is built again; a process asks for it once.
/// Processes take turns.
///
/// # Errors
/// [`BuildError`].
pub fn build(arch: &str, runtime: &str) -> Result<Programs, BuildError> {
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
/// [`BuildError`].
pub fn build_with_profile(profile: &str, arch: &str, runtime: &str) -> Result<Programs, BuildError> {
    let workshop = workshop();
    std::fs::create_dir_all(&workshop).map_err(BuildError::io(format!("making {}", workshop.display())))?;
    let _turn = Turn::take(&workshop)?;
    let program = |program: &str| build_program(&workshop, profile, &format!("{arch},{runtime},{program}"));
    Ok(Programs {
        aicpu: program("aicpu")?,
        aicore: program("aicore")?,
        dispatcher: crate::dispatcher().to_vec(),
    })
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Apart from the target directory of whoever called us, which may be locked by a cargo that waits for us.
fn workshop() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target"));
    // Of a path that is not absolute, cargo means the directory that it was started in.
    project().join(target).join("device-programs")
}

/// Held while this process builds and copies: cargo gives the file of a `cdylib` no hash, so that programs overwrite
/// each other.
struct Turn(File);

impl Turn {
    fn take(workshop: &Path) -> Result<Self, BuildError> {
        let path = workshop.join("lock");
        let failed = || format!("locking {}", path.display());
        let file = File::create(&path).map_err(BuildError::io(failed()))?;
        loop {
            // SAFETY: the descriptor is that of an open file.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } == 0 {
                return Ok(Self(file));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(BuildError::io(failed())(error));
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // SAFETY: as above. Closing the file would do, unless a child has inherited it.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

fn build_program(workshop: &Path, profile: &str, features: &str) -> Result<Vec<u8>, BuildError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let done = Command::new(&cargo)
        .current_dir(project())
        .args(["build", "--package", "device-programs", "--lib", "--profile", profile, "--locked"])
        .args(["--no-default-features", "--features", features])
        .arg("--target-dir")
        .arg(workshop)
        // Tells where the file is; errors still come as text.
        .args(["--message-format", "json-render-diagnostics"])
        // What is set for the crates of whoever called us is not meant for these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .map_err(BuildError::io(format!("starting {}", cargo.display())))?;
    if !done.status.success() {
        let output = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(BuildError::Cargo { features: features.to_owned(), output });
    }
    let path = built_file(&done.stdout).ok_or_else(|| BuildError::Cargo {
        features: features.to_owned(),
        output: "it names no shared object".to_owned(),
    })?;
    std::fs::read(&path).map_err(BuildError::io(format!("reading {}", path.display())))
}

/// Finds the program in cargo's messages, of which each is a line of JSON.
fn built_file(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n').filter_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        (message["reason"] == "compiler-artifact").then_some(message)
    });
    let files = messages.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let mut paths = files.filter_map(|file| file.as_str().map(PathBuf::from));
    paths.find(|path| path.file_name().is_some_and(|name| name == "libdevice_programs.so"))
}
