//! Communication between chips.
//!
//! Communicators are handles like contexts. `comm_init` takes no context: it finds the one whose stream it is given;
//! without a stream, the one that this thread has made ready last, or the only one there is.

use std::cell::RefCell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, Weak};

use device_runner::Communicator;
use host_library::ErrorKind;

use super::code;
use crate::border::{context, contexts, enter, enter_context};
use crate::context::Context;
use crate::error::Failure;
use crate::handles::{BadHandle, Handles};
use crate::program::Programs;

/// All communicators of this library.
static COMMUNICATORS: LazyLock<Handles<Entry>> = LazyLock::new(Handles::default);

/// What stands for streams where a device needs none.
static STREAMS: LazyLock<Handles<Weak<Context>>> = LazyLock::new(Handles::default);

thread_local! {
    /// The context that was made ready last on this thread.
    static READY: RefCell<Weak<Context>> = const { RefCell::new(Weak::new()) };
}

#[derive(Debug)]
struct Entry {
    communicator: Arc<Communicator>,
    /// The process that joined: a child of a fork has no part in it.
    process: u32,
}

/// Makes a context ready for communication; it has to have that device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ensure_acl_ready_ctx(ctx: *mut c_void, device_id: c_int) -> c_int {
    enter("ensure_acl_ready_ctx", code, || {
        let context = context(ctx)?;
        context.attach(device_id, &Programs::default())?;
        // At the end of a thread there is nobody left to ask.
        let _ = READY.try_with(|ready| ready.replace(Arc::downgrade(&context)));
        Ok(0)
    })
}

/// A stream for communication of a context, to be given to `comm_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn create_comm_stream_ctx(ctx: *mut c_void) -> *mut c_void {
    enter(
        "create_comm_stream_ctx",
        |_| std::ptr::null_mut(),
        || {
            let context = context(ctx)?;
            STREAMS.insert(Arc::downgrade(&context)).ok_or_else(no_numbers)
        },
    )
}

/// Takes back what [`create_comm_stream_ctx`] gave; null is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_comm_stream_ctx(ctx: *mut c_void, stream: *mut c_void) -> c_int {
    enter_context("destroy_comm_stream_ctx", ctx, code, |_| match STREAMS.remove(stream) {
        Ok(_) | Err(BadHandle::Null) => Ok(0),
        Err(why) => Err(bad_handle("stream", why)),
    })
}

/// Joins a job; the calls that follow wait for its other ranks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_init(
    rank: c_int,
    nranks: c_int,
    stream: *mut c_void,
    rootinfo_path: *const c_char,
) -> *mut c_void {
    enter(
        "comm_init",
        |_| std::ptr::null_mut(),
        || {
            // SAFETY: null, or a text of the client's that is valid during the call.
            let path: Option<&CStr> = unsafe { super::text(rootinfo_path) };
            let path = path.ok_or_else(|| Failure::null("rootinfo_path"))?;
            let number = |what: &str, value: c_int| {
                u32::try_from(value).map_err(|_| Failure::invalid(format!("{what} {value} is negative")))
            };
            let (rank, nranks) = (number("rank", rank)?, number("nranks", nranks)?);
            let runner = context_of(stream)?.runner()?;
            let path = Path::new(OsStr::from_bytes(path.to_bytes()));
            let communicator = runner.join(rank, nranks, path)?;
            let entry = Entry { communicator, process: std::process::id() };
            COMMUNICATORS.insert(entry).ok_or_else(no_numbers)
        },
    )
}

/// The context that a communicator is for.
fn context_of(stream: *mut c_void) -> Result<Arc<Context>, Failure> {
    let found = match STREAMS.get(stream) {
        Ok(context) => context.upgrade(),
        Err(BadHandle::Null) => {
            let ready = READY.try_with(|ready| ready.borrow().upgrade()).ok().flatten();
            ready.or_else(|| match contexts().all().as_slice() {
                [only] => Some(Arc::clone(only)),
                _ => None,
            })
        }
        Err(why) => return Err(bad_handle("stream", why)),
    };
    found.ok_or_else(|| {
        let text = "it is not known which context this is for; call ensure_acl_ready_ctx on it first, on this thread";
        Failure::new(ErrorKind::NotInitialized, text)
    })
}

/// Makes the windows of all ranks; stores the address of the `CommContext`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_alloc_windows(
    handle: *mut c_void,
    win_size: usize,
    device_ctx_out: *mut u64,
) -> c_int {
    with(handle, "comm_alloc_windows", |communicator| {
        check_place("device_ctx_out", device_ctx_out)?;
        let context = communicator.alloc_windows(win_size as u64)?;
        // SAFETY: not null, and the client's for a number.
        unsafe { device_ctx_out.write_unaligned(context.addr()) };
        Ok(())
    })
}

/// Stores the address of this rank's own window.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_get_local_window_base(handle: *mut c_void, base_out: *mut u64) -> c_int {
    with(handle, "comm_get_local_window_base", |communicator| {
        check_place("base_out", base_out)?;
        let window = communicator.local_window()?;
        // SAFETY: not null, and the client's for a number.
        unsafe { base_out.write_unaligned(window.addr()) };
        Ok(())
    })
}

/// Stores the bytes of each window; 0 before there are any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_get_window_size(handle: *mut c_void, size_out: *mut usize) -> c_int {
    with(handle, "comm_get_window_size", |communicator| {
        check_place("size_out", size_out)?;
        // It came in as a size of this machine.
        let bytes = usize::try_from(communicator.window_bytes()?).unwrap_or(usize::MAX);
        // SAFETY: not null, and the client's for a size.
        unsafe { size_out.write_unaligned(bytes) };
        Ok(())
    })
}

/// Makes a context of some ranks and a part of their windows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_derive_context(
    handle: *mut c_void,
    rank_ids: *const u32,
    rank_count: usize,
    domain_rank: u32,
    window_offset: usize,
    window_size: usize,
    device_ctx_out: *mut u64,
) -> c_int {
    with(handle, "comm_derive_context", |communicator| {
        check_place("device_ctx_out", device_ctx_out)?;
        // SAFETY: the client's array, valid during the call.
        let ranks = unsafe { ranks(rank_ids, rank_count) }?;
        let (offset, bytes) = (window_offset as u64, window_size as u64);
        let context = communicator.derive_context(&ranks, domain_rank, offset, bytes)?;
        // SAFETY: not null, and the client's for a number.
        unsafe { device_ctx_out.write_unaligned(context.addr()) };
        Ok(())
    })
}

/// Makes windows of their own for some ranks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_alloc_domain_windows(
    handle: *mut c_void,
    allocation_id: u64,
    rank_ids: *const u32,
    rank_count: usize,
    domain_rank: u32,
    window_size: usize,
    device_ctx_out: *mut u64,
    local_base_out: *mut u64,
) -> c_int {
    with(handle, "comm_alloc_domain_windows", |communicator| {
        check_place("device_ctx_out", device_ctx_out)?;
        check_place("local_base_out", local_base_out)?;
        // SAFETY: the client's array, valid during the call.
        let ranks = unsafe { ranks(rank_ids, rank_count) }?;
        let domain = communicator.alloc_domain(allocation_id, &ranks, domain_rank, window_size as u64)?;
        // SAFETY: neither is null, and both are the client's for a number.
        unsafe {
            device_ctx_out.write_unaligned(domain.context.addr());
            local_base_out.write_unaligned(domain.window.addr());
        }
        Ok(())
    })
}

/// Gives the windows of a domain back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_release_domain_windows(
    handle: *mut c_void,
    allocation_id: u64,
    rank_count: usize,
    domain_rank: u32,
) -> c_int {
    with(handle, "comm_release_domain_windows", |communicator| {
        Ok(communicator.release_domain(allocation_id, rank_count, domain_rank)?)
    })
}

/// Waits for all ranks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_barrier(handle: *mut c_void) -> c_int {
    with(handle, "comm_barrier", |communicator| Ok(communicator.barrier()?))
}

/// Leaves the job; the handle is dead from then on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_destroy(handle: *mut c_void) -> c_int {
    enter("comm_destroy", code, || {
        let entry = COMMUNICATORS.remove(handle).map_err(|why| bad_handle("communicator", why))?;
        match entry.process == std::process::id() {
            true => entry.communicator.close(),
            // It is the parent's rank, which must not leave because of a child.
            false => std::mem::forget(Arc::clone(&entry)),
        }
        Ok(0)
    })
}

/// Runs the body of an exported function with the communicator that `handle` stands for.
fn with(
    handle: *mut c_void,
    name: &'static str,
    body: impl FnOnce(&Communicator) -> Result<(), Failure>,
) -> c_int {
    enter(name, code, || {
        let entry = COMMUNICATORS.get(handle).map_err(|why| bad_handle("communicator", why))?;
        if entry.process != std::process::id() {
            let text =
                "the communicator is that of the process this one was forked from; join after the fork";
            return Err(Failure::new(ErrorKind::WrongProcess, text));
        }
        body(&entry.communicator).map(|()| 0)
    })
}

fn bad_handle(what: &str, why: BadHandle) -> Failure {
    let text = match why {
        BadHandle::Null => format!("the {what} is null"),
        BadHandle::Foreign => format!("this is not a {what} of this library"),
        BadHandle::Destroyed => format!("the {what} was destroyed"),
    };
    Failure::new(ErrorKind::InvalidHandle, text)
}

fn no_numbers() -> Failure {
    Failure::new(ErrorKind::OutOfMemory, "no numbers for handles are left; load the library again")
}

fn check_place<T>(name: &str, place: *mut T) -> Result<(), Failure> {
    if place.is_null() { Err(Failure::null(name)) } else { Ok(()) }
}

/// A client's list of ranks.
///
/// # Safety
/// `data` is null or leads to `count` numbers.
unsafe fn ranks(data: *const u32, count: usize) -> Result<Vec<u32>, Failure> {
    let size = count.saturating_mul(size_of::<u32>());
    // SAFETY: as for this function.
    let bytes = unsafe { super::bytes("rank_ids", data.cast(), size) }?;
    Ok(bytemuck::pod_collect_to_vec(bytes))
}
