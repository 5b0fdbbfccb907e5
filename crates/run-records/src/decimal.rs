//! 64-bit numbers as decimal strings: JSON numbers of many readers have 53 bits only.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    // `parse` alone would take a sign.
    let number = if text.starts_with('+') { None } else { text.parse().ok() };
    number.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a 64-bit number in decimal"))
}

/// The same for fields that not every object has.
pub(crate) mod option {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super")] u64);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(value)| value))
    }
}

/// The same for lists that not every object has.
pub(crate) mod list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super")] u64);

    #[allow(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        list: &Option<Vec<u64>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match list {
            Some(list) => serializer.collect_seq(list.iter().copied().map(Number)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u64>>, D::Error> {
        let list = Option::<Vec<Number>>::deserialize(deserializer)?;
        Ok(list.map(|list| list.into_iter().map(|Number(number)| number).collect()))
    }
}
