//! One kernel: signature and binary.

use alloc::vec::Vec;
use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::{decode_signature, encode_signature, wire_size};
use crate::dtype::ArgDirection;
use crate::error::CallableError;
use crate::limits::CORE_MAX_TENSOR_ARGS;
use crate::wire::{assert_layout, read_at};

/// Where the kernel binary starts in a [`CoreCallable`] image: the header rounded up to 64 bytes.
pub const CORE_CALLABLE_BINARY_OFFSET: usize = 128;

pub(super) const NAME: &str = "CoreCallable";

/// Header of a [`CoreCallable`] image (`spec/public-abi.md`, section B.3). 80 bytes.
///
/// Inside a [`ChipCallable`](super::ChipCallable) it is only 4-byte aligned: copy it out, never refer to it in place.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct CoreCallableHeader {
    /// Raw [`ArgDirection`]s; only the first `sig_count` count.
    pub signature: [i32; CORE_MAX_TENSOR_ARGS],
    /// Number of used signature entries, 0..=16.
    pub sig_count: i32,
    /// Bytes of the kernel binary.
    pub binary_size: u32,
    /// Address of the loaded kernel; 0 until it is loaded.
    pub resolved_addr: u64,
    /// The padding and the binary follow.
    pub storage: [u8; 0],
}

assert_layout!(CoreCallableHeader, size 80, align 8, {
    signature @ 0, sig_count @ 64, binary_size @ 68, resolved_addr @ 72, storage @ 80,
});

/// Where `resolved_addr` is, relative to the start of the image.
pub(super) const RESOLVED_ADDR_OFFSET: usize = core::mem::offset_of!(CoreCallableHeader, resolved_addr);

impl CoreCallableHeader {
    /// Size in bytes of the image this header belongs to. Cannot overflow: the size field has 32 bits.
    #[must_use]
    pub fn image_size(&self) -> usize {
        CORE_CALLABLE_BINARY_OFFSET + self.binary_size as usize
    }

    /// What the kernel does with its arguments.
    ///
    /// # Errors
    /// [`CallableError::SigCount`] or [`CallableError::Direction`].
    pub fn arg_directions(&self) -> Result<Vec<ArgDirection>, CallableError> {
        decode_signature(NAME, &self.signature, self.sig_count)
    }
}

/// One kernel as an owned, checked image.
#[derive(Clone, PartialEq, Eq)]
pub struct CoreCallable {
    signature: Vec<ArgDirection>,
    image: Vec<u8>,
}

impl CoreCallable {
    /// Builds the image of a kernel.
    ///
    /// # Errors
    /// [`CallableError::SignatureTooLong`] beyond 16 entries, [`CallableError::TooLarge`] for a binary of 4 GiB or
    /// more.
    pub fn encode(signature: &[ArgDirection], binary: &[u8]) -> Result<Self, CallableError> {
        let mut header = CoreCallableHeader::zeroed();
        header.sig_count = encode_signature(NAME, signature, &mut header.signature)?;
        header.binary_size = wire_size(NAME, binary.len())?;
        let mut image = Vec::with_capacity(header.image_size());
        image.extend_from_slice(bytemuck::bytes_of(&header));
        image.resize(CORE_CALLABLE_BINARY_OFFSET, 0);
        image.extend_from_slice(binary);
        Ok(Self { signature: signature.to_vec(), image })
    }

    /// Checks and copies an image of any alignment. Bytes behind the image are ignored.
    ///
    /// # Errors
    /// [`CallableError::ImageTooShort`], [`CallableError::SigCount`] or [`CallableError::Direction`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CallableError> {
        let (signature, size) = check(bytes)?;
        Ok(Self { signature, image: bytes[..size].to_vec() })
    }

    /// Checks an image and takes it over. Bytes behind the image are cut off.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, CallableError> {
        let (signature, size) = check(&bytes)?;
        bytes.truncate(size);
        Ok(Self { signature, image: bytes })
    }

    /// The content of the image.
    #[must_use]
    pub fn view(&self) -> CoreCallableView<'_> {
        CoreCallableView { signature: &self.signature, image: &self.image }
    }

    /// The image: 128 bytes plus the binary.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.image
    }

    /// Stores the address at which device programs enter the kernel; 0 in files.
    pub fn set_resolved_addr(&mut self, address: u64) {
        // The image has at least a header.
        let place = self.image.iter_mut().skip(RESOLVED_ADDR_OFFSET);
        place.zip(address.to_le_bytes()).for_each(|(to, from)| *to = from);
    }

    /// The image.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.image
    }
}

/// The content of one kernel image, borrowed from its owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CoreCallableView<'a> {
    // Invariant: `image` has at least CORE_CALLABLE_BINARY_OFFSET bytes and ends with the binary.
    signature: &'a [ArgDirection],
    image: &'a [u8],
}

impl<'a> CoreCallableView<'a> {
    /// `image` must have passed [`check`], which also gave `signature`, and be cut to its size.
    pub(super) fn new(signature: &'a [ArgDirection], image: &'a [u8]) -> Self {
        Self { signature, image }
    }

    /// Directions of the arguments.
    #[must_use]
    pub fn signature(&self) -> &'a [ArgDirection] {
        self.signature
    }

    /// The kernel binary.
    #[must_use]
    pub fn binary(&self) -> &'a [u8] {
        &self.image[CORE_CALLABLE_BINARY_OFFSET..]
    }

    /// Address of the loaded kernel; 0 until it is loaded.
    #[must_use]
    pub fn resolved_addr(&self) -> u64 {
        read_at(self.image, RESOLVED_ADDR_OFFSET).unwrap_or_default()
    }

    /// The image: 128 bytes plus the binary.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.image
    }
}

/// Checks the image at the start of `bytes`; returns its signature and its size.
pub(super) fn check(bytes: &[u8]) -> Result<(Vec<ArgDirection>, usize), CallableError> {
    let header = read_header(bytes, 0)?;
    let (needed, available) = (header.image_size(), bytes.len());
    if available < needed {
        return Err(CallableError::ImageTooShort { what: NAME, needed, available });
    }
    let signature = header.arg_directions()?;
    Ok((signature, needed))
}

/// Copies out the header at `offset`.
pub(super) fn read_header(bytes: &[u8], offset: usize) -> Result<CoreCallableHeader, CallableError> {
    let available = bytes.len().saturating_sub(offset);
    let too_short =
        CallableError::ImageTooShort { what: NAME, needed: CORE_CALLABLE_BINARY_OFFSET, available };
    read_at(bytes, offset).ok_or(too_short)
}

impl fmt::Debug for CoreCallableView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME)
            .field("signature", &self.signature)
            .field("binary_size", &self.binary().len())
            .field("resolved_addr", &self.resolved_addr())
            .finish()
    }
}

impl fmt::Debug for CoreCallable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn bytes_are_where_the_contract_says() {
        let kernel = CoreCallable::encode(&[ArgDirection::In, ArgDirection::Inout], b"code").unwrap();
        let mut expected = [0u8; 132];
        expected[0] = 1;
        expected[4] = 3;
        expected[64] = 2;
        expected[68] = 4;
        expected[128..].copy_from_slice(b"code");
        assert_eq!(kernel.as_bytes(), expected);
        assert_eq!(kernel.view().binary(), b"code");
        assert_eq!(kernel.view().signature(), [ArgDirection::In, ArgDirection::Inout]);
        assert_eq!(kernel.view().resolved_addr(), 0);
        let mut resolved = kernel.clone();
        resolved.set_resolved_addr(0x1234_5678_9abc_def0);
        assert_eq!(resolved.view().resolved_addr(), 0x1234_5678_9abc_def0);
        assert_eq!(resolved.view().binary(), kernel.view().binary());
        assert!(format!("{kernel:?}").contains("binary_size: 4"));
    }

    #[test]
    fn decoding_cuts_trailing_bytes_and_refuses_missing_ones() {
        let kernel = CoreCallable::encode(&[], &[1, 2, 3]).unwrap();
        let mut bytes = kernel.clone().into_bytes();
        bytes.extend_from_slice(&[0; 64]);
        assert_eq!(CoreCallable::decode(&bytes).unwrap(), kernel);
        assert_eq!(CoreCallable::from_bytes(bytes.clone()).unwrap().as_bytes(), kernel.as_bytes());
        for available in [0, 79] {
            let error = CallableError::ImageTooShort { what: NAME, needed: 128, available };
            assert_eq!(CoreCallable::decode(&bytes[..available]), Err(error));
        }
        for available in [80, 130] {
            let error = CallableError::ImageTooShort { what: NAME, needed: 131, available };
            assert_eq!(CoreCallable::from_bytes(bytes[..available].to_vec()), Err(error));
        }
    }

    #[test]
    fn long_signatures_are_refused() {
        let error = CoreCallable::encode(&[ArgDirection::In; 17], &[]).unwrap_err();
        assert_eq!(error, CallableError::SignatureTooLong { what: NAME, len: 17, max: 16 });
    }

    #[test]
    fn damaged_headers_are_refused() {
        let good = CoreCallable::encode(&[ArgDirection::In], &[]).unwrap().into_bytes();
        let mut bytes = good.clone();
        bytes[64] = 17;
        assert_eq!(
            CoreCallable::decode(&bytes),
            Err(CallableError::SigCount { what: NAME, count: 17, max: 16 })
        );
        let mut bytes = good;
        bytes[3] = 0x80;
        assert!(matches!(CoreCallable::decode(&bytes), Err(CallableError::Direction { index: 0, .. })));
    }
}
