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
	LJ_MISSED = 9,
	LJ_EXITED = 10,
};

// Bits of lj_report.flags, about a signal or a termination.
enum lj_report_flag {
	LJ_FOREIGN = 1,        // it happened in foreign code that JIT code has called
	LJ_STACK_OVERFLOW = 2, // the stack has no room left
	LJ_CUT_SHORT = 4,      // the trace has more frames than are noted
};

#define LJ_TRACE 64

// What an entry that did not return tells; guard.report.
struct lj_report {
	int32_t reason, signal, code;
	uint32_t flags;
	uint64_t detail, address, pc, sp, fp;
	uint64_t type_name, what; // malloc'd strings or 0, owned by the reader
	uint64_t carried;
	uint64_t ntrace;
	uint64_t trace[LJ_TRACE]; // innermost first; all but the first are return addresses
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
	uint32_t capacity;
	uint32_t watched;   // somebody may interrupt the entry: tid is kept
	int32_t tid;        // of the thread that is inside, 0 if none is; atomic
	uint32_t interrupt; // lj_interrupt_step that is asked for, 0: none; atomic
	uint64_t stack[16];
};

// guard.Callback: made by lj_callback_entry in its own frame, and by lj_miss, which uses integers, ret_int[0] (the address to go on at), id (the
// word that the stub has pushed), landing and outer.
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
	uint64_t outer; // lj_thread_state.callback as it was before
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

// lj_faults_keep installs the handlers of the signals by which native code fails (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT) and of
// std::terminate, unless they are there; lj_faults_drop puts the former handlers back when it was called as often. other is asked about a signal that no entry
// of ours explains, before it is handed on: it may leave the handler by siglongjmp after setting the mask to the interrupted one's.
void lj_faults_keep(void (*other)(int signal, void *siginfo, void *ucontext));
void lj_faults_drop(void);

// How hard to interrupt an entry.
enum lj_interrupt_step {
	LJ_INTERRUPT_GENTLY = 1, // JIT code at once; foreign code that it has called when that returns, its system calls fail with EINTR
	LJ_INTERRUPT_HARD = 2,   // foreign code, and destructors on the way of an exception, at once
};

// lj_interrupt asks the thread that is inside of a watched entry to leave it; it may have to be asked again. Returns 0 if no thread is inside, -1 if there is no
// signal for it.
int lj_interrupt(struct lj_frame *f, int step);

// lj_exit ends the innermost entry with LJ_EXITED; without an entry it is exit.
__attribute__((noreturn)) void lj_exit(int status);

// lj_context is the context function for runtime.SetCgoTraceback: the context of a Go function that JIT code has called through a callback, or that runs for a miss,
// is the frame pointer below which Go runs: saved rbp and return address lie there as in any frame. That of others is LJ_NO_CONTEXT. Async-signal-safe.
enum { LJ_NO_CONTEXT = 1 };
void lj_context(void *argument);

// lj_entered is the innermost landing of this thread, or NULL. Async-signal-safe.
struct lj_landing *lj_entered(void);

// lj_guard_goexit unwinds the native frames between callback c and its entry while the callback's Go frames still stand on the same stack.
void lj_guard_goexit(struct lj_callback *c);

// lj_miss_run asks the Go side of a miss where to go on. Called by lj_miss: c is its struct lj_callback with the argument registers, saved the lowest address of all
// that it has saved. Returns an lj_reason; for LJ_RETURNED the address is in c->ret_int[0]. Does not put the floating-point control back: lj_miss restores
// the whole state.
int lj_miss_run(struct lj_callback *c, uintptr_t saved);

// How lj_walk_stack ended.
enum lj_walk_status {
	LJ_WALK_DONE = 0,
	LJ_WALK_OUTSIDE = 1,   // the thread is in no callback
	LJ_WALK_MISS = 2,      // it is in a miss: arguments of the missing function are in the registers that lj_miss has saved
	LJ_WALK_STUCK = 3,     // there is no unwind information for pc
	LJ_WALK_ENDS = 4,      // nor is there here, but native code was not entered by lj_guard_call: if pc is Go's, all is well
	LJ_WALK_NO_MEMORY = 5,
};

// guard.StackFrame.
struct lj_walk_frame {
	uint64_t pc, sp, fp, bp;
};

struct lj_walk {
	uint64_t frames; // struct lj_walk_frame, n of them, in memory of malloc that the caller frees
	uint64_t n, capacity;
	uint64_t next; // the callback to go on with; 0: none, and at the start the innermost
	uint64_t pc;   // of the last frame
};

// lj_walk_stack adds the frames of JIT code between a callback of this thread and the entry below it. Call it while the Go side of the callback runs.
int lj_walk_stack(struct lj_walk *out);

// What lj_miss saves by XSAVE, as bits of XCR0 (0: there is no XSAVE, FXSAVE does it), and the bytes that this needs.
extern uint32_t lj_miss_components;
extern uint64_t lj_miss_room;

// Assembly: the common entry of callbacks (id in r11), the closure form of it (id in rdi), the return address of entered functions, the common
// entry of stubs that lead nowhere (miss_x86_64.S) and its end.
extern char lj_nothing[], lj_callback_entry[], lj_callback_closure[], lj_enter_return[], lj_miss[], lj_miss_end[];

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
