//! A device with everything that the tests launch on it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use hal_sys::{CpuBinary, CpuFunction, Hal, HalError, KernelBinary, Stream};
use soft_cann::{Chip, DeviceLease, Devices};

/// Compiles a C file of `tests/programs` into a shared object.
pub(crate) fn program(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let output = scratch.path().join("program.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-fPIC",
            "-shared",
            "-Wl,--build-id",
            "-I",
        ])
        .arg(root.join("include"))
        .arg(root.join("tests/programs").join(name))
        .arg("-o")
        .arg(&output)
        .output()
        .expect("the C compiler starts");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::read(output).expect("the compiled program")
}

pub(crate) fn dispatcher() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| program("dispatcher.c"))
}

pub(crate) fn aicpu() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| program("aicpu.c"))
}

pub(crate) fn aicore() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    Arc::clone(BYTES.get_or_init(|| program("aicore.c").into()))
}

pub(crate) fn hal() -> Hal {
    // SAFETY: the stand-in's functions keep what those of CANN promise.
    unsafe { Hal::from_raw_table(soft_cann::raw_table()) }
}

/// The code of a failed call.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, HalError>) -> i32 {
    result.expect_err("the call fails").code().expect("a code").number()
}

/// A device that the thread is attached to, with a stream.
pub(crate) struct Life {
    pub(crate) device: DeviceLease,
    pub(crate) hal: Hal,
    pub(crate) stream: Option<Stream>,
}

impl Life {
    pub(crate) fn start(chip: Chip) -> Self {
        let device = Devices::lease(chip).expect("a device");
        let hal = hal();
        hal.set_device(device.id()).expect("attach");
        let stream = Some(hal.stream_create().expect("a stream"));
        Self { device, hal, stream }
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.stream.as_ref().expect("the stream")
    }

    /// A buffer with these words.
    pub(crate) fn words(&self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.bytes(&bytes)
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> u64 {
        let address = self.hal.malloc(bytes.len() as u64).expect("memory");
        self.hal.copy_to_device(address, bytes).expect("copy");
        address
    }

    pub(crate) fn read<const N: usize>(&self, address: u64) -> [u64; N] {
        let mut bytes = vec![0; 8 * N];
        self.hal.copy_from_device(&mut bytes, address).expect("copy");
        std::array::from_fn(|i| u64::from_ne_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes")))
    }

    /// Brings the AICPU program to the device by way of a dispatcher.
    pub(crate) fn bootstrap(&self, dispatcher: &[u8], inner: &[u8]) -> Result<(), HalError> {
        let buffers = [self.bytes(dispatcher), self.bytes(inner)];
        let mut device_args = [0; 20];
        device_args[12..17].copy_from_slice(&[
            buffers[0],
            dispatcher.len() as u64,
            u64::try_from(self.device.id()).expect("a number"),
            buffers[1],
            inner.len() as u64,
        ]);
        let device_args = self.words(&device_args);
        let mut args = [0_u8; 304];
        args[40..48].copy_from_slice(&device_args.to_ne_bytes());
        for (offset, name) in [(208, "DynTileFwkKernelServerInit"), (240, "libaicpu_extend_kernels.so")] {
            args[offset..offset + name.len()].copy_from_slice(name.as_bytes());
        }
        let launched = self.hal.launch_aicpu_op(c"AST_DYN_AICPU", 1, &args, 208, 240, self.stream());
        let done = launched.and_then(|()| self.hal.stream_synchronize(self.stream()));
        for buffer in [buffers[0], buffers[1], device_args] {
            self.hal.free(buffer).expect("free");
        }
        done
    }

    /// Bootstraps the test program and loads the JSON file that names these functions of it.
    pub(crate) fn aicpu(&self, functions: &[&CStr]) -> (CpuBinary, Vec<CpuFunction>) {
        self.bootstrap(dispatcher(), aicpu()).expect("bootstrap");
        self.json(&format!("inner_{}.so", self.device.id()), functions)
    }

    pub(crate) fn json(&self, object: &str, functions: &[&CStr]) -> (CpuBinary, Vec<CpuFunction>) {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = write_json(scratch.path(), object, functions);
        let binary = self.hal.load_cpu_binary(&path).expect("load");
        let function = |name: &&CStr| self.hal.cpu_function(&binary, name).expect("a function");
        let found = functions.iter().map(function).collect();
        (binary, found)
    }

    pub(crate) fn kernels(&self) -> KernelBinary {
        self.hal.register_kernels(aicore()).expect("register")
    }

    /// Ends the life as a program should; nothing may be left.
    pub(crate) fn end(mut self) {
        if let Some(stream) = self.stream.take() {
            self.hal.stream_destroy(stream).expect("destroy");
        }
        self.hal.reset_device(self.device.id()).expect("reset");
        assert!(self.device.leaks().is_empty(), "{}", self.device.leaks());
        assert_eq!(self.device.violations(), []);
    }
}

pub(crate) fn write_json(directory: &Path, object: &str, functions: &[&CStr]) -> PathBuf {
    let op = |name: &&CStr| {
        let name = name.to_str().expect("ASCII");
        format!(
            r#""{name}": {{"opInfo": {{"functionName": "{name}", "kernelSo": "{object}",
                "opKernelLib": "AICPUKernel", "userDefined": "False"}}}}"#
        )
    };
    let ops: Vec<String> = functions.iter().map(op).collect();
    let path = directory.join("ops.json");
    std::fs::write(&path, format!("{{{}}}", ops.join(","))).expect("write the JSON file");
    path
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).expect("no zero inside")
}
