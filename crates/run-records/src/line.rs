//! JSON on one line, as the contract shows it: `{"key": value, "key": value}`.
//!
//! A file may have tens of thousands of such lines, which are written while a caller waits. Their keys are names of
//! fields, which need no escapes, and nearly all of their values are numbers.

use std::fmt;

use serde::ser::{Impossible, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

/// Appends a value to a buffer; every fraction has three decimals, as only times have any. Takes what records are made
/// of: structs, lists, numbers and strings. Anything else is an error.
pub(crate) struct Line<'a>(pub(crate) &'a mut Vec<u8>);

/// A list or a struct that has begun.
pub(crate) struct Parts<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
    end: u8,
}

impl<'a> Line<'a> {
    fn push(self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn open(self, begin: u8, end: u8) -> Parts<'a> {
        self.0.push(begin);
        Parts { out: self.0, is_first: true, end }
    }
}

impl Parts<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.extend_from_slice(b", ");
        }
    }

    fn close(self) -> fmt::Result {
        self.out.push(self.end);
        Ok(())
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.separate();
        value.serialize(Line(self.out))
    }

    fn end(self) -> fmt::Result {
        self.close()
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> fmt::Result {
        self.close()
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = fmt::Error;

    // Keys are known where this is called: copied as constants they cost next to nothing.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "twice as fast, measured")]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> fmt::Result {
        self.separate();
        self.out.extend_from_slice(b"\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
        value.serialize(Line(self.out))
    }

    fn end(self) -> fmt::Result {
        self.close()
    }
}

macro_rules! integers {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, value: $type) -> fmt::Result {
            self.push(itoa::Buffer::new().format(value))
        })*
    };
}

/// What is in no file.
macro_rules! unknown {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, fmt::Error> {
            Err(fmt::Error)
        })*
    };
}

type Nothing = Impossible<(), fmt::Error>;
type Name = &'static str;

impl<'a> Serializer for Line<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStructVariant = Nothing;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64
    }

    fn serialize_f64(self, value: f64) -> fmt::Result {
        #[allow(clippy::cast_possible_truncation, reason = "times are far below: see `Micros`")]
        let thousandths = (value * 1000.0).round() as i64;
        if thousandths < 0 {
            self.0.push(b'-');
        }
        let (whole, rest) = (thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
        self.0.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        #[allow(clippy::cast_possible_truncation, reason = "a digit")]
        let digit = |unit: u64| b'0' + (rest / unit % 10) as u8;
        self.0.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> fmt::Result {
        self.push(if value { "true" } else { "false" })
    }

    fn serialize_str(self, value: &str) -> fmt::Result {
        serde_json::to_writer(self.0, value).map_err(|_| fmt::Error)
    }

    fn serialize_unit_variant(self, _: Name, _: u32, variant: Name) -> fmt::Result {
        self.0.push(b'"');
        self.0.extend_from_slice(variant.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_none(self) -> fmt::Result {
        self.push("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: Name, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, fmt::Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, fmt::Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_struct(self, _: Name, _: usize) -> Result<Parts<'a>, fmt::Error> {
        Ok(self.open(b'{', b'}'))
    }

    unknown! {
        serialize_f32(f32) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(Name) -> ();
        serialize_tuple_struct(Name, usize) -> Nothing;
        serialize_tuple_variant(Name, u32, Name, usize) -> Nothing;
        serialize_map(Option<usize>) -> Nothing;
        serialize_struct_variant(Name, u32, Name, usize) -> Nothing;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: Name,
        _: u32,
        _: Name,
        _: &T,
    ) -> fmt::Result {
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Holding(u8),
    }

    #[derive(Default, Serialize)]
    struct Record {
        text: &'static str,
        least: i64,
        most: u64,
        is_so: bool,
        inner: Option<Box<Record>>,
        kinds: Vec<Kind>,
        times: [f64; 5],
    }

    fn line(value: &impl Serialize) -> Result<String, fmt::Error> {
        let mut out = Vec::new();
        value.serialize(Line(&mut out)).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn records_are_written_on_one_line() {
        let record = Record {
            text: "a \"b\"\n",
            least: i64::MIN,
            most: u64::MAX,
            is_so: true,
            inner: Some(Box::default()),
            kinds: vec![Kind::Plain, Kind::Plain],
            times: [0.0, -0.001, 12.34, 999.9994, 1e12],
        };
        let inner = r#"{"text": "", "least": 0, "most": 0, "is_so": false, "inner": null, "kinds": [], "times": [0.000, 0.000, 0.000, 0.000, 0.000]}"#;
        let expected = [
            r#"{"text": "a \"b\"\n", "least": -9223372036854775808, "most": 18446744073709551615, "is_so": true, "#,
            &format!(r#""inner": {inner}, "kinds": ["Plain", "Plain"], "#),
            r#""times": [0.000, -0.001, 12.340, 999.999, 1000000000000.000]}"#,
        ];
        assert_eq!(line(&record), Ok(expected.concat()));
    }

    #[test]
    fn what_no_record_has_is_refused() {
        let results = [
            line(&Kind::Holding(1)),
            line(&1.5f32),
            line(&'a'),
            line(&()),
            line(&std::collections::BTreeMap::from([(1, 2)])),
        ];
        assert!(results.iter().all(|result| *result == Err(fmt::Error)), "{results:?}");
    }
}
