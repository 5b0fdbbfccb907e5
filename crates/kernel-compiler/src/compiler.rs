use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::artifact::Artifact;
use crate::bfloat16;
use crate::cache::Record;
use crate::command::{LIBRARIES, flags, shell_line};
use crate::depfile;
use crate::digest::{Digest, Fields};
use crate::elf;
use crate::error::{CompileError, Invocation};
use crate::headers;
use crate::process::{self, Finished};
use crate::scratch::Scratch;
use crate::settings::process_env;
use crate::source::{Source, Unit};
use crate::toolchain::Toolchain;

mod builder;
mod home;

pub use builder::Builder;
use home::Home;

/// Environment variables that change what a compiler finds or writes.
const STEERING: [&str; 7] = [
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "SOURCE_DATE_EPOCH",
];

/// Turns C++ files into shared objects. Used from any number of threads at once.
#[derive(Debug)]
pub struct KernelCompiler {
    toolchain: Toolchain,
    home: Home,
    /// Root of the project's headers on disk.
    headers: PathBuf,
    pto_isa: Option<PathBuf>,
    include_dirs: Vec<PathBuf>,
    jobs: usize,
    timeout: Duration,
    cancelled: Arc<AtomicBool>,
    warned_bfloat16: AtomicBool,
}

impl KernelCompiler {
    /// A compiler with all defaults, see [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> Result<KernelCompiler, CompileError> {
        KernelCompiler::builder().build()
    }

    /// Starts a setup.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The compiler for people: its path and the first line of its version.
    #[must_use]
    pub fn description(&self) -> String {
        format!("{} ({})", self.toolchain.program.display(), self.toolchain.version_line())
    }

    /// Compiles one source, or takes the result of an equal compilation from the cache.
    ///
    /// A result that cannot be kept in the cache is returned all the same; the reason is logged.
    ///
    /// # Errors
    ///
    /// Whatever stands between the source and a shared object that exports its entry, see [`CompileError`].
    pub fn compile(&self, source: &Source) -> Result<Artifact, CompileError> {
        let job = self.job(source)?;
        self.check_cancelled(&job)?;
        let key = job.key(&self.toolchain);
        if let Some(artifact) = self.home.cache().and_then(|cache| cache.lookup(&key)) {
            log::debug!("{} comes from the cache", job.path.display());
            return Ok(artifact);
        }
        let scratch = self.home.scratch()?;
        let start = modified(scratch.path());
        self.check_bfloat16(&job, &scratch)?;
        let built = self.build(&job, &scratch)?;
        let path_in_cache = self.keep(&job, &key, &built, &scratch, start);
        Ok(Artifact { bytes: built.bytes.into(), path_in_cache, from_cache: false, warnings: built.warnings })
    }

    /// Compiles all sources, several at a time (see [`Builder::jobs`]). The results are in the order of the
    /// sources; one that fails does not hold up the others.
    pub fn compile_all(&self, sources: &[Source]) -> Vec<Result<Artifact, CompileError>> {
        self.compile_all_with(sources, |_| {})
    }

    /// As [`compile_all`](Self::compile_all), and calls `ended` with each result as it comes, from several threads.
    pub fn compile_all_with(
        &self,
        sources: &[Source],
        ended: impl Fn(&Result<Artifact, CompileError>) + Sync,
    ) -> Vec<Result<Artifact, CompileError>> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(sources.len()));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(sources.len()) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(source) = sources.get(index) else { break };
                        let result = self.compile(source);
                        ended(&result);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn check_cancelled(&self, job: &Job<'_>) -> Result<(), CompileError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CompileError::Cancelled { path: job.path.clone() });
        }
        Ok(())
    }

    fn job<'a>(&self, source: &'a Source) -> Result<Job<'a>, CompileError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| CompileError::SourceUnreadable { path, source }
        };
        let path = std::path::absolute(&source.path).map_err(unreadable(&source.path))?;
        let text = std::fs::read(&path).map_err(unreadable(&path))?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let includes = self.includes(source)?;
        let flags = flags(&self.toolchain, source, &includes);
        Ok(Job { source, path, folder, text, includes, flags })
    }

    /// All include folders of a source, in search order.
    fn includes(&self, source: &Source) -> Result<Vec<PathBuf>, CompileError> {
        let mut includes = Vec::new();
        if let (Unit::Kernel { .. }, Some(root)) = (source.unit, &self.pto_isa) {
            includes.extend([root.join("include"), root.join("include/pto")]);
        }
        includes.extend(headers::folders(source).iter().map(|folder| self.headers.join(folder)));
        includes.extend(self.include_dirs.iter().cloned());
        for dir in &source.include_dirs {
            includes.push(checked_dir(dir)?);
        }
        Ok(includes)
    }

    /// Refuses a kernel that PTO-ISA would compute in the wrong precision, see the crate's documentation.
    fn check_bfloat16(&self, job: &Job<'_>, scratch: &Scratch) -> Result<(), CompileError> {
        let kernel = matches!(job.source.unit, Unit::Kernel { .. });
        if !kernel || self.toolchain.has_bfloat16(scratch, &self.cancelled) {
            return Ok(());
        }
        let output = scratch.join("preprocessed");
        let (finished, run) =
            self.run(job, scratch, &["-E".as_ref(), "-o".as_ref(), output.as_os_str()], &["-E"])?;
        if finished.status.is_none() {
            return Err(CompileError::TimedOut { run, timeout: self.timeout });
        }
        if !finished.status.is_some_and(|status| status.success()) {
            // What is wrong with the source is told by compiling it.
            return Ok(());
        }
        let Ok(text) = std::fs::read(&output) else { return Ok(()) };
        let findings = bfloat16::scan(&text, &job.path, &self.headers);
        if !findings.uses_pto_isa {
            return Ok(());
        }
        let compiler = self.toolchain.program.clone();
        let version = self.toolchain.version_line().to_owned();
        if let Some(place) = findings.mention {
            return Err(CompileError::NoBfloat16 { path: job.path.clone(), place, compiler, version });
        }
        if !self.warned_bfloat16.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} ({version}) has no std::bfloat16_t: kernels that use bfloat16 with PTO-ISA will be refused",
                compiler.display()
            );
        }
        Ok(())
    }

    fn build(&self, job: &Job<'_>, scratch: &Scratch) -> Result<Built, CompileError> {
        let (object, depfile) = (scratch.join("out.so"), scratch.join("out.d"));
        let outputs: [&OsStr; 7] = [
            "-MD".as_ref(),
            "-MT".as_ref(),
            "out".as_ref(),
            "-MF".as_ref(),
            depfile.as_os_str(),
            "-o".as_ref(),
            object.as_os_str(),
        ];
        let mut shown = OsString::from(job.path.file_stem().unwrap_or(OsStr::new("object")));
        shown.push(".so");
        let (finished, run) = self.run(job, scratch, &outputs, &["-o".as_ref(), shown.as_os_str()])?;
        let Some(status) = finished.status else {
            return Err(CompileError::TimedOut { run, timeout: self.timeout });
        };
        if let Some(signal) = status.signal() {
            return Err(CompileError::Killed { run, signal });
        }
        if !status.success() {
            let hint = hint(&run.stderr, self.pto_isa.is_some());
            return Err(CompileError::Failed { run, status: status.code().unwrap_or(-1), hint });
        }
        let bytes = match std::fs::read(&object) {
            Ok(bytes) => bytes,
            Err(error) => {
                let reason = format!("the compiler reported success but left no readable file ({error})");
                return Err(CompileError::NotSharedObject { run, reason });
            }
        };
        check_object(&bytes, job, run)?;
        Ok(Built { bytes, object, depfile, warnings: finished.output })
    }

    /// Runs the compiler on a source. `outputs` says what to write; `shown` stands for it in messages.
    fn run(
        &self,
        job: &Job<'_>,
        scratch: &Scratch,
        outputs: &[&OsStr],
        shown: &[impl AsRef<OsStr>],
    ) -> Result<(Finished, Box<Invocation>), CompileError> {
        let words = |outputs: &[&OsStr]| -> Vec<OsString> {
            let flags = job.flags.iter().map(OsString::as_os_str).chain(outputs.iter().copied());
            // Named outright, because an unknown extension would make the file input of the linker.
            let tail = ["-x".as_ref(), "c++".as_ref(), job.path.as_os_str()];
            let all = self.toolchain.words().chain(flags).chain(tail).chain(LIBRARIES.map(OsStr::new));
            all.map(OsStr::to_owned).collect()
        };
        let shown: Vec<&OsStr> = shown.iter().map(AsRef::as_ref).collect();
        let command_line = shell_line(Some(&job.folder), words(&shown).iter().map(OsString::as_os_str));
        log::debug!("{command_line}");

        let words = words(outputs);
        let mut command = Command::new(&self.toolchain.program);
        command.args(&words[1..]);
        // The folder of the source, so that what is embedded does not depend on where this process runs. Its
        // own folder for temporary files, so that a killed compiler leaves nothing behind.
        command.current_dir(&job.folder).env("PWD", &job.folder);
        command.env("LC_ALL", "C").env("TMPDIR", scratch.path());
        let finished = process::run(&mut command, &scratch.join("log"), self.timeout, &self.cancelled)
            .map_err(|source| CompileError::CannotStart { command: command_line.clone(), source })?;
        if finished.status.is_none() {
            self.check_cancelled(job)?;
        }
        let stderr = finished.output.clone();
        let run = Invocation { source: job.path.clone(), command: command_line, stderr };
        Ok((finished, Box::new(run)))
    }

    /// Puts a result into the cache, if there is one and if it is certain what the result was made from.
    fn keep(
        &self,
        job: &Job<'_>,
        key: &Digest,
        built: &Built,
        scratch: &Scratch,
        start: Option<SystemTime>,
    ) -> Option<PathBuf> {
        let cache = self.home.cache()?;
        let Some(files) = job.files_read(&built.depfile, start) else {
            log::debug!("{} is not kept in the cache: its files changed meanwhile", job.path.display());
            return None;
        };
        let absent = job.shadows(&files);
        let object = Digest::of(&built.bytes);
        let record = Record { object, warnings: built.warnings.clone(), files, absent };
        match cache.store(key, &built.object, scratch.path(), &record) {
            Ok(path) => Some(path),
            Err(error) => {
                let root = cache.root().display();
                log::warn!("cannot keep {} in the kernel cache {root}: {error}", job.path.display());
                None
            }
        }
    }
}

/// A source with all that decides its result.
struct Job<'a> {
    source: &'a Source,
    path: PathBuf,
    folder: PathBuf,
    text: Vec<u8>,
    includes: Vec<PathBuf>,
    flags: Vec<OsString>,
}

struct Built {
    bytes: Vec<u8>,
    object: PathBuf,
    depfile: PathBuf,
    warnings: String,
}

impl Job<'_> {
    fn key(&self, toolchain: &Toolchain) -> Digest {
        let mut fields = Fields::default();
        toolchain.words().for_each(|word| fields.add(word));
        fields.add(&toolchain.version);
        for name in STEERING {
            let value = process_env(name);
            fields.add(if value.is_some() { "set" } else { "unset" });
            fields.add(value.unwrap_or_default());
        }
        fields.add(self.flags.len().to_string());
        self.flags.iter().for_each(|flag| fields.add(flag));
        LIBRARIES.iter().for_each(|flag| fields.add(flag));
        fields.add(self.source.entry.as_deref().unwrap_or_default());
        fields.add(&self.path);
        fields.add_bytes(&self.text);
        fields.finish()
    }

    /// What the compiler read, with digests; `None` if some of it cannot be read, or changed since `start`:
    /// the digest would be that of another text than the one compiled.
    fn files_read(&self, depfile: &Path, start: Option<SystemTime>) -> Option<Vec<(PathBuf, Digest)>> {
        let names = depfile::prerequisites(&std::fs::read(depfile).ok()?);
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let path = self.folder.join(name);
            if modified(&path)? > start? {
                return None;
            }
            let digest = Digest::of_file(&path)?;
            files.push((path, digest));
        }
        let own = files.iter().find(|(path, _)| *path == self.path)?;
        (own.1 == Digest::of(&self.text)).then_some(files)
    }

    /// Places where a file that was found in an include folder would have been found earlier: the folder of
    /// the source, and the include folders before.
    fn shadows(&self, files: &[(PathBuf, Digest)]) -> Vec<PathBuf> {
        let mut shadows = Vec::new();
        for (path, _) in files {
            let mut earlier = vec![&self.folder];
            for include in &self.includes {
                if let Ok(name) = path.strip_prefix(include) {
                    shadows.extend(earlier.iter().map(|folder| folder.join(name)));
                }
                earlier.push(include);
            }
        }
        // One that exists was passed over on purpose, as `#include <…>` passes over the source's folder.
        shadows.retain(|path| !path.is_file());
        shadows.sort();
        shadows.dedup();
        shadows
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

fn checked_dir(dir: &Path) -> Result<PathBuf, CompileError> {
    let absolute = std::path::absolute(dir).and_then(|path| std::fs::read_dir(&path).map(|_| path));
    absolute.map_err(|source| CompileError::IncludeDir { path: dir.to_owned(), source })
}

fn check_object(bytes: &[u8], job: &Job<'_>, run: Box<Invocation>) -> Result<(), CompileError> {
    let entry = job.source.entry.as_deref();
    match elf::check(bytes, entry) {
        Ok(()) => Ok(()),
        Err(elf::Problem::Kind(reason)) => Err(CompileError::NotSharedObject { run, reason }),
        Err(elf::Problem::NoEntry { near }) => {
            let entry = entry.unwrap_or_default().to_owned();
            Err(CompileError::MissingEntry { path: job.path.clone(), entry, near })
        }
    }
}

/// What to do about some common errors of the compiler.
fn hint(stderr: &str, has_pto_isa: bool) -> Option<&'static str> {
    let says = |text: &str| stderr.contains(text);
    if !has_pto_isa && says("pto/") && (says("No such file") || says("file not found")) {
        return Some("the source includes PTO-ISA: set $PTO_ISA_ROOT to a checkout of it");
    }
    if says("undefined reference") || says("undefined symbol") {
        return Some(
            "objects may not have undefined symbols, because they would fail to load; define the symbol, or \
             call Source::allow_undefined if the loading process provides it",
        );
    }
    if says("-std=c++23") || says("-std=c++2b") {
        return Some("kernels need C++23: use g++ 11 or clang++ 13, or a newer one ($SIMPLER_CXX)");
    }
    if says("signal terminated program") || says("out of memory") {
        return Some("the machine was probably out of memory: compile fewer sources at once (Builder::jobs)");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_with(builder: Builder, vars: &[(&str, &Path)]) -> Result<KernelCompiler, CompileError> {
        let own = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
        };
        // The compiler of this machine, but nothing else of its environment.
        let env = |name: &str| own(name).or_else(|| process_env(name).filter(|_| name == "PATH"));
        builder.build_in(&env)
    }

    #[test]
    fn the_environment_names_cache_and_pto_isa() {
        let dir = tempfile::tempdir().unwrap();
        let pto = dir.path().join("pto-isa");
        std::fs::create_dir_all(pto.join("include/pto")).unwrap();
        let cache = dir.path().join("cache");
        let vars = [("SIMPLER_KERNEL_CACHE", cache.as_path()), ("PTO_ISA_ROOT", pto.as_path())];
        let compiler = built_with(KernelCompiler::builder(), &vars).unwrap();
        assert_eq!(compiler.home.path(), cache);
        assert_eq!(compiler.pto_isa.as_deref(), Some(pto.as_path()));
        assert!(compiler.headers.starts_with(&cache));
        assert!(compiler.jobs >= 1);
    }

    #[test]
    fn a_cache_that_cannot_be_made_names_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let below = file.join("cache");
        let error = built_with(KernelCompiler::builder(), &[("SIMPLER_KERNEL_CACHE", &below)]).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CompileError::CacheDir { .. }), "{text}");
        assert!(text.contains("$SIMPLER_KERNEL_CACHE") && text.contains("file/cache"), "{text}");
        let vars = [("SIMPLER_KERNEL_CACHE", below.as_path())];
        assert!(built_with(KernelCompiler::builder().no_cache(), &vars).is_ok());
    }

    #[test]
    fn a_wrong_pto_isa_root_names_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        let vars = [("PTO_ISA_ROOT", dir.path())];
        let error = built_with(KernelCompiler::builder().no_cache(), &vars).unwrap_err();
        assert!(matches!(error, CompileError::PtoIsaRoot { .. }), "{error}");
        assert!(error.to_string().contains("$PTO_ISA_ROOT"), "{error}");
        let named = KernelCompiler::builder().no_cache().pto_isa_root(dir.path());
        let error = built_with(named, &[]).unwrap_err();
        assert!(error.to_string().contains("Builder::pto_isa_root"), "{error}");
    }

    #[test]
    fn hints() {
        let missing = "k.cpp:1:10: fatal error: pto/pto-inst.hpp: No such file or directory";
        assert!(hint(missing, false).unwrap().contains("PTO_ISA_ROOT"));
        assert_eq!(hint(missing, true), None);
        assert!(hint("undefined reference to `f'", true).unwrap().contains("allow_undefined"));
        assert!(hint("error: unrecognized option '-std=c++23'", true).unwrap().contains("g++ 11"));
        assert!(hint("g++: fatal error: Killed signal terminated program cc1plus", true).is_some());
        assert_eq!(hint("error: expected ';'", false), None);
    }
}
