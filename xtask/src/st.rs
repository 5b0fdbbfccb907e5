//! `cargo xtask st`: the scenes of this project on the scene runner.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use scene_runner::chip_worker::Platform;
use scene_runner::{Runner, StandIn};

use crate::build_all;

/// How many times longer than on a chip everything may take where dozens of cores are threads on few CPUs.
const TIME_SCALE: &str = "60";

pub fn run() -> ExitCode {
    Runner::new("cargo xtask st", scenes::all()).words(&["st"]).stand_in(stand_in).main()
}

/// The project's own stand-in for CANN, under the names of the vendor's libraries.
fn stand_in() -> Result<StandIn, Box<dyn Error + Send + Sync>> {
    let libraries = soft_cann::libraries_dir()?;
    let search = search_path(&libraries, std::env::var_os("LD_LIBRARY_PATH"))?;
    let reports = tempfile::Builder::new().prefix("soft-cann-report-").tempdir()?;
    let report = reports.path().join("report");
    let environment = {
        let report = report.clone();
        move |platform: Platform| {
            vec![
                ("LD_LIBRARY_PATH", search.clone()),
                ("SOFT_CANN_CHIP", platform.folders().0.into()),
                ("SOFT_CANN_TIME_SCALE", TIME_SCALE.into()),
                ("SOFT_CANN_REPORT", report.clone().into()),
            ]
        }
    };
    let complaints = move || {
        let report = std::fs::read_to_string(reports.path().join("report")).unwrap_or_default();
        report.lines().map(|line| format!("the stand-in says: {line}")).collect()
    };
    let programs = build_all::device_programs_tree()?;
    Ok(StandIn { programs, environment: Box::new(environment), complaints: Box::new(complaints) })
}

/// `first`, and then what was searched before.
fn search_path(first: &Path, rest: Option<OsString>) -> Result<OsString, std::env::JoinPathsError> {
    let rest = rest.unwrap_or_default();
    let rest = std::env::split_paths(&rest).filter(|path| !path.as_os_str().is_empty());
    std::env::join_paths(std::iter::once(first.to_owned()).chain(rest))
}
