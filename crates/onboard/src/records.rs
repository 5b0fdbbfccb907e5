use std::sync::Arc;

use collectors::{Shared, SharedMemory};
use hal_sys::HostMapping;

use crate::error::OnboardError;
use crate::inner::Inner;

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
    /// The block's own, and all buffers.
    allocations: Vec<u64>,
}

/// How the host sees it.
#[derive(Debug)]
enum Window {
    /// As it is.
    Mapped(HostMapping),
    /// In a copy.
    Shadow(Vec<u8>),
}

impl DeviceBlock {
    /// Makes a block with this content, and maps it if the chip can do so.
    fn new(inner: &Arc<Inner>, content: Vec<u8>) -> Result<Self, OnboardError> {
        let address = inner.memory.upload(&content)?;
        let window = if inner.chip.maps_records() {
            match inner.memory.map(address, content.len()) {
                Ok(mapping) => Window::Mapped(mapping),
                Err(error) => {
                    inner.memory.free_or_log(address);
                    return Err(error);
                }
            }
        } else {
            Window::Shadow(content)
        };
        Ok(Self { inner: Arc::clone(inner), address, window, allocations: vec![address] })
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

    fn refresh(&mut self) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Mapped(_) => Ok(()),
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
            Window::Shadow(copy) => word(copy, offset).map(u32::from_le_bytes),
        };
        value.ok_or_else(|| outside(offset))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, OnboardError> {
        let value = match &self.window {
            Window::Mapped(mapping) => mapping.load_u64(offset),
            Window::Shadow(copy) => word(copy, offset).map(u64::from_le_bytes),
        };
        value.ok_or_else(|| outside(offset))
    }

    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Mapped(mapping) => mapping.store_u32(offset, value).ok_or_else(|| outside(offset)),
            Window::Shadow(copy) => {
                write_back(&self.inner, (copy, self.address), offset, &value.to_le_bytes())
            }
        }
    }

    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), OnboardError> {
        match &mut self.window {
            Window::Mapped(mapping) => mapping.store_u64(offset, value).ok_or_else(|| outside(offset)),
            Window::Shadow(copy) => {
                write_back(&self.inner, (copy, self.address), offset, &value.to_le_bytes())
            }
        }
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, OnboardError> {
        let buffer = self.inner.memory.alloc(bytes as u64)?;
        self.allocations.push(buffer);
        Ok(buffer)
    }

    fn fill(&mut self, buffer: u64, content: &[u8]) -> Result<(), OnboardError> {
        self.inner.memory.fill(buffer, content)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), OnboardError> {
        self.inner.memory.read(bytes, address)
    }

    fn release(self) {
        let Self { inner, window, allocations, .. } = self;
        // Not to be looked at any more.
        drop(window);
        free(&inner, allocations);
    }

    fn retire(self) {
        let Self { inner, window, allocations, .. } = self;
        drop(window);
        let before = inner.memory.retire(allocations);
        free(&inner, before);
    }
}

fn free(inner: &Inner, allocations: Vec<u64>) {
    if let Err(error) = inner.attach() {
        log::warn!("memory of a collector is kept until the device is given back: {error}");
        return;
    }
    let park = inner.is_lost();
    for address in allocations {
        if let Err(error) = inner.memory.free(address, park) {
            log::warn!("memory of a collector is kept until the device is given back: {error}");
        }
    }
}

fn word<const N: usize>(copy: &[u8], offset: usize) -> Option<[u8; N]> {
    copy.get(offset..)?.first_chunk().copied()
}

/// Writes one field of a block of which the host has a copy, and nothing else: the rest may be the device's.
fn write_back(
    inner: &Inner,
    (copy, address): (&mut [u8], u64),
    offset: usize,
    bytes: &[u8],
) -> Result<(), OnboardError> {
    let place = offset.checked_add(bytes.len()).and_then(|end| copy.get_mut(offset..end));
    place.ok_or_else(|| outside(offset))?.copy_from_slice(bytes);
    inner.memory.fill(address + offset as u64, bytes)
}
