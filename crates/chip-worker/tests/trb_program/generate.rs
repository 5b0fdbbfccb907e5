//! From a seed to a program.

use chip_worker::{DataType, Platform};

use super::kernel::MAX_TENSORS;
use super::program::{
    Allocation, Arg, Base, Cores, External, New, Op, Part, Program, Role, Setup, Tag, Task, ViewOf,
};
use super::rng::Rng;

pub(crate) fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed.wrapping_mul(0xd134_2543_de82_ef95));
    let setup = setup(&mut rng);
    let allocations = allocations(&mut rng);
    let shapes = allocations.iter().flat_map(|own| own.tensors.iter().map(|one| one.shape.clone()));
    let tensors = shapes.enumerate().map(|(index, shape)| (Base::External(index), shape)).collect();
    let left = *rng.pick(&[3, 10, 30, 60, 100, 200, 400]);
    let manual_chance = *rng.pick(&[0, 10, 30, 60]);
    let scope_chance = *rng.pick(&[3, 10, 25]);
    // What a small window has no room for is lost, unless it is in scopes.
    let outer_scope_chance = if setup.window <= 32 { 70 } else { 30 };
    let fan_in_chance = *rng.pick(&[0, 0, 10]);
    let longest_delay = *rng.pick(&[10, 300, 3000, 20_000]);
    let mut own = Generator {
        rng,
        tensors,
        tasks: 0,
        made: 0,
        registers: 0,
        left,
        manual_chance,
        scope_chance,
        outer_scope_chance,
        fan_in_chance,
        longest_delay,
    };
    let clusters = setup.clusters();
    let mut ops = Vec::new();
    while own.left > 0 {
        ops.extend(own.ops(1, clusters, false));
    }
    Program { seed, setup, allocations, ops }
}

fn setup(rng: &mut Rng) -> Setup {
    let platform = *rng.pick(&Platform::SIMULATED);
    let most = if platform == Platform::A2a3Sim { 24 } else { 36 };
    let block_dim = match rng.below(4) {
        0 => 0,
        1 => 1,
        2 => rng.range(2, 4),
        _ => rng.range(1, most),
    };
    Setup {
        platform,
        permits: 1 + rng.below(2),
        block_dim: i32::try_from(block_dim).unwrap(),
        window: *rng.pick(&[4, 8, 16, 16, 32, 64, 256, 1024, 16384]),
        heap: *rng.pick(&[2048, 4096, 8192, 16384, 65536, 1 << 20, 1 << 28]),
        dep_pool: *rng.pick(&[4, 8, 64, 16384]),
        runs: if rng.percent(20) { 3 } else { 1 },
    }
}

fn shape(rng: &mut Rng, longest: u32) -> Vec<u32> {
    match rng.below(5) {
        0 | 1 => vec![rng.range(1, longest * longest)],
        2 | 3 => vec![rng.range(1, longest), rng.range(1, longest)],
        _ => vec![rng.range(1, 4), rng.range(1, 5), rng.range(1, 6)],
    }
}

fn allocations(rng: &mut Rng) -> Vec<Allocation> {
    (0..1 + rng.below(4))
        .map(|_| if rng.percent(30) { shared_allocation(rng) } else { plain_allocation(rng) })
        .collect()
}

fn plain_allocation(rng: &mut Rng) -> Allocation {
    let shape = shape(rng, 8);
    let elements = shape.iter().product::<u32>() as usize;
    let tensors = vec![External { offset: 0, shape, dtype: DataType::Int64 }];
    Allocation { elements, on_device: rng.percent(30), tensors }
}

/// Several tensors over the same memory, of different layout, type or start.
fn shared_allocation(rng: &mut Rng) -> Allocation {
    let elements = 48;
    let layouts: [&[u32]; 8] = [&[48], &[24], &[6, 8], &[8, 6], &[4, 12], &[3, 8], &[2, 4, 6], &[4, 2, 6]];
    let tensor = |rng: &mut Rng| {
        let shape = rng.pick(&layouts).to_vec();
        let len = shape.iter().product::<u32>() as usize;
        let offset = if rng.percent(85) { 0 } else { rng.below(elements - len + 1) };
        let dtype = if rng.percent(80) { DataType::Int64 } else { DataType::Uint64 };
        External { offset, shape, dtype }
    };
    let tensors = (0..2 + rng.below(2)).map(|_| tensor(rng)).collect();
    Allocation { elements, on_device: true, tensors }
}

struct Generator {
    rng: Rng,
    /// Tensors that can be named here.
    tensors: Vec<(Base, Vec<u32>)>,
    tasks: usize,
    made: usize,
    registers: usize,
    /// Ops still to be made.
    left: usize,
    manual_chance: u64,
    scope_chance: u64,
    outer_scope_chance: u64,
    fan_in_chance: u64,
    longest_delay: u32,
}

impl Generator {
    fn ops(&mut self, depth: usize, clusters: u32, manual: bool) -> Vec<Op> {
        let mut ops = Vec::new();
        let here = if depth == 1 { self.left } else { 1 + self.rng.below(14) };
        for _ in 0..here {
            if self.left == 0 {
                break;
            }
            let scope_chance = if depth == 1 { self.outer_scope_chance } else { self.scope_chance };
            if depth < 12 && self.rng.percent(scope_chance) {
                ops.push(self.scope(depth, clusters, manual));
                continue;
            }
            self.left -= 1;
            ops.push(match self.rng.below(100) {
                0..5 => self.alloc(),
                5..9 => self.read(),
                9..13 => self.write(),
                _ => Op::Task(self.task(clusters)),
            });
        }
        ops
    }

    fn scope(&mut self, depth: usize, clusters: u32, manual: bool) -> Op {
        let known = self.tensors.len();
        let manual = manual || self.rng.percent(self.manual_chance);
        let ops = self.ops(depth + 1, clusters, manual);
        self.tensors.truncate(known);
        Op::Scope { manual, ops }
    }

    fn new_tensor(&mut self) -> New {
        let shape =
            if self.rng.percent(5) { vec![self.rng.range(129, 400)] } else { shape(&mut self.rng, 8) };
        self.made += 1;
        New { buffer: self.made, shape }
    }

    fn name(&mut self, new: &New) {
        self.tensors.push((Base::Made(new.buffer), new.shape.clone()));
    }

    fn alloc(&mut self) -> Op {
        let new: Vec<New> = (0..1 + self.rng.below(3)).map(|_| self.new_tensor()).collect();
        new.iter().for_each(|new| self.name(new));
        Op::Alloc(new)
    }

    fn view(&mut self) -> (ViewOf, Vec<u32>) {
        // New tensors are more interesting than old ones.
        let recent = self.tensors.len().saturating_sub(4);
        let from = if self.rng.percent(50) { recent } else { 0 };
        let (base, mut shape) = self.tensors[from + self.rng.below(self.tensors.len() - from)].clone();
        let mut parts = Vec::new();
        for _ in 0..*self.rng.pick(&[0, 0, 1, 1, 1, 2]) {
            let part = self.part(&shape);
            shape.clone_from(&part.shape);
            parts.push(part);
        }
        let by_creator_only = self.rng.percent(7);
        (ViewOf { base, parts, by_creator_only }, shape)
    }

    fn part(&mut self, shape: &[u32]) -> Part {
        let mut part = Part { offsets: Vec::new(), shape: Vec::new() };
        for &length in shape {
            let (offset, end) = match self.rng.below(5) {
                0 => (0, length),
                1 => (0, length / 2),
                2 => (length / 2, length),
                _ => {
                    let (one, other) = (self.rng.range(0, length), self.rng.range(0, length));
                    (one.min(other), one.max(other))
                }
            };
            // Empty parts are possible, but of little use.
            let empty = offset == end && length > 0 && !self.rng.percent(10);
            part.offsets.push(if empty { offset.min(length - 1) } else { offset });
            part.shape.push(if empty { 1 } else { end - offset });
        }
        part
    }

    fn element(&mut self) -> (ViewOf, Vec<u32>) {
        let (view, shape) = self.view();
        let at = shape.iter().map(|&length| self.rng.range(0, length.max(1) - 1)).collect();
        (view, at)
    }

    fn read(&mut self) -> Op {
        let (view, at) = self.element();
        self.registers += 1;
        Op::Read { view, at, register: self.registers }
    }

    fn write(&mut self) -> Op {
        let (view, at) = self.element();
        Op::Write { view, at, value: self.rng.next() }
    }

    fn task(&mut self, clusters: u32) -> Task {
        self.tasks += 1;
        let cores = match self.rng.below(20) {
            0 | 1 => Cores::Dummy,
            2..8 => Cores::Aic,
            8..17 => Cores::Aiv,
            _ => Cores::Mix(*self.rng.pick(&[1, 2, 3, 4, 5, 6, 7, 7])),
        };
        let blocks = if self.rng.percent(80) { 1 } else { self.rng.range(1, 2 * clusters.min(6)) };
        let limit = if cores == Cores::Aiv { 2 * clusters } else { clusters };
        let after = self.after();
        let mut args = Vec::new();
        let most = if self.rng.percent(5) { MAX_TENSORS } else { 4 };
        for _ in 0..1 + self.rng.below(most) {
            args.push(self.arg());
        }
        for arg in &args {
            if let Arg::New(new) = arg {
                self.name(new);
            }
        }
        Task {
            id: self.tasks,
            cores,
            blocks,
            together: blocks <= limit && self.rng.percent(30),
            args,
            after,
            salt: self.rng.next(),
            register: (self.registers > 0 && self.rng.percent(30)).then_some(self.registers),
            delay: if self.rng.percent(75) { 0 } else { u64::from(self.rng.range(0, self.longest_delay)) },
        }
    }

    /// Explicit dependencies beyond those that are needed; now and then more than a task has room for.
    fn after(&mut self) -> Vec<usize> {
        if self.tasks > 70 && self.rng.percent(self.fan_in_chance) {
            let most = u32::try_from(self.tasks - 1).unwrap().min(120);
            let first = self.tasks - self.rng.range(60, most) as usize;
            return (first..self.tasks).collect();
        }
        let near = self.tasks.saturating_sub(12);
        let count = *self.rng.pick(&[0, 0, 0, 0, 1, 2]);
        (0..count).map(|_| near + self.rng.below(self.tasks - near)).collect()
    }

    fn arg(&mut self) -> Arg {
        if self.rng.percent(25) {
            return Arg::New(self.new_tensor());
        }
        let (view, _) = self.view();
        let (tag, role) = match self.rng.below(12) {
            0..5 => (Tag::Input, Role { reads: true, writes: false }),
            5..8 => (Tag::Inout, Role { reads: true, writes: true }),
            8..11 => (Tag::OutputExisting, Role::WRITE),
            _ => (Tag::NoDep, Role::from_code(self.rng.next() & 3)),
        };
        Arg::Old { tag, view, role }
    }
}
