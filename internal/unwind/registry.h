// What the C side offers to the Go side of this package.
#ifndef LIVEJIT_REGISTRY_H
#define LIVEJIT_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

enum {
	LJ_MAX_REGIONS = 4096,
	LJ_GRANULE = 16, // code starts are multiples of it

	// Results of lj_region_open below 0.
	LJ_REGIONS_FULL = -1,
	LJ_REGION_OVERLAPS = -2,
	LJ_REGION_NO_MEMORY = -3, // errno says why
};

// Opens a region over [lo, hi), multiples of LJ_GRANULE, and returns its number, or a
// result below 0.
int lj_region_open(uintptr_t lo, uintptr_t hi);
// Closes it. When it returns no look-up reads the region's memory any more. Returns 0 if
// one did not end; then the bitmap stays mapped.
int lj_region_close(int number);
// Sets n code starts, or clears them, and returns n. Returns the index of the first
// that cannot be: outside the region, no multiple of LJ_GRANULE, or set (clear) already;
// then nothing was changed. When clearing returns, no look-up reads the headers of
// those blocks any more.
size_t lj_region_add(int number, const uint64_t *starts, size_t n);
size_t lj_region_remove(int number, const uint64_t *starts, size_t n);
// The number of code starts that are set.
uint64_t lj_region_count(int number);
// The file that holds the _Unwind_Find_FDE which libraries call if that is not
// ours, or null.
const char *lj_unwind_usurper(void);

#endif
