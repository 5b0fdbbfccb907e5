//! Says what this program is, so that a host can refuse it before anything runs: an ELF note whose type is the kind of
//! program, and whose text names chip, runtime and version.

use sim::{AICORE_PROGRAM, AICPU_PROGRAM, NOTE_OWNER, NOTE_VERSION};

use super::selection::{IS_A5, IS_TRB};

const OWNER_BYTES: usize = 12;
const TEXT_BYTES: usize = 64;

#[repr(C, align(4))]
struct Note {
    owner_bytes: u32,
    text_bytes: u32,
    kind: u32,
    owner: [u8; OWNER_BYTES],
    text: [u8; TEXT_BYTES],
}

/// In a section of this name it becomes a note of the object.
#[used]
#[unsafe(link_section = ".note.simpler_rs")]
static NOTE: Note = Note {
    // With the NUL, as is the rule.
    owner_bytes: length(NOTE_OWNER.len() + 1),
    text_bytes: length(TEXT_BYTES),
    kind: if cfg!(feature = "aicpu") { AICPU_PROGRAM } else { AICORE_PROGRAM },
    owner: joined(&[NOTE_OWNER]),
    text: joined(&[
        if IS_A5 { "a5" } else { "a2a3" },
        " ",
        if IS_TRB { "tensormap_and_ringbuffer" } else { "host_build_graph" },
        " ",
        NOTE_VERSION,
    ]),
};

#[allow(clippy::cast_possible_truncation, reason = "a few dozen")]
const fn length(bytes: usize) -> u32 {
    bytes as u32
}

/// The texts behind each other, with zeros at the end.
const fn joined<const BYTES: usize>(texts: &[&str]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (mut text, mut end) = (0, 0);
    while text < texts.len() {
        let from = texts[text].as_bytes();
        let mut index = 0;
        while index < from.len() {
            bytes[end] = from[index];
            (index, end) = (index + 1, end + 1);
        }
        text += 1;
    }
    assert!(end < BYTES);
    bytes
}
