// The scanning side. Invariants and memory order:
//
// Whoever scans has stored new targets in the slots before. A thread that is found to hold nothing can come to retired code only by reading a slot,
// so it must be certain that its next reads of slots see those stores. Where a thread answers, the signal is in between. Where it is passed over
// since its base is 0, it may just be storing base and then reading a slot; the processor may read first. It has no fence, lj_scan has membarrier(2),
// which makes every running thread of the process execute one: either the store of base is seen here, or that thread's later reads see the new
// targets. The same holds for lj_threads_held. Threads that are not in the registry yet take its lock after lj_scan has, and read slots later.
//
// An entry of a request is dealt with by exactly one: the thread's handler, the thread's end (detach), or lj_scan itself, whoever exchanges
// record->request for NULL. outstanding counts those who have not yet touched the request for the last time.
#define _GNU_SOURCE
#include "registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int lj_threads_held;

void lj_thread_wait(void) {
	int saved = errno;
	while (__atomic_load_n(&lj_threads_held, __ATOMIC_ACQUIRE))
		lj_futex_wait(&lj_threads_held, 1, -1);
	errno = saved;
}

// All below belongs to the one thread that scans.
static struct lj_request *requests;
static struct lj_record *foreign, *unused;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// A fence on every running thread of the process. Returns 0 if the kernel has none (before 4.14, or filtered).
static int fence_everywhere(void) {
	static int state; // 0 not tried, 1 there, -1 not
	if (state == 0)
		state = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 ? 1 : -1;
	atomic_thread_fence(memory_order_seq_cst);
	return state > 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static int grow(void *array, size_t *room, size_t need, size_t size) {
	if (need <= *room)
		return 1;
	void **p = array;
	void *grown = realloc(*p, 2 * need * size);
	if (!grown)
		return 0;
	*p = grown;
	*room = 2 * need;
	return 1;
}

static struct lj_request *request_for(const struct lj_range *ranges, size_t n) {
	struct lj_request *q = requests;
	while (q && atomic_load(&q->outstanding) != 0)
		q = q->next;
	if (!q) {
		q = calloc(1, sizeof *q);
		if (!q)
			return 0;
		q->next = requests;
		requests = q;
	}
	size_t room = q->ranges_room;
	if (!grow(&q->hits, &room, n, sizeof *q->hits) || !grow(&q->ranges, &q->ranges_room, n, sizeof *q->ranges))
		return 0;
	memcpy(q->ranges, ranges, n * sizeof *ranges);
	memset(q->hits, 0, n * sizeof *q->hits);
	q->nranges = n;
	q->lo = n ? ranges[0].lo : 0;
	q->span = n ? ranges[n - 1].hi - q->lo + 1 : 0; // with the last end, see search
	q->nentries = q->nknown = 0;
	atomic_store(&q->hold, 0);
	return q;
}

// Makes an entry for r; it counts as pending until it is answered. There is room.
static void ask(struct lj_request *q, struct lj_record *r, pid_t tid) {
	struct lj_entry *e = &q->entries[q->nentries];
	e->record = r;
	e->tid = tid;
	atomic_store(&e->answer, LJ_NO_ANSWER);
	r->index = (uint32_t)q->nentries++;
	atomic_fetch_add(&q->outstanding, 1);
	atomic_fetch_add(&q->pending, 1);
	atomic_store(&r->request, q);
}

// Takes an entry back. Returns 0 if the thread has claimed it.
static int withdraw(struct lj_request *q, size_t i, enum lj_answer answer) {
	struct lj_entry *e = &q->entries[i];
	if (!atomic_exchange(&e->record->request, 0))
		return 0;
	atomic_store(&e->answer, answer);
	atomic_fetch_sub(&q->pending, 1);
	atomic_fetch_sub(&q->outstanding, 1);
	return 1;
}

static void send(struct lj_request *q, size_t i, int sig) {
	struct lj_entry *e = &q->entries[i];
	// An earlier one may still be on its way to a thread that has blocked it: it will do, and signals do not pile up. If the thread has just ended,
	// the record may be another's already, for which this means nothing.
	if (atomic_exchange(&e->record->sent, e->tid) == e->tid)
		return;
	siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = e->record;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), e->tid, sig, &info) == 0)
		return;
	int error = errno;
	atomic_store(&e->record->sent, 0);
	withdraw(q, i, error == ESRCH ? LJ_LOOKED : LJ_QUEUE_FULL); // ESRCH: it has ended
}

static int snapshot(struct lj_request *q, pid_t self) {
	lj_registry_lock();
	int fenced = fence_everywhere();
	size_t n = 0;
	for (struct lj_record *r = lj_registry; r; r = r->next)
		n++;
	if (!grow(&q->entries, &q->entries_room, n + 64, sizeof *q->entries) || !grow(&q->known, &q->known_room, n + 64, sizeof *q->known)) {
		lj_registry_unlock();
		return 0;
	}
	for (struct lj_record *r = lj_registry; r; r = r->next) {
		pid_t tid = atomic_load(&r->tid);
		q->known[q->nknown++] = tid;
		if (tid != self && (!fenced || __atomic_load_n(&r->state->base, __ATOMIC_RELAXED) != 0))
			ask(q, r, tid);
	}
	lj_registry_unlock();
	return 1;
}

static int is_known(const struct lj_request *q, pid_t tid) {
	for (size_t i = 0; i < q->nknown; i++)
		if (q->known[i] == tid)
			return 1;
	return 0;
}

static struct lj_record *foreign_record(pid_t tid) {
	for (struct lj_record *r = foreign; r; r = r->next)
		if (atomic_load(&r->tid) == tid)
			return r;
	struct lj_record *r = lj_record_take(&unused);
	if (!r)
		return 0;
	r->kind = LJ_FOREIGN;
	atomic_store(&r->request, 0);
	atomic_store(&r->sent, 0);
	atomic_store(&r->tid, tid);
	r->next = foreign;
	foreign = r;
	return r;
}

struct task_entry { // linux_dirent64
	uint64_t inode;
	int64_t next;
	unsigned short size;
	unsigned char type;
	char name[];
};

// Asks all tasks of the process that are not known. Returns how many, -1 if there is no room or no list. The main thread, if it is not in the
// registry, has had no entry. No memory but the record's own is taken and no lock: threads may be held.
static int ask_foreign(struct lj_request *q, int sig) {
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), asked = 0;
	if (fd < 0)
		return -1;
	_Alignas(struct task_entry) char buffer[4096];
	long n;
	while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
		for (char *p = buffer; p < buffer + n; p += ((struct task_entry *)p)->size) {
			pid_t tid = atoi(((struct task_entry *)p)->name);
			if (tid <= 0 || tid == getpid() || is_known(q, tid))
				continue;
			struct lj_record *r = q->nentries < q->entries_room && q->nknown < q->known_room ? foreign_record(tid) : 0;
			if (!r) {
				close(fd);
				return -1;
			}
			r->seen = 1;
			q->known[q->nknown++] = tid;
			ask(q, r, tid);
			send(q, q->nentries - 1, sig);
			asked++;
		}
	}
	close(fd);
	return n < 0 ? -1 : asked;
}

// Waits until all have answered; takes back what is not claimed in time.
static void wait_for_answers(struct lj_request *q, int64_t deadline) {
	for (int spin = 0; spin < 200; spin++) {
		if (atomic_load(&q->pending) == 0)
			return;
		__builtin_ia32_pause();
	}
	int n;
	while ((n = atomic_load(&q->pending)) != 0) {
		int64_t left = deadline - now();
		if (left <= 0)
			break;
		lj_futex_wait(&q->pending, n, left);
	}
	if (n == 0)
		return;
	for (size_t i = 0; i < q->nentries; i++)
		withdraw(q, i, LJ_NO_ANSWER);
}

// The scanning thread itself: it may be in a callback of native code, whose frames lie above this one. Those of Go and of this scan lie below the
// callback and are left out: they hold the ranges themselves.
__attribute__((noinline)) static enum lj_answer look_at_self(struct lj_request *q, pid_t self) {
	uintptr_t base = lj_thread_state.base, from = lj_thread_state.callback;
	if (!base)
		return LJ_LOOKED;
	if (!from)
		from = (uintptr_t)__builtin_frame_address(0);
	if (!lj_own || from < lj_own->low || from >= base)
		return LJ_OTHER_STACK;
	lj_look_from(q, self, from, base);
	return LJ_LOOKED;
}

// Collects the answers. Returns whether nobody holds anything.
static int collect(struct lj_request *q, enum lj_answer own, pid_t self, struct lj_holder *holders) {
	struct lj_holder unknown = {0};
	if (atomic_load(&lj_other_stacks))
		unknown = (struct lj_holder){.tid = atomic_load(&lj_other_stacks), .answer = LJ_CONTEXTS};
	if (own != LJ_LOOKED)
		unknown = (struct lj_holder){.tid = self, .answer = own};
	for (size_t i = 0; i < q->nentries; i++) {
		int answer = atomic_load(&q->entries[i].answer);
		if (answer != LJ_LOOKED)
			unknown = (struct lj_holder){.tid = q->entries[i].tid, .answer = answer};
	}
	int nobody = unknown.tid == 0;
	for (size_t i = 0; i < q->nranges; i++) {
		pid_t tid = atomic_load(&q->hits[i].tid);
		holders[i] = tid ? (struct lj_holder){tid, atomic_load(&q->hits[i].address), LJ_LOOKED} : unknown;
		nobody &= tid == 0;
	}
	holders[q->nranges] = unknown;
	return nobody;
}

static void forget_ended_foreign(void) {
	for (struct lj_request *q = requests; q; q = q->next)
		if (atomic_load(&q->outstanding) != 0)
			return; // a handler may still be using its record
	for (struct lj_record **p = &foreign, *r; (r = *p);) {
		if (r->seen) {
			r->seen = 0;
			p = &r->next;
			continue;
		}
		*p = r->next;
		lj_record_give(&unused, r);
	}
}

// Clears the stack below, where ranges and words that were found have been: this thread's native frames may soon lie there, with holes.
__attribute__((noinline)) static void wipe(void) {
	char below[2048];
	memset(below, 0, sizeof below);
	__asm__ volatile("" : : "r"(below) : "memory");
}

int lj_scan(const struct lj_range *ranges, size_t n, struct lj_holder *holders, int64_t limit, int stop, const struct lj_store *stores, size_t nstores) {
	int sig = lj_signal_ready();
	if (!sig)
		return LJ_SCAN_NO_SIGNAL;
	struct lj_request *q = request_for(ranges, n);
	if (!q)
		return LJ_SCAN_NO_MEMORY;
	pid_t self = (pid_t)syscall(SYS_gettid);
	int64_t deadline = now() + limit;
	sigset_t all, mask;
	if (stop) {
		// While others are held, this thread must not wait for anything of theirs: not in a signal handler either (the profiler's takes a lock).
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &mask);
		__atomic_store_n(&lj_threads_held, 1, __ATOMIC_SEQ_CST);
		atomic_store(&q->hold, 1);
	}
	int result = LJ_SCAN_NO_MEMORY;
	if (snapshot(q, self)) {
		size_t asked = q->nentries;
		for (size_t i = 0; i < asked; i++)
			send(q, i, sig);
		enum lj_answer own = look_at_self(q, self);
		int foreigners = atomic_load(&lj_foreign_threads);
		if (foreigners && !is_known(q, self) && q->nknown < q->known_room)
			q->known[q->nknown++] = self;
		wait_for_answers(q, deadline);
		// Unknown threads that are not held may start others.
		for (int round = 0; foreigners; round++) {
			int more = ask_foreign(q, sig);
			if (more < 0 || round == 100)
				own = LJ_CROWD;
			if (more <= 0 || round == 100)
				break;
			wait_for_answers(q, deadline);
		}
		result = collect(q, own, self, holders) ? LJ_SCAN_DONE : LJ_SCAN_HELD;
		if (stop && result == LJ_SCAN_DONE)
			for (size_t i = 0; i < nstores; i++)
				__atomic_store_n((uint64_t *)stores[i].address, stores[i].value, __ATOMIC_RELEASE);
		if (foreigners)
			forget_ended_foreign();
	}
	if (stop) {
		atomic_store(&q->hold, 0);
		lj_futex_wake(&q->hold);
		__atomic_store_n(&lj_threads_held, 0, __ATOMIC_SEQ_CST);
		lj_futex_wake(&lj_threads_held);
		pthread_sigmask(SIG_SETMASK, &mask, 0);
	}
	wipe();
	return result;
}

void lj_scan_forked(void) {
	__atomic_store_n(&lj_threads_held, 0, __ATOMIC_SEQ_CST);
	for (struct lj_request *q = requests; q; q = q->next) {
		atomic_store(&q->hold, 0);
		atomic_store(&q->outstanding, 0);
	}
	for (struct lj_record *r = foreign; r; r = r->next)
		r->seen = 0;
	forget_ended_foreign();
}
