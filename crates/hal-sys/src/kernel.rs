//! The AICore program: registering its object, and launching it.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::error::HalError;
use crate::hal::{Hal, acl, function, made};
use crate::stream::Stream;
use crate::sys;

/// A registered object of AICore kernels. It ends with [`Hal::unregister_kernels`]; dropped, it stays
/// registered for the life of the process, together with its bytes.
#[derive(Debug)]
#[must_use = "kernels stay registered until they are unregistered"]
pub struct KernelBinary {
    handle: NonNull<c_void>,
    /// The runtime copies them, but keeps the pointer where it has no memory for a copy: they are freed only
    /// when it has said that it knows the object no more.
    bytes: ManuallyDrop<Arc<[u8]>>,
}

// SAFETY: the handle is a name; the runtime guards what it stands for, and takes it from any attached thread.
unsafe impl Send for KernelBinary {}
// SAFETY: as above.
unsafe impl Sync for KernelBinary {}

impl KernelBinary {
    /// The object.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Arguments of a launch: 8-aligned, and the call's to write to. It copies them before it returns.
pub(crate) struct Arguments {
    words: Vec<u64>,
    pub(crate) bytes: u32,
}

impl Arguments {
    pub(crate) fn copy_of(call: &'static str, bytes: &[u8]) -> Result<Self, HalError> {
        let reason = "more than 2^32 - 1 bytes of arguments";
        let length = u32::try_from(bytes.len()).map_err(|_| HalError::Argument { call, reason })?;
        let words = bytes
            .chunks(size_of::<u64>())
            .map(|chunk| {
                let mut word = [0; size_of::<u64>()];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_ne_bytes(word)
            })
            .collect();
        Ok(Self { words, bytes: length })
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut c_void {
        self.words.as_mut_ptr().cast()
    }
}

impl Hal {
    /// Registers all kernels of an ELF object. Works from any thread; the object goes to a device with the
    /// first launch there.
    ///
    /// # Errors
    /// 107000: it is no such object, or a kernel's name does not end in its key.
    pub fn register_kernels(&self, bytes: Arc<[u8]>) -> Result<KernelBinary, HalError> {
        let register = function!(self, rtRegisterAllKernel)?;
        let binary = sys::rtDevBinary_t {
            magic: sys::RT_DEV_BINARY_MAGIC_ELF,
            version: 0,
            data: bytes.as_ptr().cast(),
            length: bytes.len() as u64,
        };
        let mut handle = ptr::null_mut();
        // SAFETY: both live during the call; what `binary` points to lives as long as the registration.
        acl("rtRegisterAllKernel", unsafe { register(&raw const binary, &raw mut handle) })?;
        let bytes = ManuallyDrop::new(bytes);
        made("rtRegisterAllKernel", handle).map(|handle| KernelBinary { handle, bytes })
    }

    /// Takes a registration back. No launch of it may be running.
    /// Needs [`Group::Teardown`](crate::Group::Teardown).
    ///
    /// # Errors
    /// The runtime's code. The handle is gone in any case; the object then stays for the life of the process.
    pub fn unregister_kernels(&self, binary: KernelBinary) -> Result<(), HalError> {
        let unregister = function!(self, rtDevBinaryUnRegister)?;
        // SAFETY: the handle is one that was made and not taken back: it is not `Clone`, and taken by value.
        acl("rtDevBinaryUnRegister", unsafe { unregister(binary.handle.as_ptr()) })?;
        drop(ManuallyDrop::into_inner(binary.bytes));
        Ok(())
    }

    /// Launches the kernel of a key: `blocks` of them, which all run at the same time (batch mode). The
    /// arguments are copied; device memory that they name is not. *Attached*.
    ///
    /// # Errors
    /// 107000: no blocks or no arguments; 107003: the stream is another device's; 207001: no memory for the
    /// object on the device; 507000: there is no such key. What fails on the device is returned by the
    /// next synchronisation.
    pub fn launch_kernel(
        &self,
        binary: &KernelBinary,
        key: u64,
        blocks: u32,
        args: &[u8],
        stream: &Stream,
    ) -> Result<(), HalError> {
        const CALL: &str = "rtKernelLaunchWithHandleV2";
        let launch = function!(self, rtKernelLaunchWithHandleV2)?;
        let mut copied = Arguments::copy_of(CALL, args)?;
        let mut args =
            sys::rtArgsEx_t { args: copied.as_mut_ptr(), argsSize: copied.bytes, ..Default::default() };
        #[allow(clippy::cast_possible_truncation, reason = "the number is 1")]
        let schem_mode = sys::RT_SCHEM_MODE_BATCH as u8;
        let config = sys::rtTaskCfgInfo_t { schemMode: schem_mode, ..Default::default() };
        let (handle, stream) = (binary.handle.as_ptr(), stream.raw());
        // SAFETY: both handles were made and not destroyed; the arguments live during the call, which copies
        // them.
        acl(CALL, unsafe {
            launch(handle, key, blocks, &raw mut args, ptr::null_mut(), stream, &raw const config)
        })
    }
}
