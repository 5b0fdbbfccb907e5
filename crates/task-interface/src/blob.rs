//! The bytes in which an argument list travels between processes (`spec/public-abi.md`, section B.2):
//! `i32` tensor count, `i32` scalar count, tensors, scalars. Roles are not transmitted.

use alloc::vec::Vec;

use crate::error::BlobError;
use crate::limits::TASK_ARGS_BLOB_HEADER_SIZE;
use crate::task_args::TaskArgs;
use crate::tensor::ContinuousTensor;
use crate::wire::read_at;

const TENSOR_SIZE: usize = size_of::<ContinuousTensor>();
const SCALAR_SIZE: usize = size_of::<u64>();

impl TaskArgs {
    /// Size of the blob in bytes.
    #[must_use]
    pub fn blob_size(&self) -> usize {
        blob_size(self.tensors().len(), self.scalars().len())
    }

    /// Writes the blob to the start of `buffer` and returns its size in bytes. The rest of `buffer` is not touched.
    ///
    /// # Errors
    /// [`BlobError::BufferTooSmall`]; then nothing is written.
    pub fn write_blob(&self, buffer: &mut [u8]) -> Result<usize, BlobError> {
        let blob = self.to_blob();
        let too_small = BlobError::BufferTooSmall { needed: blob.len(), capacity: buffer.len() };
        buffer.get_mut(..blob.len()).ok_or(too_small)?.copy_from_slice(&blob);
        Ok(blob.len())
    }

    /// The blob.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        let (tensor_count, scalar_count) = self.wire_counts();
        let mut blob = Vec::with_capacity(self.blob_size());
        blob.extend_from_slice(&tensor_count.to_le_bytes());
        blob.extend_from_slice(&scalar_count.to_le_bytes());
        blob.extend_from_slice(bytemuck::cast_slice(self.tensors()));
        blob.extend_from_slice(bytemuck::cast_slice(self.scalars()));
        blob
    }

    /// Reads a blob that starts at the first byte of `bytes`; bytes behind it are ignored. Every tensor gets the role
    /// `Input`, because roles are not transmitted. The tensors themselves are checked by their own accessors.
    ///
    /// # Errors
    /// [`BlobError::ShorterThanHeader`], [`BlobError::NegativeCounts`] or [`BlobError::Truncated`].
    pub fn read_blob(bytes: &[u8]) -> Result<Self, BlobError> {
        let capacity = bytes.len();
        let short = BlobError::ShorterThanHeader { capacity };
        let tensor_count: i32 = read_at(bytes, 0).ok_or(short)?;
        let scalar_count: i32 = read_at(bytes, 4).ok_or(short)?;
        let (Ok(tensors), Ok(scalars)) = (usize::try_from(tensor_count), usize::try_from(scalar_count))
        else {
            return Err(BlobError::NegativeCounts { tensor_count, scalar_count });
        };
        let needed = blob_size(tensors, scalars);
        let body = bytes.get(TASK_ARGS_BLOB_HEADER_SIZE..needed).ok_or(BlobError::Truncated {
            needed,
            tensor_count,
            scalar_count,
            capacity,
        })?;
        let (tensors, scalars) = body.split_at(tensors * TENSOR_SIZE);
        Ok(Self::from_inputs(read_all(tensors), read_all(scalars)))
    }
}

/// Cannot overflow: both counts are at most `i32::MAX` and `usize` has 64 bits.
fn blob_size(tensors: usize, scalars: usize) -> usize {
    TASK_ARGS_BLOB_HEADER_SIZE + tensors * TENSOR_SIZE + scalars * SCALAR_SIZE
}

/// Copies out every whole `T`; `bytes` need not be aligned.
fn read_all<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, TensorArgType};

    #[test]
    fn bytes_are_where_the_contract_says() {
        let mut args = TaskArgs::new();
        let tensor = ContinuousTensor::new(0x1122, &[5], DataType::Uint16).unwrap().in_child_memory();
        args.add_tensor(tensor, TensorArgType::Output).unwrap();
        args.add_scalar(0xabcd).unwrap();
        let blob = args.to_blob();
        assert_eq!(blob.len(), 56);
        assert_eq!(blob[..8], [1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(blob[8..10], [0x22, 0x11]);
        assert_eq!(blob[16], 5);
        assert_eq!(blob[36], 1);
        assert_eq!(blob[40..42], [9, 1]);
        assert_eq!(blob[48..50], [0xcd, 0xab]);
        let read = TaskArgs::read_blob(&blob).unwrap();
        assert_eq!(read.tensors(), args.tensors());
        assert_eq!(read.tags(), [TensorArgType::Input]);
    }

    #[test]
    fn short_and_negative_headers_are_refused() {
        assert_eq!(TaskArgs::read_blob(&[0; 7]), Err(BlobError::ShorterThanHeader { capacity: 7 }));
        let blob = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let negative = BlobError::NegativeCounts { tensor_count: 0, scalar_count: -1 };
        assert_eq!(TaskArgs::read_blob(&blob), Err(negative));
    }

    #[test]
    fn counts_beyond_the_capacity_are_refused_without_allocating() {
        let blob = [0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0];
        let count = i32::MAX;
        let needed = 8 + 48 * (i32::MAX as usize);
        let truncated =
            BlobError::Truncated { needed, tensor_count: count, scalar_count: count, capacity: 9 };
        assert_eq!(TaskArgs::read_blob(&blob), Err(truncated));
    }

    #[test]
    fn small_buffers_stay_untouched_and_large_ones_keep_their_tail() {
        let mut args = TaskArgs::new();
        args.add_scalar(1).unwrap();
        let mut small = [7; 15];
        assert_eq!(args.write_blob(&mut small), Err(BlobError::BufferTooSmall { needed: 16, capacity: 15 }));
        assert_eq!(small, [7; 15]);
        let mut large = [7; 18];
        assert_eq!(args.write_blob(&mut large), Ok(16));
        assert_eq!(large[16..], [7, 7]);
        assert_eq!(TaskArgs::read_blob(&large).unwrap(), args);
    }
}
