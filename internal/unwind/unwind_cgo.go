package unwind

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Werror
// An executable exports a function only if a library it is linked with could call it. A
// program without C++ would not be linked with libgcc_s, and an --as-needed of the
// compiler's defaults would drop it again.
#cgo LDFLAGS: -Wl,--no-as-needed -lgcc_s -ldl -lpthread
#include <stdlib.h>
#include "lj_unwind.h"
#include "registry.h"
*/
import "C"

import "unsafe"

// Both sides must mean the same.
var (
	_ [MaxRegions]struct{} = [C.LJ_MAX_REGIONS]struct{}{}
	_ [Granule]struct{}    = [C.LJ_GRANULE]struct{}{}
)

func open(lo, hi uint64) (int, error) {
	number, errno := C.lj_region_open(C.uintptr_t(lo), C.uintptr_t(hi))
	switch number {
	case C.LJ_REGIONS_FULL:
		return 0, &RegionError{Lo: lo, Hi: hi, Msg: "4096 regions are open, there is no room for more"}
	case C.LJ_REGION_OVERLAPS:
		return 0, &RegionError{Lo: lo, Hi: hi, Msg: "it overlaps one that is open"}
	case C.LJ_REGION_NO_MEMORY:
		return 0, &RegionError{Lo: lo, Hi: hi, Msg: "map the bitmap", Err: errno}
	}
	return int(number), nil
}

func (r *Region) add(starts []uint64) int {
	return int(C.lj_region_add(C.int(r.number), first(starts), C.size_t(len(starts))))
}

func (r *Region) remove(starts []uint64) int {
	return int(C.lj_region_remove(C.int(r.number), first(starts), C.size_t(len(starts))))
}

func first(starts []uint64) *C.uint64_t { return (*C.uint64_t)(unsafe.SliceData(starts)) }

func (r *Region) len() int { return int(C.lj_region_count(C.int(r.number))) }

func (r *Region) close() (drained bool) { return C.lj_region_close(C.int(r.number)) != 0 }

func find(pc uint64) (Code, bool) {
	var c C.struct_lj_code
	if C.lj_unwind_code(C.uintptr_t(pc), &c) == 0 {
		return Code{}, false
	}
	return Code{Start: uint64(c.start), Size: uint64(c.size), ID: uint32(c.id), FDE: uint64(c.fde), Func: uint64(c._func)}, true
}

func findUsurper() string { return C.GoString(C.lj_unwind_usurper()) }

// Lookup returns the address of lj_unwind_code, for C code of other packages.
func Lookup() unsafe.Pointer { return unsafe.Pointer(C.lj_unwind_code) }
