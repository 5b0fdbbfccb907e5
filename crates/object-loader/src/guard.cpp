// Calls foreign functions so that no C++ exception leaves this file. Declared in call.rs, its only user.
//
// Outcome of a guarded call, as call.rs reads it:
//   0  the function returned
//   1  it threw; err holds "<type>\0"
//   2  it threw a std::exception; err holds "<type>\0<what()>\0"
// err is written only after a throw; texts that do not fit are cut.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <exception>
#include <typeinfo>

namespace {

constexpr int kReturned = 0;
constexpr int kThrew = 1;
constexpr int kThrewWithText = 2;

// A bounded writer of NUL-terminated strings. Each text may use what is left minus one byte, so that a
// following text can still be terminated.
class TextBuffer {
public:
    TextBuffer(char *begin, size_t size) : next_(begin), left_(size) {}

    void append(const char *text) {
        if (left_ == 0) return;
        const size_t room = left_ > 1 ? left_ - 2 : 0;
        const size_t length = strnlen(text, room);
        memcpy(next_, text, length);
        next_[length] = '\0';
        next_ += length + 1;
        left_ -= length + 1;
    }

private:
    char *next_;
    size_t left_;
};

void append_type_name(TextBuffer &out, const std::type_info &type) {
    int status = 0;
    char *readable = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    out.append(readable != nullptr ? readable : type.name());
    std::free(readable);
}

// Only callable from inside a catch handler.
int report_current_exception(char *err, size_t err_size) {
    // Null for what other languages throw: a Rust panic on its way to its catch_unwind, which aborts when
    // someone else ends it. Asked first, because __cxa_current_exception_type reads garbage for those.
    if (std::current_exception() == nullptr) throw;
    TextBuffer out(err, err_size);
    append_type_name(out, *abi::__cxa_current_exception_type());
    try {
        throw;
    } catch (const std::exception &exception) {
        const char *text = exception.what();
        if (text == nullptr) return kThrew;
        out.append(text);
        return kThrewWithText;
    } catch (...) {
        return kThrew;
    }
}

}  // namespace

extern "C" int object_loader_guard_call_void(void (*f)(int64_t *), int64_t *args, char *err, size_t err_size) {
    try {
        f(args);
        return kReturned;
    } catch (abi::__forced_unwind &) {
        // Thread exit or cancellation: glibc ends the process if this does not go on.
        throw;
    } catch (...) {
        return report_current_exception(err, err_size);
    }
}

extern "C" int object_loader_guard_call_int(
    int (*f)(void *, const void *), void *a, const void *b, int *result, char *err, size_t err_size
) {
    try {
        *result = f(a, b);
        return kReturned;
    } catch (abi::__forced_unwind &) {
        throw;
    } catch (...) {
        return report_current_exception(err, err_size);
    }
}
