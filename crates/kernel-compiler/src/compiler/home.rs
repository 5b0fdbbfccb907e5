//! Where a compiler puts files.

use std::io;
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::error::CompileError;
use crate::scratch::{self, Scratch};
use crate::settings::{CacheDir, Env};

/// Where a cache is wanted, if at all.
#[derive(Debug, Clone)]
pub(super) enum CacheChoice {
    Env,
    Dir(PathBuf),
    None,
}

/// Where files are put: in the cache folder, or in a private folder that lives as long as the compiler.
#[derive(Debug)]
pub(super) enum Home {
    Cached { cache: Cache, origin: &'static str },
    Private(Scratch),
}

impl Home {
    pub(super) fn new(choice: &CacheChoice, env: Env<'_>) -> Result<Home, CompileError> {
        let dir = match choice {
            CacheChoice::None => {
                let parent = std::env::temp_dir();
                let private =
                    Scratch::new(&parent).map_err(|source| CompileError::Scratch { path: parent, source })?;
                return Ok(Home::Private(private));
            }
            CacheChoice::Dir(dir) => CacheDir::chosen(dir.clone(), "Builder::cache_dir"),
            CacheChoice::Env => CacheDir::from_env(env),
        };
        let origin = dir.origin;
        let prepare = || {
            dir.prepare()?;
            let root = std::path::absolute(&dir.path)?;
            std::fs::create_dir_all(root.join("tmp"))?;
            Ok(root)
        };
        let root =
            prepare().map_err(|source| CompileError::CacheDir { path: dir.path.clone(), origin, source })?;
        scratch::sweep(&root.join("tmp"));
        Ok(Home::Cached { cache: Cache::new(root), origin })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Home::Cached { cache, .. } => cache.root(),
            Home::Private(scratch) => scratch.path(),
        }
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        match self {
            Home::Cached { cache, .. } => Some(cache),
            Home::Private(_) => None,
        }
    }

    /// A folder for one compilation, on the file system of the cache.
    pub(super) fn scratch(&self) -> Result<Scratch, CompileError> {
        let scratch = match self {
            Home::Cached { cache, .. } => Scratch::new(&cache.root().join("tmp")),
            Home::Private(scratch) => Scratch::new(scratch.path()),
        };
        scratch.map_err(|source| self.unusable(source))
    }

    pub(super) fn unusable(&self, source: io::Error) -> CompileError {
        let path = self.path().to_owned();
        match *self {
            Home::Cached { origin, .. } => CompileError::CacheDir { path, origin, source },
            Home::Private(_) => CompileError::Scratch { path, source },
        }
    }
}
