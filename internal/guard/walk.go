package guard

/*
#include <stdlib.h>
#include "guard.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// StackFrame is a frame of JIT code that waits for a call to return.
type StackFrame struct {
	PC uint64 // where it goes on: the call's return address
	SP uint64 // the stack pointer at the call, and after it
	FP uint64 // rbp at the call
	BP uint64 // rbx at the call: LLVM's base pointer, in frames that have one
}

// Errors of Stack.
var (
	ErrOutside  = errors.New("no function that native code has called through a callback is running")
	ErrMiss     = errors.New("a function is being compiled at its first call, whose arguments are in registers that were saved")
	ErrNoMemory = errors.New("no memory to note the frames")
)

// StuckError reports native code that cannot be unwound.
type StuckError struct{ PC uint64 }

func (e *StuckError) Error() string {
	return fmt.Sprintf("there is no unwind information for %#x", e.PC)
}

// Stack returns the frames of JIT code on the calling thread's stack, the innermost first. It must be called by a callback, or what that calls on its goroutine;
// the frames are those below the callback and, if Go code has entered native code from other callbacks, those below these. Foreign code in
// between is stepped over by its unwind tables. The frames stay as they are until the callback returns.
//
// The walk begins at the frame of the callback, not at the function that unwinds: between both are frames of Go (lj_walk_from).
func Stack(frames []StackFrame) ([]StackFrame, error) {
	w := (*C.struct_lj_walk)(C.calloc(1, C.sizeof_struct_lj_walk))
	if w == nil {
		return frames, ErrNoMemory
	}
	defer C.free(unsafe.Pointer(w))
	defer func() { C.free(native(uint64(w.frames))) }()
	for {
		switch C.lj_walk_stack(w) {
		case C.LJ_WALK_DONE:
		case C.LJ_WALK_OUTSIDE:
			return frames, ErrOutside
		case C.LJ_WALK_MISS:
			return frames, ErrMiss
		case C.LJ_WALK_NO_MEMORY:
			return frames, ErrNoMemory
		case C.LJ_WALK_ENDS: // native code that was not entered by Call: it may be that cgo has called it
			if runtime.FuncForPC(uintptr(w.pc)) == nil {
				return frames, &StuckError{PC: uint64(w.pc)}
			}
		default:
			return frames, &StuckError{PC: uint64(w.pc)}
		}
		if w.next == 0 {
			break
		}
	}
	if w.n > 0 {
		frames = append(frames, unsafe.Slice((*StackFrame)(native(uint64(w.frames))), int(w.n))...)
	}
	return frames, nil
}
