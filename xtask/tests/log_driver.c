/* Uses libsimpler_log.so the way clients and host libraries do: log_driver <library> <scenario>. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*log_fn)(const char *, const char *, ...);

static int (*init)(int, int);
static log_fn log_error, log_warn, log_debug;
static void (*log_info)(const char *, int, const char *, ...);
static int (*enabled)(int, int);

static void expect(int holds, const char *what) {
    if (holds) return;
    printf("does not hold: %s\n", what);
    exit(1);
}
#define EXPECT(condition) expect(condition, #condition)

static void look_up(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    expect(library != NULL, path);
    init = (int (*)(int, int))dlsym(library, "simpler_log_init");
    log_error = (log_fn)dlsym(library, "unified_log_error");
    log_warn = (log_fn)dlsym(library, "unified_log_warn");
    log_debug = (log_fn)dlsym(library, "unified_log_debug");
    log_info = (void (*)(const char *, int, const char *, ...))dlsym(library, "unified_log_info_v");
    enabled = (int (*)(int, int))dlsym(library, "simpler_rs_log_enabled");
    EXPECT(init && log_error && log_warn && log_debug && log_info && enabled);
}

/* One record of each kind, and what enabled says about them. */
static void all_kinds(const char *func) {
    log_debug(func, "debug");
    for (int v = 0; v < 10; ++v) log_info(func, v, "info %d", v);
    log_warn(func, "warn");
    log_error(func, "error");
    printf("%s %d", func, enabled(0, 9));
    for (int v = 0; v < 10; ++v) printf("%d", enabled(1, v));
    printf("%d%d\n", enabled(2, 0), enabled(3, 0));
}

static void levels(void) {
    all_kinds("initial");
    for (int level = 0; level <= 4; ++level) {
        char name[16];
        snprintf(name, sizeof name, "level%d", level);
        EXPECT(init(level, 7) == 0);
        all_kinds(name);
    }
    EXPECT(init(1, 9) == 0);
    EXPECT(init(-1, 5) == -1 && init(5, 5) == -1 && init(0, -1) == -1 && init(0, 10) == -1);
    all_kinds("kept");
    EXPECT(!enabled(-1, 9) && !enabled(4, 9));
}

static void forms(void) {
    init(0, 0);
    errno = ENOENT;
    log_error("format", "%d %s %.1f %m", 42, "words", 1.5);
    EXPECT(errno == ENOENT);
    log_error("newline", "one is enough\n");
    log_error("lines", "first\nsecond");
    log_error("empty", "%s", "");
    log_error(NULL, "no func");
    log_error("null", NULL);
    EXPECT(errno == ENOENT);
    errno = 0;
    log_error("bad", "%lc", 0x40000000); /* has no form in any locale */
    EXPECT(errno == 0);
}

enum { LONG = 300000 };

static void long_message(void) {
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = 0;
    log_warn("long", "%s", text);
    for (size_t length = 900; length < 1100; ++length) {
        text[length] = 0; /* around the size that needs no allocation */
        log_warn("edge", "%s", text);
        text[length] = 'x';
    }
    free(text);
}

enum { THREADS = 8, RECORDS = 200, WIDTH = 6000 };

static void *many_records(void *argument) {
    char text[WIDTH + 1];
    memset(text, 'a' + (int)(intptr_t)argument, WIDTH);
    text[WIDTH] = 0;
    for (int i = 0; i < RECORDS; ++i) log_warn("thread", "%s", text);
    return NULL;
}

static void threads(void) {
    pthread_t handles[THREADS];
    for (intptr_t i = 0; i < THREADS; ++i) pthread_create(&handles[i], NULL, many_records, (void *)i);
    for (int i = 0; i < THREADS; ++i) pthread_join(handles[i], NULL);
}

int main(int argc, char **argv) {
    expect(argc == 3, "two arguments");
    look_up(argv[1]);
    if (!strcmp(argv[2], "levels")) levels();
    if (!strcmp(argv[2], "forms")) forms();
    if (!strcmp(argv[2], "long")) long_message();
    if (!strcmp(argv[2], "threads")) threads();
    return 0;
}
