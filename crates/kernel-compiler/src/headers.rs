//! The headers of kernels and orchestrations, carried inside this crate so that it works without a checkout.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Fields};
use crate::source::{Runtime, Source, Unit};

macro_rules! headers {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../include/", $path)))),*]
    };
}

/// Every file under `include/` for authors of kernels and orchestrations, with its text.
const HEADERS: &[(&str, &str)] = headers![
    "host_build_graph/orchestration_api.h",
    "host_build_graph/tensor_info.h",
    "incore/pipe_sync.h",
    "incore/simpler_kernel.h",
    "platform/common/core_type.h",
    "platform_comm/comm_context.h",
    "task_interface/arg_direction.h",
    "task_interface/data_type.h",
    "task_interface/task_args.h",
    "task_interface/tensor_arg.h",
    "tensormap_and_ringbuffer/aicore_completion_mailbox.h",
    "tensormap_and_ringbuffer/common.h",
    "tensormap_and_ringbuffer/intrinsic.h",
    "tensormap_and_ringbuffer/pto_arg_with_deps.h",
    "tensormap_and_ringbuffer/pto_async_kernel_api.h",
    "tensormap_and_ringbuffer/pto_completion_token.h",
    "tensormap_and_ringbuffer/pto_orchestration_api.h",
    "tensormap_and_ringbuffer/pto_runtime_status.h",
    "tensormap_and_ringbuffer/pto_submit_types.h",
    "tensormap_and_ringbuffer/pto_task_id.h",
    "tensormap_and_ringbuffer/pto_types.h",
    "tensormap_and_ringbuffer/runtime.h",
    "tensormap_and_ringbuffer/tensor.h",
];

/// Writes the headers below `parent`, into a folder named after their content, and returns that folder. Files
/// that are right already stay untouched; others are replaced one by one, each in one step.
pub(crate) fn materialise(parent: &Path, scratch: &Path) -> io::Result<PathBuf> {
    let mut all = Fields::default();
    for (path, text) in HEADERS {
        all.add(path);
        all.add(text);
    }
    let root = parent.join(format!("include-{}", all.finish().as_str()));
    for (number, (path, text)) in HEADERS.iter().enumerate() {
        let target = root.join(path);
        if Digest::of_file(&target) == Some(Digest::of(text.as_bytes())) {
            continue;
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = scratch.join(format!("header-{number}"));
        std::fs::write(&fresh, text)?;
        std::fs::rename(&fresh, &target)?;
    }
    Ok(root)
}

/// The folders below the root that a source searches, in order; the root itself for headers that are named with theirs.
pub(crate) fn folders(source: &Source) -> &'static [&'static str] {
    match (source.unit, source.runtime) {
        (Unit::Kernel { .. }, Runtime::HostBuildGraph) => &["incore", "task_interface", "platform", "."],
        (Unit::Kernel { .. }, Runtime::TensormapAndRingbuffer) => {
            &["incore", "tensormap_and_ringbuffer", "task_interface", "platform", "."]
        }
        (Unit::Orchestration { .. }, Runtime::HostBuildGraph) => {
            &["host_build_graph", "task_interface", "platform", "."]
        }
        (Unit::Orchestration { .. }, Runtime::TensormapAndRingbuffer) => {
            &["tensormap_and_ringbuffer", "task_interface", "platform", "."]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_header_for_authors_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        // Those are for clients of the C API, not for what is compiled here.
        found.retain(|path| !path.starts_with("simpler/"));
        found.sort();
        let embedded: Vec<&str> = HEADERS.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, found, "add the file to HEADERS in headers.rs, in alphabetical order");
    }

    #[test]
    fn written_once_and_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let root = materialise(dir.path(), dir.path()).unwrap();
        let header = root.join("task_interface/data_type.h");
        let before = header.metadata().unwrap().modified().unwrap();
        assert_eq!(materialise(dir.path(), dir.path()).unwrap(), root);
        assert_eq!(header.metadata().unwrap().modified().unwrap(), before, "an intact file was rewritten");

        std::fs::write(&header, "#error damaged").unwrap();
        std::fs::remove_file(root.join("incore/pipe_sync.h")).unwrap();
        materialise(dir.path(), dir.path()).unwrap();
        for (path, text) in HEADERS {
            assert_eq!(&std::fs::read_to_string(root.join(path)).unwrap(), text);
        }
    }

    #[test]
    fn the_folders_exist() {
        use task_interface::CoreType;
        for runtime in [Runtime::HostBuildGraph, Runtime::TensormapAndRingbuffer] {
            let kernel = Source::kernel("k.cpp", CoreType::Aiv).runtime(runtime);
            let graph = Source::orchestration("g.cpp", runtime);
            for folder in folders(&kernel).iter().chain(folders(&graph)) {
                let prefix = format!("{folder}/").trim_start_matches("./").to_owned();
                assert!(HEADERS.iter().any(|(path, _)| path.starts_with(&prefix)), "{folder}");
            }
        }
    }
}
