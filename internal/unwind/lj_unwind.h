// Look-up of code by program counter: the contract of unwind.c for other C files.
//
// All functions here are lock-free and async-signal-safe: they take no lock, call
// nothing, allocate nothing, and touch only memory that cannot be unmapped while
// they read it. They may interrupt any other function of this file, on any thread.
#ifndef LIVEJIT_UNWIND_H
#define LIVEJIT_UNWIND_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// What is known of the code at a program counter.
struct lj_code {
	uintptr_t start; // first byte of the code block
	uint32_t size;   // bytes of code
	uint32_t id;     // the version's number, as the engine gave it
	uintptr_t fde;   // the FDE that covers the program counter; 0: none does
	uintptr_t func;  // where that FDE's range begins; start if there is none
};

// Writes the start of the code block that contains pc and returns 1; returns 0 if
// pc lies in no code of a region. For a return address ask for pc - 1.
int lj_unwind_find(uintptr_t pc, uintptr_t *start);

// The same with everything that is known; out is written only if 1 is returned.
int lj_unwind_code(uintptr_t pc, struct lj_code *out);

#ifdef __cplusplus
}
#endif
#endif
