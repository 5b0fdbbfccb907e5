use std::sync::Arc;

use run_records::RecordsError;
use task_interface::CallConfig;

use super::FakeDevice;
use crate::arch::{Arch, Topology};
use crate::diagnostics::{Recorded, Recorder, Request, Spare};
use crate::error::{DeferredErrors, RunnerError};
use crate::memory::Memory;
use crate::phases::HostStages;

/// What a run with this configuration has on a chip, for tests of whoever tells it; `None` if that is nothing.
///
/// # Errors
/// As of a run, if the configuration does not fit.
pub fn recorder(config: &CallConfig, arch: &'static dyn Arch) -> Result<Option<Arc<Recorder>>, RunnerError> {
    let request = Request::new(config, arch.diagnostics())?;
    let topology = Topology::new(arch.resolve_block_dim(config.block_dim)?);
    let threads = arch.resolve_aicpu_threads(config.aicpu_thread_num)?;
    let memory = Memory::new(FakeDevice::new(), DeferredErrors::default());
    Ok(request.map(|request| Recorder::new(request, arch, topology, threads, &memory, &Spare::default())))
}

/// What it has got so far.
pub fn recorded(recorder: &Recorder) -> Recorded {
    recorder.recorded()
}

/// Writes its files, as at the end of a run.
///
/// # Errors
/// The first file that could not be written.
pub fn export(recorder: &Recorder) -> Result<(), RecordsError> {
    recorder.export(HostStages::default)
}
