use std::time::Duration;

use device_runner::Programs;

use crate::error::OnboardError;

/// That there are three.
pub(crate) fn check(programs: &Programs) -> Result<(), OnboardError> {
    let programs = [
        ("AICPU program", &programs.aicpu),
        ("AICore program", &programs.aicore),
        ("dispatcher", &programs.dispatcher),
    ];
    match programs.into_iter().find(|(_, bytes)| bytes.is_empty()) {
        Some((program, _)) => Err(OnboardError::NoProgram { program }),
        None => Ok(()),
    }
}

/// How a device is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnboardOptions {
    /// The programs that run on it.
    pub programs: Programs,
    /// Severity from which device and driver log: 0 debug, 1 info, 2 warning, 3 error, 4 nothing. `None` takes that of
    /// this process's log.
    pub log_level: Option<u32>,
    /// Verbosity of the device's info lines, 0 to 9.
    pub log_verbosity: u32,
    /// How long one AICore kernel may run; `None` takes the chip's limit.
    pub op_timeout: Option<Duration>,
    /// How long each of a run's two streams is waited for; `None` takes the chip's limit.
    pub stream_timeout: Option<Duration>,
    /// How long a call waits for other ranks of a job; `None` takes two minutes.
    pub comm_limit: Option<Duration>,
}

/// That of the contract (`spec/device-abi.md`, section 1.2).
const DEFAULT_VERBOSITY: u32 = 5;

impl OnboardOptions {
    /// Defaults for everything but the programs.
    #[must_use]
    pub fn new(programs: Programs) -> Self {
        Self {
            programs,
            log_level: None,
            log_verbosity: DEFAULT_VERBOSITY,
            op_timeout: None,
            stream_timeout: None,
            comm_limit: None,
        }
    }

    pub(crate) fn effective_log_level(&self) -> u32 {
        let levels = [log::Level::Debug, log::Level::Info, log::Level::Warn, log::Level::Error];
        let of_this_process = || (0..).zip(levels).find(|(_, level)| log::log_enabled!(*level));
        self.log_level.unwrap_or_else(|| of_this_process().map_or(LOG_NOTHING, |(level, _)| level))
    }
}

const LOG_NOTHING: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let bytes = |present: bool| if present { vec![1] } else { Vec::new() };
        for (missing, name) in ["AICPU program", "AICore program", "dispatcher"].into_iter().enumerate() {
            let programs = Programs::new(bytes(missing != 0), bytes(missing != 1), bytes(missing != 2));
            let error = check(&programs).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the {name} is empty")), "{error}");
        }
        check(&Programs::new([1], [2], [3])).unwrap();
    }
}
