//! One suite over every backend, chip and runtime: what a worker promises does not depend on what executes it.
//!
//! Tests are named `<platform>/<runtime>/<case>`. A case that a backend cannot have is listed in
//! [`backend::UNSUPPORTED`] and not run; one that is known to fail there is in [`backend::EXPECTED_FAILURES`], where
//! passing fails the test, so that the list stays true.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod backend;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod programs;
mod random;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

use backend::{Backend, EXPECTED_FAILURES, UNSUPPORTED};

fn main() {
    let arguments = Arguments::from_args();
    let trials = Backend::all().into_iter().flat_map(|backend| {
        cases::ALL.iter().map(move |&(case, body)| {
            let listed = |list: &[(&str, &str)]| {
                list.iter().any(|&(name, prefix)| name == case && backend.name().starts_with(prefix))
            };
            let (unsupported, must_fail) = (listed(UNSUPPORTED), listed(EXPECTED_FAILURES));
            let name = format!("{}/{case}", backend.name());
            Trial::test(name, move || judge(backend, body, must_fail)).with_ignored_flag(unsupported)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

fn judge(backend: Backend, body: fn(&Backend), must_fail: bool) -> Result<(), Failed> {
    let (ended, end) = mpsc::channel();
    let case = move || drop(ended.send(catch_unwind(AssertUnwindSafe(|| body(&backend)))));
    std::thread::Builder::new().spawn(case)?;
    let outcome = match end.recv_timeout(LIMIT) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => Err(text(panic.as_ref())),
        Err(_) => Err(format!("it has not ended after {LIMIT:?}")),
    };
    match (outcome, must_fail) {
        (Ok(()), true) => Err("it passes now: take it off the list of expected failures".into()),
        (Err(_), true) | (Ok(()), false) => Ok(()),
        (Err(text), false) => Err(text.into()),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
