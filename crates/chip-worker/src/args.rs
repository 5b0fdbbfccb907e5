use std::marker::PhantomData;

use bytemuck::Pod;
use device_runner::{DevPtr, RunArgs};
use task_interface::{ChipStorageTaskArgs, ContinuousTensor, DataType, TaskArgsError, TensorError};

/// A Rust type that is the element of a tensor.
pub trait Element: Pod {
    /// Its data type.
    const DTYPE: DataType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(impl Element for $rust {
            const DTYPE: DataType = DataType::$dtype;
        })*
    };
}

elements! {
    f32 => Float32, i32 => Int32, i16 => Int16, i8 => Int8, u8 => Uint8,
    i64 => Int64, u64 => Uint64, u16 => Uint16, u32 => Uint32,
}

/// Why arguments cannot be passed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The shape and the slice disagree.
    #[error(
        "tensor argument {index}: the shape {shape:?} of {dtype} needs {needed} bytes, the slice has {given}"
    )]
    Size {
        /// Index of the tensor.
        index: usize,
        /// Its shape.
        shape: Vec<u32>,
        /// Its data type.
        dtype: DataType,
        /// Bytes of that shape.
        needed: u64,
        /// Bytes of the slice.
        given: u64,
    },
    /// The shape is not one.
    #[error("tensor argument {index}: {source}")]
    Tensor {
        /// Index of the tensor.
        index: usize,
        /// What is wrong.
        source: TensorError,
    },
    /// Too many arguments, or a tensor after a scalar.
    #[error(transparent)]
    List(#[from] TaskArgsError),
}

/// The arguments of a run: tensors first, then scalars.
///
/// It borrows the host memory of its tensors, so what the run writes cannot be looked at before the
/// arguments are dropped.
#[derive(Debug)]
pub struct Args<'a> {
    raw: Box<ChipStorageTaskArgs>,
    /// Tensors that are only read, by index.
    inputs: Vec<(usize, &'a [u8])>,
    _host: PhantomData<&'a mut [u8]>,
}

impl Default for Args<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Args<'a> {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self { raw: ChipStorageTaskArgs::new(), inputs: Vec::new(), _host: PhantomData }
    }

    /// Adds a tensor that the graph reads. What the graph writes to it is not copied back.
    ///
    /// An orchestration that runs on the host sees its address: that it does not write there by itself is part of
    /// trusting it.
    ///
    /// # Errors
    /// [`ArgsError`], for this and all other additions.
    pub fn input<T: Element>(self, values: &'a [T], shape: &[u32]) -> Result<Self, ArgsError> {
        let bytes: &[u8] = bytemuck::must_cast_slice(values);
        let mut args = self.tensor(bytes.as_ptr_range(), shape, T::DTYPE)?;
        let index = args.raw.used_tensors()?.len() - 1;
        args.inputs.push((index, bytes));
        Ok(args)
    }

    /// Adds a tensor that the graph writes, or reads and writes.
    ///
    /// # Errors
    /// [`ArgsError`].
    pub fn output<T: Element>(self, values: &'a mut [T], shape: &[u32]) -> Result<Self, ArgsError> {
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(values);
        let range = bytes.as_mut_ptr_range();
        self.tensor(range.start.cast_const()..range.end.cast_const(), shape, T::DTYPE)
    }

    /// Adds a tensor of a data type that Rust has no type for (half precision) from its raw elements.
    ///
    /// # Errors
    /// [`ArgsError`].
    pub fn raw_output<T: Pod>(
        self,
        values: &'a mut [T],
        shape: &[u32],
        dtype: DataType,
    ) -> Result<Self, ArgsError> {
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(values);
        let range = bytes.as_mut_ptr_range();
        self.tensor(range.start.cast_const()..range.end.cast_const(), shape, dtype)
    }

    /// Adds a tensor in device memory of the worker.
    ///
    /// # Errors
    /// [`ArgsError`]. Whether the memory is the worker's is checked by the run.
    pub fn device(mut self, ptr: DevPtr, shape: &[u32], dtype: DataType) -> Result<Self, ArgsError> {
        let tensor = self.make(ptr.addr(), shape, dtype)?;
        self.raw.add_tensor(tensor.in_child_memory())?;
        Ok(self)
    }

    /// Adds a scalar.
    ///
    /// # Errors
    /// [`ArgsError::List`] when there are too many.
    pub fn scalar(mut self, value: u64) -> Result<Self, ArgsError> {
        self.raw.add_scalar(value)?;
        Ok(self)
    }

    /// Adds a float as the bits that kernels expect: those of `f32`, zero-extended.
    ///
    /// # Errors
    /// [`ArgsError::List`] when there are too many.
    pub fn scalar_f32(self, value: f32) -> Result<Self, ArgsError> {
        self.scalar(u64::from(value.to_bits()))
    }

    /// The wire form.
    #[must_use]
    pub fn as_raw(&self) -> &ChipStorageTaskArgs {
        &self.raw
    }

    /// The form that the runner takes.
    pub(crate) fn lent(&self) -> RunArgs<'_> {
        self.inputs.iter().fold(RunArgs::from(&*self.raw), |args, (index, _)| args.read_only(*index))
    }

    /// The wire form for whoever writes to all tensors: with inputs in memory of their own, which the copies are.
    pub(crate) fn with_own_inputs(&self) -> Result<(Box<ChipStorageTaskArgs>, Vec<Vec<u8>>), ArgsError> {
        let mut raw = self.raw.clone();
        let mut copies = Vec::with_capacity(self.inputs.len());
        for (index, bytes) in &self.inputs {
            let mut copy = bytes.to_vec();
            raw.tensor_mut(*index)?.data = copy.as_mut_ptr().expose_provenance() as u64;
            copies.push(copy);
        }
        Ok((raw, copies))
    }

    fn tensor(
        mut self,
        bytes: std::ops::Range<*const u8>,
        shape: &[u32],
        dtype: DataType,
    ) -> Result<Self, ArgsError> {
        let address = bytes.start.expose_provenance() as u64;
        let given = (bytes.end.addr() - bytes.start.addr()) as u64;
        let tensor = self.make(address, shape, dtype)?;
        let index = self.raw.used_tensors()?.len();
        let needed = tensor.nbytes().map_err(|source| ArgsError::Tensor { index, source })?;
        if needed != given {
            return Err(ArgsError::Size { index, shape: shape.to_vec(), dtype, needed, given });
        }
        self.raw.add_tensor(tensor)?;
        Ok(self)
    }

    fn make(&self, address: u64, shape: &[u32], dtype: DataType) -> Result<ContinuousTensor, ArgsError> {
        let index = self.raw.used_tensors()?.len();
        ContinuousTensor::new(address, shape, dtype).map_err(|source| ArgsError::Tensor { index, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_must_fit_the_slices() {
        let values = [1.0f32; 6];
        assert!(Args::new().input(&values, &[2, 3]).is_ok());
        let error = Args::new().input(&values, &[2, 4]).unwrap_err();
        assert!(error.to_string().contains("needs 32 bytes, the slice has 24"), "{error}");
        assert!(Args::new().input(&values, &[1, 1, 1, 1, 1, 6]).is_err(), "more than five dimensions");
        assert!(Args::new().input(&values, &[u32::MAX; 5]).is_err(), "more bytes than there are numbers");
    }

    #[test]
    fn tensors_come_before_scalars() {
        let values = [1u8; 2];
        let args = Args::new().input(&values, &[2]).unwrap().scalar_f32(1.5).unwrap();
        assert_eq!(args.as_raw().scalar(0).unwrap(), 0x3fc0_0000);
        assert!(args.input(&values, &[2]).is_err());
    }
}
