// Exit handlers of JIT code: the C side of package crt.
#ifndef LIVEJIT_CRT_EXIT_H
#define LIVEJIT_CRT_EXIT_H

#include <stdint.h>
#pragma GCC visibility push(hidden)

struct lj_dso; // its address is the DSO's handle

enum lj_handler_kind { LJ_AT_EXIT = 0, LJ_ON_EXIT = 1, LJ_QUICK = 2, LJ_THREAD = 3 };

struct lj_handler { // one to run: fn(arg), or fn(status, arg) for LJ_ON_EXIT
	uint64_t fn, arg;
	int kind;
	struct lj_dso *dso;
};

struct lj_dso *lj_dso_new(void);
// lj_dso_free drops what is left of a DSO: handlers, fork handlers, thread_local destructors of other threads, after waiting for running ones.
void lj_dso_free(struct lj_dso *d);
// lj_dso_next takes the newest handler of kind LJ_THREAD (of the calling thread), LJ_QUICK or LJ_AT_EXIT (with LJ_ON_EXIT) off dso's list, or of all DSOs' if
// dso is NULL. Returns 0 if there is none.
int lj_dso_next(struct lj_dso *dso, int kind, struct lj_handler *out);
uint64_t lj_dso_handlers(void); // registered and not yet run, in all DSOs

// lj_hook_exit registers the process's hooks: libc then calls closure(arg) at exit() and quick(arg) at quick_exit(). Returns 0 if it worked.
int lj_hook_exit(uint64_t closure, uint64_t arg, uint64_t quick_arg);
int lj_exit_status(void); // of the exit() that is running

// What JIT code calls. dso is the caller's handle; the last four come through thunks that add it.
int lj_cxa_atexit(void (*fn)(void *), void *arg, void *dso);
int lj_cxa_thread_atexit(void (*fn)(void *), void *arg, void *dso);
int lj_at_quick_exit(void (*fn)(void), void *dso);
int lj_atexit(void (*fn)(void), void *dso);
int lj_on_exit(void (*fn)(int, void *), void *arg, void *dso);
int lj_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

#pragma GCC visibility pop
#endif
