use std::collections::BTreeMap;
use std::sync::Arc;

use device_runner::{DevBuffer, DevPtr, DeviceError, Memory};
use host_memory::HostRange;
use task_interface::TensorAllocationInfo;

use crate::error::GraphError;

/// Device memory that one run has taken, and what of it goes back to the host.
#[derive(Debug)]
pub(crate) struct Staging {
    memory: Arc<Memory>,
    /// What the orchestration has taken and not given back, with a number that grows.
    buffers: BTreeMap<DevPtr, (usize, DevBuffer)>,
    taken: usize,
    /// Tables of device programs.
    tables: Vec<DevBuffer>,
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
        Self { memory, buffers: BTreeMap::new(), taken: 0, tables: Vec::new(), pairs: Vec::new() }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn alloc(&mut self, bytes: usize) -> Result<DevPtr, DeviceError> {
        let buffer = self.memory.alloc(bytes)?;
        let ptr = buffer.ptr();
        self.buffers.insert(ptr, (self.taken, buffer));
        self.taken += 1;
        Ok(ptr)
    }

    /// Memory with a table that device programs read; it is none of the orchestration's.
    pub(crate) fn upload(&mut self, bytes: &[u8]) -> Result<DevPtr, DeviceError> {
        let buffer = self.memory.alloc(bytes.len())?;
        let ptr = buffer.ptr();
        self.memory.copy_to_device(ptr, bytes)?;
        self.tables.push(buffer);
        Ok(ptr)
    }

    /// The memory that the orchestration has at the moment, in the order in which it was taken.
    pub(crate) fn allocations(&self) -> Vec<TensorAllocationInfo> {
        let mut buffers: Vec<_> = self.buffers.values().collect();
        buffers.sort_by_key(|(serial, _)| *serial);
        let entry = |(_, buffer): &(usize, DevBuffer)| TensorAllocationInfo {
            base_addr: buffer.ptr().addr(),
            size_bytes: buffer.len() as u64,
        };
        buffers.into_iter().map(entry).collect()
    }

    pub(crate) fn free(&mut self, ptr: DevPtr) -> Result<(), GraphError> {
        let (_, buffer) = self.buffers.remove(&ptr).ok_or(GraphError::NotAllocatedHere { ptr })?;
        buffer.release().map_err(GraphError::device("device_free"))
    }

    pub(crate) fn record(&mut self, host: Option<HostRange>, dev: DevPtr) {
        self.pairs.push((host, dev));
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
        left.fold(Unrecorded::default(), |sum, (_, (_, buffer))| Unrecorded {
            buffers: sum.buffers + 1,
            bytes: sum.bytes + buffer.len(),
        })
    }
}
