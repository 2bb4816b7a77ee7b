// Package unwindtest calls native code and the system's unwinder for the tests of package
// unwind, since a test file cannot use cgo.
//
// Functions under test have the C type
//
//	uintptr_t f(uintptr_t (*callback)(uintptr_t), uintptr_t arg)
//
// and return what the callback returns for the argument.
package unwindtest

/*
#cgo CXXFLAGS: -O1 -fno-omit-frame-pointer -Wall
#cgo LDFLAGS: -ldl -lpthread
#include "unwindtest.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Call calls f with a callback that doubles its argument.
func Call(f uint64, arg uint64) uint64 {
	return uint64(C.ut_call(C.uintptr_t(f), C.uintptr_t(arg)))
}

// ThrowThrough calls f with a callback that throws a C++ exception with the value, and
// returns the value that was caught on the other side.
func ThrowThrough(f uint64, value int) int {
	return int(C.ut_throw_through(C.uintptr_t(f), C.int(value)))
}

// Backtrace calls f with a callback that calls backtrace(3), and returns the addresses.
func Backtrace(f uint64) []uint64 {
	addresses := make([]uint64, 64)
	n := C.ut_backtrace(C.uintptr_t(f), (*C.uint64_t)(&addresses[0]), C.int(len(addresses)))
	return addresses[:n]
}

// FindFDE asks the _Unwind_Find_FDE that a shared library would call.
func FindFDE(pc uint64) (fde, function uint64) {
	var fn C.uint64_t
	fde = uint64(C.ut_find_fde(C.uintptr_t(pc), &fn))
	return fde, uint64(fn)
}

// HostFunction is the address of a function of this program that has unwind tables.
func HostFunction() uint64 { return uint64(C.ut_host_function()) }

// HostTrampoline is a function of this program of the type under test.
func HostTrampoline() uint64 { return uint64(C.ut_host_trampoline()) }

// Lookups looks up all program counters n times in native code and returns how
// many were found.
func Lookups(pcs []uint64, n int) int {
	return int(C.ut_lookups((*C.uint64_t)(unsafe.SliceData(pcs)), C.size_t(len(pcs)), C.size_t(n)))
}

// Interrupt runs f on one thread while another sends it signals, whose handler looks
// up pc. It returns how many look-ups found it and how many did not.
func Interrupt(pc uint64, f func()) (hits, misses int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.ut_interrupt_start(C.uintptr_t(pc))
	f()
	var h, m C.uint64_t
	C.ut_interrupt_stop(&h, &m)
	return int(h), int(m)
}

// TrapPC calls f, which must end in a trap after one more call, and returns the program
// counter of the signal, the word on top of the stack and the address behind it.
func TrapPC(f uint64) (pc, word, top uint64) {
	var p, w, t C.uint64_t
	C.ut_trap(C.uintptr_t(f), &p, &w, &t)
	return uint64(p), uint64(w), uint64(t)
}

// AfterTrapCall is the range of addresses in which the call of TrapPC returns.
func AfterTrapCall() (lo, hi uint64) {
	var h C.uint64_t
	lo = uint64(C.ut_trap_range(&h))
	return lo, uint64(h)
}
