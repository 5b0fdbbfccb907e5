//! AICPU programs: the call that brings the first one to a device, and the way in which later ones are
//! loaded.

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::HalError;
use crate::hal::{Hal, acl, function, made};
use crate::kernel::Arguments;
use crate::stream::Stream;
use crate::sys;

/// A loaded description of AICPU functions. It ends with [`Hal::unload_cpu_binary`]; dropped, it stays
/// loaded.
#[derive(Debug)]
#[must_use = "a binary stays loaded until it is unloaded"]
pub struct CpuBinary {
    handle: NonNull<c_void>,
    loaded: Arc<AtomicBool>,
}

/// A function of a [`CpuBinary`], usable until that is unloaded.
#[derive(Debug)]
pub struct CpuFunction {
    handle: NonNull<c_void>,
    loaded: Arc<AtomicBool>,
}

// SAFETY: the handle is a name; the runtime guards what it stands for, and takes it from any attached thread.
unsafe impl Send for CpuBinary {}
// SAFETY: as above.
unsafe impl Sync for CpuBinary {}
// SAFETY: as above.
unsafe impl Send for CpuFunction {}
// SAFETY: as above.
unsafe impl Sync for CpuFunction {}

impl Hal {
    /// Launches a function of a library that is on the device already, without loading it first: the
    /// bootstrap of `spec/hal.md`, section 4.1. The names of function and library are zero-terminated
    /// strings at offsets in the arguments, which are copied. *Attached*.
    ///
    /// # Errors
    /// 107000: no blocks or no arguments; 107003: the stream is another device's. What fails on the device is
    /// returned by the next synchronisation, as 507018.
    #[allow(clippy::too_many_arguments, reason = "those of the call")]
    pub fn launch_aicpu_op(
        &self,
        op: &CStr,
        blocks: u32,
        args: &[u8],
        kernel_name_offset: u32,
        so_name_offset: u32,
        stream: &Stream,
    ) -> Result<(), HalError> {
        const CALL: &str = "rtAicpuKernelLaunchExWithArgs";
        let launch = function!(self, rtAicpuKernelLaunchExWithArgs)?;
        if ![kernel_name_offset, so_name_offset].iter().all(|&offset| is_string_at(args, offset)) {
            let reason = "no zero-terminated name lies at the offset in the arguments";
            return Err(HalError::Argument { call: CALL, reason });
        }
        let mut copied = Arguments::copy_of(CALL, args)?;
        let args = sys::rtAicpuArgsEx_t {
            args: copied.as_mut_ptr(),
            argsSize: copied.bytes,
            kernelNameAddrOffset: kernel_name_offset,
            soNameAddrOffset: so_name_offset,
            ..Default::default()
        };
        let (kind, op, stream) = (sys::RT_KERNEL_TYPE_AICPU_KFC, op.as_ptr(), stream.raw());
        // SAFETY: the stream was made and not destroyed; name and arguments live during the call, which
        // copies them.
        acl(CALL, unsafe { launch(kind, op, blocks, &raw const args, ptr::null_mut(), stream, 0) })
    }

    /// Loads a description of AICPU functions whose library is on the device already: the JSON file of this
    /// path, whatever its extension (`spec/hal.md`, section 4.2). Works from any thread; the file is read
    /// at once.
    ///
    /// # Errors
    /// 107000: there is no such file, or it is not understood.
    pub fn load_cpu_binary(&self, path: &Path) -> Result<CpuBinary, HalError> {
        const CALL: &str = "rtsBinaryLoadFromFile";
        let load = function!(self, rtsBinaryLoadFromFile)?;
        let reason = "the path has a zero byte in it";
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| HalError::Argument { call: CALL, reason })?;
        let mut option = sys::rtLoadBinaryOption_t {
            optionId: sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE,
            value: sys::rtLoadBinaryOptionValue_t { rsv: [0; 4] },
        };
        let config = sys::rtLoadBinaryConfig_t { options: &raw mut option, numOpt: 1 };
        let mut handle = ptr::null_mut();
        // SAFETY: path, option and handle live during the call, which keeps none of them.
        acl(CALL, unsafe { load(path.as_ptr(), &raw const config, &raw mut handle) })?;
        let loaded = Arc::new(AtomicBool::new(true));
        made(CALL, handle).map(|handle| CpuBinary { handle, loaded })
    }

    /// Unloads a description. Its functions cannot be launched any more.
    ///
    /// # Errors
    /// 107000: it is not loaded. The handle is gone in any case.
    #[allow(clippy::needless_pass_by_value, reason = "the handle must not be used afterwards")]
    pub fn unload_cpu_binary(&self, binary: CpuBinary) -> Result<(), HalError> {
        let unload = function!(self, rtsBinaryUnload)?;
        binary.loaded.store(false, Ordering::Release);
        // SAFETY: the handle is one that was made and not unloaded: it is not `Clone`, and taken by value.
        acl("rtsBinaryUnload", unsafe { unload(binary.handle.as_ptr()) })
    }

    /// A function of a description, by its key there, for the device that the thread is *attached* to.
    ///
    /// # Errors
    /// 107000: there is no such key; 107002: the thread is not attached.
    pub fn cpu_function(&self, binary: &CpuBinary, name: &CStr) -> Result<CpuFunction, HalError> {
        const CALL: &str = "rtsFuncGetByName";
        let get = function!(self, rtsFuncGetByName)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the binary was made and not unloaded; name and handle live during the call.
        acl(CALL, unsafe { get(binary.handle.as_ptr(), name.as_ptr(), &raw mut handle) })?;
        made(CALL, handle).map(|handle| CpuFunction { handle, loaded: Arc::clone(&binary.loaded) })
    }

    /// Launches an AICPU function `blocks` times, side by side. The arguments are copied, and each call gets
    /// a copy to read; device memory that they name is not copied. *Attached*.
    ///
    /// # Errors
    /// 107000: no blocks or no arguments; 107003: the stream is another device's; 107017: the function is
    /// another device's. What fails on the device is returned by the next synchronisation, as 507018.
    pub fn launch_cpu(
        &self,
        function: &CpuFunction,
        blocks: u32,
        args: &[u8],
        stream: &Stream,
    ) -> Result<(), HalError> {
        const CALL: &str = "rtsLaunchCpuKernel";
        let launch = function!(self, rtsLaunchCpuKernel)?;
        if !function.loaded.load(Ordering::Acquire) {
            return Err(HalError::Argument { call: CALL, reason: "the binary of the function is unloaded" });
        }
        let mut copied = Arguments::copy_of(CALL, args)?;
        let base =
            sys::rtAicpuArgsEx_t { args: copied.as_mut_ptr(), argsSize: copied.bytes, ..Default::default() };
        let mut args = sys::rtCpuKernelArgs_t { baseArgs: base, ..Default::default() };
        let config = sys::rtKernelLaunchCfg_t::default();
        let (handle, stream) = (function.handle.as_ptr(), stream.raw());
        // SAFETY: both handles were made and not destroyed; the arguments live during the call, which copies
        // them.
        acl(CALL, unsafe { launch(handle, blocks, stream, &raw const config, &raw mut args) })
    }
}

/// Whether a string starts at this offset and ends in the arguments: the call reads until a zero byte.
fn is_string_at(args: &[u8], offset: u32) -> bool {
    usize::try_from(offset).ok().and_then(|offset| args.get(offset..)).is_some_and(|rest| rest.contains(&0))
}
