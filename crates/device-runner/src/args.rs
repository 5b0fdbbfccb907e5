use task_interface::ChipStorageTaskArgs;

/// The arguments of a run, and which of their tensors the client only lends for reading.
#[derive(Clone, Copy, Debug)]
pub struct RunArgs<'a> {
    raw: &'a ChipStorageTaskArgs,
    read_only: ReadOnly,
}

impl<'a> RunArgs<'a> {
    /// The same arguments, with a tensor whose host memory must not be written to.
    #[must_use]
    pub fn read_only(mut self, tensor: usize) -> Self {
        self.read_only.0 |= ReadOnly::bit(tensor);
        self
    }

    pub(crate) fn raw(&self) -> &'a ChipStorageTaskArgs {
        self.raw
    }

    pub(crate) fn lent(&self) -> ReadOnly {
        self.read_only
    }
}

/// Arguments whose tensors are all copied back, as the C API has it.
impl<'a> From<&'a ChipStorageTaskArgs> for RunArgs<'a> {
    fn from(raw: &'a ChipStorageTaskArgs) -> Self {
        Self { raw, read_only: ReadOnly::default() }
    }
}

impl<'a> From<&'a Box<ChipStorageTaskArgs>> for RunArgs<'a> {
    fn from(raw: &'a Box<ChipStorageTaskArgs>) -> Self {
        Self::from(&**raw)
    }
}

/// Tensor arguments whose host memory must not be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOnly(u128);

impl ReadOnly {
    /// Whether the tensor of this index is one.
    #[must_use]
    pub fn contains(self, tensor: usize) -> bool {
        self.0 & Self::bit(tensor) != 0
    }

    /// Whether any of these tensors of `args` has a byte between `start` and `end`.
    #[must_use]
    pub fn overlaps(self, args: &ChipStorageTaskArgs, start: u64, end: u64) -> bool {
        if self.0 == 0 {
            return false;
        }
        let tensors = args.used_tensors().unwrap_or_default().iter().enumerate();
        let mut lent = tensors.filter(|(index, _)| self.contains(*index)).map(|(_, tensor)| tensor);
        lent.any(|tensor| {
            let size = tensor.nbytes().unwrap_or(u64::MAX);
            tensor.data < end && start < tensor.data.saturating_add(size)
        })
    }

    /// There are 128 tensors at most, one for each bit.
    fn bit(tensor: usize) -> u128 {
        u32::try_from(tensor).ok().and_then(|tensor| 1u128.checked_shl(tensor)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use task_interface::{ContinuousTensor, DataType};

    use super::*;

    #[test]
    fn only_what_was_lent_is_read_only() {
        let mut raw = ChipStorageTaskArgs::new();
        for data in [100, 200] {
            raw.add_tensor(ContinuousTensor::new(data, &[10], DataType::Uint8).unwrap()).unwrap();
        }
        let all = RunArgs::from(&*raw);
        assert_eq!(all.lent(), ReadOnly::default());
        let lent = all.read_only(1).read_only(127).read_only(128).lent();
        assert!(lent.contains(1) && lent.contains(127) && !lent.contains(0) && !lent.contains(128));
        for (start, end, expected) in
            [(200, 201, true), (209, 300, true), (190, 201, true), (210, 211, false), (100, 110, false)]
        {
            assert_eq!(lent.overlaps(&raw, start, end), expected, "{start}..{end}");
        }
    }
}
