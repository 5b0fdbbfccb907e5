//! Everything that a runner waits for, in one queue.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// Something has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody wants this to end.
    Signal(i32),
    /// Work on another thread is done.
    Worked,
    /// A line of results of the process with this number.
    Result(u64, Vec<u8>),
    /// A line that the process, or code in it, has printed.
    Printed(u64, Vec<u8>),
    /// There will be no more results of it.
    ResultsEnd(u64),
    /// It will print nothing more.
    PrintedEnd(u64),
}

/// The queue. It holds few events: a process that prints faster than anybody reads has to wait.
#[derive(Debug)]
pub(crate) struct Events {
    receiver: Receiver<Event>,
    sender: SyncSender<Event>,
    signals: Handle,
}

const QUEUE: usize = 256;
/// Longer lines come in parts: nobody stores what a process prints without end.
const MAX_PRINTED: u64 = 64 << 10;
/// Results tell of a few wrong values, compiler errors not at all: none is as long as this.
const MAX_RESULT: u64 = 64 << 20;

impl Events {
    /// Begins to take signals, which from now on end nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        let handle = signals.handle();
        let to = sender.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if to.send(Event::Signal(signal)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { receiver, sender, signals: handle })
    }

    pub(crate) fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
    }

    /// The next event, if one comes in time.
    pub(crate) fn next(&self, within: Duration) -> Option<Event> {
        // Never without senders: one is in here.
        self.receiver.recv_timeout(within).ok()
    }

    /// Reads results of process `number` until there are no more.
    pub(crate) fn read_results(&self, number: u64, from: impl Read + Send + 'static) -> io::Result<()> {
        let to = self.sender();
        let thread = std::thread::Builder::new().name("results".to_owned());
        thread.spawn(move || {
            read_lines(from, MAX_RESULT, |line| to.send(Event::Result(number, line)).is_ok());
            let _ = to.send(Event::ResultsEnd(number));
        })?;
        Ok(())
    }

    /// Reads what process `number` prints until there is no more.
    pub(crate) fn read_printed(&self, number: u64, from: impl Read + Send + 'static) -> io::Result<()> {
        let to = self.sender();
        let thread = std::thread::Builder::new().name("printed".to_owned());
        thread.spawn(move || {
            read_lines(from, MAX_PRINTED, |line| to.send(Event::Printed(number, line)).is_ok());
            let _ = to.send(Event::PrintedEnd(number));
        })?;
        Ok(())
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.signals.close();
    }
}

/// Hands over lines with their newlines; what is longer than `most` bytes, or ends without one, comes without.
fn read_lines(from: impl Read, most: u64, mut each: impl FnMut(Vec<u8>) -> bool) {
    let mut reader = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if !each(line) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_ends_and_long_ones_come_in_parts() {
        let mut lines = Vec::new();
        read_lines(&b"ab\n\nabcdefg\nx"[..], 4, |line| {
            lines.push(String::from_utf8(line).unwrap());
            true
        });
        assert_eq!(lines, ["ab\n", "\n", "abcd", "efg\n", "x"]);
    }

    #[test]
    fn reading_ends_when_nobody_listens() {
        let mut count = 0;
        read_lines(&b"a\nb\nc\n"[..], 4, |_| {
            count += 1;
            false
        });
        assert_eq!(count, 1);
    }
}
