//! Attention over a cache in blocks, with the softmax taken block by block.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RingOptions, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

const KERNELS: &[Kernel] = &[
    Kernel::cpp(0, CoreType::Aic, "kernels/scores.cpp").signature(&[In, In, Out]),
    Kernel::cpp(1, CoreType::Aiv, "kernels/softmax_prepare.cpp").signature(&[In, Out, Out, Out]),
    Kernel::cpp(2, CoreType::Aic, "kernels/weighted_sum.cpp").signature(&[In, In, Out]),
    Kernel::cpp(3, CoreType::Aiv, "kernels/online_update.cpp").signature(&[In, In, In, Inout, Inout, Inout]),
];
const AUTO: &str = "auto";
const MANUAL: &str = "manual";

pub(crate) const SCENE: Scene = Scene {
    name: "paged_attention",
    summary: "decoding attention over a cache in blocks, softmax online; dependencies found or named",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/paged_attention"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[
        Program {
            name: AUTO,
            graph: Graph::Cpp { path: "orchestration_auto.cpp", entry: "build_paged_attention" },
            kernels: KERNELS,
        },
        Program {
            name: MANUAL,
            graph: Graph::Cpp { path: "orchestration_manual.cpp", entry: "build_paged_attention_manual" },
            kernels: KERNELS,
        },
    ],
    cases,
};

/// Extents of a problem. Every cached head serves `tile` query heads.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Tokens of each sequence.
    lengths: &'static [usize],
    kv_heads: usize,
    tile: usize,
    dim: usize,
    /// Tokens per block.
    block: usize,
    /// Bound of the query's elements; scores grow with it.
    q_bound: f32,
}

const SMALL: Shape = Shape { lengths: &[32], kv_heads: 1, tile: 4, dim: 16, block: 16, q_bound: 4.0 };
const ONE_TOKEN: Shape = Shape { lengths: &[1], tile: 1, ..SMALL };
/// 352 blocks, so 1408 tasks and 32 that allocate.
const BATCH: Shape = Shape { lengths: &[1, 16, 17, 100, 255, 256, 300, 411], kv_heads: 4, dim: 64, ..SMALL };
const BIG_BLOCKS: Shape =
    Shape { lengths: &[200, 64, 129], kv_heads: 2, tile: 8, dim: 64, block: 64, q_bound: 4.0 };
/// Exponentials of such scores are no floats.
const LARGE_SCORES: Shape = Shape { lengths: &[70, 33], dim: 64, q_bound: 100.0, ..SMALL };

fn cases(_: Platform) -> Vec<Case> {
    [AUTO, MANUAL].into_iter().flat_map(cases_of).collect()
}

fn cases_of(program: &'static str) -> Vec<Case> {
    let case = |name: &str, shape, config| {
        Case::golden(format!("{program}_{name}"), program, config, move |random| {
            Problem::new(shape, random).data(UNWRITTEN)
        })
    };
    let any = CallConfig::default();
    // Three blocks and three tiles at a time, or fewer.
    let small_rings = RingOptions::default().task_window(16).heap(16 * 1024);
    vec![
        case("small", SMALL, any),
        case("one_token", ONE_TOKEN, any),
        case("batch", BATCH, any),
        case("big_blocks", BIG_BLOCKS, any),
        case("large_scores", LARGE_SCORES, any),
        case("block_dim_1", BATCH, CallConfig { block_dim: 1, ..any }),
        case("small_rings", BATCH, any).rings(small_rings),
        unknown_block(program),
    ]
}

/// `PTO2_ERROR_INVALID_ARGS`, as a run returns it.
const INVALID_ARGS: i32 = -5;

/// A block table with a wrong entry in the middle fails the run, and nothing beyond it.
fn unknown_block(program: &'static str) -> Case {
    Case::new(format!("{program}_unknown_block"), move |stage| {
        let (handle, config) = (stage.register(program)?, CallConfig::default());
        let good = Problem::new(BATCH, &mut stage.random(0));
        let mut bad = good.clone();
        let entry = 4 * bad.table_width() + 7;
        bad.block_table[entry] = extent(bad.blocks());
        bad.out.fill(7.0);
        let (status, text) = stage.run_to_status(&handle, bad.data(7.0), &config)?;
        stage.expect_eq("status", &status, &INVALID_ARGS)?;
        crate::expect_message(stage, "block 7 of sequence 4 is block 91 of a cache of 91", &text)?;
        stage.run(&handle, good.data(UNWRITTEN), &config).map(drop)
    })
}

/// What memory holds that no task may use before one has written it: it makes every result wrong.
const UNWRITTEN: f32 = f32::NAN;

/// An entry of the block table that stands for no block: the bits of -1.
const NO_BLOCK: u32 = u32::MAX;

/// The tensors of a run.
#[derive(Clone, Debug)]
struct Problem {
    shape: Shape,
    /// `[sequences, kv_heads * tile, dim]`
    q: Vec<f32>,
    /// `[blocks, block, kv_heads, dim]`
    keys: Vec<f32>,
    values: Vec<f32>,
    /// `[sequences, table_width]`; [`NO_BLOCK`] beyond the end of a sequence.
    block_table: Vec<u32>,
    /// The expected result, like `q`.
    out: Vec<f32>,
}

impl Problem {
    fn new(shape: Shape, random: &mut Random) -> Self {
        let count = shape.lengths.len() * shape.kv_heads * shape.tile * shape.dim;
        let q = random.f32s(count, -shape.q_bound, shape.q_bound);
        let mut problem = Self {
            shape,
            q,
            keys: Vec::new(),
            values: Vec::new(),
            block_table: Vec::new(),
            out: Vec::with_capacity(count),
        };
        problem.deal_blocks(random);
        problem.keys = problem.cache(random);
        problem.values = problem.cache(random);
        for sequence in 0..shape.lengths.len() {
            for head in 0..shape.kv_heads * shape.tile {
                let row = problem.golden(sequence, head);
                problem.out.extend(row);
            }
        }
        problem
    }

    fn blocks_of(&self, sequence: usize) -> usize {
        self.shape.lengths[sequence].div_ceil(self.shape.block)
    }

    /// Blocks of the cache: some more than are in use.
    fn blocks(&self) -> usize {
        (0..self.shape.lengths.len()).map(|sequence| self.blocks_of(sequence)).sum::<usize>() + 3
    }

    fn table_width(&self) -> usize {
        (0..self.shape.lengths.len()).map(|sequence| self.blocks_of(sequence)).max().unwrap_or(0)
    }

    /// Gives every sequence its blocks, from all over the cache.
    fn deal_blocks(&mut self, random: &mut Random) {
        let mut blocks: Vec<u32> = (0..extent(self.blocks())).collect();
        blocks.sort_by_cached_key(|_| random.next_u64());
        let mut blocks = blocks.into_iter();
        for sequence in 0..self.shape.lengths.len() {
            let end = (sequence + 1) * self.table_width();
            self.block_table.extend(blocks.by_ref().take(self.blocks_of(sequence)));
            self.block_table.resize(end, NO_BLOCK);
        }
    }

    /// A cache that is [`UNWRITTEN`] except where tokens are.
    fn cache(&self, random: &mut Random) -> Vec<f32> {
        let row = self.shape.kv_heads * self.shape.dim;
        let mut cache = vec![UNWRITTEN; self.blocks() * self.shape.block * row];
        for (sequence, &length) in self.shape.lengths.iter().enumerate() {
            for token in 0..length {
                let start = self.cache_row(sequence, token) * row;
                cache[start..][..row].copy_from_slice(&random.f32s(row, -1.0, 1.0));
            }
        }
        cache
    }

    /// Where a token is in the cache, in rows.
    fn cache_row(&self, sequence: usize, token: usize) -> usize {
        let entry = sequence * self.table_width() + token / self.shape.block;
        self.block_table[entry] as usize * self.shape.block + token % self.shape.block
    }

    /// One row of the result in double precision, with the softmax of the whole row of scores at once.
    fn golden(&self, sequence: usize, head: usize) -> Vec<f32> {
        let Shape { lengths, kv_heads, tile, dim, .. } = self.shape;
        let q = &self.q[(sequence * kv_heads * tile + head) * dim..][..dim];
        let start = |token| (self.cache_row(sequence, token) * kv_heads + head / tile) * dim;
        let scores: Vec<f64> = (0..lengths[sequence])
            .map(|token| {
                let k = &self.keys[start(token)..][..dim];
                let sum: f64 = q.iter().zip(k).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                sum / (dim as f64).sqrt()
            })
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let divisor: f64 = scores.iter().map(|score| (score - max).exp()).sum();
        let mut sums = vec![0.0; dim];
        for (token, score) in scores.iter().enumerate() {
            let weight = (score - max).exp() / divisor;
            for (sum, &v) in sums.iter_mut().zip(&self.values[start(token)..]) {
                *sum += weight * f64::from(v);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "to the precision of the result")]
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    /// The arguments of a run that finds `before` in every element of the result.
    fn data(&self, before: f32) -> Data {
        let Shape { lengths, kv_heads, tile, dim, block, .. } = self.shape;
        let rows = [lengths.len(), kv_heads * tile, dim].map(extent);
        let cache = [self.blocks(), block, kv_heads, dim].map(extent);
        let table = [lengths.len(), self.table_width()].map(extent);
        let lengths: Vec<u32> = lengths.iter().copied().map(extent).collect();
        // Scores and weights in single precision; the elements of the result are below 1.
        let tolerance = Tolerance { absolute: 1e-4, relative: 0.0 };
        Data::new()
            .input("q", &rows, self.q.clone())
            .input("keys", &cache, self.keys.clone())
            .input("values", &cache, self.values.clone())
            .input("block_table", &table, bits(&self.block_table))
            .input("lengths", &[extent(lengths.len())], bits(&lengths))
            .inout("out", &rows, vec![before; self.out.len()], self.out.clone(), tolerance)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "extents of these problems are small")]
fn extent(extent: usize) -> u32 {
    extent as u32
}

/// Integers in a tensor of floats, bit by bit.
fn bits(values: &[u32]) -> Vec<f32> {
    values.iter().copied().map(f32::from_bits).collect()
}
