use std::path::{Path, PathBuf};

use crate::error::HostLibraryError;

/// The files that go with a host library. What a library can do without may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Companions {
    /// The AICPU program.
    pub aicpu: Option<PathBuf>,
    /// The AICore program.
    pub aicore: Option<PathBuf>,
    /// The AICPU dispatcher, on hardware.
    pub dispatcher: Option<PathBuf>,
    /// `libsimpler_log.so`, which is loaded for the whole process.
    pub log: Option<PathBuf>,
    /// `libcpu_sim_context.so`, in simulation; also loaded for the whole process.
    pub sim_context: Option<PathBuf>,
    /// Options by name, for libraries that have `simpler_rs_set_option`.
    pub options: Vec<(String, String)>,
}

impl Companions {
    /// A library that goes alone.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The two device programs.
    #[must_use]
    pub fn programs(aicpu: impl Into<PathBuf>, aicore: impl Into<PathBuf>) -> Self {
        Self { aicpu: Some(aicpu.into()), aicore: Some(aicore.into()), ..Self::default() }
    }

    /// Adds the dispatcher.
    #[must_use]
    pub fn dispatcher(mut self, path: impl Into<PathBuf>) -> Self {
        self.dispatcher = Some(path.into());
        self
    }

    /// Adds the log library.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Adds the library with the context of simulated cores.
    #[must_use]
    pub fn sim_context(mut self, path: impl Into<PathBuf>) -> Self {
        self.sim_context = Some(path.into());
        self
    }

    /// Adds an option of each context, such as `watchdog_ms`; `include/simpler/host_runtime.h` lists them. Only
    /// libraries of simpler-rs have any.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// Reads the device programs.
    ///
    /// # Errors
    /// [`HostLibraryError::Unreadable`] with the file's name.
    pub fn read_programs(&self) -> Result<Programs, HostLibraryError> {
        Ok(Programs {
            aicpu: read(self.aicpu.as_deref())?,
            aicore: read(self.aicore.as_deref())?,
            dispatcher: read(self.dispatcher.as_deref())?,
        })
    }
}

fn read(path: Option<&Path>) -> Result<Vec<u8>, HostLibraryError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    std::fs::read(path).map_err(|source| HostLibraryError::Unreadable { path: path.to_owned(), source })
}

/// The bytes of the device programs; an empty one is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the three programs are a contract")]
pub struct Programs {
    /// The AICPU program.
    pub aicpu: Vec<u8>,
    /// The AICore program.
    pub aicore: Vec<u8>,
    /// The AICPU dispatcher.
    pub dispatcher: Vec<u8>,
}

/// A host library and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryFiles {
    /// `libhost_runtime.so`.
    pub library: PathBuf,
    /// The other files.
    pub companions: Companions,
}

impl LibraryFiles {
    /// The files of one platform and runtime in a `build/lib` tree (`spec/public-abi.md`, section A.1).
    ///
    /// `arch` is `a2a3` or `a5`, `variant` is `sim` or `onboard`.
    ///
    /// # Errors
    /// [`HostLibraryError::MissingFiles`] with all that are missing.
    pub fn in_tree(
        root: impl AsRef<Path>,
        arch: &str,
        variant: &str,
        runtime: &str,
    ) -> Result<Self, HostLibraryError> {
        let mut tree = Tree { root: root.as_ref(), missing: Vec::new() };
        let own = Path::new(arch).join(variant).join(runtime);
        let simulated = variant == "sim";
        let aicore = if simulated { "libaicore_kernel.so" } else { "aicore_kernel.o" };
        let dispatcher = Path::new(arch).join("dispatcher/libsimpler_aicpu_dispatcher.so");
        let files = Self {
            library: tree.file(own.join("libhost_runtime.so")),
            companions: Companions {
                aicpu: Some(tree.file(own.join("libaicpu_kernel.so"))),
                aicore: Some(tree.file(own.join(aicore))),
                dispatcher: (!simulated).then(|| tree.file(dispatcher)),
                log: Some(tree.file(PathBuf::from("libsimpler_log.so"))),
                sim_context: simulated.then(|| tree.file(PathBuf::from("libcpu_sim_context.so"))),
                options: Vec::new(),
            },
        };
        tree.complete(files)
    }
}

/// A `build/lib` tree, with what was looked for in vain.
struct Tree<'a> {
    root: &'a Path,
    missing: Vec<PathBuf>,
}

impl Tree<'_> {
    fn file(&mut self, name: PathBuf) -> PathBuf {
        let path = self.root.join(&name);
        if !path.is_file() {
            self.missing.push(name);
        }
        path
    }

    fn complete(self, files: LibraryFiles) -> Result<LibraryFiles, HostLibraryError> {
        if self.missing.is_empty() {
            Ok(files)
        } else {
            Err(HostLibraryError::MissingFiles { root: self.root.to_owned(), missing: self.missing })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
    }

    #[test]
    fn a_tree_of_the_simulator_has_five_files() {
        let root = tempfile::tempdir().unwrap();
        let names = [
            "a5/sim/host_build_graph/libhost_runtime.so",
            "a5/sim/host_build_graph/libaicpu_kernel.so",
            "a5/sim/host_build_graph/libaicore_kernel.so",
            "libsimpler_log.so",
            "libcpu_sim_context.so",
        ];
        touch(root.path(), &names);
        let files = LibraryFiles::in_tree(root.path(), "a5", "sim", "host_build_graph").unwrap();
        assert_eq!(files.library, root.path().join(names[0]));
        let expected = Companions::programs(root.path().join(names[1]), root.path().join(names[2]))
            .log(root.path().join(names[3]))
            .sim_context(root.path().join(names[4]));
        assert_eq!(files.companions, expected);
        let programs = files.companions.read_programs().unwrap();
        assert_eq!((programs.aicpu, programs.aicore), (names[1].into(), names[2].into()));
        assert!(programs.dispatcher.is_empty());
    }

    #[test]
    fn a_tree_of_the_hardware_has_a_dispatcher_instead_of_the_sim_context() {
        let root = tempfile::tempdir().unwrap();
        let names = [
            "a2a3/onboard/tensormap_and_ringbuffer/libhost_runtime.so",
            "a2a3/onboard/tensormap_and_ringbuffer/libaicpu_kernel.so",
            "a2a3/onboard/tensormap_and_ringbuffer/aicore_kernel.o",
            "a2a3/dispatcher/libsimpler_aicpu_dispatcher.so",
            "libsimpler_log.so",
        ];
        touch(root.path(), &names);
        let files =
            LibraryFiles::in_tree(root.path(), "a2a3", "onboard", "tensormap_and_ringbuffer").unwrap();
        assert_eq!(files.companions.dispatcher, Some(root.path().join(names[3])));
        assert_eq!(files.companions.sim_context, None);
        assert_eq!(files.companions.read_programs().unwrap().dispatcher, names[3].as_bytes());
    }

    #[test]
    fn all_missing_files_are_named_at_once() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["a5/sim/x/libhost_runtime.so", "libsimpler_log.so"]);
        let error = LibraryFiles::in_tree(root.path(), "a5", "sim", "x").unwrap_err();
        let HostLibraryError::MissingFiles { missing, .. } = &error else { panic!("{error}") };
        assert_eq!(missing.len(), 3);
        let text = error.to_string();
        for name in
            ["a5/sim/x/libaicpu_kernel.so, ", "a5/sim/x/libaicore_kernel.so, ", "libcpu_sim_context.so;"]
        {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Companions::programs("/no/such/file", "/no/such/file").read_programs().unwrap_err();
        assert!(error.to_string().starts_with("/no/such/file cannot be read: "), "{error}");
        assert_eq!(Companions::none().read_programs().unwrap(), Programs::default());
    }
}
