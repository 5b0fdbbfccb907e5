/*
 * What soft-cann offers to device programs that run on it, and what it asks of them.
 *
 * AICore program: a shared object for this machine that exports
 *
 *     void aicore_kernel_0_mix_aic(void *kernel_args);
 *     void aicore_kernel_0_mix_aiv(void *kernel_args);
 *
 * and, if it wants to know which core it runs on (on a chip those are instructions),
 *
 *     void soft_cann_bind_core(const struct soft_cann_core *core);
 *
 * which is called once per loaded copy, before any kernel. The table lives for ever. Its functions answer for
 * the calling thread, and only for threads that soft-cann started a kernel on; elsewhere they return 0.
 *
 * The argument of a kernel is the 8-byte word that the launch copied: the device address of KernelArgs. Every
 * kernel of a launch has a thread of its own, all of them at once.
 *
 * AICPU programs and dispatchers need nothing of this: they are called as CANN calls them (spec/hal.md, section
 * 4). A dispatcher writes into the directory that the environment variable SIMPLER_AICPU_KERNEL_DIR names, and it
 * may export
 *
 *     void soft_cann_bind_kernel_dir(const char *directory);
 *
 * to be told without the environment. The string lives for ever.
 */
#ifndef SOFT_CANN_DEVICE_H
#define SOFT_CANN_DEVICE_H

#include <stdint.h>

struct soft_cann_core {
    uint32_t size;                  /* of this struct in bytes; functions beyond it do not exist */
    uint32_t reserved;              /* 0 */
    uint32_t (*block_idx)(void);    /* 0 .. block_num-1, the same for the three cores of a block */
    uint32_t (*block_num)(void);    /* of this launch */
    uint32_t (*sub_block_id)(void); /* 0 on an AIC; 0 or 1 on an AIV */
    uint32_t (*sub_block_dim)(void);/* AIVs per block: 2 */
    uint32_t (*core_id)(void);      /* physical core: index into the table at KernelArgs.regs */
    void *(*registers)(void);       /* register block of this core, which on a chip are special registers */
    uint32_t (*killed)(void);       /* not 0 once the launch has failed (timeout, device lost): leave */
};

#endif
