//! What is told and tidied when the process ends.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::context;
use crate::process::process;
use crate::settings::Settings;

/// The variable that tells dispatchers where AICPU programs belong.
const KERNEL_DIR: &str = "SIMPLER_AICPU_KERNEL_DIR";

/// What the names of our folders begin with; the process's number follows.
const FOLDERS: &str = "soft-cann-aicpu-";

/// Where dispatchers write AICPU programs, and devices load them from. One folder for the process, as their
/// names carry the device.
pub(crate) fn kernel_dir() -> &'static Path {
    &directory().0
}

/// The folder, and whether it is ours to remove.
fn directory() -> &'static (PathBuf, bool) {
    static DIRECTORY: OnceLock<(PathBuf, bool)> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let ours = format!("{FOLDERS}{}-", std::process::id());
        let given = std::env::var_os(KERNEL_DIR).map(PathBuf::from);
        if let Some(given) = given.filter(|given| !is_inherited(given, &ours)) {
            return (given, false);
        }
        remove_orphans(&std::env::temp_dir());
        match tempfile::Builder::new().prefix(&ours).tempdir() {
            Ok(made) => {
                let path = made.keep();
                // SAFETY: this is done once, by the first call of the first user; C code that reads the
                // environment in another thread at this very moment is what nobody can rule out in a test
                // program.
                unsafe { std::env::set_var(KERNEL_DIR, &path) };
                (path, true)
            }
            Err(error) => {
                log::error!("no folder for AICPU programs: {error}");
                (std::env::temp_dir(), false)
            }
        }
    })
}

/// Removes the folders of processes that were killed before they could.
fn remove_orphans(temporary: &Path) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FOLDERS).and_then(|rest| rest.split_once('-'));
        let process = process.and_then(|(number, _)| number.parse::<u32>().ok());
        if process.is_some_and(|number| !Path::new("/proc").join(number.to_string()).exists()) {
            // It may be somebody else's, or gone in the meantime.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// Whether a folder was made by another process, which has left the variable to this one.
fn is_inherited(given: &Path, ours: &str) -> bool {
    let name = given.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(FOLDERS) && !name.starts_with(ours)
}

/// Removes the AICPU programs of an earlier user of a device number.
pub(crate) fn remove_programs(id: i32) {
    let ending = format!("_{id}.so");
    for file in std::fs::read_dir(kernel_dir()).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().ends_with(&ending) {
            // What cannot be removed is overwritten by the dispatcher or reported by the load.
            drop(std::fs::remove_file(file.path()));
        }
    }
}

/// Has the end of the process write a report, if the environment asks for one, and remove the folder.
pub(crate) fn at_exit() {
    kernel_dir();
    // SAFETY: the function stays loaded to the end: programs do not unload, and the library is linked so.
    if unsafe { libc::atexit(end) } != 0 {
        log::warn!("there will be no report at the end of the process");
    }
}

extern "C" fn end() {
    let Settings { report: path, .. } = &process().settings;
    if let Some(path) = path
        && let Err(error) = append(path, &report())
    {
        log::error!("no report in {}: {error}", path.display());
    }
    let (directory, ours) = directory();
    if *ours {
        // Whoever still writes there makes this fail, which costs a file in a folder for such.
        drop(std::fs::remove_dir_all(directory));
    }
}

/// Processes may share a report: each adds what it has to say.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::options().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// One line per device that left something and per violation; empty if all is well.
pub(crate) fn report() -> String {
    let mut text = String::new();
    for device in process().devices() {
        let leaks = context::leaks(&device);
        let lines = (!leaks.is_empty()).then(|| leaks.to_string()).into_iter();
        for line in lines.chain(device.violations().iter().map(ToString::to_string)) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "device {}: {line}", device.id);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_are_gone_are_removed_and_no_others() {
        let temporary = tempfile::tempdir().unwrap();
        // Linux has 22 bits for the number of a process.
        let names = [
            "soft-cann-aicpu-4294967295-x".to_owned(),
            format!("soft-cann-aicpu-{}-x", std::process::id()),
            "soft-cann-aicpu-y".to_owned(),
            "other-4294967295-x".to_owned(),
        ];
        for name in &names {
            std::fs::create_dir(temporary.path().join(name)).unwrap();
            std::fs::write(temporary.path().join(name).join("file"), "").unwrap();
        }
        remove_orphans(temporary.path());
        let left = names.map(|name| temporary.path().join(name).exists());
        assert_eq!(left, [false, true, true, true]);
    }

    #[test]
    fn a_parent_s_folder_is_not_used() {
        let ours = "soft-cann-aicpu-12-";
        assert!(is_inherited(Path::new("/tmp/soft-cann-aicpu-1-x"), ours));
        assert!(is_inherited(Path::new("/tmp/soft-cann-aicpu-123-x"), ours));
        assert!(!is_inherited(Path::new("/tmp/soft-cann-aicpu-12-x"), ours));
        assert!(!is_inherited(Path::new("/somewhere/else"), ours));
    }
}
