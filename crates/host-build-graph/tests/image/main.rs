//! Images as a device gets them: written by a run, read back by the device half.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod device;

use std::sync::Arc;

use device_runner::testing::IdleCores;
use device_runner::{CoreId, DeviceTime, KernelArgs, Topology};
use host_build_graph::image::{ImageError, Layout, Task};
use host_build_graph::{GraphBuilder, GraphError};
use proptest::prelude::*;
use run_records::dump::{Role, Stage};
use task_interface::{CoreType, DataType, Handshake, TensorInfo};

use device::{CHIPS, KERNELS, Told, Uploaded, config, offset, run, run_telling};

#[derive(Clone, Debug)]
struct Plan {
    tasks: Vec<(Vec<u64>, i32, CoreType, usize)>,
    edges: Vec<(u32, u32)>,
    buffers: Vec<(usize, bool)>,
}

impl Plan {
    fn build(&self, graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
        let mut ids = Vec::new();
        for (args, func_id, core_type, tensors) in &self.tasks {
            let id = graph.add_task(args, *func_id, *core_type)?;
            let infos: Vec<_> = (0..*tensors).map(|tensor| info(id.0, tensor)).collect();
            graph.set_tensor_info(id, &infos)?;
            ids.push(id);
        }
        for &(from, to) in &self.edges {
            graph.add_successor(ids[from as usize], ids[to as usize])?;
        }
        for &(bytes, keep) in &self.buffers {
            let buffer = graph.device_malloc(bytes)?;
            if !keep {
                graph.device_free(buffer)?;
            }
        }
        Ok(())
    }

    fn successors(&self, task: usize) -> Vec<i32> {
        let own = self.edges.iter().filter(|(from, _)| *from as usize == task);
        own.map(|&(_, to)| i32::try_from(to).unwrap()).collect()
    }

    fn predecessors(&self, task: usize) -> Vec<usize> {
        self.edges.iter().filter(|(_, to)| *to as usize == task).map(|(from, _)| *from as usize).collect()
    }
}

fn info(task: u64, tensor: usize) -> TensorInfo {
    let shape = [u32::try_from(task).unwrap() + 1, u32::try_from(tensor).unwrap() + 1];
    TensorInfo::whole(DataType::Float32, &shape).unwrap()
}

fn plans() -> impl Strategy<Value = Plan> {
    let core_type = prop_oneof![Just(CoreType::Aic), Just(CoreType::Aiv)];
    let task = (
        proptest::collection::vec(any::<u64>(), 0..=16),
        0..i32::try_from(KERNELS).unwrap(),
        core_type,
        0..=3usize,
    );
    let tasks = proptest::collection::vec(task, 0..40);
    let edges = proptest::collection::vec((any::<u32>(), any::<u32>()), 0..100);
    let buffers = proptest::collection::vec((1..500usize, any::<bool>()), 0..6);
    (tasks, edges, buffers).prop_map(|(tasks, raw, buffers)| {
        let count = u32::try_from(tasks.len()).unwrap().max(1);
        let edges = raw.iter().map(|(a, b)| (a % count, b % count)).filter(|(from, to)| from < to).collect();
        Plan { tasks, edges, buffers }
    })
}

fn assert_head(uploaded: &Uploaded, block_dim: u32, threads: i32) {
    let topology = Topology::new(block_dim);
    let places = uploaded.chip.limits().max_block_dim * 3;
    for core in 0..places {
        let used = core < topology.cores();
        let core_type = if used { topology.core_type(CoreId(core)).raw() } else { 0 };
        let expected = Handshake { core_type, ..Handshake::default() };
        assert_eq!(uploaded.field::<Handshake>("workers", core as usize), expected);
    }
    assert_eq!(uploaded.field::<u32>("worker_count", 0), topology.cores());
    assert_eq!(uploaded.field::<i32>("aicpu_thread_num", 0), threads);
}

fn assert_tasks(uploaded: &Uploaded, plan: &Plan) {
    for (index, (args, func_id, core_type, tensors)) in plan.tasks.iter().enumerate() {
        let task = uploaded.task(index);
        let id = i32::try_from(index).unwrap();
        assert_eq!((task.task_id, task.func_id, task.core_type), (id, *func_id, core_type.raw()));
        assert_eq!(task.args[..args.len()], args[..]);
        assert!(task.args[args.len()..].iter().all(|&slot| slot == 0));
        assert_eq!(usize::try_from(task.num_args), Ok(args.len()));
        let header = uploaded.kernels[usize::try_from(*func_id).unwrap()];
        assert_eq!(task.function_bin_addr, header + 128);
        let successors = plan.successors(index);
        assert_eq!(usize::try_from(task.fanout_count), Ok(successors.len()));
        assert_eq!(task.fanout[..successors.len()], successors[..]);
        assert_eq!(usize::try_from(task.fanin), Ok(plan.predecessors(index).len()));
        assert_eq!((task.start_time, task.end_time), (0, 0));
        let first = uploaded.field::<u32>("tensor_info_offsets_", index) as usize;
        let count = uploaded.field::<u16>("tensor_info_counts_", index) as usize;
        let expected: Vec<_> = (0..*tensors).map(|tensor| info(index as u64, tensor)).collect();
        assert_eq!(uploaded.tensor_infos[first..first + count], expected);
    }
}

fn assert_tables(uploaded: &Uploaded, plan: &Plan) {
    let tasks = i32::try_from(plan.tasks.len()).unwrap();
    assert_eq!(uploaded.field::<i32>("next_task_id", 0), tasks);
    let ready: Vec<i32> =
        (0..tasks).filter(|&task| plan.predecessors(usize::try_from(task).unwrap()).is_empty()).collect();
    assert_eq!(usize::try_from(uploaded.field::<i32>("initial_ready_count", 0)), Ok(ready.len()));
    for (index, task) in ready.into_iter().enumerate() {
        assert_eq!(uploaded.field::<i32>("initial_ready_tasks", index), task);
    }
    for func_id in 0..1024 {
        let header = uploaded.kernels.get(func_id).copied().unwrap_or(0);
        assert_eq!(uploaded.field::<u64>("func_id_to_addr_", func_id), header);
    }
    assert_eq!(uploaded.field::<i32>("registered_kernel_count_", 0), 0);
    let kept = plan.buffers.iter().filter(|(_, keep)| *keep).map(|(bytes, _)| *bytes as u64);
    let sizes: Vec<u64> = uploaded.allocations.iter().map(|entry| entry.size_bytes).collect();
    assert_eq!(sizes, kept.collect::<Vec<_>>());
    assert_eq!(uploaded.field::<u32>("tensor_allocation_count_", 0) as usize, sizes.len());
    for field in ["host_api", "tensor_pairs_", "dev_orch_so_addr_", "dev_orch_so_size_"] {
        assert_eq!(uploaded.field::<u64>(field, 0), 0, "{field}");
    }
    assert_eq!(uploaded.field::<i32>("active_callable_id_", 0), 7);
    assert_eq!(uploaded.field::<u8>("register_new_callable_id_", 0), 0);
    assert_eq!(uploaded.field::<u8>("device_orch_func_name_", 0), 0);
}

/// Runs the graph that was read back: each task once, after its predecessors, with what it was given.
fn assert_runs(uploaded: &Uploaded, plan: &Plan) {
    let mut program = uploaded.program().unwrap();
    let mut done = vec![false; plan.tasks.len()];
    while let Some(dispatch) = program.next(&IdleCores(Topology::new(1))) {
        let index = usize::try_from(dispatch.task.0).unwrap();
        let (args, func_id, core_type, _) = &plan.tasks[index];
        let KernelArgs::Inline(slots) = dispatch.args else { panic!("arguments by value") };
        assert_eq!(slots[..args.len()], args[..]);
        assert_eq!(i32::try_from(dispatch.kernel), Ok(*func_id));
        assert_eq!(Topology::new(1).core_type(dispatch.core), *core_type);
        assert!(plan.predecessors(index).into_iter().all(|before| done[before]));
        assert!(!std::mem::replace(&mut done[index], true));
        program.complete(dispatch.task, dispatch.core, DeviceTime(0));
    }
    assert!(program.is_done() && done.into_iter().all(|done| done));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(plan in plans(), block_dim in 1..=24i32, threads in 1..=4i32) {
        for chip in CHIPS {
            let graph = plan.clone();
            let (uploaded, outcome) =
                run(chip, &config(block_dim, threads), move |builder| graph.build(builder)).unwrap();
            prop_assert_eq!(outcome.tasks, plan.tasks.len() as u64);
            assert_head(&uploaded, u32::try_from(block_dim).unwrap(), threads);
            assert_tasks(&uploaded, &plan);
            assert_tables(&uploaded, &plan);
            assert_runs(&uploaded, &plan);
        }
    }
}

/// A chain of two tasks and one more.
fn three_tasks() -> Uploaded {
    let build = |graph: &mut GraphBuilder<'_>| {
        let first = graph.add_task(&[1], 0, CoreType::Aiv)?;
        let second = graph.add_task(&[2], 1, CoreType::Aic)?;
        graph.add_task(&[3], 2, CoreType::Aiv)?;
        graph.add_successor(first, second)
    };
    run(&arch_a2a3::CHIP, &config(1, 1), build).unwrap().0
}

#[test]
fn the_129th_successor_is_refused_where_there_is_no_room_for_it() {
    let star = |successors: u32| {
        move |graph: &mut GraphBuilder<'_>| {
            let center = graph.add_task(&[], 0, CoreType::Aic)?;
            for _ in 0..successors {
                let next = graph.add_task(&[], 0, CoreType::Aiv)?;
                graph.add_successor(center, next)?;
            }
            Ok(())
        }
    };
    assert!(run(&arch_a5::CHIP, &config(1, 1), star(128)).is_ok());
    let error = run(&arch_a5::CHIP, &config(1, 1), star(129)).unwrap_err().to_string();
    assert!(error.contains("task 0 has 129 successors"), "{error}");
}

#[test]
fn images_that_cannot_be_are_refused() {
    let good = three_tasks();
    good.program().unwrap();
    let layout = Layout::of(&arch_a2a3::CHIP).unwrap();
    let in_task = |task: usize, field: usize| layout.task(task).unwrap() + field;
    for (at, value, told) in [
        (offset(&arch_a2a3::CHIP, "next_task_id"), -1i32, "the number of tasks is -1"),
        (offset(&arch_a2a3::CHIP, "next_task_id"), 131_073, "the number of tasks is 131073"),
        (in_task(1, std::mem::offset_of!(Task, task_id)), 2, "it says that it is task 2"),
        (in_task(1, std::mem::offset_of!(Task, func_id)), -1, "its func_id is -1"),
        (in_task(1, std::mem::offset_of!(Task, num_args)), 17, "arguments of task 1 is 17"),
        (in_task(1, std::mem::offset_of!(Task, core_type)), 2, "not a CoreType"),
        (in_task(1, std::mem::offset_of!(Task, fanin)), 2, "it waits for 2 task(s)"),
        (in_task(0, std::mem::offset_of!(Task, fanout_count)), 129, "successors of task 0 is 129"),
        (in_task(0, std::mem::offset_of!(Task, fanout)), 3, "its successor 3 is none of 3 tasks"),
        (in_task(0, std::mem::offset_of!(Task, fanout)), 0, "wait for each other"),
    ] {
        let mut bad = good.clone();
        bad.set(at, &value.to_le_bytes());
        let error = bad.program().err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn an_image_that_is_not_there_is_refused() {
    let mut gone = three_tasks();
    gone.image.bytes = 4096;
    let error = gone.program().err().unwrap();
    assert!(matches!(error, ImageError::Memory { .. }), "{error}");
}

/// Kernel 1 reads a tensor and changes another.
fn two_windows(graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
    let buffer = graph.device_malloc(4096)?;
    let window = TensorInfo::whole(DataType::Float32, &[16, 4]).unwrap();
    let args = [buffer.addr() + 256, 7, buffer.addr() + 512];
    let task = graph.add_task(&args, 1, CoreType::Aiv)?;
    graph.set_tensor_info(task, &[window, window])?;
    // Nobody knows what its tensors are.
    graph.add_task(&args, 1, CoreType::Aic)?;
    Ok(())
}

#[test]
fn programs_of_images_tell_of_tensors() {
    for chip in CHIPS {
        let told = Arc::new(Told::default());
        run_telling(chip, &config(1, 1), Some(&told), two_windows).unwrap();
        assert!(told.refused.lock().unwrap().is_none());
        let tensors = told.tensors.lock().unwrap();
        let base = tensors[0].5 - 256;
        let tensor = |stage, index, role, offset| (0, 1, index, role, stage, base + offset, 0);
        let stage = |stage| [tensor(stage, 0, Role::Input, 256), tensor(stage, 1, Role::Inout, 512)];
        let [before, after] = [Stage::BeforeDispatch, Stage::AfterCompletion].map(stage);
        let expected = [before, after].concat();
        assert_eq!(*tensors, expected);
        assert_eq!(*told.skipped.lock().unwrap(), [(1, 2, 0), (1, 2, 0)]);
    }
}

#[test]
fn tensors_that_cannot_be_are_refused_where_somebody_wants_them() {
    let chip = &arch_a2a3::CHIP;
    for (field, value, reason) in [
        ("tensor_info_storage_bytes_", 64, "task 0 has 2 tensors, which are not there"),
        ("tensor_allocation_storage_bytes_", 17, "1 allocations do not take 17 bytes"),
        ("tensor_info_storage_", 0x10, "cannot be read"),
        ("func_id_to_addr_", 0x10, "cannot be read"),
    ] {
        let told = Told { spoil: Some((offset(chip, field), value)), ..Told::default() };
        let told = Arc::new(told);
        run_telling(chip, &config(1, 1), Some(&told), two_windows).unwrap();
        let refused = told.refused.lock().unwrap().take().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|text| text.contains(reason)), "{refused:?} {reason}");
    }
}
