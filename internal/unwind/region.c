// Opening and closing regions, adding and removing code. Writers only; region.h says how
// readers stay right meanwhile.
#define _GNU_SOURCE
#include "region.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

struct lj_region lj_regions[LJ_MAX_REGIONS];
_Atomic(uint32_t) lj_regions_end;

static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;

static int64_t milliseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

// Waits until the readers that entered by one counter have left. Returns 0 if it gave up.
static int drain_side(struct lj_region *g, int side) {
	const int64_t patience = 100;
	int64_t deadline = 0;
	for (int spins = 0;; spins++) {
		uint32_t n = atomic_load(&g->readers[side]);
		if (n <= g->absent[side]) {
			g->absent[side] = n;
			return 1;
		}
		if (spins < 100)
			continue;
		sched_yield();
		int64_t now = milliseconds();
		if (deadline == 0)
			deadline = now + patience;
		if (now >= deadline) {
			g->absent[side] = n;
			return 0;
		}
	}
}

// Waits until each reader that may have seen what was there before has left.
static int drain(struct lj_region *g) {
	int ok = 1;
	for (int side = 0; side < 2; side++) {
		if (atomic_load(&g->readers[side]) > g->absent[side])
			atomic_store(&g->side, !side); // send new ones to the other
		ok &= drain_side(g, side);
	}
	return ok;
}

// Maps the levels of a region of that many bytes. Untouched pages cost nothing.
static int map_levels(struct lj_region *g, uintptr_t bytes) {
	size_t words[LJ_LEVELS], total = 0;
	size_t bits = (bytes + LJ_GRANULE - 1) / LJ_GRANULE;
	for (int n = 0; n < LJ_LEVELS; n++) {
		words[n] = (bits + LJ_WORD - 1) / LJ_WORD;
		total += words[n];
		bits = words[n];
	}
	lj_word *p = mmap(0, total * sizeof *p, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	// Few pages of it are ever touched; a huge page would be mostly waste. Where the
	// kernel has none the call fails, which does not matter.
	madvise(p, total * sizeof *p, MADV_NOHUGEPAGE);
	g->map_size = total * sizeof *p;
	for (int n = 0; n < LJ_LEVELS; n++) {
		atomic_store_explicit(&g->level[n], p, memory_order_relaxed);
		p += words[n];
	}
	return 1;
}

// A free slot for [lo, hi), or a result below 0.
static int find_slot(uintptr_t lo, uintptr_t hi) {
	int slot = LJ_REGIONS_FULL;
	uint32_t end = atomic_load(&lj_regions_end);
	for (uint32_t i = 0; i < end; i++) {
		struct lj_region *g = &lj_regions[i];
		if (!lj_is_open(atomic_load(&g->sequence))) {
			if (slot < 0)
				slot = (int)i;
		} else if (lo < atomic_load(&g->hi) && atomic_load(&g->lo) < hi) {
			return LJ_REGION_OVERLAPS;
		}
	}
	return slot < 0 && end < LJ_MAX_REGIONS ? (int)end : slot;
}

int lj_region_open(uintptr_t lo, uintptr_t hi) {
	pthread_mutex_lock(&writer);
	int slot = find_slot(lo, hi);
	if (slot >= 0) {
		struct lj_region *g = &lj_regions[slot];
		if (map_levels(g, hi - lo)) {
			g->count = 0;
			atomic_store(&g->lo, lo);
			atomic_store(&g->hi, hi);
			atomic_fetch_add(&g->sequence, 1);
			if ((uint32_t)slot >= atomic_load(&lj_regions_end))
				atomic_store(&lj_regions_end, (uint32_t)slot + 1);
		} else {
			slot = LJ_REGION_NO_MEMORY;
		}
	}
	pthread_mutex_unlock(&writer);
	return slot;
}

int lj_region_close(int number) {
	pthread_mutex_lock(&writer);
	struct lj_region *g = &lj_regions[number];
	atomic_fetch_add(&g->sequence, 1);
	// If a reader never left, the levels stay mapped: it might yet read them.
	int drained = drain(g);
	if (drained)
		munmap((void *)atomic_load(&g->level[0]), g->map_size);
	uint32_t end = atomic_load(&lj_regions_end);
	while (end > 0 && !lj_is_open(atomic_load(&lj_regions[end - 1].sequence)))
		end--;
	atomic_store(&lj_regions_end, end);
	pthread_mutex_unlock(&writer);
	return drained;
}

// Sets the bit of a start; returns 0 if it was set.
static int set_bit(struct lj_region *g, uint64_t bit) {
	for (int n = 0; n < LJ_LEVELS; n++) {
		lj_word *w = &atomic_load_explicit(&g->level[n], memory_order_relaxed)[bit / LJ_WORD];
		uint64_t mask = UINT64_C(1) << bit % LJ_WORD;
		uint64_t old = atomic_fetch_or(w, mask);
		if (old & mask)
			return n > 0; // above, another start of the same word has set it
		bit /= LJ_WORD;
	}
	return 1;
}

// Clears the bit of a start; returns 0 if it was clear.
static int clear_bit(struct lj_region *g, uint64_t bit) {
	for (int n = 0; n < LJ_LEVELS; n++) {
		lj_word *w = &atomic_load_explicit(&g->level[n], memory_order_relaxed)[bit / LJ_WORD];
		uint64_t mask = UINT64_C(1) << bit % LJ_WORD;
		uint64_t old = atomic_fetch_and(w, ~mask);
		if (!(old & mask))
			return 0;
		if (old != mask)
			return 1; // the word still has others
		bit /= LJ_WORD;
	}
	return 1;
}

// Changes the bits of all starts with `change`; if one cannot be, changes those before it back.
static size_t change_all(struct lj_region *g, const uint64_t *starts, size_t n,
                         int (*change)(struct lj_region *, uint64_t), int (*back)(struct lj_region *, uint64_t)) {
	uintptr_t lo = atomic_load(&g->lo), hi = atomic_load(&g->hi);
	for (size_t i = 0; i < n; i++) {
		uint64_t s = starts[i];
		// The header lies before the start, and in the region.
		if (s >= lo + sizeof(struct lj_header) && s < hi && s % LJ_GRANULE == 0 && change(g, (s - lo) / LJ_GRANULE))
			continue;
		for (size_t j = i; j-- > 0;)
			back(g, (starts[j] - lo) / LJ_GRANULE);
		return i;
	}
	return n;
}

size_t lj_region_add(int number, const uint64_t *starts, size_t n) {
	pthread_mutex_lock(&writer);
	struct lj_region *g = &lj_regions[number];
	size_t done = change_all(g, starts, n, set_bit, clear_bit);
	if (done == n)
		g->count += n;
	pthread_mutex_unlock(&writer);
	return done;
}

size_t lj_region_remove(int number, const uint64_t *starts, size_t n) {
	pthread_mutex_lock(&writer);
	struct lj_region *g = &lj_regions[number];
	size_t done = change_all(g, starts, n, clear_bit, set_bit);
	if (done == n) {
		g->count -= n;
		drain(g);
	}
	pthread_mutex_unlock(&writer);
	return done;
}

uint64_t lj_region_count(int number) {
	pthread_mutex_lock(&writer);
	uint64_t n = lj_regions[number].count;
	pthread_mutex_unlock(&writer);
	return n;
}
