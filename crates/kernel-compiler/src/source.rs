use std::ffi::OsString;
use std::path::PathBuf;

use task_interface::CoreType;

/// The runtime a source is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Runtime {
    /// The host builds the whole graph first; header `orchestration_api.h`.
    HostBuildGraph,
    /// The graph is built while it runs; header `pto_orchestration_api.h`, and for kernels `tensor.h`,
    /// `intrinsic.h` and `pto_async_kernel_api.h`.
    TensormapAndRingbuffer,
}

/// The kind of chip, where headers differ (`spec/public-abi.md`, section I).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Arch {
    /// A2 and A3.
    #[default]
    A2a3,
    /// A5; `SIMPLER_ARCH_A5` is defined.
    A5,
}

/// What a source is compiled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A kernel for simulated cores; its object exports `kernel_entry`.
    Kernel {
        /// Kind of core it runs on.
        core_type: CoreType,
    },
    /// An orchestration; which function is its entry is the callable's business, see [`Source::entry`].
    Orchestration {
        /// The runtime whose API it calls.
        runtime: Runtime,
    },
}

/// One C++ file and how to compile it. Relative paths are relative to the current directory at the time of
/// the compilation, those inside [`flag`](Source::flag) to the folder of the source.
#[derive(Debug, Clone)]
pub struct Source {
    pub(crate) path: PathBuf,
    pub(crate) unit: Unit,
    /// For orchestrations the one in `unit`.
    pub(crate) runtime: Runtime,
    pub(crate) arch: Arch,
    pub(crate) include_dirs: Vec<PathBuf>,
    pub(crate) flags: Vec<OsString>,
    pub(crate) entry: Option<String>,
    pub(crate) allow_undefined: bool,
}

impl Source {
    /// The C++ file at `path`, whatever its extension. A kernel is one of [`Runtime::HostBuildGraph`] unless
    /// [`runtime`](Source::runtime) says otherwise.
    pub fn new(path: impl Into<PathBuf>, unit: Unit) -> Source {
        let (entry, runtime) = match unit {
            Unit::Kernel { .. } => (Some("kernel_entry".to_owned()), Runtime::HostBuildGraph),
            Unit::Orchestration { runtime } => (None, runtime),
        };
        Source {
            path: path.into(),
            unit,
            runtime,
            arch: Arch::default(),
            include_dirs: Vec::new(),
            flags: Vec::new(),
            entry,
            allow_undefined: false,
        }
    }

    /// A kernel for one kind of core. The same file compiled for both kinds gives two objects.
    pub fn kernel(path: impl Into<PathBuf>, core_type: CoreType) -> Source {
        Source::new(path, Unit::Kernel { core_type })
    }

    /// An orchestration.
    pub fn orchestration(path: impl Into<PathBuf>, runtime: Runtime) -> Source {
        Source::new(path, Unit::Orchestration { runtime })
    }

    /// Names the runtime that the source is written for: decides which of the project's headers it sees.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Source {
        self.runtime = runtime;
        if let Unit::Orchestration { runtime: own } = &mut self.unit {
            *own = runtime;
        }
        self
    }

    /// Names the kind of chip. Default: [`Arch::A2a3`].
    #[must_use]
    pub fn arch(mut self, arch: Arch) -> Source {
        self.arch = arch;
        self
    }

    /// Adds a folder for `#include`, searched after the project's own and after those added before.
    #[must_use]
    pub fn include_dir(mut self, dir: impl Into<PathBuf>) -> Source {
        self.include_dirs.push(dir.into());
        self
    }

    /// Adds `-D<define>`; the text is `NAME` or `NAME=value`.
    #[must_use]
    pub fn define(self, define: impl Into<OsString>) -> Source {
        let mut flag = OsString::from("-D");
        flag.push(define.into());
        self.flag(flag)
    }

    /// Adds a compiler flag after all others, so that it wins.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Source {
        self.flags.push(flag.into());
        self
    }

    /// Demands that the object exports this symbol. Kernels demand `kernel_entry` by themselves; give an
    /// orchestration the name its callable will use, and a typing error shows here instead of at load time.
    #[must_use]
    pub fn entry(mut self, symbol: impl Into<String>) -> Source {
        self.entry = Some(symbol.into());
        self
    }

    /// Lets the object link with undefined symbols, for sources that call into libraries the process will
    /// have loaded globally. By default a missing definition is a compile error, not a load error.
    #[must_use]
    pub fn allow_undefined(mut self) -> Source {
        self.allow_undefined = true;
        self
    }
}
