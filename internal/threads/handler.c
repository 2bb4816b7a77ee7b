// The signal of a scan, and what a thread does when it gets one.
#define _GNU_SOURCE
#include "registry.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __x86_64__
#error "livejit looks at threads on x86-64 only so far: another target needs its registers and red zone here (internal/threads)"
#endif

#define RED_ZONE 128 // psABI 3.2.2: below the stack pointer, and in use

void lj_futex_wait(const void *word, int value, int64_t nanoseconds) {
	struct timespec t = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nanoseconds < 0 ? 0 : &t, 0, 0);
}

void lj_futex_wake(const void *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0); }

static void mark(struct lj_request *q, size_t i, pid_t tid, uint64_t word) {
	pid_t nobody = 0;
	if (atomic_load_explicit(&q->hits[i].tid, memory_order_relaxed) == 0 && atomic_compare_exchange_strong(&q->hits[i].tid, &nobody, tid))
		atomic_store_explicit(&q->hits[i].address, word, memory_order_relaxed);
}

// A word that is the end of a range counts: it is the return address of a call that does not return and so is the last instruction.
static void search(struct lj_request *q, pid_t tid, uint64_t word) {
	size_t lo = 0, hi = q->nranges; // ranges before lo begin at or before word, those from hi on begin after it
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (q->ranges[mid].lo <= word)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return;
	if (word <= q->ranges[lo - 1].hi)
		mark(q, lo - 1, tid, word);
	if (lo > 1 && word == q->ranges[lo - 2].hi)
		mark(q, lo - 2, tid, word);
}

static inline void look(struct lj_request *q, pid_t tid, uint64_t word) {
	if (word - q->lo < q->span)
		search(q, tid, word);
}

void lj_look_from(struct lj_request *q, pid_t tid, uintptr_t from, uintptr_t to) {
	for (const volatile uint64_t *p = (const volatile uint64_t *)(from & ~(uintptr_t)7); (uintptr_t)p + 8 <= to; p++)
		look(q, tid, *p);
}

// Vector registers are left out. An address in a body comes into being as a program counter, as a return address, or by the body's own instructions,
// so what of it a compiler keeps in a vector register belongs to a frame whose program counter or return address is found anyway. And words that stay
// there are never overwritten by most code, and inherited by new threads: Go copies a Range through a vector register, which would then seem to hold
// it for ever.
static void look_at_registers(struct lj_request *q, pid_t tid, const ucontext_t *uc) {
	for (int i = REG_R8; i <= REG_RIP; i++)
		look(q, tid, (uint64_t)uc->uc_mcontext.gregs[i]);
}

// For threads whose stack's bounds nobody knows: reads without the danger of a fault.
static int look_carefully(struct lj_request *q, pid_t tid, uintptr_t from, uintptr_t to) {
	uint64_t words[128];
	for (uintptr_t at = from & ~(uintptr_t)7; at + 8 <= to;) {
		size_t n = to - at < sizeof words ? (to - at) & ~(uintptr_t)7 : sizeof words;
		struct iovec here = {words, n}, there = {(void *)at, n};
		if (syscall(SYS_process_vm_readv, getpid(), &here, 1UL, &there, 1UL, 0UL) != (ssize_t)n)
			return 0;
		for (size_t i = 0; i < n / 8; i++)
			look(q, tid, words[i]);
		at += n;
	}
	return 1;
}

static int on_alternate_stack(const ucontext_t *uc, uintptr_t sp) {
	const stack_t *s = &uc->uc_stack;
	return !(s->ss_flags & SS_DISABLE) && sp - (uintptr_t)s->ss_sp - 1 < s->ss_size;
}

static uintptr_t least(uintptr_t a, uintptr_t b) { return a && (!b || a < b) ? a : b; }

// The interrupted code is a signal handler on an alternate stack. Below it is the saved context of what it has interrupted, at a place that nobody
// notes; but the stack pointer saved there is one of the words of the alternate stack, so the lowest of them that points into the thread's stack is
// at or below it.
static uintptr_t lowest_into(uintptr_t from, uintptr_t to, uintptr_t low, uintptr_t base) {
	uintptr_t lowest = 0;
	for (const volatile uint64_t *p = (const volatile uint64_t *)(from & ~(uintptr_t)7); (uintptr_t)p + 8 <= to; p++)
		if (*p >= low && *p < base)
			lowest = least(*p, lowest);
	return lowest;
}

// A thread of the registry.
static enum lj_answer look_at_own(struct lj_request *q, const struct lj_record *r, const ucontext_t *uc) {
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP], base = lj_thread_state.base, callback = lj_thread_state.callback, low = r->low;
	pid_t tid = r->tid;
	if (!base)
		return LJ_LOOKED;
	look_at_registers(q, tid, uc);
	uintptr_t from;
	if (on_alternate_stack(uc, sp)) {
		uintptr_t bottom = (uintptr_t)uc->uc_stack.ss_sp, end = bottom + uc->uc_stack.ss_size;
		uintptr_t start = sp - RED_ZONE > bottom ? sp - RED_ZONE : bottom;
		lj_look_from(q, tid, start, end);
		from = least(lowest_into(start, end, low, base), callback);
	} else if (sp >= low && sp < base) {
		from = sp;
	} else if (sp >= base && sp < r->top) {
		return LJ_LOOKED; // the native frames are gone, or not there yet
	} else {
		from = callback; // on a goroutine's stack
	}
	if (from < low || from >= base)
		return LJ_OTHER_STACK;
	lj_look_from(q, tid, from - RED_ZONE > low ? from - RED_ZONE : low, base);
	return LJ_LOOKED;
}

// A thread that libc or somebody else has started past us. glibc keeps the descriptor of a thread above its stack, and the thread pointer points to it.
static enum lj_answer look_at_foreign(struct lj_request *q, const struct lj_record *r, const ucontext_t *uc) {
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP], base = (uintptr_t)pthread_self();
	const uintptr_t largest = (uintptr_t)1 << 30; // beyond this it is not the same stack
	look_at_registers(q, r->tid, uc);
	if (on_alternate_stack(uc, sp) || sp >= base || base - sp > largest)
		sp = on_alternate_stack(uc, sp) ? 0 : lj_thread_state.callback;
	if (!sp || sp >= base || base - sp > largest)
		return LJ_OTHER_STACK;
	return look_carefully(q, r->tid, sp - RED_ZONE, base) ? LJ_LOOKED : LJ_UNREADABLE;
}

// The last touch of a request by whoever has claimed it.
void lj_finish(struct lj_request *q, size_t index, enum lj_answer answer) {
	atomic_store(&q->entries[index].answer, answer);
	if (atomic_fetch_sub(&q->pending, 1) == 1)
		lj_futex_wake(&q->pending);
	while (atomic_load_explicit(&q->hold, memory_order_acquire))
		lj_futex_wait(&q->hold, 1, -1);
	atomic_fetch_sub(&q->outstanding, 1);
}

// What was installed for the signal before, for instances of it that are not ours.
struct former {
	struct sigaction action;
};
static _Atomic(struct former *) former;
static atomic_int number;

static void handler(int sig, siginfo_t *info, void *context);

static void hand_on(int sig, siginfo_t *info, void *context) {
	if (lj_ending) { // no place for Go's handler: another thread gets it
		sigaddset(&((ucontext_t *)context)->uc_sigmask, sig);
		kill(getpid(), sig);
		return;
	}
	const struct sigaction *a = &atomic_load_explicit(&former, memory_order_acquire)->action;
	if (a->sa_handler == SIG_DFL) {
		sigaction(sig, a, 0);
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig); // comes when this handler returns
	} else if (a->sa_handler == SIG_IGN) {
		return;
	} else if (a->sa_flags & SA_SIGINFO) {
		a->sa_sigaction(sig, info, context);
	} else {
		a->sa_handler(sig);
	}
}

static _Atomic(void (*)(int, void *, void *)) poked; // what a poke calls; its address marks the signal

int lj_thread_poke(int tid, void (*hook)(int, void *, void *)) {
	int sig = lj_signal_ready();
	if (!sig)
		return 0;
	atomic_store_explicit(&poked, hook, memory_order_release);
	siginfo_t info = {.si_code = SI_QUEUE, .si_pid = getpid(), .si_uid = getuid()};
	info.si_signo = sig;
	info.si_value.sival_ptr = &poked;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &info);
	return 1;
}

// Async-signal-safe, whatever was interrupted: calls nothing but system calls and former handlers, takes no lock, keeps errno, touches of other
// threads' memory only a request that it has claimed.
//
// A handler that comes late finds no request in its record: lj_scan has taken it out again, by the same atomic exchange by which a handler claims it,
// so exactly one of them gets it. Who claims a request may use it as long as it likes: it is memory that is not used again before outstanding is 0. A
// signal may come even later, when the record has another thread: then the numbers differ.
static void handler(int sig, siginfo_t *info, void *context) {
	int saved = errno;
	if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &poked) {
		void (*hook)(int, void *, void *) = atomic_load_explicit(&poked, memory_order_acquire);
		hook(sig, info, context);
		errno = saved;
		return;
	}
	struct lj_record *r = info->si_code == SI_QUEUE ? info->si_value.sival_ptr : 0;
	if (!r || (r != lj_own && !lj_record_is(r))) {
		hand_on(sig, info, context);
	} else if (r == lj_own || atomic_load(&r->tid) == (pid_t)syscall(SYS_gettid)) {
		// Sequentially consistent, against lj_scan: it stores request and then reads sent.
		atomic_store(&r->sent, 0);
		struct lj_request *q = atomic_exchange(&r->request, 0);
		if (q) {
			enum lj_answer answer = lj_own ? look_at_own(q, lj_own, context) : look_at_foreign(q, r, context);
			lj_finish(q, r->index, answer);
		}
	}
	errno = saved;
}

static int is_ours(const struct sigaction *a) { return (a->sa_flags & SA_SIGINFO) && a->sa_sigaction == handler; }

// Whether nobody uses a signal: it has its default action, is ignored, or is Go's, who installs its handler for all signals. Go always has SIGURG.
static int is_free(const struct sigaction *a) {
	if (a->sa_handler == SIG_DFL || a->sa_handler == SIG_IGN)
		return 1;
	struct sigaction go;
	return sigaction(SIGURG, 0, &go) == 0 && a->sa_handler == go.sa_handler;
}

static int install(int sig, const struct sigaction *before) {
	struct former *f = atomic_load_explicit(&former, memory_order_relaxed);
	if (!f || memcmp(&f->action, before, sizeof *before) != 0) {
		f = malloc(sizeof *f); // a handler may be reading the one before: it stays
		if (!f)
			return 0;
		f->action = *before;
		atomic_store_explicit(&former, f, memory_order_release);
	}
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	memset(&a.sa_mask, 0xff, sizeof a.sa_mask); // also libc's own: an asynchronous cancel must not unwind the handler
	return sigaction(sig, &a, 0) == 0;
}

int lj_signal_number(void) { return atomic_load(&number); }

static int ready(void) {
	struct sigaction now;
	int sig = atomic_load(&number);
	if (sig && sigaction(sig, 0, &now) == 0) {
		if (is_ours(&now))
			return sig;
		if (is_free(&now) && install(sig, &now))
			return sig;
	}
	// From above, but not the last two, which programs like; not the lowest three, which C libraries have (glibc 32, 33, musl 34).
	for (sig = SIGRTMAX - 2; sig > 35; sig--)
		if (sigaction(sig, 0, &now) == 0 && is_free(&now) && install(sig, &now)) {
			atomic_store(&number, sig);
			return sig;
		}
	return 0;
}

static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;

void lj_signal_lock(void) { pthread_mutex_lock(&choosing); }
void lj_signal_unlock(void) { pthread_mutex_unlock(&choosing); }

int lj_signal_ready(void) {
	lj_signal_lock();
	int sig = ready();
	lj_signal_unlock();
	return sig;
}
