/* A libsimpler_log.so that notes how it is started; -DCODE is what it returns. */
#include <stdio.h>

int simpler_log_init(int level, int info_v) {
    FILE *calls = fopen(CALLS, "a");
    fprintf(calls, "simpler_log_init %d %d\n", level, info_v);
    fclose(calls);
    return CODE;
}

/* What host libraries count on. */
int FROM_LOG(void) { return 1; }
