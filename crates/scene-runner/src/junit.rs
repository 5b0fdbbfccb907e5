//! The report as JUnit XML, for the machines that show test results.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::record::{Attempt, Verdict};
use crate::report::{Entry, Report};

/// Writes it: a test suite per scene and platform, in the extended form that also knows of flaky tests.
pub(crate) fn write(report: &Report, path: &Path) -> io::Result<()> {
    std::fs::write(path, xml(report))
}

fn xml(report: &Report) -> String {
    let counts = report.counts;
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(
        text,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        escaped(&report.command),
        counts.total,
        counts.failed,
        counts.left_out + counts.not_finished,
        report.seconds
    );
    let mut suites: Vec<(String, Vec<&Entry>)> = Vec::new();
    for entry in &report.results {
        let name = format!("{}/{}", entry.scene, entry.platform);
        match suites.iter_mut().find(|(known, _)| *known == name) {
            Some((_, entries)) => entries.push(entry),
            None => suites.push((name, vec![entry])),
        }
    }
    for (name, entries) in &suites {
        suite(&mut text, name, entries, report.stopped.as_deref());
    }
    let mut left = report.problems.clone();
    // Skipped tests look harmless.
    left.extend(report.stopped.as_ref().map(|why| format!("{why}; {} did not finish", counts.not_finished)));
    if !left.is_empty() {
        problems(&mut text, &left);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, name: &str, entries: &[&Entry], stopped: Option<&str>) {
    let skipped = entries.iter().filter(|entry| is_skipped(entry.verdict)).count();
    let failures =
        entries.iter().filter(|entry| entry.verdict.is_bad() && !is_skipped(entry.verdict)).count();
    let seconds: f64 = entries.iter().map(|entry| seconds(entry)).sum();
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
         time=\"{seconds:.3}\">",
        escaped(name),
        entries.len()
    );
    for entry in entries {
        case(text, name, entry, stopped);
    }
    text.push_str("  </testsuite>\n");
}

fn is_skipped(verdict: Verdict) -> bool {
    verdict == Verdict::LeftOut || !verdict.is_finished()
}

fn seconds(entry: &Entry) -> f64 {
    entry.attempts.iter().map(|attempt| attempt.seconds).sum()
}

fn case(text: &mut String, suite: &str, entry: &Entry, stopped: Option<&str>) {
    let name = match entry.repetition {
        0 => entry.case.clone(),
        number => format!("{} #{number}", entry.case),
    };
    let _ = writeln!(
        text,
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\">",
        escaped(&name),
        escaped(suite),
        seconds(entry)
    );
    let why = entry.attempts.last().and_then(|attempt| attempt.text.as_deref());
    match entry.verdict {
        Verdict::Passed => {}
        Verdict::LeftOut | Verdict::NotRun | Verdict::Interrupted => {
            let why = why.or(stopped).unwrap_or("not run");
            let _ = writeln!(text, "      <skipped message=\"{}\"/>", escaped(why));
        }
        Verdict::Flaky => {
            for attempt in entry.attempts.iter().filter(|attempt| !attempt.is_good()) {
                failure(text, "flakyFailure", attempt, entry);
            }
        }
        _ => {
            let mut bad = entry.attempts.iter().filter(|attempt| !attempt.is_good());
            if let Some(first) = bad.next() {
                failure(text, "failure", first, entry);
            }
            bad.for_each(|attempt| failure(text, "rerunFailure", attempt, entry));
        }
    }
    text.push_str("    </testcase>\n");
}

fn failure(text: &mut String, element: &str, attempt: &Attempt, entry: &Entry) {
    let reason = attempt.text.as_deref().unwrap_or_default();
    let kind = Verdict::from(attempt.end).word();
    let mut body = format!("{reason}\n\n{}", entry.reproduce);
    if let Some(root) = &attempt.pto_isa {
        let _ = write!(body, "\nPTO-ISA: {}", root.display());
    }
    if !attempt.printed.is_empty() {
        let _ = write!(body, "\n\nprinted:\n{}", attempt.printed.join("\n"));
    }
    let _ = writeln!(
        text,
        "      <{element} type=\"{kind}\" message=\"{}\">{}</{element}>",
        escaped(reason.lines().next().unwrap_or_default()),
        escaped(&body)
    );
}

/// What belongs to no case is a test of its own, so that nobody overlooks it.
fn problems(text: &mut String, problems: &[String]) {
    let count = problems.len();
    let _ =
        writeln!(text, "  <testsuite name=\"problems\" tests=\"{count}\" failures=\"{count}\" errors=\"0\">");
    for (number, problem) in (1..).zip(problems) {
        let problem = escaped(problem);
        let _ = writeln!(
            text,
            "    <testcase name=\"problem {number}\" classname=\"problems\"><failure message=\"{problem}\"/></testcase>"
        );
    }
    text.push_str("  </testsuite>\n");
}

/// Text and attribute values of XML. Characters that XML 1.0 cannot hold at all become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(escaped("a<b> & \"c\"\n\x1b[1m"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}[1m");
    }
}
