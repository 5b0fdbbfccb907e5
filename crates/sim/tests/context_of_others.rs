//! A context library that is not ours is in the process before the first kernel.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;
mod context;

use std::sync::Mutex;

static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl log::Log for Collector {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            RECORDS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn the_user_is_told_once_what_to_do_about_it() {
    log::set_logger(&Collector).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let foreign = context::compiled(
        "foreign",
        r#"#include <cstddef>
        #include <cstdint>
        extern "C" uint32_t pto_sim_get_subblock_id() { return 0; }
        extern "C" void *pto_sim_get_pipe_shared_state(uint64_t, size_t) { return nullptr; }"#,
    );
    context::load(&foreign, libc::RTLD_GLOBAL);
    for _ in 0..2 {
        let error = context::meet("of_others").unwrap_err();
        assert!(format!("{error:?}").contains("no memory of the cluster"), "{error:?}");
    }
    let records = RECORDS.lock().unwrap();
    let about: Vec<_> = records.iter().filter(|text| text.contains("libcpu_sim_context.so")).collect();
    assert_eq!(about.len(), 1, "{records:?}");
    assert!(about[0].starts_with(foreign.to_str().unwrap()), "{about:?}");
    assert!(about[0].contains("cargo xtask build-all"), "{about:?}");
}
