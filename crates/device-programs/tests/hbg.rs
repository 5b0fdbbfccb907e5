//! Graphs of `host_build_graph` on the built programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use common::{CHIPS, Fault, Mode, ProgramDevice, kernel};
use device_runner::{
    Arch, CallableSource, CoreId, DeviceUsage, KernelSource, RunOutcome, RunnerError, Topology,
};
use host_build_graph::{GraphBuilder, GraphError, HostBuildGraph, NativeGraph};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, CoreType, DataType};

/// Each task adds up what its predecessors have stored, and its own number. The factor differs between core types.
const ADD: &str = "
    #include <cstdint>
    extern \"C\" __attribute__((visibility(\"default\"))) void kernel_entry(int64_t *args) {
        auto *values = reinterpret_cast<int64_t *>(args[0]);
        int64_t sum = args[1] + 1;
        for (int64_t before = 0; before < args[2]; before++) sum += FACTOR * values[args[3 + before]];
        values[args[1]] = sum;
    }";
const THROW: &str = "
    #include <cstdint>
    #include <stdexcept>
    extern \"C\" __attribute__((visibility(\"default\"))) void kernel_entry(int64_t *) {
        throw std::runtime_error(\"on purpose\");
    }";

const MOST_PREDECESSORS: usize = 13;
const FACTORS: [i64; 2] = [3, 5];
const THROWS: i32 = 2;

fn kernels() -> Vec<(u32, KernelSource)> {
    let add = |factor: i64| kernel(&ADD.replace("FACTOR", &factor.to_string()));
    vec![(0, add(FACTORS[0])), (1, add(FACTORS[1])), (2, kernel(THROW))]
}

/// Tasks by type, each with its predecessors.
#[derive(Clone, Debug)]
struct Plan(Vec<(CoreType, Vec<usize>)>);

impl Plan {
    fn build(&self, graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
        let values = graph.stage_inout(0)?;
        let mut ids = Vec::new();
        for (index, (core_type, before)) in self.0.iter().enumerate() {
            let mut args = vec![values.addr(), index as u64, before.len() as u64];
            args.extend(before.iter().map(|&before| before as u64));
            let id = graph.add_task(&args, core_type.raw(), *core_type)?;
            for &before in before {
                graph.add_successor(ids[before], id)?;
            }
            ids.push(id);
        }
        Ok(())
    }

    fn expected(&self) -> Vec<i64> {
        let mut values: Vec<i64> = Vec::new();
        for (index, (core_type, before)) in self.0.iter().enumerate() {
            let factor = FACTORS[usize::try_from(core_type.raw()).unwrap()];
            let sum: i64 = before
                .iter()
                .fold(0i64, |sum, &before| sum.wrapping_add(factor.wrapping_mul(values[before])));
            values.push(sum.wrapping_add(i64::try_from(index).unwrap() + 1));
        }
        values
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let core_type = prop_oneof![Just(CoreType::Aic), Just(CoreType::Aiv)];
    let task = (core_type, proptest::collection::vec(any::<usize>(), 0..=MOST_PREDECESSORS));
    proptest::collection::vec(task, 0..60).prop_map(|tasks| {
        let at = |(index, (core_type, before)): (usize, (CoreType, Vec<usize>))| {
            let before = before.into_iter().filter(|_| index > 0).map(|before| before % index.max(1));
            (core_type, before.collect())
        };
        Plan(tasks.into_iter().enumerate().map(at).collect())
    })
}

struct Bench {
    device: Arc<ProgramDevice>,
    runner: Arc<device_runner::DeviceRunner>,
    kernels: Vec<(u32, KernelSource)>,
}

impl Bench {
    fn new(chip: &'static dyn Arch, mode: Mode) -> Self {
        let device = ProgramDevice::new(chip, HostBuildGraph::NAME, mode);
        let runner = device.runner(Box::new(HostBuildGraph::default()));
        Self { device, runner, kernels: kernels() }
    }

    fn run_graph(
        &self,
        (block_dim, threads): (i32, i32),
        values: &mut [i64],
        graph: impl Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
    ) -> Result<RunOutcome, RunnerError> {
        let source = CallableSource::new(NativeGraph::new(graph).into(), self.kernels.clone());
        let id = self.runner.register(None, &source)?;
        let mut args = ChipStorageTaskArgs::new();
        let shape = [u32::try_from(values.len()).unwrap()];
        let address = values.as_mut_ptr().expose_provenance() as u64;
        args.add_tensor(ContinuousTensor::new(address, &shape, DataType::Int64).unwrap()).unwrap();
        let mut config = CallConfig::default();
        config.set_block_dim(block_dim).unwrap().set_aicpu_thread_num(threads).unwrap();
        let ran = self.runner.run(id, &*args, &config);
        self.runner.unregister(id);
        ran
    }

    fn run(&self, shape: (i32, i32), plan: &Plan) -> Result<Vec<i64>, RunnerError> {
        let mut values = vec![0i64; plan.0.len().max(1)];
        let graph = plan.clone();
        let outcome = self.run_graph(shape, &mut values, move |builder| graph.build(builder))?;
        assert_eq!(outcome.tasks, plan.0.len() as u64);
        self.assert_cores_have_left(shape.0);
        values.truncate(plan.0.len());
        Ok(values)
    }

    /// What the stop sequence leaves (`spec/device-abi.md`, section 2.7).
    fn assert_cores_have_left(&self, block_dim: i32) {
        let registers = self.device.registers.lock().unwrap().take().unwrap();
        for core in 0..Topology::new(u32::try_from(block_dim).unwrap()).cores() {
            let core = CoreId(core);
            assert_eq!(registers.get(core, "COND"), Some(0xffff_fffe), "{core}");
            assert_eq!(registers.get(core, "DATA_MAIN_BASE"), Some(0x7fff_fffd), "{core}");
            assert!(matches!(registers.get(core, "FAST_PATH_ENABLE"), None | Some(0xf)), "{core}");
        }
    }

    fn close(self) {
        self.runner.finalize().unwrap();
        use device_runner::Device as _;
        assert_eq!(self.device.usage(), DeviceUsage::default());
    }
}

/// A chain on one type of core, and beside it tasks that wait for nobody.
fn some_plan() -> Plan {
    let chained =
        |index: usize| if index.is_multiple_of(3) || index < 3 { vec![] } else { vec![index - 3, index - 1] };
    let core_type = |index: usize| if index.is_multiple_of(2) { CoreType::Aic } else { CoreType::Aiv };
    Plan((0..40).map(|index| (core_type(index), chained(index))).collect())
}

fn random_graphs(mode: Mode) {
    for chip in CHIPS {
        let bench = Bench::new(chip, mode);
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) });
        let cases = (plans(), 1..=3i32, 1..=4i32);
        let checked = runner.run(&cases, |(plan, block_dim, threads)| {
            prop_assert_eq!(bench.run((block_dim, threads), &plan).unwrap(), plan.expected());
            Ok(())
        });
        checked.unwrap();
        bench.close();
    }
}

#[test]
fn random_graphs_as_cann_runs_them() {
    random_graphs(Mode::Onboard);
}

#[test]
fn random_graphs_as_the_simulator_runs_them() {
    random_graphs(Mode::Simulated);
}

#[test]
fn all_cores_of_a_chip_and_all_its_threads() {
    for chip in CHIPS {
        let bench = Bench::new(chip, Mode::Onboard);
        let limits = chip.limits();
        let plan = some_plan();
        let shape = |number: u32| i32::try_from(number).unwrap();
        for threads in [1, limits.max_aicpu_threads] {
            let shape = (shape(limits.max_block_dim), shape(threads));
            assert_eq!(bench.run(shape, &plan).unwrap(), plan.expected());
        }
        bench.close();
    }
}

#[test]
fn a_kernel_that_throws_ends_the_run_and_no_other() {
    for mode in [Mode::Onboard, Mode::Simulated] {
        for chip in CHIPS {
            let bench = Bench::new(chip, mode);
            for _ in 0..2 {
                let throwing = |graph: &mut GraphBuilder<'_>| {
                    let first = graph.add_task(&[], THROWS, CoreType::Aiv)?;
                    let second = graph.add_task(&[], THROWS, CoreType::Aic)?;
                    graph.add_successor(first, second)
                };
                let error = bench.run_graph((2, 3), &mut [0], throwing).unwrap_err();
                assert!(error.to_string().contains("code -1"), "{error}");
                bench.assert_cores_have_left(2);
                assert_eq!(bench.run((2, 3), &some_plan()).unwrap(), some_plan().expected());
            }
            bench.close();
        }
    }
}

#[test]
fn cores_that_are_not_there_end_the_run_and_no_other() {
    for chip in CHIPS {
        let bench = Bench::new(chip, Mode::Onboard);
        for fault in [Fault::NoCore(CoreId(2)), Fault::StrangeCore(CoreId(0))] {
            *bench.device.fault.lock().unwrap() = Some(fault);
            let error = bench.run((1, 2), &some_plan()).unwrap_err();
            assert!(error.to_string().contains("code -1"), "{error}");
            *bench.device.fault.lock().unwrap() = None;
            assert_eq!(bench.run((1, 2), &some_plan()).unwrap(), some_plan().expected());
        }
        bench.close();
    }
}
