// Element types of tensors and the packing of scalar arguments into 64-bit slots.
// Contract: spec/public-abi.md, section B.1.
#ifndef SIMPLER_TASK_INTERFACE_DATA_TYPE_H_
#define SIMPLER_TASK_INTERFACE_DATA_TYPE_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

/// Element type of a tensor. The numbers cross binary boundaries and never change.
enum class DataType : uint8_t {
    FLOAT32 = 0,
    FLOAT16 = 1,
    INT32 = 2,
    INT16 = 3,
    INT8 = 4,
    UINT8 = 5,
    BFLOAT16 = 6,
    INT64 = 7,
    UINT64 = 8,
    UINT16 = 9,
    UINT32 = 10,
    DATA_TYPE_NUM  ///< how many there are; not a type
};

/// Bytes of one element; 0 for a value that is no DataType.
inline uint64_t get_element_size(DataType dtype) {
    switch (dtype) {
        case DataType::INT8:
        case DataType::UINT8:
            return 1;
        case DataType::FLOAT16:
        case DataType::BFLOAT16:
        case DataType::INT16:
        case DataType::UINT16:
            return 2;
        case DataType::FLOAT32:
        case DataType::INT32:
        case DataType::UINT32:
            return 4;
        case DataType::INT64:
        case DataType::UINT64:
            return 8;
        case DataType::DATA_TYPE_NUM:
            break;
    }
    return 0;
}

/// Name of the enumerator, for messages; "UNKNOWN" for a value that is no DataType.
inline const char *get_dtype_name(DataType dtype) {
    switch (dtype) {
        case DataType::FLOAT32:
            return "FLOAT32";
        case DataType::FLOAT16:
            return "FLOAT16";
        case DataType::INT32:
            return "INT32";
        case DataType::INT16:
            return "INT16";
        case DataType::INT8:
            return "INT8";
        case DataType::UINT8:
            return "UINT8";
        case DataType::BFLOAT16:
            return "BFLOAT16";
        case DataType::INT64:
            return "INT64";
        case DataType::UINT64:
            return "UINT64";
        case DataType::UINT16:
            return "UINT16";
        case DataType::UINT32:
            return "UINT32";
        case DataType::DATA_TYPE_NUM:
            break;
    }
    return "UNKNOWN";
}

namespace simpler {
namespace detail {

template <typename T>
using BareType = std::remove_cv_t<std::remove_reference_t<T>>;

template <typename T>
constexpr bool fits_scalar_slot() {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return sizeof(T) <= sizeof(uint64_t);
    } else {
        return false;
    }
}

}  // namespace detail
}  // namespace simpler

/// Whether T can travel in one 64-bit scalar slot: arithmetic and enum types of at most 8 bytes.
template <typename T>
inline constexpr bool is_supported_scalar_arg_v = simpler::detail::fits_scalar_slot<simpler::detail::BareType<T>>();

/// The bytes of `value` in the low end of a slot, zeros above: 1.5f becomes 0x3FC00000, int32_t{-1}
/// becomes 0xFFFFFFFF (no sign extension). Assumes a little-endian machine, as every target is.
template <typename T>
inline uint64_t to_u64(T value) {
    static_assert(is_supported_scalar_arg_v<T>, "a scalar argument is an arithmetic or enum type of at most 8 bytes");
    uint64_t slot = 0;
    std::memcpy(&slot, &value, sizeof(T));
    return slot;
}

/// Inverse of to_u64: reads a T from the low bytes of a slot; the bytes above are ignored.
template <typename T>
inline T from_u64(uint64_t slot) {
    static_assert(is_supported_scalar_arg_v<T>, "a scalar argument is an arithmetic or enum type of at most 8 bytes");
    T value;
    std::memcpy(&value, &slot, sizeof(T));
    return value;
}

static_assert(sizeof(DataType) == 1, "spec/public-abi.md, section B.1");
static_assert(static_cast<int>(DataType::DATA_TYPE_NUM) == 11, "spec/public-abi.md, section B.1");

#endif  // SIMPLER_TASK_INTERFACE_DATA_TYPE_H_
