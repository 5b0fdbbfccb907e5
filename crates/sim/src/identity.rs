//! Who a kernel is: the core it runs on, and the memory it shares with its cluster.
//!
//! Kernels ask through C functions without context (`spec/public-abi.md`, section E.6), so the answer lies
//! in thread-local variables of the carrier.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use device_runner::{CoreId, Topology};
use object_loader::{GlobalObject, SharedObject, SymbolAddress};

use crate::memory::Block;

thread_local! {
    static LANE: Cell<u32> = const { Cell::new(0) };
    static CLUSTER: Cell<u32> = const { Cell::new(0) };
    static PIPES: RefCell<Option<Arc<PipeStates>>> = const { RefCell::new(None) };
}

/// Memory that the cores of a cluster share for their pipes, of one run.
///
/// Zeroed at first use, at the same address for the whole run.
#[derive(Debug, Default)]
pub(crate) struct PipeStates {
    by_cluster_and_key: Mutex<BTreeMap<(u32, u64), Block>>,
}

impl PipeStates {
    fn get(&self, cluster: u32, key: u64, size: usize) -> *mut c_void {
        let mut states = self.by_cluster_and_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = states.get(&(cluster, key)) {
            return block.as_ptr().cast();
        }
        let Some(block) = Block::zeroed(size) else { return std::ptr::null_mut() };
        let address = block.as_ptr().cast();
        states.insert((cluster, key), block);
        address
    }
}

/// Makes the calling thread one that runs kernels of this run.
pub(crate) fn join_run(pipes: Arc<PipeStates>) {
    PIPES.set(Some(pipes));
    if let Some(bind) = global_bind_thread() {
        // SAFETY: the address is `simpler_sim_bind_thread` of global_hooks.c, which has this signature and
        // is never unloaded.
        let bind = unsafe { std::mem::transmute::<usize, BindThread>(bind) };
        bind(subblock_id, pipe_shared_state);
    }
}

/// Drops this thread's share of the run's pipe memory.
pub(crate) fn leave_run() {
    PIPES.set(None);
}

/// Sets which core the calling thread plays from now on.
pub(crate) fn become_core(topology: Topology, core: CoreId) {
    LANE.set(topology.lane(core));
    CLUSTER.set(topology.cluster(core));
}

extern "C" fn subblock_id() -> u32 {
    LANE.try_with(Cell::get).unwrap_or(0)
}

extern "C" fn pipe_shared_state(key: u64, size: usize) -> *mut c_void {
    if size == 0 {
        return std::ptr::null_mut();
    }
    let pipes = PIPES.try_with(|pipes| pipes.try_borrow().ok().and_then(|pipes| pipes.clone()));
    match pipes {
        Ok(Some(pipes)) => pipes.get(CLUSTER.get(), key, size),
        _ => std::ptr::null_mut(),
    }
}

type SubblockId = extern "C" fn() -> u32;
type PipeSharedState = extern "C" fn(u64, usize) -> *mut c_void;
type BindThread = extern "C" fn(SubblockId, PipeSharedState);

/// Gives a kernel object our functions, if it asks for them by `pto_sim_register_hooks`.
pub(crate) fn register_hooks(object: &SharedObject) -> Result<(), object_loader::LoadError> {
    let Some(register) = object.optional_symbol("pto_sim_register_hooks")? else { return Ok(()) };
    type RegisterHooks = extern "C" fn(*mut c_void, *mut c_void);
    // SAFETY: the contract of that symbol (spec/public-abi.md, section E.4) is this signature, and the object
    // stays loaded during the call.
    let register = unsafe { std::mem::transmute::<usize, RegisterHooks>(register.0.get()) };
    register(subblock_id as *mut c_void, pipe_shared_state as *mut c_void);
    Ok(())
}

/// Makes our symbols visible to kernels that look them up in the global scope; once per process.
///
/// Call it before a kernel object is loaded. Without it such kernels still load, but see no cluster.
pub(crate) fn make_hooks_global() {
    let _ = global_bind_thread();
}

fn global_bind_thread() -> Option<usize> {
    static BIND: OnceLock<Option<usize>> = OnceLock::new();
    *BIND.get_or_init(|| {
        // Another copy of this crate in the process may have loaded its hooks: then all share those, as a
        // kernel's look-up finds the first ones.
        find_global(c"simpler_sim_bind_thread").or_else(|| {
            load_hooks();
            find_global(c"simpler_sim_bind_thread")
        })
    })
}

fn find_global(name: &std::ffi::CStr) -> Option<usize> {
    // SAFETY: dlsym with a valid name; RTLD_DEFAULT searches the global scope only.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then(|| address.addr())
}

fn load_hooks() {
    static HOOKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/global_hooks.so"));
    match GlobalObject::load(HOOKS) {
        // Never unloaded: kernels keep addresses into it.
        Ok(hooks) => std::mem::forget(hooks),
        Err(error) => log::warn!(
            "kernels that look pto_sim_* up globally will see lane 0 and no cluster memory: {error}"
        ),
    }
}

/// The entry of a kernel object.
pub(crate) fn kernel_entry(object: &SharedObject) -> Result<SymbolAddress, object_loader::LoadError> {
    object.symbol_address("kernel_entry")
}
