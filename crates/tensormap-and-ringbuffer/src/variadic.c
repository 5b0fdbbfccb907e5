/*
 * The entries of the runtime's function table that take printf-style arguments (spec/public-abi.md, section D.2).
 * Each formats its text and hands it to Rust.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_BYTES = 1024 };

typedef void (*message_fn)(int severity, int verbosity, const char *func, const char *text);
typedef void (*fatal_fn)(void *runtime, int32_t code, const char *func, const char *text);

/* Pointers, as functions that C calls by name would be exported by every library that this becomes part of. */
static message_fn on_message;
static fatal_fn on_fatal;

/* Called once, before the table of functions is used. */
void simpler_trb_connect(message_fn message, fatal_fn fatal) {
    on_message = message;
    on_fatal = fatal;
}

#define FORMAT(text, fmt)                              \
    char text[TEXT_BYTES];                             \
    text[0] = '\0';                                    \
    if ((fmt) != NULL) {                               \
        va_list arguments;                             \
        va_start(arguments, fmt);                      \
        vsnprintf(text, sizeof(text), fmt, arguments); \
        va_end(arguments);                             \
    }

void simpler_trb_report_fatal(void *runtime, int32_t code, const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    on_fatal(runtime, code, func, text);
}

void simpler_trb_log_error(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    on_message(3, 0, func, text);
}

void simpler_trb_log_warn(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    on_message(2, 0, func, text);
}

void simpler_trb_log_debug(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    on_message(0, 0, func, text);
}

void simpler_trb_log_info_v(const char *func, int verbosity, const char *fmt, ...) {
    FORMAT(text, fmt)
    on_message(1, verbosity, func, text);
}
