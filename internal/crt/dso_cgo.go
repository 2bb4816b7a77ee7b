package crt

/*
#include <stdlib.h>
#include "exit.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"livejit/internal/guard"
)

// DSO is a body of code with exit handlers of its own. All methods may be used concurrently.
type DSO struct {
	name      string
	c         *C.struct_lj_dso
	order     uint64 // of creation
	finalized atomic.Bool

	mu    sync.Mutex
	finis [][]uintptr
}

var (
	finalizeMu sync.Mutex // guards the next three
	dsos       = map[*DSO]struct{}{}
	dsoOrder   uint64
	hooked     bool

	onExitMu sync.Mutex
	onExit   []func()
)

// NewDSO makes a DSO; name is for messages. It must be given back with [DSO.Finalize].
func NewDSO(name string) (*DSO, error) {
	if err := hookExit(); err != nil {
		return nil, err
	}
	d := &DSO{name: name, c: C.lj_dso_new()}
	if d.c == nil {
		return nil, fmt.Errorf("exit handlers of %s: out of memory", name)
	}
	finalizeMu.Lock()
	defer finalizeMu.Unlock()
	dsoOrder++
	d.order = dsoOrder
	dsos[d] = struct{}{}
	return d, nil
}

// LiveDSOs counts the DSOs that are not finalized and the handlers that are registered and have not run, in the process.
func LiveDSOs() (n, handlers int) {
	finalizeMu.Lock()
	defer finalizeMu.Unlock()
	return len(dsos), int(C.lj_dso_handlers())
}

// Handle is the address that __dso_handle of the DSO's code resolves to.
func (d *DSO) Handle() uintptr { return uintptr(unsafe.Pointer(d.c)) }

// Symbols returns the addresses that are the DSO's own, by name.
func (d *DSO) Symbols() map[string]uintptr { return map[string]uintptr{"__dso_handle": d.Handle()} }

// ThunkSize is the length of each thunk in bytes.
const ThunkSize = 32

// Thunks returns functions that add the DSO's handle to their arguments, by name, as position-independent machine code. They only jump, so they need no unwind information. Place them
// 16-aligned in executable memory that lives as long as the DSO's code.
func (d *DSO) Thunks() map[string][]byte {
	movRSI, movRDX, movRCX := byte(0xbe), byte(0xba), byte(0xb9) // movabs $handle,%reg: the argument after the function's own
	return map[string][]byte{
		"atexit":         d.thunk(movRSI, uintptr(C.lj_atexit)),
		"at_quick_exit":  d.thunk(movRSI, uintptr(C.lj_at_quick_exit)),
		"on_exit":        d.thunk(movRDX, uintptr(C.lj_on_exit)),
		"pthread_atfork": d.thunk(movRCX, uintptr(C.lj_atfork)),
	}
}

func (d *DSO) thunk(mov byte, target uintptr) []byte {
	code := make([]byte, 0, ThunkSize)
	code = append(code, 0xf3, 0x0f, 0x1e, 0xfa, 0x48, mov) // endbr64; movabs $handle,%reg
	code = binary.LittleEndian.AppendUint64(code, uint64(d.Handle()))
	code = append(code, 0x48, 0xb8) // movabs $target,%rax
	code = binary.LittleEndian.AppendUint64(code, uint64(target))
	code = append(code, 0xff, 0xe0) // jmp *%rax
	for len(code) < ThunkSize {
		code = append(code, 0xcc)
	}
	return code
}

// AddFini adds the fini functions of one object, in the order in which they run. They run after the exit handlers of the DSO; those of objects added later run earlier.
func (d *DSO) AddFini(fns ...uintptr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finis = append(d.finis, slices.Clone(fns))
}

func (d *DSO) nextFini() (fn uintptr, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := len(d.finis); n > 0; n = len(d.finis) {
		last := d.finis[n-1]
		if len(last) > 0 {
			d.finis[n-1] = last[1:]
			return last[0], true
		}
		d.finis = d.finis[:n-1]
	}
	return 0, false
}

// Finalize runs what is registered, on the calling thread: thread_local destructors of this thread, exit handlers in reverse order of registration, also those that handlers register, then fini functions. It drops quick-exit
// and fork handlers and the thread_local destructors of other threads, waiting for running ones, and frees the handle: no code of the DSO
// may run any more. Each handler is entered through package guard: if one fails the rest still runs. The error joins the [*HandlerError]s. Only the first call does
// something; others return nil, even while it runs.
func (d *DSO) Finalize() error {
	if !d.finalized.CompareAndSwap(false, true) {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var errs []error
	errs = append(errs, drain(d, C.LJ_THREAD)...)
	errs = append(errs, drain(d, C.LJ_AT_EXIT)...)
	errs = append(errs, d.runFinis()...)
	finalizeMu.Lock()
	delete(dsos, d)
	finalizeMu.Unlock()
	C.lj_dso_free(d.c)
	return errors.Join(errs...)
}

// drain runs handlers of d, or of all DSOs if d is nil, newest first, until there are none.
func drain(d *DSO, kind C.int) (errs []error) {
	var in *C.struct_lj_dso
	if d != nil {
		in = d.c
	}
	var h C.struct_lj_handler
	for C.lj_dso_next(in, kind, &h) != 0 {
		f := guard.Frame{Fn: uint64(h.fn), Int: [6]uint64{uint64(h.arg)}}
		if h.kind == C.LJ_ON_EXIT {
			f.Int = [6]uint64{uint64(C.lj_exit_status()), uint64(h.arg)}
		}
		if err := guard.Call(&f); err != nil {
			kind := [...]string{"exit handler", "exit handler", "quick-exit handler", "thread_local destructor"}[h.kind]
			errs = append(errs, &HandlerError{DSO: nameOf(uintptr(unsafe.Pointer(h.dso))), Kind: kind, Address: uintptr(h.fn), Err: err})
		}
	}
	return errs
}

func nameOf(handle uintptr) string {
	finalizeMu.Lock()
	defer finalizeMu.Unlock()
	for d := range dsos {
		if d.Handle() == handle {
			return d.name
		}
	}
	return fmt.Sprintf("DSO %#x", handle)
}

// runFinis also runs the exit handlers that fini functions register.
func (d *DSO) runFinis() (errs []error) {
	for {
		fn, ok := d.nextFini()
		if !ok {
			return errs
		}
		if err := guard.Call(&guard.Frame{Fn: uint64(fn)}); err != nil {
			errs = append(errs, &HandlerError{DSO: d.name, Kind: "fini function", Address: fn, Err: err})
		}
		if !d.finalized.Load() {
			continue // at process exit: runAtExit drains
		}
		errs = append(errs, drain(d, C.LJ_AT_EXIT)...)
	}
}

// OnExit adds fn to what runs at the end of the process's exit(), after the exit handlers of all DSOs; functions added later run earlier. fn runs on the thread that called exit(), inside the
// native call if that was native code. It does not run for os.Exit and a return from Go's main.
func OnExit(fn func()) error {
	if err := hookExit(); err != nil {
		return err
	}
	onExitMu.Lock()
	defer onExitMu.Unlock()
	onExit = append(onExit, fn)
	return nil
}

// Exit ends the process as C's exit(code) does: exit handlers of all DSOs run, those of the host's C code too, and stdio is flushed. It does not return.
func Exit(code int) {
	C.exit(C.int(code))
}

// hookExit puts us in libc's lists, once, however often it is called.
func hookExit() error {
	finalizeMu.Lock()
	defer finalizeMu.Unlock()
	if hooked {
		return nil
	}
	fn, atExit := guard.NewCallback(func(*guard.Callback) { runAtExit() }).Keep().Closure()
	_, atQuick := guard.NewCallback(func(*guard.Callback) { reportErrors(drain(nil, C.LJ_QUICK)) }).Keep().Closure()
	if C.lj_hook_exit(C.uint64_t(fn), C.uint64_t(atExit), C.uint64_t(atQuick)) != 0 {
		return errors.New("register the exit handler of JIT code: libc is out of memory")
	}
	hooked = true
	return nil
}

// runAtExit repeats until nothing is left: fini functions may register handlers.
func runAtExit() {
	for {
		reportErrors(drain(nil, C.LJ_AT_EXIT))
		finalizeMu.Lock()
		var last *DSO
		for d := range dsos {
			if (last == nil || d.order > last.order) && d.hasFinis() {
				last = d
			}
		}
		finalizeMu.Unlock()
		if last == nil {
			break
		}
		reportErrors(last.runFinis())
	}
	for {
		onExitMu.Lock()
		n := len(onExit)
		if n == 0 {
			onExitMu.Unlock()
			return
		}
		fn := onExit[n-1]
		onExit = onExit[:n-1]
		onExitMu.Unlock()
		fn()
	}
}

func (d *DSO) hasFinis() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.finis, func(fns []uintptr) bool { return len(fns) > 0 })
}

// reportErrors is for the end of the process, where nobody is left to give an error to.
func reportErrors(errs []error) {
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, "livejit:", err)
	}
}
