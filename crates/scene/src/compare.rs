use std::fmt;

use crate::data::Value;

/// How far a result may be from the expected one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "two numbers, written as a literal in scenes")]
pub struct Tolerance {
    /// Allowed difference.
    pub absolute: f64,
    /// Allowed difference per unit of the expected value.
    pub relative: f64,
}

impl Tolerance {
    /// No difference at all.
    pub const EXACT: Self = Self { absolute: 0.0, relative: 0.0 };
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::EXACT {
            return f.write_str("exact");
        }
        write!(f, "tolerance {:e} + {:e} relative", self.absolute, self.relative)
    }
}

/// A result that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Name of the tensor.
    pub tensor: &'static str,
    /// Its shape.
    pub shape: Vec<u32>,
    /// The tolerance.
    pub tolerance: Tolerance,
    /// How many values are wrong.
    pub wrong: usize,
    /// How many there are.
    pub total: usize,
    /// The largest difference; infinite when one value is no number, or has no partner.
    pub max_error: f64,
    /// The first few that are wrong.
    pub first: Vec<WrongValue>,
}

/// A wrong value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongValue {
    /// Its index in each dimension.
    pub index: Vec<usize>,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
}

/// Wrong values that are shown.
const SHOWN: usize = 4;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?}: {} of {} values are wrong ({}), largest error {:.2e}",
            self.tensor, self.shape, self.wrong, self.total, self.tolerance, self.max_error
        )?;
        for value in &self.first {
            write!(f, "\n  at {:?}: expected {}, got {}", value.index, value.expected, value.got)?;
        }
        if self.wrong > self.first.len() {
            write!(f, "\n  ... and {} more", self.wrong - self.first.len())?;
        }
        Ok(())
    }
}

/// Compares a result, value by value.
pub(crate) fn compare<T: Value>(
    tensor: &'static str,
    shape: &[u32],
    expected: &[T],
    got: &[T],
    tolerance: Tolerance,
) -> Option<Mismatch> {
    let mut mismatch = Mismatch {
        tensor,
        shape: shape.to_vec(),
        tolerance,
        wrong: 0,
        total: expected.len(),
        max_error: 0.0,
        first: Vec::new(),
    };
    for (index, (&expected, &got)) in expected.iter().zip(got).enumerate() {
        let error = got.distance(expected);
        // Written so that an error which is no number is one. Without an error the values are the same, even where
        // their magnitude is no number.
        if error == 0.0 || error <= tolerance.absolute + tolerance.relative * expected.magnitude() {
            continue;
        }
        mismatch.wrong += 1;
        mismatch.max_error = if error.is_nan() { f64::INFINITY } else { mismatch.max_error.max(error) };
        if mismatch.first.len() < SHOWN {
            let (expected, got) = (expected.to_string(), got.to_string());
            mismatch.first.push(WrongValue { index: unravel(index, shape), expected, got });
        }
    }
    // A mistake in the scene; what is expected of these values is unknown, so they are not right.
    let without_partner = expected.len().abs_diff(got.len());
    if without_partner > 0 {
        mismatch.wrong += without_partner;
        mismatch.total = expected.len().max(got.len());
        mismatch.max_error = f64::INFINITY;
    }
    (mismatch.wrong > 0).then_some(mismatch)
}

/// Index in each dimension of a row-major tensor.
fn unravel(mut index: usize, shape: &[u32]) -> Vec<usize> {
    let mut indices = vec![0; shape.len()];
    for (position, &extent) in indices.iter_mut().zip(shape).rev() {
        let extent = (extent as usize).max(1);
        *position = index % extent;
        index /= extent;
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_results_and_those_within_the_tolerance_pass() {
        let loose = Tolerance { absolute: 0.0, relative: 0.1 };
        assert_eq!(compare("x", &[2], &[1.0f32, 10.0], &[1.05, 9.1], loose), None);
        assert_eq!(compare("x", &[2], &[1.0f32, 10.0], &[1.0, 10.0], Tolerance::EXACT), None);
        assert_eq!(compare("x", &[1], &[u64::MAX], &[u64::MAX], Tolerance::EXACT), None);
    }

    #[test]
    fn integers_are_compared_exactly_beyond_the_precision_of_floats() {
        let mismatch = compare("x", &[1], &[u64::MAX], &[u64::MAX - 1], Tolerance::EXACT).unwrap();
        assert_eq!(mismatch.max_error, 1.0);
    }

    #[test]
    fn the_text_tells_where_and_how_much() {
        let expected = [0.0f32; 6];
        let got = [0.0, 0.0, 0.5, 0.0, 2.0, 0.0];
        let text = compare("out", &[2, 3], &expected, &got, Tolerance::EXACT).unwrap().to_string();
        let wanted = "out [2, 3]: 2 of 6 values are wrong (exact), largest error 2.00e0\n  \
                      at [0, 2]: expected 0, got 0.5\n  at [1, 1]: expected 0, got 2";
        assert_eq!(text, wanted);
    }

    #[test]
    fn values_without_a_partner_are_wrong() {
        for (expected, got) in [(&[1u8, 2][..], &[1u8, 2, 3][..]), (&[1, 2, 3], &[1, 2])] {
            let mismatch = compare("x", &[3], expected, got, Tolerance::EXACT).unwrap();
            assert_eq!((mismatch.wrong, mismatch.total, mismatch.max_error), (1, 3, f64::INFINITY));
        }
    }

    #[test]
    fn integers_of_any_size_and_sign_have_their_distance() {
        let mismatch = compare("x", &[1], &[i64::MIN], &[i64::MAX], Tolerance::EXACT).unwrap();
        assert_eq!(mismatch.max_error, 2f64.powi(64));
        let loose = Tolerance { absolute: 0.0, relative: 0.5 };
        assert_eq!(compare("x", &[2], &[-4i8, 100], &[-6, 50], loose), None);
    }

    #[test]
    fn only_the_first_few_are_shown() {
        let text = compare("x", &[9], &[1u64; 9], &[0; 9], Tolerance::EXACT).unwrap().to_string();
        assert!(text.ends_with("at [3]: expected 1, got 0\n  ... and 5 more"), "{text}");
    }

    #[test]
    fn what_is_no_number_is_wrong() {
        let loose = Tolerance { absolute: 1e30, relative: 1.0 };
        let mismatch = compare("x", &[2], &[1.0f32, 1.0], &[f32::NAN, 1.0], loose).unwrap();
        assert_eq!((mismatch.wrong, mismatch.max_error), (1, f64::INFINITY));
    }

    #[test]
    fn what_should_be_no_number_is_right_when_it_is_the_same() {
        let expected = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(compare("x", &[3], &expected, &expected, Tolerance::EXACT), None);
        let got = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        assert_eq!(compare("x", &[3], &expected, &got, Tolerance::EXACT).unwrap().wrong, 3);
    }
}
