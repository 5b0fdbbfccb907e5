//! What the tests of this crate share: a folder per test, sources in it, and compilers that fail on purpose.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kernel_compiler::{Builder, CoreType, KernelCompiler, Source};

pub(crate) const KERNEL: &str = "extern \"C\" void kernel_entry(long *args) { args[0] = 1; }\n";

/// A folder with sources and a cache of its own; never the user's.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn kernel(&self, name: &str, text: &str) -> Source {
        Source::kernel(self.write(name, text), CoreType::Aiv)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    pub(crate) fn builder(&self) -> Builder {
        KernelCompiler::builder().cache_dir(self.cache())
    }

    pub(crate) fn compiler(&self) -> KernelCompiler {
        self.builder().build().unwrap()
    }

    /// A shell script that answers `--version`, refuses to preprocess, and otherwise runs `body` with `$out`
    /// as the file to write.
    pub(crate) fn fake_compiler(&self, body: &str) -> PathBuf {
        let script = format!(
            "#!/bin/sh\n\
             last=\n\
             for word in \"$@\"; do\n\
               case \"$word\" in --version) echo 'fake compiler 1.0'; exit 0;; -E) exit 1;; esac\n\
               if [ \"$last\" = -o ]; then out=$word; fi\n\
               last=$word\n\
             done\n\
             {body}\n"
        );
        self.script("fake-cxx", &script)
    }

    /// An executable script.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        // Written by a child: a descriptor open for writing in this process could be inherited by the child
        // of another test, and the script would be "busy".
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }
}

/// All files below a folder whose names end in `suffix`.
pub(crate) fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found
}
