//! What an orchestration library of the `host_build_graph` runtime sees (`spec/public-abi.md`, section C), and the
//! callbacks between the parts of the host runtime.
//!
//! This module declares function types and never calls one. They use the plain C ABI: nothing may unwind through them.

use core::ffi::{c_int, c_void};

use bytemuck::{Pod, Zeroable};

use crate::chip_args::ChipStorageTaskArgs;
use crate::dtype::DataType;
use crate::error::TensorError;
use crate::limits::CONTINUOUS_TENSOR_MAX_DIMS;
use crate::tensor::{ContinuousTensor, padded_dims, used_dims};
use crate::wire::assert_layout;

/// Entry of an orchestration library, found under the function name of its callable (section C.1).
///
/// Returns 0 when the graph is complete; any other value aborts the run and becomes its return code.
pub type OrchestrationEntry =
    unsafe extern "C" fn(runtime: *mut OrchestrationRuntime, args: *const ChipStorageTaskArgs) -> c_int;

/// Entry of a kernel (sections E.1 and E.2). `args` are the 16 argument slots of the task, unused ones zero.
pub type KernelEntry = unsafe extern "C" fn(args: *mut i64);

/// The object an orchestration passes back to every operation (section C.2). 8 bytes.
///
/// Implementations put their own data behind this field; orchestrations see nothing but `ops`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OrchestrationRuntime {
    /// The operations.
    pub ops: *const OrchestrationRuntimeOps,
}

assert_layout!(OrchestrationRuntime, size 8, align 8, { ops @ 0 });

/// The operations an orchestration can use (sections C.2 and C.3). 72 bytes; every entry is set.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OrchestrationRuntimeOps {
    /// Adds a task: `(runtime, args, num_args, func_id, core_type)`. Returns its id, or -1 when the table is full or
    /// `num_args` is larger than 16. `args` may be null; `core_type` is a raw [`CoreType`](crate::CoreType).
    pub add_task: unsafe extern "C" fn(*mut OrchestrationRuntime, *mut u64, c_int, c_int, i32) -> c_int,
    /// Describes the tensors of a task for dumps: `(runtime, task_id, infos, count)`. Returns 0 or -1.
    pub set_tensor_info_to_task:
        unsafe extern "C" fn(*mut OrchestrationRuntime, c_int, *const TensorInfo, c_int) -> c_int,
    /// Adds an edge: `(runtime, from, to)`.
    pub add_successor: unsafe extern "C" fn(*mut OrchestrationRuntime, c_int, c_int),
    /// Asks for a copy back after the run: `(runtime, host, device, bytes)`. The device pointer is freed then.
    pub record_tensor_pair: unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void, *mut c_void, usize),
    /// Number of tasks added so far.
    pub get_task_count: unsafe extern "C" fn(*mut OrchestrationRuntime) -> c_int,
    /// Writes the graph to the debug log.
    pub print_runtime: unsafe extern "C" fn(*mut OrchestrationRuntime),
    /// Allocates device memory: `(runtime, bytes)`. Null on failure.
    pub device_malloc: unsafe extern "C" fn(*mut OrchestrationRuntime, usize) -> *mut c_void,
    /// Frees device memory.
    pub device_free: unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void),
    /// Copies to device memory: `(runtime, device, host, bytes)`. Returns 0 or -1.
    pub copy_to_device:
        unsafe extern "C" fn(*mut OrchestrationRuntime, *mut c_void, *const c_void, usize) -> c_int,
}

assert_layout!(OrchestrationRuntimeOps, size 72, align 8, {
    add_task @ 0, set_tensor_info_to_task @ 8, add_successor @ 16, record_tensor_pair @ 24, get_task_count @ 32,
    print_runtime @ 40, device_malloc @ 48, device_free @ 56, copy_to_device @ 64,
});

/// Callbacks that the host runtime gives to its runtime-specific part (`HostApi` in `spec/public-layouts.json`).
/// 72 bytes.
///
/// They carry no context: the implementation finds it through the calling thread. Entries may be missing, because
/// the block is also copied into images where it means nothing.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HostApi {
    /// Allocates device memory: `(bytes)`. Null on failure.
    pub device_malloc: Option<unsafe extern "C" fn(usize) -> *mut c_void>,
    /// Frees device memory.
    pub device_free: Option<unsafe extern "C" fn(*mut c_void)>,
    /// Copies to device memory: `(device, host, bytes)`. Returns 0 or a negative code.
    pub copy_to_device: Option<unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int>,
    /// Copies from device memory: `(host, device, bytes)`. Returns 0 or a negative code.
    pub copy_from_device: Option<unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int>,
    /// Reserves the three pooled regions below, given their sizes in bytes. Returns 0 or a negative code.
    pub setup_static_arena: Option<unsafe extern "C" fn(usize, usize, usize) -> c_int>,
    /// The pooled heap region.
    pub acquire_pooled_gm_heap: Option<unsafe extern "C" fn() -> *mut c_void>,
    /// The pooled shared-memory region.
    pub acquire_pooled_gm_sm: Option<unsafe extern "C" fn() -> *mut c_void>,
    /// The pooled runtime region.
    pub acquire_pooled_runtime_arena: Option<unsafe extern "C" fn() -> *mut c_void>,
    /// Uploads a [`ChipCallable`](crate::ChipCallable) image and returns its device address.
    pub upload_chip_callable_buffer: Option<unsafe extern "C" fn(*const c_void) -> u64>,
}

assert_layout!(HostApi, size 72, align 8, {
    device_malloc @ 0, device_free @ 8, copy_to_device @ 16, copy_from_device @ 24, setup_static_arena @ 32,
    acquire_pooled_gm_heap @ 40, acquire_pooled_gm_sm @ 48, acquire_pooled_runtime_arena @ 56,
    upload_chip_callable_buffer @ 64,
});

/// A device allocation as tensor dumps see it. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TensorAllocationInfo {
    /// First device address.
    pub base_addr: u64,
    /// Size in bytes.
    pub size_bytes: u64,
}

assert_layout!(TensorAllocationInfo, size 16, align 8, { base_addr @ 0, size_bytes @ 8 });

/// A window into a tensor, for dumps only (section C.2). 64 bytes.
///
/// The public fields are the raw wire values; the methods check them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TensorInfo {
    /// Raw [`DataType`].
    pub dtype: u8,
    /// Number of used entries of the three lists.
    pub ndims: u8,
    /// Always 0.
    pub reserved: u16,
    /// Elements of the window per dimension.
    pub shapes: [u32; CONTINUOUS_TENSOR_MAX_DIMS],
    /// Elements of the underlying tensor per dimension.
    pub raw_shapes: [u32; CONTINUOUS_TENSOR_MAX_DIMS],
    /// First element of the window per dimension.
    pub offsets: [u32; CONTINUOUS_TENSOR_MAX_DIMS],
}

assert_layout!(TensorInfo, size 64, align 4, {
    dtype @ 0, ndims @ 1, reserved @ 2, shapes @ 4, raw_shapes @ 24, offsets @ 44,
});

impl TensorInfo {
    /// A whole tensor: the raw shape is the shape and all offsets are 0.
    ///
    /// # Errors
    /// [`TensorError::TooManyDims`] for more than five dimensions.
    pub fn whole(dtype: DataType, shape: &[u32]) -> Result<Self, TensorError> {
        let (shapes, ndims) = padded_dims(shape)?;
        let offsets = [0; CONTINUOUS_TENSOR_MAX_DIMS];
        Ok(Self { dtype: dtype.raw(), ndims, reserved: 0, shapes, raw_shapes: shapes, offsets })
    }

    /// A window of `shape` that starts at `offsets` inside a tensor of `raw_shape`.
    ///
    /// # Errors
    /// [`TensorError::LengthMismatch`] unless all lists have the same length, [`TensorError::TooManyDims`] for more
    /// than five dimensions.
    pub fn window(
        dtype: DataType,
        shape: &[u32],
        raw_shape: &[u32],
        offsets: &[u32],
    ) -> Result<Self, TensorError> {
        if raw_shape.len() != shape.len() || offsets.len() != shape.len() {
            return Err(TensorError::LengthMismatch {
                shape: shape.len(),
                raw_shape: raw_shape.len(),
                offsets: offsets.len(),
            });
        }
        let (raw_shapes, _) = padded_dims(raw_shape)?;
        let (offsets, _) = padded_dims(offsets)?;
        Ok(Self { raw_shapes, offsets, ..Self::whole(dtype, shape)? })
    }

    /// The element type.
    ///
    /// # Errors
    /// [`TensorError::DataType`] when the raw number is no element type.
    pub fn dtype(&self) -> Result<DataType, TensorError> {
        Ok(DataType::try_from(self.dtype)?)
    }

    /// Elements of the window per used dimension.
    ///
    /// # Errors
    /// [`TensorError::TooManyDims`] when `ndims` is larger than five.
    pub fn shape(&self) -> Result<&[u32], TensorError> {
        used_dims(&self.shapes, self.ndims.into())
    }

    /// Elements of the underlying tensor per used dimension.
    ///
    /// # Errors
    /// As [`shape`](Self::shape).
    pub fn raw_shape(&self) -> Result<&[u32], TensorError> {
        used_dims(&self.raw_shapes, self.ndims.into())
    }

    /// First element of the window per used dimension.
    ///
    /// # Errors
    /// As [`shape`](Self::shape).
    pub fn offsets(&self) -> Result<&[u32], TensorError> {
        used_dims(&self.offsets, self.ndims.into())
    }
}

impl TryFrom<&ContinuousTensor> for TensorInfo {
    type Error = TensorError;

    /// Describes the whole tensor. Fails when its shape or element type is invalid.
    fn try_from(tensor: &ContinuousTensor) -> Result<Self, TensorError> {
        Self::whole(tensor.dtype()?, tensor.shape()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tensors_default_raw_shape_and_offsets() {
        let tensor = ContinuousTensor::new(1, &[2, 3], DataType::Int32).unwrap();
        let info = TensorInfo::try_from(&tensor).unwrap();
        assert_eq!(info.dtype(), Ok(DataType::Int32));
        assert_eq!(info.shape().unwrap(), [2, 3]);
        assert_eq!(info.raw_shape().unwrap(), [2, 3]);
        assert_eq!(info.offsets().unwrap(), [0, 0]);
    }

    #[test]
    fn windows_need_lists_of_one_length() {
        let info = TensorInfo::window(DataType::Int8, &[2], &[9], &[4]).unwrap();
        assert_eq!((info.raw_shapes[0], info.offsets[0]), (9, 4));
        let mismatch = TensorError::LengthMismatch { shape: 1, raw_shape: 1, offsets: 2 };
        assert_eq!(TensorInfo::window(DataType::Int8, &[2], &[9], &[4, 4]), Err(mismatch));
        let too_many = TensorError::TooManyDims { ndims: 6 };
        assert_eq!(TensorInfo::window(DataType::Int8, &[1; 6], &[1; 6], &[0; 6]), Err(too_many));
        assert_eq!(TensorInfo::whole(DataType::Int8, &[1; 6]), Err(too_many));
    }

    #[test]
    fn foreign_values_are_checked() {
        let mut info = TensorInfo::zeroed();
        info.ndims = 6;
        info.dtype = 200;
        let too_many = Err(TensorError::TooManyDims { ndims: 6 });
        assert_eq!((info.shape(), info.raw_shape(), info.offsets()), (too_many, too_many, too_many));
        assert!(info.dtype().is_err());
        let mut tensor = ContinuousTensor::zeroed();
        tensor.ndims = 9;
        assert!(TensorInfo::try_from(&tensor).is_err());
        tensor.ndims = 1;
        tensor.dtype = 99;
        assert!(TensorInfo::try_from(&tensor).is_err());
    }
}
