#define _GNU_SOURCE
#include "tls.h"

#include <cpuid.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
// The calling thread's table of blocks, by module index, for the assembly: a copy of what its struct thread says.
__thread uint64_t lj_tls_count __attribute__((tls_model("initial-exec")));
__thread void **lj_tls_blocks __attribute__((tls_model("initial-exec")));
// What the slow path of lj_tlsdesc_dynamic saves: XSAVE's mask and area in bytes; 0 without XSAVE.
uint64_t lj_xsave_mask, lj_xsave_size;
void *lj_tls_slow(struct lj_tls_index *index);
#pragma GCC visibility pop

struct module {
	void *init;
	uint64_t init_size, size, align;
	uint64_t next_free; // of a released one
	int live;
};

struct thread {
	struct thread *next, **link;
	uint64_t count;
	void **blocks;
	int rounds; // of pthread key destructors seen
};

static pthread_mutex_t tls_lock = PTHREAD_MUTEX_INITIALIZER; // guards what follows, and all struct threads
static struct module *modules;
static uint64_t module_count, first_free = UINT64_MAX, live_modules, live_blocks;
static struct thread *threads;

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static __thread struct thread *self __attribute__((tls_model("initial-exec")));

__attribute__((noreturn)) static void die(const char *what, uint64_t module) {
	fprintf(stderr, "livejit: thread-local storage: %s (module %#llx)\n", what, (unsigned long long)module);
	abort();
}

// Runs in each round of key destructors, the last of which is PTHREAD_DESTRUCTOR_ITERATIONS: until then other keys' destructors may still use the blocks.
static void thread_exits(void *p) {
	struct thread *t = p;
	if (++t->rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(key, t);
		return;
	}
	lj_tls_count = 0;
	lj_tls_blocks = NULL;
	self = NULL;
	pthread_mutex_lock(&tls_lock);
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	for (uint64_t i = 0; i < t->count; i++) {
		live_blocks -= t->blocks[i] != NULL;
		free(t->blocks[i]);
	}
	pthread_mutex_unlock(&tls_lock);
	free(t->blocks);
	free(t);
}

static void before_fork(void) { pthread_mutex_lock(&tls_lock); }
static void after_fork(void) { pthread_mutex_unlock(&tls_lock); }

static void make_key(void) {
	if (pthread_key_create(&key, thread_exits) != 0 || pthread_atfork(before_fork, after_fork, after_fork) != 0)
		die("no pthread key", 0);
}

// Makes the calling thread's table and room in it for index i. With tls_lock held.
static void make_room(uint64_t i) {
	if (!self) {
		struct thread *t = calloc(1, sizeof *t);
		if (!t || pthread_setspecific(key, t) != 0)
			die("out of memory", i);
		t->next = threads;
		t->link = &threads;
		if (threads)
			threads->link = &t->next;
		threads = t;
		self = t;
	}
	if (i < self->count)
		return;
	uint64_t count = self->count * 2 > i + 1 ? self->count * 2 : i + 8;
	void **blocks = calloc(count, sizeof *blocks);
	if (!blocks)
		die("out of memory", i);
	if (self->count)
		memcpy(blocks, self->blocks, self->count * sizeof *blocks);
	void **old = self->blocks;
	self->blocks = blocks;
	self->count = count;
	// A signal handler between these sees the longer table with the shorter count.
	lj_tls_blocks = blocks;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	lj_tls_count = count;
	free(old);
}

// The calling thread's first access to a module.
void *lj_tls_slow(struct lj_tls_index *index) {
	uint64_t i = index->module & ~(1ull << LJ_TLS_TAG_BIT);
	pthread_once(&key_once, make_key);
	pthread_mutex_lock(&tls_lock);
	if (i >= module_count || !modules[i].live)
		die("access to a module that has been released", index->module);
	make_room(i);
	if (!self->blocks[i]) {
		const struct module *m = &modules[i];
		uint64_t align = m->align < sizeof(void *) ? sizeof(void *) : m->align;
		void *block;
		if (posix_memalign(&block, align, m->size ? m->size : 1) != 0)
			die("out of memory", index->module);
		if (m->init_size)
			memcpy(block, m->init, m->init_size);
		memset((char *)block + m->init_size, 0, m->size - m->init_size);
		self->blocks[i] = block;
		live_blocks++;
	}
	void *result = (char *)self->blocks[i] + index->offset;
	pthread_mutex_unlock(&tls_lock);
	return result;
}

uint64_t lj_tls_new(const void *init, uint64_t init_size, uint64_t size, uint64_t align) {
	void *copy = malloc(init_size ? init_size : 1);
	if (!copy)
		return 0;
	if (init_size)
		memcpy(copy, init, init_size);
	pthread_once(&key_once, make_key);
	pthread_mutex_lock(&tls_lock);
	uint64_t i = first_free;
	if (i != UINT64_MAX) {
		first_free = modules[i].next_free;
	} else {
		// Powers of two.
		if ((module_count & (module_count - 1)) == 0) {
			struct module *more = realloc(modules, (module_count ? 2 * module_count : 1) * sizeof *more);
			if (!more) {
				pthread_mutex_unlock(&tls_lock);
				free(copy);
				return 0;
			}
			modules = more;
		}
		i = module_count++;
	}
	modules[i] = (struct module){.init = copy, .init_size = init_size, .size = size, .align = align, .live = 1};
	live_modules++;
	pthread_mutex_unlock(&tls_lock);
	return i | 1ull << LJ_TLS_TAG_BIT;
}

int lj_tls_set_image(uint64_t id, const void *init, uint64_t init_size, uint64_t size, uint64_t align) {
	void *copy = NULL;
	if (init_size && !(copy = malloc(init_size)))
		return 0;
	if (copy)
		memcpy(copy, init, init_size);
	pthread_mutex_lock(&tls_lock);
	struct module *m = &modules[id & ~(1ull << LJ_TLS_TAG_BIT)];
	free(m->init);
	*m = (struct module){.init = copy, .init_size = init_size, .size = size, .align = align, .live = 1};
	pthread_mutex_unlock(&tls_lock);
	return 1;
}

void lj_tls_release(uint64_t id) {
	uint64_t i = id & ~(1ull << LJ_TLS_TAG_BIT);
	pthread_mutex_lock(&tls_lock);
	for (struct thread *t = threads; t; t = t->next) {
		if (i >= t->count || !t->blocks[i])
			continue;
		free(t->blocks[i]);
		__atomic_store_n(&t->blocks[i], NULL, __ATOMIC_RELAXED);
		live_blocks--;
	}
	free(modules[i].init);
	modules[i] = (struct module){.next_free = first_free};
	first_free = i;
	live_modules--;
	pthread_mutex_unlock(&tls_lock);
}

void lj_tls_live(uint64_t *m, uint64_t *b) {
	pthread_mutex_lock(&tls_lock);
	*m = live_modules;
	*b = live_blocks;
	pthread_mutex_unlock(&tls_lock);
}

// x87, SSE, AVX, AVX-512 and APX state: what a compiler may keep in registers across a descriptor call. Not AMX tiles, which are large and never live there.
__attribute__((constructor)) static void find_xsave(void) {
	const uint64_t wanted = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 19;
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	unsigned lo, hi;
	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	lj_xsave_mask = ((uint64_t)hi << 32 | lo) & wanted;
	lj_xsave_size = 512 + 64; // legacy area and header
	for (int i = 2; i < 64; i++) {
		if (!(lj_xsave_mask >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d); // a size, b offset
		if (a + b > lj_xsave_size)
			lj_xsave_size = a + b;
	}
}
