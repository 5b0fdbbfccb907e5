//! The orchestration of a callable: a library, or a Rust function.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{Chip, DeviceOrchestration, KernelTable, OrchestrationSource, Topology, VariantError};
use object_loader::{SharedObject, SymbolAddress, call};
use task_interface::ChipStorageTaskArgs;
use task_interface::trb::{BIND_RUNTIME_SYMBOL, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL};

use crate::abi::{OUTER_SCOPE, Runtime};
use crate::native::{Graph, NativeOrchestration, STOPPED};
use crate::orchestrator::Orchestrator;
use crate::state::Shared;

#[derive(Debug)]
pub(crate) enum Entry {
    Object {
        _object: SharedObject,
        entry: SymbolAddress,
        config: Option<SymbolAddress>,
        bind: Option<SymbolAddress>,
    },
    Native(NativeOrchestration),
}

impl Entry {
    pub(crate) fn open(source: &OrchestrationSource) -> Result<Self, VariantError> {
        let load = |error: object_loader::LoadError| VariantError::Load(error.into());
        match source {
            OrchestrationSource::Object { bytes, entry, config } => {
                let or = |name: &str, default: &'static str| {
                    if name.is_empty() { default.to_owned() } else { name.to_owned() }
                };
                let name = or(entry, DEFAULT_ENTRY_SYMBOL);
                let object = SharedObject::load(&name, bytes).map_err(load)?;
                let entry = object.symbol_address(&name).map_err(load)?;
                let config = object.optional_symbol(&or(config, DEFAULT_CONFIG_SYMBOL)).map_err(load)?;
                let bind = object.optional_symbol(BIND_RUNTIME_SYMBOL).map_err(load)?;
                Ok(Self::Object { _object: object, entry, config, bind })
            }
            OrchestrationSource::Native(native) => match native.downcast_ref::<NativeOrchestration>() {
                Some(native) => Ok(Self::Native(native.clone())),
                None => Err(VariantError::WrongKind {
                    variant: crate::TensormapAndRingbuffer::NAME,
                    reason: "a Rust orchestration of this variant is a NativeOrchestration",
                }),
            },
            _ => Err(VariantError::WrongKind {
                variant: crate::TensormapAndRingbuffer::NAME,
                reason: "unknown kind of source",
            }),
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object { .. })
    }
}

/// One run of an orchestration.
pub(crate) struct Job {
    pub(crate) entry: Arc<Mutex<Entry>>,
    pub(crate) args: Box<ChipStorageTaskArgs>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) kernels: Arc<KernelTable>,
    pub(crate) topology: Topology,
}

impl DeviceOrchestration for Job {
    fn run(self: Box<Self>, chip: &dyn Chip) {
        let Self { entry, args, shared, kernels, topology } = *self;
        let mut orchestrator = Orchestrator::new(shared, chip, kernels, topology);
        orchestrator.begin_scope(OUTER_SCOPE, None);
        let entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let called = catch_unwind(AssertUnwindSafe(|| call_entry(&entry, &mut orchestrator, &args)));
        match called {
            Ok(Ok(())) => {}
            // The first error counts, so this changes nothing for one that has been told already.
            Ok(Err(Failure::Stopped(message))) => orchestrator.fail(STOPPED, message),
            Ok(Err(Failure::Entry(message))) => orchestrator.fail_with(-1, message),
            Err(_) => orchestrator.fail_with(-1, "the orchestration panicked".to_owned()),
        }
        orchestrator.finish();
    }
}

/// Why an orchestration did not come to its end.
enum Failure {
    /// A Rust orchestration gave up.
    Stopped(String),
    /// The library could not be called, or threw.
    Entry(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Entry(message)
    }
}

fn call_entry(
    entry: &Entry,
    orchestrator: &mut Orchestrator<'_>,
    args: &ChipStorageTaskArgs,
) -> Result<(), Failure> {
    match entry {
        Entry::Native(native) => native
            .build(&mut Graph::new(orchestrator, args))
            .map_err(|stopped| Failure::Stopped(stopped.to_string())),
        Entry::Object { entry, config, bind, .. } => {
            check_arg_count(*config, args)?;
            let mut runtime = Runtime::new(orchestrator);
            call_bind(*bind, runtime.as_ptr())?;
            // SAFETY: the entry has the signature of spec/public-abi.md, section D.1: one pointer to the arguments.
            let result = unsafe { call::call_kernel(*entry, std::ptr::from_ref(args).cast_mut().cast()) };
            call_bind(*bind, std::ptr::null_mut())?;
            result.map_err(|exception| Failure::Entry(format!("the orchestration threw {exception}")))
        }
    }
}

/// The library says how many arguments it needs at least.
fn check_arg_count(config: Option<SymbolAddress>, args: &ChipStorageTaskArgs) -> Result<(), String> {
    let Some(config) = config else { return Ok(()) };
    let given = args.used_tensors().map_or(0, <[_]>::len) + args.used_scalars().map_or(0, <[_]>::len);
    // SAFETY: the function has the signature of spec/public-abi.md, section D.1, and returns its one number like an
    // int; it ignores the second argument.
    let expected = unsafe {
        call::call_entry(config, std::ptr::from_ref(args).cast_mut().cast::<c_void>(), std::ptr::null())
    };
    let expected = expected.map_err(|exception| format!("the configuration function threw {exception}"))?;
    if usize::try_from(expected).is_ok_and(|expected| expected > given) {
        return Err(format!("the orchestration needs {expected} arguments, {given} were given"));
    }
    Ok(())
}

fn call_bind(bind: Option<SymbolAddress>, runtime: *mut c_void) -> Result<(), String> {
    let Some(bind) = bind else { return Ok(()) };
    // SAFETY: the function has the signature of spec/public-abi.md, section D.1: one pointer.
    let bound = unsafe { call::call_kernel(bind, runtime.cast()) };
    bound.map_err(|exception| format!("framework_bind_runtime threw {exception}"))
}
