use std::ffi::CString;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hal_sys::{CpuBinary, CpuFunction, Hal, HalError, Stream};
use tempfile::TempDir;

use crate::error::OnboardError;

/// What the contract calls its functions (`spec/device-abi.md`, section 1.4).
const INIT: &str = "simpler_aicpu_init";
const EXEC: &str = "simpler_aicpu_exec";

/// File name of an AICPU program on the device's own disk (`spec/device-abi.md`, section 5.2). The device loads
/// objects once per name, so it names content and device.
pub(crate) fn device_file_name(fingerprint: u64, device: u32) -> String {
    format!("simpler_inner_{fingerprint:016x}_{device}.so")
}

/// The AICPU program, once it is on the device: its two functions, ready to be launched.
#[derive(Debug)]
pub(crate) struct AicpuProgram {
    binary: CpuBinary,
    init: CpuFunction,
    exec: CpuFunction,
    /// The driver has read it; it is kept as long as what it describes.
    _description: Description,
}

impl AicpuProgram {
    /// Makes the functions known to the driver (`spec/hal.md`, section 4.2).
    pub(crate) fn load(hal: &Hal, fingerprint: u64, device: u32) -> Result<Self, OnboardError> {
        let description = Description::write(fingerprint, device)?;
        let binary = hal.load_cpu_binary(&description.path)?;
        match Self::functions(hal, &binary, fingerprint) {
            Ok((init, exec)) => Ok(Self { binary, init, exec, _description: description }),
            Err(error) => {
                if let Err(error) = hal.unload_cpu_binary(binary) {
                    log::warn!("the AICPU program stays loaded: {error}");
                }
                Err(error.into())
            }
        }
    }

    fn functions(
        hal: &Hal,
        binary: &CpuBinary,
        fingerprint: u64,
    ) -> Result<(CpuFunction, CpuFunction), HalError> {
        let find = |name: &str| hal.cpu_function(binary, &op_name(name, fingerprint));
        Ok((find(INIT)?, find(EXEC)?))
    }

    /// Enqueues the function that begins a run.
    pub(crate) fn launch_init(&self, hal: &Hal, args: &[u8], stream: &Stream) -> Result<(), HalError> {
        hal.launch_cpu(&self.init, 1, args, stream)
    }

    /// Enqueues the function that runs the image, on so many AICPU threads at once.
    pub(crate) fn launch_exec(
        &self,
        hal: &Hal,
        threads: u32,
        args: &[u8],
        stream: &Stream,
    ) -> Result<(), HalError> {
        hal.launch_cpu(&self.exec, threads, args, stream)
    }

    pub(crate) fn into_binary(self) -> CpuBinary {
        self.binary
    }
}

/// Name of a function in the description: driver and device know it process-wide.
fn op_name(function: &str, fingerprint: u64) -> CString {
    // Neither part has a NUL.
    CString::new(format!("{function}_{fingerprint:016x}")).unwrap_or_default()
}

/// The JSON file from which the driver learns which functions there are, in a directory of its own.
#[derive(Debug)]
struct Description {
    path: PathBuf,
    _directory: TempDir,
}

impl Description {
    fn write(fingerprint: u64, device: u32) -> Result<Self, OnboardError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let failed = |path: &Path, source| OnboardError::Description { path: path.to_owned(), source };
        let directory = tempfile::Builder::new()
            .prefix("simpler-rs-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|source| failed(&std::env::temp_dir(), source))?;
        // Nothing else is in the directory, but the driver's own logs and caches go by names, too.
        let (process, serial) = (std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let name = format!("simpler_inner_{fingerprint:016x}_{device}_{process}_{serial}.json");
        let path = directory.path().join(name);
        write_new(&path, &description(fingerprint, device)).map_err(|source| failed(&path, source))?;
        Ok(Self { path, _directory: directory })
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// Its text: every value is one of this file's, or hexadecimal.
fn description(fingerprint: u64, device: u32) -> String {
    let file = device_file_name(fingerprint, device);
    let op = |function: &str| {
        format!(
            "  \"{function}_{fingerprint:016x}\": {{\"opInfo\": {{\"functionName\": \"{function}\", \"kernelSo\": \
             \"{file}\", \"opKernelLib\": \"AICPUKernel\", \"computeCost\": \"100\", \"engine\": \"DNN_VM_AICPU\", \
             \"flagAsync\": \"False\", \"flagPartial\": \"False\", \"userDefined\": \"False\"}}}}"
        )
    };
    format!("{{\n{},\n{}\n}}\n", op(INIT), op(EXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_private_and_never_the_same_file() {
        let (one, other) = (Description::write(7, 3).unwrap(), Description::write(7, 3).unwrap());
        assert_ne!(one.path, other.path);
        assert_ne!(one.path.file_name(), other.path.file_name());
        let directory = one.path.parent().unwrap().to_owned();
        let mode = directory.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        drop(one);
        assert!(!directory.exists());
        assert!(other.path.exists());
    }

    #[test]
    fn the_description_names_both_functions_and_the_file_on_the_device() {
        let text = description(0x0123_4567_89ab_cdef, 5);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 2);
        for function in [INIT, EXEC] {
            let info = &json[op_name(function, 0x0123_4567_89ab_cdef).to_str().unwrap()]["opInfo"];
            assert_eq!(info["functionName"], function);
            assert_eq!(info["kernelSo"], "simpler_inner_0123456789abcdef_5.so");
            assert_eq!(info["opKernelLib"], "AICPUKernel");
            assert_eq!(info["userDefined"], "False");
        }
    }
}
