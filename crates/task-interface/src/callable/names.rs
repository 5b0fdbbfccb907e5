//! The two fixed-size names of a chip callable.

use crate::error::CallableError;
use crate::limits::CALLABLE_FUNC_NAME_MAX;

/// Bytes and length field of a name in an image.
pub(super) type WireName = ([u8; CALLABLE_FUNC_NAME_MAX], u32);

/// Writes a name. Refuses what would be cut, because a cut name is not found in the library.
pub(super) fn encode_name(field: &'static str, name: &str) -> Result<WireName, CallableError> {
    let too_long = CallableError::NameTooLong { field, len: name.len() };
    if name.len() >= CALLABLE_FUNC_NAME_MAX {
        return Err(too_long);
    }
    if let Some(position) = name.find('\0') {
        return Err(CallableError::NameContainsNul { field, position });
    }
    let mut bytes = [0; CALLABLE_FUNC_NAME_MAX];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    let len = u32::try_from(name.len()).map_err(|_| too_long)?;
    Ok((bytes, len))
}

/// Reads a name whose length field must point at its first NUL.
pub(super) fn decode_name<'a>(
    field: &'static str,
    bytes: &'a [u8; CALLABLE_FUNC_NAME_MAX],
    declared: u32,
) -> Result<&'a str, CallableError> {
    let nul_at = bytes.iter().position(|&byte| byte == 0);
    match nul_at {
        Some(len) if len == declared as usize => {
            core::str::from_utf8(&bytes[..len]).map_err(|source| CallableError::NameNotUtf8 { field, source })
        }
        _ => Err(CallableError::NameLength { field, declared, nul_at }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str = "func_name";

    #[test]
    fn names_up_to_63_bytes_round_trip() {
        let longest = "n".repeat(63);
        for name in ["", "f", longest.as_str()] {
            let (bytes, len) = encode_name(FIELD, name).unwrap();
            assert_eq!(decode_name(FIELD, &bytes, len), Ok(name));
        }
    }

    #[test]
    fn names_that_would_be_cut_are_refused() {
        let error = encode_name(FIELD, &"n".repeat(64)).unwrap_err();
        assert_eq!(error, CallableError::NameTooLong { field: FIELD, len: 64 });
        let error = encode_name(FIELD, "a\0b").unwrap_err();
        assert_eq!(error, CallableError::NameContainsNul { field: FIELD, position: 1 });
    }

    #[test]
    fn foreign_names_are_checked() {
        let unterminated = [b'x'; 64];
        for declared in [63, 64, u32::MAX] {
            let error = CallableError::NameLength { field: FIELD, declared, nul_at: None };
            assert_eq!(decode_name(FIELD, &unterminated, declared), Err(error));
        }
        let (mut bytes, _) = encode_name(FIELD, "abc").unwrap();
        for declared in [2, 4] {
            let error = CallableError::NameLength { field: FIELD, declared, nul_at: Some(3) };
            assert_eq!(decode_name(FIELD, &bytes, declared), Err(error));
        }
        bytes[1] = 0xff;
        assert!(matches!(
            decode_name(FIELD, &bytes, 3),
            Err(CallableError::NameNotUtf8 { field: FIELD, .. })
        ));
    }
}
