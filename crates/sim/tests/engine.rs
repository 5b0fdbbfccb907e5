//! The engine: kernels that fail, block on each other, and never return.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use common::{Bench, Gate, ListProgram, Task, native};
use device_runner::{
    Chip, CoreId, Cores, Device, DeviceError, DeviceOrchestration, DeviceProgram, DeviceTime, DeviceUsage,
    Dispatch, KernelArgs, TaskId, WaitingTask,
};
use task_interface::CoreType;

/// Far longer than any of these tests should take.
const PATIENT: Duration = Duration::from_secs(50);

fn tasks(core_type: CoreType, count: u32, first_kernel: u32) -> impl Iterator<Item = Task> {
    (first_kernel..first_kernel + count).map(move |kernel| Task { kernel, core_type, after: None })
}

#[test]
fn device_time_is_that_of_all_cores() {
    let cores = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&cores);
    let sleep = native("sleep", move |kernel| {
        seen.lock().unwrap().insert(kernel.core());
        std::thread::sleep(Duration::from_millis(2));
        Ok(())
    });
    let bench = Bench::new(1, PATIENT, vec![sleep]);
    let run = |block_dim| {
        let task = Task { kernel: 0, core_type: CoreType::Aiv, after: None };
        let outcome = bench.run(block_dim, ListProgram::new(vec![task; 12])).unwrap();
        (std::mem::take(&mut *cores.lock().unwrap()).len(), outcome.device_wall_ns)
    };
    // Twelve tasks on two cores take six in a row; on twelve cores each has its own, whatever the CPUs here.
    let (used, wall) = run(1);
    assert!(used == 2 && wall >= 12_000_000, "{used} cores, {wall} ns");
    let (used, wall) = run(6);
    assert!(used == 12 && wall >= 2_000_000, "{used} cores, {wall} ns");
}

#[test]
fn kernels_that_block_on_each_other_meet_with_one_permit() {
    let (first, second) = (Gate::default(), Gate::default());
    let (open_second, wait_first) = (second.clone(), first.clone());
    let bench = Bench::new(
        1,
        PATIENT,
        vec![
            native("waits", move |_| {
                wait_first.wait();
                open_second.open();
                Ok(())
            }),
            native("opens", move |_| {
                first.open();
                second.wait();
                Ok(())
            }),
        ],
    );
    let outcome = bench.run(1, ListProgram::independent(2)).unwrap();
    assert_eq!(outcome.program.completed(), 2);
}

#[test]
fn all_cores_of_a_chip_meet_at_a_barrier_with_one_permit() {
    let barrier = Arc::new(Barrier::new(108));
    let kernels = (0..108).map(|_| {
        let barrier = Arc::clone(&barrier);
        native("barrier", move |_| {
            barrier.wait();
            Ok(())
        })
    });
    let bench = Bench::new(1, PATIENT, kernels.collect());
    for _ in 0..2 {
        let list = tasks(CoreType::Aic, 36, 0).chain(tasks(CoreType::Aiv, 72, 36)).collect();
        assert_eq!(bench.run(36, ListProgram::new(list)).unwrap().program.completed(), 108);
        // Threads for blocked kernels are not kept.
        while bench.device.usage().threads > 3 {
            std::thread::yield_now();
        }
    }
    bench.device.reset().unwrap();
    assert_eq!(bench.device.usage(), DeviceUsage::default());
}

#[test]
fn kernels_that_wait_in_a_loop_meet_with_one_permit() {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let bench = Bench::new(
        1,
        PATIENT,
        vec![
            native("spins", move |_| {
                while !flag.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                Ok(())
            }),
            native("sets", move |_| {
                set.store(true, Ordering::Release);
                Ok(())
            }),
        ],
    );
    assert_eq!(bench.run(1, ListProgram::independent(2)).unwrap().program.completed(), 2);
}

#[test]
fn kernels_that_wait_for_each_other_for_ever_are_a_deadlock() {
    let gate = Gate::default();
    let never = gate.clone();
    let bench = Bench::new(
        2,
        PATIENT,
        vec![native("waits", move |_| {
            never.wait();
            Ok(())
        })],
    );
    let waits = Task { kernel: 0, core_type: CoreType::Aiv, after: None };
    let program = || ListProgram::new(vec![waits, waits, Task { after: Some(1), ..waits }]);
    let error = bench.run(1, program()).unwrap_err();
    let DeviceError::Stalled(stall) = &error else { panic!("{error}") };
    let running: Vec<_> = stall.running.iter().map(|task| (task.task, task.kernel.as_str())).collect();
    assert_eq!(running, [(TaskId(0), "waits"), (TaskId(1), "waits")]);
    assert_eq!((stall.waiting[0].task, &stall.waiting[0].unmet), (TaskId(2), &vec![TaskId(1)]));
    assert!(error.leaves_device_unusable());
    assert_eq!(bench.device.usage().abandoned_threads, 2);
    assert!(matches!(bench.run(1, program()), Err(DeviceError::Unusable { .. })));
    // The device's own things can be given back all the same, and the threads go when the kernels return.
    bench.device.reset().unwrap();
    gate.open();
    bench.await_no_abandoned_threads();
    assert_eq!(bench.device.usage(), DeviceUsage::default());
}

#[test]
fn a_kernel_that_never_returns_is_given_up_and_its_memory_stays() {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let bench = Bench::new(
        1,
        Duration::from_millis(300),
        vec![native("spins", move |kernel| {
            while !stopped.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            kernel.write(kernel.ptr(1), &[1u8]).map_err(|_| "refused".into())
        })],
    );
    let error = bench.run(1, ListProgram::independent(1)).unwrap_err();
    let DeviceError::Watchdog { stall, .. } = &error else { panic!("{error}") };
    let running = &stall.running;
    assert_eq!((running.len(), running[0].task, running[0].core_type), (1, TaskId(0), CoreType::Aiv));
    assert!(error.to_string().contains("task 0 (spins) on AIV core 1"), "{error}");
    stop.store(true, Ordering::Release);
    bench.await_no_abandoned_threads();
}

#[test]
fn a_program_that_cannot_go_on_ends_at_once() {
    let bench = Bench::new(1, PATIENT, vec![native("none", |_| Ok(()))]);
    let task = Task { kernel: 0, core_type: CoreType::Aiv, after: None };
    let circle =
        ListProgram::new(vec![task, Task { after: Some(2), ..task }, Task { after: Some(1), ..task }]);
    let error = bench.run(1, circle).unwrap_err();
    let DeviceError::Stalled(stall) = &error else { panic!("{error}") };
    assert_eq!((stall.completed, stall.running.len(), stall.waiting.len()), (1, 0, 2));
    assert!(!error.leaves_device_unusable());
    // Nothing startable from the beginning, and nothing to do at all.
    assert!(matches!(
        bench.run(1, ListProgram::new(vec![Task { after: Some(0), ..task }])),
        Err(DeviceError::Stalled(_))
    ));
    assert_eq!(bench.run(1, ListProgram::new(vec![])).unwrap().device_wall_ns, 0);
}

#[test]
fn a_failing_kernel_ends_the_run_and_the_device_goes_on() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let bench = Bench::new(
        1,
        PATIENT,
        vec![
            native("fails", |_| Err("no".into())),
            native("panics", |_| panic!("oh")),
            native("counts", move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }),
        ],
    );
    for (kernel, text) in [(0, "no"), (1, "panicked")] {
        let task = Task { kernel, core_type: CoreType::Aic, after: None };
        let after = Task { kernel: 2, after: Some(0), ..task };
        let error = bench.run(1, ListProgram::new(vec![task, after])).unwrap_err();
        assert!(matches!(error, DeviceError::KernelFailed { task: TaskId(0), .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0, "what depends on a failed task must not run");
    let task = Task { kernel: 2, core_type: CoreType::Aic, after: None };
    bench.run(1, ListProgram::new(vec![task; 100])).unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 100);
}

#[test]
fn dropping_a_run_stops_it_and_still_frees_kernels_that_wait_for_others() {
    let (started, gate) = (Gate::default(), Gate::default());
    let (running, wait, open) = (started.clone(), gate.clone(), gate);
    let last = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&last);
    let bench = Bench::new(
        1,
        PATIENT,
        vec![
            native("waits", move |_| {
                running.open();
                wait.wait();
                Ok(())
            }),
            native("opens", move |_| {
                open.open();
                Ok(())
            }),
            native("last", move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }),
        ],
    );
    let task = |kernel, after| Task { kernel, core_type: CoreType::Aiv, after };
    let program = ListProgram::new(vec![task(0, None), task(1, None), task(2, Some(0)), task(2, Some(1))]);
    let run = bench.launch(1, program).unwrap();
    assert!(matches!(bench.launch(1, ListProgram::new(vec![])), Err(DeviceError::Busy)));
    started.wait();
    drop(run);
    assert!(last.load(Ordering::Relaxed) <= 1, "a stopped run starts no more than it needs to end");
    bench.run(1, ListProgram::new(vec![task(2, None)])).unwrap();
}

#[test]
fn polling_alone_brings_a_run_to_its_end() {
    let barrier = Arc::new(Barrier::new(3));
    let kernels = (0..3).map(|_| {
        let barrier = Arc::clone(&barrier);
        native("barrier", move |_| {
            barrier.wait();
            Ok(())
        })
    });
    let bench = Bench::new(1, PATIENT, kernels.collect());
    let list = tasks(CoreType::Aic, 1, 0).chain(tasks(CoreType::Aiv, 2, 1)).collect();
    let mut run = bench.launch(1, ListProgram::new(list)).unwrap();
    while !run.poll() {
        std::thread::yield_now();
    }
    assert_eq!(run.wait().unwrap().program.completed(), 3);
}

#[test]
fn many_short_runs_and_many_devices_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let bench = Bench::new(2, PATIENT, vec![native("none", |_| Ok(()))]);
                let task = Task { kernel: 0, core_type: CoreType::Aiv, after: None };
                for count in (0..200).map(|run| run % 7) {
                    let outcome = bench.run(3, ListProgram::new(vec![task; count])).unwrap();
                    assert_eq!(outcome.program.completed(), count as u64);
                }
            });
        }
    });
}

#[test]
fn device_ids_that_do_not_fit_the_c_api_do_not_exist() {
    let error = sim::SimDevice::new(1 << 31, sim::SimOptions::default()).unwrap_err();
    assert!(matches!(error, DeviceError::NoSuchDevice { .. }), "{error}");
}

/// Adds tasks one by one, never more than `window` that have not ended; waits for them where it has to.
struct Feeder {
    program: Arc<Mutex<FedState>>,
    total: usize,
    window: usize,
    told: Arc<Mutex<Vec<bool>>>,
}

#[derive(Default)]
struct FedState {
    added: usize,
    started: usize,
    ended: usize,
    fed: bool,
}

struct FedProgram {
    state: Arc<Mutex<FedState>>,
    feeder: Option<Box<Feeder>>,
    followers: u32,
}

impl DeviceOrchestration for Feeder {
    fn run(self: Box<Self>, chip: &dyn Chip) {
        let mut seen = chip.progress();
        while self.program.lock().unwrap().added < self.total {
            let full = {
                let mut state = self.program.lock().unwrap();
                let full = state.added - state.ended >= self.window;
                state.added += usize::from(!full);
                full
            };
            if full {
                let told = chip.wait_beyond(seen);
                self.told.lock().unwrap().push(told);
                if !told {
                    break;
                }
                seen = chip.progress();
            } else {
                chip.tasks_added();
            }
        }
        self.program.lock().unwrap().fed = true;
    }
}

impl FedProgram {
    /// The place of the next task in its group, if the group is complete.
    fn next_place(&self) -> Option<u32> {
        let state = self.state.lock().unwrap();
        let group = self.followers as usize + 1;
        let place = state.started % group;
        let ready = state.started + group - place <= state.added;
        ready.then(|| u32::try_from(place).unwrap())
    }
}

impl DeviceProgram for FedProgram {
    fn take_orchestration(&mut self) -> Option<Box<dyn DeviceOrchestration>> {
        self.feeder.take().map(|feeder| feeder as _)
    }

    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch> {
        let place = self.next_place()?;
        let idle = cores.earliest_idle(CoreType::Aiv)?;
        let mut state = self.state.lock().unwrap();
        state.started += 1;
        Some(Dispatch {
            task: TaskId(state.started as u64 - 1),
            kernel: 0,
            core: idle.core,
            ready_at: DeviceTime(0),
            args: KernelArgs::Inline([0; 16]),
            followers: if place == 0 { self.followers } else { 0 },
        })
    }

    fn has_startable(&self, cores: &dyn Cores) -> bool {
        self.next_place().is_some() && cores.has_idle(CoreType::Aiv)
    }

    fn next_if(&mut self, cores: &dyn Cores, wanted: &dyn Fn(u32) -> bool) -> Option<Dispatch> {
        if wanted(0) { self.next(cores) } else { None }
    }

    fn complete(&mut self, _: TaskId, _: CoreId, _: DeviceTime) {
        self.state.lock().unwrap().ended += 1;
    }

    fn is_done(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.fed && state.ended == state.added
    }

    fn completed(&self) -> u64 {
        self.state.lock().unwrap().ended as u64
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        Vec::new()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn fed(total: usize, window: usize, followers: u32) -> (Box<FedProgram>, Arc<Mutex<Vec<bool>>>) {
    let state = Arc::new(Mutex::new(FedState::default()));
    let told = Arc::default();
    let feeder = Feeder { program: Arc::clone(&state), total, window, told: Arc::clone(&told) };
    (Box::new(FedProgram { state, feeder: Some(Box::new(feeder)), followers }), told)
}

#[test]
fn an_orchestration_waits_for_its_tasks_with_any_number_of_permits() {
    for permits in [1, 2] {
        let slow = native("slow", |_| {
            std::thread::sleep(Duration::from_micros(100));
            Ok(())
        });
        for kernel in [slow, native("quick", |_| Ok(()))] {
            let bench = Bench::new(permits, PATIENT, vec![kernel]);
            let (program, told) = fed(500, 4, 0);
            assert_eq!(bench.run(2, program).unwrap().program.completed(), 500);
            let told = told.lock().unwrap();
            assert!(!told.is_empty() && told.iter().all(|&progressed| progressed));
        }
    }
}

/// To go back after each would take as long as such a task.
#[test]
fn an_orchestration_that_waits_runs_several_quick_tasks() {
    const TASKS: usize = 10_000;
    let bench = Bench::new(1, PATIENT, vec![native("quick", |_| Ok(()))]);
    let (program, told) = fed(TASKS, 64, 0);
    assert_eq!(bench.run(2, program).unwrap().program.completed(), TASKS as u64);
    let waits = told.lock().unwrap().len();
    assert!(waits < TASKS / 4, "it went back {waits} times");
}

#[test]
fn an_orchestration_that_waits_in_vain_is_told() {
    let bench = Bench::new(1, PATIENT, vec![native("none", |_| Ok(()))]);
    // A window of nothing: it waits before it has added anything.
    let (program, told) = fed(5, 0, 0);
    assert_eq!(bench.run(1, program).unwrap().program.completed(), 0);
    assert_eq!(*told.lock().unwrap(), [false]);
    // And one whose tasks fail while it waits.
    let bench = Bench::new(1, PATIENT, vec![native("fails", |_| Err("no".into()))]);
    let (program, told) = fed(5, 1, 0);
    assert!(matches!(bench.run(1, program), Err(DeviceError::KernelFailed { .. })));
    assert_eq!(told.lock().unwrap().last(), Some(&false));
}

#[test]
fn dispatches_that_belong_together_run_together() {
    let barrier = Arc::new(Barrier::new(4));
    let meet = native("meet", move |_| {
        barrier.wait();
        Ok(())
    });
    let bench = Bench::new(1, PATIENT, vec![meet]);
    let (program, _) = fed(400, 4, 3);
    assert_eq!(bench.run(2, program).unwrap().program.completed(), 400);
}

/// Two threads that share such tasks fight for what is between them.
#[test]
fn quick_kernels_are_left_to_one_thread() {
    const TASKS: usize = 50_000;
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let quick = native("quick", move |_| {
        seen.lock().unwrap().push(std::thread::current().id());
        Ok(())
    });
    let bench = Bench::new(2, PATIENT, vec![quick]);
    let (program, _) = fed(TASKS, TASKS, 0);
    assert_eq!(bench.run(2, program).unwrap().program.completed(), TASKS as u64);
    let threads = threads.lock().unwrap();
    let changes = threads.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes < TASKS / 50, "{changes} changes of thread");
}

#[test]
fn a_device_never_has_more_threads_than_its_cores_and_orchestration_need() {
    let barrier = Arc::new(Barrier::new(4));
    let meet = native("meet", move |_| {
        barrier.wait();
        Ok(())
    });
    let bench = Bench::new(1, PATIENT, vec![meet]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // New threads have to wait for a CPU.
        for _ in 0..16 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let (program, _) = fed(1200, 4, 3);
        let mut run = bench.launch(2, program).unwrap();
        let mut most = 0;
        while !run.poll() {
            most = most.max(bench.device.usage().threads);
            std::thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(run.wait().unwrap().program.completed(), 1200);
        assert!(most <= 7, "{most} threads for 6 cores and an orchestration");
    });
}

#[test]
fn dropping_a_run_ends_its_orchestration() {
    let bench = Bench::new(2, PATIENT, vec![native("none", |_| Ok(()))]);
    let (program, told) = fed(usize::MAX, 8, 0);
    let mut run = bench.launch(1, program).unwrap();
    while told.lock().unwrap().is_empty() {
        run.poll();
        std::thread::yield_now();
    }
    drop(run);
    assert_eq!(told.lock().unwrap().last(), Some(&false));
    let (program, _) = fed(3, 8, 0);
    assert_eq!(bench.run(1, program).unwrap().program.completed(), 3);
}
