//! How the AICPU program gets hold of the cores, and lets them go (`spec/device-abi.md`, sections 2.4 and 2.7).

use device_runner::CoreId;
use task_interface::CoreType;

use super::Budgets;
use crate::chip::{Chip, ImageHead, RegisterMap, Registers};
use crate::patience::Patience;
use crate::protocol::{EXIT, FAST_PATH_CLOSED, FAST_PATH_OPEN, LEFT, NO_TASK};
use crate::word::store_u64;

/// The registers of a launch's cores, by worker id; those of a core that has not answered are unknown.
#[derive(Debug)]
pub(super) struct Links {
    registers: Vec<Option<Registers>>,
}

/// Shakes hands with all cores. What went wrong with some of them comes along; they can only be stopped then.
///
/// # Safety
/// The image and the device's registers must stay accessible while the result is used.
pub(super) unsafe fn shake_hands(
    chip: &Chip,
    (map, table): (RegisterMap, u64),
    head: &ImageHead,
    payloads: impl Fn(CoreId) -> u64,
    budgets: &Budgets,
) -> (Links, Option<String>) {
    let cores = || (0..head.topology.cores()).map(CoreId);
    for core in cores() {
        // SAFETY: the image has this core, and is accessible as the caller promises.
        unsafe { store_u64(head.handshake(core).task, payloads(core)) };
    }
    for core in cores() {
        // SAFETY: as above.
        unsafe { head.handshake(core) }.aicpu_ready.store(1);
    }
    // One budget for all: what one core lacks, the others do not wait for again.
    let mut patience = Patience::new(budgets.handshake);
    let mut registers: Vec<Option<Registers>> = Vec::with_capacity(head.topology.cores() as usize);
    let mut failure = None;
    for core in cores() {
        // SAFETY: as above.
        match unsafe { shake_hand(chip, (map, table), head, core, &mut patience) } {
            Ok(found) => registers.push(Some(found)),
            Err((known, reason)) => {
                registers.push(known);
                failure.get_or_insert(format!("{core}: {reason}"));
            }
        }
    }
    (Links { registers }, failure)
}

type NoHandshake = (Option<Registers>, String);

/// # Safety
/// As [`shake_hands`].
unsafe fn shake_hand(
    chip: &Chip,
    (map, table): (RegisterMap, u64),
    head: &ImageHead,
    core: CoreId,
    patience: &mut Patience,
) -> Result<Registers, NoHandshake> {
    // SAFETY: the image has this core, and is accessible as the caller promises.
    let handshake = unsafe { head.handshake(core) };
    if !patience.until(|| handshake.aicore_regs_ready.load() != 0) {
        return Err((None, "it has not come".to_owned()));
    }
    let physical = handshake.physical_core_id.load();
    // SAFETY: the table is the device's, as the caller promises.
    let Some(registers) = (unsafe { chip.registers(map, table, physical) }) else {
        return Err((
            None,
            format!("no registers are known of physical core {physical}, which it says it is"),
        ));
    };
    registers.open();
    handshake.aicpu_regs_ready.store(1);
    if !patience.until(|| handshake.aicore_done.load() != 0) {
        return Err((Some(registers), "it is not ready for tasks".to_owned()));
    }
    let expected = head.topology.core_type(core);
    let real = i32::from_ne_bytes(handshake.core_type.load().to_ne_bytes());
    if CoreType::try_from(real) != Ok(expected) {
        return Err((Some(registers), format!("it should be an {expected}, but has core type {real}")));
    }
    Ok(registers)
}

impl Registers {
    fn open(&self) {
        if let Some(fast_path) = self.fast_path {
            fast_path.store(FAST_PATH_OPEN);
        }
        self.data_main_base.store(NO_TASK);
    }

    fn close(&self) {
        self.data_main_base.store(NO_TASK);
        if let Some(fast_path) = self.fast_path {
            fast_path.store(FAST_PATH_CLOSED);
        }
    }
}

impl Links {
    pub(super) fn get(&self, core: CoreId) -> Option<&Registers> {
        self.registers.get(core.0 as usize)?.as_ref()
    }

    /// Tells cores to leave and waits for it; of those that do not, registers stay as they are. Whether all have left.
    pub(super) fn stop(&self, cores: impl Iterator<Item = CoreId> + Clone, budgets: &Budgets) -> bool {
        let known = cores.filter_map(|core| Some((core, self.get(core)?)));
        for (_, registers) in known.clone() {
            registers.data_main_base.store(EXIT);
        }
        let mut patience = Patience::new(budgets.exit);
        let mut all = true;
        for (core, registers) in known {
            if patience.until(|| registers.cond.load() == LEFT) {
                registers.close();
            } else {
                log::error!("{core} does not leave");
                all = false;
            }
        }
        all
    }

    /// Lets go of all cores, wherever in their handshakes they are.
    ///
    /// # Safety
    /// As [`shake_hands`].
    pub(super) unsafe fn emergency_stop(&self, head: &ImageHead, budgets: &Budgets) {
        let cores = (0..head.topology.cores()).map(CoreId);
        for core in cores.clone() {
            // SAFETY: the image has this core, and is accessible as the caller promises.
            unsafe { head.handshake(core) }.aicpu_regs_ready.store(1);
        }
        self.stop(cores, budgets);
    }
}
