/* The function of libunified_dlog.so that device programs call with a variable number of arguments. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

int32_t CheckLogLevel(int32_t module, int32_t level);

void DlogRecord(int32_t module, int32_t level, const char *format, ...) {
    if (!CheckLogLevel(module, level)) return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "[dlog %d:%d] %s\n", module, level, text);
}
