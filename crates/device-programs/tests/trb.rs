//! Graphs of `tensormap_and_ringbuffer` on the built programs, which build them while they run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use common::{CHIPS, Fault, Mode, ProgramDevice};
use device_runner::{
    Arch, CallableId, CallableSource, CoreId, Device as _, DeviceRunner, DeviceUsage, KernelSource,
    OrchestrationSource, RunOutcome, RunnerError,
};
use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tensormap_and_ringbuffer::{RingOptions, TensormapAndRingbuffer};

const RUNTIME: Runtime = Runtime::TensormapAndRingbuffer;
const LENGTH: usize = 7;
const EXTERNAL: usize = 3;

/// The interpreter of the runtime's own tests, and kernels for it.
fn callable() -> CallableSource {
    type Objects = (Arc<[u8]>, Vec<Arc<[u8]>>);
    static OBJECTS: LazyLock<Objects> = LazyLock::new(|| {
        let compiler = KernelCompiler::new().unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let interpreter: PathBuf =
            tests.join("../../tensormap-and-ringbuffer/tests/orchestrations/interpreter.cpp");
        let source = Source::orchestration(interpreter, RUNTIME).entry("interpret");
        let orchestration = compiler.compile(&source).unwrap_or_else(|error| panic!("{error}"));
        let directory = tempfile::tempdir().unwrap();
        let combine = tests.join("kernels/combine.cpp");
        let kernel = |(lane, lanes): (u32, u32)| {
            let file = directory.path().join(format!("lane_{lane}_of_{lanes}.cpp"));
            let text =
                format!("#define LANE {lane}\n#define LANES {lanes}\n#include \"{}\"\n", combine.display());
            std::fs::write(&file, text).unwrap();
            let source = Source::kernel(file, CoreType::Aiv).runtime(RUNTIME);
            compiler.compile(&source).unwrap_or_else(|error| panic!("{error}")).bytes
        };
        (orchestration.bytes, [(0, 1), (0, 3), (1, 3), (2, 3)].map(kernel).to_vec())
    });
    let bytes = Arc::clone(&OBJECTS.0);
    let (entry, config) = ("interpret".to_owned(), "two_arguments".to_owned());
    let kernels = (0..).zip(&OBJECTS.1).map(|(id, kernel)| (id, KernelSource::Object(Arc::clone(kernel))));
    CallableSource::new(OrchestrationSource::Object { bytes, entry, config }, kernels.collect())
}

/// Operations of the interpreter.
const BEGIN: i64 = 0;
const END: i64 = 1;
const COMBINE: i64 = 2;
const CREATE: i64 = 3;
const FATAL: i64 = 8;
const THROW: i64 = 9;
const TOO_LARGE: i64 = 10;

#[derive(Clone, Debug)]
enum Op {
    Begin,
    End,
    /// Indices into what exists; scalar, blocks, kind of cores.
    Combine([usize; 3], i64, i64, i64),
    Create([usize; 2], i64, i64, i64),
}

fn programs() -> impl Strategy<Value = Vec<Op>> {
    let index = || 0..100usize;
    let op = prop_oneof![
        1 => Just(Op::Begin),
        1 => Just(Op::End),
        4 => ([index(), index(), index()], any::<i64>(), 1..4i64, 0..3i64)
            .prop_map(|(tensors, scalar, blocks, cores)| Op::Combine(tensors, scalar, blocks, cores)),
        3 => ([index(), index()], any::<i64>(), 1..4i64, 0..3i64)
            .prop_map(|(tensors, scalar, blocks, cores)| Op::Create(tensors, scalar, blocks, cores)),
    ];
    proptest::collection::vec(op, 1..60)
}

/// The tensors as the program goes on in sequence, and its operations as the interpreter wants them.
#[derive(Default)]
struct Model {
    tensors: Vec<[i64; LENGTH]>,
    /// Read by a task: those that come later may not write it, as nobody waits for readers.
    read: Vec<bool>,
    scopes: Vec<usize>,
    words: Vec<i64>,
    tasks: u64,
}

fn word(value: usize) -> i64 {
    i64::try_from(value).unwrap()
}

impl Model {
    fn of(program: &[Op]) -> Self {
        let tensors: Vec<[i64; LENGTH]> =
            (0..EXTERNAL).map(|tensor| std::array::from_fn(|index| word(100 * tensor + index))).collect();
        let mut model = Self { read: vec![false; EXTERNAL], tensors, ..Self::default() };
        program.iter().for_each(|op| model.apply(op));
        (0..model.scopes.len()).for_each(|_| model.apply(&Op::End));
        model
    }

    fn step(&mut self, op: i64, [a, b, c]: [usize; 3], scalar: i64, blocks: i64, cores: i64) {
        self.words.extend([op, word(a), word(b), word(c), scalar, blocks, cores, word(LENGTH)]);
    }

    fn write(&mut self, [a, b, c]: [usize; 3], scalar: i64, kept: i64) {
        for index in 0..LENGTH {
            let (x, y) = (self.tensors[a][index].wrapping_mul(3), self.tensors[b][index].wrapping_mul(5));
            let z = self.tensors[c][index].wrapping_mul(kept);
            self.tensors[c][index] = x.wrapping_add(y).wrapping_add(scalar).wrapping_add(z);
        }
        (self.read[a], self.read[b]) = (true, true);
        self.tasks += 1;
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Begin => {
                self.scopes.push(self.tensors.len());
                self.step(BEGIN, [0; 3], 0, 0, 0);
            }
            Op::End => {
                let Some(kept) = self.scopes.pop() else { return };
                self.tensors.truncate(kept);
                self.read.truncate(kept);
                self.step(END, [0; 3], 0, 0, 0);
            }
            Op::Combine([a, b, c], scalar, blocks, cores) => {
                let writable: Vec<usize> = (0..self.tensors.len()).filter(|&c| !self.read[c]).collect();
                let Some(&c) = writable.get(c % writable.len().max(1)) else { return };
                let others: Vec<usize> = (0..self.tensors.len()).filter(|&other| other != c).collect();
                let (a, b) = (others[a % others.len()], others[b % others.len()]);
                self.step(COMBINE, [a, b, c], scalar, blocks, cores);
                self.write([a, b, c], scalar, 7);
            }
            Op::Create([a, b], scalar, blocks, cores) => {
                let (a, b) = (a % self.tensors.len(), b % self.tensors.len());
                self.step(CREATE, [a, b, 0], scalar, blocks, cores);
                self.tensors.push([0; LENGTH]);
                self.read.push(false);
                self.write([a, b, self.tensors.len() - 1], scalar, 0);
            }
        }
    }
}

struct Bench {
    device: Arc<ProgramDevice>,
    runner: Arc<DeviceRunner>,
    id: CallableId,
}

impl Bench {
    /// Small rings, so that orchestrations have to wait for room.
    fn new(chip: &'static dyn Arch, mode: Mode) -> Self {
        let device = ProgramDevice::new(chip, TensormapAndRingbuffer::NAME, mode);
        let rings = RingOptions::default().task_window(64).heap(1 << 16).dep_pool(64);
        let runner = device.runner(Box::new(TensormapAndRingbuffer::with_rings(rings)));
        let id = runner.register(None, &callable()).unwrap();
        Self { device, runner, id }
    }

    fn run(
        &self,
        (block_dim, aicpu_thread_num): (i32, i32),
        words: &mut [i64],
        tensors: &mut [[i64; LENGTH]],
    ) -> Result<RunOutcome, RunnerError> {
        let mut args = ChipStorageTaskArgs::new();
        let tensor = |words: &mut [i64]| {
            let length = u32::try_from(words.len()).unwrap();
            let address = words.as_mut_ptr().expose_provenance() as u64;
            ContinuousTensor::new(address, &[length], DataType::Int64).unwrap()
        };
        args.add_tensor(tensor(words)).unwrap();
        tensors.iter_mut().for_each(|words| args.add_tensor(tensor(words)).unwrap());
        self.runner.run(self.id, &*args, &CallConfig { block_dim, aicpu_thread_num, ..CallConfig::default() })
    }

    fn check(&self, shape: (i32, i32), program: &[Op]) {
        let mut model = Model::of(program);
        if model.words.is_empty() {
            return;
        }
        let mut tensors = Model::of(&[]).tensors;
        let outcome = self.run(shape, &mut model.words, &mut tensors).unwrap();
        assert_eq!(tensors[..], model.tensors[..EXTERNAL]);
        assert_eq!(outcome.tasks, model.tasks);
    }

    /// A run that ends with an error; its text.
    fn fails(&self, steps: &[[i64; 8]]) -> String {
        let mut tensors = Model::of(&[]).tensors;
        let error = self.run((1, 2), &mut steps.concat(), &mut tensors).unwrap_err();
        assert_eq!(tensors, Model::of(&[]).tensors, "nothing is copied back");
        error.to_string()
    }

    fn close(self) {
        self.runner.finalize().unwrap();
        assert_eq!(self.device.usage(), DeviceUsage::default());
    }
}

/// More tasks than fit into the rings at once, of all kinds of cores.
fn long_program() -> Vec<Op> {
    let round = |index: usize| {
        let scalar = word(index);
        let cores = scalar % 3;
        [
            Op::Begin,
            Op::Create([index, 1], scalar, 2, cores),
            Op::Combine([5, index, 2], scalar, 1, 2),
            Op::End,
        ]
    };
    (0..50).flat_map(round).collect()
}

fn random_programs(mode: Mode) {
    for chip in CHIPS {
        let bench = Bench::new(chip, mode);
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) });
        let cases = (programs(), 1..=3i32, 2..=4i32);
        let checked = runner.run(&cases, |(program, block_dim, threads)| {
            bench.check((block_dim, threads), &program);
            Ok(())
        });
        checked.unwrap();
        bench.check((2, 2), &long_program());
        bench.close();
    }
}

#[test]
fn random_programs_as_cann_runs_them() {
    random_programs(Mode::Onboard);
}

#[test]
fn random_programs_as_the_simulator_runs_them() {
    random_programs(Mode::Simulated);
}

#[test]
fn all_cores_of_a_chip() {
    for chip in CHIPS {
        let bench = Bench::new(chip, Mode::Onboard);
        let limits = chip.limits();
        let [cores, threads] =
            [limits.max_block_dim, limits.max_aicpu_threads].map(|number| i32::try_from(number).unwrap());
        bench.check((cores, threads), &long_program());
        bench.close();
    }
}

/// Whatever an orchestration does, the host is told what it was, and the next run knows nothing of it.
#[test]
fn orchestrations_that_fail_tell_why_and_leave_nothing() {
    for mode in [Mode::Onboard, Mode::Simulated] {
        for chip in CHIPS {
            let bench = Bench::new(chip, mode);
            let task = [CREATE, 0, 1, 0, 5, 1, 0, 7];
            let fatal = bench.fails(&[task, [FATAL, 0, 0, 0, 9, 0, 0, 0]]);
            assert!(fatal.contains("-9"), "{fatal}");
            let threw = bench.fails(&[task, [THROW, 0, 0, 0, 0, 0, 0, 0]]);
            assert!(threw.len() > 20, "{threw}");
            let large = bench.fails(&[task, [TOO_LARGE, 0, 1, 0, 5, 1, 0, 7]]);
            assert!(large.contains("-2") || large.to_lowercase().contains("heap"), "{large}");
            bench.check((1, 2), &long_program());
            bench.close();
        }
    }
}

#[test]
fn cores_that_are_not_there_end_the_run_and_no_other() {
    let bench = Bench::new(CHIPS[1], Mode::Onboard);
    *bench.device.fault.lock().unwrap() = Some(Fault::NoCore(CoreId(1)));
    let lacking = bench.fails(&[[CREATE, 0, 1, 0, 5, 1, 0, 7]]);
    assert!(lacking.contains("100"), "{lacking}");
    *bench.device.fault.lock().unwrap() = None;
    bench.check((1, 2), &long_program());
    bench.close();
}
