use std::path::PathBuf;

use task_interface::{CallConfig, CallConfigError};

use super::chip::{Diagnostics, PmuEvents};
use crate::error::RunnerError;

/// Chooses other counters than the call configuration does; it does not switch them on.
const EVENT_TYPE_VARIABLE: &str = "SIMPLER_PMU_EVENT_TYPE";

/// Which collectors are on, and where their files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// 1 to 4.
    pub(super) swimlane: Option<u32>,
    pub(super) dump: bool,
    pub(super) pmu: Option<&'static PmuEvents>,
    pub(super) dep_gen: bool,
    pub(super) scope_stats: bool,
    /// The folder of all files.
    pub(super) folder: PathBuf,
}

impl Request {
    /// What a valid configuration asks of a chip; `None` if nothing is to be recorded.
    pub(crate) fn new(config: &CallConfig, chip: &Diagnostics) -> Result<Option<Self>, CallConfigError> {
        if !config.any_diagnostics() {
            return Ok(None);
        }
        let variable = std::env::var(EVENT_TYPE_VARIABLE).ok();
        let request = Self {
            swimlane: u32::try_from(config.enable_l2_swimlane).ok().filter(|&level| level > 0),
            dump: config.enable_dump_tensor != 0,
            pmu: u32::try_from(config.enable_pmu)
                .ok()
                .filter(|&event_type| event_type > 0)
                .and_then(|event_type| choose(chip, event_type, variable.as_deref())),
            // A chip without it ignores the flag.
            dep_gen: config.enable_dep_gen != 0 && chip.has_dep_gen,
            scope_stats: config.enable_scope_stats != 0,
            folder: config.output_prefix()?.into(),
        };
        Ok(Some(request).filter(Self::is_any))
    }

    /// What device programs record of it, on a device that takes it over: all of it.
    ///
    /// # Errors
    /// [`RunnerError::Unavailable`] on a device that takes nothing over.
    pub(crate) fn by_device_programs(self, takes_records: bool) -> Result<Self, RunnerError> {
        if takes_records {
            return Ok(self);
        }
        Err(RunnerError::Unavailable {
            what: "a diagnostics collector",
            reason: "this device takes over nothing that its programs record; clear the enable_* fields of the call \
                     configuration",
        })
    }

    fn is_any(&self) -> bool {
        self.swimlane.is_some() || self.dump || self.pmu.is_some() || self.dep_gen || self.scope_stats
    }
}

/// The events of a type, or of that which the environment names; those of the default type if there is none such.
fn choose(chip: &Diagnostics, event_type: u32, variable: Option<&str>) -> Option<&'static PmuEvents> {
    if let Some(text) = variable {
        match chip.events(leading_number(text)) {
            Some(events) => return Some(events),
            None => log::warn!(
                "{EVENT_TYPE_VARIABLE} is \"{text}\", which is no PMU event type ({}); it is ignored",
                known(chip)
            ),
        }
    }
    chip.events(event_type).or_else(|| {
        let default = Diagnostics::DEFAULT_EVENT_TYPE;
        log::warn!("{event_type} is no PMU event type ({}); {default} is taken", known(chip));
        chip.events(default)
    })
}

fn known(chip: &Diagnostics) -> String {
    let types: Vec<String> = chip.pmu.iter().map(|events| events.event_type.to_string()).collect();
    types.join(", ")
}

/// The number that a text begins with, as C's `atoi` has it; 0 if there is none.
fn leading_number(text: &str) -> u32 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.find(|c: char| !c.is_ascii_digit()).map_or(text, |end| &text[..end]);
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::chip::{PmuCounter, SubmitRecords};
    use super::*;

    static COUNTERS: [PmuCounter; 1] = [PmuCounter { event: 8, name: "busy" }];
    static EVENTS: [PmuEvents; 2] =
        [PmuEvents { event_type: 2, counters: &COUNTERS }, PmuEvents { event_type: 7, counters: &COUNTERS }];
    const CHIP: Diagnostics = Diagnostics {
        has_dep_gen: true,
        has_fanout: false,
        submits: SubmitRecords::Whole,
        has_idle_phases: false,
        pmu: &EVENTS,
    };

    fn request(change: impl FnOnce(&mut CallConfig), chip: &Diagnostics) -> Option<Request> {
        let mut config = CallConfig::default();
        config.set_output_prefix("out/here").unwrap();
        change(&mut config);
        config.validate().unwrap();
        Request::new(&config, chip).unwrap()
    }

    #[test]
    fn only_what_is_asked_for_is_on() {
        assert_eq!(request(|_| {}, &CHIP), None);
        let off = Request {
            swimlane: None,
            dump: false,
            pmu: None,
            dep_gen: false,
            scope_stats: false,
            folder: "out/here".into(),
        };
        let only = |change: fn(&mut CallConfig), on: Request| assert_eq!(request(change, &CHIP), Some(on));
        only(|c| c.enable_l2_swimlane = 3, Request { swimlane: Some(3), ..off.clone() });
        only(|c| c.enable_dump_tensor = 1, Request { dump: true, ..off.clone() });
        only(|c| c.enable_dep_gen = 1, Request { dep_gen: true, ..off.clone() });
        only(|c| c.enable_scope_stats = -1, Request { scope_stats: true, ..off.clone() });
        assert_eq!(request(|c| c.enable_pmu = -1, &CHIP), None);
        let without = Diagnostics { has_dep_gen: false, ..CHIP };
        assert_eq!(request(|c| c.enable_dep_gen = 1, &without), None, "the chip ignores it");
    }

    #[test]
    fn device_programs_record_what_their_device_takes_over() {
        let asked: [fn(&mut CallConfig); 5] = [
            |c| c.enable_l2_swimlane = 4,
            |c| c.enable_dump_tensor = 1,
            |c| c.enable_pmu = 2,
            |c| c.enable_dep_gen = 1,
            |c| c.enable_scope_stats = 1,
        ];
        for asked in asked {
            let wanted = request(asked, &CHIP).unwrap();
            assert_eq!(wanted.clone().by_device_programs(true).unwrap(), wanted);
            let error = wanted.by_device_programs(false).unwrap_err();
            assert!(matches!(error, RunnerError::Unavailable { .. }), "{error}");
        }
    }

    #[test]
    fn event_types_that_do_not_exist_are_the_default() {
        let chosen = |number, variable| choose(&CHIP, number, variable).map(|events| events.event_type);
        assert_eq!(chosen(7, None), Some(7));
        assert_eq!(chosen(3, None), Some(2));
        assert_eq!(chosen(2, Some("7")), Some(7));
        assert_eq!(chosen(2, Some(" +7 of them")), Some(7));
        for ignored in ["", "3", "x", "-7", "99999999999"] {
            assert_eq!(chosen(7, Some(ignored)), Some(7), "{ignored}");
        }
        assert_eq!(choose(&Diagnostics { pmu: &[], ..CHIP }, 2, None), None);
    }
}
