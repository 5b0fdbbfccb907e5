//! Messages go to standard error, where those of other device programs of a simulation go
//! (`spec/device-abi.md`, section 1.4).

use std::io::Write as _;

use log::{LevelFilter, Log, Metadata, Record};

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // One write, so that lines of many threads stay whole. There is nobody to tell if it fails.
            let line = format!("[{}] {}: {}\n", record.level(), record.target(), record.args());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Once per loaded program.
pub(super) fn install() {
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
