//! Columns of numbers, small enough for a hundred thousand rows in a page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A column as text: its element type (`u1`, `u2`, `u4`: unsigned of so many bytes; `f8`: double), a colon,
/// and its elements, little endian, in base64. The smallest type that holds all of them is taken.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the type is chosen so that all values fit; a double is exact for times and, to 16 digits, for counters"
)]
pub(super) fn column(values: impl IntoIterator<Item = u64>) -> String {
    let values: Vec<u64> = values.into_iter().collect();
    let largest = values.iter().copied().max().unwrap_or(0);
    let (kind, bytes): (&str, Vec<u8>) = if largest <= u64::from(u8::MAX) {
        ("u1", values.iter().map(|&value| value as u8).collect())
    } else if largest <= u64::from(u16::MAX) {
        ("u2", values.iter().flat_map(|&value| (value as u16).to_le_bytes()).collect())
    } else if largest <= u64::from(u32::MAX) {
        ("u4", values.iter().flat_map(|&value| (value as u32).to_le_bytes()).collect())
    } else {
        ("f8", values.iter().flat_map(|&value| (value as f64).to_le_bytes()).collect())
    };
    let mut text = format!("{kind}:");
    STANDARD.encode_string(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Vec<f64> {
        let (kind, text) = text.split_once(':').unwrap();
        let bytes = STANDARD.decode(text).unwrap();
        let size: usize = kind[1..].parse().unwrap();
        let unsigned = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
        bytes
            .chunks(size)
            .map(|bytes| match size {
                8 => f64::from_le_bytes(bytes.try_into().unwrap()),
                _ => f64::from(unsigned(bytes)),
            })
            .collect()
    }

    #[test]
    fn the_smallest_type_is_taken() {
        for (largest, kind) in [(255, "u1"), (256, "u2"), (65_535, "u2"), (65_536, "u4"), (1 << 32, "f8")] {
            let text = column([0, largest]);
            assert!(text.starts_with(&format!("{kind}:")), "{text}");
        }
        assert_eq!(column([]), "u1:");
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec(0..1_u64 << 53, 0..20), shift in 0..53) {
            let values: Vec<u64> = values.into_iter().map(|value| value >> shift).collect();
            #[allow(clippy::cast_precision_loss)]
            let expected: Vec<f64> = values.iter().map(|&value| value as f64).collect();
            prop_assert_eq!(decode(&column(values)), expected);
        }
    }
}
