//! Setting a compiler up.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::home::{CacheChoice, Home};
use super::{KernelCompiler, checked_dir};
use crate::error::CompileError;
use crate::headers;
use crate::settings::{Env, process_env, variable};
use crate::toolchain::Toolchain;

/// How a [`KernelCompiler`] is set up. Everything has a default.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    compiler: Option<PathBuf>,
    cache: CacheChoice,
    pto_isa_root: Option<PathBuf>,
    include_dirs: Vec<PathBuf>,
    jobs: Option<usize>,
    timeout: Duration,
    cancelled: Arc<AtomicBool>,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            compiler: None,
            cache: CacheChoice::Env,
            pto_isa_root: None,
            include_dirs: Vec::new(),
            jobs: None,
            timeout: Duration::from_secs(5 * 60),
            cancelled: Arc::default(),
        }
    }

    /// The compiler, by path or by a name to look up in `$PATH`. Default: `$SIMPLER_CXX`, else `$CXX`, else the
    /// first of `g++`, `clang++`, `c++`. Words after the program, as in `ccache g++`, are its first arguments.
    pub fn compiler(mut self, compiler: impl Into<PathBuf>) -> Builder {
        self.compiler = Some(compiler.into());
        self
    }

    /// The cache folder. Default: `$SIMPLER_KERNEL_CACHE`, else `$XDG_CACHE_HOME/simpler-rs`, else
    /// `$HOME/.cache/simpler-rs`, else a private folder among the temporary files.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Builder {
        self.cache = CacheChoice::Dir(dir.into());
        self
    }

    /// Compiles every time and keeps nothing.
    pub fn no_cache(mut self) -> Builder {
        self.cache = CacheChoice::None;
        self
    }

    /// The PTO-ISA checkout for kernels: the folder with `include/pto` in it. Default: `$PTO_ISA_ROOT`, else
    /// none.
    pub fn pto_isa_root(mut self, root: impl Into<PathBuf>) -> Builder {
        self.pto_isa_root = Some(root.into());
        self
    }

    /// Adds an include folder for all sources, searched after the project's own headers.
    pub fn include_dir(mut self, dir: impl Into<PathBuf>) -> Builder {
        self.include_dirs.push(dir.into());
        self
    }

    /// Compilers that [`KernelCompiler::compile_all`] runs at the same time; 0 counts as 1. Default: one per
    /// CPU this process may use.
    pub fn jobs(mut self, jobs: usize) -> Builder {
        self.jobs = Some(jobs);
        self
    }

    /// How long one compiler may take before it is killed. Default: five minutes.
    pub fn timeout(mut self, timeout: Duration) -> Builder {
        self.timeout = timeout;
        self
    }

    /// Once `cancelled` is true, compilers that run are killed with all their files, and none is started any more:
    /// compilations end with [`CompileError::Cancelled`].
    pub fn cancelled_by(mut self, cancelled: Arc<AtomicBool>) -> Builder {
        self.cancelled = cancelled;
        self
    }

    /// Finds the compiler, asks for its version, and prepares the cache folder with the headers.
    ///
    /// # Errors
    ///
    /// No usable compiler, no usable cache or temporary folder, or a PTO-ISA root that is none.
    pub fn build(self) -> Result<KernelCompiler, CompileError> {
        self.build_in(&process_env)
    }

    pub(super) fn build_in(self, env: Env<'_>) -> Result<KernelCompiler, CompileError> {
        let pto_isa = self.pto_isa(env)?;
        let home = Home::new(&self.cache, env)?;
        let scratch = home.scratch()?;
        let toolchain = Toolchain::find(self.compiler.as_deref(), env, &scratch, &self.cancelled)?;
        let headers =
            headers::materialise(home.path(), scratch.path()).map_err(|source| home.unusable(source))?;
        let include_dirs = self.include_dirs.iter().map(|dir| checked_dir(dir)).collect::<Result<_, _>>()?;
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(KernelCompiler {
            toolchain,
            home,
            headers,
            pto_isa,
            include_dirs,
            jobs: self.jobs.unwrap_or_else(cpus).max(1),
            timeout: self.timeout,
            cancelled: self.cancelled,
            warned_bfloat16: AtomicBool::new(false),
        })
    }

    fn pto_isa(&self, env: Env<'_>) -> Result<Option<PathBuf>, CompileError> {
        let (root, origin) = match &self.pto_isa_root {
            Some(root) => (root.clone(), "Builder::pto_isa_root"),
            None => match variable(env, "PTO_ISA_ROOT", "$PTO_ISA_ROOT") {
                Some(setting) => (setting.value.into(), setting.origin),
                None => return Ok(None),
            },
        };
        let absolute = std::path::absolute(&root).unwrap_or_else(|_| root.clone());
        if absolute.join("include/pto").is_dir() {
            return Ok(Some(absolute));
        }
        Err(CompileError::PtoIsaRoot { path: root, origin })
    }
}
