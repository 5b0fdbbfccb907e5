//! The function table that C++ orchestrations call (`spec/public-abi.md`, section D.2).
//!
//! Each function turns raw arguments into a call on the [`Orchestrator`] behind the runtime pointer. Nothing unwinds
//! into C++: a panic of ours becomes a fatal error of the run.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use task_interface::TensorArgType;
use task_interface::trb::{
    Arg, ArgError, MixedKernels, RuntimeHeader, RuntimeOps, ScopeMode, TaskOutputTensors, TaskToken, Tensor,
    TensorCreateInfo, TrbErrorCode,
};

use crate::gm;
use crate::orchestrator::{ArgTensor, Orchestrator, Submission};
use crate::trace::Site;

/// What the runtime pointer points to: the part that the contract names, and the orchestrator behind it.
#[repr(C)]
pub(crate) struct Runtime<'a, 'b> {
    public: RuntimeHeader,
    orchestrator: &'b mut Orchestrator<'a>,
    /// Reused from task to task.
    submission: Submission,
}

unsafe extern "C" {
    fn simpler_trb_report_fatal(
        runtime: *mut RuntimeHeader,
        code: i32,
        func: *const c_char,
        fmt: *const c_char,
        ...
    );
    fn simpler_trb_log_error(func: *const c_char, fmt: *const c_char, ...);
    fn simpler_trb_log_warn(func: *const c_char, fmt: *const c_char, ...);
    fn simpler_trb_log_debug(func: *const c_char, fmt: *const c_char, ...);
    fn simpler_trb_log_info_v(func: *const c_char, v: c_int, fmt: *const c_char, ...);
    fn simpler_trb_connect(
        message: unsafe extern "C" fn(c_int, c_int, *const c_char, *const c_char),
        fatal: unsafe extern "C" fn(*mut RuntimeHeader, i32, *const c_char, *const c_char),
    );
}

static OPS: RuntimeOps = RuntimeOps {
    submit_task,
    scope_begin,
    scope_end,
    orchestration_done,
    is_fatal,
    report_fatal: simpler_trb_report_fatal,
    log_error: simpler_trb_log_error,
    log_warn: simpler_trb_log_warn,
    log_debug: simpler_trb_log_debug,
    log_info_v: simpler_trb_log_info_v,
    get_tensor_data,
    set_tensor_data,
    alloc_tensors,
    submit_dummy_task,
    scope_set_site: Some(scope_set_site),
};

/// Address of the function table, for whoever publishes it.
pub(crate) fn ops_address() -> u64 {
    (&raw const OPS).expose_provenance() as u64
}

impl<'a, 'b> Runtime<'a, 'b> {
    pub(crate) fn new(orchestrator: &'b mut Orchestrator<'a>) -> Self {
        static CONNECTED: Once = Once::new();
        // SAFETY: variadic.c calls both with what an orchestration passes and texts of its own.
        CONNECTED.call_once(|| unsafe { simpler_trb_connect(on_message, on_fatal) });
        Self { public: RuntimeHeader::new(&raw const OPS), orchestrator, submission: Submission::default() }
    }

    pub(crate) fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self).cast()
    }
}

/// Runs `call` on what the pointer stands for; `failed` when there is nothing, or when it panics.
///
/// # Safety
/// `runtime` must be null, or the pointer that the orchestration was given, during its run.
unsafe fn with<T>(runtime: *mut RuntimeHeader, failed: T, call: impl FnOnce(&mut Runtime<'_, '_>) -> T) -> T {
    // SAFETY: the pointer is that of a `Runtime`, whose first field it names, and which outlives the orchestration.
    // Only this function reaches it meanwhile.
    let Some(runtime) = (unsafe { runtime.cast::<Runtime<'_, '_>>().as_mut() }) else {
        log::error!("a function of the runtime was called with a null pointer");
        return failed;
    };
    match catch_unwind(AssertUnwindSafe(|| call(runtime))) {
        Ok(value) => value,
        Err(_) => {
            runtime
                .orchestrator
                .fail_with(-1, "internal error in the orchestrator; please report it".to_owned());
            failed
        }
    }
}

/// Copies what a task is made of out of the orchestration's memory.
///
/// # Safety
/// `arg` must be null or point to an `Arg` whose pointers are valid.
unsafe fn decode(arg: *const Arg, into: &mut Submission) -> Result<(), String> {
    into.clear();
    if arg.is_null() {
        return Err("the arguments are null".to_owned());
    }
    // SAFETY: not null; the orchestration vouches for it.
    let arg = unsafe { arg.read_unaligned() };
    if let Some(message) = arg.builder_error() {
        // SAFETY: the builder keeps a static text, or null.
        return Err(unsafe {
            text(std::ptr::with_exposed_provenance(usize::try_from(message).unwrap_or(0)))
        });
    }
    let plain = |error: ArgError| error.to_string();
    for index in 0..arg.tensor_count().map_err(plain)? {
        let (tag, tensor) = arg.tensor(index).map_err(plain)?;
        if tensor.ptr == 0 {
            return Err(format!("tensor argument {index} is null"));
        }
        // SAFETY: by its tag the pointer is that of a create info, or of a tensor.
        let tensor = unsafe { foreign_tensor(tag, tensor.ptr) };
        into.tensors.push(tensor);
    }
    into.scalars.extend_from_slice(arg.used_scalars().map_err(plain)?);
    if let Some((deps, count)) = arg.explicit_deps().map_err(plain)? {
        for index in 0..count as u64 {
            // SAFETY: the builder vouches for `count` ids.
            into.deps.push(TaskToken { raw: unsafe { gm::read_foreign(deps + 8 * index) } });
        }
    }
    let blocks = arg.block_num().map_err(plain)?;
    into.blocks = u32::try_from(blocks).map_err(|_| format!("{blocks} blocks are not possible"))?;
    into.sync_start = arg.require_sync_start();
    into.chosen = arg.dump_mask();
    Ok(())
}

/// # Safety
/// `address` must be that of what the tag says.
unsafe fn foreign_tensor(tag: TensorArgType, address: u64) -> ArgTensor {
    match tag {
        // SAFETY: as the caller promises.
        TensorArgType::Output => ArgTensor::Create(unsafe { gm::read_foreign::<TensorCreateInfo>(address) }),
        // SAFETY: as the caller promises.
        tag => ArgTensor::Existing(tag, unsafe { gm::read_foreign::<Tensor>(address) }),
    }
}

/// Decodes `arg` and hands it on.
///
/// # Safety
/// As [`with`] and [`decode`].
unsafe fn submit(
    runtime: *mut RuntimeHeader,
    arg: *const Arg,
    call: impl FnOnce(&mut Orchestrator<'_>, &Submission) -> TaskOutputTensors,
) -> TaskOutputTensors {
    // SAFETY: as the caller promises.
    unsafe {
        with(runtime, TaskOutputTensors::default(), |runtime| {
            if runtime.orchestrator.is_fatal() {
                return TaskOutputTensors::default();
            }
            match decode(arg, &mut runtime.submission) {
                Ok(()) => call(runtime.orchestrator, &runtime.submission),
                Err(message) => {
                    runtime.orchestrator.fail(TrbErrorCode::InvalidArgs, message);
                    TaskOutputTensors::default()
                }
            }
        })
    }
}

unsafe extern "C" fn submit_task(
    runtime: *mut RuntimeHeader,
    kernels: *const MixedKernels,
    arg: *const Arg,
) -> TaskOutputTensors {
    if kernels.is_null() {
        log::error!("submit_task was called without kernels");
        return TaskOutputTensors::default();
    }
    // SAFETY: not null; the orchestration vouches for all three.
    unsafe {
        let kernels = kernels.read_unaligned();
        submit(runtime, arg, |orchestrator, submission| orchestrator.submit(kernels, submission))
    }
}

unsafe extern "C" fn submit_dummy_task(runtime: *mut RuntimeHeader, arg: *const Arg) -> TaskOutputTensors {
    // SAFETY: the orchestration vouches for both.
    unsafe { submit(runtime, arg, |orchestrator, submission| orchestrator.submit_dummy(submission)) }
}

unsafe extern "C" fn alloc_tensors(runtime: *mut RuntimeHeader, arg: *const Arg) -> TaskOutputTensors {
    // SAFETY: the orchestration vouches for both.
    unsafe { submit(runtime, arg, |orchestrator, submission| orchestrator.alloc_tensors(submission)) }
}

unsafe extern "C" fn scope_begin(runtime: *mut RuntimeHeader) {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with(runtime, (), |runtime| match runtime.public.take_pending_scope_mode() {
            Ok(mode) => {
                let site = take_site(runtime.orchestrator.wants_sites());
                runtime.orchestrator.begin_scope(mode, site);
            }
            Err(error) => runtime.orchestrator.fail(TrbErrorCode::InvalidArgs, error.to_string()),
        });
    }
}

thread_local! {
    /// File and line of the scope that is about to be opened; null for none.
    static SITE: Cell<(*const c_char, c_int)> = const { Cell::new((std::ptr::null(), 0)) };
}

unsafe extern "C" fn scope_set_site(file: *const c_char, line: c_int) {
    SITE.set((file, line));
}

/// The site that was set last, once; nothing if it is not wanted.
///
/// # Safety
/// Whoever has set it must have passed a text that is still there.
unsafe fn take_site(wanted: bool) -> Option<Site> {
    let (file, line) = SITE.replace((std::ptr::null(), 0));
    // SAFETY: as the caller promises.
    (wanted && !file.is_null()).then(|| (Cow::Owned(unsafe { text(file) }), line))
}

unsafe extern "C" fn scope_end(runtime: *mut RuntimeHeader) {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe { with(runtime, (), |runtime| runtime.orchestrator.end_scope()) }
}

unsafe extern "C" fn orchestration_done(runtime: *mut RuntimeHeader) {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe { with(runtime, (), |runtime| runtime.orchestrator.finish()) }
}

unsafe extern "C" fn is_fatal(runtime: *mut RuntimeHeader) -> bool {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe { with(runtime, true, |runtime| runtime.orchestrator.is_fatal()) }
}

/// # Safety
/// `tensor` must point to a tensor and `indices` to `ndims` numbers.
unsafe fn element(
    tensor: *const Tensor,
    ndims: u32,
    indices: *const u32,
    buffer: &mut [u32; 5],
) -> Option<(Tensor, &[u32])> {
    let count = usize::try_from(ndims).ok().filter(|&count| count <= buffer.len())?;
    if tensor.is_null() || (indices.is_null() && count > 0) {
        return None;
    }
    for (index, slot) in buffer[..count].iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        *slot = unsafe { indices.add(index).read_unaligned() };
    }
    // SAFETY: not null; as the caller promises.
    Some((unsafe { tensor.read_unaligned() }, &buffer[..count]))
}

unsafe extern "C" fn get_tensor_data(
    runtime: *mut RuntimeHeader,
    tensor: *const Tensor,
    ndims: u32,
    indices: *const u32,
) -> u64 {
    let mut buffer = [0; 5];
    // SAFETY: the orchestration vouches for all of them.
    unsafe {
        let element = element(tensor, ndims, indices, &mut buffer);
        with(runtime, 0, |runtime| match element {
            Some((tensor, indices)) => runtime.orchestrator.get_tensor_data(&tensor, indices),
            None => {
                runtime
                    .orchestrator
                    .fail(TrbErrorCode::InvalidArgs, "get_tensor_data: no tensor, or too many indices");
                0
            }
        })
    }
}

unsafe extern "C" fn set_tensor_data(
    runtime: *mut RuntimeHeader,
    tensor: *const Tensor,
    ndims: u32,
    indices: *const u32,
    value: u64,
) {
    let mut buffer = [0; 5];
    // SAFETY: the orchestration vouches for all of them.
    unsafe {
        let element = element(tensor, ndims, indices, &mut buffer);
        with(runtime, (), |runtime| match element {
            Some((tensor, indices)) => runtime.orchestrator.set_tensor_data(&tensor, indices, value),
            None => {
                runtime
                    .orchestrator
                    .fail(TrbErrorCode::InvalidArgs, "set_tensor_data: no tensor, or too many indices");
            }
        });
    }
}

/// # Safety
/// `text` must be null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Called by variadic.c with a formatted message. Whoever keeps log records finds the function and, of
/// information, the verbosity (0 to 9) among their key-values.
unsafe extern "C" fn on_message(
    severity: c_int,
    verbosity: c_int,
    func: *const c_char,
    message: *const c_char,
) {
    let level = match severity {
        3 => log::Level::Error,
        2 => log::Level::Warn,
        1 => log::Level::Info,
        _ => log::Level::Debug,
    };
    if log::log_enabled!(level) {
        // SAFETY: both come from the orchestration's call, formatted by variadic.c.
        let (func, message) = unsafe { (text(func), text(message)) };
        log::log!(level, function = func.as_str(), verbosity; "{func}: {}", message.trim_end());
    }
}

/// Called by variadic.c with a formatted message.
unsafe extern "C" fn on_fatal(
    runtime: *mut RuntimeHeader,
    code: i32,
    func: *const c_char,
    message: *const c_char,
) {
    // SAFETY: the runtime pointer is the orchestration's, the texts come from variadic.c.
    unsafe {
        let message = format!("{}: {}", text(func), text(message).trim_end());
        with(runtime, (), |runtime| runtime.orchestrator.fail_with(code, message));
    }
}

/// Mode of the scope around the whole orchestration.
pub(crate) const OUTER_SCOPE: ScopeMode = ScopeMode::Auto;
