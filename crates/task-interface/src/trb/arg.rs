//! The arguments of one task, as the orchestration passes them.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::create_info::TensorCreateInfo;
use super::error::ArgError;
use super::limits::{MAX_SCALAR_ARGS, MAX_TENSOR_ARGS};
use super::tensor::Tensor;
use crate::dtype::TensorArgType;
use crate::wire::assert_layout;

/// Address of a [`Tensor`], or of a [`TensorCreateInfo`] where the role is [`TensorArgType::Output`]
/// (`spec/public-abi.md`, section D.3). 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct TensorRef {
    /// The address. Nothing is known about what is there.
    pub ptr: u64,
}

assert_layout!(TensorRef, size 8, align 8, { ptr @ 0 });

impl TensorRef {
    /// Refers to a tensor, which must live until the submission returns.
    #[must_use]
    pub fn to_tensor(tensor: *const Tensor) -> Self {
        Self { ptr: tensor.expose_provenance() as u64 }
    }

    /// Refers to the description of an output, which must live until the submission returns.
    #[must_use]
    pub fn to_create_info(info: *const TensorCreateInfo) -> Self {
        Self { ptr: info.expose_provenance() as u64 }
    }
}

impl fmt::Debug for TensorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorRef({:#x})", self.ptr)
    }
}

/// How often a task runs, and how its runs start (section D.3). 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LaunchSpec {
    /// Number of blocks, at least 1. Clients of a5 call it the core number.
    pub block_num: i16,
    /// Not 0: all blocks start together.
    pub require_sync_start: u8,
    /// Undefined.
    pub pad: u8,
}

assert_layout!(LaunchSpec, size 4, align 2, { block_num @ 0, require_sync_start @ 2, pad @ 3 });

impl Default for LaunchSpec {
    /// One block.
    fn default() -> Self {
        Self { block_num: 1, require_sync_start: 0, pad: 0 }
    }
}

/// Arguments of one task: up to 16 tensors, then up to 32 scalars, and how to run it (`spec/public-abi.md`, section
/// D.3). 512 bytes.
///
/// Slots beyond the counts are undefined in foreign memory. The public fields are the raw wire values; the methods
/// check counts and numbers before they touch a slot. Addresses are handed out as numbers: only the caller knows
/// which of them may be followed.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Arg {
    /// Raw [`TensorArgType`] per tensor slot.
    pub tags: [i32; MAX_TENSOR_ARGS],
    /// Tensor slots; only the first `tensor_count` count.
    pub tensors: [TensorRef; MAX_TENSOR_ARGS],
    /// Scalar slots; only the first `scalar_count` count.
    pub scalars: [u64; MAX_SCALAR_ARGS],
    /// Number of used tensor slots, 0..=16.
    pub tensor_count: i32,
    /// Number of used scalar slots, 0..=32.
    pub scalar_count: i32,
    /// Not 0: the client misused its builder; see [`builder_error`](Self::builder_error).
    pub has_error: u8,
    /// Undefined.
    pub pad_error: [u8; 7],
    /// Address of a static C string, or 0.
    pub error_msg: u64,
    /// How to run the task.
    pub launch_spec: LaunchSpec,
    /// Undefined.
    pub pad_launch: [u8; 4],
    /// Bit i: dump tensor i. See [`dump_mask`](Self::dump_mask).
    pub tensor_dump_arg_mask: u64,
    /// Not 0: dump the tensors of the mask only, even if there are none.
    pub tensor_dump_selective_requested: u8,
    /// Undefined.
    pub pad_dump: [u8; 7],
    /// Address of a list of [`TaskToken`](super::TaskToken)s that the client keeps until the submission returns.
    pub explicit_deps: u64,
    /// Length of that list.
    pub explicit_dep_count: u32,
    /// Undefined.
    pub pad_deps: [u8; 4],
}

assert_layout!(Arg, size 512, align 8, {
    tags @ 0, tensors @ 64, scalars @ 192, tensor_count @ 448, scalar_count @ 452, has_error @ 456, pad_error @ 457,
    error_msg @ 464, launch_spec @ 472, pad_launch @ 476, tensor_dump_arg_mask @ 480,
    tensor_dump_selective_requested @ 488, pad_dump @ 489, explicit_deps @ 496, explicit_dep_count @ 504,
    pad_deps @ 508,
});

impl Arg {
    /// No arguments, one block.
    #[must_use]
    pub fn new() -> Self {
        Self { launch_spec: LaunchSpec::default(), ..Self::zeroed() }
    }

    /// Number of tensors, 0..=16.
    ///
    /// # Errors
    /// [`ArgError::TensorCount`] outside that range.
    pub fn tensor_count(&self) -> Result<usize, ArgError> {
        Ok(self.used_tensors()?.len())
    }

    /// Number of scalars, 0..=32.
    ///
    /// # Errors
    /// [`ArgError::ScalarCount`] outside that range.
    pub fn scalar_count(&self) -> Result<usize, ArgError> {
        Ok(self.used_scalars()?.len())
    }

    /// The used tensor slots.
    ///
    /// # Errors
    /// [`ArgError::TensorCount`].
    pub fn used_tensors(&self) -> Result<&[TensorRef], ArgError> {
        let invalid = ArgError::TensorCount { count: self.tensor_count };
        usize::try_from(self.tensor_count).ok().and_then(|count| self.tensors.get(..count)).ok_or(invalid)
    }

    /// The used scalars.
    ///
    /// # Errors
    /// [`ArgError::ScalarCount`].
    pub fn used_scalars(&self) -> Result<&[u64], ArgError> {
        let invalid = ArgError::ScalarCount { count: self.scalar_count };
        usize::try_from(self.scalar_count).ok().and_then(|count| self.scalars.get(..count)).ok_or(invalid)
    }

    /// Role and address of the tensor with this index.
    ///
    /// # Errors
    /// [`ArgError::TensorCount`], [`ArgError::TensorIndex`] beyond the count, and [`ArgError::Tag`].
    pub fn tensor(&self, index: usize) -> Result<(TensorArgType, TensorRef), ArgError> {
        let used = self.used_tensors()?;
        let missing = ArgError::TensorIndex { index, count: used.len() };
        let (&tag, &tensor) = self.tags.iter().zip(used).nth(index).ok_or(missing)?;
        let tag = TensorArgType::try_from(tag).map_err(|source| ArgError::Tag { index, source })?;
        Ok((tag, tensor))
    }

    /// Roles and addresses of all tensors, in the order in which kernels get them. Each entry is an error of
    /// [`tensor`](Self::tensor) when its role is unknown.
    ///
    /// # Errors
    /// [`ArgError::TensorCount`].
    pub fn tagged_tensors(
        &self,
    ) -> Result<impl Iterator<Item = Result<(TensorArgType, TensorRef), ArgError>>, ArgError> {
        Ok((0..self.tensor_count()?).map(|index| self.tensor(index)))
    }

    /// Whether the client misused its builder. `Some` holds the address of a static C string that says how, or 0.
    /// Such arguments must not be submitted ([`InvalidArgs`](super::TrbErrorCode::InvalidArgs)).
    #[must_use]
    pub fn builder_error(&self) -> Option<u64> {
        (self.has_error != 0).then_some(self.error_msg)
    }

    /// Number of blocks, at least 1.
    ///
    /// # Errors
    /// [`ArgError::BlockNum`] below 1.
    pub fn block_num(&self) -> Result<i16, ArgError> {
        let block_num = self.launch_spec.block_num;
        if block_num < 1 { Err(ArgError::BlockNum { block_num }) } else { Ok(block_num) }
    }

    /// Whether all blocks must start together.
    #[must_use]
    pub fn require_sync_start(&self) -> bool {
        self.launch_spec.require_sync_start != 0
    }

    /// The tensors to dump, bit i for tensor i, if the client chose any (`spec/device-abi.md`, section 6.2).
    #[must_use]
    pub fn dump_mask(&self) -> Option<u64> {
        let chosen = self.tensor_dump_arg_mask != 0 || self.tensor_dump_selective_requested != 0;
        chosen.then_some(self.tensor_dump_arg_mask)
    }

    /// Address and length of the list of explicit dependencies, if there are any.
    ///
    /// # Errors
    /// [`ArgError::NullDependencies`] when there should be some but the address is 0.
    pub fn explicit_deps(&self) -> Result<Option<(u64, usize)>, ArgError> {
        match (self.explicit_deps, self.explicit_dep_count) {
            (_, 0) => Ok(None),
            (0, count) => Err(ArgError::NullDependencies { count }),
            (address, count) => Ok(Some((address, count as usize))),
        }
    }

    /// Appends a tensor.
    ///
    /// # Errors
    /// [`ArgError::TensorAfterScalar`] once a scalar was added, [`ArgError::TooManyTensors`] for the 17th, and
    /// [`ArgError::TensorCount`] and [`ArgError::ScalarCount`].
    pub fn add_tensor(&mut self, tag: TensorArgType, tensor: TensorRef) -> Result<(), ArgError> {
        if self.scalar_count()? != 0 {
            return Err(ArgError::TensorAfterScalar);
        }
        let next = self.tensor_count()?;
        let slots = self.tags.get_mut(next).zip(self.tensors.get_mut(next));
        let (tag_slot, tensor_slot) = slots.ok_or(ArgError::TooManyTensors)?;
        (*tag_slot, *tensor_slot) = (tag.raw(), tensor);
        self.tensor_count += 1;
        Ok(())
    }

    /// Appends a scalar: any number of up to 64 bits, its bit pattern extended with zeros.
    ///
    /// # Errors
    /// [`ArgError::TooManyScalars`] for the 33rd, and [`ArgError::ScalarCount`].
    pub fn add_scalar(&mut self, bits: u64) -> Result<(), ArgError> {
        let next = self.scalar_count()?;
        *self.scalars.get_mut(next).ok_or(ArgError::TooManyScalars)? = bits;
        self.scalar_count += 1;
        Ok(())
    }
}

impl Default for Arg {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arg")
            .field("tags", &self.tags.get(..self.tensor_count().unwrap_or(0)))
            .field("tensors", &self.used_tensors())
            .field("scalars", &self.used_scalars())
            .field("builder_error", &self.builder_error())
            .field("launch_spec", &self.launch_spec)
            .field("dump_mask", &self.dump_mask())
            .field("explicit_deps", &self.explicit_deps())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::EnumError;

    #[test]
    fn arguments_come_back_in_order() {
        let mut arg = Arg::new();
        let info = TensorCreateInfo::new(&[4], crate::DataType::Int8).unwrap();
        arg.add_tensor(TensorArgType::Input, TensorRef { ptr: 64 }).unwrap();
        arg.add_tensor(TensorArgType::Output, TensorRef::to_create_info(&raw const info)).unwrap();
        arg.add_scalar(7).unwrap();
        assert_eq!((arg.tensor_count(), arg.scalar_count()), (Ok(2), Ok(1)));
        assert_eq!(arg.tensor(0), Ok((TensorArgType::Input, TensorRef { ptr: 64 })));
        assert_eq!(arg.tensor(1).unwrap().1.ptr, (&raw const info).addr() as u64);
        assert_eq!(arg.tensor(2), Err(ArgError::TensorIndex { index: 2, count: 2 }));
        assert_eq!(arg.used_scalars().unwrap(), [7]);
        let tags = arg.tagged_tensors().unwrap().map(|entry| entry.unwrap().0);
        assert!(tags.eq([TensorArgType::Input, TensorArgType::Output]));
        assert_eq!(
            arg.add_tensor(TensorArgType::Input, TensorRef { ptr: 1 }),
            Err(ArgError::TensorAfterScalar)
        );
    }

    #[test]
    fn new_arguments_run_once_without_extras() {
        let arg = Arg::default();
        assert_eq!((arg.block_num(), arg.require_sync_start()), (Ok(1), false));
        assert_eq!((arg.builder_error(), arg.dump_mask(), arg.explicit_deps()), (None, None, Ok(None)));
    }

    #[test]
    fn capacity_is_enforced() {
        let mut arg = Arg::new();
        for ptr in 0..16 {
            arg.add_tensor(TensorArgType::NoDep, TensorRef { ptr }).unwrap();
        }
        assert_eq!(arg.add_tensor(TensorArgType::NoDep, TensorRef { ptr: 0 }), Err(ArgError::TooManyTensors));
        for bits in 0..32 {
            arg.add_scalar(bits).unwrap();
        }
        assert_eq!(arg.add_scalar(0), Err(ArgError::TooManyScalars));
    }

    #[test]
    fn foreign_counts_are_checked_by_every_method() {
        for count in [-1, 33, i32::MIN, i32::MAX] {
            let mut arg = Arg { tensor_count: count, ..Arg::new() };
            let invalid = ArgError::TensorCount { count };
            assert_eq!((arg.tensor_count(), arg.tensor(0)), (Err(invalid), Err(invalid)));
            assert_eq!(arg.tagged_tensors().err(), Some(invalid));
            assert_eq!(arg.add_tensor(TensorArgType::Input, TensorRef { ptr: 0 }), Err(invalid));
            assert!(format!("{arg:?}").contains("TensorCount"));
            let mut arg = Arg { scalar_count: count, ..Arg::new() };
            let invalid = ArgError::ScalarCount { count };
            assert_eq!((arg.scalar_count(), arg.add_scalar(0)), (Err(invalid), Err(invalid)));
            assert_eq!(arg.add_tensor(TensorArgType::Input, TensorRef { ptr: 0 }), Err(invalid));
        }
        assert_eq!(
            Arg { tensor_count: 17, ..Arg::new() }.tensor_count(),
            Err(ArgError::TensorCount { count: 17 })
        );
    }

    #[test]
    fn foreign_numbers_are_checked() {
        let mut arg = Arg { tensor_count: 1, ..Arg::new() };
        arg.tags[0] = 5;
        let source = EnumError::TensorArgType(5);
        assert_eq!(arg.tensor(0), Err(ArgError::Tag { index: 0, source }));
        arg.launch_spec.block_num = 0;
        assert_eq!(arg.block_num(), Err(ArgError::BlockNum { block_num: 0 }));
        (arg.has_error, arg.error_msg) = (1, 0x77);
        assert_eq!(arg.builder_error(), Some(0x77));
        arg.explicit_dep_count = 3;
        assert_eq!(arg.explicit_deps(), Err(ArgError::NullDependencies { count: 3 }));
        arg.explicit_deps = 0x100;
        assert_eq!(arg.explicit_deps(), Ok(Some((0x100, 3))));
        arg.tensor_dump_selective_requested = 1;
        assert_eq!(arg.dump_mask(), Some(0));
        arg.launch_spec.require_sync_start = 2;
        assert!(arg.require_sync_start());
    }
}
