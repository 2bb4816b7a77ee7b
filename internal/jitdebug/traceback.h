// Native frames in Go's profiles and tracebacks: the functions for runtime.SetCgoTraceback.
#ifndef LIVEJIT_TRACEBACK_H
#define LIVEJIT_TRACEBACK_H
#include <stdint.h>

enum { LJ_NAME_SIZE = 128 };

// The functions for SetCgoTraceback. find is lj_unwind_code of package unwind; the first frame of an entry into native code returns to end.
void lj_traceback_start(void *find, uintptr_t end);
void *lj_traceback_function(void);
void *lj_symbolizer_function(void);

// Names of the code in [lo, hi), by the identifiers in the headers of code blocks. Calls about one table are ordered by the
// caller. lj_names_open returns -1 if there are too many tables or no memory.
int lj_names_open(uintptr_t lo, uintptr_t hi);
int lj_names_set(int table, uint32_t id, const char *name);
void lj_names_close(int table);

// Is a CPU profile running, or was one within two seconds?
int lj_profiling(void);
#endif
