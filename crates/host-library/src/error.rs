use std::fmt;
use std::io;
use std::path::PathBuf;

use task_interface::{CallConfigError, TaskArgsError, TensorError};

use crate::additions::ErrorKind;

/// Why a host library cannot be opened, or what it refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostLibraryError {
    /// Files of a `build/lib` tree are not there.
    #[error("{} lacks {}; build the libraries for this platform and runtime first", root.display(), list(missing))]
    MissingFiles {
        /// The tree.
        root: PathBuf,
        /// What is missing, relative to it.
        missing: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The dynamic loader refuses a library.
    #[error("{} cannot be loaded: {reason}{}", path.display(), loading_hint(reason))]
    NotLoadable {
        /// The library.
        path: PathBuf,
        /// What the dynamic loader says.
        reason: String,
    },
    /// A library is not what it should be.
    #[error("{} has no function {symbol}; name a library that has the C API of this version", path.display())]
    MissingSymbol {
        /// The library.
        path: PathBuf,
        /// The function.
        symbol: &'static str,
    },
    /// The log library does not start.
    #[error("simpler_log_init of {} failed with code {code}", path.display())]
    LogInit {
        /// The log library.
        path: PathBuf,
        /// What it returned.
        code: i32,
    },
    /// The C API takes device ids as `int`.
    #[error("device id {id} is too large: 0 to {} can be passed on", i32::MAX)]
    DeviceId {
        /// The id.
        id: u32,
    },
    /// The library makes no context.
    #[error("create_device_context returned null{}", reason(explanation))]
    NoContext {
        /// What the library says about it.
        explanation: Option<Explanation>,
    },
    /// The library takes no options, or none like this.
    #[error("option {name} = {value} cannot be passed on; only libraries of simpler-rs take options")]
    Option {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The buffer that runs need cannot be allocated.
    #[error("the {bytes} bytes that the library wants for each run (get_runtime_size) cannot be allocated")]
    RunBuffer {
        /// What the library asks for.
        bytes: usize,
    },
    /// A function of the library returned an error code.
    #[error("{function} failed with code {code}{}", reason(explanation))]
    Call {
        /// The function.
        function: &'static str,
        /// What it returned.
        code: i32,
        /// What the library says about it.
        explanation: Option<Explanation>,
    },
    /// The library has no device memory left.
    #[error("device_malloc_ctx returned null for {bytes} bytes{}", reason(explanation))]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// What the library says about it.
        explanation: Option<Explanation>,
    },
    /// An address that this context did not allocate, or more bytes than it allocated there.
    #[error(
        "{operation} at {address:#x} for {bytes} bytes: not inside one live allocation or window of this context"
    )]
    Address {
        /// What was tried.
        operation: &'static str,
        /// The address.
        address: u64,
        /// Bytes of the range.
        bytes: u64,
    },
    /// The call configuration is not valid.
    #[error(transparent)]
    Config(#[from] CallConfigError),
    /// The task arguments are not valid.
    #[error("the task arguments are not valid: {0}")]
    Args(#[from] TaskArgsError),
    /// A tensor argument is not valid.
    #[error("tensor argument {index} is not valid: {source}")]
    Tensor {
        /// Its index.
        index: usize,
        /// What is wrong.
        source: TensorError,
    },
    /// A path that cannot be passed on as a text.
    #[error("{} has a byte 0 in it; name another place for the ranks to meet", path.display())]
    CommPath {
        /// The path.
        path: PathBuf,
    },
    /// A window that does not exist.
    #[error("rank {rank} has no window; name a rank of the job, and make windows first")]
    NoWindow {
        /// The rank.
        rank: u32,
    },
    /// The communicator was destroyed.
    #[error("the communicator was destroyed; join again")]
    CommDestroyed,
    /// The context was closed.
    #[error("the context is closed; open another one")]
    Closed,
}

impl HostLibraryError {
    /// The code that a function of the library returned, if that is the error.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Call { code, .. } | Self::LogInit { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What the library itself says about the error; only libraries with `simpler_rs_last_error` do.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        match self {
            Self::NoContext { explanation }
            | Self::Call { explanation, .. }
            | Self::OutOfMemory { explanation, .. } => explanation.as_ref(),
            _ => None,
        }
    }
}

/// What a library says about its last error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The kind of error; `None` for a number that this version does not know.
    pub kind: Option<ErrorKind>,
    /// Its text.
    pub text: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn reason(explanation: &Option<Explanation>) -> String {
    match explanation {
        Some(explanation) => format!(": {explanation}"),
        None => "; the library may have written the reason to its log, on stderr".to_owned(),
    }
}

fn list(missing: &[PathBuf]) -> String {
    let names: Vec<_> = missing.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// Host libraries leave the functions of the two process-wide libraries undefined.
fn loading_hint(reason: &str) -> &'static str {
    if reason.contains("undefined symbol") {
        "; name libsimpler_log.so and, in simulation, libcpu_sim_context.so as its companions"
    } else {
        ""
    }
}
