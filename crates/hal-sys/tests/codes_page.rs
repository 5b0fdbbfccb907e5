//! The page of error codes is that of the table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::fmt::Write as _;
use std::path::Path;

use hal_sys::{Code, Family};

const PATH: &str = "../../docs/cann-error-codes.md";

/// Set to write the page instead of comparing it.
const UPDATE: &str = "HAL_SYS_UPDATE_PAGE";

const HEAD: &str = "\
# Error codes of CANN, and what each asks for

What a call of CANN returns is part of every error text on hardware: number, name, meaning, and what to do. This page
is made from the same table (`HAL_SYS_UPDATE_PAGE=1 cargo test -p hal-sys --test codes_page`); a test compares. Numbers
that are not here have the meaning of their class: 1xxxxx is a wrong argument or a call at a wrong time, 2xxxxx a
resource that is lacking, 5xxxxx a failure of CANN or of the device.

After a code with a * the device is in doubt: its runs are ended, its streams are given up or it is reset, and the
worker says whether it can go on.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (family, title) in [
        (Family::Acl, "Of rt*, rts* and acl* calls"),
        (Family::Driver, "Of hal* calls, which go to the driver"),
        (Family::Hccl, "Of Hccl* calls, for communication between devices"),
    ] {
        write!(page, "\n## {title}\n\n| code | name | meaning | what to do |\n|---|---|---|---|\n").unwrap();
        for code in Code::known().filter(|code| code.family() == family) {
            let star = if code.suspect() { " *" } else { "" };
            let (number, name) = (code.number(), code.name().unwrap());
            let (meaning, action) = (cell(code.meaning()), cell(code.next_action()));
            writeln!(page, "| {number}{star} | `{name}` | {meaning} | {action} |").unwrap();
        }
    }
    page
}

/// A text that does not end its cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_of_error_codes_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let page = page();
    assert_eq!(page.lines().filter(|line| line.contains("| `")).count(), Code::known().count());
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == page, "docs/cann-error-codes.md is not up to date; set {UPDATE}=1 to write it anew");
}
