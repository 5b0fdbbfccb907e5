//! What a random program consists of.

use std::fmt;

use chip_worker::{DataType, Platform};

/// Sizes and places a program runs with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) platform: Platform,
    pub(crate) permits: usize,
    pub(crate) block_dim: i32,
    pub(crate) window: u32,
    pub(crate) heap: u64,
    pub(crate) dep_pool: u32,
    /// How often it runs on the same worker.
    pub(crate) runs: u32,
}

impl Setup {
    /// Clusters that the run gets.
    pub(crate) fn clusters(&self) -> u32 {
        let all = if self.platform == Platform::A2a3Sim { 24 } else { 36 };
        u32::try_from(self.block_dim).ok().filter(|&dim| dim > 0).unwrap_or(all)
    }
}

/// Memory outside of the rings, with one or more tensors over it.
#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    pub(crate) elements: usize,
    /// Memory of the worker's device, else of the host and staged by the run.
    pub(crate) on_device: bool,
    pub(crate) tensors: Vec<External>,
}

/// A tensor argument of the run.
#[derive(Clone, Debug)]
pub(crate) struct External {
    /// First element within the allocation.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<u32>,
    pub(crate) dtype: DataType,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) ops: Vec<Op>,
}

impl Program {
    /// All tensor arguments, with their allocations.
    pub(crate) fn externals(&self) -> impl Iterator<Item = (usize, &External)> {
        self.allocations.iter().enumerate().flat_map(|(at, own)| own.tensors.iter().map(move |one| (at, one)))
    }
}

/// What an element holds before the run.
pub(crate) fn initial(seed: u64, allocation: usize, element: usize) -> u64 {
    super::rng::mix(super::rng::mix(seed, allocation as u64), element as u64)
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Scope {
        manual: bool,
        ops: Vec<Op>,
    },
    Task(Task),
    Alloc(Vec<New>),
    /// The orchestration reads an element into a register.
    Read {
        view: ViewOf,
        at: Vec<u32>,
        register: usize,
    },
    /// The orchestration writes an element.
    Write {
        view: ViewOf,
        at: Vec<u32>,
        value: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// No kernel at all.
    Dummy,
    Aic,
    Aiv,
    /// Kernels on AIC (1), AIV0 (2) and AIV1 (4).
    Mix(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: usize,
    pub(crate) cores: Cores,
    pub(crate) blocks: u32,
    pub(crate) together: bool,
    pub(crate) args: Vec<Arg>,
    /// Explicit dependencies.
    pub(crate) after: Vec<usize>,
    pub(crate) salt: u64,
    /// A register that is mixed into the salt.
    pub(crate) register: Option<usize>,
    /// Rounds that its kernels waste.
    pub(crate) delay: u64,
}

impl Task {
    /// Pieces its elements are dealt to, which run at once.
    pub(crate) fn parts(&self) -> u32 {
        self.blocks * self.slots().count_ones().max(1)
    }

    pub(crate) fn slots(&self) -> u32 {
        match self.cores {
            Cores::Dummy => 0,
            Cores::Aic => 1,
            Cores::Aiv => 2,
            Cores::Mix(slots) => slots,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Old { tag: Tag, view: ViewOf, role: Role },
    New(New),
}

impl Arg {
    pub(crate) fn new_tensor(&self) -> Option<&New> {
        if let Self::New(new) = self { Some(new) } else { None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Input,
    Inout,
    OutputExisting,
    NoDep,
}

/// What the kernel does with a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

impl Role {
    pub(crate) const WRITE: Self = Self { reads: false, writes: true };

    pub(crate) fn code(self) -> u64 {
        u64::from(self.reads) + 2 * u64::from(self.writes)
    }

    pub(crate) fn from_code(code: u64) -> Self {
        Self { reads: code & 1 != 0, writes: code & 2 != 0 }
    }
}

/// A tensor to be made.
#[derive(Clone, Debug)]
pub(crate) struct New {
    pub(crate) buffer: usize,
    pub(crate) shape: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// Index of a tensor argument.
    External(usize),
    /// Number of a tensor that was made.
    Made(usize),
}

/// A part of a part of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct ViewOf {
    pub(crate) base: Base,
    pub(crate) parts: Vec<Part>,
    pub(crate) by_creator_only: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) offsets: Vec<u32>,
    pub(crate) shape: Vec<u32>,
}

impl ViewOf {
    /// Its elements in row-major order, counted from the start of the base, which has this shape.
    pub(crate) fn elements(&self, shape: &[u32]) -> Vec<usize> {
        let mut from = vec![0; shape.len()];
        let mut length = shape.to_vec();
        for part in &self.parts {
            from.iter_mut().zip(&part.offsets).for_each(|(from, offset)| *from += offset);
            length.clone_from(&part.shape);
        }
        let mut found = vec![0usize];
        for ((&from, &length), &whole) in from.iter().zip(&length).zip(shape) {
            let step =
                |outer: usize| (from..from + length).map(move |at| outer * whole as usize + at as usize);
            found = found.into_iter().flat_map(step).collect();
        }
        found
    }

    /// Its shape, given that of the base.
    pub(crate) fn shape<'a>(&'a self, base: &'a [u32]) -> &'a [u32] {
        self.parts.last().map_or(base, |part| &part.shape)
    }
}

impl fmt::Display for ViewOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::External(index) => write!(f, "x{index}")?,
            Base::Made(buffer) => write!(f, "b{buffer}")?,
        }
        for Part { offsets, shape } in &self.parts {
            write!(f, ".part({offsets:?}, {shape:?})")?;
        }
        if self.by_creator_only { f.write_str(".by_creator_only()") } else { Ok(()) }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, cores, blocks, together, after, register, delay, .. } = self;
        write!(f, "t{id} {cores:?}")?;
        if self.parts() > 1 {
            write!(f, " x{blocks}{}", if *together { " together" } else { "" })?;
        }
        for arg in &self.args {
            match arg {
                Arg::New(New { buffer, shape }) => write!(f, " new b{buffer} {shape:?}")?,
                Arg::Old { tag, view, role } => {
                    let role = ["-", "r", "w", "rw"][usize::try_from(role.code()).unwrap_or(0)];
                    write!(f, " {tag:?}:{role} {view}")?;
                }
            }
        }
        write!(f, " after {after:?} register {register:?} delay {delay}")
    }
}

fn write_ops(ops: &[Op], indent: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for op in ops {
        write!(f, "{:indent$}", "")?;
        match op {
            Op::Scope { manual, ops } => {
                writeln!(f, "{} scope", if *manual { "MANUAL" } else { "AUTO" })?;
                write_ops(ops, indent + 2, f)?;
            }
            Op::Task(task) => writeln!(f, "{task}")?,
            Op::Alloc(new) => {
                let made: Vec<_> = new.iter().map(|new| format!("b{} {:?}", new.buffer, new.shape)).collect();
                writeln!(f, "alloc {}", made.join(", "))?;
            }
            Op::Read { view, at, register } => writeln!(f, "r{register} = read {view} {at:?}")?,
            Op::Write { view, at, value } => writeln!(f, "write {view} {at:?} {value:#x}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} {:?}", self.seed, self.setup)?;
        for (index, (allocation, tensor)) in self.externals().enumerate() {
            let place = if self.allocations[allocation].on_device { "device" } else { "host" };
            let External { offset, shape, dtype } = tensor;
            writeln!(f, "x{index} = {place} allocation {allocation} + {offset}: {shape:?} {dtype}")?;
        }
        write_ops(&self.ops, 0, f)
    }
}
