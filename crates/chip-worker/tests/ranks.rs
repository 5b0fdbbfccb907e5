//! Workers as ranks of a job: in threads, in processes that are killed, and with kernels that wait for other ranks.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]
#![allow(clippy::print_stdout, reason = "ranks tell their test what they do")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chip_worker::{
    Args, CallConfig, CallableHandle, CallableSource, ChipWorker, CommContext, Communicator, CoreType,
    DevPtr, DeviceError, NativeGraph, NativeKernel, Platform, RunnerError, WorkerError,
};

const BYTES: usize = 4096;

/// A place to meet at that only one test uses.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("rootinfo"), _folder: folder }
    }

    /// What exists for this place in shared memory.
    fn names(&self) -> Vec<String> {
        rendezvous::names(&self.path).unwrap()
    }
}

fn worker(rank: u32) -> ChipWorker {
    let builder = ChipWorker::builder().platform(Platform::A2a3Sim).device(rank);
    builder.comm_limit(Duration::from_secs(60)).watchdog(Some(Duration::from_secs(60))).build().unwrap()
}

/// Runs `body` as every rank of a job, each a thread.
fn threads(place: &Place, ranks: u32, body: impl Fn(&ChipWorker, &Communicator) + Sync) {
    std::thread::scope(|scope| {
        for rank in 0..ranks {
            let (body, path) = (&body, &place.path);
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
    assert_eq!(place.names(), Vec::<String>::new());
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
    assert!(outsider.join(2, 2, &place.path).is_err());
    let error = outsider.join(0, 65, &place.path).unwrap_err();
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
            let path = &place.path;
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
    assert_eq!(place.names(), Vec::<String>::new());
}

/// Where a rank stops and says so, until it is killed. In `kernel` it is inside of one that waits for a word.
const PHASES: [&str; 8] =
    ["worker", "joined", "windows", "barrier", "domain", "kernel", "after_kernel", "closed"];

/// Not a test of its own: what a process that was started as a rank does.
#[test]
fn rank_process() {
    let Ok(text) = std::env::var("RANKS_TEST") else { return };
    let words: Vec<&str> = text.split(' ').collect();
    let [path, stop_at] = words[..] else { panic!("{text}") };
    let launch = chip_worker::Launch::from_environment().unwrap().unwrap();
    let worker = worker(launch.rank);
    match live(&worker, Path::new(path), stop_at) {
        Ok(sum) => println!("\n:done {sum}"),
        Err(WorkerError::Runner(RunnerError::Device(error @ DeviceError::RanksLost { .. }))) => {
            println!("\n:lost {error}");
        }
        Err(error) => println!("\n:error {error}"),
    }
    // Also after a run that was given up, and with kernels of it that still look at windows.
    let left = worker.close().unwrap();
    println!("\n:closed {} {}", left.communicators, left.windows);
}

fn live(worker: &ChipWorker, path: &Path, stop_at: &str) -> Result<u64, WorkerError> {
    let stop = |phase: &str| {
        if phase == stop_at {
            println!("\n:at {phase}");
            std::io::stdout().flush().unwrap();
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
        }
    };
    stop("worker");
    let comm = worker.join_from_environment(path)?;
    let (own, ranks) = (comm.rank(), comm.ranks());
    stop("joined");
    let context = comm.alloc_windows(BYTES)?;
    stop("windows");
    let job = std::env::var("RANKS_TEST_JOB").map_or(0, |job| job.parse().unwrap());
    let mine = beyond(comm.local_window()?);
    worker.copy_to(mine, &u64::to_ne_bytes(100 * job + u64::from(own)))?;
    comm.barrier()?;
    stop("barrier");
    let members: Vec<u32> = (0..ranks).rev().collect();
    comm.alloc_domain(3, &members, ranks - 1 - own, 64)?;
    stop("domain");
    let handle = meeting(worker);
    if stop_at == "kernel" {
        println!("\n:at kernel");
        std::io::stdout().flush().unwrap();
        meet(worker, &handle, context.addr(), u64::MAX)?;
    }
    meet(worker, &handle, context.addr(), u64::from(ranks))?;
    stop("after_kernel");
    let mut sum = 0;
    for rank in 0..ranks {
        let mut word = [0; 8];
        worker.copy_from(&mut word, beyond(comm.window(rank)?))?;
        sum += u64::from_ne_bytes(word);
    }
    // Nobody leaves before all have been here.
    comm.barrier()?;
    comm.close()?;
    stop("closed");
    Ok(sum)
}

struct Rank {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Rank {
    fn start(place: &Place, rank: u32, ranks: u32, job: u64, stop_at: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rank_process", "--nocapture"])
            .env("RANKS_TEST", format!("{} {stop_at}", place.path.display()))
            .env("RANKS_TEST_JOB", job.to_string())
            .env("SIMPLER_COMM_RANK", rank.to_string())
            .env("SIMPLER_COMM_SIZE", ranks.to_string())
            .env("SIMPLER_COMM_JOB", format!("{} {job}", place.path.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// The next thing it says. It says something within the limits of its calls, and ends then.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(text) = line.trim().strip_prefix(':') {
                return text.to_owned();
            }
            line.clear();
        }
        "nothing".to_owned()
    }

    /// Lets it go on from where it stopped.
    fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// It has closed its worker, whatever happened, and ends.
    fn ends_well(mut self) {
        while !self.says().starts_with("closed 0 0") {}
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
fn whoever_is_killed_in_whatever_phase_the_others_are_told() {
    for phase in PHASES {
        let place = Place::new();
        let mut doomed = Rank::start(&place, 1, 3, 0, phase);
        // Joining waits for nobody. One that comes after the end of another would begin a job of its own.
        let is_joining = phase == "joined";
        let mut others =
            [0, 2].map(|rank| Rank::start(&place, rank, 3, 0, if is_joining { phase } else { "-" }));
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
            others.iter_mut().for_each(Rank::go_on);
        }
        if phase == "worker" {
            // It has never come; nobody can know. Another one takes its place.
            let mut late = Rank::start(&place, 1, 3, 0, "-");
            assert_eq!(late.says(), "done 3");
            late.ends_well();
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
            other.ends_well();
        }
        assert!(killed.elapsed() < Duration::from_secs(30), "{phase}: long before their limits");
        assert_eq!(place.names(), Vec::<String>::new(), "{phase}");
    }
}

#[test]
fn a_kernel_that_waits_for_a_dead_rank_fails_its_run() {
    let place = Place::new();
    let mut doomed = Rank::start(&place, 1, 2, 0, "domain");
    let mut waiting = Rank::start(&place, 0, 2, 0, "kernel");
    assert_eq!(doomed.says(), "at domain");
    assert_eq!(waiting.says(), "at kernel");
    std::thread::sleep(Duration::from_millis(200));
    doomed.kill();
    let said = waiting.says();
    assert!(said.starts_with("lost rank 1 of the job ended unexpectedly"), "{said}");
    assert!(said.contains("close workers with kernels that still run"), "{said}");
    waiting.ends_well();
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn jobs_of_processes_at_one_path_stay_apart() {
    let place = Place::new();
    let mut started = Vec::new();
    for rank in 0..2 {
        for job in 1..=3 {
            started.push((job, Rank::start(&place, rank, 2, job, "-")));
        }
    }
    for (job, mut rank) in started {
        assert_eq!(rank.says(), format!("done {}", 200 * job + 1));
        rank.ends_well();
    }
    assert_eq!(place.names(), Vec::<String>::new());
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
