#include "unwindtest.h"

#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

#include "../../lj_unwind.h"

typedef uintptr_t callback(uintptr_t);
typedef uintptr_t function(callback *, uintptr_t);

static uintptr_t twice(uintptr_t v) { return 2 * v; }

uintptr_t ut_call(uintptr_t f, uintptr_t arg) { return ((function *)f)(twice, arg); }

static uintptr_t throw_int(uintptr_t v) { throw int(v); }

int ut_throw_through(uintptr_t f, int value) {
	try {
		((function *)f)(throw_int, uintptr_t(value));
	} catch (int v) {
		return v;
	}
	return -1;
}

struct trace {
	uint64_t *addresses;
	int n;
};

static uintptr_t take_trace(uintptr_t p) {
	trace *t = (trace *)p;
	void *frames[64];
	int n = backtrace(frames, t->n < 64 ? t->n : 64);
	for (int i = 0; i < n; i++)
		t->addresses[i] = uint64_t(frames[i]);
	return uintptr_t(n);
}

int ut_backtrace(uintptr_t f, uint64_t *addresses, int n) {
	trace t = {addresses, n};
	return int(((function *)f)(take_trace, uintptr_t(&t)));
}

struct bases {
	void *tbase, *dbase, *func;
};

uintptr_t ut_find_fde(uintptr_t pc, uint64_t *func) {
	typedef const void *find(void *, bases *);
	// What a shared library's reference is bound to.
	find *f = (find *)dlsym(RTLD_DEFAULT, "_Unwind_Find_FDE");
	bases b = {};
	uintptr_t fde = uintptr_t(f((void *)pc, &b));
	*func = uint64_t(b.func);
	return fde;
}

uintptr_t ut_host_function(void) { return uintptr_t(ut_throw_through); }

static uintptr_t host_trampoline(callback *c, uintptr_t v) { return c(v) + 1; }

uintptr_t ut_host_trampoline(void) { return uintptr_t(host_trampoline); }

size_t ut_lookups(const uint64_t *pcs, size_t n, size_t rounds) {
	size_t found = 0;
	lj_code code;
	for (size_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < n; i++)
			found += size_t(lj_unwind_code(pcs[i], &code));
	return found;
}

static std::atomic<uintptr_t> interrupt_pc;
static std::atomic<uint64_t> hits, misses;
static std::atomic<bool> interrupting;
static pthread_t interrupter;
static struct sigaction saved;

static void on_interrupt(int) {
	uintptr_t start;
	(lj_unwind_find(interrupt_pc, &start) ? hits : misses)++;
}

static void *interrupt_loop(void *target) {
	timespec pause = {0, 20000};
	while (interrupting) {
		pthread_kill(*(pthread_t *)target, SIGUSR2);
		nanosleep(&pause, 0);
	}
	return 0;
}

void ut_interrupt_start(uintptr_t pc) {
	static pthread_t target;
	struct sigaction act = {};
	act.sa_handler = on_interrupt;
	act.sa_flags = SA_ONSTACK | SA_RESTART;
	sigaction(SIGUSR2, &act, &saved);
	interrupt_pc = pc;
	hits = misses = 0;
	interrupting = true;
	target = pthread_self();
	if (pthread_create(&interrupter, 0, interrupt_loop, &target) != 0)
		abort();
}

void ut_interrupt_stop(uint64_t *h, uint64_t *m) {
	interrupting = false;
	pthread_join(interrupter, 0);
	sigaction(SIGUSR2, &saved, 0);
	*h = hits;
	*m = misses;
}

#if defined(__x86_64__)
static sigjmp_buf landing;
static uint64_t trap_pc, trap_word, trap_top;

static void on_trap(int, siginfo_t *, void *context) {
	gregset_t &r = ((ucontext_t *)context)->uc_mcontext.gregs;
	trap_pc = uint64_t(r[REG_RIP]);
	trap_word = ((uint64_t *)r[REG_RSP])[0];
	trap_top = ((uint64_t *)r[REG_RSP])[1];
	siglongjmp(landing, 1);
}

__attribute__((noinline, section("ut_trap_text"))) static void call_trap(function *f) {
	f(twice, 0);
	__asm__ volatile(""); // the call is not the last thing
}
extern "C" char __start_ut_trap_text[], __stop_ut_trap_text[];

void ut_trap(uintptr_t f, uint64_t *pc, uint64_t *word, uint64_t *top) {
	struct sigaction act = {}, before;
	act.sa_sigaction = on_trap;
	act.sa_flags = SA_ONSTACK | SA_SIGINFO;
	sigaction(SIGILL, &act, &before);
	if (sigsetjmp(landing, 1) == 0)
		call_trap((function *)f);
	sigaction(SIGILL, &before, 0);
	*pc = trap_pc;
	*word = trap_word;
	*top = trap_top;
}

uintptr_t ut_trap_range(uint64_t *hi) {
	*hi = uint64_t(__stop_ut_trap_text);
	return uintptr_t(__start_ut_trap_text);
}
#else
void ut_trap(uintptr_t, uint64_t *pc, uint64_t *word, uint64_t *top) { *pc = *word = *top = 0; }
uintptr_t ut_trap_range(uint64_t *hi) { return *hi = 0; }
#endif
