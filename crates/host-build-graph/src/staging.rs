use std::collections::BTreeMap;
use std::sync::Arc;

use device_runner::{DevBuffer, DevPtr, DeviceError, Memory};
use host_memory::HostRange;

use crate::error::GraphError;

/// Device memory that one run has taken, and what of it goes back to the host.
#[derive(Debug)]
pub(crate) struct Staging {
    memory: Arc<Memory>,
    buffers: BTreeMap<DevPtr, DevBuffer>,
    /// Device memory with the place it is copied back to; without one for what the client only lent for reading.
    pairs: Vec<(Option<HostRange>, DevPtr)>,
}

/// Memory of a run that no pair names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unrecorded {
    pub(crate) buffers: usize,
    pub(crate) bytes: usize,
}

impl Staging {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, buffers: BTreeMap::new(), pairs: Vec::new() }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn alloc(&mut self, bytes: usize) -> Result<DevPtr, DeviceError> {
        let buffer = self.memory.alloc(bytes)?;
        let ptr = buffer.ptr();
        self.buffers.insert(ptr, buffer);
        Ok(ptr)
    }

    pub(crate) fn free(&mut self, ptr: DevPtr) -> Result<(), GraphError> {
        let buffer = self.buffers.remove(&ptr).ok_or(GraphError::NotAllocatedHere { ptr })?;
        buffer.release().map_err(GraphError::device("device_free"))
    }

    pub(crate) fn record(&mut self, host: Option<HostRange>, dev: DevPtr) {
        self.pairs.push((host, dev));
    }

    /// Addresses of the memory that the run has taken and not freed.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buffers.values().map(|buffer| (buffer.ptr().addr(), buffer.len() as u64))
    }

    /// Copies every pair back, in the order of recording.
    pub(crate) fn copy_back(&self) -> Result<(), DeviceError> {
        let mut results = self.pairs.iter().filter_map(|(host, dev)| host.zip(Some(*dev)));
        results.try_for_each(|(host, dev)| host.copy_from(&self.memory, dev))
    }

    /// Memory that was taken and never recorded; an intermediate, or forgotten.
    pub(crate) fn unrecorded(&self) -> Unrecorded {
        let named = |ptr: &DevPtr| self.pairs.iter().any(|(_, dev)| dev == ptr);
        let left = self.buffers.iter().filter(|(ptr, _)| !named(ptr));
        left.fold(Unrecorded::default(), |sum, (_, buffer)| Unrecorded {
            buffers: sum.buffers + 1,
            bytes: sum.bytes + buffer.len(),
        })
    }
}
