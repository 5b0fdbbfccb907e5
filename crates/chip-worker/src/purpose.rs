//! What a loaded library is for.

use std::path::Path;

use host_library::HostLibrary;

use crate::error::WorkerError;
use crate::platform::{Platform, RuntimeKind};

/// What the library says itself, or else its place in a `build/lib` tree.
pub(crate) fn find(library: &HostLibrary) -> Result<(Platform, RuntimeKind), WorkerError> {
    let path = library.path();
    let platform = library.platform().map(|name| name.parse()).or_else(|| platform_of(path).map(Ok));
    let runtime = library.runtime().map(|name| name.parse()).or_else(|| runtime_of(path).map(Ok));
    let untold = |what| WorkerError::UntoldPurpose { what, library: path.to_owned() };
    Ok((platform.ok_or_else(|| untold("platform"))??, runtime.ok_or_else(|| untold("runtime"))??))
}

/// That the library says nothing else.
pub(crate) fn check(
    library: &HostLibrary,
    platform: Platform,
    runtime: RuntimeKind,
) -> Result<(), WorkerError> {
    let said =
        [("platform", library.platform(), platform.name()), ("runtime", library.runtime(), runtime.name())];
    for (what, actual, expected) in said {
        if let Some(actual) = actual.filter(|actual| actual != expected) {
            let library = library.path().to_owned();
            return Err(WorkerError::OtherPurpose { what, library, actual, expected });
        }
    }
    Ok(())
}

fn platform_of(path: &Path) -> Option<Platform> {
    let variant = folder(path, 2)?;
    let arch = folder(path, 3)?;
    Platform::ALL.into_iter().find(|platform| platform.folders() == (arch, variant))
}

fn runtime_of(path: &Path) -> Option<RuntimeKind> {
    folder(path, 1)?.parse().ok()
}

/// Name of the folder so many levels up.
fn folder(path: &Path, levels: usize) -> Option<&str> {
    path.ancestors().nth(levels)?.file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_tree_tells() {
        let path = Path::new("/lib/a5/sim/tensormap_and_ringbuffer/libhost_runtime.so");
        assert_eq!(platform_of(path), Some(Platform::A5Sim));
        assert_eq!(runtime_of(path), Some(RuntimeKind::TensormapAndRingbuffer));
        let path = Path::new("/lib/a2a3/onboard/host_build_graph/libhost_runtime.so");
        assert_eq!(platform_of(path), Some(Platform::A2a3));
        for other in ["/libhost_runtime.so", "/a5/other/x/libhost_runtime.so", "/a6/sim/x/libhost_runtime.so"]
        {
            assert_eq!(platform_of(Path::new(other)), None);
            assert_eq!(runtime_of(Path::new(other)), None);
        }
    }
}
