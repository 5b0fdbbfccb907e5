// Which kernels a task runs, and on how many cores.
// Contract: spec/public-abi.md, sections D.3, D.5 and I; layouts: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_SUBMIT_TYPES_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_SUBMIT_TYPES_H_

#include <cstddef>
#include <cstdint>

inline constexpr int32_t INVALID_KERNEL_ID = -1;       ///< no kernel
inline constexpr int32_t PTO2_SUBTASK_SLOT_COUNT = 3;  ///< kernels a task can have

/// The cores of a cluster.
enum class PTO2SubtaskSlot : uint8_t {
    AIC = 0,   ///< the cube core
    AIV0 = 1,  ///< the first vector core
    AIV1 = 2,  ///< the second vector core
};

// Bits of an ActiveMask.
inline constexpr uint8_t PTO2_SUBTASK_MASK_AIC = 1;
inline constexpr uint8_t PTO2_SUBTASK_MASK_AIV0 = 2;
inline constexpr uint8_t PTO2_SUBTASK_MASK_AIV1 = 4;
inline constexpr uint8_t PTO2_SUBTASK_FLAG_SYNC_START = 8;  ///< all blocks start together

/// What a block of a task occupies.
enum class PTO2ResourceShape : uint8_t {
    AIC = 0,    ///< a cube core
    AIV = 1,    ///< a vector core
    MIX = 2,    ///< cores of one cluster
    DUMMY = 3,  ///< nothing
};

inline constexpr int32_t PTO2_NUM_RESOURCE_SHAPES = 3;  ///< shapes that occupy cores

/// Which kernels a task has, as bits.
class ActiveMask {
public:
    constexpr ActiveMask() = default;
    constexpr explicit ActiveMask(uint8_t raw) : raw_(raw) {}

    constexpr uint8_t raw() const { return raw_; }
    /// Whether there is a kernel for this core.
    constexpr bool subtask_active(PTO2SubtaskSlot slot) const {
        return ((raw_ >> static_cast<uint8_t>(slot)) & 1) != 0;
    }
    /// The bits of the cores, without flags.
    constexpr uint8_t core_mask() const { return static_cast<uint8_t>(raw_ & CORES); }
    constexpr bool requires_sync_start() const { return has_mask(PTO2_SUBTASK_FLAG_SYNC_START); }
    /// A single kernel occupies its kind of core, several a cluster, none nothing.
    constexpr PTO2ResourceShape to_shape() const {
        const uint8_t cores = core_mask();
        if (cores == 0) {
            return PTO2ResourceShape::DUMMY;
        }
        if ((cores & (cores - 1)) != 0) {
            return PTO2ResourceShape::MIX;
        }
        return cores == PTO2_SUBTASK_MASK_AIC ? PTO2ResourceShape::AIC : PTO2ResourceShape::AIV;
    }
    constexpr void set_sync_start() { raw_ = static_cast<uint8_t>(raw_ | PTO2_SUBTASK_FLAG_SYNC_START); }

    constexpr bool operator==(ActiveMask other) const { return raw_ == other.raw_; }
    constexpr bool operator!=(ActiveMask other) const { return raw_ != other.raw_; }
    constexpr ActiveMask operator|(ActiveMask other) const {
        return ActiveMask(static_cast<uint8_t>(raw_ | other.raw_));
    }
    constexpr ActiveMask &operator|=(ActiveMask other) { return *this = *this | other; }
    constexpr ActiveMask operator&(uint8_t mask) const { return ActiveMask(static_cast<uint8_t>(raw_ & mask)); }
    /// Whether any of these bits is set.
    constexpr bool has_mask(uint8_t mask) const { return (raw_ & mask) != 0; }
    /// Whether any bit is set.
    constexpr explicit operator bool() const { return raw_ != 0; }

private:
    static constexpr uint8_t CORES = PTO2_SUBTASK_MASK_AIC | PTO2_SUBTASK_MASK_AIV0 | PTO2_SUBTASK_MASK_AIV1;
    uint8_t raw_{0};
};

/// The kernels of a task, one per core of a cluster; they run at the same time on the same cluster and get
/// the same arguments. A task with a kernel for one vector core may run on either.
struct MixedKernels {
    int32_t aic_kernel_id{INVALID_KERNEL_ID};
    int32_t aiv0_kernel_id{INVALID_KERNEL_ID};
    int32_t aiv1_kernel_id{INVALID_KERNEL_ID};

    /// Which of the three are set.
    ActiveMask to_active_mask() const {
        ActiveMask mask;
        mask |= ActiveMask(aic_kernel_id != INVALID_KERNEL_ID ? PTO2_SUBTASK_MASK_AIC : uint8_t{0});
        mask |= ActiveMask(aiv0_kernel_id != INVALID_KERNEL_ID ? PTO2_SUBTASK_MASK_AIV0 : uint8_t{0});
        mask |= ActiveMask(aiv1_kernel_id != INVALID_KERNEL_ID ? PTO2_SUBTASK_MASK_AIV1 : uint8_t{0});
        return mask;
    }
};

/// How often a task runs its kernels: once per block, on as many cores or clusters at a time as are free. The
/// number of blocks is called block_num on a2a3 and core_num on a5; 1 unless set, and never below 1.
class PTO2LaunchSpec {
public:
    constexpr PTO2LaunchSpec() = default;

#if defined(SIMPLER_ARCH_A5)
    int16_t core_num() const { return core_num_; }
    void set_core_num(int16_t n) { core_num_ = n; }
#else
    int16_t block_num() const { return block_num_; }
    void set_block_num(int16_t n) { block_num_ = n; }
#endif

    bool require_sync_start() const { return require_sync_start_; }
    /// Lets all blocks start at the same time. The run fails if there are more blocks than cores for them.
    void set_require_sync_start(bool v) { require_sync_start_ = v; }

private:
#if defined(SIMPLER_ARCH_A5)
    int16_t core_num_{1};
#else
    int16_t block_num_{1};
#endif
    bool require_sync_start_{false};
};

static_assert(sizeof(ActiveMask) == 1, "spec/public-layouts.json");
static_assert(sizeof(MixedKernels) == 12 && alignof(MixedKernels) == 4, "spec/public-layouts.json");
static_assert(offsetof(MixedKernels, aic_kernel_id) == 0, "spec/public-layouts.json");
static_assert(offsetof(MixedKernels, aiv0_kernel_id) == 4, "spec/public-layouts.json");
static_assert(offsetof(MixedKernels, aiv1_kernel_id) == 8, "spec/public-layouts.json");
static_assert(sizeof(PTO2LaunchSpec) == 4 && alignof(PTO2LaunchSpec) == 2, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_SUBMIT_TYPES_H_
