use std::fmt;
use std::sync::Arc;

/// The programs that run on the device itself.
#[derive(Clone)]
#[non_exhaustive]
pub struct Programs {
    /// Shared object for the AICPU; exports `simpler_aicpu_init` and `simpler_aicpu_exec`, in simulation `aicpu_execute`.
    pub aicpu: Arc<[u8]>,
    /// ELF object for the AICore; has `aicore_kernel_0_mix_aic` and `aicore_kernel_0_mix_aiv`, in simulation
    /// `aicore_execute_wrapper`.
    pub aicore: Arc<[u8]>,
    /// Shared object for the AICPU that stores the first one on the device; none in simulation.
    pub dispatcher: Arc<[u8]>,
}

impl Programs {
    /// The three programs by their content (`spec/device-abi.md`, sections 1.4, 1.5 and 5.2).
    pub fn new(
        aicpu: impl Into<Arc<[u8]>>,
        aicore: impl Into<Arc<[u8]>>,
        dispatcher: impl Into<Arc<[u8]>>,
    ) -> Self {
        Self { aicpu: aicpu.into(), aicore: aicore.into(), dispatcher: dispatcher.into() }
    }

    /// The two programs of a simulated device, which needs no dispatcher (`spec/device-abi.md`, section 7.2).
    pub fn simulated(aicpu: impl Into<Arc<[u8]>>, aicore: impl Into<Arc<[u8]>>) -> Self {
        Self::new(aicpu, aicore, [])
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (aicpu, aicore, dispatcher) = (self.aicpu.len(), self.aicore.len(), self.dispatcher.len());
        write!(f, "Programs(aicpu: {aicpu} bytes, aicore: {aicore} bytes, dispatcher: {dispatcher} bytes)")
    }
}
