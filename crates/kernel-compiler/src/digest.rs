//! SHA-256 as lower-case hex text, over files and over lists of fields.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Digest {
        Digest::from_raw(&Sha256::digest(bytes))
    }

    /// Digest of a file's content; `None` if it cannot be read.
    pub(crate) fn of_file(path: &Path) -> Option<Digest> {
        std::fs::read(path).ok().map(|bytes| Digest::of(&bytes))
    }

    /// Reads 64 hex digits; `None` for anything else, so that a digest is always safe as a file name.
    pub(crate) fn parse(text: &str) -> Option<Digest> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Digest(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn from_raw(raw: &[u8]) -> Digest {
        let mut text = String::with_capacity(64);
        for byte in raw {
            let _ = write!(text, "{byte:02x}");
        }
        Digest(text)
    }
}

/// Digest of a list of fields. Each carries its length, so that no two lists give the same bytes.
#[derive(Default)]
pub(crate) struct Fields(Sha256);

impl Fields {
    pub(crate) fn add(&mut self, field: impl AsRef<std::ffi::OsStr>) {
        self.add_bytes(field.as_ref().as_bytes());
    }

    pub(crate) fn add_bytes(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_raw(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_value() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert_eq!(Digest::parse(empty), Some(Digest::of(b"")));
    }

    #[test]
    fn only_hex_is_a_digest() {
        for text in ["", "../../etc/passwd", &"g".repeat(64), &"a".repeat(63), &"A".repeat(64)] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn fields_do_not_run_together() {
        let digest = |fields: &[&str]| {
            let mut all = Fields::default();
            fields.iter().for_each(|field| all.add(field));
            all.finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", ""]), digest(&["a"]));
    }
}
