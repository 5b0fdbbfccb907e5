//! Tensors that scenes dump: which scenes do, and that they are what their kernels compute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::path::Path;

use chip_worker::Platform;
use kernel_compiler::KernelCompiler;
use run_records::dump::{DumpedTensor, Stage};
use run_records::{Dump, Run};
use scene::{Scene, Setup, Sources};

/// Runs a case with everything recorded into `folder`, which also checks the records.
fn record(scene: &Scene, platform: Platform, case: Option<&str>, folder: &Path) {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let compiler = KernelCompiler::builder().cache_dir(cache).build().unwrap();
    let objects = Sources::of([(scene, platform)]).compile(&compiler);
    let built = objects.build(scene, platform).unwrap_or_else(|error| panic!("{error}"));
    let cases = (scene.cases)(platform);
    let case = cases.iter().find(|candidate| case.is_none_or(|case| candidate.name() == case)).unwrap();
    scene::run_alone(&built, case, &Setup::default().diagnostics(folder))
        .unwrap_or_else(|error| panic!("{}/{} {platform}: {error}", scene.name, case.name()));
}

/// The tensors of one task as it was dispatched and as it was completed, by argument.
#[derive(Default)]
struct Dumped {
    func_id: u32,
    before: BTreeMap<u32, Vec<f32>>,
    after: BTreeMap<u32, Vec<f32>>,
}

fn dumped(folder: &Path) -> Vec<Dumped> {
    let dump = Dump::read(folder).unwrap().unwrap();
    let values = |tensor: &DumpedTensor| -> Vec<f32> {
        assert_eq!(tensor.bin_size, 4 * tensor.numel);
        let bytes = dump.bytes_of(folder, tensor).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let mut tasks: BTreeMap<u64, Dumped> = BTreeMap::new();
    for tensor in &dump.tensors {
        let task = tasks.entry(tensor.task_id).or_default();
        task.func_id = tensor.func_id;
        let stage = match tensor.stage {
            Stage::BeforeDispatch => &mut task.before,
            Stage::AfterCompletion => &mut task.after,
        };
        assert!(stage.insert(tensor.arg_index, values(tensor)).is_none(), "{tensor:?} comes twice");
    }
    tasks.into_values().collect()
}

fn each(x: &[f32], y: &[f32], of: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    assert_eq!(x.len(), y.len());
    x.iter().zip(y).map(|(&x, &y)| of(x, y)).collect()
}

#[test]
fn vector_tasks_dump_what_they_compute() {
    for name in ["vector_example", "trb_vector_example"] {
        for platform in Platform::SIMULATED {
            let folder = tempfile::tempdir().unwrap();
            record(scenes::find(name).unwrap(), platform, Some("33x7"), folder.path());
            let tasks = dumped(folder.path());
            assert_eq!(tasks.len(), 5);
            // What the first task gets are the arguments of the run.
            let (a, b) = (&tasks[0].before[&0], &tasks[0].before[&1]);
            let sum = each(a, b, |a, b| a + b);
            let plus = |addend: f32| sum.iter().map(|sum| sum + addend).collect::<Vec<f32>>();
            let product = each(&plus(1.0), &plus(2.0), |x, y| x * y);
            let f = each(&product, &sum, |product, sum| product + sum);
            assert!(a.len() == 33 * 7 && a.iter().any(|&a| a != 0.0));
            let expected: [(u32, Vec<Vec<f32>>, Vec<f32>); 5] = [
                (0, vec![a.clone(), b.clone()], sum.clone()),
                (1, vec![sum.clone()], plus(1.0)),
                (1, vec![sum.clone()], plus(2.0)),
                (2, vec![plus(1.0), plus(2.0)], product.clone()),
                (0, vec![product, sum], f),
            ];
            for (task, (func_id, before, after)) in tasks.iter().zip(expected) {
                assert_eq!(task.func_id, func_id, "{name} {platform}");
                assert!(task.before.values().eq(&before), "{name} {platform}");
                assert!(task.after.values().eq([&after]), "{name} {platform}");
                assert!(task.after.keys().eq([&u32::try_from(before.len()).unwrap()]));
            }
        }
    }
}

/// Tiles of host-built graphs are windows in larger matrices, which tasks get by address.
#[test]
fn tiles_of_matrices_are_dumped_as_windows() {
    const TILE: usize = 16;
    for platform in Platform::SIMULATED {
        let folder = tempfile::tempdir().unwrap();
        record(scenes::find("bgemm").unwrap(), platform, Some("2x32x64x48_tile_16"), folder.path());
        let tasks = dumped(folder.path());
        // Two matrices of 2 by 3 tiles, 4 products each and as many sums.
        assert_eq!(tasks.len(), 2 * 2 * 3 * 4 * 2);
        for (gemm, add) in tasks.iter().step_by(2).zip(tasks.iter().skip(1).step_by(2)) {
            assert_eq!((gemm.func_id, add.func_id), (0, 1));
            let (x, y, product) = (&gemm.before[&0], &gemm.before[&1], &gemm.after[&2]);
            for (index, value) in product.iter().enumerate() {
                let (row, column) = (index / TILE, index % TILE);
                let terms = (0..TILE).map(|k| f64::from(x[row * TILE + k]) * f64::from(y[k * TILE + column]));
                let difference = terms.sum::<f64>() - f64::from(*value);
                assert!(difference.abs() < 1e-5, "{platform}: element {index} is off by {difference}");
            }
            assert_eq!(&add.before[&1], product);
            assert_eq!(add.after[&0], each(&add.before[&0], product, |c, partial| c + partial), "{platform}");
        }
        let dump = Dump::read(folder.path()).unwrap().unwrap();
        let of = |arg: u32| dump.tensors.iter().find(|tensor| tensor.func_id == 0 && tensor.arg_index == arg);
        let layout =
            |arg| of(arg).map(|tensor| (&tensor.shape[..], &tensor.strides[..], tensor.is_contiguous));
        assert_eq!(layout(0), Some((&[16, 16][..], &[64, 1][..], false)));
        assert_eq!(layout(1), Some((&[16, 16][..], &[48, 1][..], false)));
        assert_eq!(layout(2), Some((&[16, 16][..], &[16, 1][..], true)));
    }
}

/// Whose dumps would be as large as all of their tensors times all of their tasks or blocks; and one whose first case
/// has nothing but flags.
const WITHOUT: [&str; 3] = ["random_dag", "spmd_multiblock_aiv", "blocking"];

#[test]
fn scenes_dump_tensors() {
    for scene in scenes::all() {
        let folder = tempfile::tempdir().unwrap();
        record(scene, Platform::A2a3Sim, None, folder.path());
        let own = folder.path().join("rank_0");
        let run = Run::read(if own.exists() { &own } else { folder.path() }).unwrap();
        let tensors = run.dump.map_or(0, |dump| dump.tensors.len());
        assert_eq!(tensors > 0, !WITHOUT.contains(&scene.name), "{}: {tensors} tensors", scene.name);
    }
}
