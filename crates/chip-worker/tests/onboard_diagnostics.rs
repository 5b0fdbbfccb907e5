//! What runs on hardware record, with a stand-in for CANN below them, held against the rules that records keep.
#![cfg(feature = "onboard")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

#[path = "conformance/backend.rs"]
#[allow(dead_code, reason = "what this needs of the suite")]
mod backend;
mod common;
#[path = "conformance/programs.rs"]
#[allow(dead_code, reason = "likewise")]
mod programs;

use std::fs;
use std::path::Path;

use backend::Backend;
use chip_worker::{CallConfig, Platform, RuntimeKind};
use programs::{Call, steps};
use run_records::{Run, Swimlane, dump};
use run_report::{Facts, check};

fn backends() -> impl Iterator<Item = Backend> {
    let platforms = [Platform::A2a3, Platform::A5].into_iter();
    platforms.flat_map(|platform| {
        RuntimeKind::ALL.map(|runtime| Backend { platform, runtime, has_programs: true })
    })
}

/// A run of so many tasks in a chain.
fn call(tasks: u64, folder: &Path, collectors: impl FnOnce(&mut CallConfig)) -> Call {
    let mut call = Call { tasks, ..Call::default() };
    collectors(&mut call.config);
    call.config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    call
}

/// What a run has left, which has to keep all rules.
fn read(folder: &Path) -> Run {
    let run = Run::read(folder).unwrap();
    let dump_bytes = fs::metadata(folder.join(dump::FOLDER).join(dump::BYTES)).ok().map(|file| file.len());
    let findings = check(&run, &Facts { dump_bytes, ..Facts::default() });
    assert!(findings.is_empty(), "{findings:#?}");
    run
}

/// That tasks ran behind each other, even ones on AIV cores and odd ones on AIC cores.
fn check_chain(swimlane: &Swimlane, tasks: usize, level: u32, backend: &Backend) {
    let what = backend.name();
    // Where the graph is built while it runs, the next task may come when this one has ended.
    let may_come_late = backend.runtime == RuntimeKind::TensormapAndRingbuffer;
    assert_eq!((swimlane.level, swimlane.tasks.len()), (level, tasks), "{what}");
    let mut records = swimlane.tasks.clone();
    records.sort_by_key(|record| record.task_id & 0xffff_ffff);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.task_id & 0xffff_ffff, index as u64, "{what}");
        assert_eq!(record.func_id, u32::from(index % 2 == 1), "{what}");
        assert!(record.start <= record.end, "{what}: {record:?}");
        if level >= 2 {
            assert!(record.dispatch <= record.start && record.end <= record.finish, "{what}: {record:?}");
        }
        if let Some(fanout) = &record.fanout {
            let next = records.get(index + 1).map(|next| next.task_id);
            let is_late = may_come_late && fanout.is_empty();
            assert!(is_late || fanout.iter().copied().eq(next), "{what}: {record:?}");
        }
    }
    assert!(records.windows(2).all(|pair| pair[0].end <= pair[1].start), "{what}");
}

#[test]
fn swimlanes_come_from_the_device_and_go_with_the_run() {
    for backend in backends() {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        for (round, level) in [2, 0, 1, 4].into_iter().enumerate() {
            let scratch = tempfile::tempdir().unwrap();
            let call = call(7, scratch.path(), |config| config.set_l2_swimlane(level).map(drop).unwrap());
            let outcome = call.run(&worker, &handle).unwrap();
            let what = format!("{} {round}", backend.name());
            assert_eq!(outcome.recorded.lost, 0, "{what}");
            if level == 0 {
                assert_eq!(outcome.recorded.records, 0, "{what}");
                assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{what}");
                continue;
            }
            let swimlane = read(scratch.path()).swimlane.unwrap();
            check_chain(&swimlane, 7, u32::try_from(level).unwrap(), &backend);
            let has_fanout = backend.platform == Platform::A5 && level >= 2;
            assert!(swimlane.tasks.iter().all(|task| task.fanout.is_some() == has_fanout), "{what}");
        }
        drop(handle);
        place.close(worker);
    }
}

#[test]
fn many_buffers_of_records_lose_nothing() {
    for backend in backends() {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let mut call = call(4_500, scratch.path(), |config| config.set_l2_swimlane(2).map(drop).unwrap());
        call.config.block_dim = 1;
        let outcome = call.run(&worker, &handle).unwrap();
        assert_eq!(outcome.recorded.lost, 0, "{}", backend.name());
        check_chain(&read(scratch.path()).swimlane.unwrap(), 4_500, 2, &backend);
        drop(handle);
        place.close(worker);
    }
}

/// Programs of others may go on to write there in launches that do not record.
#[test]
fn what_a_swimlane_was_written_to_stays_until_the_next_one() {
    for backend in backends() {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let [without, first, kept, second] = [0, 2, 0, 2].map(|level| {
            let scratch = tempfile::tempdir().unwrap();
            let call = call(7, scratch.path(), |config| config.set_l2_swimlane(level).map(drop).unwrap());
            call.run(&worker, &handle).unwrap();
            worker.report().device.bytes
        });
        let what = format!("{}: {without}, {first}, {kept}, {second}", backend.name());
        assert!(first > without && kept == first, "{what}");
        // Not both; how many buffers there are depends on who was quicker.
        assert!(second - without < 2 * (first - without), "{what}");
        drop(handle);
        place.close(worker);
    }
}
