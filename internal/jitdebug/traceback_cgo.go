package jitdebug

/*
#include <stdlib.h>
#include "traceback.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"
)

var tracebacks struct {
	sync.Mutex // also orders opening and closing of tables
	on         bool
}

// EnableTracebacks has Go's tracebacks and CPU profiles go through JIT code; find is the address of
// package unwind's lj_unwind_code. context is a context function, whose contexts are frame pointers (1: none); the first
// frame of an entry into native code returns to end. It is for the whole process and for ever. Calling it again does nothing.
func EnableTracebacks(find, context unsafe.Pointer, end uintptr) {
	tracebacks.Lock()
	defer tracebacks.Unlock()
	if tracebacks.on {
		return
	}
	tracebacks.on = true
	C.lj_traceback_start(find, C.uintptr_t(end))
	runtime.SetCgoTraceback(0, C.lj_traceback_function(), context, C.lj_symbolizer_function())
}

// Profiling says whether a CPU profile of this process is being taken, or being written: one was within two seconds.
func Profiling() bool { return C.lj_profiling() != 0 }

// Names are the names of the code in one range of addresses, which the symbolizer reads without a
// lock. Its methods are not safe for concurrent use; different ones are independent.
type Names struct{ table C.int }

// NewNames makes an empty table for [lo, hi). Its memory serves the next one when it is closed.
func NewNames(lo, hi uint64) (*Names, error) {
	tracebacks.Lock()
	defer tracebacks.Unlock()
	n := C.lj_names_open(C.uintptr_t(lo), C.uintptr_t(hi))
	if n < 0 {
		return nil, errors.New("jitdebug: no room for names of code")
	}
	return &Names{n}, nil
}

// Set names the code whose header has that identifier. Names are cut off after 127 bytes; false: there is no memory.
func (n *Names) Set(id uint32, name string) bool {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.lj_names_set(n.table, C.uint32_t(id), c) != 0
}

// Close forgets the names.
func (n *Names) Close() {
	tracebacks.Lock()
	defer tracebacks.Unlock()
	C.lj_names_close(n.table)
}
