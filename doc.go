// Package livejit loads native programs into this process function by function and runs
// them: C and C++ (package clang), LLVM IR and bitcode, object files and archives of any
// compiler.
//
// An Engine holds what is loaded. Add loads sources as a Module, all or nothing; every
// function gets memory of its own and a stub, whose address is the function's for its whole
// life. Bind and Call enter native code from Go, Define lets native code call Go. Close,
// of a module or the engine, runs destructors and gives everything back.
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
// weak or common definition yields to it and a later strong one is a *DuplicateError.
// Static functions and variables belong to their module; see Module.Function.
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
// Engine.mu guards names, modules and pieces, and is held while a load is linked and
// published and while something is closed; not while sources are compiled, nor while
// constructors, destructors and calls run. Inside it, in this order: the gate that keeps
// memory from being freed under calls, the stub table's lock, the arena's. The resolvers of
// indirect functions (ifunc) run under Engine.mu and must not call the engine.
package livejit
