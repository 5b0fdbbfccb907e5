use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use device_runner::{DeviceError, KernelContext, KernelHandle, KernelSource, NativeKernel};
use object_loader::{SharedObject, SymbolAddress};

use crate::identity;
use crate::pace::Pace;

/// A kernel that carriers can call.
#[derive(Debug)]
pub(crate) struct Kernel {
    code: Code,
    pace: Pace,
}

#[derive(Debug)]
enum Code {
    /// A compiled object; loaded for as long as this lives.
    Object { _object: SharedObject, entry: SymbolAddress },
    /// A Rust function.
    Native(NativeKernel),
}

impl Kernel {
    fn new(code: Code) -> Self {
        Self { code, pace: Pace::default() }
    }

    pub(crate) fn is_native(&self) -> bool {
        matches!(self.code, Code::Native(_))
    }

    /// How long its calls take.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    fn load(name: &str, source: &KernelSource) -> Result<Self, object_loader::LoadError> {
        match source {
            KernelSource::Native(kernel) => Ok(Self::new(Code::Native(kernel.clone()))),
            KernelSource::Object(bytes) => {
                let (object, entry) = load_object(name, bytes)?;
                Ok(Self::new(Code::Object { _object: object, entry }))
            }
            _ => unreachable!("all kinds of kernel source are handled"),
        }
    }

    fn handle(&self) -> KernelHandle {
        match &self.code {
            Code::Object { entry, .. } => KernelHandle(entry.as_u64()),
            Code::Native(kernel) => KernelHandle(kernel.identity()),
        }
    }

    /// Runs it on the calling thread. Whatever it throws or panics with is returned as an error.
    ///
    /// # Safety
    /// For a compiled kernel, `args` must point to what that kernel expects.
    pub(crate) unsafe fn call(
        &self,
        args: *mut i64,
        context: &KernelContext<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match &self.code {
            Code::Object { entry, .. } => {
                // SAFETY: the entry has the signature of spec/public-abi.md, section E.1, the object is
                // loaded, and the caller vouches for the arguments.
                let called = unsafe { object_loader::call::call_kernel(*entry, args) };
                called.map_err(Into::into)
            }
            Code::Native(kernel) => {
                let call = std::panic::AssertUnwindSafe(|| kernel.call(context));
                match std::panic::catch_unwind(call) {
                    Ok(result) => result.map_err(Into::into),
                    Err(_) => Err("the kernel panicked".into()),
                }
            }
        }
    }
}

/// Loads a kernel object that can ask which core it runs on.
pub(crate) fn load_object(
    name: &str,
    bytes: &[u8],
) -> Result<(SharedObject, SymbolAddress), object_loader::LoadError> {
    identity::make_hooks_global();
    let object = SharedObject::load(name, bytes)?;
    let entry = identity::kernel_entry(&object)?;
    identity::register_hooks(&object)?;
    Ok((object, entry))
}

/// The kernels registered on one device.
#[derive(Debug, Default)]
pub(crate) struct KernelStore {
    by_handle: RwLock<HashMap<KernelHandle, Arc<Kernel>>>,
}

impl KernelStore {
    pub(crate) fn register(&self, name: &str, source: &KernelSource) -> Result<KernelHandle, DeviceError> {
        let kernel = Kernel::load(name, source)
            .map_err(|error| DeviceError::KernelLoad { name: name.to_owned(), source: error.into() })?;
        let handle = kernel.handle();
        let mut by_handle = self.by_handle.write().unwrap_or_else(PoisonError::into_inner);
        by_handle.insert(handle, Arc::new(kernel));
        Ok(handle)
    }

    pub(crate) fn unregister(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        let known = self.by_handle.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
        known.map(drop).ok_or(DeviceError::UnknownKernel { handle: handle.0 })
    }

    pub(crate) fn get(&self, handle: KernelHandle) -> Result<Arc<Kernel>, DeviceError> {
        let by_handle = self.by_handle.read().unwrap_or_else(PoisonError::into_inner);
        by_handle.get(&handle).cloned().ok_or(DeviceError::UnknownKernel { handle: handle.0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_handle.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn clear(&self) {
        let kernels = std::mem::take(&mut *self.by_handle.write().unwrap_or_else(PoisonError::into_inner));
        drop(kernels);
    }
}
