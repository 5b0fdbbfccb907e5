//! `run.json`: what a run knows of itself that no file of the contract has a place for. It lies beside them and is this
//! project's own, so readers of the contract's files find those as they expect them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::micros::Micros;
use crate::{decimal, file};

/// Where the file lies in a run's output folder.
pub const FILE: &str = "run.json";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What the host did, on its own clock.
    #[serde(rename = "host_stages_us")]
    pub host_stages: HostStages,
    /// Records that were lost on their way to the files.
    pub lost_records: u64,
    /// Tasks that run nowhere, and so have no records, those that only allocate among them; missing if whoever
    /// scheduled them does not tell.
    #[serde(default, with = "decimal::list", skip_serializing_if = "Option::is_none")]
    pub tasks_without_kernel: Option<Vec<u64>>,
}

/// How long each stage of the host took; one follows the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStages {
    /// Graph and inputs, up to the launch.
    pub prepare: Micros,
    /// The launch itself, and waiting for the device to be free.
    pub launch: Micros,
    /// Until the device has ended and somebody has waited for it.
    pub wait: Micros,
    /// Copying results back.
    pub copy_back: Micros,
    /// Writing what was recorded, but for this file, which is the last.
    pub export: Micros,
}

impl HostStages {
    /// The stages with their names, in their order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Micros); 5] {
        let &Self { prepare, launch, wait, copy_back, export } = self;
        [
            ("prepare", prepare),
            ("launch", launch),
            ("wait", wait),
            ("copy back", copy_back),
            ("write records", export),
        ]
    }
}

impl Summary {
    /// Reads the file from a run's output folder; `None` if it is not there, as where something else wrote the others.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        file::read_json(&directory.join(FILE))
    }

    /// Writes the file into a run's output folder, which is created when needed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        file::replace(&directory.join(FILE), &self.to_json())
    }

    /// The bytes of the file: one line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        file::push_json(&mut out, self);
        out.push(b'\n');
        out
    }
}
