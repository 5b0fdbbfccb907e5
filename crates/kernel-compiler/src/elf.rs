//! Whether some bytes are a shared object a loader can take.

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectKind, ObjectSymbol as _};

/// What is wrong with an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Not an ELF64 shared object.
    Kind(String),
    /// The entry is not among the exported functions; perhaps under a mangled name.
    NoEntry { near: Option<String> },
}

pub(crate) fn check(bytes: &[u8], entry: Option<&str>) -> Result<(), Problem> {
    let file: ElfFile64<'_, Endianness> = ElfFile64::parse(bytes).map_err(|error| {
        Problem::Kind(format!("it is not a 64-bit ELF file ({} bytes, {error})", bytes.len()))
    })?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(Problem::Kind(format!(
            "it is an ELF file of kind {:?}, not a shared object",
            file.kind()
        )));
    }
    let Some(entry) = entry else { return Ok(()) };
    let exported: Vec<&str> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .filter_map(|symbol| symbol.name().ok())
        .collect();
    if exported.contains(&entry) {
        return Ok(());
    }
    let mangled = format!("_Z{}{entry}", entry.len());
    let near = exported.iter().find(|name| name.starts_with(&mangled)).map(|&name| name.to_owned());
    Err(Problem::NoEntry { near })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_object() {
        assert!(matches!(check(b"#!/bin/sh\n", None), Err(Problem::Kind(_))));
        assert!(matches!(check(b"", None), Err(Problem::Kind(_))));
    }

    #[test]
    fn a_cut_object_is_no_object() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(check(&own[..200], Some("x")), Err(Problem::Kind(_))));
    }
}
