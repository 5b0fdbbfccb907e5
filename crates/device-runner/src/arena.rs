use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::dev_ptr::DevPtr;
use crate::error::{DeferredErrors, DeviceError};
use crate::memory::{DevBuffer, Memory};
use crate::sync::lock;

/// Bytes of each region; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the three regions are a contract")]
pub struct ArenaSizes {
    /// Heap that task outputs are packed into.
    pub gm_heap: usize,
    /// Memory shared by orchestrator and scheduler.
    pub gm_sm: usize,
    /// The prebuilt image of the runtime.
    pub runtime_arena: usize,
}

impl ArenaSizes {
    fn as_array(self) -> [usize; 3] {
        [self.gm_heap, self.gm_sm, self.runtime_arena]
    }

    fn from_array([gm_heap, gm_sm, runtime_arena]: [usize; 3]) -> Self {
        Self { gm_heap, gm_sm, runtime_arena }
    }
}

/// The three pooled regions that outlive runs (`spec/device-abi.md`, section 5.3).
///
/// Either all regions asked for are committed, or none is.
#[derive(Debug)]
pub struct StaticArenas {
    memory: Arc<Memory>,
    deferred: DeferredErrors,
    regions: Mutex<[Option<Region>; 3]>,
    /// Runs that use the regions by address.
    leases: Arc<AtomicUsize>,
}

/// Keeps the regions committed where they are, for a run that uses them by address.
#[derive(Debug)]
pub struct ArenaLease(Arc<AtomicUsize>);

impl Drop for ArenaLease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct Region {
    buffer: DevBuffer,
    base: DevPtr,
    size: usize,
}

/// Regions start on a multiple of this.
const ALIGN: usize = 1024;

impl StaticArenas {
    pub(crate) fn new(memory: Arc<Memory>, deferred: DeferredErrors) -> Self {
        Self { memory, deferred, regions: Mutex::default(), leases: Arc::default() }
    }

    /// Commits the three regions.
    ///
    /// A region that is large enough already is kept with its contents; size 0 releases it.
    ///
    /// # Errors
    /// Any failure, of an allocation or of a release, leaves all three regions released and their sizes
    /// 0, also those that an earlier call had committed. `Busy` changes nothing: a run uses the regions,
    /// and one of them would have to move.
    pub fn setup(&self, sizes: ArenaSizes) -> Result<(), DeviceError> {
        self.commit(&mut lock(&self.regions), sizes)
    }

    /// Commits the three regions, and keeps them where they are until the lease is dropped.
    ///
    /// # Errors
    /// As [`Self::setup`].
    pub fn lease(&self, sizes: ArenaSizes) -> Result<ArenaLease, DeviceError> {
        let mut regions = lock(&self.regions);
        self.commit(&mut regions, sizes)?;
        self.leases.fetch_add(1, Ordering::AcqRel);
        Ok(ArenaLease(Arc::clone(&self.leases)))
    }

    fn commit(&self, regions: &mut [Option<Region>; 3], sizes: ArenaSizes) -> Result<(), DeviceError> {
        let moves = |(region, size): (&Option<Region>, usize)| {
            region.as_ref().is_some_and(|region| size == 0 || size > region.size)
        };
        if self.leases.load(Ordering::Acquire) > 0 && regions.iter().zip(sizes.as_array()).any(moves) {
            return Err(DeviceError::Busy);
        }
        let result =
            regions.iter_mut().zip(sizes.as_array()).try_for_each(|(region, size)| self.fit(region, size));
        if result.is_err() {
            for region in regions.iter_mut().filter_map(Option::take) {
                self.deferred.keep(region.buffer.release());
            }
        }
        result
    }

    fn fit(&self, slot: &mut Option<Region>, size: usize) -> Result<(), DeviceError> {
        match slot {
            Some(region) if size > 0 && size <= region.size => return Ok(()),
            _ => {}
        }
        if let Some(region) = slot.take() {
            region.buffer.release()?;
        }
        if size > 0 {
            *slot = Some(self.allocate(size)?);
        }
        Ok(())
    }

    fn allocate(&self, size: usize) -> Result<Region, DeviceError> {
        let padded = size.checked_add(ALIGN - 1).ok_or(DeviceError::OutOfMemory {
            requested: size as u64,
            in_use: self.memory.in_use().1,
            capacity: None,
            source: None,
        })?;
        let buffer = self.memory.alloc(padded)?;
        let base = DevPtr::new(buffer.ptr().addr().next_multiple_of(ALIGN as u64));
        Ok(Region { buffer, base, size })
    }

    /// Sizes that are committed at the moment.
    #[must_use]
    pub fn committed(&self) -> ArenaSizes {
        let regions = lock(&self.regions);
        ArenaSizes::from_array([0, 1, 2].map(|i: usize| regions[i].as_ref().map_or(0, |region| region.size)))
    }

    /// The GM heap, 1024-byte aligned; `None` when it is not committed.
    #[must_use]
    pub fn gm_heap(&self) -> Option<DevPtr> {
        self.base(0)
    }

    /// The shared memory, 1024-byte aligned; `None` when it is not committed.
    #[must_use]
    pub fn gm_sm(&self) -> Option<DevPtr> {
        self.base(1)
    }

    /// The runtime arena, 1024-byte aligned; `None` when it is not committed.
    #[must_use]
    pub fn runtime_arena(&self) -> Option<DevPtr> {
        self.base(2)
    }

    fn base(&self, index: usize) -> Option<DevPtr> {
        lock(&self.regions)[index].as_ref().map(|region| region.base)
    }
}
