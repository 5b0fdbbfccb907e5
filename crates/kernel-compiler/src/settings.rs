//! What the environment says: which compiler, which cache folder, which PTO-ISA.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::getuid;

/// Reads one variable; the tests put their own in place of the process's.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A value and what gave it, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub value: T,
    pub origin: &'static str,
}

/// A variable of the process. An empty one counts as unset.
pub(crate) fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

pub(crate) fn variable(env: Env<'_>, name: &'static str, origin: &'static str) -> Option<Setting<OsString>> {
    let value = env(name).filter(|value| !value.is_empty())?;
    Some(Setting { value, origin })
}

/// A folder for compiled objects.
#[derive(Debug)]
pub(crate) struct CacheDir {
    pub path: PathBuf,
    pub origin: &'static str,
    /// Whether its name can be guessed by other users who can write next to it.
    exposed: bool,
}

impl CacheDir {
    /// A folder that somebody chose.
    pub(crate) fn chosen(path: PathBuf, origin: &'static str) -> CacheDir {
        CacheDir { path, origin, exposed: false }
    }

    /// Where compiled objects are kept when the caller does not say.
    pub(crate) fn from_env(env: Env<'_>) -> CacheDir {
        if let Some(dir) = variable(env, "SIMPLER_KERNEL_CACHE", "$SIMPLER_KERNEL_CACHE") {
            return CacheDir::chosen(dir.value.into(), dir.origin);
        }
        // The XDG rules say that a relative path here is to be ignored.
        let xdg = variable(env, "XDG_CACHE_HOME", "$XDG_CACHE_HOME");
        if let Some(dir) = xdg.filter(|dir| Path::new(&dir.value).is_absolute()) {
            return CacheDir::chosen(Path::new(&dir.value).join("simpler-rs"), dir.origin);
        }
        if let Some(home) = variable(env, "HOME", "$HOME") {
            return CacheDir::chosen(Path::new(&home.value).join(".cache/simpler-rs"), home.origin);
        }
        let name = format!("simpler-rs-{}", getuid().as_raw());
        let origin = "the folder for temporary files";
        CacheDir { path: std::env::temp_dir().join(name), origin, exposed: true }
    }

    /// Makes the folder if need be. An exposed one that somebody else could fill with code for this user to
    /// run is refused.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        if !self.exposed {
            return Ok(());
        }
        let meta = self.path.symlink_metadata()?;
        let private = meta.is_dir() && meta.uid() == getuid().as_raw() && meta.mode() & 0o022 == 0;
        if private {
            return Ok(());
        }
        let text = "it is not a folder that only this user can write";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)]) -> (PathBuf, &'static str) {
        let env = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
        let dir = CacheDir::from_env(&env);
        assert_eq!(dir.exposed, vars.is_empty());
        (dir.path, dir.origin)
    }

    #[test]
    fn cache_folder_precedence() {
        let all = [("SIMPLER_KERNEL_CACHE", "/k"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(chosen(&all), ("/k".into(), "$SIMPLER_KERNEL_CACHE"));
        assert_eq!(chosen(&all[1..]), ("/x/simpler-rs".into(), "$XDG_CACHE_HOME"));
        assert_eq!(chosen(&all[2..]), ("/h/.cache/simpler-rs".into(), "$HOME"));
        let (fallback, _) = chosen(&[]);
        assert!(fallback.starts_with(std::env::temp_dir()), "{}", fallback.display());
    }

    #[test]
    fn empty_and_relative_values_do_not_count() {
        let vars = [("SIMPLER_KERNEL_CACHE", ""), ("XDG_CACHE_HOME", "rel"), ("HOME", "/h")];
        assert_eq!(chosen(&vars).0, Path::new("/h/.cache/simpler-rs"));
    }

    #[test]
    fn an_exposed_folder_must_be_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("cache");
        let exposed = CacheDir { path: path.clone(), origin: "test", exposed: true };
        exposed.prepare().unwrap();
        exposed.prepare().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(exposed.prepare().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        CacheDir::chosen(path, "test").prepare().unwrap();

        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        let linked = CacheDir { path: link, origin: "test", exposed: true };
        assert_eq!(linked.prepare().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
