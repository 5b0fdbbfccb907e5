/*
 * libsimpler_log.so: the log of a process, shared by everything in it that is loaded later
 * (spec/public-abi.md, section A.7). Clients load it into the global scope and set the level once.
 *
 * The C++ class HostLogger, which the reference has in its library of this name, is not part of this one: only
 * the reference's own host libraries use it, and those come with their own log library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum { DEBUG_LEVEL, INFO_LEVEL, WARN_LEVEL, ERROR_LEVEL, NO_LEVEL };
enum { INFO_V_COUNT = 10, INITIAL_INFO_V = 5 };

/* ---- Which records are wanted ---- */

/* level * INFO_V_COUNT + info_v: one variable, so that no thread sees one half of a change. */
static atomic_int threshold = INFO_LEVEL * INFO_V_COUNT + INITIAL_INFO_V;

EXPORTED int simpler_log_init(int level, int info_v) {
    if (level < DEBUG_LEVEL || level > NO_LEVEL || info_v < 0 || info_v >= INFO_V_COUNT) return -1;
    atomic_store_explicit(&threshold, level * INFO_V_COUNT + info_v, memory_order_relaxed);
    return 0;
}

static bool is_wanted(int severity, int info_v) {
    const int now = atomic_load_explicit(&threshold, memory_order_relaxed);
    if (severity < DEBUG_LEVEL || severity > ERROR_LEVEL || severity < now / INFO_V_COUNT) return false;
    return severity != INFO_LEVEL || info_v >= now % INFO_V_COUNT;
}

/* Ours: whether such a record would be printed, for callers to whom making its text is work. info_v counts for
 * severity info only. */
EXPORTED int simpler_rs_log_enabled(int severity, int info_v) { return is_wanted(severity, info_v); }

/* ---- Text that grows; where memory runs out it is cut, as a log that fails helps nobody ---- */

struct text {
    char *bytes;
    size_t length, capacity;
    bool on_heap;
    char start[1024]; /* most lines fit, and cost no allocation */
};

static void init_text(struct text *text) {
    text->bytes = text->start;
    text->length = 0;
    text->capacity = sizeof text->start;
    text->on_heap = false;
}

static void free_text(struct text *text) {
    if (text->on_heap) free(text->bytes);
}

/* Makes room for more bytes and one after them, for a NUL or a newline; false if there is none to be had. */
static bool reserve(struct text *text, size_t more) {
    const size_t needed = text->length + more + 1;
    if (needed <= text->capacity) return true;
    const size_t capacity = needed > 2 * text->capacity ? needed : 2 * text->capacity;
    char *bytes = realloc(text->on_heap ? text->bytes : NULL, capacity);
    if (!bytes) return false;
    if (!text->on_heap) memcpy(bytes, text->start, text->length);
    text->bytes = bytes;
    text->capacity = capacity;
    text->on_heap = true;
    return true;
}

static void add(struct text *text, const char *string) {
    size_t length = strlen(string);
    if (!reserve(text, length)) length = text->capacity - text->length - 1;
    memcpy(text->bytes + text->length, string, length);
    text->length += length;
}

static void add_formatted(struct text *text, int caller_errno, const char *format, va_list arguments) {
    for (;;) {
        const size_t room = text->capacity - text->length;
        va_list copy;
        va_copy(copy, arguments);
        errno = caller_errno; /* %m */
        const int length = vsnprintf(text->bytes + text->length, room, format, copy);
        va_end(copy);
        if (length < 0) {
            add(text, format); /* such as a wide character that has no form in this locale */
            return;
        }
        if ((size_t)length < room) {
            text->length += (size_t)length;
            return;
        }
        if (!reserve(text, (size_t)length)) {
            text->length = text->capacity - 1;
            return;
        }
    }
}

PRINTF_LIKE(2, 3) static void add_short(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_formatted(text, 0, format, arguments);
    va_end(arguments);
}

/* ---- Lines ---- */

static void add_time(struct text *text) {
    struct timespec now;
    struct tm local;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    if (!localtime_r(&now.tv_sec, &local)) memset(&local, 0, sizeof local);
    strftime(seconds, sizeof seconds, "%Y-%m-%d %H:%M:%S", &local);
    add_short(text, "[%s.%06ld]", seconds, now.tv_nsec / 1000);
}

static void add_head(struct text *text, int severity, int info_v, const char *func) {
    static const char *const tags[] = {[DEBUG_LEVEL] = "DEBUG", [WARN_LEVEL] = "WARN", [ERROR_LEVEL] = "ERROR"};
    add_time(text);
    add_short(text, "[T0x%lx]", (unsigned long)pthread_self());
    if (severity == INFO_LEVEL) {
        add_short(text, "[INFO_V%d] ", info_v);
    } else {
        add_short(text, "[%s] ", tags[severity]);
    }
    add(text, func ? func : "(null)");
    add(text, ": ");
}

/* Whoever shares the other end of our stderr may have made it non-blocking. */
static bool wait_for_room(void) {
    struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&stream, 1, -1) >= 0 || errno == EINTR;
}

/* One write per line. A pipe takes long lines in pieces, hence the lock; it is that of the stream, as that one
 * also holds back printf in other threads, and is free in a child after fork. */
static void write_line(struct text *text) {
    if (text->bytes[text->length - 1] != '\n') text->bytes[text->length++] = '\n';
    flockfile(stderr);
    const char *rest = text->bytes;
    size_t length = text->length;
    while (length > 0) {
        const ssize_t written = write(STDERR_FILENO, rest, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN && wait_for_room()) continue;
        if (written <= 0) break;
        rest += written;
        length -= (size_t)written;
    }
    funlockfile(stderr);
}

static void write_formatted(int severity, int info_v, const char *func, const char *format, va_list arguments) {
    if (!is_wanted(severity, info_v)) return;
    const int caller_errno = errno;
    struct text text;
    init_text(&text);
    add_head(&text, severity, info_v, func);
    if (format) {
        add_formatted(&text, caller_errno, format, arguments);
    } else {
        add(&text, "(null)");
    }
    write_line(&text);
    free_text(&text);
    errno = caller_errno;
}

#define WRITE_ARGUMENTS(severity, info_v)                          \
    do {                                                           \
        va_list arguments;                                         \
        va_start(arguments, fmt);                                  \
        write_formatted(severity, info_v, func, fmt, arguments);   \
        va_end(arguments);                                         \
    } while (0)

PRINTF_LIKE(2, 3) EXPORTED void unified_log_error(const char *func, const char *fmt, ...) {
    WRITE_ARGUMENTS(ERROR_LEVEL, 0);
}

PRINTF_LIKE(2, 3) EXPORTED void unified_log_warn(const char *func, const char *fmt, ...) {
    WRITE_ARGUMENTS(WARN_LEVEL, 0);
}

PRINTF_LIKE(2, 3) EXPORTED void unified_log_debug(const char *func, const char *fmt, ...) {
    WRITE_ARGUMENTS(DEBUG_LEVEL, 0);
}

PRINTF_LIKE(3, 4) EXPORTED void unified_log_info_v(const char *func, int v, const char *fmt, ...) {
    WRITE_ARGUMENTS(INFO_LEVEL, v);
}
