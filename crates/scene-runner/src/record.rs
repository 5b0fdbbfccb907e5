//! What became of an item.

use std::path::PathBuf;

use serde::Serialize;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Passed,
    /// The case does not apply to this way of running.
    LeftOut,
    /// Wrong results, or an error.
    Failed,
    /// There is nothing to run: it does not compile.
    NotBuilt,
    /// Its process went away while it ran.
    Crashed,
    TimedOut,
    /// It was ended while it ran, for what may be no fault of its own.
    Interrupted,
}

/// One try.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) end: End,
    /// The device it ran on; none if it was not built.
    pub(crate) device: Option<u32>,
    /// Whether nothing else ran in its process.
    pub(crate) alone: bool,
    pub(crate) seconds: f64,
    /// What went wrong, or what is worth telling.
    pub(crate) text: Option<String>,
    /// The last lines that its process printed, if it did not end well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) printed: Vec<String>,
    /// The PTO-ISA checkout that its kernels were compiled with, if any was known.
    pub(crate) pto_isa: Option<PathBuf>,
    /// What it measured, if it passed.
    #[serde(flatten)]
    pub(crate) measured: Option<Measured>,
}

/// Sums over the runs of an attempt.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) runs: u64,
    pub(crate) tasks: u64,
    pub(crate) host_seconds: f64,
    pub(crate) device_seconds: f64,
}

/// All attempts of an item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) attempts: Vec<Attempt>,
    /// A pass does not make up for an earlier failure: it was only to find out what caused that.
    pub(crate) unforgiven: bool,
    /// It was retried as often as it may.
    pub(crate) exhausted: bool,
}

/// What is said about an item in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Passed,
    /// Passed, but not at the first attempt.
    Flaky,
    Failed,
    NotBuilt,
    Crashed,
    TimedOut,
    /// Was ended while it ran.
    Interrupted,
    LeftOut,
    NotRun,
}

impl Attempt {
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.end, End::Passed | End::LeftOut)
    }
}

impl Record {
    pub(crate) fn verdict(&self) -> Verdict {
        let first_bad = self.attempts.iter().find(|attempt| !attempt.is_good());
        match (self.attempts.last(), first_bad) {
            (None, _) => Verdict::NotRun,
            (Some(last), Some(bad)) if last.is_good() => {
                if self.unforgiven {
                    bad.end.into()
                } else {
                    Verdict::Flaky
                }
            }
            (Some(last), _) => last.end.into(),
        }
    }

    /// Whether it has run and failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.verdict().is_bad() && !self.attempts.is_empty()
    }

    /// The attempt that a verdict other than a pass is about.
    pub(crate) fn last_bad(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| !attempt.is_good())
    }
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        match end {
            End::Passed => Self::Passed,
            End::LeftOut => Self::LeftOut,
            End::Failed => Self::Failed,
            End::NotBuilt => Self::NotBuilt,
            End::Crashed => Self::Crashed,
            End::TimedOut => Self::TimedOut,
            End::Interrupted => Self::Interrupted,
        }
    }
}

impl Verdict {
    /// Whether a run with such an item in it has failed.
    pub(crate) fn is_bad(self) -> bool {
        !matches!(self, Self::Passed | Self::Flaky | Self::LeftOut)
    }

    /// Whether it says something about the item, not only about the run.
    pub(crate) fn is_finished(self) -> bool {
        !matches!(self, Self::NotRun | Self::Interrupted)
    }

    /// Its name in lines for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASS",
            Self::Flaky => "FLAKY",
            Self::Failed | Self::NotBuilt => "FAIL",
            Self::Crashed => "CRASH",
            Self::TimedOut => "TIMEOUT",
            Self::Interrupted => "INTERRUPTED",
            Self::LeftOut => "LEFT OUT",
            Self::NotRun => "NOT RUN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ends: &[End]) -> Record {
        let attempt = |&end: &End| Attempt {
            end,
            device: Some(0),
            alone: false,
            seconds: 0.0,
            text: None,
            printed: Vec::new(),
            pto_isa: None,
            measured: None,
        };
        Record { attempts: ends.iter().map(attempt).collect(), ..Record::default() }
    }

    #[test]
    fn verdicts() {
        for (ends, verdict) in [
            (&[][..], Verdict::NotRun),
            (&[End::Passed], Verdict::Passed),
            (&[End::LeftOut], Verdict::LeftOut),
            (&[End::Failed, End::Passed], Verdict::Flaky),
            (&[End::Crashed, End::TimedOut], Verdict::TimedOut),
            (&[End::Interrupted], Verdict::Interrupted),
            (&[End::NotBuilt], Verdict::NotBuilt),
        ] {
            let record = record(ends);
            assert_eq!(record.verdict(), verdict, "{ends:?}");
            let good = matches!(verdict, Verdict::Passed | Verdict::Flaky | Verdict::LeftOut);
            assert_eq!(record.has_failed(), !good && !ends.is_empty(), "{ends:?}");
        }
        let unforgiven = Record { unforgiven: true, ..record(&[End::Interrupted, End::Passed]) };
        assert_eq!(unforgiven.verdict(), Verdict::Interrupted);
        assert_eq!(unforgiven.last_bad().unwrap().end, End::Interrupted);
    }
}
