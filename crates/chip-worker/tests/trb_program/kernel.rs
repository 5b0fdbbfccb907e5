//! The one kernel of all programs, and the same as a function over the model.

use chip_worker::{
    ArgDirection, CallableSource, CoreType, DevPtr, KernelContext, KernelFault, KernelSource, NativeKernel,
};

use super::program::Role;
use super::rng::mix;

/// Tensors a task has at most in these programs.
pub(crate) const MAX_TENSORS: usize = 12;
/// Slot of the address of the block's context (`spec/public-abi.md`, section E.3), and the one behind it.
const LOCAL_CONTEXT: usize = 48;
const GLOBAL_CONTEXT: usize = 49;

/// Id of the kernel for so many tensors.
pub(crate) fn id(tensors: usize, core: CoreType) -> i32 {
    i32::try_from(2 * tensors).unwrap() + i32::from(core == CoreType::Aiv)
}

/// All kernels, with their ids.
pub(crate) fn all() -> Vec<(u32, KernelSource)> {
    let both = |tensors| [(tensors, CoreType::Aic), (tensors, CoreType::Aiv)];
    let make = |(tensors, core)| {
        let kernel = NativeKernel::new(&format!("{tensors} tensors on {core:?}"), move |context| {
            run(context, tensors, core)
        });
        (u32::try_from(id(tensors, core)).unwrap(), kernel.into())
    };
    (0..=MAX_TENSORS).flat_map(both).map(make).collect()
}

/// What the kernels' tensors may be, for dumps: any task may read and write any of them.
pub(crate) fn with_signatures(source: CallableSource) -> CallableSource {
    (0..=MAX_TENSORS).fold(source, |source, tensors| {
        let signature = vec![ArgDirection::Inout; tensors];
        [CoreType::Aic, CoreType::Aiv].into_iter().fold(source, |source, core| {
            source.signature(u32::try_from(id(tensors, core)).unwrap(), &signature)
        })
    })
}

/// Scalars of a task: salt, roles by two bits each, active slots, rounds to waste.
pub(crate) fn scalars(salt: u64, roles: &[Role], slots: u32, delay: u64) -> [u64; 4] {
    let packed = roles.iter().rev().fold(0, |packed, role| packed << 2 | role.code());
    [salt, packed, u64::from(slots), delay]
}

/// What the tensors that are only read come to.
pub(crate) fn checksum(salt: u64, values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(salt, mix)
}

/// New value of element `index` of tensor `tensor`; `old` is 0 where it is not read.
pub(crate) fn new_value(checksum: u64, tensor: usize, index: usize, old: u64) -> u64 {
    mix(mix(checksum, (tensor as u64) << 32 | index as u64), old)
}

fn run(context: &KernelContext<'_>, tensors: usize, core: CoreType) -> Result<(), KernelFault> {
    let [salt, roles, slots, delay] = [0, 1, 2, 3].map(|scalar| context.args()[tensors + scalar]);
    let block: Vec<i32> = context.read(context.ptr(LOCAL_CONTEXT), 2)?;
    let lane: Vec<i32> = context.read(context.ptr(GLOBAL_CONTEXT), 1)?;
    let (part, parts) = part(core, lane[0], slots, &block)?;
    (0..delay).for_each(|_| std::hint::spin_loop());
    if delay % 8 == 7 {
        std::thread::yield_now();
    }
    let role = |tensor: usize| Role::from_code(roles >> (2 * tensor) & 3);
    let views = (0..tensors).map(|tensor| Memory::new(context, tensor)).collect::<Result<Vec<_>, _>>()?;
    let mut sum = salt;
    for (tensor, view) in views.iter().enumerate() {
        if role(tensor) == (Role { reads: true, writes: false }) {
            for &(at, count) in &view.rows {
                sum = checksum(sum, context.read::<u64>(at, count)?);
            }
        }
    }
    for (tensor, view) in views.iter().enumerate().filter(|&(tensor, _)| role(tensor).writes) {
        let own = part * view.len / parts..(part + 1) * view.len / parts;
        let mut first = 0;
        for &(at, count) in &view.rows {
            let (from, to) = (own.start.clamp(first, first + count), own.end.clamp(first, first + count));
            if from < to {
                let at = DevPtr::new(at.addr() + 8 * (from - first) as u64);
                let old =
                    if role(tensor).reads { context.read::<u64>(at, to - from)? } else { vec![0; to - from] };
                let new: Vec<u64> =
                    (from..to).zip(old).map(|(index, old)| new_value(sum, tensor, index, old)).collect();
                context.write(at, &new)?;
            }
            first += count;
        }
    }
    Ok(())
}

/// Which part of the elements this call has to write, and the number of parts.
fn part(core: CoreType, lane: i32, slots: u64, block: &[i32]) -> Result<(usize, usize), KernelFault> {
    let bad = |_| KernelFault::from(format!("block {block:?}"));
    let (index, blocks) = (usize::try_from(block[0]).map_err(bad)?, usize::try_from(block[1]).map_err(bad)?);
    let kernels = slots.count_ones() as usize;
    // A task of one kernel runs on either lane.
    let own = match (kernels, core) {
        (0 | 1, _) => 0,
        (_, CoreType::Aic) => 0,
        (_, CoreType::Aiv) => (slots & if lane == 0 { 1 } else { 3 }).count_ones() as usize,
    };
    if index >= blocks || own >= kernels.max(1) {
        return Err(format!("block {index} of {blocks}, lane {lane}, slots {slots}").into());
    }
    Ok((index * kernels + own, blocks * kernels))
}

/// Where a tensor argument lies: contiguous rows of elements.
struct Memory {
    rows: Vec<(DevPtr, usize)>,
    len: usize,
}

impl Memory {
    fn new(context: &KernelContext<'_>, tensor: usize) -> Result<Self, KernelFault> {
        // Layout: `spec/public-abi.md`, section D.3.
        let long: Vec<u64> = context.read(context.ptr(tensor), 16)?;
        let words: Vec<u32> = context.read(context.ptr(tensor), 32)?;
        let dims = words[9] as usize;
        let (shape, strides) = (&words[11..11 + dims], &words[18..18 + dims]);
        let Some((&width, outer)) = shape.split_last() else { return Err("no dimensions".into()) };
        if strides[dims - 1] != 1 {
            return Err(format!("strides {strides:?}").into());
        }
        let mut starts = vec![long[3]];
        for (&length, &stride) in outer.iter().zip(strides) {
            let step = |from: u64| (0..u64::from(length)).map(move |at| from + at * u64::from(stride));
            starts = starts.into_iter().flat_map(step).collect();
        }
        if width == 0 {
            starts.clear();
        }
        let width = width as usize;
        let rows: Vec<_> = starts.iter().map(|start| (DevPtr::new(long[0] + 8 * start), width)).collect();
        Ok(Self { len: rows.len() * width, rows })
    }
}
