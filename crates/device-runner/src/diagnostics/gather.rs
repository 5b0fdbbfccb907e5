use task_interface::DataType;

use crate::dev_ptr::DevPtr;
use crate::device::GlobalMemory;
use crate::error::DeviceError;

/// Elements of a buffer in device memory, in the order of a tensor.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct TensorView<'a> {
    /// The buffer.
    pub buffer: DevPtr,
    /// Bytes that may be read from there on.
    pub bytes: u64,
    /// Raw [`DataType`].
    pub dtype: u8,
    /// First element.
    pub start_offset: u64,
    /// Elements per dimension.
    pub shape: &'a [u32],
    /// Steps per dimension, in elements.
    pub strides: &'a [u32],
}

/// Why the elements of a tensor cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// A number that names no element type.
    #[error("element type {0} has no size")]
    ElementType(u8),
    /// Elements beyond what there can be.
    #[error("shape {shape:?} with strides {strides:?} is no tensor")]
    Layout {
        /// Elements per dimension.
        shape: Vec<u32>,
        /// Steps per dimension.
        strides: Vec<u32>,
    },
    /// Elements behind the end of the buffer.
    #[error("elements up to byte {end} of its memory, which has {bytes} bytes")]
    Outside {
        /// Where they end.
        end: u64,
        /// Where the buffer does.
        bytes: u64,
    },
    /// The device's.
    #[error(transparent)]
    Memory(#[from] DeviceError),
}

impl TensorView<'_> {
    /// Copies the tensor out of device memory, in row-major order: all of it, or, if it has more than `room` bytes,
    /// half as many of its elements as fit; whether it was cut.
    ///
    /// # Errors
    /// [`GatherError`].
    pub fn gather_into(&self, memory: &dyn GlobalMemory, room: u64) -> Result<(Vec<u8>, bool), GatherError> {
        let (element, elements) = (self.element_size()?, self.elements());
        let truncated = elements.saturating_mul(element) > room;
        let kept = if truncated { room / 2 / element } else { elements };
        Ok((self.gather(memory, kept)?, truncated))
    }

    /// Elements of the tensor; as many as can be told if there are more.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, &extent| product.saturating_mul(u64::from(extent)))
    }

    /// Whether its elements lie one behind the other.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1u64;
        self.shape.iter().zip(self.strides).rev().all(|(&extent, &stride)| {
            let dense = extent == 1 || u64::from(stride) == step;
            step = step.saturating_mul(u64::from(extent));
            dense
        })
    }

    /// Bytes of one element.
    fn element_size(&self) -> Result<u64, GatherError> {
        let dtype = DataType::try_from(self.dtype).map_err(|_| GatherError::ElementType(self.dtype))?;
        Ok(dtype.element_size() as u64)
    }

    /// Copies the first `elements` elements out of device memory, in row-major order.
    fn gather(&self, memory: &dyn GlobalMemory, elements: u64) -> Result<Vec<u8>, GatherError> {
        let element = self.element_size()?;
        let layout = || GatherError::Layout { shape: self.shape.to_vec(), strides: self.strides.to_vec() };
        if self.shape.len() != self.strides.len() {
            return Err(layout());
        }
        let bytes = elements.checked_mul(element).and_then(|bytes| usize::try_from(bytes).ok());
        let mut gathered = Vec::new();
        let room = bytes.filter(|&bytes| gathered.try_reserve_exact(bytes).is_ok()).ok_or_else(layout)?;
        if self.is_contiguous() {
            let from = self.at(self.start_offset, element).ok_or_else(layout)?;
            self.check_inside(from, room as u64)?;
            gathered.resize(room, 0);
            memory.copy_from_device(&mut gathered, from)?;
            return Ok(gathered);
        }
        let mut rows = Rows::new(self);
        let mut scratch = Vec::new();
        while gathered.len() < room {
            let Some(first) = rows.next() else { break };
            let from = first.and_then(|first| self.at(first, element)).ok_or_else(layout)?;
            let left = (room - gathered.len()) as u64 / element;
            self.append_row(memory, from, left, element, &mut scratch, &mut gathered)?;
        }
        Ok(gathered)
    }

    /// Appends up to `left` elements of the row at `from`.
    fn append_row(
        &self,
        memory: &dyn GlobalMemory,
        from: DevPtr,
        left: u64,
        element: u64,
        scratch: &mut Vec<u8>,
        gathered: &mut Vec<u8>,
    ) -> Result<(), GatherError> {
        let (extent, stride) = self.shape.last().zip(self.strides.last()).unwrap_or((&1, &1));
        let count = u64::from(*extent).min(left);
        let step = u64::from(*stride).max(1);
        let span = count.saturating_sub(1).saturating_mul(step).saturating_add(1).saturating_mul(element);
        let impossible =
            || GatherError::Layout { shape: self.shape.to_vec(), strides: self.strides.to_vec() };
        self.check_inside(from, span)?;
        let span = usize::try_from(span).map_err(|_| impossible())?;
        scratch.clear();
        scratch.try_reserve(span).map_err(|_| impossible())?;
        scratch.resize(span, 0);
        memory.copy_from_device(scratch, from)?;
        let (step, element) = (usize::try_from(step * element), usize::try_from(element));
        let (step, element) = step.ok().zip(element.ok()).ok_or_else(impossible)?;
        // Elements of a stride of 0 are one and the same.
        let step = if *stride == 0 { 0 } else { step };
        for index in 0..usize::try_from(count).unwrap_or(0) {
            gathered.extend_from_slice(&scratch[index * step..index * step + element]);
        }
        Ok(())
    }

    /// That so many bytes are in the buffer, which is asked first: not every memory knows what is accessible.
    fn check_inside(&self, from: DevPtr, len: u64) -> Result<(), GatherError> {
        let end = from.addr().saturating_sub(self.buffer.addr()).saturating_add(len);
        if end > self.bytes { Err(GatherError::Outside { end, bytes: self.bytes }) } else { Ok(()) }
    }

    fn at(&self, index: u64, element: u64) -> Option<DevPtr> {
        let address = index.checked_mul(element)?.checked_add(self.buffer.addr())?;
        Some(DevPtr::new(address))
    }
}

/// First elements of the rows of a tensor; `None` inside where a place cannot be told.
struct Rows<'a> {
    view: &'a TensorView<'a>,
    index: Vec<u32>,
    ended: bool,
}

impl<'a> Rows<'a> {
    fn new(view: &'a TensorView<'a>) -> Self {
        Self { view, index: vec![0; view.shape.len().saturating_sub(1)], ended: view.shape.contains(&0) }
    }
}

impl Iterator for Rows<'_> {
    type Item = Option<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut steps = self.index.iter().zip(self.view.strides);
        let first = steps.try_fold(self.view.start_offset, |sum, (&index, &stride)| {
            sum.checked_add(u64::from(index).checked_mul(u64::from(stride))?)
        });
        // The next row: the last index that can grow does, those behind it start again.
        self.ended = true;
        for (index, &extent) in self.index.iter_mut().zip(self.view.shape).rev() {
            *index += 1;
            if *index < extent {
                self.ended = false;
                break;
            }
            *index = 0;
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::device::Device;
    use crate::error::DeferredErrors;
    use crate::memory::Memory;
    use crate::testing::FakeDevice;

    /// A buffer of 16-bit elements that hold their own index.
    fn numbered(elements: u16) -> (Arc<Memory>, crate::memory::DevBuffer) {
        let device: Arc<dyn Device> = FakeDevice::new();
        let memory = Memory::new(device, DeferredErrors::default());
        let bytes: Vec<u8> = (0..elements).flat_map(u16::to_le_bytes).collect();
        let buffer = memory.alloc(bytes.len()).unwrap();
        memory.copy_to_device(buffer.ptr(), &bytes).unwrap();
        (memory, buffer)
    }

    fn view<'a>(buffer: DevPtr, start: u64, shape: &'a [u32], strides: &'a [u32]) -> TensorView<'a> {
        let dtype = DataType::Uint16.raw();
        TensorView { buffer, bytes: u64::MAX, dtype, start_offset: start, shape, strides }
    }

    fn gathered(memory: &Memory, view: &TensorView<'_>, elements: u64) -> Vec<u16> {
        let bytes = view.gather(memory, elements).unwrap();
        bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let (memory, buffer) = numbered(8);
        let of = |start, shape, strides| view(buffer.ptr(), start, shape, strides).gather(&*memory, 4);
        assert!(of(4, &[4], &[1]).is_ok());
        assert!(matches!(of(5, &[4], &[1]), Err(GatherError::Memory(_))));
        assert!(matches!(of(0, &[2, 2], &[7, 1]), Err(GatherError::Memory(_))));
        assert!(matches!(of(0, &[2, 2], &[1]), Err(GatherError::Layout { .. })));
        assert!(matches!(of(u64::MAX, &[2, 2], &[2, 2]), Err(GatherError::Layout { .. })));
        let told = |bytes, shape, strides| {
            TensorView { bytes, ..view(buffer.ptr(), 1, shape, strides) }.gather(&*memory, 4)
        };
        assert!(told(10, &[4], &[1]).is_ok() && told(12, &[2, 2], &[3, 1]).is_ok());
        assert!(matches!(told(9, &[4], &[1]), Err(GatherError::Outside { end: 10, bytes: 9 })));
        assert!(matches!(told(11, &[2, 2], &[3, 1]), Err(GatherError::Outside { end: 12, bytes: 11 })));
        assert!(matches!(told(16, &[u32::MAX, 1], &[u32::MAX, 1]), Err(GatherError::Outside { .. })));
        let unknown = TensorView { dtype: 99, ..view(buffer.ptr(), 0, &[4], &[1]) };
        assert!(matches!(unknown.gather(&*memory, 4), Err(GatherError::ElementType(99))));
        assert!(view(buffer.ptr(), 0, &[u32::MAX; 5], &[1; 5]).gather(&*memory, u64::MAX).is_err());
        assert!(gathered(&memory, &view(buffer.ptr(), 0, &[3, 0], &[1, 1]), 0).is_empty());
    }

    proptest! {
        /// In row-major order, whatever the strides, and from the front if not all are wanted.
        #[test]
        fn elements_come_in_the_order_of_the_tensor(
            dims in prop::collection::vec((1u32..5, 0u32..7), 1..5),
            start in 0u64..6,
            wanted in 0u64..700,
        ) {
            let (shape, strides): (Vec<u32>, Vec<u32>) = dims.into_iter().unzip();
            let (memory, buffer) = numbered(128);
            let view = view(buffer.ptr(), start, &shape, &strides);
            let mut expected = vec![start];
            for (&extent, &stride) in shape.iter().zip(&strides) {
                let steps = (0..extent).map(|index| u64::from(index * stride));
                let steps: Vec<u64> = steps.collect();
                expected = expected.iter().flat_map(|base| steps.iter().map(move |step| base + step)).collect();
            }
            expected.truncate(usize::try_from(wanted.min(view.elements())).unwrap());
            let got: Vec<u64> = gathered(&memory, &view, expected.len() as u64).into_iter().map(u64::from).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
