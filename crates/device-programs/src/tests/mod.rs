//! Both programs against each other and against silence, with budgets that a test can wait for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report of a test")]

mod block;
mod records;
mod sinks;

use std::alloc::{Layout as BlockLayout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytemuck::Zeroable as _;
use device_runner::{CoreId, DevPtr, GlobalMemory as _, Topology};
use host_build_graph::image::{Layout, Task};
use task_interface::CoreType;

use crate::aicore::{self, Core, CoreError, Entries, Identity, Launch, TaskSource};
use crate::aicpu::{self, Aicpu, HostBuildGraph};
use crate::chip::{self, Chip, RegisterMap};
use crate::memory::DeviceMemory;
use crate::protocol::{LEFT, NO_TASK};
use crate::records::RecordPlaces;

type Function = extern "C" fn(*mut i64);

const SHORT: Duration = Duration::from_millis(200);

/// An image, and registers for each core, all zero at first.
struct Machine {
    chip: &'static Chip,
    topology: Topology,
    image: *mut u8,
    layout: BlockLayout,
    offsets: Layout,
    blocks: Vec<AtomicU64>,
    table: Vec<u64>,
    places: RecordPlaces,
}

// SAFETY: the image is reached by address only, as on a device.
unsafe impl Sync for Machine {}

const BLOCK_WORDS: usize = 0x6000 / 8;

impl Machine {
    fn new(chip: &'static Chip, block_dim: u32, threads: u32) -> Self {
        let offsets = Layout::of(chip.arch).unwrap();
        let layout = BlockLayout::from_size_align(offsets.bytes, 64).unwrap();
        // SAFETY: the layout has a size.
        let image = unsafe { alloc_zeroed(layout) };
        assert!(!image.is_null());
        let topology = Topology::new(block_dim);
        let cores = topology.cores() as usize;
        let blocks: Vec<_> = (0..cores * BLOCK_WORDS).map(|_| AtomicU64::new(0)).collect();
        let base = |core: usize| (&raw const blocks[core * BLOCK_WORDS]).expose_provenance() as u64;
        let mut table: Vec<u64> = (0..cores).map(base).collect();
        table.resize(chip.arch.limits().physical_core_ids as usize, 0);
        let machine =
            Self { chip, topology, image, layout, offsets, blocks, table, places: RecordPlaces::default() };
        machine.write(offsets.worker_count, &[topology.cores(), threads].map(u32::to_le_bytes).concat());
        machine
    }

    fn memory() -> DeviceMemory {
        // SAFETY: tests give it addresses of machines.
        unsafe { DeviceMemory::new() }
    }

    fn runtime(&self) -> u64 {
        self.image.expose_provenance() as u64
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        Self::memory().copy_to_device(DevPtr::new(self.runtime() + offset as u64), bytes).unwrap();
    }

    /// One task for each function, all of them at once, on AIV cores.
    fn set_tasks(&self, functions: &[Function]) {
        for (index, function) in functions.iter().enumerate() {
            let task = Task {
                task_id: i32::try_from(index).unwrap(),
                core_type: CoreType::Aiv.raw(),
                function_bin_addr: (*function as *const ()).expose_provenance() as u64,
                ..Task::zeroed()
            };
            self.write(self.offsets.task(index).unwrap(), bytemuck::bytes_of(&task));
        }
        // The number of tasks is behind the last one that there can be.
        let count = self.offsets.tasks + task_interface::RUNTIME_MAX_TASKS * size_of::<Task>();
        self.write(count, &i32::try_from(functions.len()).unwrap().to_le_bytes());
    }

    fn aicpu(&self, budgets: aicpu::Budgets) -> Aicpu {
        Aicpu::new(self.chip, &HostBuildGraph, budgets)
    }

    fn execute(&self, aicpu: &Aicpu) -> i32 {
        // SAFETY: image and registers are the machine's, which the caller keeps.
        unsafe { aicpu.execute(self.runtime(), self.registers(), self.places) }
    }

    fn run_core(
        &self,
        core: u32,
        budgets: aicore::Budgets,
        killed: &dyn Fn() -> bool,
    ) -> Result<(), CoreError> {
        let worker = CoreId(core);
        let registers = self.registers();
        let core = Core {
            chip: self.chip,
            launch: Launch {
                runtime: self.runtime(),
                registers,
                map: RegisterMap::Simulated,
                places: self.places,
            },
            identity: Identity { worker, core_type: self.topology.core_type(worker), physical: core },
            tasks: TaskSource::HostBuildGraph,
            entries: Entries::Functions,
            budgets,
            killed,
        };
        // SAFETY: as above.
        unsafe { core.run() }
    }

    fn registers(&self) -> u64 {
        self.table.as_ptr().expose_provenance() as u64
    }

    fn block(&self, core: u32) -> chip::Block {
        // SAFETY: as above.
        unsafe { self.chip.block(RegisterMap::Simulated, self.registers(), core) }.unwrap()
    }

    fn register(&self, core: u32, name: &str) -> u32 {
        self.block(core).register(name).unwrap().load()
    }

    /// Runs both programs; what the AICPU threads and the cores say.
    fn run(&self, aicpu: &Aicpu, threads: u32) -> (Vec<i32>, Vec<Result<(), CoreError>>) {
        std::thread::scope(|scope| {
            let spawn_core =
                |core| scope.spawn(move || self.run_core(core, aicore::Budgets::USUAL, &|| false));
            let cores: Vec<_> = (0..self.topology.cores()).map(spawn_core).collect();
            let aicpus: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.execute(aicpu))).collect();
            let codes = aicpus.into_iter().map(|thread| thread.join().unwrap()).collect();
            (codes, cores.into_iter().map(|core| core.join().unwrap()).collect())
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        assert!(!self.blocks.is_empty());
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.image, self.layout) };
    }
}

fn short() -> aicpu::Budgets {
    aicpu::Budgets { handshake: SHORT, idle: SHORT, exit: SHORT }
}

#[test]
fn tasks_run_and_cores_leave() {
    static RUNS: AtomicI64 = AtomicI64::new(0);
    extern "C" fn count(_args: *mut i64) {
        RUNS.fetch_add(1, Ordering::Relaxed);
    }
    for (round, chip) in (1..).zip([&chip::A2A3, &chip::A5]) {
        let machine = Machine::new(chip, 2, 3);
        machine.set_tasks(&[count as Function; 9]);
        let (codes, cores) = machine.run(&machine.aicpu(aicpu::Budgets::USUAL), 3);
        assert_eq!(codes, [0; 3]);
        assert!(cores.iter().all(Result::is_ok), "{cores:?}");
        assert_eq!(RUNS.load(Ordering::Relaxed), 9 * round);
        for core in 0..6 {
            assert_eq!(
                (machine.register(core, "COND"), machine.register(core, "DATA_MAIN_BASE")),
                (LEFT, NO_TASK)
            );
        }
    }
}

/// A kernel that does not return ends the run, though its core cannot be got back; the others leave.
#[test]
fn a_kernel_that_does_not_return_is_given_up() {
    static RELEASED: AtomicBool = AtomicBool::new(false);
    extern "C" fn hang(_args: *mut i64) {
        while !RELEASED.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let machine = Machine::new(&chip::A2A3, 1, 2);
    machine.set_tasks(&[hang as Function]);
    let aicpu = machine.aicpu(aicpu::Budgets { handshake: aicpu::Budgets::USUAL.handshake, ..short() });
    std::thread::scope(|scope| {
        let cores: Vec<_> = (0..3)
            .map(|core| {
                let machine = &machine;
                scope.spawn(move || machine.run_core(core, aicore::Budgets::USUAL, &|| false))
            })
            .collect();
        let second = scope.spawn(|| machine.execute(&aicpu));
        assert_ne!(machine.execute(&aicpu), 0);
        assert_ne!(second.join().unwrap(), 0);
        RELEASED.store(true, Ordering::Release);
        for core in cores {
            // It was told to leave while it could not hear it.
            core.join().unwrap().unwrap();
        }
    });
    assert!((0..3).all(|core| machine.register(core, "COND") == LEFT));
}

#[test]
fn without_cores_the_run_ends_and_those_that_come_late_leave_without_a_task() {
    let machine = Machine::new(&chip::A5, 1, 1);
    machine.set_tasks(&[]);
    let started = Instant::now();
    assert_eq!(machine.execute(&machine.aicpu(short())), -1);
    assert!(started.elapsed() >= SHORT);
    let late = machine.run_core(1, aicore::Budgets::USUAL, &|| false).unwrap_err();
    assert!(matches!(late, CoreError::NoAicpu { core: CoreId(1), lacks: "gave up" }), "{late}");
    assert_eq!(machine.register(1, "COND"), LEFT);
}

#[test]
fn cores_without_an_aicpu_program_leave() {
    let machine = Machine::new(&chip::A2A3, 1, 1);
    let hasty = aicore::Budgets { handshake: SHORT, task: SHORT };
    let error = machine.run_core(0, hasty, &|| false).unwrap_err();
    assert!(matches!(error, CoreError::NoAicpu { lacks: "does not come", .. }), "{error}");
    let error = machine.run_core(0, aicore::Budgets::USUAL, &|| true).unwrap_err();
    assert!(matches!(error, CoreError::Killed(CoreId(0))), "{error}");
}

#[test]
fn images_that_cannot_be_are_refused_by_every_thread_and_cores_are_let_go() {
    let machine = Machine::new(&chip::A2A3, 1, 1);
    machine.write(machine.offsets.task(0).unwrap(), &7i32.to_le_bytes());
    let count = machine.offsets.tasks + task_interface::RUNTIME_MAX_TASKS * size_of::<Task>();
    machine.write(count, &1i32.to_le_bytes());
    let (codes, cores) = machine.run(&machine.aicpu(aicpu::Budgets::USUAL), 1);
    assert_eq!(codes, [-1]);
    assert!(cores.iter().all(Result::is_ok), "{cores:?}");
    for (cores, threads) in [(0i32, 1i32), (4, 1), (-3, 1), (75, 1), (3, 0), (3, 5)] {
        machine.write(machine.offsets.worker_count, &[cores, threads].map(i32::to_le_bytes).concat());
        assert_eq!(machine.execute(&machine.aicpu(short())), -1, "{cores} cores, {threads} threads");
    }
}

#[test]
fn launches_without_arguments_or_image_are_refused() {
    let args = arch_a2a3::KernelArgs::zeroed();
    let aicpu = Aicpu::new(&chip::A2A3, &HostBuildGraph, short());
    for address in [0, (&raw const args).expose_provenance() as u64] {
        // SAFETY: either null, or arguments without an image.
        unsafe {
            assert_eq!((aicpu.init(address), aicpu.exec(address)), (-1, -1));
        }
    }
    // SAFETY: null.
    assert_eq!(unsafe { aicpu.execute(0, 0, RecordPlaces::default()) }, -1);
}
