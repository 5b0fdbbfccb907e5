use std::fmt::{Debug, Display};

use chip_worker::{Args, ArgsError, Element};

use crate::compare::{Mismatch, Tolerance, compare};

/// An element type that scenes compute with.
pub trait Value: Element + Debug + Display + Send {
    /// What results hold before the run writes them: a value that no computation gives by accident.
    const UNWRITTEN: Self;

    /// Difference to another value; no number when there is none.
    fn distance(self, other: Self) -> f64;

    /// Its size without its sign.
    fn magnitude(self) -> f64;
}

impl Value for f32 {
    const UNWRITTEN: Self = -12345.678;

    fn distance(self, other: Self) -> f64 {
        if self.to_bits() == other.to_bits() { 0.0 } else { (f64::from(self) - f64::from(other)).abs() }
    }

    fn magnitude(self) -> f64 {
        f64::from(self).abs()
    }
}

macro_rules! integers {
    ($($integer:ty => $unwritten:literal),* $(,)?) => {
        $(impl Value for $integer {
            const UNWRITTEN: Self = $unwritten;

            fn distance(self, other: Self) -> f64 {
                self.abs_diff(other) as f64
            }

            fn magnitude(self) -> f64 {
                self.abs_diff(0) as f64
            }
        })*
    };
}

integers! {
    u64 => 0xdead_beef_dead_beef, u32 => 0xdead_beef, u16 => 0xdead, u8 => 0xde,
    i64 => -0x2152_4110_2152_4111, i32 => -0x2152_4111, i16 => -0x2153, i8 => -0x22,
}

/// A tensor argument and, if the run writes it, what it should hold afterwards.
#[derive(Debug)]
struct Tensor<T> {
    name: &'static str,
    shape: Vec<u32>,
    values: Vec<T>,
    expected: Option<(Vec<T>, Tolerance)>,
}

/// A tensor of any element type.
trait AnyTensor: Debug + Send {
    fn add_to<'a>(&'a mut self, args: Args<'a>) -> Result<Args<'a>, ArgsError>;

    fn mismatch(&self) -> Option<Mismatch>;
}

/// The arguments of one run with the expected results.
#[derive(Debug, Default)]
pub struct Data {
    tensors: Vec<Box<dyn AnyTensor>>,
    scalars: Vec<u64>,
}

impl Data {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor that the run reads.
    #[must_use]
    pub fn input<T: Value>(self, name: &'static str, shape: &[u32], values: Vec<T>) -> Self {
        self.tensor(Tensor { name, shape: shape.to_vec(), values, expected: None })
    }

    /// Adds a tensor that the run writes.
    #[must_use]
    pub fn output<T: Value>(
        self,
        name: &'static str,
        shape: &[u32],
        expected: Vec<T>,
        tolerance: Tolerance,
    ) -> Self {
        let values = vec![T::UNWRITTEN; expected.len()];
        self.inout(name, shape, values, expected, tolerance)
    }

    /// Adds a tensor that the run reads and writes.
    #[must_use]
    pub fn inout<T: Value>(
        self,
        name: &'static str,
        shape: &[u32],
        before: Vec<T>,
        expected: Vec<T>,
        tolerance: Tolerance,
    ) -> Self {
        let expected = Some((expected, tolerance));
        self.tensor(Tensor { name, shape: shape.to_vec(), values: before, expected })
    }

    /// Adds a scalar.
    #[must_use]
    pub fn scalar(mut self, value: u64) -> Self {
        self.scalars.push(value);
        self
    }

    fn tensor<T: Value>(mut self, tensor: Tensor<T>) -> Self {
        self.tensors.push(Box::new(tensor));
        self
    }

    /// The arguments, for a run that writes its results into `self`.
    pub(crate) fn args(&mut self) -> Result<Args<'_>, ArgsError> {
        let mut args = Args::new();
        for tensor in &mut self.tensors {
            args = tensor.add_to(args)?;
        }
        self.scalars.iter().try_fold(args, |args, &scalar| args.scalar(scalar))
    }

    /// What is wrong with the results.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        self.tensors.iter().filter_map(|tensor| tensor.mismatch()).collect()
    }
}

impl<T: Value> AnyTensor for Tensor<T> {
    fn add_to<'a>(&'a mut self, args: Args<'a>) -> Result<Args<'a>, ArgsError> {
        if self.expected.is_some() {
            args.output(&mut self.values, &self.shape)
        } else {
            args.input(&self.values, &self.shape)
        }
    }

    fn mismatch(&self) -> Option<Mismatch> {
        let (expected, tolerance) = self.expected.as_ref()?;
        compare(self.name, &self.shape, expected, &self.values, *tolerance)
    }
}
