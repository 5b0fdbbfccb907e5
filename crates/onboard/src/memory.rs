use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use device_runner::{DevPtr, DeviceError};
use hal_sys::{Fault, Hal, HalError, HostMapping};

use crate::error::OnboardError;
use crate::sync::lock;

/// Device memory of one device: every allocation is known until it is given back.
#[derive(Debug)]
pub(crate) struct DeviceMemory {
    hal: Arc<Hal>,
    device: u32,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Size by address.
    live: BTreeMap<u64, u64>,
    /// Likewise, of what was freed while the device may still have used it.
    parked: BTreeMap<u64, u64>,
    /// Likewise, windows of ranks, which are their communicator's.
    windows: BTreeMap<u64, u64>,
    /// Of these, what the host sees as it is.
    mapped: BTreeSet<u64>,
    /// What nobody uses but programs that do not know it.
    retired: Option<Retired>,
    /// Buffers that nobody uses, by size: those of the last runs that recorded something.
    spare: BTreeMap<u64, Vec<u64>>,
}

/// A collector's block that programs may still write to.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) block: u64,
    /// With their sizes.
    pub(crate) buffers: Vec<(u64, u64)>,
}

impl Table {
    fn bytes(&self) -> u64 {
        self.live.values().chain(self.parked.values()).sum()
    }
}

impl DeviceMemory {
    pub(crate) fn new(hal: Arc<Hal>, device: u32) -> Self {
        Self { hal, device, table: Mutex::default() }
    }

    /// Lets the host see an allocation as it is, until it is freed.
    pub(crate) fn map(&self, address: u64, bytes: usize) -> Result<HostMapping, OnboardError> {
        let mut table = lock(&self.table);
        let mapping = self.hal.map_to_host(address, bytes, self.device)?;
        table.mapped.insert(address);
        Ok(mapping)
    }

    fn free_unmapped(&self, mapped: &mut BTreeSet<u64>, address: u64) -> Result<(), HalError> {
        if mapped.contains(&address) {
            self.hal.host_unregister(address, self.device)?;
            mapped.remove(&address);
        }
        self.hal.free(address)
    }

    /// Allocates; 0 bytes have an address of their own, too.
    pub(crate) fn alloc(&self, bytes: u64) -> Result<u64, OnboardError> {
        match self.try_alloc(bytes) {
            Err(OnboardError::OutOfMemory { .. }) if self.has_spares() => {
                self.free_spares();
                self.try_alloc(bytes)
            }
            result => result,
        }
    }

    fn has_spares(&self) -> bool {
        !lock(&self.table).spare.is_empty()
    }

    fn try_alloc(&self, bytes: u64) -> Result<u64, OnboardError> {
        let mut table = lock(&self.table);
        let address = self.hal.malloc(bytes.max(1)).map_err(|source| match source.code() {
            Some(code) if code.fault() == Fault::OutOfMemory => {
                OnboardError::OutOfMemory { requested: bytes, in_use: table.bytes(), source }
            }
            _ => source.into(),
        })?;
        table.live.insert(address, bytes);
        Ok(address)
    }

    /// Frees an allocation, or keeps it until the end if `park`. What cannot be freed stays known.
    pub(crate) fn free(&self, address: u64, park: bool) -> Result<(), OnboardError> {
        let mut table = lock(&self.table);
        let Some(&bytes) = table.live.get(&address) else {
            return Err(OnboardError::NotAllocated { address });
        };
        if park {
            table.parked.insert(address, bytes);
        } else {
            self.free_unmapped(&mut table.mapped, address)?;
        }
        table.live.remove(&address);
        Ok(())
    }

    /// Keeps a block until another is retired, or until the end; returns the one from before, to be given back.
    pub(crate) fn retire(&self, block: Retired) -> Option<Retired> {
        lock(&self.table).retired.replace(block)
    }

    /// Allocates; takes a spare buffer of that size if there is one.
    pub(crate) fn alloc_spare(&self, bytes: u64) -> Result<u64, OnboardError> {
        let spare = lock(&self.table).spare.get_mut(&bytes).and_then(Vec::pop);
        spare.map_or_else(|| self.alloc(bytes), Ok)
    }

    /// Keeps buffers, given with their sizes, until somebody wants such a one, or needs the room.
    pub(crate) fn spare(&self, buffers: Vec<(u64, u64)>) {
        let mut table = lock(&self.table);
        for (address, bytes) in buffers {
            table.spare.entry(bytes).or_default().push(address);
        }
    }

    /// Frees all spare buffers.
    pub(crate) fn free_spares(&self) {
        let spares = std::mem::take(&mut lock(&self.table).spare);
        spares.into_values().flatten().for_each(|address| self.free_or_log(address));
    }

    /// Allocates and fills.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<u64, OnboardError> {
        let address = self.alloc(bytes.len() as u64)?;
        if let Err(error) = self.hal.copy_to_device(address, bytes) {
            self.free_or_log(address);
            return Err(error.into());
        }
        Ok(address)
    }

    /// Frees where another error is under way; what cannot be freed goes at the end.
    pub(crate) fn free_or_log(&self, address: u64) {
        if let Err(error) = self.free(address, false) {
            log::warn!("device memory at {address:#x} is kept until the device is given back: {error}");
        }
    }

    /// Copies into an allocation that is known to have room.
    pub(crate) fn fill(&self, address: u64, bytes: &[u8]) -> Result<(), OnboardError> {
        if bytes.is_empty() { Ok(()) } else { Ok(self.hal.copy_to_device(address, bytes)?) }
    }

    /// Copies out of an allocation that is known to be that large.
    pub(crate) fn read(&self, bytes: &mut [u8], address: u64) -> Result<(), OnboardError> {
        if bytes.is_empty() { Ok(()) } else { Ok(self.hal.copy_from_device(bytes, address)?) }
    }

    /// That a range is inside one live allocation.
    pub(crate) fn check(
        &self,
        operation: &'static str,
        ptr: DevPtr,
        bytes: usize,
    ) -> Result<(), DeviceError> {
        let table = lock(&self.table);
        let room = |part: &BTreeMap<u64, u64>| {
            let (base, size) = part.range(..=ptr.addr()).next_back()?;
            size.checked_sub(ptr.addr() - base)
        };
        let room = room(&table.live).into_iter().chain(room(&table.windows)).max();
        let reason = match room {
            Some(room) if bytes as u64 <= room => return Ok(()),
            Some(room) => format!("the allocation there ends after {room} bytes"),
            None => "no allocation of this device is there".to_owned(),
        };
        Err(DeviceError::InvalidPointer { operation, ptr, len: bytes as u64, reason })
    }

    /// Takes a window for memory that may be copied to and from.
    pub(crate) fn adopt(&self, address: u64, bytes: u64) {
        lock(&self.table).windows.insert(address, bytes);
    }

    pub(crate) fn disown(&self, address: u64) {
        lock(&self.table).windows.remove(&address);
    }

    /// Frees everything; all of it is attempted, the first error is returned, and what failed stays known.
    pub(crate) fn release_all(&self) -> Result<(), HalError> {
        let mut guard = lock(&self.table);
        let table = &mut *guard;
        (table.retired, table.spare) = Default::default();
        let mut result = Ok(());
        for part in [&mut table.live, &mut table.parked] {
            part.retain(|&address, _| match self.free_unmapped(&mut table.mapped, address) {
                Ok(()) => false,
                Err(error) => {
                    result = std::mem::replace(&mut result, Ok(())).and(Err(error));
                    true
                }
            });
        }
        result
    }

    /// Forgets everything, after the device has gone with it.
    pub(crate) fn forget_all(&self) {
        *lock(&self.table) = Table::default();
    }

    /// Allocations and their bytes.
    pub(crate) fn in_use(&self) -> (usize, u64) {
        let table = lock(&self.table);
        (table.live.len() + table.parked.len(), table.bytes())
    }
}
