//! This process as one rank of the cases, while a launcher such as mpirun has started the others.
//!
//! Nothing is isolated here: the launcher watches its processes.

use std::io::{self, Write as _};

use chip_worker::Launch;
use kernel_compiler::KernelCompiler;
use scene::{Case, Setup, Sources};

use crate::item::{Item, scenes_of};
use crate::options::Options;
use crate::{Error, USAGE, tell};

/// Runs this rank of all `items` that are jobs of as many ranks as there are, one after the other; the exit code.
pub(crate) fn run(items: &[Item], options: &Options) -> Result<u8, Error> {
    let Some(launch) = Launch::from_environment().map_err(|error| Error::Launch(error.to_string()))? else {
        tell(
            "error: --as-rank: no launcher has started this; use mpirun or srun, or set SIMPLER_COMM_RANK and _SIZE\n",
        );
        return Ok(USAGE);
    };
    let cases: Vec<(&Item, Case)> =
        items.iter().filter_map(|item| Some((item, case(item, launch)?))).collect();
    if cases.is_empty() {
        return Err(Error::Launch(format!("no case is one of {} ranks", launch.ranks)));
    }
    let scenes = scenes_of(cases.iter().map(|(item, _)| *item));
    let objects = Sources::of(scenes.iter().copied()).compile(&KernelCompiler::new()?);
    let setup = Setup::default().seed(options.seed).watchdog(options.watchdog()).programs(&options.programs);
    let mut failed = 0;
    for (item, case) in &cases {
        let built = objects.build(item.scene, item.platform)?;
        let ended = scene::run_as_rank(&built, case, &setup, launch);
        let said = ended.as_ref().map_or_else(|error| format!("FAIL: {error}"), |_| "PASS".to_owned());
        write(&format!("rank {} of {}: {}: {said}\n", launch.rank, launch.ranks, item.name()))?;
        failed += u32::from(ended.is_err());
        if ended.is_err_and(|error| error.may_still_run()) {
            write(&format!("rank {}: kernels still run, so no other case begins\n", launch.rank))?;
            break;
        }
    }
    Ok(u8::from(failed > 0))
}

/// The case, if it is a job of that many ranks.
fn case(item: &Item, launch: Launch) -> Option<Case> {
    let mut cases = (item.scene.cases)(item.platform).into_iter();
    cases.find(|case| case.name() == item.case).filter(|case| case.rank_count() == launch.ranks)
}

/// In one piece, so that lines of several ranks do not mix.
fn write(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}
