// Package crt is the run-time support that JIT code calls in place of the process's own, where the process's does not know about code that comes and goes:
// thread-local storage, exit handlers, and compiler helpers that no shared library exports.
//
// # Thread-local storage
//
// [NewTLS] makes a TLS module. Its number has the top bit set, so that __tls_get_addr (ours, in [Symbols]) tells it from the dynamic linker's modules, which it
// passes on. Each thread has a table of blocks by module; a block is allocated and initialised at the thread's first access. At thread exit blocks are freed
// after C++ thread_local destructors, which libc runs first, and after all other pthread keys' destructors, by arming the key again until the last round.
// [TLSModule.Release] frees the blocks of all threads. That is safe for running threads: only code of the released module reads the module's
// entry of a table, and by contract none runs any more; tables grow and threads leave under the same lock.
//
// # Exit handlers
//
// A [DSO] is what C++ calls one: code with static destructors, named by the address of its handle, to which __dso_handle resolves. JIT code registers through our
// __cxa_atexit and, for functions that have no DSO argument (atexit, on_exit, at_quick_exit, pthread_atfork), through thunks made for each DSO. [DSO.Finalize] runs the handlers of one
// DSO. At exit() or a return from a C main the handlers of all DSOs run, in reverse order of registration, from one handler in libc's list, which is
// before stdio is flushed. os.Exit and a return from Go's main do not run them, as they run no C handlers: use [Exit].
//
// thread_local destructors (__cxa_thread_atexit) run at thread exit as long as their DSO lives. Finalize runs those of its own thread; those of other
// threads are dropped, since C++ code may rely on them running on their thread: the memory that such objects own is leaked.
//
// # Locks
//
// Go: finalizeMu, onExitMu; C: tls_lock, exit_lock. All are leaves and not held while handlers run.
//
// References: "ELF Handling For Thread-Local Storage" 3.4.6 and RFC "TLS descriptors for x86"; Itanium C++ ABI 3.3.6 (DSO object destruction), glibc's __cxa_thread_atexit_impl; System V gABI, termination functions.
package crt

import "fmt"

// TLSError is a TLS module that cannot be made.
type TLSError struct {
	Size, Align uint64 // of the block, in bytes
	Init        int    // bytes of the initial image
	Msg         string
}

func (e *TLSError) Error() string {
	return fmt.Sprintf("thread-local block of %d bytes, aligned to %d, with %d bytes of initial image: %s", e.Size, e.Align, e.Init, e.Msg)
}

// HandlerError is a failed exit handler.
type HandlerError struct {
	DSO     string  // name of the DSO
	Kind    string  // "exit handler", "quick-exit handler", "fini function", "thread_local destructor"
	Address uintptr // of the handler
	Err     error   // from package guard
}

func (e *HandlerError) Error() string {
	return fmt.Sprintf("%s: %s at %#x: %v", e.DSO, e.Kind, e.Address, e.Err)
}

func (e *HandlerError) Unwrap() error { return e.Err }
