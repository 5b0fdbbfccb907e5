//! Random programs as images, on both chips: what they leave is what they leave in sequence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use common::{CHIPS, ImageDevice, callable, combined, interpreter, object, offset};
use device_runner::Arch;
use proptest::prelude::*;
use task_interface::{CallConfig, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tensormap_and_ringbuffer::RingOptions;

const LENGTH: usize = 7;
const EXTERNAL: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Scope(Vec<Op>),
    /// Index into what exists, of three tensors; scalar, blocks, kind of cores.
    Combine([usize; 3], i64, i64, i64),
    Create(Making, [usize; 2], i64, i64, i64),
    Dummy([usize; 2]),
    /// Adds to an element of another tensor, on the orchestrator's side.
    Add([usize; 2], [usize; 2], i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Making {
    Plain,
    Filled,
    Alloc,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = || 0..100usize;
    let leaf = prop_oneof![
        5 => ([index(), index(), index()], any::<i64>(), 1..4i64, 0..3i64)
            .prop_map(|(tensors, scalar, blocks, cores)| Op::Combine(tensors, scalar, blocks, cores)),
        4 => (
            prop_oneof![Just(Making::Plain), Just(Making::Filled), Just(Making::Alloc)],
            [index(), index()], any::<i64>(), 1..4i64, 0..3i64,
        ).prop_map(|(making, tensors, scalar, blocks, cores)| Op::Create(making, tensors, scalar, blocks, cores)),
        1 => [index(), index()].prop_map(Op::Dummy),
        1 => ([index(), index()], [0..LENGTH, 0..LENGTH], any::<i64>())
            .prop_map(|(tensors, elements, value)| Op::Add(tensors, elements, value)),
    ];
    let op = leaf.prop_recursive(5, 60, 8, |op| proptest::collection::vec(op, 0..8).prop_map(Op::Scope));
    proptest::collection::vec(op, 0..16)
}

/// Values of all tensors as the program goes on, and its operations as the interpreter wants them.
#[derive(Default)]
struct Model {
    tensors: Vec<[i64; LENGTH]>,
    /// Read by a task: those that come later may not write it, as nobody waits for readers.
    read: Vec<bool>,
    words: Vec<[i64; 8]>,
    tasks: u64,
}

fn word(value: usize) -> i64 {
    i64::try_from(value).unwrap()
}

impl Model {
    fn new() -> Self {
        let tensors: Vec<[i64; LENGTH]> =
            (0..EXTERNAL).map(|tensor| std::array::from_fn(|index| word(100 * tensor + index))).collect();
        Self { read: vec![false; tensors.len()], tensors, ..Self::default() }
    }

    fn step(&mut self, op: i64, [a, b, c]: [usize; 3], scalar: i64, blocks: i64, cores: i64, length: usize) {
        self.words.push([op, word(a), word(b), word(c), scalar, blocks, cores, word(length)]);
    }

    /// The tensor that an index means, if something may still write it.
    fn writable(&self, index: usize) -> Option<usize> {
        let candidates: Vec<usize> = (0..self.tensors.len()).filter(|&tensor| !self.read[tensor]).collect();
        candidates.get(index % candidates.len().max(1)).copied()
    }

    fn readable(&self, index: usize, but: Option<usize>) -> Option<usize> {
        let candidates: Vec<usize> = (0..self.tensors.len()).filter(|&tensor| Some(tensor) != but).collect();
        candidates.get(index % candidates.len().max(1)).copied()
    }

    fn write(&mut self, [a, b, c]: [usize; 3], scalar: i64, overwrite: bool) {
        for index in 0..LENGTH {
            let (x, y) = (self.tensors[a][index], self.tensors[b][index]);
            self.tensors[c][index] = combined(x, y, self.tensors[c][index], scalar, overwrite);
        }
        (self.read[a], self.read[b]) = (true, true);
        self.tasks += 1;
    }

    fn apply(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Scope(ops) => {
                self.step(0, [0; 3], 0, 0, 0, 0);
                let kept = self.tensors.len();
                ops.iter().for_each(|op| self.apply(op).unwrap_or(()));
                self.tensors.truncate(kept);
                self.read.truncate(kept);
                self.step(1, [0; 3], 0, 0, 0, 0);
            }
            Op::Combine([a, b, c], scalar, blocks, cores) => {
                let c = self.writable(*c)?;
                let (a, b) = (self.readable(*a, Some(c))?, self.readable(*b, Some(c))?);
                self.step(2, [a, b, c], *scalar, *blocks, *cores, LENGTH);
                self.write([a, b, c], *scalar, false);
            }
            Op::Create(making, [a, b], scalar, blocks, cores) => {
                let (a, b) = (self.readable(*a, None)?, self.readable(*b, None)?);
                let op = [(Making::Plain, 3), (Making::Filled, 4), (Making::Alloc, 5)];
                let op = op.into_iter().find(|(known, _)| known == making)?.1;
                self.step(op, [a, b, 0], *scalar, *blocks, *cores, LENGTH);
                self.tasks += u64::from(*making == Making::Alloc);
                self.tensors.push([*scalar; LENGTH]);
                self.read.push(false);
                self.write([a, b, self.tensors.len() - 1], *scalar, *making != Making::Filled);
            }
            Op::Dummy([a, c]) => {
                let c = self.writable(*c)?;
                let a = self.readable(*a, Some(c))?;
                self.step(6, [a, 0, c], 0, 1, 0, LENGTH);
                self.read[a] = true;
                self.tasks += 1;
            }
            Op::Add([a, c], [from, to], value) => {
                let c = self.writable(*c)?;
                let a = self.readable(*a, Some(c))?;
                self.words.push([7, word(a), 0, word(c), *value, word(*from), 0, word(*to)]);
                self.tensors[c][*to] = self.tensors[a][*from].wrapping_add(*value);
            }
        }
        Some(())
    }
}

fn tensor(words: &mut [i64]) -> ContinuousTensor {
    let length = u32::try_from(words.len()).unwrap();
    ContinuousTensor::new(words.as_mut_ptr().expose_provenance() as u64, &[length], DataType::Int64).unwrap()
}

/// Small rings, so that tasks and memory are used again and again within a program.
fn rings() -> RingOptions {
    RingOptions::default().task_window(64).heap(1 << 16).dep_pool(64)
}

fn run_all(chip: &'static dyn Arch, programs: &[Vec<Op>], seed: u64, block_dim: i32) {
    let device = ImageDevice::new(chip, seed);
    let runner = device.runner(rings());
    let id = runner.register(None, &callable(object(interpreter(), "interpret", "two_arguments"))).unwrap();
    let config = CallConfig { block_dim, aicpu_thread_num: 3, ..CallConfig::default() };
    for (index, ops) in programs.iter().enumerate() {
        let mut model = Model::new();
        // Dirty memory and external tensors that begin anew: runs know nothing of each other.
        let mut buffers = model.tensors.clone();
        ops.iter().for_each(|op| model.apply(op).unwrap_or(()));
        let mut program: Vec<i64> = model.words.iter().flatten().copied().collect();
        program.extend(if program.is_empty() {
            [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].as_slice()
        } else {
            &[]
        });
        let mut args = ChipStorageTaskArgs::new();
        args.add_tensor(tensor(&mut program)).unwrap();
        buffers.iter_mut().for_each(|buffer| args.add_tensor(tensor(buffer)).unwrap());
        let outcome = runner.run(id, &*args, &config).unwrap();
        assert_eq!(buffers[..], model.tensors[..EXTERNAL], "program {index} on {}: {ops:?}", chip.name());
        assert_eq!(outcome.tasks, model.tasks);
        assert_eq!(device.member::<u8>("register_new_callable_id_"), u8::from(index == 0));
        assert_published(&device, chip, model.tasks);
    }
    runner.finalize().unwrap();
    assert_eq!(device_runner::Device::usage(&*device), device_runner::DeviceUsage::default());
}

/// All tasks of the run have come to an end, and the header says so.
fn assert_published(device: &Arc<ImageDevice>, chip: &dyn Arch, tasks: u64) {
    let word = |at: usize| -> i32 {
        let base: u64 = device.member("gm_sm_ptr_");
        common::ByAddress::read(base + at as u64)
    };
    let alive = offset(chip, "PTO2RingFlowControl", "last_task_alive");
    let rings: Vec<(i32, i32)> = (0..4).map(|ring| (word(192 * ring), word(192 * ring + alive))).collect();
    assert!(rings.iter().all(|(submitted, alive)| submitted == alive), "{rings:?}");
    assert_eq!(rings.iter().map(|(submitted, _)| i64::from(*submitted)).sum::<i64>(), tasks.cast_signed());
    let header = |member: &str| word(offset(chip, "PTO2SharedMemoryHeader", member));
    assert_eq!(
        (header("orchestrator_done"), header("orch_error_code"), header("sched_error_code")),
        (1, 0, 0)
    );
    assert_eq!(header("sched_error_thread"), -1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn programs_agree_with_their_sequence(
        programs in proptest::collection::vec(ops(), 1..4), seed in any::<u64>(), block_dim in 1..5i32
    ) {
        for chip in CHIPS {
            run_all(chip, &programs, seed, block_dim);
        }
    }
}

/// The sizes of the contract: more than a gigabyte, of which only what is used costs anything.
#[test]
fn a_program_runs_in_rings_of_the_default_size() {
    let ops = [
        Op::Create(Making::Filled, [0, 1], 5, 2, 2),
        Op::Scope(vec![Op::Create(Making::Alloc, [3, 1], 6, 1, 1), Op::Combine([3, 4, 0], 7, 3, 0)]),
    ];
    let device = ImageDevice::new(CHIPS[0], 1);
    let runner = device.runner(RingOptions::default());
    let id = runner.register(None, &callable(object(interpreter(), "interpret", ""))).unwrap();
    let mut model = Model::new();
    let mut buffers = model.tensors.clone();
    ops.iter().for_each(|op| model.apply(op).unwrap_or(()));
    let mut program: Vec<i64> = model.words.iter().flatten().copied().collect();
    let mut args = ChipStorageTaskArgs::new();
    args.add_tensor(tensor(&mut program)).unwrap();
    buffers.iter_mut().for_each(|buffer| args.add_tensor(tensor(buffer)).unwrap());
    runner.run(id, &*args, &CallConfig { aicpu_thread_num: 3, ..CallConfig::default() }).unwrap();
    assert_eq!(buffers[..], model.tensors[..EXTERNAL]);
    let committed = runner.arenas().committed();
    assert_eq!(
        (committed.gm_heap, committed.gm_sm, committed.runtime_arena),
        (1 << 30, 195_560_256, 16_204_352)
    );
}
