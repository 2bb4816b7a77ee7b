// Threads that may have frames of native code: the contract between package threads and what enters native code (package guard). Also read by
// assembly. Go's build cache does not know who includes it from outside this package: after a change run go clean -cache, or touch a file there.
#ifndef LIVEJIT_THREADS_H
#define LIVEJIT_THREADS_H

// Offsets in struct lj_thread_state, in bytes.
#define LJ_THREAD_BASE 0
#define LJ_THREAD_CALLBACK 8
#define LJ_THREAD_ATTACHED 16

#ifndef __ASSEMBLER__

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// What a scan must know of a thread. Written by its own thread only (and by the wrapper of native threads' start), read by the signal handler of a
// scan on the same thread; base is also read by the scanning thread. Plain stores will do, in program order: what interrupts is on the same thread,
// and the scanning thread makes up for the missing fence with membarrier(2).
struct lj_thread_state {
	// Above every native frame of the thread: set at the outermost entry before native code runs, 0 again when that entry has ended, in whichever
	// way. Threads that native code has started have it set for life: an entry that finds it set leaves it as it is. 0: no native frames.
	uintptr_t base;
	// While Go code runs in a callback: the lowest address of the callback's saved registers, so that all native frames lie in [callback, base). An
	// entry sets it to 0 for its time and puts it back to what it was: Go code that native code calls by another way than guard's callbacks is then
	// recognised as such. 0 where no Go code runs.
	uintptr_t callback;
	// Not 0 once lj_thread_attach has run on this thread.
	uintptr_t attached;
	// The lowest address of the thread's stack, 0 if it is not known.
	uintptr_t low;
};

// Address from assembly: movq lj_thread_state@gottpoff(%rip), %reg; fields at %fs:LJ_THREAD_...(%reg).
extern __thread struct lj_thread_state lj_thread_state __attribute__((tls_model("initial-exec")));

// Not 0 while all threads with native frames are held: nobody may begin to run native code.
extern int lj_threads_held;

// lj_thread_attach makes the calling thread known, until it ends. May be called again. Takes a lock and memory: not in a signal handler.
void lj_thread_attach(void);

// lj_thread_wait returns when lj_threads_held is 0. Makes system calls; keeps errno.
void lj_thread_wait(void);

// lj_thread_poke makes a thread call hook(signal, siginfo_t *, ucontext_t *) in a signal handler, soon, with all signals blocked. tid may be stale: then
// another thread does, or none. All callers pass the same hook. The signal is that of the scans. Returns 0 if there is no signal for it.
int lj_thread_poke(int tid, void (*hook)(int, void *, void *));

// lj_thread_enter begins an entry: base is above all of its frames. Call it before native code runs or an address of native code is read from a slot,
// and let *saved live as long as the entry. Order: the store of base comes before the load of lj_threads_held and before all loads of slots in
// program order; see scan.c for the other side.
static inline __attribute__((always_inline)) void lj_thread_enter(struct lj_thread_state *saved, uintptr_t base) {
	if (__builtin_expect(!lj_thread_state.attached, 0))
		lj_thread_attach();
	saved->base = lj_thread_state.base;
	saved->callback = lj_thread_state.callback;
	if (!saved->base)
		__atomic_store_n(&lj_thread_state.base, base, __ATOMIC_RELAXED);
	__atomic_store_n(&lj_thread_state.callback, 0, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&lj_threads_held, __ATOMIC_ACQUIRE), 0))
		lj_thread_wait();
}

// lj_thread_leave ends the entry, in whichever way: all native frames of it are gone.
static inline __attribute__((always_inline)) void lj_thread_leave(const struct lj_thread_state *saved) {
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&lj_thread_state.callback, saved->callback, __ATOMIC_RELAXED);
	__atomic_store_n(&lj_thread_state.base, saved->base, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif
#endif
#endif
