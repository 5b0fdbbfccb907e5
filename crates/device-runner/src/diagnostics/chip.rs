/// How the chips differ in what they record (`spec/device-abi.md`, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the arch crates build it; a new difference must be given by both"
)]
pub struct Diagnostics {
    /// Whether submits are recorded, for the graph of dependencies.
    pub has_dep_gen: bool,
    /// Whether the record of a task names the tasks that wait for it.
    pub has_fanout: bool,
    /// What is recorded of a submit.
    pub submits: SubmitRecords,
    /// Whether schedulers record that they found nothing to do.
    pub has_idle_phases: bool,
    /// What can be counted, by event type.
    pub pmu: &'static [PmuEvents],
}

/// What is recorded of a submit at the highest swimlane level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the two chips")]
pub enum SubmitRecords {
    /// The whole of it.
    Whole,
    /// Its steps.
    Steps,
}

/// What is counted when an event type is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct PmuEvents {
    /// Its number in the contract.
    pub event_type: u32,
    /// By hardware counter.
    pub counters: &'static [PmuCounter],
}

/// One hardware counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct PmuCounter {
    /// The event it counts; 0 for none.
    pub event: u32,
    /// Its column in the file; empty for none.
    pub name: &'static str,
}

impl Diagnostics {
    /// The event type that is taken when a number names none.
    pub const DEFAULT_EVENT_TYPE: u32 = 2;

    /// The events of a type.
    #[must_use]
    pub fn events(&self, event_type: u32) -> Option<&'static PmuEvents> {
        self.pmu.iter().find(|events| events.event_type == event_type)
    }
}
