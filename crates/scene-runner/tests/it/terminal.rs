//! What somebody at a terminal sees.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::bench::Bench;

/// All that a run writes to a terminal of this width.
fn shown(columns: u16, args: &[&str], env: &[(&str, &str)]) -> String {
    let bench = Bench::new();
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen, size).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trouble"));
    command.args(args).stdin(Stdio::null()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(env.iter().copied());
    command.env("TMPDIR", bench.path("tmp")).env("TROUBLE_STATE", bench.path("state"));
    let mut child = command.spawn().unwrap();
    // The last writer is the child, so that reading ends with it.
    drop(command);
    let (mut bytes, mut screen) = (Vec::new(), File::from(screen));
    // The end of a terminal is an error.
    let _ = screen.read_to_end(&mut bytes);
    child.wait().unwrap();
    bench.expect_nothing_left();
    String::from_utf8(bytes).unwrap()
}

const ARGS: [&str; 5] = ["fine", "wrong", "host_waits", "--timeout=4", "--devices=2"];

#[test]
fn a_bar_shows_what_is_under_way_and_lines_what_failed() {
    let shown = shown(100, &ARGS, &[]);
    assert!(shown.contains("/8, 1 failed  dev"), "{shown}");
    assert!(shown.contains(" host_waits/a2a3sim 1."), "{shown}");
    assert!(shown.contains("\r\x1b[J[dev"), "lines are written where the bar was: {shown}");
    assert!(shown.contains("\x1b[31mFAIL\x1b[0m: wrong/a2a3sim ("), "{shown}");
    assert!(shown.contains("\x1b[31mTIMEOUT\x1b[0m: host_waits/a2a3sim ("), "{shown}");
    assert!(!shown.contains("PASS"), "{shown}");
    assert!(shown.ends_with(" s on 2 devices\r\n"), "{shown}");
}

#[test]
fn the_bar_of_a_narrow_terminal_is_cut() {
    let shown = shown(30, &ARGS, &[]);
    let bars = shown.split("\r\x1b[J").flat_map(|part| part.split("\r\n"));
    let bars: Vec<&str> = bars.filter(|part| part.starts_with("[#") || part.starts_with("[-")).collect();
    assert!(bars.len() > 5, "{shown}");
    assert!(bars.iter().all(|bar| bar.chars().count() < 30), "{bars:?}");
}

#[test]
fn who_wants_no_bar_or_colours_gets_none() {
    let plain = shown(100, &ARGS, &[("TERM", "dumb")]);
    assert!(!plain.contains('\x1b') && plain.contains("] PASS: fine/one/a2a3sim ("), "{plain}");
    let grey = shown(100, &ARGS, &[("NO_COLOR", "1")]);
    assert!(!grey.contains("\x1b[3") && grey.contains("\r\x1b[J[dev"), "{grey}");
    let verbose = shown(100, &["-v", "fine"], &[]);
    assert!(verbose.contains("\x1b[32mPASS\x1b[0m: fine/one/a2a3sim ("), "{verbose}");
    assert!(verbose.contains(", 1 task\r\n"), "{verbose}");
}
