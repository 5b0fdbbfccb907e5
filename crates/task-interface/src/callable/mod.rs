//! Callable images: kernels and the orchestration that uses them, as flat bytes (`spec/public-abi.md`, section B.3).
//!
//! Decoding trusts nothing: each length, offset, count, direction and name is checked before a view is handed out.

mod builder;
mod chip;
mod core;
mod names;

use alloc::vec::Vec;

pub use self::builder::ChipCallableBuilder;
pub use self::chip::{CHIP_CALLABLE_HEADER_SIZE, ChipCallable, ChipCallableHeader, ChipChild};
pub use self::core::{CORE_CALLABLE_BINARY_OFFSET, CoreCallable, CoreCallableHeader, CoreCallableView};

use crate::dtype::ArgDirection;
use crate::error::CallableError;

/// Converts the used entries of a raw signature; entries beyond `count` are not looked at.
fn decode_signature(what: &'static str, raw: &[i32], count: i32) -> Result<Vec<ArgDirection>, CallableError> {
    let bad_count = CallableError::SigCount { what, count, max: raw.len() };
    let used = usize::try_from(count).ok().and_then(|count| raw.get(..count)).ok_or(bad_count)?;
    let direction = |(index, &value)| {
        ArgDirection::try_from(value).map_err(|source| CallableError::Direction { what, index, source })
    };
    used.iter().enumerate().map(direction).collect()
}

/// Writes a signature into its zero-filled wire array and returns the count field.
fn encode_signature(
    what: &'static str,
    signature: &[ArgDirection],
    raw: &mut [i32],
) -> Result<i32, CallableError> {
    let (len, max) = (signature.len(), raw.len());
    let too_long = CallableError::SignatureTooLong { what, len, max };
    let used = raw.get_mut(..len).ok_or(too_long.clone())?;
    for (slot, direction) in used.iter_mut().zip(signature) {
        *slot = direction.raw();
    }
    i32::try_from(len).map_err(|_| too_long)
}

/// A size as its 32-bit wire field.
fn wire_size(what: &'static str, size: usize) -> Result<u32, CallableError> {
    u32::try_from(size).map_err(|_| CallableError::TooLarge { what, size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnumError;

    #[test]
    fn signatures_round_trip_up_to_the_limit() {
        let mut raw = [0; 4];
        let count = encode_signature("X", ArgDirection::ALL, &mut raw).unwrap();
        assert_eq!((count, raw), (4, [0, 1, 2, 3]));
        assert_eq!(decode_signature("X", &raw, count).unwrap(), ArgDirection::ALL);
        let too_long = encode_signature("X", &[ArgDirection::In; 5], &mut raw).unwrap_err();
        assert_eq!(too_long, CallableError::SignatureTooLong { what: "X", len: 5, max: 4 });
    }

    #[test]
    fn foreign_signatures_are_checked_only_where_used() {
        for count in [-1, 3, i32::MIN, i32::MAX] {
            let bad_count = CallableError::SigCount { what: "X", count, max: 2 };
            assert_eq!(decode_signature("X", &[0; 2], count), Err(bad_count));
        }
        let bad_entry = CallableError::Direction { what: "X", index: 1, source: EnumError::ArgDirection(4) };
        assert_eq!(decode_signature("X", &[0, 4], 2), Err(bad_entry));
        assert_eq!(decode_signature("X", &[0, 4], 1).unwrap(), [ArgDirection::Scalar]);
    }

    #[test]
    fn sizes_beyond_32_bits_are_refused() {
        assert_eq!(wire_size("X", 7), Ok(7));
        let size = 1 << 32;
        assert_eq!(wire_size("X", size), Err(CallableError::TooLarge { what: "X", size }));
    }
}
