//! Objects that were cut off: every length either gives an error or an object that works.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeSet;
use std::ptr;

use object::LittleEndian as LE;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object_loader::elf::{ElfError, check_shared_object};
use object_loader::{LoadError, SharedObject, call::call_entry};
use proptest::prelude::*;

/// Code, constants, initialised and zeroed data, relocations: one section of each kind.
const SOURCE: &str = "
    #include <stdexcept>
    static const char *const texts[] = {\"first\", \"second\"};
    int initialised[1000] = {7};
    int zeroed[100000];
    extern \"C\" int value(void *, const void *) {
        try { throw std::runtime_error(texts[1]); } catch (const std::exception &e) { zeroed[99999] = e.what()[0]; }
        return initialised[0] + zeroed[99999];
    }";
const VALUE: i32 = 7 + 's' as i32;

fn object_bytes() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| common::shared(SOURCE))
}

/// Loads the first `length` bytes; if that works, the code must work too.
fn loads_and_runs(length: usize) -> bool {
    let object = match SharedObject::load("cut", &object_bytes()[..length]) {
        Ok(object) => object,
        Err(LoadError::NotLoadable { .. }) => return false,
        Err(other) => panic!("cut at {length}: {other}"),
    };
    let f = object.symbol_address("value").unwrap();
    // SAFETY: `value` has this signature and ignores its arguments.
    let result = unsafe { call_entry(f, ptr::null_mut(), ptr::null()) };
    assert_eq!(result, Ok(VALUE), "cut at {length}");
    true
}

fn boundaries(bytes: &[u8]) -> BTreeSet<usize> {
    let header = FileHeader64::<LE>::parse(bytes).unwrap();
    let sections =
        header.section_headers(LE, bytes).unwrap().iter().map(|s| (s.sh_offset(LE), s.sh_size(LE)));
    let segments = header.program_headers(LE, bytes).unwrap().iter().map(|s| s.file_range(LE));
    let tables = [(header.e_phoff(LE), 0), (header.e_shoff(LE), 0), (0, 64)];
    sections
        .chain(segments)
        .chain(tables)
        .flat_map(|(offset, size)| [offset, offset + size])
        .flat_map(|boundary| [boundary.saturating_sub(1), boundary, boundary + 1])
        .map(|boundary| usize::try_from(boundary).unwrap().min(bytes.len()))
        .collect()
}

#[test]
fn cut_at_every_boundary() {
    let bytes = object_bytes();
    let needed = usize::try_from(check_shared_object(bytes).unwrap().needed_file_bytes).unwrap();
    let cuts = boundaries(bytes);
    assert!(cuts.len() > 40 && cuts.contains(&needed), "{cuts:?}");
    for length in cuts {
        assert_eq!(loads_and_runs(length), length >= needed, "cut at {length}, needed {needed}");
    }
}

#[test]
fn the_error_says_how_much_is_missing() {
    let bytes = object_bytes();
    let needed = check_shared_object(bytes).unwrap().needed_file_bytes;
    let cut = usize::try_from(needed).unwrap() - 1;
    let error = check_shared_object(&bytes[..cut]).unwrap_err();
    assert_eq!(error, ElfError::Truncated { part: "a loaded segment", needed, actual: needed - 1 });
    let header_only = check_shared_object(&bytes[..64]).unwrap_err();
    assert!(
        matches!(header_only, ElfError::Truncated { part: "the program header table", .. }),
        "{header_only}"
    );
    let less = check_shared_object(&bytes[..63]).unwrap_err();
    assert_eq!(less, ElfError::Truncated { part: "the ELF header", needed: 64, actual: 63 });
}

proptest! {
    #[test]
    fn cut_anywhere(length in 0..object_bytes().len()) {
        let needed = check_shared_object(object_bytes()).unwrap().needed_file_bytes;
        prop_assert_eq!(loads_and_runs(length), length as u64 >= needed);
    }
}
