//! Cores played by threads that are not of this crate's engine: those of AICore programs on this machine.

use std::marker::PhantomData;
use std::sync::Arc;

use device_runner::{CoreId, Topology};
use object_loader::call::CxxException;
use object_loader::{LoadError, SharedObject, SymbolAddress};

use crate::identity::{self, PipeStates};
use crate::kernels;

/// A compiled kernel, loaded for as long as this lives.
#[derive(Debug)]
pub struct CoreKernel {
    _object: SharedObject,
    entry: SymbolAddress,
}

impl CoreKernel {
    /// Loads the object of a kernel (`spec/public-abi.md`, section E.1). `name` is for messages.
    ///
    /// # Errors
    /// The loader's.
    pub fn load(name: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let (object, entry) = kernels::load_object(name, bytes)?;
        Ok(Self { _object: object, entry })
    }

    /// Calls it on the calling thread, which plays a core ([`CoreThread`]).
    ///
    /// # Errors
    /// The exception that it threw.
    ///
    /// # Safety
    /// `args` must point to what the kernel expects.
    pub unsafe fn call(&self, args: *mut i64) -> Result<(), CxxException> {
        // SAFETY: the entry has the signature of spec/public-abi.md, section E.1, the object is loaded, and the
        // caller vouches for the arguments.
        unsafe { object_loader::call::call_kernel(self.entry, args) }
    }
}

/// Memory that the cores of each cluster share for their pipes, of one launch.
#[derive(Clone, Debug, Default)]
pub struct ClusterMemory(Arc<PipeStates>);

/// While it lives, kernels that the calling thread runs see the core that it was made for.
#[derive(Debug)]
pub struct CoreThread(PhantomData<*mut ()>);

impl CoreThread {
    /// Makes the calling thread a core of a launch.
    #[must_use]
    pub fn join(memory: &ClusterMemory, topology: Topology, core: CoreId) -> Self {
        identity::join_run(Arc::clone(&memory.0));
        identity::become_core(topology, core);
        Self(PhantomData)
    }
}

impl Drop for CoreThread {
    fn drop(&mut self) {
        identity::leave_run();
    }
}
