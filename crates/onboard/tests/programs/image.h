/* What these programs have in place of a Runtime object, and where KernelArgs has what they look at. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdatomic.h>
#include <stdint.h>

struct image {
    uint64_t report;           /* device address of 16 words, filled by the last AICPU thread */
    uint64_t cores;            /* how many cores have to come */
    uint64_t returned;         /* what the AICPU function returns */
    uint64_t patience_ms;      /* how long the AICPU waits for the cores, before it returns 4 */
    _Atomic uint64_t threads;  /* AICPU threads that came */
    _Atomic uint64_t arrived;  /* cores that came */
};

/* WALL, LOG and DEVICE_ID are the chip's offsets (spec/device-abi.md, section 1.2). */
#define FIELD(args, offset, type) (*(type *)((char *)(args) + (offset)))
#define IMAGE(args) FIELD(args, 48, struct image *)

#endif
