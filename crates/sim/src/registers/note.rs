//! What a program says about itself, and whether two fit a device.

use device_runner::Programs;

use super::programs::ProgramError;

/// Owner of the ELF note by which this project's programs are known.
pub const NOTE_OWNER: &str = "simpler-rs";
/// Version of what the note says.
pub const NOTE_VERSION: &str = "1";
/// Type of the note of an AICPU program. Smaller ones are of files that only stand for a program.
pub const AICPU_PROGRAM: u32 = 3;
/// Type of the note of an AICore program.
pub const AICORE_PROGRAM: u32 = 4;

/// Refuses programs that say that they are for something else. Those of others say nothing.
pub(super) fn check(programs: &Programs, chip: &str, runtime: &str) -> Result<(), ProgramError> {
    let ours = format!("{chip} {runtime} {NOTE_VERSION}");
    let pair = [
        ("AICPU program", AICPU_PROGRAM, &programs.aicpu),
        ("AICore program", AICORE_PROGRAM, &programs.aicore),
    ];
    for (program, expected, bytes) in pair {
        let Some((kind, text)) = object_loader::elf::note(bytes, NOTE_OWNER) else { continue };
        if kind != expected {
            return Err(ProgramError::Another { program });
        }
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let text = String::from_utf8_lossy(&text[..end]);
        if text != ours {
            return Err(ProgramError::For { program, found: text.into_owned(), device: ours });
        }
    }
    Ok(())
}
