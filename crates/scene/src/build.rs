use std::path::{Path, PathBuf};
use std::sync::Arc;

use chip_worker::{
    CallableSource, ChipCallable, CoreCallable, CoreType, KernelSource, OrchestrationSource, Platform,
    RunnerError, RuntimeKind,
};
use kernel_compiler::{Arch, CompileError, KernelCompiler, Runtime, Source, Unit};

use crate::describe::{Code, Graph, Kernel, Program, Scene};

/// Why a scene cannot be made ready to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// C++ files of it do not compile.
    #[error("{}", texts(errors))]
    Compile {
        /// Why not, one error per file.
        errors: Vec<Arc<CompileError>>,
    },
    /// A C++ file that was not among the compiled sources.
    #[error("{} was not compiled; collect the sources of this scene too (Sources::of)", path.display())]
    NotCompiled {
        /// The file.
        path: PathBuf,
    },
    /// Parts of the program are Rust functions, which no image can carry.
    #[error("program {program} of scene {scene} is not in C++ throughout, so there is no image of it")]
    NoImage {
        /// The scene.
        scene: &'static str,
        /// The program.
        program: &'static str,
    },
    /// The objects do not make a valid callable.
    #[error(transparent)]
    Callable(#[from] RunnerError),
}

fn texts(errors: &[Arc<CompileError>]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// Tells two C++ files to compile apart; the same file may be compiled for both kinds of core, and for both chips.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    path: PathBuf,
    unit: Unit,
    runtime: Runtime,
    arch: Arch,
    entry: Option<&'static str>,
    include_dirs: &'static [&'static str],
}

impl Key {
    fn kernel(scene: &Scene, platform: Platform, path: &str, core_type: CoreType) -> Self {
        Self::new(scene, platform, path, Unit::Kernel { core_type }, None)
    }

    fn graph(scene: &Scene, platform: Platform, path: &str, entry: &'static str) -> Self {
        let unit = Unit::Orchestration { runtime: headers(scene, platform).0 };
        Self::new(scene, platform, path, unit, Some(entry))
    }

    fn new(scene: &Scene, platform: Platform, path: &str, unit: Unit, entry: Option<&'static str>) -> Self {
        let (runtime, arch) = headers(scene, platform);
        let (path, include_dirs) = (Path::new(scene.folder).join(path), scene.include_dirs);
        Self { path, unit, runtime, arch, entry, include_dirs }
    }

    fn all_of(scene: &Scene, platform: Platform, program: &Program) -> Vec<Self> {
        let mut keys = Vec::new();
        for kernel in program.kernels {
            if let Code::Cpp(path) = kernel.code {
                keys.push(Self::kernel(scene, platform, path, kernel.core_type));
            }
        }
        if let Graph::Cpp { path, entry } = program.graph {
            keys.push(Self::graph(scene, platform, path, entry));
        }
        keys
    }

    fn source(&self) -> Source {
        let source = Source::new(&self.path, self.unit).runtime(self.runtime).arch(self.arch);
        let source = self.include_dirs.iter().fold(source, |source, dir| source.include_dir(*dir));
        match self.entry {
            Some(entry) => source.entry(entry),
            None => source,
        }
    }
}

/// Which headers the files of a scene see.
fn headers(scene: &Scene, platform: Platform) -> (Runtime, Arch) {
    match (scene.runtime, platform.folders().0) {
        (RuntimeKind::TensormapAndRingbuffer, "a5") => (Runtime::TensormapAndRingbuffer, Arch::A5),
        (RuntimeKind::TensormapAndRingbuffer, _) => (Runtime::TensormapAndRingbuffer, Arch::A2a3),
        // One object does for both chips: these headers do not know them.
        _ => (Runtime::HostBuildGraph, Arch::A2a3),
    }
}

/// The C++ files of some scenes, each once.
#[derive(Clone, Debug)]
pub struct Sources(Vec<Key>);

impl Sources {
    /// The C++ files of these scenes, for the platforms named with them.
    pub fn of<'a>(scenes: impl IntoIterator<Item = (&'a Scene, Platform)>) -> Self {
        let mut keys = Vec::new();
        for (scene, platform) in scenes {
            for key in scene.programs.iter().flat_map(|program| Key::all_of(scene, platform, program)) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Self(keys)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where they are; a file that is compiled several ways comes as often.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|key| key.path.as_path())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compiles them, several at a time. Errors are told by [`Objects::build`].
    #[must_use]
    pub fn compile(self, compiler: &KernelCompiler) -> Objects {
        self.compile_with(compiler, || {})
    }

    /// As [`compile`](Self::compile), and calls `ended` whenever one is done, from several threads.
    pub fn compile_with(self, compiler: &KernelCompiler, ended: impl Fn() + Sync) -> Objects {
        let sources: Vec<Source> = self.0.iter().map(Key::source).collect();
        let results = compiler.compile_all_with(&sources, |_| ended());
        let cached = results.iter().flatten().filter(|artifact| artifact.from_cache).count();
        let results = results.into_iter().map(|result| result.map(|object| object.bytes).map_err(Arc::new));
        Objects { compiled: self.0.into_iter().zip(results).collect(), cached }
    }
}

type Compiled = Result<Arc<[u8]>, Arc<CompileError>>;

/// What became of some [`Sources`].
#[derive(Debug)]
pub struct Objects {
    compiled: Vec<(Key, Compiled)>,
    cached: usize,
}

impl Objects {
    /// How many of them were there already, so that no compiler ran.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.cached
    }

    /// The objects of these scenes in the order of their [`Sources`], to be handed to another process of the same
    /// program; it puts them together again with [`from_bytes`](Self::from_bytes).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn bytes_of<'a>(
        &self,
        scenes: impl IntoIterator<Item = (&'a Scene, Platform)>,
    ) -> Result<Vec<Arc<[u8]>>, BuildError> {
        Sources::of(scenes).0.iter().map(|key| self.object(key)).collect()
    }

    /// The objects of these scenes from what [`bytes_of`](Self::bytes_of) gave for them. Missing ones are told by
    /// [`build`](Self::build).
    pub fn from_bytes<'a>(
        scenes: impl IntoIterator<Item = (&'a Scene, Platform)>,
        bytes: impl IntoIterator<Item = Arc<[u8]>>,
    ) -> Self {
        let compiled = Sources::of(scenes).0.into_iter().zip(bytes.into_iter().map(Ok)).collect();
        Self { compiled, cached: 0 }
    }

    /// Makes a scene ready to run on a platform.
    ///
    /// # Errors
    /// [`BuildError::Compile`] with all that is wrong with its files, or another [`BuildError`].
    pub fn build(&self, scene: &Scene, platform: Platform) -> Result<BuiltScene, BuildError> {
        let keys = Sources::of([(scene, platform)]).0;
        let own = self.compiled.iter().filter(|(key, _)| keys.contains(key));
        let errors: Vec<_> = own.filter_map(|(_, result)| result.as_ref().err().cloned()).collect();
        if !errors.is_empty() {
            return Err(BuildError::Compile { errors });
        }
        let mut programs = Vec::with_capacity(scene.programs.len());
        for program in scene.programs {
            let callable = match self.image(scene, platform, program) {
                Ok(image) => CallableSource::from_image(&image)?,
                Err(BuildError::NoImage { .. }) => self.parts(scene, platform, program)?,
                Err(error) => return Err(error),
            };
            programs.push((program.name, callable));
        }
        Ok(BuiltScene { scene: *scene, platform, programs })
    }

    fn object(&self, key: &Key) -> Result<Arc<[u8]>, BuildError> {
        match self.compiled.iter().find(|(known, _)| known == key) {
            Some((_, Ok(bytes))) => Ok(Arc::clone(bytes)),
            Some((_, Err(error))) => Err(BuildError::Compile { errors: vec![Arc::clone(error)] }),
            None => Err(BuildError::NotCompiled { path: key.path.clone() }),
        }
    }

    /// The program in the form that clients of every language hand over.
    fn image(
        &self,
        scene: &Scene,
        platform: Platform,
        program: &Program,
    ) -> Result<ChipCallable, BuildError> {
        let no_image = BuildError::NoImage { scene: scene.name, program: program.name };
        let Graph::Cpp { path, entry } = program.graph else { return Err(no_image) };
        let graph = self.object(&Key::graph(scene, platform, path, entry))?;
        let mut kernels = Vec::with_capacity(program.kernels.len());
        for kernel in program.kernels {
            let Code::Cpp(path) = kernel.code else { return Err(no_image) };
            let object = self.object(&Key::kernel(scene, platform, path, kernel.core_type))?;
            kernels.push((
                kernel.func_id,
                CoreCallable::encode(kernel.signature, &object).map_err(RunnerError::from)?,
            ));
        }
        let image = ChipCallable::builder(entry).binary(&graph);
        let image = kernels.iter().fold(image, |image, (func_id, kernel)| image.child(*func_id, kernel));
        Ok(image.build().map_err(RunnerError::from)?)
    }

    /// The program part by part, Rust functions as they are.
    fn parts(
        &self,
        scene: &Scene,
        platform: Platform,
        program: &Program,
    ) -> Result<CallableSource, BuildError> {
        let mut kernels = Vec::with_capacity(program.kernels.len());
        for kernel in program.kernels {
            let source = match kernel.code {
                Code::Rust(make) => make().into(),
                Code::Cpp(path) => KernelSource::Object(self.object(&Key::kernel(
                    scene,
                    platform,
                    path,
                    kernel.core_type,
                ))?),
            };
            kernels.push((kernel.func_id, source));
        }
        let graph = match program.graph {
            Graph::Rust(make) => make().into(),
            Graph::Cpp { path, entry } => OrchestrationSource::Object {
                bytes: self.object(&Key::graph(scene, platform, path, entry))?,
                entry: entry.to_owned(),
                config: String::new(),
            },
        };
        let source = CallableSource::new(graph, kernels);
        let signed =
            |source: CallableSource, kernel: &Kernel| source.signature(kernel.func_id, kernel.signature);
        Ok(program.kernels.iter().fold(source, signed))
    }
}

/// A scene whose programs can be registered.
#[derive(Debug)]
pub struct BuiltScene {
    scene: Scene,
    platform: Platform,
    programs: Vec<(&'static str, CallableSource)>,
}

impl BuiltScene {
    /// The scene.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The platform that it was built for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The program of this name, to be registered.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&CallableSource> {
        self.programs.iter().find(|(known, _)| *known == name).map(|(_, callable)| callable)
    }
}

/// Compiles one scene by itself for a platform; the image of its first program.
///
/// # Errors
/// [`BuildError::NoImage`] when that program has parts in Rust, or another [`BuildError`].
pub fn compile(
    compiler: &KernelCompiler,
    scene: &Scene,
    platform: Platform,
) -> Result<ChipCallable, BuildError> {
    let objects = Sources::of([(scene, platform)]).compile(compiler);
    let first = scene.programs.first().ok_or(BuildError::NoImage { scene: scene.name, program: "main" })?;
    objects.image(scene, platform, first)
}
