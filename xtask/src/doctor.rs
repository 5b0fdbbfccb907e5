//! `cargo xtask doctor`: tells what a machine has, and what is missing for which platform.

mod facts;
mod report;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use facts::Facts;
use verdict::Target;

const HELP: &str = "\
cargo xtask doctor [--platform NAME]... [--json]

Tells what this machine has: compilers for kernels, the CANN toolkit, the driver, devices, the libraries that are
loaded at run time and the functions they lack; and for each platform whether it is usable, and what to do if not.
Needs nothing and changes nothing, but it loads the libraries of CANN where there are any. Which chip a device is,
`npu-smi info` tells.

  --platform NAME  a2a3sim, a5sim, a2a3 or a5; may be given several times (default: all of them)
  --json           the same as JSON
  --root DIR       look below this directory, instead of /, for what the vendor installs and for devices
  -h, --help       show this text

Ends with 0 if every platform asked for is usable, with 1 if one is not, with 2 for wrong options.
";

/// How the command was called.
struct Options {
    targets: Vec<Target>,
    json: bool,
    root: PathBuf,
}

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => return crate::show(HELP),
        Err(reason) => return Ok(crate::refuse(&reason, HELP)),
    };
    let facts = Facts::of(&options.root);
    let verdicts: Vec<_> = options.targets.iter().map(|&target| target.judge(&facts)).collect();
    let text = if options.json { report::json(&facts, &verdicts)? } else { report::text(&facts, &verdicts) };
    crate::show(&text)?;
    let usable = verdicts.iter().all(|verdict| verdict.missing.is_empty());
    Ok(if usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    /// `None` when help is asked for; the error is text for whoever called.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::prelude::*;
        let text = |error: lexopt::Error| error.to_string();
        let mut options = Self { targets: vec![], json: false, root: PathBuf::from("/") };
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Long("platform") => {
                    let name = parser.value().and_then(|value| value.string()).map_err(text)?;
                    let target = Target::named(&name)?;
                    if !options.targets.contains(&target) {
                        options.targets.push(target);
                    }
                }
                Long("json") => options.json = true,
                Long("root") => options.root = parser.value().map_err(text)?.into(),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(text(other.unexpected())),
            }
        }
        if options.targets.is_empty() {
            options.targets.extend(Target::ALL);
        }
        Ok(Some(options))
    }
}
