//! What every exported function goes through on its way in and out.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use host_library::ErrorKind;

use crate::context::Context;
use crate::error::Failure;
use crate::handles::{BadHandle, Handles};
use crate::logging;

/// All contexts of this library.
static CONTEXTS: LazyLock<Handles<Context>> = LazyLock::new(Handles::default);

thread_local! {
    static LAST_OF_THREAD: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

pub(crate) fn contexts() -> &'static Handles<Context> {
    &CONTEXTS
}

/// Runs the body of the exported function `name`, which has no context.
///
/// A failure is kept as the last one of the thread, is logged, and is turned into a result by `failed`.
pub(crate) fn enter<T>(
    name: &'static str,
    failed: impl FnOnce(&Failure) -> T,
    body: impl FnOnce() -> Result<T, Failure>,
) -> T {
    conclude(name, None, failed, catch(body))
}

/// Runs the body of the exported function `name` with the context that `handle` stands for.
///
/// A failure is also kept as the last one of the context.
pub(crate) fn enter_context<T>(
    name: &'static str,
    handle: *mut c_void,
    failed: impl FnOnce(&Failure) -> T,
    body: impl FnOnce(&Context) -> Result<T, Failure>,
) -> T {
    match context(handle) {
        Ok(context) => {
            let result = catch(|| body(&context));
            conclude(name, Some(&context), failed, result)
        }
        Err(failure) => conclude(name, None, failed, Err(failure)),
    }
}

/// The context of a handle.
pub(crate) fn context(handle: *mut c_void) -> Result<Arc<Context>, Failure> {
    CONTEXTS.get(handle).map_err(bad_handle)
}

pub(crate) fn bad_handle(why: BadHandle) -> Failure {
    let text = match why {
        BadHandle::Null => "the context is null; make one with create_device_context",
        BadHandle::Foreign => {
            "this is not a context of this library; make one with its create_device_context"
        }
        BadHandle::Destroyed => "the context was destroyed; make another one with create_device_context",
    };
    Failure::new(ErrorKind::InvalidHandle, text)
}

/// The last failure on the calling thread.
pub(crate) fn last_of_thread() -> Option<Failure> {
    LAST_OF_THREAD.try_with(|last| last.borrow().clone()).ok().flatten()
}

fn catch<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // Whatever the body has locked or half done is the business of what it calls, none of which relies on not
    // being left by a panic.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = format!("internal error, please report it: {}", text_of_panic(panic.as_ref()));
        Err(Failure::new(ErrorKind::Internal, text))
    })
}

fn text_of_panic(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without text")
}

fn conclude<T>(
    name: &'static str,
    context: Option<&Context>,
    failed: impl FnOnce(&Failure) -> T,
    result: Result<T, Failure>,
) -> T {
    match result {
        Ok(value) => value,
        Err(failure) => {
            logging::failure(name, &failure);
            let value = failed(&failure);
            if let Some(context) = context {
                context.set_last_failure(failure.clone());
            }
            // At the end of a thread there is nobody left to ask.
            let _ = LAST_OF_THREAD.try_with(|last| last.replace(Some(failure)));
            value
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_is_kept() {
        for text in ["plain", "formatted 1"] {
            let body = || if text == "plain" { panic!("plain") } else { panic!("formatted {}", 1) };
            assert_eq!(enter("test", |failure| failure.code, body), -1);
            let last = last_of_thread().unwrap();
            assert_eq!(last.kind, ErrorKind::Internal);
            assert!(last.text.ends_with(text), "{}", last.text);
        }
    }

    #[test]
    fn threads_do_not_see_each_other_s_failures() {
        let fail = || Err(Failure::invalid("here"));
        enter("test", |_| (), fail);
        let elsewhere = std::thread::spawn(|| last_of_thread().is_none()).join().unwrap();
        assert!(elsewhere);
        assert_eq!(last_of_thread().unwrap().text, "here");
        // Success leaves the last failure for whoever asks later.
        enter("test", |_| (), || Ok(()));
        assert_eq!(last_of_thread().unwrap().text, "here");
    }
}
