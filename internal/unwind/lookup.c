// Look-up: which code block, and which FDE, covers a program counter. Readers only;
// region.h says why they are right without a lock.
#include "region.h"

struct reading {
	struct lj_region *region;
	_Atomic(uint32_t) *counter;
	uintptr_t lo, hi;
};

// Finds the open region of pc and enters it; leave must follow if 1 is returned.
static int enter(uintptr_t pc, struct reading *r) {
	uint32_t end = atomic_load_explicit(&lj_regions_end, memory_order_acquire);
	for (uint32_t i = 0; i < end; i++) {
		struct lj_region *g = &lj_regions[i];
		uint32_t before = atomic_load_explicit(&g->sequence, memory_order_acquire);
		uintptr_t lo = atomic_load_explicit(&g->lo, memory_order_relaxed);
		uintptr_t hi = atomic_load_explicit(&g->hi, memory_order_relaxed);
		if (!lj_is_open(before) || pc < lo || pc >= hi)
			continue;
		uint32_t side = atomic_load_explicit(&g->side, memory_order_relaxed) & 1;
		atomic_fetch_add(&g->readers[side], 1);
		// If the slot was closed, or opened for another range, since the first look, go on:
		// no code that is executing is in a region that is being opened or closed.
		if (atomic_load(&g->sequence) != before) {
			atomic_fetch_sub(&g->readers[side], 1);
			continue;
		}
		*r = (struct reading){g, &g->readers[side], lo, hi};
		return 1;
	}
	return 0;
}

static void leave(struct reading *r) { atomic_fetch_sub(r->counter, 1); }

// The last bit set at or before `at` in a level, searching upwards in the levels when a
// word has none. Returns 0 if there is none.
static int last_set(struct lj_region *g, uint64_t at, uint64_t *found) {
	int n = 0;
	uint64_t i = at;
	for (;;) {
		lj_word *level = atomic_load_explicit(&g->level[n], memory_order_relaxed);
		// Sequentially consistent for level 0: the other half of rule 3.
		uint64_t w = atomic_load(&level[i / LJ_WORD]);
		w &= ~UINT64_C(0) >> (LJ_WORD - 1 - i % LJ_WORD);
		if (w != 0) {
			i = i / LJ_WORD * LJ_WORD + (LJ_WORD - 1 - (uint64_t)__builtin_clzll(w));
			if (n == 0) {
				*found = i;
				return 1;
			}
			// Down again: the whole word below. It may have become 0 since, then its
			// place serves as the one to go on before.
			n--;
			i = i * LJ_WORD + (LJ_WORD - 1);
			continue;
		}
		if (n == LJ_LEVELS - 1) {
			if (i < LJ_WORD)
				return 0;
			i = i / LJ_WORD * LJ_WORD - 1; // the top level has few words: go through them
			continue;
		}
		if (i < LJ_WORD)
			return 0;
		i = i / LJ_WORD - 1; // words before this one
		n++;
	}
}

// The code block of pc in a region that was entered.
static const struct lj_header *block(struct reading *r, uintptr_t pc, uintptr_t *start) {
	uint64_t bit;
	if (!last_set(r->region, (pc - r->lo) / LJ_GRANULE, &bit))
		return 0;
	*start = r->lo + bit * LJ_GRANULE;
	const struct lj_header *h = (const struct lj_header *)(*start - sizeof *h);
	return pc - *start < h->size ? h : 0;
}

int lj_unwind_find(uintptr_t pc, uintptr_t *start) {
	struct reading r;
	if (!enter(pc, &r))
		return 0;
	int ok = block(&r, pc, start) != 0;
	leave(&r);
	return ok;
}

// Looks for the row of the block's table that covers pc.
static void find_row(struct reading *r, const struct lj_header *h, uintptr_t pc, struct lj_code *out) {
	uintptr_t table = out->start + (intptr_t)h->eh;
	uint32_t lo = 0, hi = h->neh;
	if (table < r->lo || table > r->hi || (r->hi - table) / sizeof(struct lj_eh_row) < hi)
		return; // not a table of ours
	const struct lj_eh_row *rows = (const struct lj_eh_row *)table;
	uint32_t at = (uint32_t)(pc - out->start);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (at >= rows[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < h->neh && at >= rows[lo].begin) {
		out->fde = out->start + (intptr_t)rows[lo].fde;
		out->func = out->start + rows[lo].begin;
	}
}

int lj_unwind_code(uintptr_t pc, struct lj_code *out) {
	struct reading r;
	uintptr_t start;
	if (!enter(pc, &r))
		return 0;
	const struct lj_header *h = block(&r, pc, &start);
	if (h) {
		*out = (struct lj_code){.start = start, .size = h->size, .id = h->id, .func = start};
		find_row(&r, h, pc, out);
	}
	leave(&r);
	return h != 0;
}
