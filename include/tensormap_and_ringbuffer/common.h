// Assertions of orchestrations and kernels.
// Contract: spec/public-abi.md, sections D.2 and D.3.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_COMMON_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_COMMON_H_

#include <cstdlib>
#include <stdexcept>
#include <string>

// Where the functions come from that orchestration libraries share. By default from these headers, so an
// orchestration is one source. A source that defines them itself - it includes this header first, as sources
// written for a separate support file do, or it defines SIMPLER_TRB_OWN_SUPPORT - gets declarations only. Both
// kinds may be linked into one library.
#if !defined(SIMPLER_TRB_OWN_SUPPORT) && defined(__INCLUDE_LEVEL__) && __INCLUDE_LEVEL__ == 1
#define SIMPLER_TRB_OWN_SUPPORT 1
#endif

/// An assertion that did not hold. what() names the condition and the place. Nobody in the library catches
/// it: it ends the orchestration.
class AssertionError : public std::runtime_error {
public:
    AssertionError(const char *condition, const char *file, int line);

    const char *condition() const { return condition_; }
    const char *file() const { return file_; }
    int line() const { return line_; }

private:
    const char *condition_;
    const char *file_;
    int line_;
};

#if defined(SIMPLER_TRB_OWN_SUPPORT)

/// The calls that led here, one per line, for messages; the source that defines it decides on the text.
std::string get_stacktrace(int skip_frames = 1);

/// Throws AssertionError.
[[noreturn]] void assert_impl(const char *condition, const char *file, int line);

#else

inline AssertionError::AssertionError(const char *condition, const char *file, int line)
    : std::runtime_error(std::string("assertion failed: ") + condition + " (" + file + ":" + std::to_string(line) +
                         ")"),
      condition_(condition),
      file_(file),
      line_(line) {}

/// Throws AssertionError.
[[noreturn]] inline void assert_impl(const char *condition, const char *file, int line) {
    throw AssertionError(condition, file, line);
}

#endif  // SIMPLER_TRB_OWN_SUPPORT

/// Throws AssertionError when the condition is false, in every build.
#define always_assert(cond)                         \
    do {                                            \
        if (!(cond)) {                              \
            assert_impl(#cond, __FILE__, __LINE__); \
        }                                           \
    } while (false)

/// always_assert in builds without NDEBUG, which orchestrations are; nothing in kernels, which have NDEBUG.
#if defined(NDEBUG)
#define debug_assert(cond) ((void)0)
#else
#define debug_assert(cond) always_assert(cond)
#endif

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_COMMON_H_
