//! Who a kernel is: the core it runs on, and the memory it shares with its cluster.
//!
//! Kernels ask through C functions without context (`spec/public-abi.md`, section E.6), so the answer lies
//! in thread-local variables of the carrier.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
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
    bind_thread(Some(subblock_id), Some(pipe_shared_state));
}

/// Drops this thread's share of the run's pipe memory; it runs no kernels until it joins another run.
pub(crate) fn leave_run() {
    PIPES.set(None);
    bind_thread(None, None);
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
/// `simpler_sim_bind_thread` of the context library; null for both lets the thread go.
type BindThread = extern "C" fn(Option<SubblockId>, Option<PipeSharedState>);

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

/// Gives an AICore program the functions by which it says who the calling thread is, if it asks for them.
pub(crate) fn give_setters(object: &SharedObject) -> Result<(), object_loader::LoadError> {
    let Some(give) = object.optional_symbol("set_sim_core_identity_helpers")? else { return Ok(()) };
    type Give = extern "C" fn(*mut c_void, *mut c_void);
    // SAFETY: the contract of that symbol (spec/device-abi.md, section 7.2) is this signature, and the object stays
    // loaded during the call.
    let give = unsafe { std::mem::transmute::<usize, Give>(give.0.get()) };
    give(set_subblock_id as *mut c_void, set_cluster_id as *mut c_void);
    Ok(())
}

extern "C" fn set_subblock_id(id: u32) {
    let _ = LANE.try_with(|lane| lane.set(id));
}

extern "C" fn set_cluster_id(id: u32) {
    let _ = CLUSTER.try_with(|cluster| cluster.set(id));
}

/// `libcpu_sim_context.so`: the object with the symbols that kernels and device programs of a simulation look
/// up in the global scope (`spec/public-abi.md`, sections A.7 and E.6).
///
/// The simulator loads these bytes by itself before its first kernel, unless the process has such a library
/// already. They are public for whoever installs them as a file for other clients.
#[must_use]
pub fn context_library() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/global_hooks.so"))
}

/// Makes our symbols visible to kernels that look them up in the global scope; once per process.
///
/// Call it before a kernel object is loaded. Without it such kernels still load, but see no cluster.
pub(crate) fn make_hooks_global() {
    let _ = global_bind_thread();
}

fn bind_thread(subblock: Option<SubblockId>, pipe_state: Option<PipeSharedState>) {
    if let Some(bind) = global_bind_thread() {
        bind(subblock, pipe_state);
    }
}

fn global_bind_thread() -> Option<BindThread> {
    static BIND: OnceLock<Option<BindThread>> = OnceLock::new();
    *BIND.get_or_init(|| {
        // The client, or another copy of this crate in the process, may have loaded the context library: then
        // all share that one, as a kernel's look-up finds the first one.
        let address = find_global(BIND_THREAD).or_else(|| {
            load_context_library();
            find_global(BIND_THREAD)
        })?;
        // SAFETY: only global_hooks.c defines this symbol. It has this signature there, and the object is never
        // unloaded.
        Some(unsafe { std::mem::transmute::<*mut c_void, BindThread>(address.as_ptr()) })
    })
}

const BIND_THREAD: &CStr = c"simpler_sim_bind_thread";
/// What kernels look up, in our context library and in others'.
const SUBBLOCK_ID: &CStr = c"pto_sim_get_subblock_id";

fn find_global(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: dlsym with a valid name; RTLD_DEFAULT searches the global scope only.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

fn load_context_library() {
    if let Some(foreign) = find_global(SUBBLOCK_ID) {
        // Look-ups would go on finding the other one.
        log::warn!(
            "{} provides pto_sim_get_subblock_id, but is not the libcpu_sim_context.so of this project: kernels \
             that look pto_sim_* up globally see lane 0 and no cluster memory. Load the file of this project \
             instead (`cargo xtask build-all` makes it), or none, as the simulator then brings its own",
            object_of(foreign)
        );
        return;
    }
    // It stays for ever, as kernels keep addresses into it.
    if let Err(error) = GlobalObject::load(context_library()) {
        log::warn!("kernels that look pto_sim_* up globally will see lane 0 and no cluster memory: {error}");
    }
}

/// The file that an address was loaded from, for whoever reads the log.
fn object_of(address: NonNull<c_void>) -> String {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr takes any address, and writes the structure it is given.
    let known = unsafe { libc::dladdr(address.as_ptr(), info.as_mut_ptr()) } != 0;
    // SAFETY: all of its fields are pointers, for which zeros are valid.
    let info = unsafe { info.assume_init() };
    if !known || info.dli_fname.is_null() {
        return "an object in this process".to_owned();
    }
    // SAFETY: a name that the dynamic loader gave; the object stays loaded, as does whatever is global here.
    unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned()
}

/// The entry of a kernel object.
pub(crate) fn kernel_entry(object: &SharedObject) -> Result<SymbolAddress, object_loader::LoadError> {
    object.symbol_address("kernel_entry")
}
