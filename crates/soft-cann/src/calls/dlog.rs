//! libunified_dlog.so.

use crate::border::exported;
use crate::context;
use crate::process::process;

exported! {
    /// Sets the level of a module, -1 for all.
    Log fn dlog_setlevel(module: i32, level: i32, event: i32) -> i32, on context::nearest() => {
        process().set_log_level(module, level, event);
        Ok(())
    }
}
