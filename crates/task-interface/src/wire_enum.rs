//! What every enum of the contract has in common: numbers, names, and the checked way back from a number.

use thiserror::Error;

/// Defines one enum with its number, its upper-case contract name and the checked conversion from a raw integer.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        $name:ident: $raw:ident { $($(#[$variant_meta:meta])* $variant:ident = $value:literal => $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($raw)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)+
        }

        impl $name {
            /// Every value, ordered by its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name of the contract, in upper case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The number used in wire structures.
            #[must_use]
            pub const fn raw(self) -> $raw {
                self as $raw
            }
        }

        impl TryFrom<$raw> for $name {
            type Error = $crate::wire_enum::EnumError;

            fn try_from(raw: $raw) -> Result<Self, $crate::wire_enum::EnumError> {
                match raw {
                    $($value => Ok(Self::$variant),)+
                    other => Err($crate::wire_enum::EnumError::$name(other)),
                }
            }
        }

        impl From<$name> for $raw {
            fn from(value: $name) -> Self {
                value.raw()
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use wire_enum;

/// A raw integer that names no value of its enum (`spec/public-abi.md`, sections B.1 and D.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnumError {
    /// Not a [`DataType`](crate::DataType).
    #[error("{0} is not a DataType; use a number in 0..=10")]
    DataType(u8),
    /// Not an [`ArgDirection`](crate::ArgDirection).
    #[error("{0} is not an ArgDirection; use a number in 0..=3")]
    ArgDirection(i32),
    /// Not a [`TensorArgType`](crate::TensorArgType).
    #[error("{0} is not a TensorArgType; use a number in 0..=4")]
    TensorArgType(i32),
    /// Not a [`CoreType`](crate::CoreType).
    #[error("{0} is not a CoreType; use 0 (AIC) or 1 (AIV)")]
    CoreType(i32),
    /// Not a [`ScopeMode`](crate::trb::ScopeMode).
    #[error("{0} is not a scope mode; use 0 (AUTO) or 1 (MANUAL)")]
    ScopeMode(u8),
    /// Not a [`SubtaskSlot`](crate::trb::SubtaskSlot).
    #[error("{0} is not a subtask slot; use 0 (AIC), 1 (AIV0) or 2 (AIV1)")]
    SubtaskSlot(u8),
    /// Not a [`ResourceShape`](crate::trb::ResourceShape).
    #[error("{0} is not a resource shape; use a number in 0..=3")]
    ResourceShape(u8),
    /// Not an [`AsyncEngine`](crate::trb::AsyncEngine).
    #[error("{0} is not an asynchronous engine; use a number in 0..=3")]
    AsyncEngine(u32),
    /// Not a [`CompletionType`](crate::trb::CompletionType).
    #[error("{0} is not a completion type; use 0 (COUNTER) or, on a2a3 only, 1 (SDMA_EVENT_RECORD)")]
    CompletionType(i32),
    /// Not an [`OverlapStatus`](crate::trb::OverlapStatus).
    #[error("{0} is not an overlap status; use a number in 0..=2")]
    OverlapStatus(i32),
}
