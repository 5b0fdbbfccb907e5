use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// One start of the compiler, for errors that need to be reproduced by hand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invocation {
    /// The file that was compiled.
    pub source: PathBuf,
    /// The command as one shell line, with the change of folder; run as it stands it leaves its output next to
    /// the source. (The one that ran wrote to a temporary folder, and wrote a list of the files it read.)
    pub command: String,
    /// Everything the compiler printed, on either stream, up to its end.
    pub stderr: String,
}

/// Why there is no object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// No compiler is installed and none is named.
    #[error("no C++ compiler found (looked for {} in $PATH); install g++, or name a compiler in $SIMPLER_CXX", tried.join(", "))]
    NoCompiler {
        /// The names that were looked for.
        tried: Vec<String>,
    },
    /// A compiler is named but does not exist.
    #[error(
        "the C++ compiler `{name}`, named by {origin}, is not an executable file; correct the name, or unset it to use an installed compiler"
    )]
    CompilerNotFound {
        /// The name as given.
        name: String,
        /// What gave it: an environment variable or the builder.
        origin: &'static str,
    },
    /// The compiler does not answer `--version`.
    #[error("`{command}` does not work as a C++ compiler: {reason}; name another one in $SIMPLER_CXX")]
    CompilerUnusable {
        /// The command that was tried.
        command: String,
        /// What happened instead.
        reason: String,
    },
    /// The operating system refuses to start the compiler.
    #[error("cannot start the compiler ({command}): {source}")]
    CannotStart {
        /// The command as one shell line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The source cannot be read.
    #[error("cannot read the source {}: {source}", path.display())]
    SourceUnreadable {
        /// The path, made absolute.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An include folder does not exist. Compilers ignore that and then miss a header.
    #[error("the include folder {} is not a readable folder: {source}", path.display())]
    IncludeDir {
        /// The path, made absolute.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The PTO-ISA root has no `include/pto`.
    #[error("{} (from {origin}) is not a PTO-ISA checkout: it has no folder include/pto; correct it, or unset it if no kernel uses PTO-ISA", path.display())]
    PtoIsaRoot {
        /// The root as given.
        path: PathBuf,
        /// What gave it.
        origin: &'static str,
    },
    /// The cache folder cannot be used.
    #[error("cannot use the kernel cache folder {} (from {origin}): {source}; set $SIMPLER_KERNEL_CACHE to a folder you can write, or compile without a cache (Builder::no_cache)", path.display())]
    CacheDir {
        /// The folder.
        path: PathBuf,
        /// What chose it.
        origin: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file next to the compilation cannot be written or read.
    #[error("cannot use the temporary folder {}: {source}; free some space there, or set $TMPDIR", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler found errors.
    #[error("cannot compile {}: the compiler ended with exit status {status}\ncommand: {}\n{}{}", run.source.display(), run.command, run.stderr.trim_end(), hint_line(*hint))]
    Failed {
        /// What was started and what it printed.
        run: Box<Invocation>,
        /// Its exit status.
        status: i32,
        /// What to do about it, where the text of the compiler shows it.
        hint: Option<&'static str>,
    },
    /// Nobody wants the result any more, see [`Builder::cancelled_by`](crate::Builder::cancelled_by).
    #[error("{} was not compiled: compiling was cancelled", path.display())]
    Cancelled {
        /// The source.
        path: PathBuf,
    },
    /// The compiler was killed.
    #[error("cannot compile {}: the compiler was killed by signal {signal} (9 is often a lack of memory: compile fewer sources at once)\ncommand: {}\n{}", run.source.display(), run.command, run.stderr.trim_end())]
    Killed {
        /// What was started and what it printed.
        run: Box<Invocation>,
        /// The signal.
        signal: i32,
    },
    /// The compiler did not end in time; it and its children were killed.
    #[error("cannot compile {}: the compiler did not end within {timeout:?} and was killed; if it was working, raise Builder::timeout\ncommand: {}\n{}", run.source.display(), run.command, run.stderr.trim_end())]
    TimedOut {
        /// What was started and what it printed.
        run: Box<Invocation>,
        /// The limit.
        timeout: Duration,
    },
    /// The compiler reported success but left no loadable object.
    #[error("cannot use the object of {}: {reason}; check the extra flags (one like -c or -static changes what is built) and the compiler\ncommand: {}\n{}", run.source.display(), run.command, run.stderr.trim_end())]
    NotSharedObject {
        /// What was started and what it printed.
        run: Box<Invocation>,
        /// What is wrong with the object.
        reason: String,
    },
    /// The object lacks its entry.
    #[error("{} exports no function `{entry}`{}; define it as extern \"C\" with default visibility", path.display(), near.as_ref().map(|n| format!(", only `{n}`, whose name C++ has mangled")).unwrap_or_default())]
    MissingEntry {
        /// The source.
        path: PathBuf,
        /// The symbol that is needed.
        entry: String,
        /// A symbol that looks like the entry declared without `extern "C"`.
        near: Option<String>,
    },
    /// The compiler has no `std::bfloat16_t`: PTO-ISA would compute the kernel in half precision.
    #[error("{} uses bfloat16 ({place}), but `{}` ({version}) has no std::bfloat16_t, and PTO-ISA would silently compute in float16; install g++ 14 or newer (g++-15 is what PTO-ISA is tested with) and set $SIMPLER_CXX to it", path.display(), compiler.display())]
    NoBfloat16 {
        /// The source.
        path: PathBuf,
        /// The first mention, as `file:line: identifier`.
        place: String,
        /// The compiler.
        compiler: PathBuf,
        /// The first line of its version text.
        version: String,
    },
}

fn hint_line(hint: Option<&str>) -> String {
    hint.map(|text| format!("\nhint: {text}")).unwrap_or_default()
}
