//! What all devices of this process share: the slots that they are in, and the handles that were given out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use crate::aicore::Program;
use crate::aicpu::{Binary, Function};
use crate::chip::Chip;
use crate::device::{Device, NOBODY};
use crate::group::Communicator;
use crate::handle::Table;
use crate::report::ViolationKind;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::sync::lock;

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) settings: Settings,
    pub(crate) start: Instant,
    slots: Mutex<Vec<Slot>>,
    /// Takes what belongs to no device.
    pub(crate) nobody: Arc<Device>,
    pub(crate) streams: Table<Stream>,
    pub(crate) programs: Table<Program>,
    pub(crate) binaries: Table<Binary>,
    pub(crate) functions: Table<Function>,
    pub(crate) communicators: Table<Communicator>,
    /// Level and event switch of each module that was set.
    log_levels: Mutex<BTreeMap<i32, (i32, i32)>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Made when it is first asked for.
    device: Option<Arc<Device>>,
    leased: bool,
}

/// The one of this process.
pub(crate) fn process() -> &'static Process {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    let mut first = false;
    let process = PROCESS.get_or_init(|| {
        first = true;
        Process::new(Settings::from_environment())
    });
    if first {
        crate::exit::at_exit();
    }
    process
}

impl Process {
    fn new(settings: Settings) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(usize::from(settings.devices), Slot::default);
        let nobody = Device::new(NOBODY, settings.chip, &settings, false);
        for complaint in &settings.complaints {
            nobody.report(ViolationKind::Setting, complaint.clone());
        }
        Self {
            settings,
            start: Instant::now(),
            slots: Mutex::new(slots),
            nobody,
            streams: Table::default(),
            programs: Table::default(),
            binaries: Table::default(),
            functions: Table::default(),
            communicators: Table::default(),
            log_levels: Mutex::default(),
        }
    }

    /// The device with a number, if there is such a one.
    pub(crate) fn device(&self, id: i32) -> Option<Arc<Device>> {
        let mut slots = lock(&self.slots);
        let slot = slots.get_mut(usize::try_from(id).ok()?)?;
        let made = || Device::new(id, self.settings.chip, &self.settings, false);
        Some(Arc::clone(slot.device.get_or_insert_with(made)))
    }

    /// The devices that were used, and the one that stands for none.
    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        let slots = lock(&self.slots);
        slots.iter().filter_map(|slot| slot.device.clone()).chain([Arc::clone(&self.nobody)]).collect()
    }

    /// A device that nobody has used, put into a slot that nobody has leased.
    pub(crate) fn lease(&self, chip: Chip) -> Option<Arc<Device>> {
        let mut slots = lock(&self.slots);
        let index = slots.iter().position(|slot| !slot.leased)?;
        let id = i32::try_from(index).ok()?;
        crate::exit::remove_programs(id);
        let device = Device::new(id, chip, &self.settings, true);
        slots[index] = Slot { device: Some(Arc::clone(&device)), leased: true };
        Some(device)
    }

    /// The slot gets a new device when it is next asked for.
    pub(crate) fn give_back(&self, device: &Arc<Device>) {
        let mut slots = lock(&self.slots);
        if let Some(slot) = usize::try_from(device.id).ok().and_then(|index| slots.get_mut(index)) {
            *slot = Slot::default();
        }
    }

    pub(crate) fn set_log_level(&self, module: i32, level: i32, event: i32) {
        lock(&self.log_levels).insert(module, (level, event));
    }

    /// Level and event switch that a module was last set to.
    pub(crate) fn log_level(&self, module: i32) -> Option<(i32, i32)> {
        lock(&self.log_levels).get(&module).copied()
    }

    /// The device whose memory an address is in, allocated or not.
    pub(crate) fn owner_of(&self, address: u64) -> Option<Arc<Device>> {
        lock(&self.slots)
            .iter()
            .filter_map(|slot| slot.device.clone())
            .find(|device| device.memory.owns(address))
    }
}
