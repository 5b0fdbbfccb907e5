/*
 * The entries of the runtime's function table that take printf-style arguments (spec/public-abi.md, section D.2).
 * Each formats its text and hands it to Rust.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXT_BYTES = 1024 };

void simpler_trb_message(int severity, const char *func, const char *text);
void simpler_trb_fatal(void *runtime, int32_t code, const char *func, const char *text);

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
    simpler_trb_fatal(runtime, code, func, text);
}

void simpler_trb_log_error(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    simpler_trb_message(3, func, text);
}

void simpler_trb_log_warn(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    simpler_trb_message(2, func, text);
}

void simpler_trb_log_debug(const char *func, const char *fmt, ...) {
    FORMAT(text, fmt)
    simpler_trb_message(0, func, text);
}

void simpler_trb_log_info_v(const char *func, int verbosity, const char *fmt, ...) {
    (void)verbosity;
    FORMAT(text, fmt)
    simpler_trb_message(1, func, text);
}
