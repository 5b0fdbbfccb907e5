use crate::code::Code;
use crate::table::{FUNCTIONS, Library};

/// Why a call did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HalError {
    /// The call returned an error code.
    #[error("{call} failed with {code}")]
    Call {
        /// The function.
        call: &'static str,
        /// What it returned.
        code: Code,
    },
    /// The function is not in the libraries of this machine.
    #[error("{call} is missing: {library} of this machine does not have it; install a newer CANN or driver")]
    Missing {
        /// The function.
        call: &'static str,
        /// Where it should be.
        library: Library,
    },
    /// The call returned success without what it was asked for.
    #[error(
        "{call} returned success but no handle or address, as the stub libraries of a toolkit do; \
         remove its devlib directory from LD_LIBRARY_PATH and install the driver"
    )]
    Empty {
        /// The function.
        call: &'static str,
    },
    /// What was passed cannot be said in C.
    #[error("{call} was not called: {reason}")]
    Argument {
        /// The function.
        call: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl HalError {
    /// The error code, if the call was made and returned one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The function in question, by its name in C.
    #[must_use]
    pub fn call(&self) -> &'static str {
        match self {
            Self::Call { call, .. }
            | Self::Missing { call, .. }
            | Self::Empty { call }
            | Self::Argument { call, .. } => call,
        }
    }

    pub(crate) fn missing(call: &'static str) -> Self {
        // Each wrapper names a function of the table.
        let library =
            FUNCTIONS.iter().find(|function| function.name == call).map(|function| function.library);
        Self::Missing { call, library: library.unwrap_or(Library::Runtime) }
    }
}
