//! What a process is doing that does not end: from `/proc`, so that it need not answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A thread as the kernel sees it.
#[derive(Debug, PartialEq)]
struct Thread {
    name: String,
    state: char,
    /// CPU time that it took.
    cpu: Duration,
    /// What it sleeps in, if the kernel tells.
    waits_in: Option<String>,
}

/// One tick of the times in `/proc` is this on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What thread `stuck` of process `pid` does, and which others are at work.
pub(crate) fn describe(pid: u32, stuck: i32) -> String {
    let folder = format!("/proc/{pid}/task");
    let mut text = match thread(&Path::new(&folder).join(stuck.to_string())) {
        Some(thread) => format!("its thread {}", doing(&thread)),
        None => "its thread is gone".to_owned(),
    };
    let own = stuck.to_string();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let working = thread(&entry.path()).filter(|thread| thread.state == 'R');
        if let Some(thread) = working.filter(|_| entry.file_name() != own.as_str()) {
            *others.entry(thread.name).or_default() += 1;
        }
    }
    if !others.is_empty() {
        let names: Vec<String> = others
            .into_iter()
            .map(|(name, count)| if count == 1 { name } else { format!("{count} x {name}") })
            .collect();
        let _ = write!(text, "; also at work: {}", names.join(", "));
    }
    text
}

fn doing(thread: &Thread) -> String {
    let cpu = thread.cpu.as_secs_f64();
    match (thread.state, &thread.waits_in) {
        ('R', _) => format!("is running ({cpu:.1} s of CPU time)"),
        ('T' | 't', _) => format!("is stopped ({cpu:.1} s of CPU time)"),
        (_, Some(place)) => format!("is waiting in {place} ({cpu:.1} s of CPU time)"),
        (_, None) => format!("is waiting ({cpu:.1} s of CPU time)"),
    }
}

fn thread(folder: &Path) -> Option<Thread> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let waits_in = std::fs::read_to_string(folder.join("wchan")).ok();
    let waits_in = waits_in.filter(|place| !["", "0"].contains(&place.trim()));
    parse(&stat, waits_in)
}

/// Reads a line of `/proc/<pid>/stat`; the name is in parentheses and may hold anything.
fn parse(stat: &str, waits_in: Option<String>) -> Option<Thread> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // utime and stime are fields 14 and 15; the state is 3.
    let mut times = fields.skip(10).map(str::parse::<u32>);
    let ticks = times.next()?.ok()?.saturating_add(times.next()?.ok()?);
    Some(Thread { name: name.to_owned(), state, cpu: TICK.saturating_mul(ticks), waits_in })
}

#[cfg(test)]
mod tests {
    use rustix::thread::gettid;

    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let stat = "12 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        let waits_in = Some("futex_do_wait".to_owned());
        let thread = parse(stat, waits_in).unwrap();
        assert_eq!(
            (thread.name.as_str(), thread.state, thread.cpu),
            ("a) R (b", 'S', Duration::from_secs(3))
        );
        assert_eq!(doing(&thread), "is waiting in futex_do_wait (3.0 s of CPU time)");
        assert_eq!(parse("12 (a) S 1", None), None);
    }

    #[test]
    fn this_thread_is_running_and_another_is_gone() {
        let pid = std::process::id();
        let text = describe(pid, gettid().as_raw_pid());
        assert!(text.starts_with("its thread is running ("), "{text}");
        assert!(describe(pid, i32::MAX).starts_with("its thread is gone"));
    }
}
