// Entering native code: the C side of package guard. See guard.go for what the crossing guarantees.
#ifndef LIVEJIT_GUARD_H
#define LIVEJIT_GUARD_H

#include <stdint.h>

#pragma GCC visibility push(hidden)
#ifdef __cplusplus
extern "C" {
#endif

// Why an entry ended. guard.Reason has the same values.
enum lj_reason {
	LJ_RETURNED = 0,
	LJ_EXCEPTION = 1,
	LJ_PANIC = 2,
	LJ_GOEXIT = 3,
	LJ_RELEASED = 4,
	LJ_FAULT = 5,
	LJ_INTERRUPTED = 6,
	LJ_DELETED = 7,
	LJ_TERMINATED = 8,
};

// What an entry that did not return tells; guard.report.
struct lj_report {
	int32_t reason, signal, code, unused;
	uint64_t detail, address, pc, sp, fp;
	uint64_t type_name, what; // malloc'd strings or 0, owned by the reader
	uint64_t carried;
};

// guard.Frame. stack goes on for nstack words.
struct lj_frame {
	uint64_t fn;
	uint64_t integers[6];
	uint64_t floats[8];
	uint64_t ret_int[2];
	uint64_t ret_float[2];
	uint8_t ret_x87[2][16];
	uint32_t x87;
	uint32_t nstack;
	struct lj_report report;
	uint32_t capacity, unused;
	uint64_t stack[16];
};

// guard.Callback: made by lj_callback_entry in its own frame.
struct lj_callback {
	uint64_t integers[6];
	uint64_t floats[8];
	uint64_t ret_int[2];
	uint64_t ret_float[2];
	uint64_t stack;
	uint64_t id;
	uint64_t landing;
	uint32_t mxcsr;
	uint16_t x87cw, unused;
};

struct lj_landing;

// lj_guard_call enters f->fn and returns the reason why it ended; f->report is filled if that is not LJ_RETURNED. With a null f it only forgets
// an entry from the same place that Go has unwound without us.
int lj_guard_call(struct lj_frame *f);

// lj_land ends the innermost entry of this thread at once: native frames are skipped, their destructors do not run. Not from signal handlers.
// Aborts the process if the thread has no entry.
__attribute__((noreturn)) void lj_land(int reason, uint64_t detail);

// lj_unwind ends it after unwinding the native frames like pthread_cancel does; what cannot be unwound is skipped.
__attribute__((noreturn)) void lj_unwind(int reason, uint64_t detail);

// lj_land_signal, called in a signal handler (siginfo_t *, ucontext_t *), lets the interrupted thread go on at its innermost landing when the handler
// returns, which also restores the signal mask and the alternate stack. Returns 0, having done nothing, if the thread has no entry.
// Async-signal-safe. The caller decides whether the interrupted place may be left.
int lj_land_signal(int reason, int signal, void *siginfo, void *ucontext);

// lj_entered is the innermost landing of this thread, or NULL. Async-signal-safe.
struct lj_landing *lj_entered(void);

// lj_guard_goexit unwinds the native frames between callback c and its entry while the callback's Go frames still stand on the same stack.
void lj_guard_goexit(struct lj_callback *c);

// Assembly: the common entry of callbacks (id in r11), the closure form of it (id in rdi), and the return address of entered functions.
extern char lj_callback_entry[], lj_callback_closure[], lj_enter_return[];

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
