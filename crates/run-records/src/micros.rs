//! Times in files.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time on the device's clock, or a length of time: nanoseconds here, microseconds with three decimals in
/// files.
///
/// One tick of either chip is a whole number of nanoseconds (20 at 50 MHz, 1 at 1 GHz), so nothing is
/// rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(i64);

/// Beyond it (eleven days) a number of microseconds could lose its nanoseconds.
const LIMIT: f64 = 1.0e15;

impl Micros {
    /// A time of so many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The time in nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }
}

impl std::ops::Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Micros {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self(0), |sum, time| sum + time)
    }
}

/// Microseconds with three decimals, without a unit.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", nanos / 1000, nanos % 1000)
    }
}

impl Serialize for Micros {
    #[allow(clippy::cast_precision_loss, reason = "exact within the limit that reading enforces")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = f64::deserialize(deserializer)?;
        let nanos = (micros * 1000.0).round();
        if nanos.abs() > LIMIT {
            return Err(D::Error::invalid_value(Unexpected::Float(micros), &"a time in microseconds"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "a whole number within the limit")]
        Ok(Self(nanos as i64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::push_json;

    fn text(nanos: i64) -> String {
        let mut out = Vec::new();
        push_json(&mut out, &Micros::from_nanos(nanos));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn files_have_three_decimals() {
        assert_eq!(text(12_340), "12.340");
        assert_eq!(text(0), "0.000");
        assert_eq!(text(-1), "-0.001");
        assert_eq!(Micros::from_nanos(-1_234_567).to_string(), "-1234.567");
    }

    #[test]
    fn numbers_that_are_no_times_are_refused() {
        for wrong in ["1e16", "-1e300", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Micros>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Micros>("3").unwrap(), Micros::from_nanos(3000));
    }

    #[test]
    fn arithmetic_saturates() {
        let most = Micros::from_nanos(i64::MAX);
        assert_eq!(most + most, most);
        assert_eq!((Micros::from_nanos(i64::MIN) - most).nanos(), i64::MIN);
        assert_eq!([1, 2, 3].map(Micros::from_nanos).into_iter().sum::<Micros>().nanos(), 6);
    }

    proptest! {
        #[test]
        fn nanoseconds_come_back(nanos in -1_000_000_000_000_000i64..=1_000_000_000_000_000) {
            let written = text(nanos);
            prop_assert_eq!(&written, &Micros::from_nanos(nanos).to_string());
            prop_assert_eq!(serde_json::from_str::<Micros>(&written).unwrap().nanos(), nanos);
        }
    }
}
