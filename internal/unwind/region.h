// A region is a range of addresses with code in it: one bit for each 16 bytes, set
// where a code block starts, in three levels: a bit of level n+1 says that a word of
// level n is not zero. The block that contains a program counter is found by looking
// for the last bit set at or before it, up the levels and down again; the block's
// header tells its size and where its FDEs are.
//
// Memory order. Writers (open, close, add, remove) are ordered by one mutex. Readers
// take no lock. Three things keep them right:
//
//  1. A slot of the region table is a seqlock: `sequence` is odd while the
//     slot is open, and goes up by one when it is opened or closed. A reader loads it (acquire), reads lo and hi, enters (below), and
//     loads it again; if it was odd and is unchanged, lo, hi and the bitmap are those of
//     one open region, which stays open until the reader has left.
//
//  2. Publishing: add sets a block's bit with release order after its header was
//     written by the same thread (or handed over by one with a lock), and a reader
//     loads words of the bitmap with acquire order. So who sees the bit sees the
//     header. Levels are set from the bottom up. A thread that executes a block runs
//     after the block was added, so it finds the bits of all levels set.
//
//  3. Taking back: a reader enters by adding 1 to one of two counters of the region,
//     and leaves by taking 1 off. remove clears bits, and only then looks at the
//     counters; both are sequentially consistent on both sides, so one of two things
//     holds for each reader: it entered before the look, then the writer sees it and
//     waits; or it entered after, then it sees the bits cleared. Having seen each
//     counter 0 once after clearing, the writer knows that no reader reads a header it
//     found by a cleared bit, and its owner may free the memory. There are two counters so
//     that new readers can be sent to the other one and the wait ends.
//
// A reader that never leaves (a fault inside a look-up that was answered with a long
// jump, or a thread that existed when the process forked) would stop the writers for ever.
// So a wait gives up after 100 milliseconds, and from then on takes the count it
// saw for nobody. This cannot happen with a reader that runs.
#ifndef LIVEJIT_REGION_H
#define LIVEJIT_REGION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lj_unwind.h"
#include "registry.h"

enum { LJ_LEVELS = 3, LJ_WORD = 64 };

typedef _Atomic(uint64_t) lj_word;

struct lj_region {
	_Atomic(uint32_t) sequence;
	_Atomic(uint32_t) side; // which counter new readers take
	_Atomic(uintptr_t) lo, hi;
	_Atomic(lj_word *) level[LJ_LEVELS];
	_Atomic(uint32_t) readers[2];

	// Writers only.
	uint32_t absent[2]; // readers that a wait has given up on
	size_t map_size;    // bytes of the levels, one mapping
	uint64_t count;     // starts set
};

// The table is static and is never freed, so that readers need no leave to look at it.
extern struct lj_region lj_regions[LJ_MAX_REGIONS];
// Slots from here on are closed.
extern _Atomic(uint32_t) lj_regions_end;

static inline int lj_is_open(uint32_t sequence) { return sequence & 1; }

// The header before each code block (16 bytes), and one row of its table.
struct lj_header {
	uint32_t size; // bytes of code
	uint32_t id;
	int32_t eh;   // from the code's start to the table
	uint32_t neh; // rows
};
struct lj_eh_row {
	uint32_t begin, end; // from the code's start
	int32_t fde;         // from the code's start to the FDE
};
_Static_assert(sizeof(struct lj_header) == 16 && sizeof(struct lj_eh_row) == 12, "fixed by the linker");

#endif
