//! `cargo xtask bindings`: makes the declarations of `hal-sys` from its header.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::project;

const HELP: &str = "\
cargo xtask bindings [--check]

Makes crates/hal-sys/src/bindings.rs from crates/hal-sys/include/hal_sys.h. The header is our own: no CANN is
needed, but libclang is (Debian: libclang-dev). $LIBCLANG_PATH names its directory if it is not found by itself.

  --check     change nothing; fail if the committed file is not what would be made
  -h, --help  show this text

Ends with 0 if the file is up to date, with 1 if it is not or cannot be made, with 2 for wrong options.
";

const COMMITTED: &str = "crates/hal-sys/src/bindings.rs";
/// What the build script of `hal-sys` leaves in its output directory.
const MADE: &str = "own.rs";
/// Tells the build script that no toolkit is there to be compared with.
const OWN_ONLY: &str = "HAL_SYS_OWN_BINDINGS_ONLY";

pub fn run(mut parser: lexopt::Parser) -> Result<ExitCode> {
    use lexopt::prelude::*;
    let mut check = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("check") => check = true,
            Long("help") | Short('h') => return crate::show(HELP),
            other => return Ok(crate::refuse(&other.unexpected().to_string(), HELP)),
        }
    }
    let path = project().join(COMMITTED);
    let made = make()?;
    let committed =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(line) = first_difference(&committed, &made) else {
        writeln!(io::stdout(), "{COMMITTED} is up to date")?;
        return Ok(ExitCode::SUCCESS);
    };
    if check {
        bail!(
            "{COMMITTED} is not what is made from the header: line {line} differs; run `cargo xtask bindings`"
        );
    }
    std::fs::write(&path, made).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(io::stdout(), "wrote {COMMITTED}")?;
    Ok(ExitCode::SUCCESS)
}

/// Lets the build script of `hal-sys` make the declarations.
///
/// What follows the script is of no interest: as long as the committed file is behind, the crate need not compile.
fn make() -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    command
        .current_dir(project())
        .args(["build", "--package", "hal-sys", "--features", "toolkit-bindings", "--locked", "--quiet"])
        .args(["--message-format", "json-render-diagnostics"])
        .env(OWN_ONLY, "1");
    let done = command.output().with_context(|| format!("{} does not start", cargo.display()))?;
    let Some(directory) = output_directory(&done.stdout) else {
        bail!(
            "the header could not be read; where libclang is not found, install it (Debian: libclang-dev) or set \
             LIBCLANG_PATH:\n{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let path = directory.join(MADE);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Finds the output directory of the build script in cargo's messages, of which each is a line of JSON. There is no
/// such message when the script fails.
fn output_directory(messages: &[u8]) -> Option<PathBuf> {
    messages.split(|&byte| byte == b'\n').find_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        let ours = message["reason"] == "build-script-executed"
            && message["package_id"].as_str()?.contains("hal-sys");
        ours.then(|| message["out_dir"].as_str().map(PathBuf::from)).flatten()
    })
}

/// The number of the first line in which they differ.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    if one == other {
        return None;
    }
    let same = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }

    #[test]
    fn the_output_directory_is_that_of_hal_sys() {
        let other =
            r#"{"reason":"build-script-executed","package_id":"registry+x#libc@0.2","out_dir":"/libc"}"#;
        let ours = r#"{"reason":"build-script-executed","package_id":"path+file:///p/crates/hal-sys#0.1.0","out_dir":"/o"}"#;
        let messages = format!("{other}\nno json\n{ours}\n");
        assert_eq!(output_directory(messages.as_bytes()), Some(PathBuf::from("/o")));
        assert_eq!(output_directory(other.as_bytes()), None);
    }
}
