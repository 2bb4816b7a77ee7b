// Package livejit loads native programs into this process function by function and runs
// them: C and C++ (package clang), LLVM IR and bitcode, object files and archives of any
// compiler.
//
// An Engine holds what is loaded. Add loads sources as a Module, all or nothing; every
// function gets memory of its own and a stub, whose address is the function's for its whole
// life. Bind and Call enter native code from Go, Define lets native code call Go. Replace,
// Delete and Invalidate change functions one by one while others run, Update several
// together. Close, of a module or the engine, runs destructors and gives everything back.
//
//	eng, err := livejit.New()
//	defer eng.Close()
//	_, err = eng.Add(ctx, livejit.IR("fib.ll", text))
//	var fib func(n int64) (int64, error)
//	err = eng.Bind("fib", &fib)
//	v, err := fib(30)
//
// # Names
//
// One engine is one program: its modules see each other's global names, hidden ones
// included. A name is looked for among the sources of the same Add, then in what is loaded
// and in the Go functions defined, in archives, in the engine's run-time support, in the
// process, and in the libraries of WithLibrary, in this order. Definitions of one name meet
// as in a static linker (weak, common, COMDAT); what is loaded already is bound, so a later
// weak or common definition that Add brings yields to it and a later strong one is a
// *DuplicateError; that is what Replace is for. Static functions and variables belong to
// their module; see Module.Function.
//
// # Live code
//
// A function is a name with a stub and a slot; its machine code is a version behind it.
// Replacing compiles a new version aside and stores its address in the slot: callers that
// were compiled long ago, function pointers in data and vtables all reach it at their next
// call, while activations that are under way finish as the version they began as. Old
// versions are retired, and freed when no thread can be inside of them any more, also if a
// call goes on for ever and on threads that native code has made; see Function.WhyAlive,
// Function.Pin and Engine.Quiesce. What is not seen are the suspended stacks of coroutines
// that native code makes by itself, without makecontext: pin what they are inside of.
//
// LIVEJIT_STRESS=1 in the environment makes every engine free at once what it can, and fill
// freed code with traps for good: a stale pointer then faults where it is used.
//
// # Native code
//
// Code compiled here always has frame pointers and unwind tables. C++ exceptions cross
// functions, modules and libraries; one that would leave native code for Go becomes an
// *ExceptionError. A panic of a Go function that native code called unwinds the native
// frames and becomes a *PanicError. Native code that faults, aborts or calls exit does to
// the process what it does in any program.
//
// Thread-local variables of loaded code are per thread as usual. Goroutines move between
// threads: a caller that relies on them locks its goroutine to its thread
// (runtime.LockOSThread).
//
// # Locks
//
// Engine.mu guards names, modules and versions. It is held while changes are judged, linked
// and published, and while versions are freed; not while sources are compiled, nor while stacks
// are looked at, nor while constructors, destructors and calls run. Outside of it, never both: the lock of the reclaimer, and that of a
// source that functions are compiled from again. Inside it, in this order: the gate that
// keeps memory from being freed under calls, the lock of package threads, the stub table's, the
// arena's.
package livejit
