use std::sync::Arc;

use collectors::{Shared, SharedMemory};
use hal_sys::HostMapping;

use crate::error::OnboardError;
use crate::inner::Inner;
use crate::memory::Retired;

/// Device memory of collectors.
#[derive(Clone, Debug)]
pub(crate) struct RecordsMemory(pub(crate) Arc<Inner>);

impl SharedMemory for RecordsMemory {
    type Error = OnboardError;
    type Block = DeviceBlock;

    fn attach(&self) -> Result<(), OnboardError> {
        self.0.attach()
    }

    fn block(&self, content: Vec<u8>) -> Result<DeviceBlock, OnboardError> {
        DeviceBlock::new(&self.0, content)
    }
}

/// A block in device memory. It is released with [`release`](Shared::release), or with the device.
#[derive(Debug)]
pub(crate) struct DeviceBlock {
    inner: Arc<Inner>,
    address: u64,
    window: Window,
    /// With their sizes.
    buffers: Vec<(u64, u64)>,
}

/// How the host sees it.
#[derive(Debug)]
enum Window {
    /// The device does not: all that it shall find there is copied at once, as a copy takes long however short it is.
    Ahead(Vec<u8>),
    /// As it is.
    Mapped(HostMapping),
    /// In a copy.
    Shadow(Vec<u8>),
}

impl DeviceBlock {
    fn new(inner: &Arc<Inner>, content: Vec<u8>) -> Result<Self, OnboardError> {
        let address = inner.memory.alloc(content.len() as u64)?;
        Ok(Self { inner: Arc::clone(inner), address, window: Window::Ahead(content), buffers: Vec::new() })
    }
}

fn outside(offset: usize) -> OnboardError {
    OnboardError::Records { reason: format!("there is nothing at offset {offset} of a collector's memory") }
}

impl Shared for DeviceBlock {
    type Error = OnboardError;

    fn address(&self) -> u64 {
        self.address
    }

    /// Maps it if the chip can do so.
    fn publish(&mut self) -> Result<(), OnboardError> {
        let Self { inner, address, window, .. } = self;
        let Window::Ahead(content) = window else { return Ok(()) };
        inner.memory.fill(*address, content)?;
        *window = if inner.chip.maps_records() {
            Window::Mapped(inner.memory.map(*address, content.len())?)
        } else {
            Window::Shadow(std::mem::take(content))
        };
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Ahead(_) | Window::Mapped(_) => Ok(()),
            Window::Shadow(copy) => self.inner.memory.read(copy, self.address),
        }
    }

    fn refresh_part(&mut self, offset: usize, bytes: usize) -> Result<(), OnboardError> {
        let Window::Shadow(copy) = &mut self.window else { return Ok(()) };
        let part = offset.checked_add(bytes).and_then(|end| copy.get_mut(offset..end));
        self.inner.memory.read(part.ok_or_else(|| outside(offset))?, self.address + offset as u64)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, OnboardError> {
        let value = match &self.window {
            Window::Mapped(mapping) => mapping.load_u32(offset),
            Window::Ahead(copy) | Window::Shadow(copy) => word(copy, offset).map(u32::from_le_bytes),
        };
        value.ok_or_else(|| outside(offset))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, OnboardError> {
        let value = match &self.window {
            Window::Mapped(mapping) => mapping.load_u64(offset),
            Window::Ahead(copy) | Window::Shadow(copy) => word(copy, offset).map(u64::from_le_bytes),
        };
        value.ok_or_else(|| outside(offset))
    }

    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Mapped(mapping) => mapping.store_u32(offset, value).ok_or_else(|| outside(offset)),
            Window::Ahead(copy) => put(copy, offset, &value.to_le_bytes()),
            Window::Shadow(copy) => {
                // Nothing else is written back: the rest may be the device's.
                let bytes = value.to_le_bytes();
                put(copy, offset, &bytes)?;
                self.inner.memory.fill(self.address + offset as u64, &bytes)
            }
        }
    }

    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Mapped(mapping) => mapping.store_u64(offset, value).ok_or_else(|| outside(offset)),
            Window::Ahead(copy) => put(copy, offset, &value.to_le_bytes()),
            Window::Shadow(copy) => {
                // Nothing else is written back: the rest may be the device's.
                let bytes = value.to_le_bytes();
                put(copy, offset, &bytes)?;
                self.inner.memory.fill(self.address + offset as u64, &bytes)
            }
        }
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, OnboardError> {
        let buffer = self.inner.memory.alloc_spare(bytes as u64)?;
        self.buffers.push((buffer, bytes as u64));
        Ok(buffer)
    }

    fn fill(&mut self, buffer: u64, content: &[u8]) -> Result<(), OnboardError> {
        self.inner.memory.fill(buffer, content)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), OnboardError> {
        self.inner.memory.read(bytes, address)
    }

    fn release(self) {
        let Self { inner, address, window, buffers } = self;
        // Not to be looked at any more.
        drop(window);
        give_back(&inner, address, buffers);
    }

    fn retire(self) {
        let Self { inner, address, window, buffers } = self;
        drop(window);
        if let Some(before) = inner.memory.retire(Retired { block: address, buffers }) {
            give_back(&inner, before.block, before.buffers);
        }
    }
}

/// Frees a block, and keeps its buffers for the next run.
fn give_back(inner: &Inner, block: u64, buffers: Vec<(u64, u64)>) {
    let park = inner.is_lost();
    let freed = inner.attach().and_then(|()| {
        inner.memory.free(block, park)?;
        if park {
            return buffers.iter().try_for_each(|&(address, _)| inner.memory.free(address, park));
        }
        inner.memory.spare(buffers);
        Ok(())
    });
    if let Err(error) = freed {
        log::warn!("memory of a collector is kept until the device is given back: {error}");
    }
}

fn word<const N: usize>(copy: &[u8], offset: usize) -> Option<[u8; N]> {
    copy.get(offset..)?.first_chunk().copied()
}

fn put(copy: &mut [u8], offset: usize, bytes: &[u8]) -> Result<(), OnboardError> {
    let place = offset.checked_add(bytes.len()).and_then(|end| copy.get_mut(offset..end));
    place.ok_or_else(|| outside(offset))?.copy_from_slice(bytes);
    Ok(())
}
