use task_interface::DataType;

use crate::dev_ptr::DevPtr;
use crate::error::DeviceError;
use crate::memory::Memory;

/// Elements of a buffer in device memory, in the order of a tensor.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct TensorView<'a> {
    /// The buffer.
    pub buffer: DevPtr,
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
pub(super) enum GatherError {
    #[error("element type {0} has no size")]
    ElementType(u8),
    #[error("shape {shape:?} with strides {strides:?} is no tensor")]
    Layout { shape: Vec<u32>, strides: Vec<u32> },
    #[error(transparent)]
    Memory(#[from] DeviceError),
}

impl TensorView<'_> {
    /// Elements of the tensor; as many as can be told if there are more.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, &extent| product.saturating_mul(u64::from(extent)))
    }

    /// Whether its elements lie one behind the other.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut step = 1u64;
        self.shape.iter().zip(self.strides).rev().all(|(&extent, &stride)| {
            let dense = extent == 1 || u64::from(stride) == step;
            step = step.saturating_mul(u64::from(extent));
            dense
        })
    }

    /// Bytes of one element.
    pub(super) fn element_size(&self) -> Result<u64, GatherError> {
        let dtype = DataType::try_from(self.dtype).map_err(|_| GatherError::ElementType(self.dtype))?;
        Ok(dtype.element_size() as u64)
    }

    /// Copies the first `elements` elements out of device memory, in row-major order.
    pub(super) fn gather(&self, memory: &Memory, elements: u64) -> Result<Vec<u8>, GatherError> {
        let element = self.element_size()?;
        let layout = || GatherError::Layout { shape: self.shape.to_vec(), strides: self.strides.to_vec() };
        if self.shape.len() != self.strides.len() {
            return Err(layout());
        }
        let bytes = elements.checked_mul(element).and_then(|bytes| usize::try_from(bytes).ok());
        let mut gathered = Vec::new();
        let room = bytes.filter(|&bytes| gathered.try_reserve_exact(bytes).is_ok()).ok_or_else(layout)?;
        if self.is_contiguous() {
            gathered.resize(room, 0);
            memory
                .copy_from_device(&mut gathered, self.at(self.start_offset, element).ok_or_else(layout)?)?;
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
        memory: &Memory,
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
        let steps = self.index.iter().zip(self.view.strides);
        let first = steps.fold(Some(self.view.start_offset), |sum, (&index, &stride)| {
            sum?.checked_add(u64::from(index).checked_mul(u64::from(stride))?)
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
