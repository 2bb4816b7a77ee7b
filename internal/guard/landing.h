// The inside of package guard: what its C++ files share.
#ifndef LIVEJIT_GUARD_LANDING_H
#define LIVEJIT_GUARD_LANDING_H

#include "guard.h"
#include "layout.h"
#include "../threads/lj_threads.h"

#include <signal.h>
#include <ucontext.h>
#include <unwind.h>

// The C++ runtime's record of a thread (Itanium C++ ABI 2.2.2): a landing jump out of a catch block must put it back.
struct EhGlobals {
	void *caught;
	unsigned int uncaught;
};

// Where lj_detour goes on after its landing jump.
struct Detour {
	uint64_t sp, size;
	void *copy;
};

struct lj_landing {
	uint64_t sp; // lj_enter's stack pointer; native frames lie below
	lj_landing *previous;
	Detour *detour; // set while lj_detour unwinds towards this landing: then its jump goes back there
	uint64_t carried; // key of the error that is on its way here, given and taken by the Go side, or 0
	lj_frame *frame;
	struct lj_thread_state outside; // this thread's as it was before the entry
	EhGlobals eh;
	uintptr_t *slot; // of the return address that lj_hijacked has taken the place of, or null
	uintptr_t slot_pc; // that address
	bool unwinding;
	int reason; // of the unwinding
	_Unwind_Exception exception; // that unwinds; has room here so that unwinding needs no memory
};

#pragma GCC visibility push(hidden)
extern "C" {
extern __thread lj_landing *lj_current __attribute__((tls_model("initial-exec")));
int lj_enter(lj_frame *f, lj_landing *l);
[[noreturn]] void lj_jump(lj_landing *l, int reason);
void lj_detour(lj_landing *l, lj_callback *c, Detour *d);
[[noreturn]] void lj_callback_failed(lj_callback *c, int reason);
extern char lj_hijacked[]; // enter_x86_64.S: a return address that ends the innermost entry as interrupted
}

// trace.cpp

// lj_trace_to notes in the landing's report where the thread is. context: what a signal handler has interrupted, or null for the calling function.
void lj_trace_to(lj_landing *l, ucontext_t *context);
// lj_read_guarded calls f(arg), which may fault and is then given up. f must have nothing to undo.
void lj_read_guarded(void (*f)(void *), void *arg);
// lj_trace_fault does not return if the thread is inside lj_read_guarded.
void lj_trace_fault(ucontext_t *context);

// Whether anyone knows code at pc.
int lj_is_code(uintptr_t pc);

// interrupt.cpp: whether pc is in JIT code, and whether JIT code is among the callers in a trace.
int lj_is_jit(uintptr_t pc);
int lj_is_jit_called(const lj_report *r);

// edge.cpp: says in the report which exception is being handled, if one is.
void lj_describe(lj_report &r);
#pragma GCC visibility pop

#endif
