// Threads for the tests of package threads.
#ifndef LIVEJIT_THREADSTEST_SUBJECTS_H
#define LIVEJIT_THREADSTEST_SUBJECTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where an actor keeps the address.
enum place { STACK, REGISTER, VECTOR, RED_ZONE, COUNTER };

// How it waits while it keeps it (STACK only; the others spin).
enum pause { SPIN, SLEEP, READ, BLOCKED };

// What thread keeps it, and when.
enum launch { PTHREAD, STD_THREAD, DETACHED, C11, THREAD_LOCAL, KEY, LAST_KEY, CANCELLED, EXITED, ALTERNATE, INTERRUPTED, CONTEXT };

// An actor takes three steps: it keeps the address (stage 1) until go is 1, then does not (stage 2) until go is 2, then ends (stage 3).
struct actor {
	uint64_t masked; // the complement of the address, so that it stands nowhere else
	int place, pause, launch;
	volatile int stage, go, tid;
	int pipe[2];
	uint64_t handle[2]; // pthread_t or thrd_t, std::thread
	int key;
};

struct actor *actor_start(int launch, int place, int pause, uint64_t masked);
void actor_end(struct actor *a); // after stage 3: joins it and gives it back
void actor_cancel(struct actor *a);
void actor_go(struct actor *a, int go);

// Entered by guard: keeps the address while fn(arg) runs, then calls after(arg2) without it.
void keep_and_call(uint64_t masked, uint64_t fn, uint64_t arg, uint64_t after, uint64_t arg2);
// Entered by guard: keeps the address on the stack while *go is 0.
void keep_and_wait(uint64_t masked, volatile int *stage, volatile int *go);
// Entered by guard: lets a act when the thread ends.
void act_at_end(struct actor *a);
// Calls the Go function of the test package by plain cgo.
void plain_back(uint64_t arg);
uint64_t placed_code(void); // of COUNTER: where its loop lies; 16 bytes

// A slot's counter tells by its last two bits what the slot's thread does: 0 it does not keep the address, 2 it does, 1 and 3 in between.
struct slot {
	volatile uint64_t counter;
	uint64_t masked;
};
void slot_round(struct slot *s, int time); // keeps the address once: asleep for 8 nanoseconds times an odd number, awake for about n/256 with an even one
int slot_thread(struct slot *s, int time, int rounds); // on a detached thread of its own, whose end slots_running shows
int slots_running(void);

// Readers of cells that change together: every reading in any order must never decrease.
struct reader {
	volatile uint64_t *cells;
	int ncells;
	volatile int *stop;
	volatile uint64_t rounds, bad;
};
void read_cells(struct reader *r, int rounds); // < 0: until *stop
int reader_thread(struct reader *r);

// What engines do: slot holds the address of the present body, retired the highest one that was freed. Who has read a body's address from the slot
// runs it for a while, and counts in bad when it is freed meanwhile.
struct retire {
	uint64_t slot, retired, bad, rounds;
};
void retire_rounds(struct retire *r, int rounds, int time);
int retire_thread(struct retire *r, volatile int *stop);

int timer_start(uint64_t create, struct actor *a, uint64_t *timer);
int timer_end(uint64_t delete_, uint64_t timer);
int queue_start(uint64_t notify, struct actor *a); // a message arrives in a queue; returns errno
int aio_start(uint64_t read, struct actor *a);
int fork_count(uint64_t count); // in a child: what count() returns
int sigset_has(uint64_t fill, int sig);
int context_run(uint64_t make);
int clone_run(uint64_t clone_function);
void use_signal(int sig); // installs a handler of its own
void raise_here(int sig);

#ifdef __cplusplus
}
#endif
#endif
