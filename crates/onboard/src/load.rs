use std::sync::{Arc, Mutex, Weak};

use hal_sys::{Group, Hal, LoadError, Loader};

use crate::chip::OnboardChip;
use crate::sync::lock;

/// By chip: what the devices of this process share.
static LOADED: Mutex<Vec<(&'static str, Weak<Hal>)>> = Mutex::new(Vec::new());

/// The libraries of CANN for a chip, loaded once for all devices of this process.
///
/// # Errors
/// What is missing on this machine, where it was looked for, and what to set.
pub fn load_hal(chip: &'static dyn OnboardChip) -> Result<Arc<Hal>, LoadError> {
    let mut loaded = lock(&LOADED);
    loaded.retain(|(_, hal)| hal.strong_count() > 0);
    if let Some(hal) = loaded.iter().find(|(name, _)| *name == chip.name()).and_then(|(_, hal)| hal.upgrade())
    {
        return Ok(hal);
    }
    let loader = Loader::new().require(Group::Base);
    let hal =
        Arc::new(chip.needed_calls().iter().fold(loader, |loader, group| loader.require(*group)).load()?);
    loaded.push((chip.name(), Arc::downgrade(&hal)));
    Ok(hal)
}
