//! The context library as its clients see it, and kernels that look it up.
#![allow(dead_code, reason = "each test file uses a part")]

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use device_runner::{Device, DeviceError, KernelSource, LaunchKernel};
use sim::{SimDevice, SimOptions};
use task_interface::CoreType;

use super::common::{Bench, ListProgram, Task};

/// Where this file keeps its objects; tests of one binary use different names.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("context").join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// A file that `make` writes. It comes as a whole and under a new inode, as another process may have the old one mapped.
fn whole(path: PathBuf, make: impl FnOnce(&Path)) -> PathBuf {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    make(&draft);
    std::fs::rename(&draft, &path).unwrap();
    path
}

/// The context library as a file.
pub(crate) fn installed(name: &str) -> PathBuf {
    whole(scratch(name).join("libcpu_sim_context.so"), |draft| {
        std::fs::write(draft, sim::context_library()).unwrap();
    })
}

/// A shared object of this C++ source.
pub(crate) fn compiled(name: &str, source: &str) -> PathBuf {
    let input = whole(scratch(name).join("source.cpp"), |draft| std::fs::write(draft, source).unwrap());
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command.args(["-std=c++17", "-O1", "-fPIC", "-shared", "-fno-gnu-unique"]).arg(&input).arg("-o");
    whole(scratch(name).join("object.so"), |draft| assert!(command.arg(draft).status().unwrap().success()))
}

/// Loads a file as clients do with the context library, for the rest of the process.
pub(crate) fn load(path: &Path, scope: libc::c_int) -> *mut c_void {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the objects of these tests have no initialisers that matter.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | scope) };
    assert!(!handle.is_null(), "{path:?} cannot be loaded");
    handle
}

/// Address of a symbol; with null as the handle, in the global scope.
pub(crate) fn symbol(handle: *mut c_void, name: &str) -> *mut c_void {
    let c_name = CString::new(name).unwrap();
    let handle = if handle.is_null() { libc::RTLD_DEFAULT } else { handle };
    // SAFETY: a valid name, and a handle that is open.
    let address = unsafe { libc::dlsym(handle, c_name.as_ptr()) };
    assert!(!address.is_null(), "no {name}");
    address
}

/// A kernel for all three cores of a cluster, which looks its helpers up by name. It returns once all three have
/// met in their shared memory, and throws unless two of them are on lane 0 and one is on lane 1.
const MEETING: &str = r#"
    #include <atomic>
    #include <cstddef>
    #include <cstdint>
    #include <dlfcn.h>
    #include <sched.h>
    #include <stdexcept>
    struct Meeting { std::atomic<uint32_t> here, lanes; };
    extern "C" void kernel_entry(int64_t *) {
        auto lane = (uint32_t (*)())dlsym(RTLD_DEFAULT, "pto_sim_get_subblock_id");
        auto state = (void *(*)(uint64_t, size_t))dlsym(RTLD_DEFAULT, "pto_sim_get_pipe_shared_state");
        if (!lane || !state) throw std::runtime_error("the helpers are missing");
        auto *meeting = static_cast<Meeting *>(state(7, sizeof(Meeting)));
        if (!meeting) throw std::runtime_error("no memory of the cluster");
        meeting->lanes += lane();
        for (meeting->here += 1; meeting->here < 3;) sched_yield();
        if (meeting->here != 3 || meeting->lanes != 1) throw std::runtime_error("others are here");
    }"#;

/// Runs kernels that meet in the memory of their cluster, twice: that of the first run must be gone.
pub(crate) fn meet(name: &str) -> Result<(), DeviceError> {
    let object: Arc<[u8]> = std::fs::read(compiled(name, MEETING)).unwrap().into();
    let mut options = SimOptions::default();
    options.watchdog = Some(Duration::from_secs(20));
    let device = SimDevice::new(0, options)?;
    let handle = device.register_kernel("meeting", &KernelSource::Object(object), &[])?;
    let bench = Bench {
        device,
        kernels: vec![LaunchKernel { handle, func_id: 0, name: "meeting".into(), signature: Arc::from([]) }],
    };
    let task = |core_type| Task { kernel: 0, core_type, after: None };
    for _ in 0..2 {
        let tasks = [CoreType::Aic, CoreType::Aiv, CoreType::Aiv].map(task).to_vec();
        bench.run(1, ListProgram::new(tasks))?;
    }
    Ok(())
}
