//! A chip-level callable: an orchestration library and its kernels.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::builder::ChipCallableBuilder;
use super::core::{self as core_image, CORE_CALLABLE_BINARY_OFFSET, CoreCallableHeader, CoreCallableView};
use super::decode_signature;
use super::names::decode_name;
use crate::dtype::ArgDirection;
use crate::error::CallableError;
use crate::hash::fnv1a64;
use crate::limits::{
    CALLABLE_FUNC_NAME_MAX, CHIP_CALLABLE_MAX_CHILDREN, CHIP_MAX_TENSOR_ARGS, RUNTIME_MAX_FUNC_ID,
};
use crate::wire::{assert_layout, read_at};

/// Size of the header of a [`ChipCallable`] image; its storage starts here.
pub const CHIP_CALLABLE_HEADER_SIZE: usize = 8852;

pub(super) const NAME: &str = "ChipCallable";

/// Header of a [`ChipCallable`] image (`spec/public-abi.md`, section B.3). 8852 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct ChipCallableHeader {
    /// Raw [`ArgDirection`]s; only the first `sig_count` count.
    pub signature: [i32; CHIP_MAX_TENSOR_ARGS],
    /// Number of used signature entries, 0..=128.
    pub sig_count: i32,
    /// Bytes of the orchestration library.
    pub binary_size: u32,
    /// Entry function of the orchestration library, NUL-terminated.
    pub func_name: [u8; CALLABLE_FUNC_NAME_MAX],
    /// Bytes of `func_name` without the NUL.
    pub func_name_len: u32,
    /// Kernel ids of the children; only the first `child_count` count.
    pub child_func_ids: [i32; CHIP_CALLABLE_MAX_CHILDREN],
    /// Where the children start, relative to the storage.
    pub child_offsets: [u32; CHIP_CALLABLE_MAX_CHILDREN],
    /// Number of children, 0..=1024.
    pub child_count: i32,
    /// Configuration function of the orchestration library, NUL-terminated.
    pub config_name: [u8; CALLABLE_FUNC_NAME_MAX],
    /// Bytes of `config_name` without the NUL.
    pub config_name_len: u32,
    /// The orchestration library and the children follow.
    pub storage: [u8; 0],
}

assert_layout!(ChipCallableHeader, size 8852, align 4, {
    signature @ 0, sig_count @ 512, binary_size @ 516, func_name @ 520, func_name_len @ 584, child_func_ids @ 588,
    child_offsets @ 4684, child_count @ 8780, config_name @ 8784, config_name_len @ 8848, storage @ 8852,
});

impl ChipCallableHeader {
    /// Kernel id and storage offset of each child, in order.
    ///
    /// # Errors
    /// [`CallableError::ChildCount`] when the count is outside 0..=1024.
    pub fn children(&self) -> Result<impl Iterator<Item = (i32, u32)> + '_, CallableError> {
        let count = self.child_count;
        let used = usize::try_from(count).ok().filter(|&used| used <= CHIP_CALLABLE_MAX_CHILDREN);
        let used = used.ok_or(CallableError::ChildCount { count })?;
        Ok(self.child_func_ids.iter().copied().zip(self.child_offsets).take(used))
    }

    /// Size in bytes of the image this header belongs to: header, orchestration library and children.
    ///
    /// `child_header` copies out the kernel header that starts at the given byte of the image. A receiver that got only
    /// a pointer reads it from memory and thus learns how many bytes it may look at.
    ///
    /// # Errors
    /// [`CallableError::ChildCount`]; [`CallableError::ChildOverlap`] unless each child starts behind the content
    /// before it; [`CallableError::Child`] around any error of `child_header`.
    pub fn image_size(
        &self,
        mut child_header: impl FnMut(usize) -> Result<CoreCallableHeader, CallableError>,
    ) -> Result<usize, CallableError> {
        // All terms come from 32-bit fields, so no sum overflows a 64-bit usize.
        let mut end = self.binary_size as usize;
        for (index, (_, offset)) in self.children()?.enumerate() {
            let offset = offset as usize;
            if offset < end {
                return Err(CallableError::ChildOverlap { index, offset, previous_end: end });
            }
            let child =
                child_header(CHIP_CALLABLE_HEADER_SIZE + offset).map_err(|source| in_child(index, source))?;
            end = offset + child.image_size();
        }
        Ok(CHIP_CALLABLE_HEADER_SIZE + end)
    }
}

/// An orchestration library and its kernels as an owned, checked image.
///
/// Everything that [`decode`](Self::decode) returns lies inside the image. The image has exactly the size of the
/// contract, so [`as_bytes`](Self::as_bytes) is what is uploaded and hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct ChipCallable {
    index: Index,
    image: Vec<u8>,
}

/// What was learned while checking an image. All ranges lie inside it.
#[derive(Clone, PartialEq, Eq)]
struct Index {
    signature: Vec<ArgDirection>,
    func_name: String,
    config_name: String,
    binary: Range<usize>,
    children: Vec<ChildIndex>,
    image_size: usize,
}

#[derive(Clone, PartialEq, Eq)]
struct ChildIndex {
    func_id: u32,
    signature: Vec<ArgDirection>,
    range: Range<usize>,
}

/// One kernel of a [`ChipCallable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipChild<'a> {
    /// Kernel id, 0..1024.
    pub func_id: u32,
    /// Start of the kernel header, relative to the storage (as in the image).
    pub offset: usize,
    /// The kernel.
    pub callable: CoreCallableView<'a>,
}

impl ChipChild<'_> {
    /// Start of the kernel header, relative to the start of the whole image.
    #[must_use]
    pub fn image_offset(&self) -> usize {
        CHIP_CALLABLE_HEADER_SIZE + self.offset
    }

    /// Start of the kernel binary, relative to the start of the whole image.
    #[must_use]
    pub fn binary_image_offset(&self) -> usize {
        self.image_offset() + CORE_CALLABLE_BINARY_OFFSET
    }
}

impl ChipCallable {
    /// Starts building an image whose orchestration library is entered at `func_name`.
    #[must_use]
    pub fn builder(func_name: &str) -> ChipCallableBuilder<'_> {
        ChipCallableBuilder::new(func_name)
    }

    /// Checks and copies an image of any alignment. Bytes behind the image are ignored.
    ///
    /// Several children may have the same kernel id: the last one is the one to register (section A.4). An empty
    /// orchestration library or function name is accepted here; whoever needs one checks for it.
    ///
    /// # Errors
    /// A [`CallableError`] that names the first thing that is wrong with the image.
    pub fn decode(bytes: &[u8]) -> Result<Self, CallableError> {
        let index = Index::check(bytes)?;
        let image = bytes[..index.image_size].to_vec();
        Ok(Self { index, image })
    }

    /// Checks an image and takes it over. Bytes behind the image are cut off.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, CallableError> {
        let index = Index::check(&bytes)?;
        bytes.truncate(index.image_size);
        Ok(Self { index, image: bytes })
    }

    /// Directions of the arguments.
    #[must_use]
    pub fn signature(&self) -> &[ArgDirection] {
        &self.index.signature
    }

    /// Entry function of the orchestration library.
    #[must_use]
    pub fn func_name(&self) -> &str {
        &self.index.func_name
    }

    /// Configuration function of the orchestration library; empty when there is none.
    #[must_use]
    pub fn config_name(&self) -> &str {
        &self.index.config_name
    }

    /// The orchestration library.
    #[must_use]
    pub fn binary(&self) -> &[u8] {
        &self.image[self.index.binary.clone()]
    }

    /// Number of kernels.
    #[must_use]
    pub fn child_count(&self) -> usize {
        self.index.children.len()
    }

    /// The kernels in the order of the image. When a kernel id repeats, the last one wins.
    pub fn children(&self) -> impl ExactSizeIterator<Item = ChipChild<'_>> {
        self.index.children.iter().map(|child| ChipChild {
            func_id: child.func_id,
            offset: child.range.start - CHIP_CALLABLE_HEADER_SIZE,
            callable: CoreCallableView::new(&child.signature, &self.image[child.range.clone()]),
        })
    }

    /// Stores the address of a loaded kernel in its header. This changes [`content_hash`](Self::content_hash).
    ///
    /// # Errors
    /// [`CallableError::ChildIndex`] when there is no such child.
    pub fn set_resolved_addr(&mut self, child_index: usize, address: u64) -> Result<(), CallableError> {
        let count = self.index.children.len();
        let child = self.index.children.get(child_index);
        let child = child.ok_or(CallableError::ChildIndex { index: child_index, count })?;
        let start = child.range.start + core_image::RESOLVED_ADDR_OFFSET;
        self.image[start..start + size_of::<u64>()].copy_from_slice(&address.to_le_bytes());
        Ok(())
    }

    /// The key under which an uploaded image is reused: FNV-1a-64 over the whole image (section B.3). Take it before
    /// addresses are stored.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        fnv1a64(&self.image)
    }

    /// The image.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.image
    }

    /// The image.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.image
    }
}

impl Index {
    fn check(bytes: &[u8]) -> Result<Self, CallableError> {
        let available = bytes.len();
        let too_short = |needed| CallableError::ImageTooShort { what: NAME, needed, available };
        let header: ChipCallableHeader = read_at(bytes, 0).ok_or(too_short(CHIP_CALLABLE_HEADER_SIZE))?;
        let binary_end = CHIP_CALLABLE_HEADER_SIZE + header.binary_size as usize;
        if available < binary_end {
            return Err(too_short(binary_end));
        }
        let image_size = header.image_size(|offset| core_image::read_header(bytes, offset))?;
        Ok(Self {
            signature: decode_signature(NAME, &header.signature, header.sig_count)?,
            func_name: decode_name("func_name", &header.func_name, header.func_name_len)?.to_string(),
            config_name: decode_name("config_name", &header.config_name, header.config_name_len)?.to_string(),
            binary: CHIP_CALLABLE_HEADER_SIZE..binary_end,
            children: header
                .children()?
                .enumerate()
                .map(ChildIndex::checker(bytes))
                .collect::<Result<_, _>>()?,
            image_size,
        })
    }
}

impl ChildIndex {
    /// Checks one child of the image `bytes`, which also proves that the child lies inside.
    fn checker(bytes: &[u8]) -> impl Fn((usize, (i32, u32))) -> Result<Self, CallableError> + '_ {
        |(index, (func_id, offset))| {
            let start = CHIP_CALLABLE_HEADER_SIZE + offset as usize;
            let image = bytes.get(start..).unwrap_or_default();
            let (signature, size) = core_image::check(image).map_err(|source| in_child(index, source))?;
            let out_of_range = CallableError::FuncId { index, func_id: func_id.into() };
            let func_id = u32::try_from(func_id).ok().filter(|&id| (id as usize) < RUNTIME_MAX_FUNC_ID);
            Ok(Self { func_id: func_id.ok_or(out_of_range)?, signature, range: start..start + size })
        }
    }
}

fn in_child(index: usize, source: CallableError) -> CallableError {
    CallableError::Child { index, source: Box::new(source) }
}

impl fmt::Debug for ChipCallableHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChipCallableHeader")
            .field("sig_count", &self.sig_count)
            .field("binary_size", &self.binary_size)
            .field("func_name_len", &self.func_name_len)
            .field("child_count", &self.child_count)
            .field("config_name_len", &self.config_name_len)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ChipCallable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME)
            .field("signature", &self.index.signature)
            .field("func_name", &self.index.func_name)
            .field("config_name", &self.index.config_name)
            .field("binary_size", &self.binary().len())
            .field("children", &self.children().collect::<Vec<_>>())
            .finish()
    }
}
