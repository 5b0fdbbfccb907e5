//! Element types in files.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use task_interface::DataType;

const UNKNOWN: &str = "UNKNOWN";

/// An element type as files name it (`spec/device-abi.md`, section 6.7); `None` is a number that has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtype(pub Option<DataType>);

impl From<u8> for Dtype {
    fn from(number: u8) -> Self {
        Self(DataType::try_from(number).ok())
    }
}

impl From<DataType> for Dtype {
    fn from(dtype: DataType) -> Self {
        Self(Some(dtype))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(dtype) => dtype.fmt(f),
            None => f.write_str(UNKNOWN),
        }
    }
}

impl Serialize for Dtype {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if name == UNKNOWN {
            return Ok(Self(None));
        }
        let known = DataType::ALL.iter().find(|dtype| dtype.to_string() == name);
        let dtype = known
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &"the name of an element type"))?;
        Ok(Self(Some(*dtype)))
    }
}
