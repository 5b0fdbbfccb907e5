//! The layout of a task's outputs inside its block.

use task_interface::trb::{MAX_TENSOR_ARGS, PACKED_OUTPUT_ALIGN};

use super::error::PackError;

/// Where the outputs of a task are, in bytes from the start of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    offsets: [u64; MAX_TENSOR_ARGS],
    count: usize,
    /// Bytes of the block.
    pub(crate) total: u64,
}

impl Packed {
    /// The start of each output, in the order of the sizes.
    pub(crate) fn offsets(&self) -> &[u64] {
        &self.offsets[..self.count]
    }
}

/// Lays outputs of these sizes in bytes one behind the other, each rounded up to 1024
/// (`spec/device-abi.md`, section 4.9).
///
/// # Errors
///
/// When there are more than 16 outputs, or more bytes than 64 bits can count.
pub(crate) fn pack_outputs(sizes: &[u64]) -> Result<Packed, PackError> {
    let count = sizes.len();
    if count > MAX_TENSOR_ARGS {
        return Err(PackError::TooMany { count, max: MAX_TENSOR_ARGS });
    }
    let mut packed = Packed { offsets: [0; MAX_TENSOR_ARGS], count, total: 0 };
    for (index, &bytes) in sizes.iter().enumerate() {
        packed.offsets[index] = packed.total;
        let end =
            bytes.checked_next_multiple_of(PACKED_OUTPUT_ALIGN).and_then(|len| packed.total.checked_add(len));
        packed.total = end.ok_or(PackError::TooLarge { index, bytes })?;
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_takes_whole_kilobytes() {
        let packed = pack_outputs(&[1200, 1, 1024, 0, 1025]).unwrap();
        assert_eq!(packed.offsets(), [0, 2048, 3072, 4096, 4096]);
        assert_eq!(packed.total, 6144);
        assert_eq!(pack_outputs(&[]).unwrap().total, 0);
    }

    #[test]
    fn totals_beyond_31_and_32_bits_are_exact() {
        let packed = pack_outputs(&[1 << 31, 1 << 32, 1]).unwrap();
        assert_eq!(packed.offsets(), [0, 1 << 31, (1 << 31) + (1 << 32)]);
        assert_eq!(packed.total, (1 << 31) + (1 << 32) + 1024);
    }

    #[test]
    fn overflow_names_the_output() {
        assert_eq!(pack_outputs(&[u64::MAX]), Err(PackError::TooLarge { index: 0, bytes: u64::MAX }));
        let half = 1 << 63;
        assert_eq!(pack_outputs(&[half, half]), Err(PackError::TooLarge { index: 1, bytes: half }));
    }

    #[test]
    fn a_task_has_at_most_16_outputs() {
        assert_eq!(pack_outputs(&[1; 16]).unwrap().offsets()[15], 15 * 1024);
        assert_eq!(pack_outputs(&[1; 17]), Err(PackError::TooMany { count: 17, max: 16 }));
    }
}
