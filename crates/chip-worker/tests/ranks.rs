//! Workers as ranks of a job: in threads, in processes that are killed, and with kernels that wait for other ranks.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chip_worker::{
    Args, CallConfig, CallableHandle, CallableSource, ChipWorker, CommContext, Communicator, CoreType,
    DevPtr, DeviceError, NativeGraph, NativeKernel, Platform, RunnerError, WorkerError,
};
use rendezvous::testing::{Place, RankProcess, role, say, stop};

const BYTES: usize = 4096;

fn worker(rank: u32) -> ChipWorker {
    let builder = ChipWorker::builder().platform(Platform::A2a3Sim).device(rank);
    builder.comm_limit(Duration::from_secs(60)).watchdog(Some(Duration::from_secs(60))).build().unwrap()
}

/// Runs `body` as every rank of a job, each a thread.
fn threads(place: &Place, ranks: u32, body: impl Fn(&ChipWorker, &Communicator) + Sync) {
    std::thread::scope(|scope| {
        for rank in 0..ranks {
            let (body, path) = (&body, place.path());
            scope.spawn(move || {
                let worker = worker(rank);
                let comm = worker.join(rank, ranks, path).unwrap();
                body(&worker, &comm);
                drop(comm);
                let left = worker.close().unwrap();
                assert!(left.is_zero(), "{left}");
            });
        }
    });
    place.assert_empty();
}

/// The word at an address, as kernels see it.
fn word(address: u64) -> &'static AtomicU64 {
    let word = std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap());
    // SAFETY: the address is that of an aligned word in a window; it stays memory until the end of the process, also if
    // the kernel that uses it is given up.
    unsafe { AtomicU64::from_ptr(word) }
}

/// The second word of a window.
fn beyond(window: DevPtr) -> DevPtr {
    window.checked_add(8).unwrap()
}

/// A graph of one task. Its kernel counts up the first word of every window, then waits until its own is at `target`.
fn meeting(worker: &ChipWorker) -> CallableHandle {
    let kernel = NativeKernel::new("meet", |kernel| {
        let context: CommContext = kernel.read(kernel.ptr(0), 1)?[0];
        let target = kernel.args()[1];
        for window in &context.windows_in[..context.rank_num as usize] {
            word(*window).fetch_add(1, Ordering::SeqCst);
        }
        let own = word(context.windows_in[context.rank_id as usize]);
        while own.load(Ordering::SeqCst) < target {
            std::thread::yield_now();
        }
        Ok(())
    });
    let graph = NativeGraph::new(|graph| {
        graph.add_task(&[graph.scalar(0)?, graph.scalar(1)?], 0, CoreType::Aiv)?;
        Ok(())
    });
    worker.register_source(&CallableSource::new(graph.into(), vec![(0, kernel.into())])).unwrap()
}

fn meet(worker: &ChipWorker, handle: &CallableHandle, context: u64, target: u64) -> Result<(), WorkerError> {
    let args = Args::new().scalar(context)?.scalar(target)?;
    worker.run(handle, &args, &CallConfig::default()).map(drop)
}

#[test]
fn windows_are_memory_for_copies_and_for_kernels() {
    let place = Place::new();
    for ranks in [1, 2, 4] {
        threads(&place, ranks, |worker, comm| {
            assert_eq!((comm.ranks(), comm.window_bytes().unwrap()), (ranks, 0));
            assert!(comm.local_window().is_err() && comm.barrier().is_err() && comm.window(0).is_err());
            let context = comm.alloc_windows(BYTES).unwrap();
            assert_eq!(comm.window_bytes().unwrap(), BYTES as u64);
            assert_eq!(comm.window(comm.rank()).unwrap(), comm.local_window().unwrap());
            assert!(comm.window(ranks).is_err() && comm.alloc_windows(BYTES).is_err());
            let report = worker.report();
            assert_eq!((report.communicators, report.windows), (1, 1));

            let handle = meeting(worker);
            for round in 1..=3 {
                meet(worker, &handle, context.addr(), round * u64::from(ranks)).unwrap();
            }
            let mut first = [0; 8];
            worker.copy_from(&mut first, comm.local_window().unwrap()).unwrap();
            assert_eq!(u64::from_ne_bytes(first), 3 * u64::from(ranks));
            worker.copy_from(&mut [0; BYTES], comm.window(0).unwrap()).unwrap();
            assert!(worker.copy_from(&mut [0; BYTES + 1], comm.window(0).unwrap()).is_err());
            comm.barrier().unwrap();
        });
    }
}

#[test]
fn what_a_communicator_refuses() {
    let place = Place::new();
    let outsider = worker(0);
    assert!(outsider.join(2, 2, place.path()).is_err());
    let error = outsider.join(0, 65, place.path()).unwrap_err();
    assert!(error.to_string().contains("a job has 1 to 64 ranks"), "{error}");

    threads(&place, 2, |worker, comm| {
        comm.alloc_windows(BYTES).unwrap();
        let own = comm.rank();
        assert!(comm.derive_context(&[0, 1], 2, 0, 8).is_err());
        assert!(comm.derive_context(&[0, 1], own, BYTES, 1).is_err());
        assert!(comm.alloc_domain(1, &[1 - own], 0, 8).is_err());
        let domain = comm.alloc_domain(1, &[1, 0], 1 - own, 8).unwrap();
        let mut context = [0; size_of::<CommContext>()];
        worker.copy_from(&mut context, domain.context).unwrap();
        let context: CommContext = bytemuck::pod_read_unaligned(&context);
        assert_eq!((context.rank_id, context.rank_num, context.win_size), (1 - own, 2, 8));
        assert_eq!(context.windows_in[1 - own as usize], domain.window.addr());
        assert!(comm.release_domain(1, 1, 1 - own).is_err() && comm.release_domain(2, 2, 1 - own).is_err());
        comm.release_domain(1, 2, 1 - own).unwrap();
        assert!(worker.copy_from(&mut [0], domain.window).is_err(), "the windows are gone");
        comm.barrier().unwrap();
    });
}

#[test]
fn a_worker_that_closes_leaves_its_job() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for rank in 0..2 {
            let path = place.path();
            scope.spawn(move || {
                let worker = worker(rank);
                let comm = worker.join(rank, 2, path).unwrap();
                comm.alloc_windows(BYTES).unwrap();
                comm.barrier().unwrap();
                if rank == 0 {
                    assert!(worker.close().unwrap().is_zero());
                    let error = comm.barrier().unwrap_err().to_string();
                    assert!(error.contains("join again"), "{error}");
                    return;
                }
                let error = comm.barrier().unwrap_err().to_string();
                assert!(error.contains("rank 0 left already"), "{error}");
            });
        }
    });
    place.assert_empty();
}

/// Where a rank stops and says so, until it is killed. In `kernel` it is inside of one that waits for a word.
const PHASES: [&str; 8] =
    ["worker", "joined", "windows", "barrier", "domain", "kernel", "after_kernel", "closed"];

/// Not a test of its own: what a process that was started as a rank does.
#[test]
fn rank_process() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let [path, job, stop_at] = words[..] else { panic!("{role}") };
    let launch = chip_worker::Launch::from_environment().unwrap().unwrap();
    let worker = worker(launch.rank);
    match live(&worker, Path::new(path), job.parse().unwrap(), stop_at) {
        Ok(sum) => say(&format!("done {sum}")),
        Err(WorkerError::Runner(RunnerError::Device(error @ DeviceError::RanksLost { .. }))) => {
            say(&format!("lost {error}"));
        }
        Err(error) => say(&format!("error {error}")),
    }
    // Also after a run that was given up, and with kernels of it that still look at windows.
    let left = worker.close().unwrap();
    say(&format!("closed {} {}", left.communicators, left.windows));
}

fn live(worker: &ChipWorker, path: &Path, job: u64, stop_at: &str) -> Result<u64, WorkerError> {
    let reach = |phase: &str| {
        if phase == stop_at {
            stop(phase);
        }
    };
    reach("worker");
    let comm = worker.join_from_environment(path)?;
    let (own, ranks) = (comm.rank(), comm.ranks());
    reach("joined");
    let context = comm.alloc_windows(BYTES)?;
    reach("windows");
    let mine = beyond(comm.local_window()?);
    worker.copy_to(mine, &u64::to_ne_bytes(100 * job + u64::from(own)))?;
    comm.barrier()?;
    reach("barrier");
    let members: Vec<u32> = (0..ranks).rev().collect();
    comm.alloc_domain(3, &members, ranks - 1 - own, 64)?;
    reach("domain");
    let handle = meeting(worker);
    if stop_at == "kernel" {
        say("at kernel");
        meet(worker, &handle, context.addr(), u64::MAX)?;
    }
    meet(worker, &handle, context.addr(), u64::from(ranks))?;
    reach("after_kernel");
    let mut sum = 0;
    for rank in 0..ranks {
        let mut word = [0; 8];
        worker.copy_from(&mut word, beyond(comm.window(rank)?))?;
        sum += u64::from_ne_bytes(word);
    }
    // Nobody leaves before all have been here.
    comm.barrier()?;
    comm.close()?;
    reach("closed");
    Ok(sum)
}

fn start(place: &Place, rank: u32, ranks: u32, job: u64, stop_at: &str) -> RankProcess {
    let path = place.path().display();
    RankProcess::start(&format!("{path} {job} {stop_at}"), |command| {
        command
            .env("SIMPLER_COMM_RANK", rank.to_string())
            .env("SIMPLER_COMM_SIZE", ranks.to_string())
            .env("SIMPLER_COMM_JOB", format!("{path} {job}"));
    })
}

/// It has closed its worker, whatever happened, and ends.
fn ends_well(mut rank: RankProcess) {
    assert_eq!(rank.says(), "closed 0 0");
    assert!(rank.ends().success());
}

#[test]
fn whoever_is_killed_in_whatever_phase_the_others_are_told() {
    for phase in PHASES {
        let place = Place::new();
        let mut doomed = start(&place, 1, 3, 0, phase);
        // Joining waits for nobody. One that comes after the end of another would begin a job of its own.
        let is_joining = phase == "joined";
        let mut others = [0, 2].map(|rank| start(&place, rank, 3, 0, if is_joining { phase } else { "-" }));
        assert_eq!(doomed.says(), format!("at {phase}"));
        if is_joining {
            for other in &mut others {
                assert_eq!(other.says(), "at joined");
            }
        }
        if phase == "kernel" {
            // Let the others get into theirs; then two wait in a kernel for a third that ends.
            std::thread::sleep(Duration::from_millis(100));
        }
        doomed.kill();
        let killed = Instant::now();
        if is_joining {
            others.iter_mut().for_each(RankProcess::go_on);
        }
        if phase == "worker" {
            // It has never come; nobody can know. Another one takes its place.
            let mut late = start(&place, 1, 3, 0, "-");
            assert_eq!(late.says(), "done 3");
            ends_well(late);
        }
        for mut other in others {
            let said = other.says();
            match phase {
                "worker" | "closed" => assert_eq!(said, "done 3"),
                _ => assert!(
                    (said.starts_with("error") || said.starts_with("lost"))
                        && said.contains("rank 1")
                        && said.contains("ended unexpectedly"),
                    "{phase}: {said}"
                ),
            }
            ends_well(other);
        }
        assert!(killed.elapsed() < Duration::from_secs(30), "{phase}: long before their limits");
        place.assert_empty();
    }
}

#[test]
fn a_kernel_that_waits_for_a_dead_rank_fails_its_run() {
    let place = Place::new();
    let mut doomed = start(&place, 1, 2, 0, "domain");
    let mut waiting = start(&place, 0, 2, 0, "kernel");
    assert_eq!(doomed.says(), "at domain");
    assert_eq!(waiting.says(), "at kernel");
    std::thread::sleep(Duration::from_millis(200));
    doomed.kill();
    let said = waiting.says();
    assert!(said.starts_with("lost rank 1 of the job ended unexpectedly"), "{said}");
    assert!(said.contains("close workers with kernels that still run"), "{said}");
    ends_well(waiting);
    place.assert_empty();
}

#[test]
fn jobs_of_processes_at_one_path_stay_apart() {
    let place = Place::new();
    let mut started = Vec::new();
    for rank in 0..2 {
        for job in 1..=3 {
            started.push((job, start(&place, rank, 2, job, "-")));
        }
    }
    for (job, mut rank) in started {
        assert_eq!(rank.says(), format!("done {}", 200 * job + 1));
        ends_well(rank);
    }
    place.assert_empty();
}

#[test]
fn without_a_launcher_there_is_no_rank_to_join_as() {
    // Under one, this test has nothing to say.
    if chip_worker::Launch::from_environment().unwrap().is_some() {
        return;
    }
    let error = worker(0).join_from_environment("/tmp/nowhere").unwrap_err();
    assert!(error.to_string().contains("mpirun or srun"), "{error}");
}
