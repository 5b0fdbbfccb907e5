//! What whoever waits sees: lines, and on a terminal a bar below them. One thread writes, so that nothing interleaves.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use rustix::stdio::stdout;
use rustix::termios::tcgetwinsize;

/// How often a bar is drawn at most.
const REDRAW: Duration = Duration::from_millis(100);
/// Where a terminal does not tell.
const WIDTH: usize = 80;
/// Cells of the part that fills up.
const CELLS: usize = 20;

/// The output of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    live: bool,
    color: bool,
    /// Characters of the bar that is on the screen.
    drawn: usize,
    drawn_at: Option<Instant>,
}

/// What the bar shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bar {
    pub(crate) done: usize,
    pub(crate) total: usize,
    pub(crate) failed: usize,
    /// What is under way, most interesting first.
    pub(crate) under_way: Vec<String>,
}

/// Colours of words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Color {
    Green = 32,
    Red = 31,
    Yellow = 33,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let live = terminal && !dumb;
        Self { live, color: live && !no_color, drawn: 0, drawn_at: None }
    }

    /// Whether there is a bar, so that not everything needs a line.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// A word in a colour, where there are colours.
    pub(crate) fn paint(&self, word: &str, color: Color) -> String {
        if self.color { format!("\x1b[{}m{word}\x1b[0m", color as u8) } else { word.to_owned() }
    }

    /// Writes whole lines.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        let mut bytes = self.erased();
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        write(&bytes)
    }

    /// Hands on what a scene has printed, to where errors go.
    pub(crate) fn printed(&mut self, line: &[u8]) -> io::Result<()> {
        let erased = self.erased();
        write(&erased)?;
        let mut stderr = io::stderr().lock();
        // Nobody may be there to read it: no reason to end.
        let _ = stderr.write_all(line);
        if !line.ends_with(b"\n") {
            let _ = stderr.write_all(b"\n");
        }
        Ok(())
    }

    /// Shows how far things are, if it is time to. Whatever is written later takes the place of the bar, so this is to
    /// be called again and again.
    pub(crate) fn show(&mut self, bar: &Bar) -> io::Result<()> {
        let fresh = self.drawn > 0 && self.drawn_at.is_some_and(|at| at.elapsed() < REDRAW);
        if !self.live || fresh {
            return Ok(());
        }
        let text = bar.text(width());
        let mut bytes = self.erased();
        self.drawn = text.chars().count();
        self.drawn_at = Some(Instant::now());
        bytes.extend_from_slice(text.as_bytes());
        write(&bytes)
    }

    /// Takes the bar away.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let erased = self.erased();
        write(&erased)
    }

    /// What removes the bar from the screen.
    fn erased(&mut self) -> Vec<u8> {
        erase(std::mem::take(&mut self.drawn), width())
    }
}

/// Removes a line of `drawn` characters. A terminal that became narrower has broken it into several.
fn erase(drawn: usize, width: usize) -> Vec<u8> {
    match drawn {
        0 => Vec::new(),
        drawn => match (drawn - 1) / width {
            0 => b"\r\x1b[J".to_vec(),
            rows => format!("\x1b[{rows}A\r\x1b[J").into_bytes(),
        },
    }
}

fn width() -> usize {
    let columns = tcgetwinsize(stdout()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDTH } else { columns }
}

/// All at once, so that what others write cannot come between.
fn write(bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

impl Bar {
    /// One line that is shorter than the terminal is wide.
    fn text(&self, width: usize) -> String {
        let full = CELLS * self.done.min(self.total) / self.total.max(1);
        let mut text =
            format!("[{}{}] {}/{}", "#".repeat(full), "-".repeat(CELLS - full), self.done, self.total);
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", self.failed));
        }
        for what in &self.under_way {
            text.push_str("  ");
            text.push_str(what);
        }
        let room = width.saturating_sub(1);
        if text.chars().count() <= room {
            return text;
        }
        let mut short: String = text.chars().take(room.saturating_sub(3)).collect();
        short.extend("...".chars().take(room));
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_wider_than_the_terminal() {
        let under_way = vec!["dev0 vector_example/1/a5sim 0.3s".to_owned(), "dev1 bgemm/ä/a5sim".to_owned()];
        let bar = Bar { done: 5, total: 10, failed: 2, under_way };
        let whole =
            "[##########----------] 5/10, 2 failed  dev0 vector_example/1/a5sim 0.3s  dev1 bgemm/ä/a5sim";
        assert_eq!(bar.text(200), whole);
        assert_eq!(bar.text(40), "[##########----------] 5/10, 2 faile...");
        for width in 0..100 {
            assert!(bar.text(width).chars().count() <= width.saturating_sub(1), "{width}");
        }
        assert_eq!(Bar { done: 3, total: 0, ..Bar::default() }.text(40), "[--------------------] 3/0");
    }

    #[test]
    fn a_bar_that_was_broken_into_rows_is_removed_whole() {
        assert_eq!(erase(0, 80), b"");
        assert_eq!(erase(80, 80), b"\r\x1b[J");
        assert_eq!(erase(81, 80), b"\x1b[1A\r\x1b[J");
        assert_eq!(erase(79, 20), b"\x1b[3A\r\x1b[J");
    }
}
