//! Building a chip callable image.

use alloc::vec;
use alloc::vec::Vec;

use bytemuck::Zeroable;

use super::chip::{CHIP_CALLABLE_HEADER_SIZE, ChipCallable, ChipCallableHeader, NAME};
use super::core::CoreCallable;
use super::names::encode_name;
use super::{encode_signature, wire_size};
use crate::dtype::ArgDirection;
use crate::error::CallableError;
use crate::limits::{CALLABLE_ALIGN, CHIP_CALLABLE_MAX_CHILDREN, RUNTIME_MAX_FUNC_ID};

/// Collects the parts of a [`ChipCallable`]; [`build`](Self::build) checks them and writes the image.
#[derive(Clone, Debug)]
pub struct ChipCallableBuilder<'a> {
    signature: &'a [ArgDirection],
    func_name: &'a str,
    config_name: &'a str,
    binary: &'a [u8],
    children: Vec<(u32, &'a CoreCallable)>,
}

impl<'a> ChipCallableBuilder<'a> {
    pub(super) fn new(func_name: &'a str) -> Self {
        Self { signature: &[], func_name, config_name: "", binary: &[], children: Vec::new() }
    }

    /// Sets the directions of the arguments, at most 128.
    #[must_use]
    pub fn signature(mut self, signature: &'a [ArgDirection]) -> Self {
        self.signature = signature;
        self
    }

    /// Sets the name of the configuration function, at most 63 bytes.
    #[must_use]
    pub fn config_name(mut self, name: &'a str) -> Self {
        self.config_name = name;
        self
    }

    /// Sets the orchestration library.
    #[must_use]
    pub fn binary(mut self, binary: &'a [u8]) -> Self {
        self.binary = binary;
        self
    }

    /// Adds a kernel under an id of its own in 0..1024; at most 1024 kernels.
    #[must_use]
    pub fn child(mut self, func_id: u32, kernel: &'a CoreCallable) -> Self {
        self.children.push((func_id, kernel));
        self
    }

    /// Writes the image.
    ///
    /// # Errors
    /// [`CallableError::SignatureTooLong`], [`CallableError::NameTooLong`], [`CallableError::NameContainsNul`],
    /// [`CallableError::TooManyChildren`], [`CallableError::FuncId`], [`CallableError::DuplicateFuncId`], or
    /// [`CallableError::TooLarge`] when an offset does not fit 32 bits.
    pub fn build(self) -> Result<ChipCallable, CallableError> {
        let child_count = self.check_children()?;
        let mut header = ChipCallableHeader::zeroed();
        header.sig_count = encode_signature(NAME, self.signature, &mut header.signature)?;
        header.binary_size = wire_size(NAME, self.binary.len())?;
        (header.func_name, header.func_name_len) = encode_name("func_name", self.func_name)?;
        (header.config_name, header.config_name_len) = encode_name("config_name", self.config_name)?;
        header.child_count = child_count;
        let image_size = self.place_children(&mut header)?;

        let mut image = Vec::with_capacity(image_size);
        image.extend_from_slice(bytemuck::bytes_of(&header));
        image.extend_from_slice(self.binary);
        for ((_, kernel), offset) in self.children.iter().zip(header.child_offsets) {
            image.resize(CHIP_CALLABLE_HEADER_SIZE + offset as usize, 0);
            image.extend_from_slice(kernel.as_bytes());
        }
        ChipCallable::from_bytes(image)
    }

    /// Fills the child table of the header and returns the size of the image. The storage position is rounded up to
    /// 64 before each child.
    fn place_children(&self, header: &mut ChipCallableHeader) -> Result<usize, CallableError> {
        let mut end = self.binary.len();
        let slots = header.child_func_ids.iter_mut().zip(&mut header.child_offsets);
        for ((id_slot, offset_slot), (index, &(func_id, kernel))) in
            slots.zip(self.children.iter().enumerate())
        {
            let bad_id = CallableError::FuncId { index, func_id: func_id.into() };
            *id_slot = i32::try_from(func_id).map_err(|_| bad_id)?;
            let start = end.next_multiple_of(CALLABLE_ALIGN);
            *offset_slot = wire_size(NAME, start)?;
            end = start + kernel.as_bytes().len();
        }
        Ok(CHIP_CALLABLE_HEADER_SIZE + end)
    }

    /// Checks number and ids of the children; returns the count field.
    fn check_children(&self) -> Result<i32, CallableError> {
        let too_many = CallableError::TooManyChildren { len: self.children.len() };
        if self.children.len() > CHIP_CALLABLE_MAX_CHILDREN {
            return Err(too_many);
        }
        let mut users = vec![None; RUNTIME_MAX_FUNC_ID];
        for (index, &(func_id, _)) in self.children.iter().enumerate() {
            let out_of_range = CallableError::FuncId { index, func_id: func_id.into() };
            let user = users.get_mut(func_id as usize).ok_or(out_of_range)?;
            if let Some(first) = user.replace(index) {
                return Err(CallableError::DuplicateFuncId { first, second: index, func_id });
            }
        }
        i32::try_from(self.children.len()).map_err(|_| too_many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> CoreCallable {
        CoreCallable::encode(&[], b"k").unwrap()
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let error = ChipCallable::builder("f").signature(&[ArgDirection::In; 129]).build().unwrap_err();
        assert_eq!(error, CallableError::SignatureTooLong { what: NAME, len: 129, max: 128 });
        let long = "n".repeat(64);
        let error = ChipCallable::builder(&long).build().unwrap_err();
        assert_eq!(error, CallableError::NameTooLong { field: "func_name", len: 64 });
        let error = ChipCallable::builder("f").config_name(&long).build().unwrap_err();
        assert_eq!(error, CallableError::NameTooLong { field: "config_name", len: 64 });
        let error = ChipCallable::builder("a\0").build().unwrap_err();
        assert_eq!(error, CallableError::NameContainsNul { field: "func_name", position: 1 });
    }

    #[test]
    fn kernel_ids_are_in_range_and_unique() {
        let kernel = kernel();
        for func_id in [1024, u32::MAX] {
            let error = ChipCallable::builder("f").child(func_id, &kernel).build().unwrap_err();
            assert_eq!(error, CallableError::FuncId { index: 0, func_id: func_id.into() });
        }
        let builder = ChipCallable::builder("f").child(5, &kernel).child(6, &kernel).child(5, &kernel);
        let error = builder.build().unwrap_err();
        assert_eq!(error, CallableError::DuplicateFuncId { first: 0, second: 2, func_id: 5 });
    }

    #[test]
    fn as_many_children_as_there_are_ids() {
        let kernel = kernel();
        let mut builder = ChipCallable::builder("f");
        for func_id in 0..1024 {
            builder = builder.child(func_id, &kernel);
        }
        assert_eq!(builder.clone().build().unwrap().child_count(), 1024);
        let error = builder.child(0, &kernel).build().unwrap_err();
        assert_eq!(error, CallableError::TooManyChildren { len: 1025 });
    }
}
