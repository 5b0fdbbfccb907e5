// Includes every header, each twice, and checks what can be checked without running.
#include "orchestration_api.h"
#include "arg_direction.h"
#include "common/core_type.h"
#include "data_type.h"
#include "pipe_sync.h"
#include "simpler_kernel.h"
#include "task_args.h"
#include "tensor_arg.h"
#include "tensor_info.h"

#include "simpler_kernel.h"
#include "task_args.h"
#include "tensor_info.h"
#include "orchestration_api.h"

template <typename A, typename B>
inline constexpr bool same = std::is_same_v<A, B>;

static_assert(same<std::underlying_type_t<DataType>, uint8_t>);
static_assert(static_cast<int>(DataType::FLOAT32) == 0 && static_cast<int>(DataType::FLOAT16) == 1);
static_assert(static_cast<int>(DataType::INT32) == 2 && static_cast<int>(DataType::INT16) == 3);
static_assert(static_cast<int>(DataType::INT8) == 4 && static_cast<int>(DataType::UINT8) == 5);
static_assert(static_cast<int>(DataType::BFLOAT16) == 6 && static_cast<int>(DataType::INT64) == 7);
static_assert(static_cast<int>(DataType::UINT64) == 8 && static_cast<int>(DataType::UINT16) == 9);
static_assert(static_cast<int>(DataType::UINT32) == 10 && static_cast<int>(DataType::DATA_TYPE_NUM) == 11);

static_assert(same<std::underlying_type_t<ArgDirection>, int32_t>);
static_assert(static_cast<int>(ArgDirection::SCALAR) == 0 && static_cast<int>(ArgDirection::IN) == 1);
static_assert(static_cast<int>(ArgDirection::OUT) == 2 && static_cast<int>(ArgDirection::INOUT) == 3);
static_assert(CORE_MAX_TENSOR_ARGS == 16 && CORE_MAX_SCALAR_ARGS == 32);
static_assert(CHIP_MAX_TENSOR_ARGS == 128 && CHIP_MAX_SCALAR_ARGS == 128 && CALLABLE_ALIGN == 64);

static_assert(same<std::underlying_type_t<TensorArgType>, int32_t>);
static_assert(static_cast<int>(TensorArgType::INPUT) == 0 && static_cast<int>(TensorArgType::OUTPUT) == 1);
static_assert(static_cast<int>(TensorArgType::INOUT) == 2);
static_assert(static_cast<int>(TensorArgType::OUTPUT_EXISTING) == 3 && static_cast<int>(TensorArgType::NO_DEP) == 4);

static_assert(same<std::underlying_type_t<CoreType>, int32_t>);
static_assert(static_cast<int>(CoreType::AIC) == 0 && static_cast<int>(CoreType::AIV) == 1);

enum class Small : int8_t { A };
struct NoScalar {};
static_assert(is_supported_scalar_arg_v<float> && is_supported_scalar_arg_v<const bool &>);
static_assert(is_supported_scalar_arg_v<Small> && !is_supported_scalar_arg_v<NoScalar>);
static_assert(!is_supported_scalar_arg_v<void *> && !is_supported_scalar_arg_v<long double>);
static_assert(CONTINUOUS_TENSOR_MAX_DIMS == 5 && TASK_ARGS_BLOB_HEADER_SIZE == 8);
static_assert(sizeof(TaskArgsTpl<ContinuousTensor, uint64_t, 2, 1, TensorArgType>) == 2 * 4 + 2 * 40 + 8 + 8);

// The entry types fit what the header declares.
extern "C" int some_orchestration(OrchestrationRuntime *, const ChipStorageTaskArgs &);
static_assert(same<decltype(&some_orchestration), OrchestrationFunc>);

void use() {
    pipe_sync();
}
