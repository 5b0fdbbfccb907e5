//! The device programs that clients give, and how this project's are told from others.
//!
//! A library of the contract gets an AICPU and an AICore program when it takes a device into use. Ours, for the
//! simulator, only say what they are, in an ELF note: the simulator runs both inside of this library, without a
//! thread per core. Any others it runs as they are, as hardware does, where a dispatcher stores one on the device.

use chip_worker::ChipWorkerBuilder;

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
        self.is_stood_for()?;
        Ok(())
    }

    /// The builder with these programs, if its worker is one that runs them.
    pub(crate) fn give_to(&self, builder: ChipWorkerBuilder) -> Result<ChipWorkerBuilder, Failure> {
        let Self { aicpu, aicore, dispatcher } = *self;
        if PLATFORM.is_simulated() {
            return if self.is_stood_for()? {
                Ok(builder)
            } else {
                Ok(builder.programs(chip_worker::Programs::simulated(aicpu, aicore)))
            };
        }
        if [aicpu, aicore, dispatcher].iter().all(|program| program.is_empty()) {
            // The builder says best what is missing.
            return Ok(builder);
        }
        Ok(builder.programs(chip_worker::Programs::new(aicpu, aicore, dispatcher)))
    }

    /// Whether the simulator's own engine takes the place of both programs: none were given, or files that say so.
    fn is_stood_for(&self) -> Result<bool, Failure> {
        let stand_ins = [Program::Aicpu.stands_in(self.aicpu)?, Program::Aicore.stands_in(self.aicore)?];
        match stand_ins {
            [Some(false), Some(false)] => Ok(false),
            [Some(false), _] | [_, Some(false)] => Err(Failure::invalid(
                "one of AICPU and AICore program is a program and the other is not; pass both of one build, in order",
            )),
            _ => Ok(true),
        }
    }
}

/// The two programs of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Aicpu = 1,
    Aicore = 2,
}

/// Owner of the note.
const NOTE_OWNER: &str = "simpler-rs";
/// Version of what the note says.
const NOTE_VERSION: &str = "1";
/// Types from here on are of programs that can be run.
const FIRST_REAL: u32 = 3;

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Aicpu => "AICPU program",
            Self::Aicore => "AICore program",
        }
    }

    /// Whether `bytes` only stand for the program, which is then part of this library; `None` for no bytes, which are
    /// fine with either.
    fn stands_in(self, bytes: &[u8]) -> Result<Option<bool>, Failure> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let Some((kind, text)) = object_loader::elf::note(bytes, NOTE_OWNER) else { return Ok(Some(false)) };
        if kind >= FIRST_REAL {
            return Ok(Some(false));
        }
        let name = self.name();
        if kind != self as u32 {
            let text = format!(
                "the {name} is another program: pass libaicpu_kernel.so and libaicore_kernel.so in order"
            );
            return Err(Failure::invalid(text));
        }
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let text = String::from_utf8_lossy(&text[..end]);
        let ours = format!("{ARCH_NAME} {} {NOTE_VERSION}", RUNTIME_NAME.to_string_lossy());
        if text != ours {
            return Err(Failure::invalid(format!(
                "the {name} is for \"{text}\" (chip, runtime, version), this library for \"{ours}\"; pass the file \
                 that lies beside this library"
            )));
        }
        Ok(Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_programs_are_those_of_this_library_and_other_objects_are_none_of_its() {
        assert!(Programs::default().is_stood_for().unwrap());
        let other = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let programs = Programs { aicpu: &other, aicore: &other, dispatcher: &[] };
        assert!(!programs.is_stood_for().unwrap());
    }

    #[test]
    fn half_a_pair_is_refused() {
        let programs = Programs { aicpu: b"not an object", ..Programs::default() };
        let failure = programs.check().map(|()| PLATFORM.is_simulated());
        match failure {
            Ok(is_simulated) => assert!(!is_simulated),
            Err(failure) => assert!(failure.text.contains("pass both"), "{}", failure.text),
        }
    }
}
