// The threads that may have native frames, from their start to the very end of their exit handlers.
#define _GNU_SOURCE
#include "registry.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread struct lj_thread_state lj_thread_state;
__thread struct lj_record *lj_own;
__thread int lj_ending;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards lj_registry, links and unused
struct lj_record *lj_registry;
static struct lj_record *unused;
static atomic_int native_count;

void lj_registry_lock(void) { pthread_mutex_lock(&lock); }
void lj_registry_unlock(void) { pthread_mutex_unlock(&lock); }

// Records come in chunks; the list of chunks only grows, at its head, so that signal handlers can walk it.
#define CHUNK_RECORDS 127
struct chunk {
	struct chunk *next;
	struct lj_record records[CHUNK_RECORDS];
};
static _Atomic(struct chunk *) chunks;

int lj_record_is(const void *p) {
	for (struct chunk *c = atomic_load_explicit(&chunks, memory_order_acquire); c; c = c->next) {
		uintptr_t d = (uintptr_t)p - (uintptr_t)c->records;
		if (d < sizeof c->records)
			return d % sizeof c->records[0] == 0;
	}
	return 0;
}

// Memory comes from mmap: malloc's locks may be held by a thread that is being held.
struct lj_record *lj_record_take(struct lj_record **unused) {
	if (!*unused) {
		struct chunk *c = mmap(0, sizeof *c, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c == MAP_FAILED)
			return 0;
		for (int i = 0; i < CHUNK_RECORDS; i++)
			lj_record_give(unused, &c->records[i]);
		c->next = atomic_load(&chunks);
		while (!atomic_compare_exchange_weak(&chunks, &c->next, c)) {
		}
	}
	struct lj_record *r = *unused;
	*unused = r->next;
	return r;
}

void lj_record_give(struct lj_record **unused, struct lj_record *r) {
	atomic_store(&r->tid, 0);
	r->next = *unused;
	*unused = r;
}

static void put_in(struct lj_record *r) {
	r->next = lj_registry;
	r->link = &lj_registry;
	if (r->next)
		r->next->link = &r->next;
	lj_registry = r;
}

static void take_out(struct lj_record *r) {
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
}

// The key whose destructor is the last thing that a thread does. glibc calls the destructors of a thread's keys by number, and that again as long as
// any is set, in at most PTHREAD_DESTRUCTOR_ITERATIONS rounds: the key with the highest number, set anew in every round, is the last of the last
// round.
static pthread_key_t last_key;

static void detach(void *round) {
	uintptr_t n = (uintptr_t)round;
	if (n < PTHREAD_DESTRUCTOR_ITERATIONS && pthread_setspecific(last_key, (void *)(n + 1)) == 0)
		return;
	struct lj_record *r = lj_own;
	if (!r)
		return;
	lj_registry_lock();
	take_out(r);
	lj_registry_unlock();
	// No scan can ask this record any more. One that has asked is answered here, unless the signal's handler does it first: there are no native frames.
	struct lj_request *q = atomic_exchange(&r->request, 0);
	if (q)
		lj_finish(q, r->index, LJ_LOOKED);
	if (r->kind == LJ_NATIVE)
		atomic_fetch_sub(&native_count, 1);
	lj_own = 0;
	lj_thread_state.attached = 0;
	lj_registry_lock();
	lj_record_give(&unused, r);
	lj_registry_unlock();
}

static void take_last_key(void) {
	static pthread_key_t keys[PTHREAD_KEYS_MAX];
	int n = 0;
	while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], detach) == 0)
		n++;
	if (n == 0)
		abort(); // no thread's end could be seen
	int last = 0;
	for (int i = 1; i < n; i++)
		if (keys[i] > keys[last])
			last = i;
	last_key = keys[last];
	for (int i = 0; i < n; i++)
		if (i != last)
			pthread_key_delete(keys[i]);
}

static void before_fork(void) {
	lj_signal_lock();
	lj_notices_lock();
	lj_registry_lock();
}

static void after_fork(void) {
	lj_registry_unlock();
	lj_notices_unlock();
	lj_signal_unlock();
}

// In the child there is only the thread that has forked, under another number, with no signals pending.
static void in_child(void) {
	for (struct lj_record *r = lj_registry, *next; r; r = next) {
		next = r->next;
		if (r == lj_own)
			continue;
		take_out(r);
		lj_record_give(&unused, r);
	}
	atomic_store(&native_count, 0);
	if (lj_own) {
		atomic_store(&lj_own->tid, (pid_t)syscall(SYS_gettid));
		atomic_store(&lj_own->request, 0);
		atomic_store(&lj_own->sent, 0);
		if (lj_own->kind == LJ_NATIVE)
			atomic_store(&native_count, 1);
	}
	lj_scan_forked();
	after_fork();
}

static void prepare(void) {
	take_last_key();
	pthread_atfork(before_fork, after_fork, in_child);
}

// Libraries that start threads in their constructors come before ours.
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
__attribute__((constructor)) static void prepare_once(void) { pthread_once(&prepared, prepare); }

void lj_attach_as(enum lj_kind kind) {
	if (lj_own)
		return;
	prepare_once();
	uintptr_t low = 0, top = 0;
	pthread_attr_t attr;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		void *p;
		size_t size;
		if (pthread_attr_getstack(&attr, &p, &size) == 0) {
			low = (uintptr_t)p;
			top = low + size;
		}
		pthread_attr_destroy(&attr);
	}
	lj_registry_lock();
	struct lj_record *r = lj_record_take(&unused);
	lj_registry_unlock();
	if (!r || pthread_setspecific(last_key, (void *)1) != 0)
		abort(); // out of memory at the start of a thread; unknown it would run code that is freed under it
	r->state = &lj_thread_state;
	r->kind = kind;
	r->low = low;
	r->top = top;
	atomic_store(&r->request, 0);
	atomic_store(&r->sent, 0);
	atomic_store(&r->tid, (pid_t)syscall(SYS_gettid));
	lj_own = r;
	if (kind == LJ_NATIVE) {
		lj_thread_state.base = (uintptr_t)pthread_self(); // glibc keeps the thread's descriptor above its stack
		atomic_fetch_add(&native_count, 1);
	}
	lj_thread_state.low = low;
	lj_thread_state.attached = 1;
	lj_registry_lock();
	put_in(r);
	lj_registry_unlock();
}

// Go's threads have been attached at their start. So this is the main thread, or one that was started past us, which has native frames already.
void lj_thread_attach(void) { lj_attach_as(getpid() == (pid_t)syscall(SYS_gettid) ? LJ_GO : LJ_NATIVE); }

int lj_native_count(void) { return atomic_load(&native_count); }

int lj_inside_count(void) {
	int n = 0;
	lj_registry_lock();
	for (struct lj_record *r = lj_registry; r; r = r->next)
		n += __atomic_load_n(&r->state->base, __ATOMIC_RELAXED) != 0;
	lj_registry_unlock();
	return n;
}
