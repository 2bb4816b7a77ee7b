#ifndef LIVEJIT_UNWINDTEST_H
#define LIVEJIT_UNWINDTEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uintptr_t ut_call(uintptr_t f, uintptr_t arg);
int ut_throw_through(uintptr_t f, int value);
int ut_backtrace(uintptr_t f, uint64_t *addresses, int n);
uintptr_t ut_find_fde(uintptr_t pc, uint64_t *func);
uintptr_t ut_host_function(void);
uintptr_t ut_host_trampoline(void);
size_t ut_lookups(const uint64_t *pcs, size_t n, size_t rounds);
void ut_interrupt_start(uintptr_t pc);
void ut_interrupt_stop(uint64_t *hits, uint64_t *misses);
void ut_trap(uintptr_t f, uint64_t *pc, uint64_t *word, uint64_t *top);
uintptr_t ut_trap_range(uint64_t *hi);

#ifdef __cplusplus
}
#endif
#endif
