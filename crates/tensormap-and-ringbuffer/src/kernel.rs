//! What Rust kernels of this variant read from their arguments.

use bytemuck::Pod;
use device_runner::{DevPtr, KernelContext, KernelFault};
use task_interface::trb::{GlobalContext, LocalContext, SLOT_GLOBAL_CONTEXT, SLOT_LOCAL_CONTEXT, Tensor};

/// Arguments as this variant passes them: tensors by the address of their description, then scalars by value
/// (`spec/public-abi.md`, section E.3).
///
/// ```no_run
/// use device_runner::{KernelContext, KernelFault};
/// use tensormap_and_ringbuffer::TensorKernel as _;
///
/// /// out = in + scalar, element by element.
/// fn add(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
///     let addend = kernel.args()[2] as f32;
///     let sums: Vec<f32> = kernel.elements::<f32>(0)?.iter().map(|value| value + addend).collect();
///     kernel.set_elements(1, &sums)
/// }
/// ```
pub trait TensorKernel {
    /// The tensor whose description is in argument slot `slot`.
    ///
    /// # Errors
    /// [`KernelFault`] when the slot holds none.
    fn tensor(&self, slot: usize) -> Result<Tensor, KernelFault>;

    /// The elements of that tensor, in row-major order.
    ///
    /// # Errors
    /// [`KernelFault`] when `T` has another size than the tensor's elements, or the tensor is not in memory.
    fn elements<T: Pod>(&self, slot: usize) -> Result<Vec<T>, KernelFault>;

    /// Sets the elements of that tensor, in row-major order.
    ///
    /// # Errors
    /// As [`elements`](Self::elements), and when the number of values is another.
    fn set_elements<T: Pod>(&self, slot: usize, values: &[T]) -> Result<(), KernelFault>;

    /// Which block of the task this is, of how many, and where conditions are registered.
    ///
    /// # Errors
    /// [`KernelFault`] in a run of another variant.
    fn local_context(&self) -> Result<LocalContext, KernelFault>;

    /// Which vector core of the cluster this is.
    ///
    /// # Errors
    /// [`KernelFault`] in a run of another variant.
    fn global_context(&self) -> Result<GlobalContext, KernelFault>;
}

impl TensorKernel for KernelContext<'_> {
    fn tensor(&self, slot: usize) -> Result<Tensor, KernelFault> {
        one(self, self.ptr(slot))
    }

    fn elements<T: Pod>(&self, slot: usize) -> Result<Vec<T>, KernelFault> {
        let (tensor, mut values) = (self.tensor(slot)?, Vec::new());
        for_each_row::<T>(&tensor, |at, count| {
            values.extend(self.read::<T>(at, count)?);
            Ok(())
        })?;
        Ok(values)
    }

    fn set_elements<T: Pod>(&self, slot: usize, values: &[T]) -> Result<(), KernelFault> {
        let tensor = self.tensor(slot)?;
        let wanted = tensor.element_count().map_err(fault)?;
        if wanted != values.len() as u64 {
            return Err(format!("argument {slot} has {wanted} elements, not {}", values.len()).into());
        }
        let mut rest = values;
        for_each_row::<T>(&tensor, |at, count| {
            let (row, others) = rest.split_at(count);
            rest = others;
            self.write(at, row)
        })
    }

    fn local_context(&self) -> Result<LocalContext, KernelFault> {
        one(self, self.ptr(SLOT_LOCAL_CONTEXT))
    }

    fn global_context(&self) -> Result<GlobalContext, KernelFault> {
        one(self, self.ptr(SLOT_GLOBAL_CONTEXT))
    }
}

fn fault(error: impl std::fmt::Display) -> KernelFault {
    KernelFault::Message(error.to_string())
}

fn one<T: Pod>(kernel: &KernelContext<'_>, at: DevPtr) -> Result<T, KernelFault> {
    kernel.read::<T>(at, 1)?.pop().ok_or_else(|| "nothing was read".into())
}

/// Calls `visit` with address and length of each stretch of elements that follow each other, in row-major order.
fn for_each_row<T: Pod>(
    tensor: &Tensor,
    mut visit: impl FnMut(DevPtr, usize) -> Result<(), KernelFault>,
) -> Result<(), KernelFault> {
    let dtype = tensor.dtype().map_err(fault)?;
    if dtype.element_size() != size_of::<T>() {
        return Err(format!(
            "elements of {dtype:?} have {} bytes, not {}",
            dtype.element_size(),
            size_of::<T>()
        )
        .into());
    }
    let (shape, strides) = (tensor.shape().map_err(fault)?, tensor.strides().map_err(fault)?);
    let Some((&length, outer)) = shape.split_last() else { return Ok(()) };
    if shape.contains(&0) {
        return Ok(());
    }
    let dense = strides[outer.len()] == 1;
    let mut index = vec![0; shape.len()];
    loop {
        let at = |index: &[u32]| tensor.element_address(index).map(DevPtr::new).map_err(fault);
        if dense {
            visit(at(&index)?, length as usize)?;
        } else {
            for last in 0..length {
                index[outer.len()] = last;
                visit(at(&index)?, 1)?;
            }
            index[outer.len()] = 0;
        }
        // The next row: the last of the outer dimensions that is not at its end goes on, those behind it start again.
        let Some(dim) = (0..outer.len()).rev().find(|&dim| index[dim] + 1 < outer[dim]) else {
            return Ok(());
        };
        index[dim] += 1;
        index[dim + 1..].fill(0);
    }
}
