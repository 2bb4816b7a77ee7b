#define _GNU_SOURCE
#include "exit.h"

#include <pthread.h>
#include <stdlib.h>

extern void *__dso_handle __attribute__((visibility("hidden")));
extern int __cxa_atexit(void (*)(void *), void *, void *);
extern int __cxa_at_quick_exit(void (*)(void *), void *);
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);
extern void __cxa_finalize(void *);

// A registered handler stands in two lists, newest first: its DSO's and the process's, as handlers of different DSOs run interleaved at exit.
struct node {
	struct lj_handler h;
	struct node *next, *all_next;
	struct node **link, **all_link;
	pthread_t thread; // LJ_THREAD: where it runs
	int running;      // LJ_THREAD: at its thread's exit now; only in the DSO's list
};

struct lj_dso {
	struct node *handlers;
	struct lj_dso *next_in_bucket;
};

static pthread_mutex_t exit_lock = PTHREAD_MUTEX_INITIALIZER; // guards what follows, and all DSOs and nodes
static pthread_cond_t thread_done = PTHREAD_COND_INITIALIZER;
static struct node *all;
static uint64_t live;
static struct lj_dso *buckets[1024]; // the live DSOs: any pointer may be asked about
static int status;

static struct lj_dso **bucket(const void *d) { return &buckets[(uintptr_t)d / 64 % (sizeof buckets / sizeof *buckets)]; }

static int known(const void *d) {
	for (struct lj_dso *x = *bucket(d); x; x = x->next_in_bucket)
		if (x == d)
			return 1;
	return 0;
}

static void leave_dso(struct node *n) {
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
}

static void join_dso(struct node *n, struct lj_dso *d) {
	n->next = d->handlers;
	n->link = &d->handlers;
	if (n->next)
		n->next->link = &n->next;
	d->handlers = n;
}

static void unlink_node(struct node *n) {
	leave_dso(n);
	*n->all_link = n->all_next;
	if (n->all_next)
		n->all_next->all_link = n->all_link;
	live--;
}

// Adds a handler if dso is ours. Returns the node, or NULL with *ours telling whether memory or the DSO was missing.
static struct node *add(int kind, void *fn, void *arg, void *dso, int *ours) {
	struct node *n = malloc(sizeof *n);
	pthread_mutex_lock(&exit_lock);
	*ours = known(dso);
	if (!*ours || !n) {
		pthread_mutex_unlock(&exit_lock);
		free(n);
		return NULL;
	}
	struct lj_dso *d = dso;
	*n = (struct node){.h = {(uintptr_t)fn, (uintptr_t)arg, kind, d}, .all_next = all, .all_link = &all, .thread = pthread_self()};
	join_dso(n, d);
	if (n->all_next)
		n->all_next->all_link = &n->all_next;
	all = n;
	live++;
	pthread_mutex_unlock(&exit_lock);
	return n;
}

int lj_cxa_atexit(void (*fn)(void *), void *arg, void *dso) {
	int ours;
	if (add(LJ_AT_EXIT, (void *)fn, arg, dso, &ours))
		return 0;
	return ours ? -1 : __cxa_atexit(fn, arg, dso);
}

int lj_atexit(void (*fn)(void), void *dso) {
	int ours;
	return add(LJ_AT_EXIT, (void *)fn, NULL, dso, &ours) ? 0 : -1;
}

int lj_on_exit(void (*fn)(int, void *), void *arg, void *dso) {
	int ours;
	return add(LJ_ON_EXIT, (void *)fn, arg, dso, &ours) ? 0 : -1;
}

int lj_at_quick_exit(void (*fn)(void), void *dso) {
	int ours;
	if (add(LJ_QUICK, (void *)fn, NULL, dso, &ours))
		return 0;
	return ours ? -1 : __cxa_at_quick_exit((void (*)(void *))fn, dso);
}

// libc keeps fork handlers by DSO; __cxa_finalize of the handle takes them away (lj_dso_free).
int lj_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso) { return __register_atfork(prepare, parent, child, dso); }

// At thread exit. The node is freed here and nowhere else: libc has its address.
static void run_thread_destructor(void *p) {
	struct node *n = p;
	pthread_mutex_lock(&exit_lock);
	struct lj_dso *d = n->h.dso;
	if (d) {
		unlink_node(n);
		join_dso(n, d); // and no other list: for lj_dso_free to wait for
		n->running = 1;
	}
	pthread_mutex_unlock(&exit_lock);
	if (d) {
		((void (*)(void *))n->h.fn)((void *)n->h.arg);
		pthread_mutex_lock(&exit_lock);
		if (n->h.dso)
			leave_dso(n);
		pthread_cond_broadcast(&thread_done);
		pthread_mutex_unlock(&exit_lock);
	}
	free(n);
}

int lj_cxa_thread_atexit(void (*fn)(void *), void *arg, void *dso) {
	int ours;
	struct node *n = add(LJ_THREAD, (void *)fn, arg, dso, &ours);
	if (!ours)
		return __cxa_thread_atexit_impl(fn, arg, dso);
	if (!n)
		return -1;
	return __cxa_thread_atexit_impl(run_thread_destructor, n, &__dso_handle);
}

static int wanted(const struct node *n, int kind) {
	if (n->running)
		return 0;
	if (kind == LJ_THREAD)
		return n->h.kind == LJ_THREAD && pthread_equal(n->thread, pthread_self());
	return n->h.kind == kind || (kind == LJ_AT_EXIT && n->h.kind == LJ_ON_EXIT);
}

int lj_dso_next(struct lj_dso *dso, int kind, struct lj_handler *out) {
	pthread_mutex_lock(&exit_lock);
	struct node *n = dso ? dso->handlers : all;
	while (n && !wanted(n, kind))
		n = dso ? n->next : n->all_next;
	if (n) {
		unlink_node(n);
		*out = n->h;
		n->h.dso = NULL;
	}
	pthread_mutex_unlock(&exit_lock);
	if (n && kind != LJ_THREAD)
		free(n);
	return n != NULL;
}

struct lj_dso *lj_dso_new(void) {
	struct lj_dso *d = aligned_alloc(64, 64);
	if (!d)
		return NULL;
	*d = (struct lj_dso){0};
	pthread_mutex_lock(&exit_lock);
	struct lj_dso **b = bucket(d);
	d->next_in_bucket = *b;
	*b = d;
	pthread_mutex_unlock(&exit_lock);
	return d;
}

void lj_dso_free(struct lj_dso *d) {
	__cxa_finalize(d);
	pthread_mutex_lock(&exit_lock);
	struct lj_dso **b = bucket(d);
	while (*b != d)
		b = &(*b)->next_in_bucket;
	*b = d->next_in_bucket;
	for (;;) {
		struct node *n = d->handlers, *other = NULL;
		for (struct node *next; n; n = next) {
			next = n->next;
			if (n->running && !pthread_equal(n->thread, pthread_self())) {
				other = n;
				continue;
			}
			n->h.dso = NULL;
			if (n->running) { // this is its thread: it goes on after we have returned
				leave_dso(n);
				continue;
			}
			unlink_node(n);
			if (n->h.kind != LJ_THREAD)
				free(n);
		}
		if (!other)
			break;
		pthread_cond_wait(&thread_done, &exit_lock);
	}
	pthread_mutex_unlock(&exit_lock);
	free(d);
}

uint64_t lj_dso_handlers(void) {
	pthread_mutex_lock(&exit_lock);
	uint64_t n = live;
	pthread_mutex_unlock(&exit_lock);
	return n;
}

static void (*closure)(uint64_t);
static uint64_t closure_arg, closure_quick_arg;

static void at_exit(int s, void *unused) {
	status = s;
	closure(closure_arg);
}

static void at_quick(void) { closure(closure_quick_arg); }

int lj_hook_exit(uint64_t fn, uint64_t arg, uint64_t quick_arg) {
	closure = (void (*)(uint64_t))fn;
	closure_arg = arg;
	closure_quick_arg = quick_arg;
	return on_exit(at_exit, NULL) != 0 || at_quick_exit(at_quick) != 0;
}

int lj_exit_status(void) { return status; }
