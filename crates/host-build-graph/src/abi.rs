//! The function table that C++ orchestrations call (`spec/public-abi.md`, section C.2).
//!
//! Each function turns raw arguments into a call on the [`GraphBuilder`] behind the runtime pointer. Nothing
//! unwinds into C++: a panic of ours is remembered as an internal error of the run.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use device_runner::{DevPtr, TaskId};
use host_memory::HostRange;
use task_interface::{
    CORE_MAX_TENSOR_ARGS, CoreType, OrchestrationRuntime, OrchestrationRuntimeOps, RUNTIME_MAX_ARGS,
    TensorInfo,
};

use crate::builder::GraphBuilder;
use crate::error::GraphError;

/// What the runtime pointer points to: the contract's first field, and the builder behind it.
#[repr(C)]
pub(crate) struct Runtime<'a, 'b> {
    public: OrchestrationRuntime,
    builder: &'b mut GraphBuilder<'a>,
}

static OPS: OrchestrationRuntimeOps = OrchestrationRuntimeOps {
    add_task,
    set_tensor_info_to_task,
    add_successor,
    record_tensor_pair,
    get_task_count,
    print_runtime,
    device_malloc,
    device_free,
    copy_to_device,
};

impl<'a, 'b> Runtime<'a, 'b> {
    pub(crate) fn new(builder: &'b mut GraphBuilder<'a>) -> Self {
        Self { public: OrchestrationRuntime { ops: &raw const OPS }, builder }
    }
}

const FAILED: c_int = -1;

/// Runs `call` on the builder; `failed` when it fails, panics, or there is no runtime.
///
/// # Safety
/// `runtime` must be null or the pointer that the orchestration was called with, during that call.
unsafe fn with_builder<T>(
    runtime: *mut OrchestrationRuntime,
    name: &'static str,
    failed: T,
    call: impl FnOnce(&mut GraphBuilder<'_>) -> Result<T, GraphError>,
) -> T {
    // SAFETY: the pointer is that of a `Runtime`, whose first field it points to, and which outlives the call
    // of the orchestration. Only this function reaches the builder meanwhile.
    let Some(runtime) = (unsafe { runtime.cast::<Runtime<'_, '_>>().as_mut() }) else {
        log::error!("{name} was called with a null runtime");
        return failed;
    };
    let builder = &mut *runtime.builder;
    let result = catch_unwind(AssertUnwindSafe(|| call(builder)));
    let result = result.unwrap_or(Err(GraphError::Internal(name)));
    builder.note(result).unwrap_or(failed)
}

/// A task id from outside; a negative one becomes an id that no graph has.
fn task_id(task: c_int) -> Result<TaskId, c_int> {
    u64::try_from(task).map(TaskId).map_err(|_| task)
}

fn existing(builder: &GraphBuilder<'_>, call: &'static str, task: c_int) -> Result<TaskId, GraphError> {
    task_id(task).map_err(|task| GraphError::NoSuchTask {
        call,
        task: task.into(),
        count: builder.task_count(),
    })
}

/// # Safety
/// `args` must be null or point to `num_args` words.
unsafe extern "C" fn add_task(
    runtime: *mut OrchestrationRuntime,
    args: *mut u64,
    num_args: c_int,
    func_id: c_int,
    core_type: c_int,
) -> c_int {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "add_task", FAILED, |builder| {
            let task = TaskId(builder.task_count() as u64);
            let core_type =
                CoreType::try_from(core_type).map_err(|_| GraphError::CoreType { task, value: core_type })?;
            let count = usize::try_from(num_args).unwrap_or(0);
            if count > RUNTIME_MAX_ARGS {
                return Err(GraphError::TooManyArgs { task, count: num_args.into(), max: RUNTIME_MAX_ARGS });
            }
            let mut slots = [0; RUNTIME_MAX_ARGS];
            let given = if args.is_null() { 0 } else { count };
            for (index, slot) in slots[..given].iter_mut().enumerate() {
                *slot = args.add(index).read_unaligned();
            }
            let task = builder.add_task(&slots[..given], func_id, core_type)?;
            Ok(c_int::try_from(task.0).unwrap_or(FAILED))
        })
    }
}

/// # Safety
/// `infos` must be null or point to `count` elements.
unsafe extern "C" fn set_tensor_info_to_task(
    runtime: *mut OrchestrationRuntime,
    task: c_int,
    infos: *const TensorInfo,
    count: c_int,
) -> c_int {
    const NAME: &str = "set_tensor_info_to_task";
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, NAME, FAILED, |builder| {
            let task = existing(builder, NAME, task)?;
            let tensors = usize::try_from(count).ok().filter(|&count| count <= CORE_MAX_TENSOR_ARGS);
            let Some(tensors) = tensors else {
                let reason = format!("{count} tensors; 0 to {CORE_MAX_TENSOR_ARGS} are possible");
                return Err(GraphError::TensorInfo { task, reason });
            };
            if tensors > 0 && infos.is_null() {
                return Err(GraphError::NullPointer { call: NAME, what: "tensor info" });
            }
            let infos = if tensors == 0 { Vec::new() } else { read(infos, tensors) };
            builder.set_tensor_info(task, &infos)?;
            Ok(0)
        })
    }
}

/// Copies values out of foreign memory of any alignment.
///
/// # Safety
/// `from` must point to `count` readable elements.
unsafe fn read<T: Copy>(from: *const T, count: usize) -> Vec<T> {
    // SAFETY: as the caller promises.
    (0..count).map(|index| unsafe { from.add(index).read_unaligned() }).collect()
}

unsafe extern "C" fn add_successor(runtime: *mut OrchestrationRuntime, from: c_int, to: c_int) {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "add_successor", (), |builder| {
            let from = existing(builder, "add_successor", from)?;
            let to = existing(builder, "add_successor", to)?;
            builder.add_successor(from, to)
        });
    }
}

/// # Safety
/// `host` must stay valid for `size` bytes until the run has ended.
unsafe extern "C" fn record_tensor_pair(
    runtime: *mut OrchestrationRuntime,
    host: *mut c_void,
    dev: *mut c_void,
    size: usize,
) {
    // SAFETY: the orchestration passes its runtime pointer on, and vouches for the host range.
    unsafe {
        with_builder(runtime, "record_tensor_pair", (), |builder| {
            let host = HostRange::new(host.expose_provenance(), size);
            if host.is_null() || dev.is_null() {
                let what = if host.is_null() { "host" } else { "device" };
                return Err(GraphError::NullPointer { call: "record_tensor_pair", what });
            }
            builder.record(host, dev_ptr(dev));
            Ok(())
        });
    }
}

unsafe extern "C" fn get_task_count(runtime: *mut OrchestrationRuntime) -> c_int {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "get_task_count", FAILED, |builder| {
            Ok(c_int::try_from(builder.task_count()).unwrap_or(c_int::MAX))
        })
    }
}

unsafe extern "C" fn print_runtime(runtime: *mut OrchestrationRuntime) {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "print_runtime", (), |builder| {
            log::debug!("{builder:?}");
            Ok(())
        });
    }
}

unsafe extern "C" fn device_malloc(runtime: *mut OrchestrationRuntime, size: usize) -> *mut c_void {
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "device_malloc", std::ptr::null_mut(), |builder| {
            let ptr = builder.device_malloc(size)?;
            Ok(std::ptr::with_exposed_provenance_mut(usize::try_from(ptr.addr()).unwrap_or(0)))
        })
    }
}

unsafe extern "C" fn device_free(runtime: *mut OrchestrationRuntime, ptr: *mut c_void) {
    if ptr.is_null() {
        return;
    }
    // SAFETY: the orchestration passes its runtime pointer on.
    unsafe {
        with_builder(runtime, "device_free", (), |builder| builder.device_free(dev_ptr(ptr)));
    }
}

/// # Safety
/// `host` must be null or point to `size` readable bytes.
unsafe extern "C" fn copy_to_device(
    runtime: *mut OrchestrationRuntime,
    dev: *mut c_void,
    host: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the orchestration passes its runtime pointer on, and vouches for the host range.
    unsafe {
        with_builder(runtime, "copy_to_device", FAILED, |builder| {
            let host = HostRange::new(host.expose_provenance(), size);
            if host.is_null() || dev.is_null() {
                let what = if host.is_null() { "host" } else { "device" };
                return Err(GraphError::NullPointer { call: "copy_to_device", what });
            }
            builder.copy_host_range(dev_ptr(dev), host)?;
            Ok(0)
        })
    }
}

fn dev_ptr(ptr: *const c_void) -> DevPtr {
    DevPtr::new(ptr.expose_provenance() as u64)
}
