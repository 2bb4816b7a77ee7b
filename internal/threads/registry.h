// The inside of package threads: records of threads, requests of a scan. What other packages see is in lj_threads.h.
#ifndef LIVEJIT_THREADS_REGISTRY_H
#define LIVEJIT_THREADS_REGISTRY_H

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lj_threads.h"

#pragma GCC visibility push(hidden)

enum lj_kind {
	LJ_GO,      // made by Go's runtime, or the main thread: native frames only inside entries
	LJ_NATIVE,  // everybody else's: native frames for life
	LJ_FOREIGN, // a task that is not in the registry, seen in /proc/self/task; records of this kind belong to the scanning thread
};

struct lj_request;

// A record is memory that is never given back but used again for other threads: a signal that comes late may name any record at any time.
struct lj_record {
	struct lj_record *next, **link; // registry: guarded by the registry's lock; foreign: by the scan's
	struct lj_thread_state *state;  // of the thread; valid while the record is in the registry
	_Atomic pid_t tid;              // 0 while it is nobody's
	enum lj_kind kind;
	uintptr_t low, top;             // of the thread's stack
	uint32_t index;                 // in the request's entries
	_Atomic(struct lj_request *) request; // not claimed yet; whoever exchanges it for NULL has to deal with it, alone
	_Atomic pid_t sent;             // a signal is on its way to this thread, which may be the record's last one: then it says nothing
	int seen;                       // foreign: in the last listing of tasks
};

// Why nothing is known of a thread. lj_reason_text has the words.
enum lj_answer {
	LJ_NO_ANSWER,
	LJ_LOOKED,      // everything was looked at
	LJ_OTHER_STACK, // it is on a stack that is not its own, with native frames at an unknown place
	LJ_UNREADABLE,  // its stack could not be read to the end
	LJ_QUEUE_FULL,  // the system does not queue more signals
	LJ_CONTEXTS,    // native code has made stacks of its own
	LJ_CROWD,       // tasks that nobody knows keep starting
};

struct lj_range {
	uint64_t lo, hi;
};

struct lj_store {
	uint64_t address, value;
};

struct lj_hit {
	_Atomic pid_t tid; // first thread that was found to hold an address in the range
	_Atomic uint64_t address;
};

struct lj_entry {
	struct lj_record *record;
	pid_t tid;
	atomic_int answer; // enum lj_answer
};

// A request asks a number of threads at once. Like records, requests are never given back, and used again only when outstanding is 0.
struct lj_request {
	struct lj_request *next;
	uint64_t lo, span; // all ranges lie in [lo, lo+span)
	struct lj_range *ranges;
	struct lj_hit *hits;
	size_t nranges, ranges_room;
	struct lj_entry *entries;
	size_t nentries, entries_room;
	pid_t *known; // all threads of the registry
	size_t nknown, known_room;
	atomic_int pending;     // entries without an answer; a futex
	atomic_int outstanding; // entries that somebody will still touch
	atomic_int hold;        // a futex: while it is 1, who has answered stays in its handler
};

// registry.c
extern __thread struct lj_record *lj_own __attribute__((tls_model("initial-exec")));
extern __thread int lj_ending __attribute__((tls_model("initial-exec"))); // a thread of Go's that Go has left
void lj_registry_lock(void);
void lj_registry_unlock(void);
extern struct lj_record *lj_registry; // guarded by that lock
struct lj_record *lj_record_take(struct lj_record **unused); // from a list that the caller guards; NULL: no memory
void lj_record_give(struct lj_record **unused, struct lj_record *r); // back to that list
int lj_record_is(const void *p); // whether p is the address of a record; async-signal-safe
void lj_attach_as(enum lj_kind kind);
int lj_native_count(void);
int lj_inside_count(void);
void lj_scan_forked(void); // scan.c: the child of a fork has no other threads

// handler.c
int lj_signal_ready(void); // installs the handler if it is not there; returns the signal's number or 0
int lj_signal_number(void); // 0: none chosen yet
void lj_signal_lock(void); // around a fork, so that the child does not inherit it locked; so are the registry's and the notices'
void lj_signal_unlock(void);
void lj_look_from(struct lj_request *q, pid_t tid, uintptr_t from, uintptr_t to);
void lj_finish(struct lj_request *q, size_t index, enum lj_answer answer);
void lj_futex_wait(const void *word, int value, int64_t nanoseconds); // < 0: no limit
void lj_futex_wake(const void *word);

// start.c
extern atomic_int lj_foreign_threads; // threads may exist that nobody knows
extern atomic_int lj_other_stacks;    // a thread that has called makecontext, or 0
void lj_notices_lock(void);
void lj_notices_unlock(void);

struct lj_symbol {
	const char *name;
	void *address;
};
const struct lj_symbol *lj_symbol_at(unsigned i);

// scan.c

// What lj_scan answers for a range. tid 0: nobody holds an address in it.
struct lj_holder {
	int64_t tid;
	uint64_t address;
	int64_t answer; // enum lj_answer: why the thread could not be looked at; LJ_LOOKED with address
};

enum { LJ_SCAN_DONE = 0, LJ_SCAN_HELD = 1, LJ_SCAN_NO_SIGNAL = -1, LJ_SCAN_NO_MEMORY = -2 };

// lj_scan looks at all threads and fills holders, one for each range (sorted, not overlapping), and one with a thread that could not be looked at, if
// there is one. limit is in nanoseconds. With stop the threads are held until all have answered, and if nobody holds anything the stores are made.
// Returns LJ_SCAN_HELD if somebody holds an address or could not be looked at, LJ_SCAN_DONE if not. One call at a time.
int lj_scan(const struct lj_range *ranges, size_t n, struct lj_holder *holders, int64_t limit, int stop, const struct lj_store *stores, size_t nstores);

#pragma GCC visibility pop
#endif
