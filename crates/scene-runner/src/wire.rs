//! What a runner and the process that runs its scenes tell each other.
//!
//! The runner hands over a [`Plan`] as a file: one line of JSON, then the compiled objects. The process answers with
//! lines of JSON, one [`Message`] each, as things happen: what it has said counts, however it ends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

/// How cases are run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// On a worker of this program.
    Linked,
    /// On workers with the smallest rings that suffice.
    SmallestRings,
    /// On the libraries of a `build/lib` tree.
    Tree(PathBuf),
}

/// What a process has to do.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The process that wants it: when that one is gone, nobody does.
    pub(crate) parent: i32,
    pub(crate) way: Way,
    pub(crate) seed: u64,
    pub(crate) watchdog_seconds: f64,
    /// Where cases leave what their runs record, each in a folder of its own.
    pub(crate) diagnostics: Option<PathBuf>,
    /// Where the programs of devices on hardware are.
    pub(crate) programs: Option<PathBuf>,
    /// How many devices run cases at once.
    pub(crate) devices: u32,
    /// The cases, in this order.
    pub(crate) items: Vec<PlannedItem>,
    /// Sizes of the objects that follow.
    pub(crate) objects: Vec<u64>,
}

/// A case, by names that both sides know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedItem {
    /// Its number in the runner, for messages.
    pub(crate) item: usize,
    pub(crate) scene: String,
    pub(crate) platform: String,
    pub(crate) case: String,
}

/// What a process tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// A case begins, on this thread of the process.
    Started { item: usize, device: u32, thread: i32 },
    /// A case has ended.
    Ended { item: usize, device: u32, seconds: f64, result: CaseResult },
    /// Nothing more will come. Some cases may not have begun: see [`CaseResult::Failed`].
    Finished,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaseResult {
    Passed {
        /// What is worth telling beyond that.
        note: Option<String>,
        runs: u64,
        tasks: u64,
        host_seconds: f64,
        device_seconds: f64,
    },
    LeftOut {
        why: String,
    },
    Failed {
        text: String,
        /// Threads of it may still run, so that the process begins no other case.
        still_running: bool,
    },
}

impl Plan {
    /// A file with the plan and its objects. It is in memory and has no name, so that nothing has to be removed.
    pub(crate) fn to_file(&self, objects: &[Arc<[u8]>]) -> io::Result<File> {
        let mut file = File::from(memfd_create("scene-runner plan", MemfdFlags::CLOEXEC)?);
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all(&line)?;
        for object in objects {
            file.write_all(object)?;
        }
        file.rewind()?;
        Ok(file)
    }

    /// Reads what [`to_file`](Self::to_file) wrote.
    pub(crate) fn from_file(file: File) -> io::Result<(Self, Vec<Arc<[u8]>>)> {
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        let plan: Self = serde_json::from_slice(&line)?;
        let mut objects = Vec::with_capacity(plan.objects.len());
        for &size in &plan.objects {
            let mut object = Vec::new();
            let read = reader.by_ref().take(size).read_to_end(&mut object)?;
            if u64::try_from(read).ok() != Some(size) {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the plan ends within an object"));
            }
            objects.push(object.into());
        }
        Ok((plan, objects))
    }
}

impl Message {
    /// The message as a line.
    pub(crate) fn to_line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads what [`to_line`](Self::to_line) made.
    pub(crate) fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(objects: Vec<u64>) -> Plan {
        let item =
            PlannedItem { item: 7, scene: "s\n".into(), platform: "a5sim".into(), case: "c \"d\"".into() };
        Plan {
            parent: 12,
            way: Way::Tree("/a b".into()),
            seed: u64::MAX,
            watchdog_seconds: 0.25,
            diagnostics: Some("/c d".into()),
            programs: Some("/c".into()),
            devices: 3,
            items: vec![item],
            objects,
        }
    }

    #[test]
    fn a_plan_and_its_objects_come_back() {
        let objects: [Arc<[u8]>; 3] = [[1, b'\n', 3].into(), [].into(), [9; 100_000].into()];
        let sent = plan(vec![3, 0, 100_000]);
        let (read, read_objects) = Plan::from_file(sent.to_file(&objects).unwrap()).unwrap();
        assert_eq!(read, sent);
        assert_eq!(read_objects, objects);
    }

    #[test]
    fn a_plan_that_ends_too_early_is_an_error() {
        let file = plan(vec![4]).to_file(&[[1, 2, 3].into()]).unwrap();
        assert_eq!(Plan::from_file(file).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(Plan::from_file(File::open("/dev/null").unwrap()).is_err());
    }

    #[test]
    fn a_message_is_one_line() {
        let result = CaseResult::Failed { text: "two\nlines".into(), still_running: true };
        let sent = Message::Ended { item: 3, device: 1, seconds: 0.5, result };
        let line = sent.to_line().unwrap();
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        assert_eq!(Message::from_line(&line).unwrap(), sent);
        assert!(Message::from_line(b"{\"ended\": 3}").is_err());
    }
}
