//! Makes a program free of races, and says what comes out of it.
//!
//! The planner knows only what `spec/public-abi.md`, section D.5, promises: dependencies on creators, of
//! INPUT and INOUT on earlier registered writers whose elements they share, and explicit ones. Whatever else
//! conflicts gets an explicit dependency; readers, for one, are not tracked by the runtime.

use std::collections::HashMap;

use super::bits::Bits;
use super::kernel::{checksum, new_value};
use super::program::{Arg, Base, Cores, New, Op, Program, Role, Tag, Task, ViewOf, initial};
use super::rng::mix;

/// A program without races.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) program: Program,
    /// By allocation.
    pub(crate) expected: Vec<Vec<u64>>,
    /// Tasks that a run submits.
    pub(crate) tasks: u64,
}

/// A program without the ops that are not possible, with all dependencies that it needs.
pub(crate) fn plan(program: &Program) -> Plan {
    let mut planner = Planner::new(program);
    planner.open_scope(false);
    let mut ops = planner.ops(&program.ops);
    if planner.submitted == 0 {
        // A run without any task is none.
        ops.push(Op::Task(planner.fence_task(Vec::new(), Vec::new())));
        planner.submitted = 1;
    }
    let values = |memory: &Memory| memory.values.iter().map(|value| value.unwrap()).collect();
    let expected = planner.memories[..program.allocations.len()].iter().map(values).collect();
    let program = Program { ops, ..program.clone() };
    Plan { program, expected, tasks: planner.submitted }
}

/// A buffer, or memory outside of the rings.
struct Memory {
    /// Unknown until they are written.
    values: Vec<Option<u64>>,
    accesses: Vec<Access>,
    entries: Vec<Entry>,
    /// Entries there have ever been.
    inserted: usize,
    creator: Option<usize>,
}

struct Access {
    node: usize,
    writes: bool,
    elements: Bits,
}

/// A writer that the runtime's tensor map knows.
struct Entry {
    node: usize,
    /// First element of the tensor; the map tells buffers apart by their address.
    key: usize,
    elements: Bits,
}

/// Something that is ordered: a task, or an allocation.
struct Node {
    /// All that end before it starts, and itself.
    before: Bits,
    /// Producers that surely counted it as a consumer: those that had not left their scope when it was
    /// submitted. Of others the runtime may have known no more than that they had ended.
    consumes: Vec<usize>,
    /// Number of its scope.
    scope: usize,
    /// Its task id in the program; allocations have none.
    task: Option<usize>,
}

/// What a new task waits for.
struct Needs {
    /// All that end before it starts.
    before: Bits,
    /// Producers that the runtime finds itself.
    implied: Vec<usize>,
    /// Producers it is told.
    after: Vec<usize>,
    /// The most producers that the runtime may find itself.
    most_implied: usize,
}

#[derive(Clone, Copy, Default)]
struct Load {
    tasks: u64,
    bytes: u64,
    largest: u64,
    spill: u64,
}

struct Scope {
    number: usize,
    manual: bool,
    made: Vec<usize>,
}

struct Planner<'p> {
    program: &'p Program,
    memories: Vec<Memory>,
    /// Tensors that can be named: memory, first element, shape.
    tensors: HashMap<Base, Place>,
    nodes: Vec<Node>,
    by_task: HashMap<usize, usize>,
    next_task: usize,
    registers: HashMap<usize, u64>,
    /// What had ended when the orchestration last waited for something.
    settled: Bits,
    scopes: Vec<Scope>,
    opened: usize,
    rings: [Load; 4],
    submitted: u64,
}

#[derive(Clone)]
struct Place {
    memory: usize,
    offset: usize,
    shape: Vec<u32>,
}

/// A view, looked up.
struct Looked {
    memory: usize,
    key: usize,
    order: Vec<usize>,
    elements: Bits,
}

impl<'p> Planner<'p> {
    fn new(program: &'p Program) -> Self {
        let memory = |(index, own): (usize, &super::program::Allocation)| {
            let values = (0..own.elements).map(|at| Some(initial(program.seed, index, at))).collect();
            Memory { values, accesses: Vec::new(), entries: Vec::new(), inserted: 0, creator: None }
        };
        let place = |(index, (memory, tensor)): (usize, (usize, &super::program::External))| {
            let place = Place { memory, offset: tensor.offset, shape: tensor.shape.clone() };
            (Base::External(index), place)
        };
        Self {
            program,
            memories: program.allocations.iter().enumerate().map(memory).collect(),
            tensors: program.externals().enumerate().map(place).collect(),
            nodes: Vec::new(),
            by_task: HashMap::new(),
            next_task: highest_task(&program.ops) + 1,
            registers: HashMap::new(),
            settled: Bits::default(),
            scopes: Vec::new(),
            opened: 0,
            rings: [Load::default(); 4],
            submitted: 0,
        }
    }

    fn manual(&self) -> bool {
        self.scopes.last().unwrap().manual
    }

    /// Number of the innermost scope.
    fn scope(&self) -> usize {
        self.scopes.last().unwrap().number
    }

    fn ring(&self) -> usize {
        (self.scopes.len() - 1).min(3)
    }

    fn open_scope(&mut self, manual: bool) {
        self.scopes.push(Scope { number: self.opened, manual, made: Vec::new() });
        self.opened += 1;
        // Deeper scopes share the last ring: what is alive there may stay until the outermost of them closes.
        if self.scopes.len() <= 4 {
            self.rings[self.ring()] = Load::default();
        }
    }

    fn close_scope(&mut self) {
        for buffer in self.scopes.pop().unwrap().made {
            self.tensors.remove(&Base::Made(buffer));
        }
    }

    fn ops(&mut self, ops: &[Op]) -> Vec<Op> {
        let mut planned = Vec::new();
        for op in ops {
            match op {
                Op::Scope { manual, ops } => {
                    let manual = *manual || self.manual();
                    self.open_scope(manual);
                    let ops = self.ops(ops);
                    self.close_scope();
                    planned.push(Op::Scope { manual, ops });
                }
                Op::Task(task) => planned.extend(self.task(task).map(Op::Task)),
                Op::Alloc(new) => planned.extend(self.alloc(new)),
                Op::Read { view, at, register } => {
                    if self.settle(view, at, false, &mut planned).is_some_and(|value| {
                        self.registers.insert(*register, value);
                        true
                    }) {
                        planned.push(op.clone());
                    }
                }
                Op::Write { view, at, value } => {
                    if self.settle(view, at, true, &mut planned).is_some() {
                        let looked = self.look_up(view).unwrap();
                        let element = self.element(view, &looked, at);
                        self.memories[looked.memory].values[element] = Some(*value);
                        planned.push(op.clone());
                    }
                }
            }
        }
        planned
    }

    fn look_up(&self, view: &ViewOf) -> Option<Looked> {
        let place = self.tensors.get(&view.base)?;
        let order: Vec<usize> = view.elements(&place.shape).into_iter().map(|at| at + place.offset).collect();
        let elements = order.iter().copied().collect();
        Some(Looked { memory: place.memory, key: place.offset, order, elements })
    }

    fn element(&self, view: &ViewOf, looked: &Looked, at: &[u32]) -> usize {
        let shape = view.shape(&self.tensors[&view.base].shape);
        let index =
            at.iter().zip(shape).fold(0usize, |index, (&at, &length)| index * length as usize + at as usize);
        looked.order[index]
    }

    /// Counts a task in, if the ring has room for it whatever happens.
    fn take_room(&mut self, outputs: &[&New], producers: usize) -> bool {
        let setup = &self.program.setup;
        let bytes: u64 = outputs.iter().map(|new| output_bytes(&new.shape)).sum();
        let ring = self.ring();
        let mut load = self.rings[ring];
        let used = load.bytes;
        load.tasks += 1;
        load.bytes += bytes;
        load.largest = load.largest.max(bytes);
        load.spill += producers.saturating_sub(64) as u64;
        // At the end of the heap up to one block is lost; an empty heap has room for a block of its size.
        let heap_fits =
            bytes == 0 || load.bytes + load.largest < setup.heap || (used == 0 && bytes <= setup.heap);
        let fits =
            load.tasks < u64::from(setup.window) && heap_fits && load.spill <= u64::from(setup.dep_pool);
        if fits {
            self.rings[ring] = load;
            self.submitted += 1;
        }
        fits
    }

    fn make(&mut self, new: &New, creator: usize, known: bool) {
        let elements: usize = new.shape.iter().map(|&length| length as usize).product();
        let accesses = if known {
            vec![Access { node: creator, writes: true, elements: (0..elements).collect() }]
        } else {
            Vec::new()
        };
        let memory = self.memories.len();
        self.memories.push(Memory {
            values: vec![None; elements],
            accesses,
            entries: Vec::new(),
            inserted: 0,
            creator: Some(creator),
        });
        self.tensors.insert(Base::Made(new.buffer), Place { memory, offset: 0, shape: new.shape.clone() });
        self.scopes.last_mut().unwrap().made.push(new.buffer);
    }

    fn alloc(&mut self, new: &[New]) -> Option<Op> {
        if !self.take_room(&new.iter().collect::<Vec<_>>(), 0) {
            return None;
        }
        let node = self.nodes.len();
        // It is complete when the call returns.
        self.settled.insert(node);
        self.nodes.push(Node {
            before: [node].into_iter().collect(),
            consumes: Vec::new(),
            scope: self.scope(),
            task: None,
        });
        new.iter().for_each(|new| self.make(new, node, false));
        Some(Op::Alloc(new.to_vec()))
    }

    /// Registered writers that a lookup of this view must find.
    fn writers(&self, looked: &Looked) -> impl Iterator<Item = usize> {
        let found = self.memories[looked.memory].entries.iter();
        found
            .filter(|entry| entry.key == looked.key && entry.elements.meets(&looked.elements))
            .map(|entry| entry.node)
    }

    fn task(&mut self, task: &Task) -> Option<Task> {
        let mut task = task.clone();
        task.args.retain(|arg| self.is_possible(arg));
        task.register = task.register.filter(|register| self.registers.contains_key(register));
        self.weaken(&mut task);
        let mut needs = self.needs(&task);
        self.resolve_conflicts(&task, &mut needs);
        needs.after.sort_unstable();
        needs.after.dedup();

        let outputs: Vec<&New> = task.args.iter().filter_map(Arg::new_tensor).collect();
        if !self.take_room(&outputs, needs.most_implied + needs.after.len()) {
            return None;
        }
        task.after = needs.after.iter().map(|&node| self.nodes[node].task.unwrap()).collect();
        let node = self.nodes.len();
        needs.before.insert(node);
        let is_open = |&node: &usize| self.scopes.iter().any(|scope| scope.number == self.nodes[node].scope);
        let consumes = needs.implied.iter().chain(&needs.after).copied().filter(is_open).collect();
        self.nodes.push(Node { before: needs.before, consumes, scope: self.scope(), task: Some(task.id) });
        self.by_task.insert(task.id, node);
        self.register(&task, node);
        self.execute(&task, node);
        Some(task)
    }

    fn is_possible(&self, arg: &Arg) -> bool {
        let Arg::Old { view, .. } = arg else { return true };
        let Some(place) = self.tensors.get(&view.base) else { return false };
        let creator = self.memories[place.memory].creator;
        // In a MANUAL scope nothing keeps an allocation alive, as it has no id to depend on.
        !self.manual() || creator.is_none_or(|creator| self.nodes[creator].task.is_some())
    }

    /// What a task waits for by the rules of its tags, and because its author says so.
    fn needs(&self, task: &Task) -> Needs {
        let after = task.after.iter().filter_map(|id| self.by_task.get(id)).copied().collect();
        let mut needs = Needs { before: self.settled.clone(), implied: Vec::new(), after, most_implied: 0 };
        for arg in &task.args {
            let Arg::Old { tag, view, .. } = arg else { continue };
            let looked = self.look_up(view).unwrap();
            let memory = &self.memories[looked.memory];
            if self.manual() {
                // Not implied there, but its memory must not be given to others.
                needs.after.extend(memory.creator);
                continue;
            }
            needs.implied.extend(memory.creator);
            needs.most_implied += 1;
            if matches!(tag, Tag::Input | Tag::Inout) && !view.by_creator_only {
                needs.implied.extend(self.writers(&looked));
                // Those of other made buffers may have had the same address.
                needs.most_implied += match view.base {
                    Base::External(_) => memory.inserted,
                    Base::Made(_) => {
                        self.memories.iter().filter(|m| m.creator.is_some()).map(|m| m.inserted).sum()
                    }
                };
            }
        }
        let alive = 4 * (self.program.setup.window as usize - 1);
        needs.most_implied = needs.most_implied.min(alive);
        for &node in needs.implied.iter().chain(&needs.after) {
            needs.before.add_all(&self.nodes[node].before);
        }
        needs
    }

    /// Takes away roles that would make the result depend on chance.
    fn weaken(&self, task: &mut Task) {
        let known = |looked: &Looked| {
            looked.order.iter().all(|&element| self.memories[looked.memory].values[element].is_some())
        };
        let mut written: Vec<Looked> = Vec::new();
        let mut overlapping_writes = false;
        for arg in &mut task.args {
            let Arg::Old { view, role, .. } = arg else { continue };
            let looked = self.look_up(view).unwrap();
            if task.cores == Cores::Dummy {
                *role = Role::default();
            }
            role.reads &= known(&looked);
            if role.writes {
                let meets =
                    |other: &Looked| other.memory == looked.memory && other.elements.meets(&looked.elements);
                overlapping_writes |= written.iter().any(meets);
                written.push(looked);
            }
        }
        if overlapping_writes && task.parts() > 1 {
            (task.cores, task.blocks, task.together) = (Cores::Aiv, 1, false);
        }
        if task.parts() == 1 {
            return;
        }
        for arg in &mut task.args {
            let Arg::Old { view, role, .. } = arg else { continue };
            let looked = self.look_up(view).unwrap();
            let meets =
                |other: &Looked| other.memory == looked.memory && other.elements.meets(&looked.elements);
            role.reads &= role.writes || !written.iter().any(meets);
        }
    }

    /// Adds explicit dependencies on all earlier accesses that conflict and are not ordered yet.
    fn resolve_conflicts(&self, task: &Task, needs: &mut Needs) {
        for arg in &task.args {
            let Arg::Old { view, role, .. } = arg else { continue };
            if !role.reads && !role.writes {
                continue;
            }
            let looked = self.look_up(view).unwrap();
            for access in self.memories[looked.memory].accesses.iter().rev() {
                let conflict = (role.writes || access.writes) && access.elements.meets(&looked.elements);
                if conflict && !needs.before.contains(access.node) {
                    needs.before.add_all(&self.nodes[access.node].before);
                    needs.after.push(access.node);
                }
            }
        }
    }

    fn register(&mut self, task: &Task, node: usize) {
        if self.manual() {
            return;
        }
        let mut new = Vec::new();
        for arg in &task.args {
            let Arg::Old { tag, view, .. } = arg else { continue };
            if view.by_creator_only || !matches!(tag, Tag::Inout | Tag::OutputExisting) {
                continue;
            }
            let Looked { memory, key, elements, .. } = self.look_up(view).unwrap();
            if *tag == Tag::Inout {
                // The runtime forgets writers that this one covers.
                let covered = |entry: &Entry| entry.key == key && entry.elements.is_subset(&elements);
                self.memories[memory].entries.retain(|entry| !covered(entry));
            }
            new.push((memory, Entry { node, key, elements }));
        }
        for (memory, entry) in new {
            self.memories[memory].entries.push(entry);
            self.memories[memory].inserted += 1;
        }
    }

    /// Computes what the task writes, and notes what it touches.
    fn execute(&mut self, task: &Task, node: usize) {
        let mut sum = self.salt(task);
        let mut written = Vec::new();
        for (index, arg) in task.args.iter().enumerate() {
            match arg {
                Arg::Old { view, role, .. } => {
                    let looked = self.look_up(view).unwrap();
                    if *role == (Role { reads: true, writes: false }) {
                        sum = checksum(
                            sum,
                            looked.order.iter().map(|&at| self.memories[looked.memory].values[at].unwrap()),
                        );
                    }
                    if role.reads || role.writes {
                        let access = Access { node, writes: role.writes, elements: looked.elements.clone() };
                        self.memories[looked.memory].accesses.push(access);
                    }
                    if role.writes {
                        written.push((index, looked.memory, looked.order, role.reads));
                    }
                }
                Arg::New(new) => {
                    let known = task.cores != Cores::Dummy;
                    self.make(new, node, known);
                    let memory = self.memories.len() - 1;
                    if known {
                        written.push((
                            index,
                            memory,
                            (0..self.memories[memory].values.len()).collect(),
                            false,
                        ));
                    }
                }
            }
        }
        for (index, memory, order, reads) in written {
            for (at, &element) in order.iter().enumerate() {
                let value = &mut self.memories[memory].values[element];
                let old = if reads { value.unwrap() } else { 0 };
                *value = Some(new_value(sum, index, at, old));
            }
        }
    }

    fn salt(&self, task: &Task) -> u64 {
        task.register.map_or(task.salt, |register| mix(task.salt, self.registers[&register]))
    }

    /// The orchestration waits for an element: its value, if the wait is enough, where needed by means of one
    /// more task that comes behind all that touch it.
    fn settle(&mut self, view: &ViewOf, at: &[u32], readers_too: bool, planned: &mut Vec<Op>) -> Option<u64> {
        let looked = self.look_up(view)?;
        if looked.order.is_empty() {
            return None;
        }
        let element = self.element(view, &looked, at);
        let value = self.memories[looked.memory].values[element];
        if !readers_too && value.is_none() {
            return None;
        }
        let waited_for = self.waited_for(&looked, view, readers_too);
        if !self.conflicts(&looked, element, readers_too, &waited_for).is_empty() {
            if self.manual() || view.by_creator_only {
                return None;
            }
            // All of them: the runtime forgets the writers that the fence covers, and so their readers.
            let conflicts = self.conflicts(&looked, element, readers_too, &self.settled);
            let after = conflicts.iter().map(|&node| self.nodes[node].task.unwrap()).collect();
            let arg = Arg::Old { tag: Tag::Inout, view: view.clone(), role: Role::default() };
            let fence = self.fence_task(vec![arg], after);
            planned.push(Op::Task(self.task(&fence)?));
            let waited_for = self.waited_for(&looked, view, readers_too);
            assert!(
                self.conflicts(&looked, element, readers_too, &waited_for).is_empty(),
                "a fence orders all"
            );
        }
        self.settled = self.waited_for(&looked, view, readers_too);
        Some(value.unwrap_or(0))
    }

    fn fence_task(&mut self, args: Vec<Arg>, after: Vec<usize>) -> Task {
        let id = self.next_task;
        self.next_task += 1;
        let (cores, salt) = (Cores::Dummy, 0);
        Task { id, cores, blocks: 1, together: false, args, after, salt, register: None, delay: 0 }
    }

    /// What has ended when the runtime's wait for a view returns.
    fn waited_for(&self, looked: &Looked, view: &ViewOf, readers_too: bool) -> Bits {
        let mut producers: Vec<usize> = self.memories[looked.memory].creator.into_iter().collect();
        if !view.by_creator_only {
            producers.extend(self.writers(looked));
        }
        let mut ended = self.settled.clone();
        for &producer in &producers {
            ended.add_all(&self.nodes[producer].before);
        }
        if readers_too {
            let consumers =
                self.nodes.iter().filter(|node| node.consumes.iter().any(|to| producers.contains(to)));
            consumers.for_each(|node| ended.add_all(&node.before));
        }
        ended
    }

    /// Conflicting accesses to an element that have not ended.
    fn conflicts(&self, looked: &Looked, element: usize, writes: bool, ended: &Bits) -> Vec<usize> {
        let accesses = self.memories[looked.memory].accesses.iter();
        accesses
            .filter(|access| (writes || access.writes) && access.elements.contains(element))
            .map(|access| access.node)
            .filter(|&node| !ended.contains(node))
            .collect()
    }
}

/// Bytes that an output takes.
fn output_bytes(shape: &[u32]) -> u64 {
    let elements: u64 = shape.iter().map(|&length| u64::from(length)).product();
    (8 * elements).next_multiple_of(1024)
}

fn highest_task(ops: &[Op]) -> usize {
    let highest = |op: &Op| match op {
        Op::Scope { ops, .. } => highest_task(ops),
        Op::Task(task) => task.id,
        _ => 0,
    };
    ops.iter().map(highest).max().unwrap_or(0)
}
