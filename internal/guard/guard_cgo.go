package guard

/*
#cgo CXXFLAGS: -std=c++17 -O2 -fno-omit-frame-pointer -Wall -Wextra
#cgo LDFLAGS: -lstdc++
#include <stdlib.h>
#include "guard.h"
#include "layout.h"
#include "../threads/lj_threads.h"

static struct lj_thread_state lj_guard_marks(void) { return lj_thread_state; }
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	_ "livejit/internal/threads" // lj_thread_state, lj_thread_attach
)

// The Go structs have the layout that the C side and the assembly use: an index that is not 0 does not compile.
var (
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.Fn)-C.LJ_FRAME_FN]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.Int)-C.LJ_FRAME_INT]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.Float)-C.LJ_FRAME_FLOAT]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.RetInt)-C.LJ_FRAME_RET_INT]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.RetFloat)-C.LJ_FRAME_RET_FLOAT]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.RetX87)-C.LJ_FRAME_RET_X87]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.X87)-C.LJ_FRAME_X87]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.NStack)-C.LJ_FRAME_NSTACK]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.landing)-C.LJ_FRAME_REPORT]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.stack)-C.LJ_FRAME_STACK]
	_ = [1]struct{}{}[unsafe.Offsetof(Frame{}.tid)-unsafe.Offsetof(C.struct_lj_frame{}.tid)]
	_ = [1]struct{}{}[unsafe.Sizeof(report{}.trace)-8*C.LJ_TRACE]
	_ = [1]struct{}{}[unsafe.Sizeof(Frame{})-C.sizeof_struct_lj_frame]
	_ = [1]struct{}{}[unsafe.Sizeof(report{})-C.sizeof_struct_lj_report]
	_ = [1]struct{}{}[unsafe.Offsetof(report{}.carried)-unsafe.Offsetof(C.struct_lj_report{}.carried)]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.Int)-C.LJ_CALLBACK_INT]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.Float)-C.LJ_CALLBACK_FLOAT]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.RetInt)-C.LJ_CALLBACK_RET_INT]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.RetFloat)-C.LJ_CALLBACK_RET_FLOAT]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.stack)-C.LJ_CALLBACK_STACK]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.id)-C.LJ_CALLBACK_ID]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.landing)-C.LJ_CALLBACK_LANDING]
	_ = [1]struct{}{}[unsafe.Offsetof(Callback{}.outer)-C.LJ_CALLBACK_OUTER]
	_ = [1]struct{}{}[unsafe.Sizeof(Callback{})-C.LJ_CALLBACK_SIZE]
	_ = [1]struct{}{}[Panic-C.LJ_PANIC]
	_ = [1]struct{}{}[Goexit-C.LJ_GOEXIT]
	_ = [1]struct{}{}[Fault-C.LJ_FAULT]
	_ = [1]struct{}{}[Terminated-C.LJ_TERMINATED]
	_ = [1]struct{}{}[Missed-C.LJ_MISSED]
	_ = [1]struct{}{}[Exited-C.LJ_EXITED]
)

// Call enters native code at f.Fn on the calling thread and returns when it ends. The results are in f if the error is nil.
// Errors: [*ExceptionError], [*PanicError],
// [*ReleasedError], [*MissError], [*LandingError]; the package comment tells all ways out. If a callback calls runtime.Goexit, Call does not return: let deferred functions
// do what must happen after it. The stack for native code is the thread's (8 MiB unless the process was started with another limit). Call may be used by any
// number of goroutines at once, each with its own Frame.
func Call(f *Frame) error {
	if f.Fn == 0 || f.NStack > max(f.capacity, InlineStack) {
		panic(fmt.Sprintf("BUG: guard: call of address %#x with %d stack words in room for %d", f.Fn, f.NStack, max(f.capacity, InlineStack)))
	}
	ended := false
	defer func() {
		if !ended { // Goexit, or a panic in a Go function that native code has called through cgo and not through a CallbackHandle
			C.lj_guard_call(nil)
		}
	}()
	reason := C.lj_guard_call((*C.struct_lj_frame)(unsafe.Pointer(f)))
	ended = true
	if reason == C.LJ_RETURNED {
		return nil
	}
	return f.landed()
}

func (f *Frame) landed() error {
	r := &f.landing
	var carried error
	if r.carried != 0 {
		carried = takeCarried(r.carried)
	}
	var err error
	switch reason := Reason(r.reason); reason {
	case Exception:
		err = &ExceptionError{Type: takeString(r.typeName), What: takeString(r.what)}
	case Panic, Missed:
		return carried
	case Released:
		err = &ReleasedError{ID: r.detail}
	default:
		e := &LandingError{Reason: reason, Detail: r.detail}
		if reason == Fault || reason == Interrupted || reason == Terminated {
			e.Signal, e.Code, e.Address, e.PC, e.SP, e.FP = int(r.signal), int(r.code), r.address, r.pc, r.sp, r.fp
			e.Foreign, e.StackOverflow, e.CutShort = r.flags&C.LJ_FOREIGN != 0, r.flags&C.LJ_STACK_OVERFLOW != 0, r.flags&C.LJ_CUT_SHORT != 0
			e.Trace = slices.Clone(r.trace[:r.ntrace])
		}
		if reason == Terminated && r.typeName != 0 {
			e.Exception = &ExceptionError{Type: takeString(r.typeName), What: takeString(r.what)}
		}
		err = e
	}
	if carried != nil {
		return fmt.Errorf("%w (while the native code was unwound: %w)", err, carried)
	}
	return err
}

func takeString(address uint64) string {
	p := (*C.char)(native(address))
	defer C.free(unsafe.Pointer(p))
	return C.GoString(p)
}

// LandAddress is the address of the C function void lj_land(int reason, uint64_t detail) for code that is made at run time: it ends the innermost entry of its thread at once,
// without unwinding. UnwindAddress is that of lj_unwind, which runs destructors on the way. Both abort the process on a thread without an entry.
func LandAddress() uintptr { return uintptr(C.lj_land) }

// UnwindAddress: see [LandAddress].
func UnwindAddress() uintptr { return uintptr(C.lj_unwind) }

// LandSignalAddress is the address of int lj_land_signal(int reason, int signal, siginfo_t *, ucontext_t *), for signal handlers of the host: it lets the
// interrupted thread go on at its landing when the handler returns. See guard.h.
func LandSignalAddress() uintptr { return uintptr(C.lj_land_signal) }

// Nothing is the address of code that returns and changes no register, whatever it was called with.
func Nothing() uintptr { return uintptr(unsafe.Pointer(&C.lj_nothing)) }

// ContextFunction is the address of the context function for runtime.SetCgoTraceback. The context of a Go function that native code calls is a frame
// pointer, from which its native callers are found; 1 for functions that are not called by way of this package.
func ContextFunction() unsafe.Pointer { return C.lj_context }

// EnterReturn is the return address of every function that [Call] enters: native frames end there.
func EnterReturn() uintptr { return uintptr(unsafe.Pointer(&C.lj_enter_return)) }

// MissEntry is the address of the common entry of stubs that lead nowhere, for stubtable.New. It is not a C function: see miss_x86_64.S.
func MissEntry() uintptr { return uintptr(unsafe.Pointer(&C.lj_miss)) }

// For tests that enter from native code and look at the thread.
func guardCallAddress() uintptr { return uintptr(C.lj_guard_call) }
func enteredNow() uintptr       { return uintptr(unsafe.Pointer(C.lj_entered())) }

// missCode is where lj_miss and the C function that it calls lie; for the test that steps through it.
func missCode() (lo, hi, run uintptr) {
	return uintptr(unsafe.Pointer(&C.lj_miss)), uintptr(unsafe.Pointer(&C.lj_miss_end)), uintptr(C.lj_miss_run)
}

// saveByFXSAVE makes misses save what they do on processors without XSAVE, until restore is called.
func saveByFXSAVE() (restore func()) {
	components := C.lj_miss_components
	C.lj_miss_components = 0
	return func() { C.lj_miss_components = components }
}

// threadMarks are base and callback of this thread's struct lj_thread_state.
func threadMarks() (base, callback uint64) {
	m := C.lj_guard_marks()
	return uint64(m.base), uint64(m.callback)
}

func trampolineAddress() uintptr { return uintptr(unsafe.Pointer(&C.lj_callback_entry)) }
func closureAddress() uintptr    { return uintptr(unsafe.Pointer(&C.lj_callback_closure)) }

// carried holds panics and failed misses on their way from a callback to the entry below it. The key is a number that the entry's landing gets with the first: not the
// landing's address, since another goroutine may enter on the thread before the one whose entry ended goes on.
var (
	carried     sync.Map // uint64 → error: *PanicError or *MissError
	lastCarried atomic.Uint64
)

// carry keeps e for the entry below c. A panic while the entry is unwound for an earlier one takes its place, as in Go.
func carry(c *Callback, e error) {
	key := (*uint64)(unsafe.Add(native(c.landing), C.LJ_LANDING_CARRIED))
	if *key == 0 {
		*key = lastCarried.Add(1)
	}
	carried.Store(*key, e)
}

func dropCarried(landing uint64) {
	carried.Delete(*(*uint64)(unsafe.Add(native(landing), C.LJ_LANDING_CARRIED)))
}

func takeCarried(key uint64) error {
	e, _ := carried.LoadAndDelete(key)
	return e.(error)
}

// ljGuardDispatch runs the Go side of a callback for lj_callback_entry and returns the lj_reason.
//
//export ljGuardDispatch
func ljGuardDispatch(p *C.struct_lj_callback) C.int {
	c := (*Callback)(unsafe.Pointer(p))
	fn := callbacks.find(c.id)
	if c.landing == 0 {
		// No entry to carry a panic to: Go's own way with panics in callbacks holds.
		if fn == nil {
			panic(&ReleasedError{ID: c.id})
		}
		runBare(fn, c)
		return C.LJ_RETURNED
	}
	if fn == nil {
		return C.LJ_RELEASED
	}
	return C.int(dispatch(fn, c))
}

// ljGuardMiss runs the Go side of a miss for lj_miss: it puts the address to go on at into c.RetInt[0], or returns the lj_reason why there is none.
//
//export ljGuardMiss
func ljGuardMiss(p *C.struct_lj_callback) C.int {
	c := (*Callback)(unsafe.Pointer(p))
	stub := c.id &^ (stubSize - 1)
	var err error
	answer := func(c *Callback) { c.RetInt[0], err = misses.answer(stub) }
	if c.landing == 0 {
		runBare(answer, c)
		if err != nil {
			os.Stderr.WriteString("livejit: " + (&MissError{Stub: stub, Err: err}).Error() + ", on a thread without an entry into native code\n")
			C.abort()
		}
		return C.LJ_RETURNED
	}
	if reason := dispatch(answer, c); reason != Returned {
		return C.int(reason)
	}
	if err != nil {
		carry(c, &MissError{Stub: stub, Err: err})
		return C.LJ_MISSED
	}
	return C.LJ_RETURNED
}

// dispatch runs fn for a callback with an entry below and tells how it ended. On Goexit it ends that entry and does not return.
func dispatch(fn func(*Callback), c *Callback) Reason {
	returned := false
	defer func() {
		if !returned { // runProtected recovers all panics, so this is Goexit, and it goes on after this function
			landing := c.landing
			C.lj_guard_goexit((*C.struct_lj_callback)(unsafe.Pointer(c))) // c is gone after it, the landing is not
			dropCarried(landing)
		}
	}()
	reason := runProtected(fn, c)
	returned = true
	return reason
}

func runProtected(fn func(*Callback), c *Callback) (reason Reason) {
	reason = Panic
	defer func() {
		if reason == Panic {
			// A nil value is Goexit, or panic(nil) with GODEBUG=panicnil=1; the caller tells them apart.
			carry(c, &PanicError{Value: recover(), Stack: debug.Stack()})
		}
	}()
	fn(c)
	return Returned
}

func runBare(fn func(*Callback), c *Callback) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			panic(v)
		}
		if !goBelow() {
			panic("livejit: runtime.Goexit in a callback on a thread that native code has made")
		}
	}()
	fn(c)
	returned = true
}

// goBelow tells whether a Go function that called native code stands on this goroutine's stack.
func goBelow() bool {
	pcs := make([]uintptr, 1<<16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for {
		f, more := frames.Next()
		if f.Function == "runtime.cgocall" {
			return true
		}
		if !more {
			return false
		}
	}
}
