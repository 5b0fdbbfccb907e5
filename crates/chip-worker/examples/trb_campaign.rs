//! Random tensor programs, as many as there is time for; tells the first one that goes wrong, made small.
//!
//! `cargo run --release -p chip-worker --example trb_campaign -- --seeds 0..20000`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for those who work on this project")]

#[path = "../tests/trb_program/mod.rs"]
mod trb_program;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use trb_program::{check_seed, generate, minimise};

/// The seeds asked for, or a few hundred; `None` for arguments that are not understood.
fn seeds() -> Option<std::ops::Range<u64>> {
    let mut args = std::env::args().skip(1);
    match args.next() {
        None => return Some(0..300),
        Some(option) if option == "--seeds" => {}
        Some(_) => return None,
    }
    let text = args.next()?;
    let (first, end) = text.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

/// Tells which seed takes suspiciously long; a hang would not be told otherwise.
fn watch(current: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        loop {
            let before = current.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(40));
            if current.load(Ordering::Relaxed) == before {
                println!("seed {before} has been running for 40 seconds");
            }
        }
    });
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let Some(seeds) = seeds() else {
        println!("usage: trb_campaign [--seeds A..B]");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let current = Arc::new(AtomicU64::new(seeds.start));
    watch(Arc::clone(&current));
    let mut tasks = 0;
    for seed in seeds.clone() {
        current.store(seed, Ordering::Relaxed);
        match check_seed(seed) {
            Ok(count) => tasks += count,
            Err(problem) => {
                println!("{problem}\nmaking it smaller");
                let (plan, problem) = minimise::minimise(&generate::program(seed), 20);
                println!("{problem}\n{}", plan.program);
                return ExitCode::FAILURE;
            }
        }
        if (seed + 1 - seeds.start).is_multiple_of(1000) {
            println!("{} seeds, {tasks} tasks, {:.0?}", seed + 1 - seeds.start, started.elapsed());
        }
    }
    println!("seeds {seeds:?}: all right, {tasks} tasks, {:.1?}", started.elapsed());
    ExitCode::SUCCESS
}
