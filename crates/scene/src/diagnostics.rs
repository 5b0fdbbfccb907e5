//! Runs of cases that record what they do, and whether their records hold together.

use std::path::Path;

use chip_worker::CallConfig;
use run_records::{Run, dump};
use run_report::{Facts, Finding};

use crate::case::CaseError;

/// So many findings are told; one cause rarely has few.
const TOLD: usize = 5;

/// The same call with every collector on, which write into `folder`.
pub(crate) fn all_on(config: &CallConfig, folder: &Path) -> Result<CallConfig, CaseError> {
    let wrong = |error: chip_worker::CallConfigError| CaseError::Check(format!("diagnostics: {error}"));
    let mut config = *config;
    config.set_l2_swimlane(4).map_err(wrong)?;
    config.set_dump_tensor(true).set_pmu(2).set_dep_gen(true).set_scope_stats(true);
    config.set_output_prefix(&folder.to_string_lossy()).map_err(wrong)?;
    Ok(config)
}

/// Demands that what a run has written keeps the rules of records.
pub(crate) fn check(folder: &Path) -> Result<(), CaseError> {
    let run = Run::read(folder).map_err(|error| CaseError::Check(error.to_string()))?;
    let bytes = folder.join(dump::FOLDER).join(dump::BYTES);
    let dump_bytes = bytes.metadata().ok().map(|file| file.len());
    let mut findings = run_report::check(&run, &Facts { dump_bytes, ..Facts::default() });
    // Tasks without kernels are submits that run nowhere; the files do not tell which they are.
    findings.retain(|finding| !matches!(finding, Finding::NeverRan { .. }));
    if findings.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = findings.iter().take(TOLD).map(ToString::to_string).collect();
    let (count, folder) = (findings.len(), folder.display());
    Err(CaseError::Check(format!(
        "{count} things are wrong with the records in {folder}:\n{}",
        told.join("\n")
    )))
}
