//! Shared objects from single C files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The C compiler of this machine, as build scripts find it.
pub struct CCompiler {
    tool: cc::Tool,
    workshop: PathBuf,
}

impl CCompiler {
    /// Finds the compiler; its output goes through temporary files in `workshop`.
    pub fn find(workshop: &Path) -> Result<Self> {
        // Cargo tells build scripts what they build for; here it is this machine, one of those that
        // object-loader supports.
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let tool = cc::Build::new()
            .cargo_metadata(false)
            .host(&host)
            .target(&host)
            .opt_level(2)
            .debug(false)
            .pic(true)
            .try_get_compiler()
            .context("no C compiler is found; install one, or name it with $CC")?;
        Ok(Self { tool, workshop: workshop.to_owned() })
    }

    /// Compiles `source` into a library called `name`; its bytes depend on nothing but source and compiler.
    pub fn library(&self, source: &Path, name: &str, options: &[&str]) -> Result<Vec<u8>> {
        let scratch = tempfile::tempdir_in(&self.workshop)?;
        let output = scratch.path().join(name);
        let mut command = self.tool.to_command();
        command
            .args(["-std=c11", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden"])
            .args([&format!("-Wl,-soname,{name}"), "-Wl,--build-id=none"])
            .args(options)
            .arg(source)
            .arg("-o")
            .arg(&output);
        let compiler = || self.tool.path().display().to_string();
        let done =
            command.output().with_context(|| format!("the C compiler {} does not start", compiler()))?;
        let said = String::from_utf8_lossy(&done.stderr);
        if !done.status.success() {
            bail!("{} failed on {} ({})\n{said}", compiler(), source.display(), done.status);
        }
        if !said.is_empty() {
            eprintln!("{}", said.trim_end());
        }
        std::fs::read(&output).with_context(|| format!("{} wrote no {name}", compiler()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(source: &str) -> Result<Vec<u8>> {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("source.c");
        std::fs::write(&file, source).unwrap();
        let compiled = CCompiler::find(scratch.path()).unwrap().library(&file, "libx.so", &[]);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left but the source");
        compiled
    }

    #[test]
    fn equal_sources_make_equal_bytes() {
        let source = "int value(void) { return 3; }";
        assert_eq!(compile(source).unwrap(), compile(source).unwrap());
        assert_ne!(compile(source).unwrap(), compile("int other(void) { return 4; }").unwrap());
    }

    #[test]
    fn what_the_compiler_says_is_part_of_the_error() {
        let error = compile("#error told so\n").unwrap_err().to_string();
        assert!(error.contains("told so") && error.contains("source.c"), "{error}");
    }
}
