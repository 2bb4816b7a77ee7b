// Threads from their start: who starts threads comes through here.
#define _GNU_SOURCE
#include "registry.h"

#include <aio.h>
#include <dlfcn.h>
#include <errno.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

atomic_int lj_foreign_threads;
atomic_int lj_other_stacks;

// libgcc's look-up of the function that an address lies in; the struct is its dwarf_eh_bases.
struct bases {
	void *tbase, *dbase, *func;
};
const void *_Unwind_Find_FDE(void *pc, struct bases *bases);

// runtime/cgo: the one place where Go's runtime starts threads.
int _cgo_try_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static int made_by_go(void *caller) {
	static _Atomic(void *) known; // address that calls of Go's runtime return to
	if (caller == atomic_load_explicit(&known, memory_order_relaxed))
		return 1;
	struct bases b;
	if (!_Unwind_Find_FDE((char *)caller - 1, &b) || b.func != (void *)_cgo_try_pthread_create)
		return 0;
	atomic_store_explicit(&known, caller, memory_order_relaxed);
	return 1;
}

// What a new thread does first.
struct start {
	void *(*routine)(void *);
	thrd_start_t c11;
	void *arg;
	enum lj_kind kind;
};

static struct start *new_start(void) { return malloc(sizeof(struct start)); }

static struct start taken(void *p) {
	struct start s = *(struct start *)p;
	free(p);
	return s;
}

// A thread may have inherited a mask that blocks everything.
static void unblock(void) {
	int sig = lj_signal_number();
	if (!sig && !(sig = lj_signal_ready()))
		return; // scans say so
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, 0);
}

// A thread that begins to run native code: from here to its end it has native frames. It counts as attached before it looks whether threads are held: either
// the scan that holds them finds it in the registry, or it sees lj_threads_held, since both take the registry's lock in between.
static void begin(enum lj_kind kind) {
	if (kind == LJ_NATIVE)
		unblock(); // before a scan can ask
	lj_attach_as(kind);
	if (kind == LJ_NATIVE && __atomic_load_n(&lj_threads_held, __ATOMIC_ACQUIRE))
		lj_thread_wait();
}

// On Go's threads, too, exit handlers run at the end that native code has registered inside an entry. Also when native code ends the thread (pthread_exit). Go
// has left the thread with all signals blocked.
static void end(enum lj_kind *kind) {
	if (*kind != LJ_GO)
		return;
	lj_ending = 1;
	unblock();
	lj_thread_enter(&(struct lj_thread_state){0}, (uintptr_t)pthread_self());
}

static void *run(void *p) {
	struct start s = taken(p);
	__attribute__((cleanup(end))) enum lj_kind kind = s.kind;
	begin(kind);
	return s.routine(s.arg);
}

static int run_c11(void *p) {
	struct start s = taken(p);
	begin(s.kind);
	return s.c11(s.arg);
}

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
typedef int thrd_fn(thrd_t *, thrd_start_t, void *);

// The library's own function; found at the first use, which may be in a constructor of a library that runs before ours.
static void *next(_Atomic(void *) *at, const char *name) {
	void *f = atomic_load_explicit(at, memory_order_relaxed);
	if (!f) {
		f = dlsym(RTLD_NEXT, name);
		if (!f)
			abort(); // not linked with a C library that has threads
		atomic_store_explicit(at, f, memory_order_relaxed);
	}
	return f;
}

// The executable's definition takes the place of libc's for all libraries of the process: the dynamic linker looks in the executable first.
__attribute__((visibility("default"))) int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*routine)(void *), void *arg) {
	static _Atomic(void *) at;
	create_fn *create = next(&at, "pthread_create");
	struct start *s = new_start();
	if (!s)
		return EAGAIN;
	*s = (struct start){.routine = routine, .arg = arg, .kind = made_by_go(__builtin_return_address(0)) ? LJ_GO : LJ_NATIVE};
	int e = create(t, attr, run, s);
	if (e)
		free(s);
	return e;
}

__attribute__((visibility("default"))) int thrd_create(thrd_t *t, thrd_start_t routine, void *arg) {
	static _Atomic(void *) at;
	thrd_fn *create = next(&at, "thrd_create");
	struct start *s = new_start();
	if (!s)
		return thrd_nomem;
	*s = (struct start){.c11 = routine, .arg = arg, .kind = LJ_NATIVE};
	int e = create(t, run_c11, s);
	if (e != thrd_success)
		free(s);
	return e;
}

// Notifications by a new thread (SIGEV_THREAD) of timers and message queues: glibc starts the threads inside itself, so the function to call is
// replaced by one of ours. What it stands for is kept in a table, since glibc does not tell when it is done with it: a notice that is gone is
// recognised by its number.
struct notice {
	void (*function)(union sigval);
	union sigval value;
	uint32_t generation; // odd: in use
	int once;            // a message queue's: good for one notification
	uintptr_t owner;     // the timer or the queue's descriptor
};
static pthread_mutex_t notices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct notice *notices;
static size_t nnotices;

void lj_notices_lock(void) { pthread_mutex_lock(&notices_lock); }
void lj_notices_unlock(void) { pthread_mutex_unlock(&notices_lock); }

static void *notice_name(size_t i) { return (void *)((uintptr_t)notices[i].generation << 32 | i); }

// Returns the number of a new notice, or -1.
static ssize_t notice_new(const struct sigevent *e, int once, uintptr_t owner, void **name) {
	lj_notices_lock();
	size_t i = 0;
	while (i < nnotices && notices[i].generation & 1)
		i++;
	if (i == nnotices) {
		size_t room = nnotices ? 2 * nnotices : 16;
		struct notice *grown = realloc(notices, room * sizeof *grown);
		if (!grown) {
			lj_notices_unlock();
			return -1;
		}
		memset(grown + nnotices, 0, (room - nnotices) * sizeof *grown);
		notices = grown;
		nnotices = room;
	}
	struct notice *n = &notices[i];
	*n = (struct notice){.function = e->sigev_notify_function, .value = e->sigev_value, .generation = n->generation + 1, .once = once, .owner = owner};
	*name = notice_name(i);
	lj_notices_unlock();
	return (ssize_t)i;
}

static void notice_drop(ssize_t i) {
	lj_notices_lock();
	if (i >= 0 && notices[i].generation & 1)
		notices[i].generation++;
	lj_notices_unlock();
}

static void notice_drop_of(int once, uintptr_t owner) {
	lj_notices_lock();
	for (size_t i = 0; i < nnotices; i++)
		if (notices[i].generation & 1 && notices[i].once == once && notices[i].owner == owner)
			notices[i].generation++;
	lj_notices_unlock();
}

static void notify(union sigval name) {
	begin(LJ_NATIVE);
	size_t i = (uint32_t)(uintptr_t)name.sival_ptr;
	struct notice n = {0};
	lj_notices_lock();
	if (i < nnotices && notice_name(i) == name.sival_ptr) {
		n = notices[i];
		if (n.once)
			notices[i].generation++;
	}
	lj_notices_unlock();
	if (n.function)
		n.function(n.value);
}

static int by_thread(const struct sigevent *e) { return e && e->sigev_notify == SIGEV_THREAD; }

static int lj_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer) {
	if (!by_thread(event))
		return timer_create(clock, event, timer);
	struct sigevent e = *event;
	ssize_t i = notice_new(event, 0, 0, &e.sigev_value.sival_ptr);
	if (i < 0) {
		errno = EAGAIN;
		return -1;
	}
	e.sigev_notify_function = notify;
	int r = timer_create(clock, &e, timer);
	if (r) {
		notice_drop(i);
		return r;
	}
	lj_notices_lock();
	notices[i].owner = (uintptr_t)*timer;
	lj_notices_unlock();
	return 0;
}

static int lj_timer_delete(timer_t timer) {
	notice_drop_of(0, (uintptr_t)timer);
	return timer_delete(timer);
}

static int lj_mq_notify(mqd_t queue, const struct sigevent *event) {
	if (!by_thread(event)) {
		int r = mq_notify(queue, event);
		if (r == 0)
			notice_drop_of(1, (uintptr_t)queue);
		return r;
	}
	struct sigevent e = *event;
	ssize_t i = notice_new(event, 1, (uintptr_t)queue, &e.sigev_value.sival_ptr);
	if (i < 0) {
		errno = EAGAIN;
		return -1;
	}
	e.sigev_notify_function = notify;
	int r = mq_notify(queue, &e);
	if (r)
		notice_drop(i);
	return r;
}

// Notifications whose place is in a structure of the caller: its threads stay unknown, and from then on scans look for such.
static void note(const struct sigevent *e) {
	if (by_thread(e))
		atomic_store(&lj_foreign_threads, 1);
}

static int lj_aio_read(struct aiocb *a) {
	note(&a->aio_sigevent);
	return aio_read(a);
}

static int lj_aio_write(struct aiocb *a) {
	note(&a->aio_sigevent);
	return aio_write(a);
}

static int lj_aio_fsync(int op, struct aiocb *a) {
	note(&a->aio_sigevent);
	return aio_fsync(op, a);
}

static int lj_lio_listio(int mode, struct aiocb *const list[], int n, struct sigevent *e) {
	note(e);
	for (int i = 0; i < n; i++)
		if (list[i])
			note(&list[i]->aio_sigevent);
	return lio_listio(mode, list, n, e);
}

static int lj_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *e) {
	note(e);
	return getaddrinfo_a(mode, list, n, e);
}

// A set of all signals does not have ours, as it does not have libc's own: a thread that blocks everything can still be looked at, and one that waits
// for everything does not get it.
static int lj_sigfillset(sigset_t *set) {
	int r = sigfillset(set), sig = lj_signal_ready();
	if (r == 0 && sig)
		sigdelset(set, sig);
	return r;
}

// Functions with arguments that only the caller knows: assembly passes them on.
__attribute__((visibility("hidden"))) void lj_clone(void), lj_makecontext(void), note_clone(void), note_makecontext(void);

void note_clone(void) { atomic_store(&lj_foreign_threads, 1); }

void note_makecontext(void) { atomic_store(&lj_other_stacks, (int)syscall(SYS_gettid)); }

const struct lj_symbol *lj_symbol_at(unsigned i) {
	static const struct lj_symbol symbols[] = {
		{"pthread_create", pthread_create},
		{"thrd_create", thrd_create},
		{"timer_create", lj_timer_create},
		{"timer_delete", lj_timer_delete},
		{"mq_notify", lj_mq_notify},
		{"aio_read", lj_aio_read},
		{"aio_write", lj_aio_write},
		{"aio_fsync", lj_aio_fsync},
		{"lio_listio", lj_lio_listio},
		// The 64-bit forms are the same functions where off_t has 64 bits.
		{"aio_read64", lj_aio_read},
		{"aio_write64", lj_aio_write},
		{"aio_fsync64", lj_aio_fsync},
		{"lio_listio64", lj_lio_listio},
		{"getaddrinfo_a", lj_getaddrinfo_a},
		{"sigfillset", lj_sigfillset},
		{"clone", lj_clone},
		{"makecontext", lj_makecontext},
	};
	return i < sizeof symbols / sizeof symbols[0] ? &symbols[i] : 0;
}
