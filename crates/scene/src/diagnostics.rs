//! Runs of cases that record what they do, and whether their records hold together.

use std::collections::BTreeMap;
use std::path::Path;

use chip_worker::CallConfig;
use run_records::{RecordsError, Run};
use run_report::{Facts, FuncNames};

use crate::describe::{Code, Kernel, Scene};
use crate::error::CaseError;

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

/// Demands that what a run of a scene has written keeps the rules of records; says beside it what kernels are called.
pub(crate) fn check(folder: &Path, scene: &Scene) -> Result<(), CaseError> {
    let unusable = |error: RecordsError| CaseError::Check(error.to_string());
    names(scene).write(&folder.join(format!("name_map_{}.json", scene.name))).map_err(unusable)?;
    let run = Run::read(folder).map_err(unusable)?;
    let findings = run_report::check(&run, &Facts::of(folder, &run));
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

/// What the files or functions of kernels are called, with the kind of core where one is compiled for both; of an id
/// that programs use for several kernels all of them.
fn names(scene: &Scene) -> FuncNames {
    let kernels = || scene.programs.iter().flat_map(|program| program.kernels);
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for kernel in kernels() {
        let own = name(kernel);
        let is_other = |other: &&Kernel| other.core_type != kernel.core_type && name(other) == own;
        let own = match kernels().find(is_other) {
            Some(_) => format!("{own}_{}", kernel.core_type.to_string().to_lowercase()),
            None => own,
        };
        let known = names.entry(kernel.func_id).or_default();
        if !known.contains(&own) {
            known.push(own);
        }
    }
    names.into_iter().map(|(func_id, names)| (func_id, names.join("/"))).collect()
}

fn name(kernel: &Kernel) -> String {
    match kernel.code {
        Code::Cpp(path) => {
            let path = Path::new(path);
            path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
        Code::Rust(make) => make().name().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use chip_worker::{CoreType, NativeKernel, Platform, RuntimeKind};

    use super::*;
    use crate::{Graph, Program};

    #[test]
    fn kernels_are_called_as_their_files_and_told_apart() {
        const ONE: &[Kernel] = &[
            Kernel::cpp(0, CoreType::Aic, "kernels/fold.cpp"),
            Kernel::cpp(1, CoreType::Aiv, "kernels/fold.cpp"),
            Kernel::rust(2, CoreType::Aiv, || NativeKernel::new("sum", |_| Ok(()))),
        ];
        const OTHER: &[Kernel] = &[Kernel::cpp(2, CoreType::Aiv, "add.cpp"), ONE[2]];
        const GRAPH: Graph = Graph::Cpp { path: "graph.cpp", entry: "build" };
        let scene = Scene {
            name: "any",
            summary: "",
            folder: "",
            include_dirs: &[],
            runtime: RuntimeKind::HostBuildGraph,
            platforms: &Platform::SIMULATED,
            programs: &[
                Program { name: "one", graph: GRAPH, kernels: ONE },
                Program { name: "other", graph: GRAPH, kernels: OTHER },
            ],
            cases: |_| Vec::new(),
        };
        let expected = [(0, "fold_aic"), (1, "fold_aiv"), (2, "sum/add")];
        assert_eq!(names(&scene), expected.into_iter().collect());
    }
}
