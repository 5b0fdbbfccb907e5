//! Where the log records of this library go: to the client's sink if it chose one, else to `libsimpler_log.so` if
//! that is loaded, else nowhere.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Once, PoisonError, RwLock};

use host_library::{ErrorKind, LogSink};
use log::kv::Key;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::Failure;

/// Levels of the contract: 0 debug, 1 info, 2 warn, 3 error, 4 none (`spec/public-abi.md`, section A.7).
const LEVEL_NONE: c_int = 4;
/// Verbosity of our own information: that which is printed unless the client wants less.
const INFO_VERBOSITY: c_int = 5;
/// Verbosity of the most important information.
const MAX_VERBOSITY: c_int = 9;

static ROUTER: Router = Router { target: RwLock::new(Target::Nowhere) };

thread_local! {
    /// Whether the client's sink is being called on this thread. What it causes to be logged is dropped.
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

struct Router {
    target: RwLock<Target>,
}

#[derive(Clone, Copy)]
enum Target {
    Nowhere,
    Library(LogLibrary),
    Sink(Sink),
}

#[derive(Clone, Copy)]
struct Sink {
    function: LogSink,
    user: *mut c_void,
    min_level: c_int,
}

// SAFETY: the client that set the sink promised that any thread may call it with this pointer.
unsafe impl Send for Target {}
// SAFETY: as above; the pointer itself is never followed here.
unsafe impl Sync for Target {}

/// The functions of `libsimpler_log.so`, which clients load for the whole process and never unload.
#[derive(Clone, Copy)]
struct LogLibrary {
    error: Plain,
    warn: Plain,
    debug: Plain,
    info: WithVerbosity,
    /// Ours only: whether a record would be printed.
    enabled: Option<Enabled>,
}

type Plain = unsafe extern "C" fn(*const c_char, *const c_char, ...);
type WithVerbosity = unsafe extern "C" fn(*const c_char, c_int, *const c_char, ...);
type Enabled = unsafe extern "C" fn(c_int, c_int) -> c_int;

/// Makes records of this library go somewhere; cheap to repeat.
pub(crate) fn start() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Fails where this crate is linked into a program that has a logger: then that one gets the records.
        let _ = log::set_logger(&ROUTER);
    });
    let mut target = ROUTER.target.write().unwrap_or_else(PoisonError::into_inner);
    if matches!(*target, Target::Nowhere) {
        *target = LogLibrary::find().map_or(Target::Nowhere, Target::Library);
        apply_max_level(*target);
    }
}

/// Sends records from `min_level` on to the client's function; without one, as before any was set.
///
/// When this returns, the earlier sink is not being called any more.
pub(crate) fn set_sink(
    function: Option<LogSink>,
    user: *mut c_void,
    min_level: c_int,
) -> Result<(), Failure> {
    if !(0..=LEVEL_NONE).contains(&min_level) {
        let text = format!("log level {min_level} is out of range: 0 debug, 1 info, 2 warn, 3 error, 4 none");
        return Err(Failure::invalid(text));
    }
    if IN_SINK.get() {
        // It would wait for itself.
        return Err(Failure::new(ErrorKind::Busy, "a log sink cannot be changed from inside of one"));
    }
    start();
    let mut target = ROUTER.target.write().unwrap_or_else(PoisonError::into_inner);
    *target = match function {
        Some(function) => Target::Sink(Sink { function, user, min_level }),
        None => LogLibrary::find().map_or(Target::Nowhere, Target::Library),
    };
    apply_max_level(*target);
    Ok(())
}

/// Logs that an exported function fails.
pub(crate) fn failure(name: &'static str, failure: &Failure) {
    log::error!(target: name, "{}", failure.text);
}

fn apply_max_level(target: Target) {
    log::set_max_level(match target {
        Target::Nowhere => LevelFilter::Off,
        // It may change its mind at any time.
        Target::Library(_) => LevelFilter::Debug,
        Target::Sink(sink) => match sink.min_level {
            0 => LevelFilter::Debug,
            1 => LevelFilter::Info,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Error,
            _ => LevelFilter::Off,
        },
    });
}

fn contract_level(level: Level) -> c_int {
    match level {
        Level::Error => 3,
        Level::Warn => 2,
        Level::Info => 1,
        Level::Debug | Level::Trace => 0,
    }
}

impl Log for Router {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if IN_SINK.get() {
            // The lock below is held on this thread already.
            return false;
        }
        let level = contract_level(metadata.level());
        match *self.target.read().unwrap_or_else(PoisonError::into_inner) {
            Target::Nowhere => false,
            Target::Library(library) => library.is_enabled(level),
            Target::Sink(sink) => level >= sink.min_level,
        }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let value = |key: &str| record.key_values().get(Key::from(key));
        let origin = value("function").map_or_else(|| record.target().to_owned(), |name| name.to_string());
        let text = record.args().to_string();
        // Those who write the origin in front of the text would have it twice.
        let text = text.strip_prefix(&format!("{origin}: ")).unwrap_or(&text);
        let (origin, message) = (c_text(&origin), c_text(text));
        let verbosity = value("verbosity").and_then(|value| c_int::try_from(value.to_i64()?).ok());
        let level = contract_level(record.level());
        let target = self.target.read().unwrap_or_else(PoisonError::into_inner);
        match *target {
            Target::Nowhere => {}
            Target::Library(library) => {
                library.write(level, verbosity.unwrap_or(INFO_VERBOSITY), &origin, &message);
            }
            Target::Sink(sink) => {
                IN_SINK.set(true);
                // SAFETY: the client set this function with this pointer; both texts live until it returns.
                unsafe { (sink.function)(sink.user, level, origin.as_ptr(), message.as_ptr()) };
                IN_SINK.set(false);
            }
        }
    }

    fn flush(&self) {}
}

impl LogLibrary {
    fn find() -> Option<Self> {
        // SAFETY: these symbols have these signatures (spec/public-abi.md, section A.7), also in libraries of
        // others, and what serves the whole process is never unloaded.
        unsafe {
            Some(Self {
                error: std::mem::transmute::<usize, Plain>(global(c"unified_log_error")?),
                warn: std::mem::transmute::<usize, Plain>(global(c"unified_log_warn")?),
                debug: std::mem::transmute::<usize, Plain>(global(c"unified_log_debug")?),
                info: std::mem::transmute::<usize, WithVerbosity>(global(c"unified_log_info_v")?),
                enabled: global(c"simpler_rs_log_enabled")
                    .map(|address| std::mem::transmute::<usize, Enabled>(address)),
            })
        }
    }

    fn is_enabled(&self, level: c_int) -> bool {
        // The verbosity is not known here; the library looks at it again.
        // SAFETY: two numbers are all it takes.
        self.enabled.is_none_or(|enabled| unsafe { enabled(level, MAX_VERBOSITY) } != 0)
    }

    fn write(&self, level: c_int, verbosity: c_int, origin: &CStr, message: &CStr) {
        let (origin, message, format) = (origin.as_ptr(), message.as_ptr(), c"%s".as_ptr());
        // SAFETY: the format takes one text, which is given.
        unsafe {
            match level {
                3 => (self.error)(origin, format, message),
                2 => (self.warn)(origin, format, message),
                1 => (self.info)(origin, verbosity, format, message),
                _ => (self.debug)(origin, format, message),
            }
        }
    }
}

/// A symbol that serves the whole process.
fn global(name: &CStr) -> Option<usize> {
    // SAFETY: a valid name; RTLD_DEFAULT is always there.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then(|| address.addr())
}

fn c_text(text: &str) -> CString {
    // A NUL inside would cut the rest off.
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
