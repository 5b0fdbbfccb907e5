//! Random tasks, and when their parts run on the cores of a chip.

use super::random::Random;
use super::{Chip, KERNELS, Sample};

/// A task.
pub(super) struct Job {
    pub(super) task_id: u64,
    /// Scopes that it lies in.
    pub(super) depth: usize,
    /// What it runs per block; nothing, if it only allocates or has no kernel.
    pub(super) kernels: Vec<usize>,
    /// It is no task but memory, and has no part in the graph except as a begin of edges.
    pub(super) allocates: bool,
    pub(super) blocks: usize,
    /// The jobs that it waits for, by place.
    pub(super) waits_for: Vec<usize>,
}

impl Job {
    pub(super) fn random(sample: &Sample, random: &mut Random) -> Vec<Self> {
        let mut jobs: Vec<Self> = Vec::new();
        let mut next_of_ring = [0_u64; 4];
        let (mut depth, mut running) = (1, 0);
        while running < sample.tasks {
            if random.percent(4) {
                depth = 1 + random.index(4);
            }
            let ring = depth.min(3);
            let dice = random.below(100);
            let allocates = dice < 3;
            let kernels = match dice {
                0..6 => vec![],
                6..40 => vec![random.index(3)],
                40..85 => vec![3 + random.index(4)],
                _ => vec![random.index(3), 7, 8],
            };
            let task_id = (ring as u64) << 32 | next_of_ring[ring];
            next_of_ring[ring] += 1;
            running += usize::from(!kernels.is_empty());
            let blocks = if random.percent(5) { 2 + random.index(3) } else { 1 };
            let waits_for = if allocates { vec![] } else { waits_for(jobs.len(), random) };
            jobs.push(Self { task_id, depth, kernels, allocates, blocks, waits_for });
        }
        jobs
    }
}

/// Up to three of the jobs before.
fn waits_for(before: usize, random: &mut Random) -> Vec<usize> {
    let mut chosen: Vec<usize> =
        (0..random.index(4)).filter_map(|_| before.checked_sub(1 + random.index(96))).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// One kernel of one block on one core, in ns.
pub(super) struct Part {
    pub(super) kernel: usize,
    pub(super) core: u32,
    pub(super) dispatch: i64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) finish: i64,
}

/// When each job ran.
pub(super) struct Schedule {
    /// Begin and end of each submit.
    pub(super) submits: Vec<(i64, i64)>,
    pub(super) parts: Vec<Vec<Part>>,
    pub(super) core_to_thread: Vec<i32>,
}

/// Ticks per chip are whole numbers of these ns.
fn tick(chip: Chip) -> i64 {
    match chip {
        Chip::A2a3 => 20,
        Chip::A5 => 1,
    }
}

impl Schedule {
    pub(super) fn new(sample: &Sample, jobs: &[Job], random: &mut Random) -> Self {
        let clusters = sample.clusters.max(1);
        let schedulers = i32::try_from(sample.threads.max(2) - 1).unwrap_or(1);
        let cluster_of = |core: u32| if core < clusters { core } else { (core - clusters) / 2 };
        let thread_of = |core| i32::try_from(cluster_of(core)).unwrap_or_default() % schedulers;
        let mut schedule = Self {
            submits: Vec::new(),
            parts: Vec::new(),
            core_to_thread: (0..3 * clusters).map(thread_of).collect(),
        };
        let mut cores = Cores { free: vec![0; 3 * clusters as usize], clusters, tick: tick(sample.chip) };
        let mut submitted = 0;
        let mut done: Vec<i64> = Vec::new();
        for job in jobs {
            let begin = submitted + cores.tick;
            submitted = cores.ticks(begin + random.nanos(120, 500));
            schedule.submits.push((begin, submitted));
            let ready = job.waits_for.iter().map(|&pred| done[pred]).max().unwrap_or(0).max(submitted);
            let blocks = if job.kernels.is_empty() { 0 } else { job.blocks };
            let parts: Vec<Part> = (0..blocks).flat_map(|_| cores.run(&job.kernels, ready, random)).collect();
            done.push(parts.iter().map(|part| part.finish).max().unwrap_or(ready));
            schedule.parts.push(parts);
        }
        schedule
    }
}

struct Cores {
    /// When each core is seen free.
    free: Vec<i64>,
    clusters: u32,
    tick: i64,
}

impl Cores {
    fn ticks(&self, nanos: i64) -> i64 {
        nanos / self.tick * self.tick
    }

    /// One block on the cores that are free first.
    fn run(&mut self, kernels: &[usize], ready: i64, random: &mut Random) -> Vec<Part> {
        let chosen = self.choose(kernels);
        let free = chosen.iter().map(|&core| self.free[core as usize]).max().unwrap_or(0);
        let dispatch = self.ticks(ready.max(free) + random.nanos(60, 300));
        let run = kernels.iter().zip(chosen).map(|(&kernel, core)| {
            let start = self.ticks(dispatch + random.nanos(100, 400));
            let usual = KERNELS[kernel].2;
            let end = self.ticks(start + random.nanos(usual * 7 / 10, usual * 14 / 10));
            let finish = self.ticks(end + random.nanos(80, 600));
            self.free[core as usize] = finish;
            Part { kernel, core, dispatch, start, end, finish }
        });
        run.collect()
    }

    fn choose(&self, kernels: &[usize]) -> Vec<u32> {
        let first_free = |cores: std::ops::Range<u32>| {
            cores.min_by_key(|&core| self.free[core as usize]).unwrap_or_default()
        };
        let (aics, all) = (0..self.clusters, self.clusters..3 * self.clusters);
        match kernels {
            [_, _, _] => {
                let when = |cluster: &u32| {
                    self.cluster(*cluster).map(|core| self.free[core as usize]).into_iter().max()
                };
                aics.min_by_key(when).map_or_else(Vec::new, |cluster| self.cluster(cluster).to_vec())
            }
            [kernel] if *kernel < 3 => vec![first_free(aics)],
            _ => vec![first_free(all)],
        }
    }

    fn cluster(&self, cluster: u32) -> [u32; 3] {
        [cluster, self.clusters + 2 * cluster, self.clusters + 2 * cluster + 1]
    }
}
