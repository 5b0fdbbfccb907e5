//! What an object says about itself, read from its bytes alone: nothing is mapped or run.

use object::LittleEndian as LE;
use object::elf::{
    DF_1_PIE, DT_FLAGS_1, DT_NULL, Dyn64, ELFMAG, EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, ET_CORE,
    ET_DYN, ET_EXEC, ET_REL, FileHeader64, FileType, Machine, NT_GNU_BUILD_ID, PN_XNUM, PT_DYNAMIC, PT_LOAD,
    PT_NOTE, ProgramHeader64, SHN_UNDEF, SHT_DYNSYM, Sym64,
};
use object::read::elf::{Dyn as _, FileHeader as _, NoteIterator, ProgramHeader as _, Sym as _};

#[cfg(target_arch = "x86_64")]
const HOST_MACHINE: Machine = EM_X86_64;
#[cfg(target_arch = "aarch64")]
const HOST_MACHINE: Machine = EM_AARCH64;

/// Where the size of a 64-bit ELF header ends; the type is a plain copy of the file layout.
const HEADER_BYTES: u64 = size_of::<FileHeader64<LE>>() as u64;

/// The shortest build id that counts as a fingerprint, in bytes.
const FINGERPRINT_BYTES: usize = 8;

type Header = FileHeader64<LE>;
type Segment = ProgramHeader64<LE>;

/// Facts about a shared object that passed [`check_shared_object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfInfo {
    /// How many bytes of the file the dynamic loader maps or reads; the rest (section headers, symbols for
    /// debuggers) may be missing. In bytes from the start of the file.
    pub needed_file_bytes: u64,
    /// Address space that one loaded copy takes, in bytes, before rounding to pages.
    pub memory_bytes: u64,
}

/// Why bytes are not a shared object that this process can load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// There are no bytes.
    #[error("the object is empty; check that the build wrote it")]
    Empty,
    /// The bytes do not start like an ELF file.
    #[error("this is not an ELF file; pass the bytes of a shared object (.so)")]
    NotElf,
    /// An ELF file of another word size, byte order or ELF version.
    #[error("this is not a 64-bit little-endian ELF file; build it for {host}")]
    WrongFormat {
        /// The machine of this process.
        host: &'static str,
    },
    /// An object for another processor.
    #[error("this is an object for {found}; build it for {host}")]
    WrongMachine {
        /// The machine that the object names.
        found: String,
        /// The machine of this process.
        host: &'static str,
    },
    /// A relocatable object, an executable or a core file.
    #[error("this is not a shared object ({found}); link it with -shared")]
    NotSharedObject {
        /// The ELF type that was found.
        found: String,
    },
    /// The file ends before something that the dynamic loader needs.
    #[error("truncated: {part} needs {needed} bytes, file has {actual}; copy or build the whole file again")]
    Truncated {
        /// What does not fit.
        part: &'static str,
        /// Length that the file must have at least, in bytes.
        needed: u64,
        /// Length of the file, in bytes.
        actual: u64,
    },
    /// The headers contradict each other.
    #[error("malformed object: {what}; build it again")]
    Malformed {
        /// The contradiction.
        what: &'static str,
    },
}

/// Checks that `bytes` is a complete 64-bit little-endian shared object for this host.
///
/// The checks are those without which the dynamic loader would harm the process instead of reporting an error:
/// a segment that ends after the file raises SIGBUS at its first use, segments out of order are mapped over
/// other memory. They make no promise about the code inside.
///
/// # Errors
///
/// The first thing that is wrong, with what to do about it.
pub fn check_shared_object(bytes: &[u8]) -> Result<ElfInfo, ElfError> {
    check_machine(check_header(bytes)?)?;
    check_object_of_any_machine(bytes)
}

/// Checks that `bytes` is a complete 64-bit little-endian shared object, for this host or another machine.
///
/// # Errors
///
/// The first thing that is wrong, as [`check_shared_object`] reports it; never [`ElfError::WrongMachine`].
pub fn check_object_of_any_machine(bytes: &[u8]) -> Result<ElfInfo, ElfError> {
    let header = check_header(bytes)?;
    check_type(header)?;
    let segments = program_headers(header, bytes)?;
    let info = check_load_segments(segments, bytes)?;
    check_dynamic_segments(segments, bytes)?;
    Ok(info)
}

/// Whether the object defines a dynamic symbol of this name; `None` when that cannot be told from the bytes, as in a
/// file without section headers.
///
/// Reads 64-bit little-endian ELF files of every machine.
#[must_use]
pub fn defines_symbol(bytes: &[u8], name: &str) -> Option<bool> {
    let header = Header::parse(bytes).ok()?;
    let sections = header.sections(header.endian().ok()?, bytes).ok()?;
    let symbols = sections.symbols(LE, bytes, SHT_DYNSYM).ok().filter(|symbols| !symbols.is_empty())?;
    let is_it = |symbol: &Sym64<LE>| {
        symbol.st_shndx(LE) != SHN_UNDEF
            && symbol.name(LE, symbols.strings()).is_ok_and(|found| found == name.as_bytes())
    };
    Some(symbols.iter().any(is_it))
}

/// The descriptor of the GNU build id note, if the object has one of at least 8 bytes.
///
/// Reads 64-bit little-endian ELF files of every machine and type. Anything else, garbage included, has no
/// build id.
#[must_use]
pub fn build_id(bytes: &[u8]) -> Option<Vec<u8>> {
    find_build_id(bytes).map(<[u8]>::to_vec)
}

/// A 64-bit fingerprint of an object: the first 8 bytes of its build id as a little-endian number, or the
/// FNV-1a-64 hash of all bytes when it has none (`spec/device-abi.md`, section 5.2).
///
/// Defined for every input. It names objects; it does not protect against objects made to collide.
#[must_use]
pub fn build_id_64(bytes: &[u8]) -> u64 {
    match find_build_id(bytes).and_then(<[u8]>::first_chunk) {
        Some(start) => u64::from_le_bytes(*start),
        None => fnv1a_64(bytes),
    }
}

fn fnv1a_64(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Type and descriptor of the first note of this owner.
///
/// Reads 64-bit little-endian ELF files of every machine and type. Anything else, garbage included, has no note.
#[must_use]
pub fn note<'a>(bytes: &'a [u8], owner: &str) -> Option<(u32, &'a [u8])> {
    let is_owner = |name: &[u8]| name.strip_suffix(b"\0") == Some(owner.as_bytes());
    find_note(bytes, |name, kind, text| is_owner(name).then_some((kind, text)))
}

fn find_build_id(bytes: &[u8]) -> Option<&[u8]> {
    find_note(bytes, |name, kind, id| {
        let is_build_id = kind == NT_GNU_BUILD_ID.0 && name == b"GNU\0" && id.len() >= FINGERPRINT_BYTES;
        is_build_id.then_some(id)
    })
}

/// What `pick` makes of the name, type and descriptor of a note.
fn find_note<'a, T>(bytes: &'a [u8], pick: impl Fn(&'a [u8], u32, &'a [u8]) -> Option<T>) -> Option<T> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_NOTE)
        .filter_map(|segment| segment.data(endian, bytes).ok())
        .find_map(|notes| find_in_notes(notes, &pick))
}

/// Notes are walked with 4-byte alignment whatever the segment says: that is what the fingerprint is defined by.
fn find_in_notes<'a, T>(notes: &'a [u8], pick: impl Fn(&'a [u8], u32, &'a [u8]) -> Option<T>) -> Option<T> {
    let mut notes = NoteIterator::<Header>::new(LE, 4, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        let picked = pick(note.name_bytes(), note.n_type(LE).0, note.desc());
        if picked.is_some() {
            return picked;
        }
    }
    None
}

fn check_header(bytes: &[u8]) -> Result<&Header, ElfError> {
    if bytes.is_empty() {
        return Err(ElfError::Empty);
    }
    if !bytes.starts_with(&ELFMAG) {
        return Err(ElfError::NotElf);
    }
    let actual = file_length(bytes);
    if actual < HEADER_BYTES {
        return Err(ElfError::Truncated { part: "the ELF header", needed: HEADER_BYTES, actual });
    }
    let wrong_format = ElfError::WrongFormat { host: std::env::consts::ARCH };
    let Ok(header) = Header::parse(bytes) else { return Err(wrong_format) };
    if header.endian().is_err() {
        return Err(wrong_format);
    }
    Ok(header)
}

fn check_machine(header: &Header) -> Result<(), ElfError> {
    let machine = header.e_machine(LE);
    if machine != HOST_MACHINE {
        return Err(ElfError::WrongMachine { found: machine_name(machine), host: std::env::consts::ARCH });
    }
    Ok(())
}

fn check_type(header: &Header) -> Result<(), ElfError> {
    match header.e_type(LE) {
        ET_DYN => Ok(()),
        other => Err(ElfError::NotSharedObject { found: type_name(other) }),
    }
}

fn program_headers<'a>(header: &'a Header, bytes: &'a [u8]) -> Result<&'a [Segment], ElfError> {
    // The dynamic loader takes e_phnum literally, so the extended count of the ELF standard would let it see
    // other headers than the ones checked here.
    let count = header.e_phnum(LE);
    if count == PN_XNUM {
        return Err(ElfError::Malformed { what: "too many program headers" });
    }
    let size = u64::from(count) * size_of::<Segment>() as u64;
    check_inside(bytes, "the program header table", header.e_phoff(LE), size)?;
    header
        .program_headers(LE, bytes)
        .map_err(|_| ElfError::Malformed { what: "program headers have an unknown size" })
}

fn check_load_segments(segments: &[Segment], bytes: &[u8]) -> Result<ElfInfo, ElfError> {
    let mut file_end = HEADER_BYTES;
    let mut start = None;
    let mut memory_end = 0;
    for segment in segments.iter().filter(|segment| segment.p_type(LE) == PT_LOAD) {
        let (offset, file_size) = segment.file_range(LE);
        let address = segment.p_vaddr(LE);
        file_end = file_end.max(check_inside(bytes, "a loaded segment", offset, file_size)?);
        if segment.p_memsz(LE) < file_size {
            return Err(ElfError::Malformed { what: "a segment is larger in the file than in memory" });
        }
        if address < memory_end {
            return Err(ElfError::Malformed { what: "segments overlap or are not in ascending order" });
        }
        memory_end = address
            .checked_add(segment.p_memsz(LE))
            .ok_or(ElfError::Malformed { what: "a segment ends behind the address space" })?;
        start.get_or_insert(address);
    }
    let start = start.ok_or(ElfError::Malformed { what: "nothing to load" })?;
    Ok(ElfInfo { needed_file_bytes: file_end, memory_bytes: memory_end - start })
}

fn check_dynamic_segments(segments: &[Segment], bytes: &[u8]) -> Result<(), ElfError> {
    let mut dynamic = segments.iter().filter(|segment| segment.p_type(LE) == PT_DYNAMIC).peekable();
    if dynamic.peek().is_none() {
        return Err(ElfError::NotSharedObject { found: "ET_DYN without a dynamic section".to_owned() });
    }
    dynamic.try_for_each(|segment| check_dynamic_entries(mapped_bytes(segment, segments, bytes)?))
}

/// The content of a segment as it will be found in memory, that is through the PT_LOAD that covers its address.
fn mapped_bytes<'a>(segment: &Segment, segments: &[Segment], bytes: &'a [u8]) -> Result<&'a [u8], ElfError> {
    segments
        .iter()
        .filter(|load| load.p_type(LE) == PT_LOAD)
        .find_map(|load| load.data_range(LE, bytes, segment.p_vaddr(LE), segment.p_memsz(LE)).ok().flatten())
        .ok_or(ElfError::Malformed { what: "the dynamic section is not in a loaded segment" })
}

fn check_dynamic_entries(dynamic: &[u8]) -> Result<(), ElfError> {
    let (entries, _) =
        object::pod::slice_from_bytes::<Dyn64<LE>>(dynamic, dynamic.len() / size_of::<Dyn64<LE>>())
            .map_err(|()| ElfError::Malformed { what: "the dynamic section cannot be read" })?;
    let end = entries
        .iter()
        .position(|entry| entry.tag(LE) == DT_NULL)
        .ok_or(ElfError::Malformed { what: "the dynamic section has no end" })?;
    let is_executable = |entry: &Dyn64<LE>| entry.tag(LE) == DT_FLAGS_1 && entry.val(LE) & DF_1_PIE.0 != 0;
    if entries.iter().take(end).any(is_executable) {
        return Err(ElfError::NotSharedObject { found: "a position-independent executable".to_owned() });
    }
    Ok(())
}

/// Returns the end of the range if it lies in the file.
fn check_inside(bytes: &[u8], part: &'static str, offset: u64, size: u64) -> Result<u64, ElfError> {
    let needed = offset.saturating_add(size);
    let actual = file_length(bytes);
    if needed > actual { Err(ElfError::Truncated { part, needed, actual }) } else { Ok(needed) }
}

fn file_length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

fn machine_name(machine: Machine) -> String {
    match machine {
        EM_X86_64 => "x86_64".to_owned(),
        EM_AARCH64 => "aarch64".to_owned(),
        EM_386 => "x86 (32 bit)".to_owned(),
        EM_ARM => "arm (32 bit)".to_owned(),
        EM_RISCV => "riscv".to_owned(),
        other => format!("machine number {}", other.0),
    }
}

fn type_name(kind: FileType) -> String {
    match kind {
        ET_REL => "ET_REL".to_owned(),
        ET_EXEC => "ET_EXEC".to_owned(),
        ET_CORE => "ET_CORE".to_owned(),
        other => format!("ELF type {}", other.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OTHER_MACHINE: Machine = if HOST_MACHINE.0 == EM_X86_64.0 { EM_AARCH64 } else { EM_X86_64 };

    /// p_type, p_offset, p_vaddr, p_filesz, p_memsz
    type SegmentFields = (u32, u64, u64, u64, u64);

    /// Where [`object`] puts the content behind up to seven program headers.
    const CONTENT: u64 = 512;

    const LOAD_ALL: SegmentFields = (1, 0, 0, 1024, 4096);
    const DYNAMIC: SegmentFields = (2, CONTENT, CONTENT, 32, 32);

    /// An object of 1024 bytes with these segments and this content at offset 512.
    fn object(segments: &[SegmentFields], content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        bytes.extend_from_slice(&ET_DYN.0.to_le_bytes());
        bytes.extend_from_slice(&HOST_MACHINE.0.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        // e_entry, e_phoff, e_shoff
        [0_u64, 64, 0].iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
        let count = u16::try_from(segments.len()).unwrap();
        [64, 56, count, 64, 0, 0].iter().for_each(|half| bytes.extend_from_slice(&half.to_le_bytes()));
        for (kind, offset, address, file_size, memory_size) in segments {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&5_u32.to_le_bytes());
            [*offset, *address, *address, *file_size, *memory_size, 8]
                .iter()
                .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        }
        bytes.resize(512, 0);
        bytes.extend_from_slice(content);
        bytes.resize(1024, 0);
        bytes
    }

    fn patched(mut bytes: Vec<u8>, offset: usize, patch: &[u8]) -> Vec<u8> {
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        bytes
    }

    fn valid() -> Vec<u8> {
        object(&[LOAD_ALL, DYNAMIC], &[])
    }

    fn message(bytes: &[u8]) -> String {
        check_shared_object(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_minimal_object_passes() {
        let info = check_shared_object(&valid()).unwrap();
        assert_eq!(info, ElfInfo { needed_file_bytes: 1024, memory_bytes: 4096 });
    }

    #[test]
    fn other_formats_and_machines_are_named() {
        let host = std::env::consts::ARCH;
        let wrong_format = format!("this is not a 64-bit little-endian ELF file; build it for {host}");
        assert_eq!(message(&patched(valid(), 4, &[1])), wrong_format);
        assert_eq!(message(&patched(valid(), 5, &[2])), wrong_format);
        assert_eq!(message(&patched(valid(), 6, &[9])), wrong_format);
        let machine = |number: u16| message(&patched(valid(), 18, &number.to_le_bytes()));
        let other = machine_name(OTHER_MACHINE);
        assert_eq!(machine(OTHER_MACHINE.0), format!("this is an object for {other}; build it for {host}"));
        assert_eq!(machine(3), format!("this is an object for x86 (32 bit); build it for {host}"));
        assert_eq!(machine(4137), format!("this is an object for machine number 4137; build it for {host}"));
    }

    #[test]
    fn objects_for_another_machine_pass_where_any_will_do() {
        let foreign = patched(valid(), 18, &OTHER_MACHINE.0.to_le_bytes());
        assert_eq!(check_object_of_any_machine(&foreign), check_shared_object(&valid()));
        assert!(matches!(check_shared_object(&foreign), Err(ElfError::WrongMachine { .. })));
        let relocatable = patched(foreign.clone(), 16, &1_u16.to_le_bytes());
        assert!(matches!(check_object_of_any_machine(&relocatable), Err(ElfError::NotSharedObject { .. })));
        let truncated = check_object_of_any_machine(&foreign[..500]);
        assert!(matches!(truncated, Err(ElfError::Truncated { .. })), "{truncated:?}");
    }

    #[test]
    fn symbols_are_known_where_the_file_lists_them() {
        let source = "extern \"C\" int used(int); extern \"C\" int made(int x) { return used(x); } static int own;\n\
                      extern \"C\" int *hidden() { return &own; }";
        let bytes = crate::common::compile(source, &["-shared"]);
        for bytes in [bytes.clone(), patched(bytes.clone(), 18, &OTHER_MACHINE.0.to_le_bytes())] {
            let defines =
                ["made", "hidden", "used", "own", "mad", ""].map(|name| defines_symbol(&bytes, name));
            assert_eq!(defines, [Some(true), Some(true), Some(false), Some(false), Some(false), Some(false)]);
        }
        // e_shoff, e_shnum: without section headers nothing is listed.
        let stripped = patched(patched(bytes, 40, &[0; 8]), 60, &[0; 4]);
        assert_eq!(defines_symbol(&stripped, "made"), None);
        assert_eq!((defines_symbol(&valid(), "made"), defines_symbol(b"no file", "made")), (None, None));
    }

    #[test]
    fn other_types_are_named() {
        let kind = |number: u16| message(&patched(valid(), 16, &number.to_le_bytes()));
        assert_eq!(kind(1), "this is not a shared object (ET_REL); link it with -shared");
        assert_eq!(kind(2), "this is not a shared object (ET_EXEC); link it with -shared");
        assert_eq!(kind(4), "this is not a shared object (ET_CORE); link it with -shared");
        assert_eq!(kind(77), "this is not a shared object (ELF type 77); link it with -shared");
        let pie = [0x6fff_fffb_u64, 0x0800_0000, 0, 0].map(u64::to_le_bytes).concat();
        assert_eq!(
            message(&object(&[LOAD_ALL, DYNAMIC], &pie)),
            "this is not a shared object (a position-independent executable); link it with -shared"
        );
        assert_eq!(
            message(&object(&[LOAD_ALL], &[])),
            "this is not a shared object (ET_DYN without a dynamic section); link it with -shared"
        );
    }

    #[test]
    fn what_lies_behind_the_file_is_truncated() {
        let load = |offset, size| object(&[(1, offset, 0, size, size), DYNAMIC], &[]);
        assert_eq!(
            message(&load(0, 1025)),
            "truncated: a loaded segment needs 1025 bytes, file has 1024; copy or build the whole file again"
        );
        let error = check_shared_object(&load(u64::MAX, 2)).unwrap_err();
        assert!(matches!(error, ElfError::Truncated { needed: u64::MAX, actual: 1024, .. }));
        let far_table = patched(valid(), 32, &(1024_u64 - 55).to_le_bytes());
        assert!(message(&far_table).starts_with("truncated: the program header table needs 1081 bytes"));
    }

    #[test]
    fn contradicting_headers_are_malformed() {
        let malformed = |bytes: &[u8]| match check_shared_object(bytes) {
            Err(ElfError::Malformed { what }) => what,
            other => panic!("expected Malformed, got {other:?}"),
        };
        let segments = |list: &[SegmentFields]| malformed(&object(list, &[]));
        assert_eq!(malformed(&patched(valid(), 54, &[55])), "program headers have an unknown size");
        assert_eq!(malformed(&patched(valid(), 56, &[0xff, 0xff])), "too many program headers");
        assert_eq!(segments(&[DYNAMIC]), "nothing to load");
        assert_eq!(segments(&[]), "nothing to load");
        assert_eq!(segments(&[(1, 0, 0, 64, 63)]), "a segment is larger in the file than in memory");
        let overlap = "segments overlap or are not in ascending order";
        assert_eq!(segments(&[LOAD_ALL, (1, 0, 4095, 1, 1)]), overlap);
        assert_eq!(segments(&[(1, 0, 4096, 1, 1), (1, 0, 0, 1, 1)]), overlap);
        assert_eq!(segments(&[(1, 0, u64::MAX, 0, 1)]), "a segment ends behind the address space");
        let outside = "the dynamic section is not in a loaded segment";
        assert_eq!(segments(&[LOAD_ALL, (2, 512, 1000, 32, 32)]), outside);
        assert_eq!(segments(&[LOAD_ALL, DYNAMIC, (2, 512, 8192, 32, 32)]), outside);
        assert_eq!(malformed(&object(&[LOAD_ALL, DYNAMIC], &[1; 32])), "the dynamic section has no end");
        assert_eq!(segments(&[LOAD_ALL, (2, 512, 512, 0, 0)]), "the dynamic section has no end");
    }

    #[test]
    fn the_dynamic_section_is_read_where_it_is_mapped() {
        // The file offset of PT_DYNAMIC is a lie that the dynamic loader would not notice.
        let bytes = object(&[LOAD_ALL, (2, 600, 512, 32, 32)], &[[1; 32], [0; 32]].concat());
        assert_eq!(
            check_shared_object(&bytes).unwrap_err(),
            ElfError::Malformed { what: "the dynamic section has no end" }
        );
    }

    fn note(name: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut bytes = [length(name), length(descriptor), kind.to_le_bytes()].concat();
        for part in [name, descriptor] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn with_notes(notes: &[u8]) -> Vec<u8> {
        object(&[(4, CONTENT, CONTENT, notes.len() as u64, 0)], notes)
    }

    const ID: [u8; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];

    #[test]
    fn a_build_id_is_the_fingerprint() {
        let bytes = with_notes(&note(b"GNU\0", 3, &ID));
        assert_eq!(build_id(&bytes).as_deref(), Some(&ID[..]));
        assert_eq!(build_id_64(&bytes), 0x0807_0605_0403_0201);
        let foreign = patched(bytes, 18, &OTHER_MACHINE.0.to_le_bytes());
        assert_eq!(build_id_64(&foreign), 0x0807_0605_0403_0201, "objects for devices have fingerprints too");
    }

    #[test]
    fn a_build_id_may_follow_other_notes() {
        let notes =
            [note(b"GNU\0", 1, &[0; 16]), note(b"abcde\0", 3, &[9; 9]), note(b"GNU\0", 3, &ID)].concat();
        assert_eq!(build_id(&with_notes(&notes)).as_deref(), Some(&ID[..]));
        let in_second_segment =
            object(&[(4, 2000, 0, 64, 64), (4, CONTENT, CONTENT, notes.len() as u64, 0)], &notes);
        assert_eq!(build_id(&in_second_segment).as_deref(), Some(&ID[..]));
    }

    #[test]
    fn what_is_no_build_id_is_hashed() {
        let cut = &note(b"GNU\0", 3, &ID)[..20];
        for notes in [
            &note(b"GNU\0", 3, &ID[..7]),
            &note(b"GNU", 3, &ID),
            &note(b"GNU\0\0", 3, &ID),
            &note(b"ABC\0", 3, &ID),
            &note(b"GNU\0", 4, &ID),
            cut,
        ] {
            let bytes = with_notes(notes);
            assert_eq!(build_id(&bytes), None, "{notes:?}");
            assert_eq!(build_id_64(&bytes), fnv1a_64(&bytes));
        }
        assert_eq!(build_id_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(build_id_64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(build_id_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_real_build_id_is_found() {
        let flag = "-Wl,--build-id=0x00112233445566778899";
        let bytes = crate::common::compile("int x;", &["-shared", flag]);
        assert_eq!(build_id_64(&bytes), 0x7766_5544_3322_1100);
        let without = crate::common::compile("int x;", &["-shared", "-Wl,--build-id=none"]);
        assert_eq!(build_id_64(&without), fnv1a_64(&without));
    }

    /// What holds for every input; reaching the end is half of the test.
    fn check_anything(bytes: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(info) = check_shared_object(bytes) {
            prop_assert!(info.needed_file_bytes <= bytes.len() as u64);
        }
        match build_id(bytes) {
            Some(id) => prop_assert_eq!(&build_id_64(bytes).to_le_bytes()[..], &id[..8]),
            None => prop_assert_eq!(build_id_64(bytes), fnv1a_64(bytes)),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            check_anything(&bytes)?;
        }

        #[test]
        fn garbage_behind_a_valid_start_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..1024),
            kept in 16_usize..512,
        ) {
            check_anything(&[&valid()[..kept], &bytes].concat())?;
        }

        #[test]
        fn damaged_objects_never_panic(
            damage in proptest::collection::vec((0_usize..600, any::<u8>()), 1..20),
            length in 0_usize..=1024,
        ) {
            let content = note(b"GNU\0", 3, &ID);
            let size = content.len() as u64;
            let mut bytes = object(&[LOAD_ALL, (2, 600, 600, 32, 32), (4, CONTENT, CONTENT, size, size)], &content);
            for (offset, value) in damage {
                bytes[offset] = value;
            }
            check_anything(&bytes[..length])?;
        }
    }
}
