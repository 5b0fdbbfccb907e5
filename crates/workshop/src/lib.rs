//! Building shared objects of this workspace on behalf of tests and project commands: each is one of its crates with
//! features of its own, made by cargo.
//!
//! **Owns:** the target directory of these builds, turns in it, and how what was built is found.
//!
//! **Must not know:** what the objects are for.
//!
//! All objects share one directory, so that what they have in common is compiled once. It lies apart from the target
//! directory of whoever calls, which may be locked by a cargo that waits for this process.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// Why there is no shared object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkshopError {
    /// A file or a process that does not do what it should.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Cargo has failed, for example because there is no such feature.
    #[error("cargo failed to build {package} with features {features}: {output}")]
    Cargo {
        /// The crate.
        package: String,
        /// The features.
        features: String,
        /// What it said.
        output: String,
    },
}

impl WorkshopError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}

/// A shared object to be built.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Product<'a> {
    /// A crate of this workspace with a `cdylib`.
    pub package: &'a str,
    /// Name of the library's file.
    pub file: &'a str,
    /// Its features, with commas between them; the default ones are not added.
    pub features: &'a str,
    /// Profile of cargo.
    pub profile: &'a str,
    /// What cargo says goes to standard error as it comes, and not into errors.
    pub is_shown: bool,
}

/// Where this workspace is.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The directory of these builds, for files that belong to them; it exists then.
///
/// # Errors
/// [`WorkshopError::Io`].
pub fn folder() -> Result<PathBuf, WorkshopError> {
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty());
    // Of a path that is not absolute, cargo means the directory that it was started in.
    let folder = project().join(target.unwrap_or_else(|| OsString::from("target"))).join("workshop");
    std::fs::create_dir_all(&folder).map_err(WorkshopError::io(format!("making {}", folder.display())))?;
    Ok(folder)
}

/// Builds what is not up to date of a shared object, and returns its bytes. Processes take turns.
///
/// # Errors
/// [`WorkshopError`], with what cargo said.
pub fn build(product: &Product<'_>) -> Result<Vec<u8>, WorkshopError> {
    let folder = folder()?;
    let _turn = Turn::take(&folder)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let done = Command::new(&cargo)
        .current_dir(project())
        .args(["build", "--package", product.package, "--lib", "--profile", product.profile, "--locked"])
        .args(["--no-default-features", "--features", product.features])
        .arg("--target-dir")
        .arg(&folder)
        // Tells where the file is; errors still come as text.
        .args(["--message-format", "json-render-diagnostics"])
        // Gives the files of a `cdylib` a hash inside of the directory. Else those of different features overwrite each
        // other, and are built again each time: slower, but nothing worse should cargo forget about this one day.
        .env("__CARGO_DEFAULT_LIB_METADATA", "workshop")
        // What is set for the crates of whoever called us is not meant for these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .stderr(if product.is_shown { Stdio::inherit() } else { Stdio::piped() })
        .output()
        .map_err(WorkshopError::io(format!("starting {}", cargo.display())))?;
    let failed = |output: String| WorkshopError::Cargo {
        package: product.package.to_owned(),
        features: product.features.to_owned(),
        output,
    };
    if !done.status.success() {
        return Err(failed(match product.is_shown {
            true => "see above".to_owned(),
            false => format!("\n{}", String::from_utf8_lossy(&done.stderr)),
        }));
    }
    let path = built_file(&done.stdout, product.file)
        .ok_or_else(|| failed(format!("it succeeded, but names no {}", product.file)))?;
    std::fs::read(&path).map_err(WorkshopError::io(format!("reading {}", path.display())))
}

/// Held while this process builds and copies: the file that cargo names is that of the last build.
struct Turn(File);

impl Turn {
    fn take(folder: &Path) -> Result<Self, WorkshopError> {
        let path = folder.join("lock");
        let failed = || format!("locking {}", path.display());
        let file = File::create(&path).map_err(WorkshopError::io(failed()))?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(WorkshopError::io(failed())(error.into())),
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing the file would do, unless a child has inherited it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Finds a file in cargo's messages, of which each is a line of JSON.
fn built_file(messages: &[u8], name: &str) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n').filter_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        (message["reason"] == "compiler-artifact").then_some(message)
    });
    let files = messages.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let mut paths = files.filter_map(|file| file.as_str().map(PathBuf::from));
    paths.find(|path| path.file_name().is_some_and(|file| file == name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

    use super::*;

    #[test]
    fn the_file_is_found_among_cargos_messages() {
        let messages = br#"{"reason":"compiler-artifact","filenames":["/t/dist/libother.rlib"]}
not json
{"reason":"build-finished","filenames":["/t/wrong/libx.so"]}
{"reason":"compiler-artifact","filenames":["/t/dist/libx.rlib","/t/dist/libx.so"]}
"#;
        assert_eq!(built_file(messages, "libx.so"), Some("/t/dist/libx.so".into()));
        assert_eq!(built_file(b"", "libx.so"), None);
    }

    #[test]
    fn what_cargo_says_is_in_the_error() {
        let product = Product {
            package: "workshop",
            file: "libx.so",
            features: "nonsense",
            profile: "dev",
            is_shown: false,
        };
        let error = build(&product).unwrap_err().to_string();
        assert!(error.contains("workshop with features nonsense: \nerror: "), "{error}");
    }
}
