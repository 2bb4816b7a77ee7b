package threads

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Werror -fexceptions -fasynchronous-unwind-tables
#cgo LDFLAGS: -ldl -lpthread -lrt
#include "registry.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// Results of a scan and answers of a thread, as the C side has them.
const (
	clear    = C.LJ_SCAN_DONE
	noSignal = C.LJ_SCAN_NO_SIGNAL
	noMemory = C.LJ_SCAN_NO_MEMORY

	noAnswer   = answer(C.LJ_NO_ANSWER)
	looked     = answer(C.LJ_LOOKED)
	otherStack = answer(C.LJ_OTHER_STACK)
	unreadable = answer(C.LJ_UNREADABLE)
	queueFull  = answer(C.LJ_QUEUE_FULL)
	contexts   = answer(C.LJ_CONTEXTS)
	crowd      = answer(C.LJ_CROWD)
)

// The Go structs have the layout of the C side's: an index that is not 0 does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Range{})-C.sizeof_struct_lj_range]
	_ = [1]struct{}{}[unsafe.Sizeof(Store{})-C.sizeof_struct_lj_store]
	_ = [1]struct{}{}[unsafe.Sizeof(found{})-C.sizeof_struct_lj_holder]
	_ = [1]struct{}{}[unsafe.Offsetof(found{}.answer)-unsafe.Offsetof(C.struct_lj_holder{}.answer)]
)

func scanNative(ranges []Range, found []found, stores []Store, stop bool, limit time.Duration) int {
	var held C.int
	if stop {
		held = 1
	}
	return int(C.lj_scan((*C.struct_lj_range)(unsafe.Pointer(unsafe.SliceData(ranges))), C.size_t(len(ranges)), (*C.struct_lj_holder)(unsafe.Pointer(unsafe.SliceData(found))),
		C.int64_t(limit), held, (*C.struct_lj_store)(unsafe.Pointer(unsafe.SliceData(stores))), C.size_t(len(stores))))
}

// Native is the number of threads that native code has started and that have not ended, exit handlers included.
func Native() int { return int(C.lj_native_count()) }

// Inside is the number of threads with native frames, the native ones included. It may be wrong by the time it is known.
func Inside() int { return int(C.lj_inside_count()) }

// Symbols returns what loaded code must get instead of libc's function of that name, so that the threads it makes are known.
func Symbols() map[string]uintptr {
	m := make(map[string]uintptr)
	for i := C.uint(0); ; i++ {
		s := C.lj_symbol_at(i)
		if s == nil {
			return m
		}
		m[C.GoString(s.name)] = uintptr(s.address)
	}
}

// signalNumber is the signal of scans, 0 before the first.
func signalNumber() int { return int(C.lj_signal_number()) }

// For tests: of a C function that returns what [Native] does.
func nativeCountAddress() uintptr { return uintptr(C.lj_native_count) }
