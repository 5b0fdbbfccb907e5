//! Runs a planned program on a worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CoreType, DataType, DevPtr, Graph, GraphStopped,
    MixedKernels, NativeOrchestration, RingOptions, RuntimeKind, ScopeMode, TaskSpec, TaskToken, View,
};

use super::kernel;
use super::plan::Plan;
use super::program::{Arg, Base, Cores, New, Op, Program, Role, Tag, Task, ViewOf, initial};
use super::rng::mix;

/// Runs it as often as its setup says; the number of tasks of one run.
pub(crate) fn execute(plan: &Plan) -> Result<u64, String> {
    execute_with(plan, &CallConfig::default())
}

/// The same, with the diagnostics that `config` asks for.
pub(crate) fn execute_with(plan: &Plan, config: &CallConfig) -> Result<u64, String> {
    let text = |error: chip_worker::WorkerError| format!("{error}: {error:?}");
    let setup = &plan.program.setup;
    let rings = RingOptions::default().task_window(setup.window).heap(setup.heap).dep_pool(setup.dep_pool);
    let worker = ChipWorker::builder()
        .platform(setup.platform)
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .permits(setup.permits)
        .watchdog(Some(Duration::from_secs(20)))
        .rings(rings)
        .build()
        .map_err(text)?;
    let shared = Arc::new(plan.program.clone());
    let orchestration = NativeOrchestration::new(move |graph| orchestrate(graph, &shared));
    let source = kernel::with_signatures(CallableSource::new(orchestration.into(), kernel::all()));
    let handle = worker.register_source(&source).map_err(text)?;
    for run in 0..setup.runs {
        run_once(&worker, &handle, plan, config).map_err(|problem| format!("run {run}: {problem}"))?;
    }
    drop(handle);
    let left = worker.close().map_err(text)?;
    if left.is_zero() { Ok(plan.tasks) } else { Err(format!("left behind: {left:?}")) }
}

fn run_once(
    worker: &ChipWorker,
    handle: &chip_worker::CallableHandle,
    plan: &Plan,
    config: &CallConfig,
) -> Result<(), String> {
    let program = &plan.program;
    let mut values: Vec<Vec<u64>> = program
        .allocations
        .iter()
        .enumerate()
        .map(|(index, own)| (0..own.elements).map(|at| initial(program.seed, index, at)).collect())
        .collect();
    let mut on_device: Vec<Option<DevPtr>> = Vec::new();
    for (own, values) in program.allocations.iter().zip(&values) {
        on_device.push(own.on_device.then(|| {
            let memory = worker.malloc(8 * own.elements).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            worker.copy_to(memory, &bytes).unwrap();
            memory
        }));
    }
    let mut args = Args::new();
    for ((own, values), place) in program.allocations.iter().zip(&mut values).zip(&on_device) {
        args = match place {
            None => args.raw_output(values, &own.tensors[0].shape, own.tensors[0].dtype).unwrap(),
            Some(memory) => own.tensors.iter().fold(args, |args, tensor| {
                let at = DevPtr::new(memory.addr() + 8 * tensor.offset as u64);
                args.device(at, &tensor.shape, tensor.dtype).unwrap()
            }),
        };
    }
    let config = CallConfig { block_dim: program.setup.block_dim, ..*config };
    let outcome = worker.run(handle, &args, &config);
    drop(args);
    for (values, place) in values.iter_mut().zip(on_device) {
        if let Some(memory) = place {
            let mut bytes = vec![0; 8 * values.len()];
            worker.copy_from(&mut bytes, memory).unwrap();
            worker.free(memory).unwrap();
            let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            values.iter_mut().zip(words).for_each(|(value, word)| *value = word);
        }
    }
    let tasks = outcome.map_err(|error| format!("{error}: {error:?}"))?.tasks;
    for (allocation, (values, expected)) in values.iter().zip(&plan.expected).enumerate() {
        if let Some(at) = (0..values.len()).find(|&at| values[at] != expected[at]) {
            let (is, should) = (values[at], expected[at]);
            return Err(format!("allocation {allocation}, element {at}: {is:#x} instead of {should:#x}"));
        }
    }
    if tasks == plan.tasks { Ok(()) } else { Err(format!("{tasks} tasks instead of {}", plan.tasks)) }
}

/// What the orchestration has learned so far.
#[derive(Default)]
struct Known {
    tokens: HashMap<usize, TaskToken>,
    registers: HashMap<usize, u64>,
}

/// Tensors made in a scope and those around it, whose types differ by their lifetimes.
trait Buffers {
    fn with(&self, buffer: usize, then: &mut dyn FnMut(&View<'_>)) -> bool;
}

struct Frame<'p, 's> {
    outer: Option<&'p dyn Buffers>,
    own: RefCell<HashMap<usize, View<'s>>>,
}

impl Buffers for Frame<'_, '_> {
    fn with(&self, buffer: usize, then: &mut dyn FnMut(&View<'_>)) -> bool {
        if let Some(view) = self.own.borrow().get(&buffer) {
            then(view);
            return true;
        }
        self.outer.is_some_and(|outer| outer.with(buffer, then))
    }
}

fn orchestrate(graph: &mut Graph<'_, '_>, program: &Program) -> Result<(), GraphStopped> {
    run_ops(graph, &program.ops, None, &mut Known::default())
}

fn run_ops(
    graph: &mut Graph<'_, '_>,
    ops: &[Op],
    outer: Option<&dyn Buffers>,
    known: &mut Known,
) -> Result<(), GraphStopped> {
    let frame = Frame { outer, own: RefCell::default() };
    for op in ops {
        match op {
            Op::Scope { manual, ops } => {
                let mode = if *manual { ScopeMode::Manual } else { ScopeMode::Auto };
                graph.scope(mode, |graph| run_ops(graph, ops, Some(&frame), known))?;
            }
            Op::Task(task) => {
                let spec = spec(graph, &frame, task, known)?;
                let submitted = graph.submit(spec)?;
                known.tokens.insert(task.id, submitted.id);
                let made = task.args.iter().filter_map(Arg::new_tensor).map(|new| new.buffer);
                frame.own.borrow_mut().extend(made.zip(submitted.outputs));
            }
            Op::Alloc(new) => {
                let shapes: Vec<(&[u32], DataType)> =
                    new.iter().map(|New { shape, .. }| (&shape[..], DataType::Int64)).collect();
                let made = graph.alloc(&shapes)?;
                frame.own.borrow_mut().extend(new.iter().map(|new| new.buffer).zip(made.outputs));
            }
            Op::Read { view, at, register } => {
                let value = with_view(graph, &frame, view, |graph, view| graph.read(view, at))??;
                known.registers.insert(*register, value);
            }
            Op::Write { view, at, value } => {
                with_view(graph, &frame, view, |graph, view| graph.write(view, at, *value))??;
            }
        }
    }
    Ok(())
}

fn spec(
    graph: &mut Graph<'_, '_>,
    frame: &dyn Buffers,
    task: &Task,
    known: &Known,
) -> Result<TaskSpec, GraphStopped> {
    let tensors = task.args.len();
    let (aic, aiv) = (kernel::id(tensors, CoreType::Aic), kernel::id(tensors, CoreType::Aiv));
    let mut spec = match task.cores {
        Cores::Dummy => TaskSpec::dummy(),
        Cores::Aic => TaskSpec::aic(aic),
        Cores::Aiv => TaskSpec::aiv(aiv),
        Cores::Mix(slots) => {
            let [aic_kernel_id, aiv0_kernel_id, aiv1_kernel_id] =
                [(1, aic), (2, aiv), (4, aiv)].map(|(slot, id)| if slots & slot == 0 { -1 } else { id });
            TaskSpec::mix(MixedKernels { aic_kernel_id, aiv0_kernel_id, aiv1_kernel_id })
        }
    };
    let mut roles = Vec::new();
    for arg in &task.args {
        spec = match arg {
            Arg::New(new) => {
                roles.push(Role::WRITE);
                spec.output(&new.shape, DataType::Int64)?
            }
            Arg::Old { tag, view, role } => {
                roles.push(*role);
                with_view(graph, frame, view, |_, view| match tag {
                    Tag::Input => spec.input(view),
                    Tag::Inout => spec.inout(view),
                    Tag::OutputExisting => spec.output_existing(view),
                    Tag::NoDep => spec.no_dep(view),
                })?
            }
        };
    }
    let salt = task.register.map_or(task.salt, |register| mix(task.salt, known.registers[&register]));
    spec = kernel::scalars(salt, &roles, task.slots(), task.delay).into_iter().fold(spec, TaskSpec::scalar);
    spec = task.after.iter().fold(spec, |spec, id| spec.after(known.tokens[id]));
    if task.cores != Cores::Dummy {
        spec = spec.blocks(task.blocks);
        if task.together {
            spec = spec.starting_together();
        }
    }
    Ok(spec)
}

/// Calls `then` with the view, whatever scope its tensor belongs to.
fn with_view<'s, 'o, R>(
    graph: &mut Graph<'s, 'o>,
    frame: &dyn Buffers,
    view: &ViewOf,
    then: impl FnOnce(&mut Graph<'s, 'o>, &View<'_>) -> R,
) -> Result<R, GraphStopped> {
    let mut then = Some(then);
    let mut result = None;
    let mut call = |base: &View<'_>, graph: &mut Graph<'s, 'o>| {
        let narrowed = view.parts.iter().try_fold(*base, |view, part| view.part(&part.offsets, &part.shape));
        result = Some(narrowed.map(|narrowed| {
            let narrowed = if view.by_creator_only { narrowed.by_creator_only() } else { narrowed };
            then.take().unwrap()(graph, &narrowed)
        }));
    };
    match view.base {
        Base::External(index) => call(&graph.tensor(index)?, graph),
        Base::Made(buffer) => {
            assert!(frame.with(buffer, &mut |base| call(base, graph)), "b{buffer} is not known");
        }
    }
    result.unwrap()
}
