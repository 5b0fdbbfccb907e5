//! The same graph four times: orchestration and kernels each in C++ and in Rust.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{
    CallConfig, CoreType, DataType, GraphBuilder, GraphError, KernelContext, KernelFault, NativeGraph,
    NativeKernel, Platform, RuntimeKind, TaskId, TensorInfo,
};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

const CPP_GRAPH: Graph = Graph::Cpp { path: "orchestration.cpp", entry: "build_axpy_sum" };
const RUST_GRAPH: Graph = Graph::Rust(|| NativeGraph::new(build_axpy_sum));

const CPP_KERNELS: &[Kernel] = &[
    Kernel::cpp(AXPY, CoreType::Aiv, "kernels/axpy.cpp").signature(&[In, Inout]),
    Kernel::cpp(SUM, CoreType::Aic, "kernels/sum.cpp").signature(&[In, Out]),
];
const RUST_KERNELS: &[Kernel] = &[
    Kernel::rust(AXPY, CoreType::Aiv, || NativeKernel::new("axpy", axpy)).signature(&[In, Inout]),
    Kernel::rust(SUM, CoreType::Aic, || NativeKernel::new("sum", sum)).signature(&[In, Out]),
];

const AXPY: u32 = 0;
const SUM: u32 = 1;

pub(crate) const SCENE: Scene = Scene {
    name: "rust_graph",
    summary: "one graph with orchestration and kernels each in C++ and in Rust",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/rust_graph"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[
        Program { name: "rust_graph_rust_kernels", graph: RUST_GRAPH, kernels: RUST_KERNELS },
        Program { name: "rust_graph_cpp_kernels", graph: RUST_GRAPH, kernels: CPP_KERNELS },
        Program { name: "cpp_graph_rust_kernels", graph: CPP_GRAPH, kernels: RUST_KERNELS },
        Program { name: "cpp_graph_cpp_kernels", graph: CPP_GRAPH, kernels: CPP_KERNELS },
    ],
    cases: |_| SCENE.programs.iter().map(|program| case(program.name)).collect(),
};

/// Elements of x and y, and blocks they are cut into.
const COUNT: u32 = 4096;
const BLOCKS: u32 = 16;

fn case(program: &'static str) -> Case {
    Case::golden(program, program, CallConfig::default(), |random| {
        let alpha = random.next_u64();
        let (x, y) = (random.u64s(COUNT as usize), random.u64s(COUNT as usize));
        let expected: Vec<u64> =
            x.iter().zip(&y).map(|(&x, &y)| y.wrapping_add(alpha.wrapping_mul(x))).collect();
        let total = expected.iter().copied().fold(0, u64::wrapping_add);
        Data::new()
            .input("x", &[COUNT], x)
            .inout("y", &[COUNT], y, expected, Tolerance::EXACT)
            .output("total", &[1], vec![total], Tolerance::EXACT)
            .scalar(alpha)
            .scalar(u64::from(BLOCKS))
    })
}

/// What `orchestration.cpp` does.
fn build_axpy_sum(graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
    let (alpha, blocks) = (graph.scalar(0)?, graph.scalar(1)?);
    let count = u64::from(graph.tensor(1)?.shapes[0]);
    if blocks == 0 || !count.is_multiple_of(blocks) {
        return Err(GraphError::Message(format!("{blocks} blocks do not divide {count} elements")));
    }
    let (x, y, total) = (graph.stage_in(0)?, graph.stage_inout(1)?, graph.stage_out(2)?);
    let block = count / blocks;
    let (of_block, of_all, of_total) = (elements(block)?, elements(count)?, elements(1)?);
    let mut tasks: Vec<TaskId> = Vec::new();
    for index in 0..blocks {
        let offset = index * block * 8;
        let args = [x.addr() + offset, y.addr() + offset, block, alpha];
        let task = graph.add_task(&args, 0, CoreType::Aiv)?;
        graph.set_tensor_info(task, &[of_block, of_block])?;
        tasks.push(task);
    }
    let sum = graph.add_task(&[y.addr(), count, total.addr()], 1, CoreType::Aic)?;
    graph.set_tensor_info(sum, &[of_all, of_total])?;
    tasks.into_iter().try_for_each(|task| graph.add_successor(task, sum))
}

/// Elements one behind the other, for dumps.
fn elements(count: u64) -> Result<TensorInfo, GraphError> {
    let message = |error: &dyn std::error::Error| GraphError::Message(error.to_string());
    let extent = u32::try_from(count).map_err(|error| message(&error))?;
    TensorInfo::whole(DataType::Uint64, &[extent]).map_err(|error| message(&error))
}

/// What `kernels/axpy.cpp` does.
fn axpy(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
    let [_, _, count, alpha, ..] = *kernel.args() else { return Err("too few arguments".into()) };
    let x: Vec<u64> = kernel.read(kernel.ptr(0), length(count)?)?;
    let mut y: Vec<u64> = kernel.read(kernel.ptr(1), length(count)?)?;
    for (y, x) in y.iter_mut().zip(x) {
        *y = y.wrapping_add(alpha.wrapping_mul(x));
    }
    kernel.write(kernel.ptr(1), &y)
}

/// What `kernels/sum.cpp` does.
fn sum(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
    let [_, count, ..] = *kernel.args() else { return Err("too few arguments".into()) };
    let y: Vec<u64> = kernel.read(kernel.ptr(0), length(count)?)?;
    let total = y.into_iter().fold(0, u64::wrapping_add);
    kernel.write(kernel.ptr(2), &[total])
}

fn length(count: u64) -> Result<usize, KernelFault> {
    usize::try_from(count).map_err(|error| error.to_string().into())
}
