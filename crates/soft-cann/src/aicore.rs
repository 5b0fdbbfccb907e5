//! AICore programs: shared objects of this machine whose kernels run on a thread for each core of a launch.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSymbol as _};
use object_loader::{SharedObject, SymbolAddress, call::call_kernel};

use crate::chip::SubCore;
use crate::codes;
use crate::context;
use crate::device::Device;
use crate::region::pointer;
use crate::report::ViolationKind;
use crate::rule::Effect;
use crate::stream::Job;
use crate::sync::lock;
use crate::task::Task;

/// How long a launch waits for cores that another one holds, if nothing else limits it.
const CORES_LIMIT: Duration = Duration::from_secs(60);

/// A registered binary.
#[derive(Debug)]
pub(crate) struct Program {
    /// The device that it is put down to; it can be launched on any.
    device: Arc<Device>,
    bytes: u64,
    object: SharedObject,
    kernels: BTreeMap<u64, Kernel>,
    /// Devices and contexts that hold a copy of it in their memory.
    copies: Mutex<BTreeSet<(i32, u64)>>,
}

/// The entries with one key.
#[derive(Clone, Copy, Debug, Default)]
struct Kernel {
    aic: Option<SymbolAddress>,
    aiv: Option<SymbolAddress>,
    /// A cluster has two vector cores, if a cube core runs with them.
    mix: bool,
}

impl Program {
    /// Loads a binary and finds its kernels. `vector` says where kernels run whose name does not.
    pub(crate) fn register(device: &Arc<Device>, bytes: &[u8], vector: bool) -> Result<Arc<Self>, i32> {
        let refused = |text: String| {
            device.report(ViolationKind::BadProgram, format!("AICore binary: {text}"));
            codes::PARAM_INVALID
        };
        let object =
            SharedObject::load("AICore program", bytes).map_err(|error| refused(error.to_string()))?;
        let mut kernels: BTreeMap<u64, Kernel> = BTreeMap::new();
        for name in function_names(bytes).map_err(|error| refused(error.to_string()))? {
            let Some((key, core)) = kernel_name(&name) else { continue };
            let kernel = kernels.entry(key).or_default();
            let entry = object.optional_symbol(&name).ok().flatten();
            match core {
                Some(SubCore::Aic) => (kernel.aic, kernel.mix) = (entry, true),
                Some(SubCore::Aiv(_)) => (kernel.aiv, kernel.mix) = (entry, true),
                None if vector => kernel.aiv = entry,
                None => kernel.aic = entry,
            }
        }
        if kernels.is_empty() {
            return Err(refused(
                "none of its functions has the name of a kernel, as `x_0_mix_aic`".to_owned(),
            ));
        }
        bind_core(&object);
        let (bytes, copies) = (bytes.len() as u64, Mutex::default());
        Ok(Arc::new(Self { device: Arc::clone(device), bytes, object, kernels, copies }))
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Gives the memory of all copies back.
    pub(crate) fn unload(&self) {
        for (id, context) in std::mem::take(&mut *lock(&self.copies)) {
            let device = crate::process::process().device(id);
            if let Some(device) = device.filter(|device| device.life(|life| life.context) == Some(context)) {
                device.memory.discharge(self.bytes);
            }
        }
    }

    /// The first launch in a context brings the binary to the device.
    fn load_copy(&self, device: &Device, context: u64) -> Result<(), i32> {
        let mut copies = lock(&self.copies);
        if !copies.contains(&(device.id, context)) {
            device.memory.charge(self.bytes)?;
            copies.insert((device.id, context));
        }
        Ok(())
    }

    /// What a stream has to do for a launch of `blocks` blocks with the word that its kernels get.
    pub(crate) fn launch(
        self: &Arc<Self>,
        device: &Arc<Device>,
        context: u64,
        key: u64,
        blocks: u32,
        argument: u64,
    ) -> Result<Job, i32> {
        let kernel = *self.kernels.get(&key).ok_or(codes::INTERNAL_ERROR)?;
        let cores = device.cores.count();
        if blocks > cores {
            let text = format!("{blocks} blocks that must run together on {cores} cores");
            device.report(ViolationKind::TooManyBlocks, text);
            return Err(codes::PARAM_INVALID);
        }
        self.load_copy(device, context)?;
        let program = Arc::clone(self);
        Ok(Box::new(move |task| program.run(task, kernel, blocks, argument)))
    }

    fn run(self: Arc<Self>, task: &Arc<Task>, kernel: Kernel, blocks: u32, argument: u64) -> Result<(), i32> {
        let device = Arc::clone(task.device());
        let limit = device.op_timeout();
        let deadline = Instant::now() + limit.unwrap_or(CORES_LIMIT);
        let Some(clusters) = device.cores.take(blocks, Some(deadline)) else {
            return Err(codes::AICORE_TIMEOUT);
        };
        let hangs = device.rules.on_event(|effect| match effect {
            Effect::AicoreHang { core } => Some(*core),
            _ => None,
        });
        let threads: Vec<Core> =
            (0..blocks).zip(&clusters).flat_map(|(b, c)| kernel.cores(b, blocks, *c)).collect();
        let places = threads.clone();
        let (worker, runner) = (Arc::clone(task), Arc::clone(&device));
        let body = move |number: usize| {
            let core = threads[number];
            // A program stays loaded while any of its threads runs, whoever unregisters it.
            let _loaded = &self.object;
            context::remember(runner.id);
            let id = runner.chip.core_id(core.cluster, core.sub);
            if hangs.is_some_and(|only| only.is_none_or(|only| only == id)) {
                worker.pause(None);
                return 0;
            }
            core.run(&worker, id, runner.registers.core(core.cluster, core.sub), argument)
        };
        let count = places.len();
        let late = limit.map(|limit| (limit, codes::AICORE_TIMEOUT));
        let result = task.run("AICore", count, late, &(Arc::new(body) as _));
        if result.is_err() {
            for core in &places {
                device.registers.poison(core.cluster, core.sub);
            }
        }
        device.cores.give_back(&clusters);
        match result {
            Ok(0) => Ok(()),
            Ok(code) | Err(code) => Err(code),
        }
    }
}

/// One thread of a launch.
#[derive(Clone, Copy, Debug)]
struct Core {
    entry: SymbolAddress,
    cluster: u32,
    sub: SubCore,
    block_idx: u32,
    block_num: u32,
    sub_block_dim: u32,
}

impl Kernel {
    fn cores(self, block_idx: u32, block_num: u32, cluster: u32) -> Vec<Core> {
        let sub_block_dim = if self.mix { 2 } else { 1 };
        let core = |entry, sub| Core { entry, cluster, sub, block_idx, block_num, sub_block_dim };
        let aic = self.aic.map(|entry| core(entry, SubCore::Aic));
        let aivs = self
            .aiv
            .into_iter()
            .flat_map(|entry| (0..sub_block_dim).map(move |n| core(entry, SubCore::Aiv(n))));
        aic.into_iter().chain(aivs).collect()
    }
}

impl Core {
    fn run(&self, task: &Arc<Task>, core_id: u32, registers: Option<u64>, argument: u64) -> i32 {
        let identity =
            Identity { core: *self, core_id, registers: registers.unwrap_or(0), task: Arc::clone(task) };
        IDENTITY.set(Some(identity));
        // SAFETY: the symbol is a kernel entry `void f(void *)` by its name (soft_cann_device.h); that the
        // word is what it expects is the contract of its host program, as on a chip.
        let outcome = unsafe { call_kernel(self.entry, pointer(argument).cast()) };
        IDENTITY.set(None);
        match outcome {
            Ok(()) => 0,
            Err(exception) => {
                task.device()
                    .report(ViolationKind::BadProgram, format!("an AICore kernel threw: {exception}"));
                codes::AICORE_EXCEPTION
            }
        }
    }
}

/// What a core knows about itself.
#[derive(Debug)]
struct Identity {
    core: Core,
    core_id: u32,
    registers: u64,
    task: Arc<Task>,
}

thread_local! {
    static IDENTITY: RefCell<Option<Identity>> = const { RefCell::new(None) };
}

fn identity<T: Default>(ask: impl FnOnce(&Identity) -> T) -> T {
    IDENTITY.with_borrow(|identity| identity.as_ref().map(ask).unwrap_or_default())
}

/// `struct soft_cann_core` of soft_cann_device.h.
#[repr(C)]
#[derive(Debug)]
struct CoreTable {
    size: u32,
    reserved: u32,
    block_idx: extern "C" fn() -> u32,
    block_num: extern "C" fn() -> u32,
    sub_block_id: extern "C" fn() -> u32,
    sub_block_dim: extern "C" fn() -> u32,
    core_id: extern "C" fn() -> u32,
    registers: extern "C" fn() -> *mut c_void,
    killed: extern "C" fn() -> u32,
}

extern "C" fn block_idx() -> u32 {
    identity(|identity| identity.core.block_idx)
}

extern "C" fn block_num() -> u32 {
    identity(|identity| identity.core.block_num)
}

extern "C" fn sub_block_id() -> u32 {
    identity(|identity| identity.core.sub.sub_block_id())
}

extern "C" fn sub_block_dim() -> u32 {
    identity(|identity| identity.core.sub_block_dim)
}

extern "C" fn core_id() -> u32 {
    identity(|identity| identity.core_id)
}

extern "C" fn registers() -> *mut c_void {
    pointer(identity(|identity| identity.registers)).cast()
}

extern "C" fn killed() -> u32 {
    identity(|identity| u32::from(identity.task.is_killed()))
}

#[allow(clippy::cast_possible_truncation, reason = "a table of nine words")]
static CORE_TABLE: CoreTable = CoreTable {
    size: size_of::<CoreTable>() as u32,
    reserved: 0,
    block_idx,
    block_num,
    sub_block_id,
    sub_block_dim,
    core_id,
    registers,
    killed,
};

/// Tells a program that wants to know how its kernels find out where they run.
fn bind_core(object: &SharedObject) {
    if let Ok(Some(bind)) = object.optional_symbol("soft_cann_bind_core") {
        let table = (&raw const CORE_TABLE).cast_mut().cast();
        // SAFETY: the symbol is a function `void f(const struct soft_cann_core *)` (soft_cann_device.h),
        // which does not write the table.
        if let Err(exception) = unsafe { call_kernel(bind, table) } {
            log::error!("soft_cann_bind_core threw: {exception}");
        }
    }
}

fn function_names(bytes: &[u8]) -> Result<Vec<String>, object::read::Error> {
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(bytes)?;
    let functions = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    Ok(functions.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect())
}

/// Key and core of a kernel by the rule `<anything>_<key>[_mix_aic|_mix_aiv]`.
fn kernel_name(name: &str) -> Option<(u64, Option<SubCore>)> {
    let (rest, core) = match (name.strip_suffix("_mix_aic"), name.strip_suffix("_mix_aiv")) {
        (Some(rest), _) => (rest, Some(SubCore::Aic)),
        (_, Some(rest)) => (rest, Some(SubCore::Aiv(0))),
        _ => (name, None),
    };
    let (_, key) = rest.rsplit_once('_')?;
    let is_number = !key.is_empty() && key.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { Some((key.parse().ok()?, core)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kernels() {
        assert_eq!(kernel_name("aicore_kernel_0_mix_aic"), Some((0, Some(SubCore::Aic))));
        assert_eq!(kernel_name("aicore_kernel_0_mix_aiv"), Some((0, Some(SubCore::Aiv(0)))));
        assert_eq!(kernel_name("add_18446744073709551615"), Some((u64::MAX, None)));
        for other in ["add", "add_", "add_1x", "_mix_aic", "add_18446744073709551616", "add_+1"] {
            assert_eq!(kernel_name(other), None, "{other}");
        }
    }
}
