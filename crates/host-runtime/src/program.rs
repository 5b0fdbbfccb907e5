//! The device programs that clients give, and how this project's are told from others.
//!
//! A library of the contract gets an AICPU and an AICore program when it takes a device into use. Ours, for the
//! simulator, only say what they are, in an ELF note: the simulator runs both inside of this library, without a
//! thread per core. On hardware they go to the device as they are, and so does the dispatcher that stores one there.

use chip_worker::ChipWorkerBuilder;
use host_library::ErrorKind;
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::error::Failure;
use crate::selection::{ARCH_NAME, PLATFORM, RUNTIME_NAME};

/// What a client gives for the device itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Programs<'a> {
    pub(crate) aicpu: &'a [u8],
    pub(crate) aicore: &'a [u8],
    /// Only hardware has a use for it.
    pub(crate) dispatcher: &'a [u8],
}

impl Programs<'_> {
    /// Whether this library can run them, as far as can be told before a device has them.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !PLATFORM.is_simulated() {
            return Ok(());
        }
        Program::Aicpu.check(self.aicpu)?;
        Program::Aicore.check(self.aicore)
    }

    /// The builder with these programs, if its worker is one that runs them.
    #[cfg(all(feature = "onboard", not(feature = "sim")))]
    pub(crate) fn give_to(&self, builder: ChipWorkerBuilder) -> ChipWorkerBuilder {
        let given = [self.aicpu, self.aicore, self.dispatcher];
        if given.iter().all(|program| program.is_empty()) {
            // The builder says best what is missing.
            return builder;
        }
        builder.programs(chip_worker::Programs::new(self.aicpu, self.aicore, self.dispatcher))
    }

    /// The simulator looks at them, and no more.
    #[cfg(not(all(feature = "onboard", not(feature = "sim"))))]
    #[allow(clippy::unused_self, reason = "as on hardware")]
    pub(crate) fn give_to(&self, builder: ChipWorkerBuilder) -> ChipWorkerBuilder {
        builder
    }
}

/// The two programs that the simulator looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Aicpu = 1,
    Aicore = 2,
}

/// Owner of the note.
const NOTE_NAME: &[u8] = b"simpler-rs";
/// Version of what the note says.
const NOTE_VERSION: &str = "1";

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Aicpu => "AICPU program",
            Self::Aicore => "AICore program",
        }
    }

    /// Whether this library can run the program in `bytes`. None at all is fine: it would only be looked at.
    fn check(self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let name = self.name();
        let Some((kind, text)) = read_note(bytes) else {
            return Err(Failure::unsupported(format!(
                "the {name} ({} bytes) is not one of simpler-rs; this version runs its own only: pass the file that \
                 lies beside this library",
                bytes.len()
            )));
        };
        if kind != self as u32 {
            let text = format!(
                "the {name} is another program: pass libaicpu_kernel.so and libaicore_kernel.so in order"
            );
            return Err(Failure::invalid(text));
        }
        let ours = format!("{ARCH_NAME} {} {NOTE_VERSION}", RUNTIME_NAME.to_string_lossy());
        if text != ours {
            let text = format!(
                "the {name} is for \"{text}\" (chip, runtime, version), this library for \"{ours}\"; pass the file \
                 that lies beside this library"
            );
            return Err(Failure::new(ErrorKind::InvalidArgument, text));
        }
        Ok(())
    }
}

/// Type and text of the note, if there is one.
fn read_note(bytes: &[u8]) -> Option<(u32, String)> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, bytes).ok()? {
        let Ok(Some(mut notes)) = segment.notes(endian, bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == NOTE_NAME {
                let text = note.desc().split(|&byte| byte == 0).next()?;
                return Some((note.n_type(endian).0, String::from_utf8_lossy(text).into_owned()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_is_fine_and_any_other_bytes_are_not() {
        Program::Aicpu.check(&[]).unwrap();
        for bytes in [&b"\x7fELF"[..], b"not an object", &[0; 64]] {
            let failure = Program::Aicore.check(bytes).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Unsupported);
            assert!(failure.text.contains("AICore program"), "{}", failure.text);
        }
        // An object without such a note: this very test.
        let other = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Program::Aicpu.check(&other).unwrap_err().kind, ErrorKind::Unsupported);
    }
}
