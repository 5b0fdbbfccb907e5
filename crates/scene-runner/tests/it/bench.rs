//! Runs the program with troublesome scenes, and looks for what it leaves behind.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Long enough for any machine: whoever waits longer waits for ever.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// A place for one run: its temporary files, its state, its reports.
pub(crate) struct Bench {
    folder: TempDir,
    env: Vec<(String, PathBuf)>,
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) json: Option<Value>,
    pub(crate) junit: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tmp", "state", "out"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, env: Vec::new() }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), PathBuf::from(value.as_ref())));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
        let out = |name: &str| std::fs::File::create(self.path("out").join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trouble"));
        command.env_remove("PTO_ISA_ROOT").env("SIMPLER_KERNEL_CACHE", cache);
        command.env("TMPDIR", self.path("tmp")).env("TROUBLE_STATE", self.path("state"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("--json").arg(self.path("out/json")).arg("--junit").arg(self.path("out/junit"));
        command.args(args).stdin(Stdio::null()).stdout(out("stdout")).stderr(out("stderr"));
        command.spawn().unwrap()
    }

    /// Runs to the end, and demands that nothing is left of it.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let child = self.start(args);
        self.end(child)
    }

    pub(crate) fn end(&self, mut child: Child) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("it does not end; so far:\n{}", self.text("stdout"));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.expect_nothing_left();
        let json = std::fs::read(self.path("out/json")).ok();
        Ended {
            code: status.code(),
            signal: status.signal(),
            out: self.text("stdout"),
            err: self.text("stderr"),
            json: json.map(|json| serde_json::from_slice(&json).unwrap()),
            junit: std::fs::read_to_string(self.path("out/junit")).unwrap_or_default(),
        }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path("out").join(name)).unwrap()).unwrap()
    }

    /// Waits until the output so far has this text.
    pub(crate) fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text("stdout").contains(text) {
            assert!(start.elapsed() < LIMIT, "\"{text}\" does not come; so far:\n{}", self.text("stdout"));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Processes that this bench's runs have started, found by their environment.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = format!("TROUBLE_STATE={}", self.path("state").display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
            if environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()) {
                found.push(std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default());
            }
        }
        found
    }

    pub(crate) fn expect_nothing_left(&self) {
        let start = Instant::now();
        // What was killed by a signal takes a moment to go, as nobody waits for it any more.
        while !self.processes().is_empty() {
            assert!(start.elapsed() < LIMIT, "processes are left: {:?}", self.processes());
            std::thread::sleep(Duration::from_millis(2));
        }
        let left: Vec<_> = std::fs::read_dir(self.path("tmp")).unwrap().flatten().collect();
        assert!(left.is_empty(), "files are left: {left:?}");
    }
}

impl Ended {
    /// The entry of an item in the report.
    pub(crate) fn entry(&self, name: &str) -> &Value {
        let entries = self.json.as_ref().unwrap()["results"].as_array().unwrap();
        entries
            .iter()
            .find(|entry| entry["name"] == name)
            .unwrap_or_else(|| panic!("no {name}: {}", self.out))
    }

    /// Verdict and ends of the attempts of an item.
    pub(crate) fn verdict(&self, name: &str) -> (String, Vec<String>) {
        let entry = self.entry(name);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let attempts = entry["attempts"].as_array().unwrap();
        (text(&entry["verdict"]), attempts.iter().map(|attempt| text(&attempt["end"])).collect())
    }

    /// Passed at the first attempt.
    pub(crate) fn expect_pass(&self, name: &str) {
        assert_eq!(self.verdict(name), ("passed".into(), vec!["passed".into()]), "{}", self.out);
    }

    /// The newest line about an item with this word, behind the time in it; and the lines that belong to it.
    pub(crate) fn told(&self, word_and_name: &str) -> &str {
        let start = self.out.rfind(&format!("] {word_and_name} (")).unwrap_or_else(|| panic!("{}", self.out));
        let rest = &self.out[start..];
        &rest[rest.find("s)").unwrap() + 2..]
    }

    /// The reason in the last attempt of an item.
    pub(crate) fn reason(&self, name: &str) -> &str {
        self.entry(name)["attempts"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap_or("")
    }
}
