// Package llvm is the narrow door to LLVM 22: IR in, function-sized modules and
// ELF objects out. It is the only package of livejit that includes LLVM headers
// and knows nothing of engines, stubs or links.
//
// # The way of a module
//
//	Context.ParseIR, ParseBitcode, Adopt ─► Module ─► Prepare ─► Pipeline.Emit ─► Object
//	                                          └─► CutSet (some), Split (all)
//
// Prepare makes every function replaceable: interposable linkage, so that no
// pass at any level looks into a body on behalf of a caller, and calls through
// the GOT, so that a caller reads the callee's slot. The Summary it returns is
// all the engine needs to know about the module: symbols, signatures, fingerprints
// that tell what has changed between two versions of it, and where variables with
// debug info keep what.
//
// # Invariants
//
//   - A module that Parse*, Adopt, Cut or Split returned is valid IR: the
//     verifier has seen it, or it was made from a module the verifier has seen.
//   - Bad input is an *Error. LLVM never ends the process and never prints: its
//     fatal errors and its diagnostics become Error.Diagnostics.
//   - After a fatal error inside LLVM ("a landing", Kind Fatal) LLVM's state is
//     unknown: the Context, its modules and the Pipeline in use are poisoned.
//     Each later use returns an Error of kind Poisoned, their memory is left
//     alone for ever (ReadStats counts it), and the caller makes new ones.
//   - Nothing is freed by a finalizer. A Context outlives its modules.
//
// # Concurrency
//
// A Context with all its modules belongs to one goroutine at a time, and so does
// a Pipeline; any thread will do, and different contexts and pipelines run in
// parallel. Use by two goroutines at once panics with "BUG:". Objects are
// independent of both and may be released anywhere. The package holds no locks
// while it calls LLVM; the C++ side has one leaf lock (the pool of object
// buffers).
//
// # Layout
//
// shim.h is the contract between Go and C++; its implementation lies in
// landing.cpp (fatal errors, diagnostics), module.cpp (reading and writing),
// irdebug.cpp (the text of a module as its source), prepare.cpp, carve.cpp (the copying that cut.cpp and split.cpp share) and
// pipeline.cpp. What Prepare tells is written by summary.cpp with layouts.cpp (types
// in debug info) and fingerprint.h, whose parts are fingerprint.cpp (functions and
// variables), operands.cpp (types, attributes, constants, metadata), contents.cpp
// (what is copied or folded into its users) and lines.cpp (debug info).
// shim_cgo.go holds every crossing.
package llvm
