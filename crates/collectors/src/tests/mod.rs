//! Collectors of both chips, on memory that a device has written as section 6 of the contract says.

mod dump;
mod harm;
mod pmu;
mod scopes;
mod submits;
mod swimlane;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device_runner::testing::{export, recorded, recorder};
use device_runner::{Arch, Recorder};
use run_records::Run;
use task_interface::CallConfig;
use task_interface::records::{ReadyQueues, UnitLayout};

use crate::collection::{Collection, RecordPlaces};
use crate::testing::{Bytes, DeviceUnit, Plain};

static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A chip, its memory with one collector on, and what comes of it.
struct Bench {
    chip: &'static dyn Arch,
    scratch: tempfile::TempDir,
    recorder: Arc<Recorder>,
    memory: Plain,
    collection: Collection<Plain>,
}

fn config(folder: &Path, change: impl FnOnce(&mut CallConfig)) -> CallConfig {
    let mut config = CallConfig { block_dim: 2, aicpu_thread_num: 3, ..CallConfig::default() };
    change(&mut config);
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

fn all(config: &mut CallConfig) {
    config.enable_l2_swimlane = 4;
    config.enable_dump_tensor = 1;
    config.enable_pmu = 2;
    config.enable_dep_gen = 1;
    config.enable_scope_stats = 1;
}

impl Bench {
    fn new(chip: &'static dyn Arch, copies: bool, change: impl FnOnce(&mut CallConfig)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let recorder = recorder(&config(scratch.path(), change), chip).unwrap().unwrap();
        let memory = Plain { copies, ..Plain::default() };
        let collection = Collection::open(memory.clone(), Some(&recorder)).unwrap();
        Self { chip, scratch, recorder, memory, collection }
    }

    fn places(&self) -> RecordPlaces {
        *self.collection.places()
    }

    /// The only block that there is.
    fn device<R>(&self, act: impl FnOnce(&mut Bytes) -> R) -> R {
        let world = Arc::clone(&self.memory.worlds.lock().unwrap()[0]);
        act(&mut world.lock().unwrap().memory)
    }

    /// The end of the run: its files, and how many records were lost.
    fn end(self) -> (Run, u64, tempfile::TempDir) {
        self.collection.finish().unwrap();
        for world in &*self.memory.worlds.lock().unwrap() {
            assert!(world.lock().unwrap().memory.is_released);
        }
        let lost = recorded(&self.recorder).lost;
        export(&self.recorder).unwrap();
        (Run::read(self.scratch.path()).unwrap(), lost, self.scratch)
    }
}

/// Runs a test on both chips, with the host's ways to see memory.
fn everywhere(test: impl Fn(&'static dyn Arch, bool)) {
    for chip in CHIPS {
        for copies in [false, true] {
            test(chip, copies);
        }
    }
}

/// A unit whose states follow something at `states`.
fn unit(queues: ReadyQueues, layout: UnitLayout, states: usize, index: u32) -> DeviceUnit {
    let state = states + index as usize * layout.bytes;
    DeviceUnit { queues, layout, state, index, thread: 0 }
}

fn push(memory: &mut Bytes, unit: &DeviceUnit, record: &[u8]) {
    unit.push(memory, record, &mut |memory, entry| entry.show(memory));
}

fn flush(memory: &mut Bytes, unit: &DeviceUnit) {
    let lost = unit.flush(memory, &mut |memory, entry| entry.show(memory));
    assert!(lost.is_empty());
}

/// A record of a kind, filled up to its size on the chip.
fn sized(head: &[u8], bytes: usize) -> Vec<u8> {
    let mut record = head.to_vec();
    record.resize(bytes, 0);
    record
}

#[test]
fn nothing_is_made_for_a_run_that_records_nothing() {
    let memory = Plain::default();
    let mut collection = Collection::open(memory.clone(), None).unwrap();
    assert_eq!(*collection.places(), RecordPlaces::default());
    collection.start().unwrap();
    collection.finish().unwrap();
    assert!(memory.worlds.lock().unwrap().is_empty());
}
