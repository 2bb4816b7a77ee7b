// Package guardtest holds the native subjects of guard's tests: cgo is not allowed in test files.
package guardtest

/*
#cgo CXXFLAGS: -std=c++17 -O1 -Wall
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "missed.h"
#include "subjects.h"

static void *place(void *code, size_t size) {
	void *p = mmap(0, size, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) return 0;
	memcpy(p, code, size);
	return p;
}
static int64_t cgo_empty(int64_t a) { return a + 1; }
int64_t guardtestExported(int64_t);
static void *exported(void) { return guardtestExported; }
static int64_t cgo_calls(void *fn, int64_t a) { return ((callback_fn)fn)(a); }
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Address is the address of a native subject.
func Address(name string) uint64 {
	a, ok := map[string]unsafe.Pointer{
		"add3": C.add3, "weigh": C.weigh, "half": C.half, "variadic_sum": C.variadic_sum, "throw_kind": C.throw_kind,
		"call_with_destructors": C.call_with_destructors, "swallow": C.swallow, "typed_catch": C.typed_catch,
		"noexcept_frame": C.noexcept_frame, "throwing_destructor": C.throwing_destructor,
		"callback_in_destructor": C.callback_in_destructor, "callback_in_catch": C.callback_in_catch, "in_qsort": C.in_qsort,
		"caught_count": C.caught_count, "land_in_catch": C.land_in_catch, "on_thread": C.on_thread, "bare_thread": C.bare_thread,
		"set_rounding": C.set_rounding, "get_rounding": C.get_rounding, "rounding_around": C.rounding_around,
		"signal_land": C.signal_land, "call_guard": C.call_guard, "exit_thread": C.exit_thread, "forced_unwinding_passes": C.forced_unwinding_passes,
		"depth_of_backtrace": C.depth_of_backtrace, "empty": C.empty, "stomp_callee_saved": C.stomp_callee_saved,
		"callee_saved_kept": C.callee_saved_kept, "exit": C.exit,
		"missed_call": C.missed_call, "missed_call_at_once": C.missed_call_at_once, "step_miss": C.step_miss,
		"registers_dump": C.registers_dump, "break_errno": C.break_errno, "hold_call": C.hold_call,
	}[name]
	if !ok {
		panic("no native subject " + name)
	}
	return uint64(uintptr(a))
}

// Kinds names the kinds of calls that the subject missed_call(kind, function) makes.
func Kinds() []string {
	var names []string
	for {
		name := C.missed_kind(C.int(len(names)))
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// Target is the address of the function that calls of a kind are to reach.
func Target(kind int) uint64 { return uint64(uintptr(C.missed_target(C.int(kind)))) }

// Place puts code in executable memory that is never freed.
func Place(code []byte) uint64 {
	p := C.place(unsafe.Pointer(&code[0]), C.size_t(len(code)))
	if p == nil {
		panic("no executable memory")
	}
	return uint64(uintptr(p))
}

// Malloc returns zeroed C memory, which is never freed, as words.
func Malloc(words int) []uint64 { return unsafe.Slice((*uint64)(C.calloc(C.size_t(words), 8)), words) }

// OnExported is what native code runs when it calls ExportedAddress: a Go function exported by cgo, not a callback of guard.
var OnExported func(int64) int64

//export guardtestExported
func guardtestExported(a C.int64_t) C.int64_t { return C.int64_t(OnExported(int64(a))) }

// ExportedAddress is the C address of OnExported.
func ExportedAddress() uint64 { return uint64(uintptr(C.exported())) }

// Empty is an empty cgo call, for comparison.
func Empty(a int64) int64 { return int64(C.cgo_empty(C.int64_t(a))) }

// PlainCgo calls fn through cgo alone, without guard.
func PlainCgo(fn uint64, a int64) int64 {
	return int64(C.cgo_calls(*(*unsafe.Pointer)(unsafe.Pointer(&fn)), C.int64_t(a)))
}

// Open loads a shared library and returns a look-up of its functions.
func Open(path string) (func(name string) uint64, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	h := C.dlopen(p, C.RTLD_NOW)
	if h == nil {
		return nil, fmt.Errorf("dlopen: %s", C.GoString(C.dlerror()))
	}
	return func(name string) uint64 {
		n := C.CString(name)
		defer C.free(unsafe.Pointer(n))
		return uint64(uintptr(C.dlsym(h, n)))
	}, nil
}
