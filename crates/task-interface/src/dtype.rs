//! The enums of the contract (`spec/public-abi.md`, section B.1).
//!
//! Wire structures hold them as raw integers because foreign memory may contain any number; `TryFrom` is the only way
//! from a number to an enum.

use crate::wire_enum::wire_enum;

wire_enum! {
    /// Element type of a tensor. One byte in wire structures.
    DataType: u8 {
        /// IEEE binary32.
        Float32 = 0 => "FLOAT32",
        /// IEEE binary16.
        Float16 = 1 => "FLOAT16",
        /// Signed 32-bit integer.
        Int32 = 2 => "INT32",
        /// Signed 16-bit integer.
        Int16 = 3 => "INT16",
        /// Signed 8-bit integer.
        Int8 = 4 => "INT8",
        /// Unsigned 8-bit integer.
        Uint8 = 5 => "UINT8",
        /// The upper half of an IEEE binary32.
        Bfloat16 = 6 => "BFLOAT16",
        /// Signed 64-bit integer.
        Int64 = 7 => "INT64",
        /// Unsigned 64-bit integer.
        Uint64 = 8 => "UINT64",
        /// Unsigned 16-bit integer.
        Uint16 = 9 => "UINT16",
        /// Unsigned 32-bit integer.
        Uint32 = 10 => "UINT32",
    }
}

impl DataType {
    /// Size of one element in bytes.
    #[must_use]
    pub const fn element_size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Float16 | Self::Int16 | Self::Bfloat16 | Self::Uint16 => 2,
            Self::Float32 | Self::Int32 | Self::Uint32 => 4,
            Self::Int64 | Self::Uint64 => 8,
        }
    }
}

wire_enum! {
    /// Role of one entry of a callable signature. An `i32` in wire structures.
    ///
    /// Signatures are carried and shown by tensor dumps; execution does not interpret them.
    ArgDirection: i32 {
        /// A scalar.
        Scalar = 0 => "SCALAR",
        /// A tensor that is read.
        In = 1 => "IN",
        /// A tensor that is written.
        Out = 2 => "OUT",
        /// A tensor that is read and written.
        Inout = 3 => "INOUT",
    }
}

wire_enum! {
    /// Role of a tensor argument at submission. An `i32` in wire structures.
    TensorArgType: i32 {
        /// Read by the task.
        Input = 0 => "INPUT",
        /// Allocated by the runtime and written by the task.
        Output = 1 => "OUTPUT",
        /// Read and written by the task.
        Inout = 2 => "INOUT",
        /// Written by the task into memory that already exists.
        OutputExisting = 3 => "OUTPUT_EXISTING",
        /// Passed through without dependency tracking.
        NoDep = 4 => "NO_DEP",
    }
}

wire_enum! {
    /// Kind of core a kernel runs on. An `i32` in wire structures.
    CoreType: i32 {
        /// Matrix (cube) core.
        Aic = 0 => "AIC",
        /// Vector core.
        Aiv = 1 => "AIV",
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;
    use crate::EnumError;

    #[test]
    fn numbers_round_trip_and_the_next_number_is_refused() {
        for &dtype in DataType::ALL {
            assert_eq!(DataType::try_from(dtype.raw()), Ok(dtype));
        }
        for &direction in ArgDirection::ALL {
            assert_eq!(ArgDirection::try_from(i32::from(direction)), Ok(direction));
        }
        assert_eq!(DataType::try_from(11), Err(EnumError::DataType(11)));
        assert_eq!(ArgDirection::try_from(4), Err(EnumError::ArgDirection(4)));
        assert_eq!(ArgDirection::try_from(-1), Err(EnumError::ArgDirection(-1)));
        assert_eq!(TensorArgType::try_from(5), Err(EnumError::TensorArgType(5)));
        assert_eq!(CoreType::try_from(2), Err(EnumError::CoreType(2)));
    }

    #[test]
    fn element_sizes_follow_the_table_of_the_contract() {
        let sizes: Vec<usize> = DataType::ALL.iter().map(|dtype| dtype.element_size()).collect();
        assert_eq!(sizes, [4, 2, 4, 2, 1, 1, 2, 8, 8, 2, 4]);
    }

    #[test]
    fn display_is_the_contract_name() {
        assert_eq!(DataType::Bfloat16.to_string(), "BFLOAT16");
        assert_eq!(TensorArgType::OutputExisting.to_string(), "OUTPUT_EXISTING");
    }
}
