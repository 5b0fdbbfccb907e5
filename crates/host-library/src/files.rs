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

    /// The device programs of one platform and runtime in a `build/lib` tree, as [`LibraryFiles::in_tree`] has them,
    /// for a runtime that needs no host library.
    ///
    /// # Errors
    /// [`HostLibraryError::MissingFiles`] with all that are missing.
    pub fn programs_in_tree(
        root: impl AsRef<Path>,
        arch: &str,
        variant: &str,
        runtime: &str,
    ) -> Result<Self, HostLibraryError> {
        let mut tree = Tree::new(root.as_ref());
        let programs = tree.programs(arch, variant, runtime);
        tree.complete(programs)
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
        let mut tree = Tree::new(root.as_ref());
        let library = tree.file(Path::new(arch).join(variant).join(runtime).join("libhost_runtime.so"));
        let programs = tree.programs(arch, variant, runtime);
        let log = Some(tree.file(PathBuf::from("libsimpler_log.so")));
        let sim_context = (variant == SIM).then(|| tree.file(PathBuf::from("libcpu_sim_context.so")));
        let companions = Companions { log, sim_context, ..programs };
        tree.complete(Self { library, companions })
    }
}

/// The variant of a tree that simulates chips.
const SIM: &str = "sim";

/// A `build/lib` tree, with what was looked for in vain.
struct Tree<'a> {
    root: &'a Path,
    missing: Vec<PathBuf>,
}

impl<'a> Tree<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, missing: Vec::new() }
    }

    fn programs(&mut self, arch: &str, variant: &str, runtime: &str) -> Companions {
        let own = Path::new(arch).join(variant).join(runtime);
        let aicpu = self.file(own.join("libaicpu_kernel.so"));
        if variant == SIM {
            return Companions::programs(aicpu, self.file(own.join("libaicore_kernel.so")));
        }
        let dispatcher = Path::new(arch).join("dispatcher/libsimpler_aicpu_dispatcher.so");
        Companions::programs(aicpu, self.file(own.join("aicore_kernel.o"))).dispatcher(self.file(dispatcher))
    }

    fn file(&mut self, name: PathBuf) -> PathBuf {
        let path = self.root.join(&name);
        if !path.is_file() {
            self.missing.push(name);
        }
        path
    }

    fn complete<T>(self, files: T) -> Result<T, HostLibraryError> {
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

        let of_device = || {
            let runtime = "tensormap_and_ringbuffer";
            Companions::programs_in_tree(root.path(), "a2a3", "onboard", runtime)
        };
        std::fs::remove_file(root.path().join(names[0])).unwrap();
        assert_eq!(of_device().unwrap(), Companions { log: None, ..files.companions });
        std::fs::remove_file(root.path().join(names[2])).unwrap();
        let error = of_device().unwrap_err().to_string();
        assert!(error.contains(names[2]) && !error.contains(names[1]), "{error}");
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
