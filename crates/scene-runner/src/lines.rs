//! Lines for people while things happen.

use std::fmt::Write as _;
use std::io;

use crate::progress::Color;
use crate::record::{Attempt, Record, Verdict};
use crate::session::{Session, Stopped};

impl Session<'_> {
    /// Shows the newest attempt of an item.
    pub(crate) fn announce(&mut self, item: usize) -> io::Result<()> {
        let (record, name) = (&self.records[item], self.items[item].name());
        let Some(last) = record.attempts.last() else { return Ok(()) };
        let verdict = said_of(record, last);
        if self.progress.is_live() && verdict == Verdict::Passed && !self.options.verbose {
            return Ok(());
        }
        let word = self.progress.paint(verdict.word(), color(verdict));
        let device = last.device.map_or_else(|| "build".to_owned(), |device| format!("dev{device}"));
        let (done, total) = (self.done(), self.items.len());
        let mut line = format!("[{device}] [{done}/{total}] {word}: {name} ({:.1}s)", last.seconds);
        let (number, most) = (record.attempts.len(), 1 + self.options.retries as usize);
        if (number > 1 || (!last.is_good() && most > 1)) && !record.unforgiven {
            let _ = write!(line, " attempt {number} of {}", most.max(number));
        }
        if let Some(root) =
            last.pto_isa.as_ref().filter(|root| self.options.retry_pto_isa.as_ref() == Some(*root))
        {
            let _ = write!(line, " with PTO-ISA at {}", root.display());
        }
        if let Some(text) = last.text.as_ref().filter(|_| !verdict.is_bad()) {
            let _ = write!(line, " {text}");
        }
        if self.options.verbose {
            line.push_str(&measured(last));
        }
        let bad = if verdict.is_bad() { record.last_bad() } else { None };
        if let Some(text) = bad.and_then(|attempt| attempt.text.as_ref()) {
            let _ = write!(line, "\n{}", indented(text));
        }
        self.progress.line(&line)
    }

    /// Shows that a scene does not compile.
    pub(crate) fn announce_unbuilt(&mut self, scene: &str, count: usize, text: &str) -> io::Result<()> {
        let word = self.progress.paint(Verdict::NotBuilt.word(), Color::Red);
        let (done, total) = (self.done(), self.items.len());
        let cases = if count == 1 { "1 case".to_owned() } else { format!("{count} cases") };
        self.progress.line(&format!("[build] [{done}/{total}] {word}: {scene} ({cases})\n{}", indented(text)))
    }
}

/// What the line of an attempt says: how it ended, unless the attempts before it make that look better or worse.
fn said_of(record: &Record, last: &Attempt) -> Verdict {
    if last.is_good() { record.verdict() } else { last.end.into() }
}

pub(crate) fn color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Passed => Color::Green,
        Verdict::Flaky | Verdict::LeftOut | Verdict::NotRun | Verdict::Interrupted => Color::Yellow,
        Verdict::Failed | Verdict::NotBuilt | Verdict::Crashed | Verdict::TimedOut => Color::Red,
    }
}

fn measured(attempt: &Attempt) -> String {
    let Some(measured) = attempt.measured else { return String::new() };
    let (host, device) = (readable(measured.host_seconds), readable(measured.device_seconds));
    let runs = if measured.runs == 1 { String::new() } else { format!(" in {} runs", measured.runs) };
    let plural = if measured.tasks == 1 { "" } else { "s" };
    format!(" host {host}, device {device}, {} task{plural}{runs}", measured.tasks)
}

fn readable(seconds: f64) -> String {
    let micros = seconds * 1e6;
    if micros < 1e3 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1e3) }
}

pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

impl Stopped {
    /// As the reason for what was interrupted or not run.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Signal(signal) => {
                let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
                format!("ended by {name}")
            }
            Self::TotalTimeout => "the time for all cases (--total-timeout) is over".to_owned(),
            Self::FailFast => "ended with the first failure (--fail-fast)".to_owned(),
            Self::Hopeless => "processes end before they run anything".to_owned(),
        }
    }
}
