//! Command lines: which flags a source gets, and how a command is shown to a person.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::source::{Arch, Source, Unit};
use crate::toolchain::{Flavor, Toolchain};
use task_interface::CoreType;

/// Flags of a source, without its name and without outputs (`spec/public-abi.md`, section E.5; the order is
/// the reference's). `includes` are the include folders in search order.
pub(crate) fn flags(toolchain: &Toolchain, source: &Source, includes: &[PathBuf]) -> Vec<OsString> {
    let gnu = toolchain.flavor == Flavor::Gnu;
    let mut flags: Vec<OsString> = Vec::new();
    let mut add = |more: &[&str]| flags.extend(more.iter().map(OsString::from));
    match source.unit {
        Unit::Kernel { core_type } => {
            add(&["-shared", "-O2", "-fPIC", toolchain.cxx23(), "-fpermissive"]);
            if !gnu {
                // GNU has no such warning, and says so next to every other one.
                add(&["-Wno-macro-redefined"]);
            }
            add(&["-Wno-ignored-attributes"]);
            add(&["-D__CPU_SIM", "-DPTO_CPU_MAX_THREADS=1", "-DNDEBUG"]);
            add(&[match core_type {
                CoreType::Aic => "-D__DAV_CUBE__",
                CoreType::Aiv => "-D__DAV_VEC__",
            }]);
        }
        Unit::Orchestration { .. } => {
            add(&["-shared", "-fPIC", "-O3", "-g", "-std=c++17"]);
        }
    }
    if source.arch == Arch::A5 {
        add(&["-DSIMPLER_ARCH_A5"]);
    }
    if gnu {
        // Unique symbols would be shared by all copies of a library and would keep it loaded for ever. Clang
        // makes none and does not know the flag.
        add(&["-fno-gnu-unique"]);
    }
    add(&["-Wl,--build-id=sha1"]);
    if !source.allow_undefined {
        add(&["-Wl,-z,defs"]);
    }
    for include in includes {
        flags.push("-I".into());
        flags.push(include.into());
    }
    flags.extend(source.flags.iter().cloned());
    flags
}

/// What follows the source. Older C libraries keep dlsym and threads, which PTO-ISA's headers use, in
/// libraries of their own; newer ones need nothing, and then nothing is recorded.
pub(crate) const LIBRARIES: [&str; 3] = ["-Wl,--as-needed", "-pthread", "-ldl"];

/// A command as one line for a shell, in the folder it ran in.
pub(crate) fn shell_line<'a>(folder: Option<&Path>, words: impl IntoIterator<Item = &'a OsStr>) -> String {
    let mut line = String::new();
    if let Some(folder) = folder {
        let _ = write!(line, "cd {} &&", quoted(folder.as_os_str()));
    }
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quoted(word));
    }
    line
}

fn quoted(word: &OsStr) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./=+,:@%".contains(b);
    let bytes = word.as_bytes();
    match word.to_str() {
        Some(text) if !bytes.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            // Not text: spell the bytes, as bash reads them.
            let mut line = String::from("$'");
            for &byte in bytes {
                if plain(&byte) || byte == b' ' {
                    line.push(char::from(byte));
                } else {
                    let _ = write!(line, "\\x{byte:02x}");
                }
            }
            line.push('\'');
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoting() {
        let words = ["g++", "-DA=\"b c\"", "it's", "", "/a/b.cpp"].map(OsStr::new);
        let line = shell_line(Some(Path::new("/my dir")), words);
        assert_eq!(line, r#"cd '/my dir' && g++ '-DA="b c"' 'it'\''s' '' /a/b.cpp"#);
        assert_eq!(quoted(OsStr::from_bytes(b"a\xff b")), r"$'a\xff b'");
        assert_eq!(quoted(OsStr::new("a\nb")), r"$'a\x0ab'");
    }

    proptest! {
        /// `$'…'` needs bash or a like shell; words of printable text must survive any shell.
        #[test]
        fn a_shell_reads_back_what_was_quoted(words in prop::collection::vec("[ -~äß€]{0,12}", 1..5)) {
            let line = shell_line(None, words.iter().map(OsStr::new));
            let script = format!("for w in {line}; do printf '%s\\n' \"$w\"; done");
            let output = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            let read: Vec<String> =
                String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
            prop_assert_eq!(read, words);
        }
    }
}
