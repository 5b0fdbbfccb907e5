//! Figures of several ranks: how long a barrier takes, and a sum over the ring against copying as many bytes.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use chip_worker::{Args, CallConfig, CallableHandle, ChipWorker, Communicator, Platform};
use kernel_compiler::KernelCompiler;

use super::options::Options;
use super::work::nanos;

/// What the ranks of a job do again and again; the first one measures it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Barrier,
    Allreduce,
}

/// Barriers of one sample.
const BARRIERS: u64 = 50;

/// Elements of each rank: 1 MiB.
const COUNT: usize = 1 << 18;

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Barrier => "comm_barrier",
            Self::Allreduce => "comm_allreduce_1MiB",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        let known = [Self::Barrier, Self::Allreduce].into_iter().find(|work| work.name() == name);
        known.with_context(|| format!("nothing is called {name}"))
    }
}

/// A rank with all that it needs.
struct Rank {
    // Left before the worker is closed.
    comm: Communicator,
    handle: Option<CallableHandle>,
    context: u64,
    worker: ChipWorker,
    data: [Vec<i32>; 2],
    round: u64,
}

impl Rank {
    fn join(platform: Platform, work: Work, rank: u32, ranks: u32, path: &Path) -> Result<Self> {
        let worker = ChipWorker::builder().platform(platform).device(rank).build()?;
        let comm = worker.join(rank, ranks, path)?;
        let windows = comm.alloc_windows(512 + 2 * size_of::<i32>() * (COUNT + ranks as usize))?;
        let handle = match work {
            Work::Barrier => None,
            Work::Allreduce => {
                let scene =
                    scenes::find("comm_collectives").context("the scene comm_collectives is missing")?;
                Some(worker.register(&scene::compile(&KernelCompiler::new()?, scene, platform)?)?)
            }
        };
        let data = [vec![i32::try_from(rank)? + 1; COUNT], vec![0; COUNT]];
        Ok(Self { comm, handle, context: windows.addr(), worker, data, round: 0 })
    }

    /// Does it once; nanoseconds.
    fn once(&mut self) -> Result<u64> {
        let Some(handle) = &self.handle else {
            let start = Instant::now();
            for _ in 0..BARRIERS {
                self.comm.barrier()?;
            }
            return Ok(nanos(start.elapsed()) / BARRIERS);
        };
        self.round += 1;
        let ([input, output], shape) = (&mut self.data, [u32::try_from(COUNT)?]);
        let args = Args::new().input(input.as_slice(), &shape)?.output(output, &shape)?;
        let args = args.scalar(0)?.scalar(self.context)?.scalar(self.round)?;
        let start = Instant::now();
        self.worker.run(handle, &args, &CallConfig::default())?;
        let elapsed = nanos(start.elapsed());
        drop(args);
        let ranks = i32::try_from(self.comm.ranks())?;
        if self.data[1].iter().any(|&sum| sum != ranks * (ranks + 1) / 2) {
            bail!("the ranks have added up something else");
        }
        self.comm.barrier()?;
        Ok(elapsed)
    }
}

pub(super) fn measure(options: &Options) -> Result<()> {
    for ranks in [2, 4, 8] {
        for work in [Work::Barrier, Work::Allreduce] {
            for processes in [false, true] {
                if options.wants(work.name()) {
                    measure_job(options, work, ranks, processes)?;
                }
            }
        }
        measure_memcpy(options, ranks)?;
    }
    Ok(())
}

/// What all ranks together move through the windows, copied once by one thread.
fn measure_memcpy(options: &Options, ranks: u32) -> Result<()> {
    const NAME: &str = "comm_allreduce_1MiB_memcpy";
    if !options.wants(NAME) {
        return Ok(());
    }
    let words = 2 * (ranks as usize - 1) * COUNT;
    let (from, mut to) = (vec![1i32; words], vec![0i32; words]);
    let copy = |_| {
        let start = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
        Ok(nanos(start.elapsed()))
    };
    options.measure(NAME, &format!("\"ranks\": {ranks}"), copy).map(drop)
}

fn measure_job(options: &Options, work: Work, ranks: u32, processes: bool) -> Result<()> {
    let path = std::env::temp_dir().join(format!("simpler-bench-{}", std::process::id()));
    let (platform, total) = (options.platform, options.total());
    let kind = if processes { "processes" } else { "threads" };
    let params = format!("\"ranks\": {ranks}, \"ranks_are\": \"{kind}\"");
    let lead = || -> Result<()> {
        let mut first = Rank::join(platform, work, 0, ranks, &path)?;
        options.measure(work.name(), &params, |_| first.once()).map(drop)
    };
    if processes {
        let spawn = |rank| follower(platform, work, rank, ranks, &path, total);
        let started = (1..ranks).map(spawn).collect::<Result<Vec<Child>>>()?;
        let led = lead();
        for mut child in started {
            let status = child.wait()?;
            if led.is_ok() && !status.success() {
                bail!("a rank ended with {status}");
            }
        }
        return led;
    }
    std::thread::scope(|scope| {
        for rank in 1..ranks {
            let path = &path;
            // If one fails, so does the first, who cannot go on without it.
            scope.spawn(move || follow(platform, work, rank, ranks, path, total));
        }
        lead()
    })
}

fn follower(
    platform: Platform,
    work: Work,
    rank: u32,
    ranks: u32,
    path: &Path,
    total: usize,
) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--platform", platform.name(), "--comm-total", &total.to_string()]);
    command.arg("--comm-path").arg(path).args(["--comm-rank", work.name()]);
    command.env("SIMPLER_COMM_RANK", rank.to_string()).env("SIMPLER_COMM_SIZE", ranks.to_string());
    Ok(command.spawn()?)
}

/// What a process does that is started as another rank.
pub(super) fn follow_as_process(platform: Platform, work: Work, path: &Path, total: usize) -> Result<()> {
    let launch = chip_worker::Launch::from_environment()?.context("this is for processes of the bench")?;
    follow(platform, work, launch.rank, launch.ranks, path, total)
}

fn follow(platform: Platform, work: Work, rank: u32, ranks: u32, path: &Path, total: usize) -> Result<()> {
    let mut rank = Rank::join(platform, work, rank, ranks, path)?;
    for _ in 0..total {
        rank.once()?;
    }
    Ok(())
}
