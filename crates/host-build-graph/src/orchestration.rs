use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{
    BoundRun, DeviceProgram, ImageProgram, Orchestration, OrchestrationSource, RunContext, RuntimeVariant,
    Target, VariantError,
};
use object_loader::{SharedObject, SymbolAddress, call, elf};
use task_interface::ChipStorageTaskArgs;

use crate::abi;
use crate::builder::{GraphBuilder, NativeGraph};
use crate::dump::{TaskDump, memory_of_tensors};
use crate::image::{self, Names};
use crate::scheduler::Scheduler;
use crate::staging::Staging;

/// The variant, to be given to a [`DeviceRunner`](device_runner::DeviceRunner).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct HostBuildGraph;

impl HostBuildGraph {
    /// Name as in paths and on command lines.
    pub const NAME: &'static str = "host_build_graph";
}

impl RuntimeVariant for HostBuildGraph {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn fingerprint(&self, object: &[u8]) -> u64 {
        elf::build_id_64(object)
    }

    fn open(
        &self,
        source: &OrchestrationSource,
        _for_image: bool,
    ) -> Result<Box<dyn Orchestration>, VariantError> {
        let mut names = Names::default();
        let entry = match source {
            OrchestrationSource::Object { bytes, entry, config } => {
                names = Names { entry: entry.clone(), config: config.clone() };
                let object =
                    SharedObject::load(entry, bytes).map_err(|error| VariantError::Load(error.into()))?;
                let entry = object.symbol_address(entry).map_err(|error| VariantError::Load(error.into()))?;
                Entry::Object { _object: object, entry }
            }
            OrchestrationSource::Native(graph) => Entry::Native(native(graph)?),
            _ => {
                return Err(VariantError::WrongKind {
                    variant: Self::NAME,
                    reason: "unknown kind of source",
                });
            }
        };
        let is_object = matches!(entry, Entry::Object { .. });
        Ok(Box::new(HbgOrchestration { entry: Mutex::new(entry), is_object, names }))
    }
}

fn native(graph: &Arc<dyn std::any::Any + Send + Sync>) -> Result<NativeGraph, VariantError> {
    graph.downcast_ref::<NativeGraph>().cloned().ok_or(VariantError::WrongKind {
        variant: HostBuildGraph::NAME,
        reason: "a Rust orchestration of this variant is a NativeGraph",
    })
}

/// How the graph of a callable is built.
#[derive(Debug)]
enum Entry {
    Object { _object: SharedObject, entry: SymbolAddress },
    Native(NativeGraph),
}

/// One callable's orchestration.
#[derive(Debug)]
struct HbgOrchestration {
    /// Locked while the orchestration runs: C++ code with static variables counts on one run at a time.
    entry: Mutex<Entry>,
    is_object: bool,
    names: Names,
}

impl Entry {
    fn build(&self, builder: &mut GraphBuilder<'_>) -> Result<(), VariantError> {
        match self {
            Self::Native(graph) => graph.build(builder).map_err(|error| VariantError::Graph(error.into())),
            Self::Object { entry, .. } => {
                let args: *const ChipStorageTaskArgs = builder.args();
                let mut runtime = abi::Runtime::new(builder);
                // SAFETY: the entry has the signature of spec/public-abi.md, section C.1, its object is loaded,
                // and both pointers are valid for the call.
                let result = unsafe {
                    call::call_entry(*entry, (&raw mut runtime).cast::<c_void>(), args.cast::<c_void>())
                };
                match result.map_err(|error| VariantError::Failed(error.into()))? {
                    0 => Ok(()),
                    code => Err(VariantError::Returned { code }),
                }
            }
        }
    }
}

impl Orchestration for HbgOrchestration {
    fn loaded_on_host(&self) -> bool {
        self.is_object
    }

    fn loads_on_device(&self) -> bool {
        false
    }

    fn bind(
        &self,
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError> {
        let mut builder = GraphBuilder::new(*context, args);
        let built = self.entry.lock().unwrap_or_else(PoisonError::into_inner).build(&mut builder);
        // An error that the orchestration met tells more than the code it returned because of it.
        let finished = builder.finish().map_err(|error| VariantError::Graph(error.into()));
        let (mut graph, mut staging) = match built {
            Ok(()) => finished?,
            Err(VariantError::Returned { code }) => {
                finished?;
                return Err(VariantError::Returned { code });
            }
            Err(error) => return Err(error),
        };
        let links = graph.link().map_err(|error| VariantError::Graph(error.into()))?;
        mention_unrecorded(&staging);
        if let Some(recorder) = context.recorder {
            // Every task of such a graph has one.
            recorder.set_tasks_without_kernel(Vec::new());
            if recorder.submits().is_some() {
                log::error!(
                    "dep_gen: {} derives no dependencies; there are none to be recorded",
                    HostBuildGraph::NAME
                );
            }
        }
        let tasks = graph.len() as u64;
        let program: Box<dyn DeviceProgram> = match context.target {
            Target::Engine => {
                let names = context.kernels.kernels().iter().map(|kernel| Arc::clone(&kernel.name)).collect();
                let dump = TaskDump::new(context, args, &staging);
                Box::new(Scheduler::new(graph, links, names).dumping(dump))
            }
            Target::Image(target) => {
                let memory = memory_of_tensors(context, args, &staging);
                let image =
                    image::write(context, &target, &self.names, (&graph, &links), &memory, &mut staging);
                Box::new(ImageProgram::new(image.map_err(|error| VariantError::Graph(error.into()))?))
            }
        };
        Ok(Box::new(HbgRun { program: Some(program), tasks, staging }))
    }
}

/// Intermediates are never recorded, so this is no error; but forgotten results look the same.
fn mention_unrecorded(staging: &Staging) {
    if log::log_enabled!(log::Level::Debug) {
        let left = staging.unrecorded();
        log::debug!(
            "{} device buffer(s) of {} bytes in all are not recorded as results; freed at the end of the run",
            left.buffers,
            left.bytes
        );
    }
}

struct HbgRun {
    program: Option<Box<dyn DeviceProgram>>,
    tasks: u64,
    staging: Staging,
}

impl fmt::Debug for HbgRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HbgRun").field("staging", &self.staging).finish_non_exhaustive()
    }
}

impl BoundRun for HbgRun {
    fn take_program(&mut self) -> Box<dyn DeviceProgram> {
        match self.program.take() {
            Some(program) => program,
            // Asked for twice: there is nothing more to run.
            None => Box::new(Scheduler::empty()),
        }
    }

    fn finish(self: Box<Self>, _program: Box<dyn DeviceProgram>) -> Result<u64, VariantError> {
        self.staging.copy_back()?;
        // A run that went well has run every task.
        Ok(self.tasks)
    }
}
