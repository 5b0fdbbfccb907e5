//! `cargo xtask st`: the scenes of this project on the scene runner.

use std::process::ExitCode;

use scene_runner::Runner;

pub fn run() -> ExitCode {
    Runner::new("cargo xtask st", scenes::all()).words(&["st"]).main()
}
