// Everything that a signal handler runs here is async-signal-safe: no lock, no allocation; the
// frames of other people's stacks are read by the kernel (process_vm_readv), which refuses instead of faulting.
//
// Names lie in records that are never given back, only written again. Each record ends with a zero byte
// that is never written to, so who reads one that is just changing reads a mixture of two names, at worst.
#define _GNU_SOURCE
#include "traceback.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// As in package unwind, lj_unwind.h.
struct lj_code {
	uintptr_t start;
	uint32_t size, id;
	uintptr_t fde, func;
};

typedef int (*find_function)(uintptr_t pc, struct lj_code *out);
static _Atomic(find_function) find;
static _Atomic(uintptr_t) entry_return;

enum { TABLES = 4096, CHUNK = 1024, CHUNKS = 4096 };
typedef char record[LJ_NAME_SIZE];
typedef _Atomic(record *) chunk;

static struct table {
	_Atomic(uintptr_t) lo, hi; // hi 0: free
	_Atomic(chunk *) chunks;
} tables[TABLES];
static _Atomic(int) tables_end;

int lj_names_open(uintptr_t lo, uintptr_t hi) {
	for (int i = 0; i < TABLES; i++) {
		struct table *t = &tables[i];
		if (atomic_load(&t->hi))
			continue;
		if (!atomic_load(&t->chunks)) {
			chunk *chunks = calloc(CHUNKS, sizeof *chunks);
			if (!chunks)
				return -1;
			atomic_store(&t->chunks, chunks);
		}
		atomic_store(&t->lo, lo);
		atomic_store(&t->hi, hi);
		if (i >= atomic_load(&tables_end))
			atomic_store(&tables_end, i + 1);
		return i;
	}
	return -1;
}

void lj_names_close(int table) {
	struct table *t = &tables[table];
	atomic_store(&t->hi, 0);
	chunk *chunks = atomic_load(&t->chunks);
	for (int i = 0; i < CHUNKS && atomic_load(&chunks[i]); i++)
		for (int k = 0; k < CHUNK; k++)
			atomic_load(&chunks[i])[k][0] = 0;
}

int lj_names_set(int table, uint32_t id, const char *name) {
	chunk *chunks = atomic_load(&tables[table].chunks);
	if (id / CHUNK >= CHUNKS)
		return 0;
	for (uint32_t i = 0; i <= id / CHUNK; i++) {
		if (atomic_load(&chunks[i]))
			continue;
		record *fresh = calloc(CHUNK, sizeof *fresh);
		if (!fresh)
			return 0;
		atomic_store(&chunks[i], fresh);
	}
	strncpy(atomic_load(&chunks[id / CHUNK])[id % CHUNK], name, LJ_NAME_SIZE - 1);
	return 1;
}

static const char *name_of(uintptr_t pc, uint32_t id) {
	int end = atomic_load(&tables_end);
	for (int i = 0; i < end; i++) {
		struct table *t = &tables[i];
		if (pc >= atomic_load(&t->hi) || pc < atomic_load(&t->lo))
			continue;
		record *records = id / CHUNK < CHUNKS ? atomic_load(&atomic_load(&t->chunks)[id / CHUNK]) : 0;
		return records && records[id % CHUNK][0] ? records[id % CHUNK] : 0;
	}
	return 0;
}

static int code_at(uintptr_t pc, struct lj_code *code) {
	find_function f = atomic_load(&find);
	return f && f(pc, code);
}

// When a sample was taken or a symbol looked up last, in seconds of the monotonic clock; 0: never.
static _Atomic(int64_t) last_use;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec + 1;
}

static int timer_runs(void) { // that of Go's profiler
	struct itimerval timer;
	return getitimer(ITIMER_PROF, &timer) == 0 && (timer.it_interval.tv_sec || timer.it_interval.tv_usec);
}

int lj_profiling(void) {
	if (timer_runs())
		return 1;
	int64_t last = atomic_load(&last_use);
	return last && now() - last <= 2;
}

static int read_words(uintptr_t at, uintptr_t *words, int n) {
	struct iovec to = {words, n * sizeof *words}, from = {(void *)at, n * sizeof *words};
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)(n * sizeof *words);
}

// What SetCgoTraceback passes: see its documentation.
struct traceback_argument {
	uintptr_t context, signal, *buffer, max;
};

static uintptr_t registers(const ucontext_t *u, uintptr_t *sp, uintptr_t *fp) {
#if defined(__x86_64__)
	*sp = u->uc_mcontext.gregs[REG_RSP];
	*fp = u->uc_mcontext.gregs[REG_RBP];
	return u->uc_mcontext.gregs[REG_RIP];
#else
	*sp = u->uc_mcontext.sp;
	*fp = u->uc_mcontext.regs[29];
	return u->uc_mcontext.pc;
#endif
}

// Where the caller of the first frame goes on if the frame pointer does not say: at the first two
// instructions of a function of ours (push %rbp; mov), and in foreign functions without a frame, of which the
// first word on the stack that is an address of our code is taken for the return address. 0: it does.
static uintptr_t hidden_caller(uintptr_t pc, uintptr_t sp, uintptr_t fp) {
	struct lj_code code;
	uintptr_t word;
	if (code_at(pc, &code)) {
#if defined(__x86_64__)
		if (pc - code.func <= 1 && read_words(sp + (pc - code.func) * 8, &word, 1))
			return word;
#endif
		return 0;
	}
	enum { LOOK = 256 };
	for (int i = 0; i < LOOK && sp + i * 8 < fp; i++)
		if (!read_words(sp + i * 8, &word, 1))
			return 0;
		else if (code_at(word - 1, &code))
			return word;
	return 0;
}

// A list of frames that is being made, innermost first.
struct frames {
	uintptr_t *buffer, max, n;
	uintptr_t ours; // frames up to the last in code of ours
};

static void add(struct frames *f, uintptr_t pc) {
	struct lj_code code;
	f->buffer[f->n++] = pc;
	if (code_at(pc, &code))
		f->ours = f->n;
}

// Adds who called the frame of frame pointer fp, and so on, up to the entry from Go or a chain that breaks.
static void walk(struct frames *f, uintptr_t sp, uintptr_t fp) {
	enum { FOREIGN = 32, STACK = 64 << 20 };
	uintptr_t frame[2], low = sp, end = atomic_load(&entry_return);
	while (f->n < f->max && f->n - f->ours < FOREIGN) {
		if (fp < low || fp - sp > STACK || fp % 8 || !read_words(fp, frame, 2) || frame[1] == 0 || frame[1] == end)
			break;
		add(f, frame[1] - 1);
		low = fp + 16;
		fp = frame[0];
	}
}

// For a signal that has interrupted native code, and for the context of a Go function that native code has called.
static void traceback(void *p) {
	struct traceback_argument *a = p;
	struct frames f = {a->buffer, a->max, 0, 0};
	if (a->max == 0)
		return;
	a->buffer[0] = 0;
	if (a->signal) {
		atomic_store(&last_use, now());
		uintptr_t sp, fp, pc = registers((const ucontext_t *)a->signal, &sp, &fp);
		add(&f, pc);
		uintptr_t hidden = hidden_caller(pc, sp, fp);
		if (hidden && f.n < f.max)
			add(&f, hidden - 1);
		walk(&f, sp, fp);
		if (!f.ours)
			f.ours = 1;
	} else if (a->context > 1) {
		if (timer_runs()) // a sample, and not one of the many other uses of runtime.Callers
			atomic_store(&last_use, now());
		walk(&f, a->context, a->context);
	}
	if (f.ours < a->max) // frames above the last of ours are the way from Go, which Go shows
		a->buffer[f.ours] = 0;
}

struct symbolizer_argument {
	uintptr_t pc;
	const char *file;
	uintptr_t line;
	const char *function;
	uintptr_t entry, more, data;
};

static void symbolize(void *p) {
	struct symbolizer_argument *a = p;
	struct lj_code code;
	a->more = 0;
	if (!code_at(a->pc, &code))
		return;
	atomic_store(&last_use, now());
	a->function = name_of(a->pc, code.id);
	a->entry = code.start;
}

void lj_traceback_start(void *f, uintptr_t end) {
	atomic_store(&find, (find_function)f);
	atomic_store(&entry_return, end);
}
void *lj_traceback_function(void) { return traceback; }
void *lj_symbolizer_function(void) { return symbolize; }
