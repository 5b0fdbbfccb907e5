//! What is known at the end: as text, as JSON, and for [JUnit](crate::junit).

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::lines::indented;
use crate::options::{DEFAULT_PROGRAMS, DEFAULT_TIMEOUT, Options};
use crate::record::{Attempt, Verdict};
use crate::session::{Session, Stopped};
use crate::wire::Way;

/// All results of a run. The JSON is this, field by field.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// How the runner is called.
    pub(crate) command: String,
    pub(crate) way: Way,
    pub(crate) seed: u64,
    pub(crate) devices: u32,
    pub(crate) platforms: Vec<&'static str>,
    pub(crate) retries: u32,
    pub(crate) seconds: f64,
    pub(crate) exit_code: u8,
    /// Why not everything was run, if so.
    pub(crate) stopped: Option<String>,
    /// What went wrong that is no single result.
    pub(crate) problems: Vec<String>,
    pub(crate) counts: Counts,
    pub(crate) results: Vec<Entry>,
}

/// How many results there are of each kind; `failed` are all that are bad and finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) total: usize,
    pub(crate) passed: usize,
    pub(crate) flaky: usize,
    pub(crate) failed: usize,
    pub(crate) left_out: usize,
    /// Not run, or interrupted.
    pub(crate) not_finished: usize,
}

/// The result of one case on one platform.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) scene: &'static str,
    pub(crate) case: String,
    pub(crate) platform: &'static str,
    pub(crate) runtime: &'static str,
    /// Of a repeated case, which one; else 0.
    pub(crate) repetition: u32,
    pub(crate) verdict: Verdict,
    pub(crate) attempts: Vec<Attempt>,
    /// Runs it again, alone.
    pub(crate) reproduce: String,
}

/// How many of the slowest are shown.
const SLOWEST: usize = 5;

impl Report {
    pub(crate) fn new(session: &Session<'_>) -> Self {
        let options = session.options;
        let command = session.runner.command;
        let results: Vec<Entry> = session
            .items
            .iter()
            .zip(&session.records)
            .map(|(item, record)| Entry {
                name: item.name(),
                scene: item.scene.name,
                case: item.case.clone(),
                platform: item.platform.name(),
                runtime: item.scene.runtime.name(),
                repetition: item.repetition,
                verdict: record.verdict(),
                attempts: record.attempts.clone(),
                reproduce: format!("{}{}", again(command, options), quoted(&item.selector())),
            })
            .collect();
        let counts = Counts::of(&results);
        let bad = counts.failed + counts.not_finished + session.problems.len();
        let exit_code = match session.stopped {
            Some(Stopped::Signal(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            _ => u8::from(bad > 0),
        };
        Self {
            command: command.to_owned(),
            way: options.way.clone(),
            seed: options.seed,
            devices: options.devices,
            platforms: options.wanted.platforms.iter().map(|platform| platform.name()).collect(),
            retries: options.retries,
            seconds: session.started.elapsed().as_secs_f64(),
            exit_code,
            stopped: session.stopped.map(Stopped::text),
            problems: session.problems.clone(),
            counts,
            results,
        }
    }

    /// For people, after all the lines.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        self.tell_slowest(&mut text);
        let flaky: Vec<&Entry> = self.of(|verdict| verdict == Verdict::Flaky).collect();
        if !flaky.is_empty() {
            text.push_str("\nflaky:\n");
        }
        for entry in flaky {
            let _ = writeln!(text, "  {} passed at attempt {}", entry.name, entry.attempts.len());
            for (number, attempt) in (1..).zip(&entry.attempts) {
                let _ = writeln!(text, "    {number}: {}", attempt.told());
            }
            let _ = writeln!(text, "    {}", entry.reproduce);
        }
        self.tell_failed(&mut text);
        if let Some(stopped) = &self.stopped {
            let Counts { not_finished, total, .. } = self.counts;
            let _ = writeln!(text, "\nstopped: {stopped}; {not_finished} of {total} did not finish");
        }
        let under_way = self.of(|verdict| verdict == Verdict::Interrupted);
        let under_way: Vec<&str> = under_way.map(|entry| entry.name.as_str()).collect();
        if !under_way.is_empty() {
            let _ = writeln!(text, "  under way: {}", under_way.join(", "));
        }
        for problem in &self.problems {
            let _ = writeln!(text, "\nproblem: {problem}");
        }
        let _ = write!(text, "\n{}", self.last_line());
        text
    }

    fn tell_slowest(&self, text: &mut String) {
        let mut slowest: Vec<(&Entry, f64)> = Vec::new();
        for entry in &self.results {
            if let Some(last) = entry.attempts.last().filter(|attempt| attempt.device.is_some()) {
                slowest.push((entry, last.seconds));
            }
        }
        if slowest.len() <= SLOWEST {
            return;
        }
        slowest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        text.push_str("\nslowest:\n");
        for (entry, seconds) in slowest.into_iter().take(SLOWEST) {
            let _ = writeln!(text, "  {seconds:6.2}s {}", entry.name);
        }
    }

    fn tell_failed(&self, text: &mut String) {
        let is_failure = |verdict: Verdict| verdict.is_bad() && verdict.is_finished();
        if self.counts.failed > 0 {
            text.push_str("\nfailed:\n");
        }
        let mut unbuilt: Vec<&Entry> = Vec::new();
        for entry in self.of(is_failure) {
            if entry.verdict == Verdict::NotBuilt {
                if !unbuilt.iter().any(|first| first.scene == entry.scene) {
                    unbuilt.push(entry);
                }
                continue;
            }
            let _ = writeln!(text, "  {}: {}", entry.verdict.word(), entry.name);
            let last = entry.attempts.iter().rev().find(|attempt| !attempt.is_good());
            let reason = last.and_then(|attempt| attempt.text.as_deref()).unwrap_or_default();
            if let Some(line) = reason.lines().next() {
                let _ = writeln!(text, "{}", indented(line));
            }
            let _ = writeln!(text, "    {}", entry.reproduce);
        }
        for first in unbuilt {
            let (scene, entries) = (first.scene, self.of(|verdict| verdict == Verdict::NotBuilt));
            let count = entries.filter(|entry| entry.scene == scene).count();
            let plural = if count == 1 { "" } else { "s" };
            let _ = writeln!(text, "  FAIL: {scene} does not compile ({count} case{plural})");
            let _ = writeln!(text, "    {}", first.reproduce);
        }
    }

    fn of(&self, wanted: impl Fn(Verdict) -> bool) -> impl Iterator<Item = &Entry> {
        self.results.iter().filter(move |entry| wanted(entry.verdict))
    }

    fn last_line(&self) -> String {
        let Counts { passed, flaky, failed, left_out, not_finished, .. } = self.counts;
        let mut line = format!("{}: {passed} passed, ", self.platforms.join(", "));
        let if_any =
            |count: usize, what: &str| if count == 0 { String::new() } else { format!("{count} {what}, ") };
        line.push_str(&if_any(flaky, "flaky"));
        let _ = write!(line, "{failed} failed");
        for (count, what) in [(left_out, "left out"), (not_finished, "not finished")] {
            if count > 0 {
                let _ = write!(line, ", {count} {what}");
            }
        }
        let devices =
            if self.devices == 1 { "1 device".to_owned() } else { format!("{} devices", self.devices) };
        let _ = write!(line, " in {:.1} s on {devices}", self.seconds);
        line
    }

    /// Writes the report for programs.
    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}

impl Counts {
    fn of(results: &[Entry]) -> Self {
        let mut counts = Self { total: results.len(), ..Self::default() };
        for entry in results {
            *match entry.verdict {
                Verdict::Passed => &mut counts.passed,
                Verdict::Flaky => &mut counts.flaky,
                Verdict::LeftOut => &mut counts.left_out,
                Verdict::NotRun | Verdict::Interrupted => &mut counts.not_finished,
                _ => &mut counts.failed,
            } += 1;
        }
        counts
    }
}

impl Attempt {
    /// In one line.
    fn told(&self) -> String {
        let word = Verdict::from(self.end).word();
        let alone = if self.alone { ", alone" } else { "" };
        let text = self.text.as_deref().and_then(|text| text.lines().next());
        let text = text.map_or_else(String::new, |text| format!(": {text}"));
        format!("{word} after {:.1}s{alone}{text}", self.seconds)
    }
}

/// The start of a command that runs one item under the same conditions.
fn again(command: &str, options: &Options) -> String {
    let mut words = command.to_owned();
    let in_folder = |option: &str, folder: &Path| format!(" {option} {}", quoted(&folder.to_string_lossy()));
    match &options.way {
        Way::Linked => {}
        Way::SmallestRings => words.push_str(" --smallest-rings"),
        Way::Tree(tree) => words.push_str(&in_folder("--tree", tree)),
    }
    if options.stand_in {
        words.push_str(" --stand-in");
    } else if options.programs != Path::new(DEFAULT_PROGRAMS) {
        words.push_str(&in_folder("--programs", &options.programs));
    }
    if let Some(folder) = &options.diagnostics {
        words.push_str(&in_folder("--diagnostics", folder));
    }
    if options.seed != 0 {
        let _ = write!(words, " --seed {}", options.seed);
    }
    if options.wanted.repeat > 1 {
        let _ = write!(words, " --repeat {}", options.wanted.repeat);
    }
    if options.timeout != DEFAULT_TIMEOUT {
        let _ = write!(words, " --timeout {}", options.timeout.as_secs_f64());
    }
    words.push_str(" --exact ");
    words
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::options::Asked;

    #[test]
    fn a_case_is_run_again_under_the_same_conditions() {
        let again_after = |args: &[&str]| {
            let Ok(Asked::Run(options)) = Options::parse(args.iter().map(OsString::from)) else {
                panic!("{args:?}");
            };
            again("x st", &options)
        };
        assert_eq!(again_after(&["--devices=3", "--retries", "2", "name"]), "x st --exact ");
        for conditions in [
            "--smallest-rings --seed 3",
            "--tree 'a;b' --repeat 2",
            "--programs elsewhere --timeout 600",
            "--stand-in --diagnostics out --timeout 0.5",
        ] {
            let given: Vec<&str> = conditions.split(' ').map(|word| word.trim_matches('\'')).collect();
            assert_eq!(again_after(&given), format!("x st {conditions} --exact "));
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a/b_1/a5sim"), "a/b_1/a5sim");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
