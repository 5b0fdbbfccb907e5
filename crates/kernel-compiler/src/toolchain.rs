//! Which compiler there is and how it wants to be spoken to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::command::shell_line;
use crate::error::CompileError;
use crate::process;
use crate::scratch::Scratch;
use crate::settings::{Env, Setting, variable};

/// Tried in this order when nobody names a compiler.
const NAMES: [&str; 3] = ["g++", "clang++", "c++"];
/// For questions to the compiler, as opposed to work.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    Gnu,
    Clang,
}

#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Words between the program and its flags, as in `CXX="ccache g++"`.
    pub prefix: Vec<OsString>,
    /// All that `--version` prints.
    pub version: String,
    pub flavor: Flavor,
    bfloat16: OnceLock<bool>,
}

impl Toolchain {
    /// Finds the compiler and asks for its version.
    pub(crate) fn find(
        named: Option<&Path>,
        env: Env<'_>,
        scratch: &Scratch,
        cancelled: &AtomicBool,
    ) -> Result<Toolchain, CompileError> {
        let (program, prefix) = locate(named, env)?;
        let mut command = Command::new(&program);
        command.args(&prefix).arg("--version").env("LC_ALL", "C").env("TMPDIR", scratch.path());
        let unusable = |reason: String| CompileError::CompilerUnusable {
            command: shell_line(None, command_words(&program, &prefix)),
            reason,
        };
        let finished = process::run(&mut command, &scratch.join("version"), ANSWER_LIMIT, cancelled)
            .map_err(|error| unusable(error.to_string()))?;
        match finished.status {
            Some(status) if status.success() => {}
            Some(status) => {
                return Err(unusable(format!("--version ended with {status}: {}", finished.output)));
            }
            None => return Err(unusable(format!("--version did not end within {ANSWER_LIMIT:?}"))),
        }
        let version = finished.output;
        let flavor = if version.contains("clang") { Flavor::Clang } else { Flavor::Gnu };
        log::debug!("compiler {}: {}", program.display(), version.lines().next().unwrap_or_default());
        Ok(Toolchain { program, prefix, version, flavor, bfloat16: OnceLock::new() })
    }

    pub(crate) fn version_line(&self) -> &str {
        self.version.lines().next().unwrap_or_default().trim()
    }

    /// Program and prefix, the start of every command.
    pub(crate) fn words(&self) -> impl Iterator<Item = &OsStr> {
        command_words(&self.program, &self.prefix)
    }

    /// The C++23 flag in this compiler's spelling: Clang before 17 knows the draft's name only.
    pub(crate) fn cxx23(&self) -> &'static str {
        match self.flavor {
            Flavor::Gnu => "-std=c++23",
            Flavor::Clang => "-std=c++2b",
        }
    }

    /// Whether PTO-ISA will find `std::bfloat16_t`, by the conditions that its headers test. Asked once; a
    /// compiler that does not answer has none.
    pub(crate) fn has_bfloat16(&self, scratch: &Scratch, cancelled: &AtomicBool) -> bool {
        const PROBE: &str = "#if defined(__STDCPP_BFLOAT16_T__) && __cplusplus >= 202302L\n\
                             #if __has_include(<stdfloat>)\n\
                             simpler_bfloat16_present\n\
                             #endif\n\
                             #endif\n";
        *self.bfloat16.get_or_init(|| {
            let source = scratch.join("bfloat16.cpp");
            if let Err(error) = std::fs::write(&source, PROBE) {
                log::warn!("cannot write {}: {error}", source.display());
                return false;
            }
            let mut command = Command::new(&self.program);
            command.args(&self.prefix).args([self.cxx23(), "-x", "c++", "-E"]).arg(&source);
            command.env("TMPDIR", scratch.path());
            match process::run(&mut command, &scratch.join("bfloat16.out"), ANSWER_LIMIT, cancelled) {
                Ok(done) => {
                    let ok = done.status.is_some_and(|status| status.success());
                    ok && done.output.lines().any(|line| line.trim() == "simpler_bfloat16_present")
                }
                Err(error) => {
                    log::warn!("cannot ask {} about bfloat16: {error}", self.program.display());
                    false
                }
            }
        })
    }
}

fn command_words<'a>(program: &'a Path, prefix: &'a [OsString]) -> impl Iterator<Item = &'a OsStr> {
    std::iter::once(program.as_os_str()).chain(prefix.iter().map(OsString::as_os_str))
}

fn locate(named: Option<&Path>, env: Env<'_>) -> Result<(PathBuf, Vec<OsString>), CompileError> {
    let named = match named {
        Some(path) => Some(Setting { value: path.as_os_str().to_owned(), origin: "Builder::compiler" }),
        None => variable(env, "SIMPLER_CXX", "$SIMPLER_CXX").or_else(|| variable(env, "CXX", "$CXX")),
    };
    let path = env("PATH").unwrap_or_default();
    if let Some(Setting { value, origin }) = named {
        return resolve(&value, &path).ok_or_else(|| {
            let name = value.to_string_lossy().into_owned();
            CompileError::CompilerNotFound { name, origin }
        });
    }
    NAMES
        .iter()
        .find_map(|name| resolve(OsStr::new(name), &path))
        .ok_or_else(|| CompileError::NoCompiler { tried: NAMES.map(str::to_owned).to_vec() })
}

/// A program by its path or name. If there is none of that name, the first word is the program and the others
/// are its first arguments.
fn resolve(value: &OsStr, path: &OsStr) -> Option<(PathBuf, Vec<OsString>)> {
    if let Some(program) = executable(value, path) {
        return Some((program, Vec::new()));
    }
    let mut words = value
        .as_bytes()
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_owned());
    let program = executable(&words.next()?, path)?;
    Some((program, words.collect()))
}

fn executable(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let runs = |candidate: &Path| {
        candidate.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok().filter(|candidate| runs(candidate));
    }
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .filter_map(|candidate| std::path::absolute(candidate).ok())
        .find(|candidate| runs(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::Stdio;

    /// Writes an executable script through a child: a descriptor open for writing in this process could be
    /// inherited by another test's child, and the script would be "busy".
    fn script(path: &Path, text: &str) {
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
    }

    fn env_of<'a>(vars: &'a [(&'a str, &'a Path)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
    }

    #[test]
    fn precedence_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let [gnu, clang, other] = ["g++", "clang++", "other"].map(|name| dir.path().join(name));
        for path in [&gnu, &clang, &other] {
            script(path, "#!/bin/sh\n");
        }
        let program = |named: Option<&Path>, vars: &[(&str, &Path)]| locate(named, &env_of(vars)).unwrap().0;
        let path = ("PATH", dir.path());
        assert_eq!(program(None, &[path]), gnu);
        assert_eq!(program(None, &[path, ("CXX", Path::new("clang++"))]), clang);
        assert_eq!(program(None, &[path, ("CXX", Path::new("g++")), ("SIMPLER_CXX", &other)]), other);
        assert_eq!(program(Some(&clang), &[path, ("SIMPLER_CXX", &other)]), clang);
        assert_eq!(program(None, &[path, ("CXX", Path::new(""))]), gnu);
        std::fs::remove_file(&gnu).unwrap();
        assert_eq!(program(None, &[path]), clang);
    }

    #[test]
    fn a_named_compiler_is_never_replaced_by_another() {
        let dir = tempfile::tempdir().unwrap();
        script(&dir.path().join("g++"), "#!/bin/sh\n");
        let vars = [("PATH", dir.path()), ("CXX", Path::new("g++")), ("SIMPLER_CXX", Path::new("g++-99"))];
        let error = locate(None, &env_of(&vars)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CompileError::CompilerNotFound { .. }), "{text}");
        assert!(text.contains("g++-99") && text.contains("$SIMPLER_CXX"), "{text}");
    }

    #[test]
    fn no_compiler_at_all_names_what_was_tried() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("g++"), "not executable").unwrap();
        let error = locate(None, &env_of(&[("PATH", dir.path())])).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CompileError::NoCompiler { .. }), "{text}");
        assert!(text.contains("g++, clang++, c++") && text.contains("$SIMPLER_CXX"), "{text}");
    }

    #[test]
    fn wrappers_and_blanks() {
        let dir = tempfile::tempdir().unwrap();
        let wrapper = dir.path().join("ccache");
        let blank = dir.path().join("my g++");
        script(&wrapper, "#!/bin/sh\n");
        script(&blank, "#!/bin/sh\n");
        let path = dir.path().as_os_str();
        let found = resolve(OsStr::new("ccache  g++ -m64"), path).unwrap();
        assert_eq!(found, (wrapper, vec!["g++".into(), "-m64".into()]));
        assert_eq!(resolve(blank.as_os_str(), path).unwrap(), (blank, vec![]));
        assert_eq!(resolve(OsStr::new("  "), path), None);
    }

    fn probe(text: &str) -> Result<Toolchain, CompileError> {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("fake");
        script(&fake, text);
        let scratch = Scratch::new(dir.path()).unwrap();
        let never = AtomicBool::new(false);
        let found = Toolchain::find(Some(&fake), &|_| None, &scratch, &never);
        found.inspect(|toolchain| assert!(!toolchain.has_bfloat16(&scratch, &never)))
    }

    #[test]
    fn the_version_tells_the_flavor() {
        let clang = probe("#!/bin/sh\necho 'Debian clang version 14.0.6'; echo 'Target: x'\n").unwrap();
        assert_eq!((clang.flavor, clang.cxx23()), (Flavor::Clang, "-std=c++2b"));
        assert_eq!(clang.version_line(), "Debian clang version 14.0.6");
        let gnu = probe("#!/bin/sh\necho 'g++ (Debian 12.2.0) 12.2.0'\n").unwrap();
        assert_eq!((gnu.flavor, gnu.cxx23()), (Flavor::Gnu, "-std=c++23"));
    }

    #[test]
    fn a_program_that_is_no_compiler() {
        let error = probe("#!/bin/sh\necho 'what version?' >&2; exit 2\n").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CompileError::CompilerUnusable { .. }), "{text}");
        assert!(text.contains("what version?") && text.contains("exit status: 2"), "{text}");
        let error = probe("#!/no/such/interpreter\n").unwrap_err();
        assert!(matches!(error, CompileError::CompilerUnusable { .. }), "{error}");
    }

    #[test]
    fn a_compiler_with_bfloat16() {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("fake");
        script(&fake, "#!/bin/sh\necho simpler_bfloat16_present\n");
        let scratch = Scratch::new(dir.path()).unwrap();
        let never = AtomicBool::new(false);
        let toolchain = Toolchain::find(Some(&fake), &|_| None, &scratch, &never).unwrap();
        assert!(toolchain.has_bfloat16(&scratch, &never));
    }
}
