/*
 * How a program that runs on soft-cann controls and questions it. The functions are in libsoft_cann_core.so,
 * beside the libraries of the vendor's names. `device` is the number of a device, or -1 for calls that belong to
 * none.
 */
#ifndef SOFT_CANN_H
#define SOFT_CANN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Something that goes wrong from now on, for example "fn=rtMalloc:nth=3:rc=207001"; the forms are those of
 * soft_cann::Rule. Returns the rule's number on that device, or -1. */
int32_t soft_cann_inject(int32_t device, const char *rule);
/* How often a rule has taken effect; UINT64_MAX if there is no such rule. */
uint64_t soft_cann_fired(int32_t device, int32_t rule);
/* How often a function was called. */
uint64_t soft_cann_calls(int32_t device, const char *function);
/* Writes what is left and was done wrong, one line each, and a zero, cut to `size` bytes. Returns the length of
 * the whole text without the zero: 0 if all is well. */
size_t soft_cann_report(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
