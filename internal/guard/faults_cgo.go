package guard

// #include "guard.h"
// static void lj_keep(void *other) { lj_faults_keep((void (*)(int, void *, void *))other); }
import "C"

import (
	"context"
	"sync"
	"time"
	"unsafe"

	_ "livejit/internal/unwind" // lj_unwind_find
)

// KeepFaults makes signals by which native code fails (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT) and std::terminate end the entry that they happen in:
// [Call] returns a *LandingError for Fault or Terminated. The handlers are the process's, in front of those that were there, which get
// everything else; they are gone when drop was called for each KeepFaults. other, a C function void (int, siginfo_t *, ucontext_t *) or nil, is asked
// about signals outside of entries first and may leave by siglongjmp.
func KeepFaults(other unsafe.Pointer) (drop func()) {
	C.lj_keep(other)
	return sync.OnceFunc(func() { C.lj_faults_drop() })
}

// ExitAddress is that of the C function void lj_exit(int status), which takes the place of exit for code that may not end the process: the
// innermost entry of the thread ends, reason Exited.
func ExitAddress() uintptr { return uintptr(C.lj_exit) }

const (
	interruptAgain = 2 * time.Millisecond  // between two requests
	interruptHard  = 20 * time.Millisecond // after which foreign code is not waited for any more
)

// CallContext is Call that ends when ctx does: *LandingError with reason Interrupted. JIT code is left where it is, foreign code that it has called when that
// comes back (system calls it waits in fail with EINTR), after a while at once; Go code in callbacks is waited for. If the function returns before that, ctx does not
// matter.
func CallContext(ctx context.Context, f *Frame) error {
	if ctx.Done() == nil {
		return Call(f)
	}
	f.watched, f.interrupt = 1, 0
	ended, finished := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		f.interruptUntil(ended)
	})
	defer func() { // also when a callback ends the goroutine
		close(ended)
		if !stop() {
			<-finished
		}
		f.watched, f.interrupt = 0, 0
	}()
	return Call(f)
}

// interruptUntil asks the thread that is inside of f to leave until the call has ended.
func (f *Frame) interruptUntil(ended <-chan struct{}) {
	step := C.int(C.LJ_INTERRUPT_GENTLY)
	since := time.Now()
	ticker := time.NewTicker(interruptAgain)
	defer ticker.Stop()
	for {
		C.lj_interrupt((*C.struct_lj_frame)(unsafe.Pointer(f)), step)
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
		if time.Since(since) >= interruptHard {
			step = C.LJ_INTERRUPT_HARD
		}
	}
}
