//! Loading and unloading leaves nothing behind. One test only: it looks at the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::collections::VecDeque;
use std::ptr;

use object_loader::{SharedObject, call::call_entry};

const ALIVE: usize = 8;
const ROUNDS: usize = 2000;
/// Far below what one leaked page per round would cost.
const RESIDENT_SLACK_KIB: usize = 2048;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Loads alternating objects, always with a few older ones alive, and checks each at its first and last use.
fn churn(objects: &[Vec<u8>], rounds: usize) {
    let check = |(index, object): &(usize, SharedObject)| {
        let f = object.symbol_address("value").unwrap();
        // SAFETY: `value` has this signature and ignores its arguments.
        let value = unsafe { call_entry(f, ptr::null_mut(), ptr::null()) }.unwrap();
        assert_eq!(usize::try_from(value), Ok(*index));
    };
    let mut alive = VecDeque::new();
    for round in 0..rounds {
        let index = round % objects.len();
        alive.push_back((index, SharedObject::load("churn", &objects[index]).unwrap()));
        alive.back().iter().for_each(|object| check(object));
        if alive.len() > ALIVE {
            alive.pop_front().iter().for_each(check);
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    let source = |value: usize| {
        format!(
            "int data[5000] = {{{value}}};
             extern \"C\" int value(void *, const void *) {{ return data[0]; }}"
        )
    };
    let objects: Vec<_> = (0..3).map(|value| common::shared(&source(value))).collect();
    churn(&objects, 200);
    let (descriptors, mappings_before, resident) = (open_descriptors(), mappings(), resident_kib());
    churn(&objects, ROUNDS);
    assert_eq!(open_descriptors(), descriptors);
    assert_eq!(mappings(), mappings_before);
    let growth = resident_kib().saturating_sub(resident);
    assert!(growth < RESIDENT_SLACK_KIB, "{growth} KiB more resident after {ROUNDS} rounds");

    let alive: Vec<_> = (0..50).map(|_| SharedObject::load("alive", &objects[0]).unwrap()).collect();
    assert_eq!(open_descriptors(), descriptors, "a loaded object holds no descriptor");
    drop(alive);
}
