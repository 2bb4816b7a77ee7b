// Package unwind tells, for a program counter, which JIT code it lies in: to the
// C++ unwinder (exceptions, backtrace), to signal handlers and to Go.
//
// A Region is a range of addresses in which code comes and goes. Package users
// write a code block with its header (see below), Add its start, and from then on
// every unwinder of the process can cross it; Remove takes it back. Nothing is
// registered with libgcc: the package defines _Unwind_Find_FDE, which the dynamic
// linker binds in place of libgcc_s's own, and answers for its regions or hands on.
// Adding and removing cost one bit each, whatever the number of functions.
//
// A code block starts at a multiple of 16 and is preceded by a header of 16 bytes:
//
//	uint32 size   bytes of code
//	uint32 id     the version's number, given by the engine
//	int32  eh     distance in bytes from the code's start to its table
//	uint32 neh    rows in the table
//
// The table is 4-aligned, sorted by begin, and has rows of 12 bytes: uint32 begin
// and end (offsets from the code's start) and int32 fde (distance from the code's
// start to the length field of the FDE that covers [begin, end)). Table and FDEs
// must lie in the region.
//
// Look-ups take no lock and are async-signal-safe; C files of other packages use
// lj_unwind.h, which they may also declare extern. Memory order is argued in
// region.h. Lock order: the one mutex of the C side is a leaf.
//
// References: LSB 5.0 core, "Exception Frames"; libgcc's unwind-dw2-fde.h for
// struct dwarf_eh_bases.
package unwind

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// MaxRegions is the number of regions a process can have open at a time.
const MaxRegions = 4096

// Granule is the alignment of code starts in bytes.
const Granule = 16

// Code is what is known of the code at a program counter.
type Code struct {
	Start uint64 // first byte of the code block
	Size  uint64 // bytes
	ID    uint32 // the version's number
	FDE   uint64 // address of the FDE that covers the program counter; 0: none does
	Func  uint64 // where that FDE's range begins; Start if there is none
}

// RegionError says why a region could not be opened.
type RegionError struct {
	Lo, Hi uint64
	Msg    string
	Err    error // of the system, if it refused memory
}

func (e *RegionError) Error() string {
	s := fmt.Sprintf("unwind: open region %#x-%#x: %s", e.Lo, e.Hi, e.Msg)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *RegionError) Unwrap() error { return e.Err }

// Region is a range of addresses with code in it. Its methods are safe for
// concurrent use, except with Close.
type Region struct {
	lo, hi uint64
	number int
}

// usurper names who answers the unwinder if we do not; "" if we do.
var usurper = sync.OnceValue(findUsurper)

// NewRegion opens a region over [lo, hi), multiples of Granule. It costs one page or
// two of memory, and address space of 1/127 of the range. Errors are *RegionError:
// the range overlaps another region, MaxRegions are open, the system refused
// memory, or the unwinder of this process does not ask this package (for example
// because it was built into a library that was loaded at run time).
func NewRegion(lo, hi uint64) (*Region, error) {
	if lo%Granule != 0 || hi%Granule != 0 || lo >= hi {
		panic(fmt.Sprintf("BUG: unwind: region %#x-%#x", lo, hi))
	}
	if u := usurper(); u != "" {
		return nil, &RegionError{Lo: lo, Hi: hi, Msg: "the process asks _Unwind_Find_FDE of " + u + " and so would not find JIT code"}
	}
	number, err := open(lo, hi)
	if err != nil {
		return nil, err
	}
	live.Add(1)
	return &Region{lo: lo, hi: hi, number: number}, nil
}

var live atomic.Int64

// LiveRegions returns how many regions of the process are open.
func LiveRegions() int { return int(live.Load()) }

// Add makes code blocks known by their starts, in one step of constant cost each. Their
// headers, tables and FDEs must have been written. A start outside the region, not
// aligned or known already panics, and none is added.
func (r *Region) Add(starts ...uint64) {
	if i := r.add(starts); i < len(starts) {
		panic(fmt.Sprintf("BUG: unwind: add %#x to region %#x-%#x: outside, not a multiple of %d, or added before", starts[i], r.lo, r.hi, Granule))
	}
}

// Remove forgets code blocks by their starts. When it returns, no look-up reads
// their headers or tables any more, and the memory may be freed. A start that is not
// known panics, and none is removed. It waits for look-ups under way, usually none,
// at most a fraction of a second.
func (r *Region) Remove(starts ...uint64) {
	if i := r.remove(starts); i < len(starts) {
		panic(fmt.Sprintf("BUG: unwind: remove %#x from region %#x-%#x: it was not added", starts[i], r.lo, r.hi))
	}
}

// Len returns the number of code blocks known.
func (r *Region) Len() int { return r.len() }

// Contains reports whether pc lies in the region's range.
func (r *Region) Contains(pc uint64) bool { return pc >= r.lo && pc < r.hi }

// Find returns the code block of this region that contains pc; false if none does.
func (r *Region) Find(pc uint64) (Code, bool) {
	if !r.Contains(pc) {
		return Code{}, false
	}
	return Find(pc)
}

// Close forgets the region and all code in it. When it returns, no look-up reads
// its memory any more. The region must not be used after. The error says that a
// look-up did not end, for example because it was left by a long jump; all is
// closed then too, but the region's bitmap stays mapped.
func (r *Region) Close() error {
	if r.number < 0 {
		return nil
	}
	drained := r.close()
	r.number = -1
	live.Add(-1)
	if !drained {
		return fmt.Errorf("unwind: close region %#x-%#x: a look-up that began before did not end; its bitmap stays mapped", r.lo, r.hi)
	}
	return nil
}

// Find returns the code block of any region that contains pc; false if none does. For a
// return address ask for pc-1.
func Find(pc uint64) (Code, bool) { return find(pc) }
