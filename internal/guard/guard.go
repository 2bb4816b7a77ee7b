// Package guard enters native code from Go and brings control back, whatever happens inside.
//
// # Entering
//
// [Call] enters a native function with a [Frame]: one flat block with the System V AMD64 argument registers, stack words and results. An entry
// has a landing: the stack pointer below which everything belongs to the native side, linked to the landing of the entry around it. The innermost
// landing of a thread is thread-local. Native code leaves an entry in one of these ways, and Call tells which:
//
//   - it returns: Call returns nil;
//   - a C++ exception reaches the edge: [*ExceptionError];
//   - a Go callback panicked: the native frames are unwound, Call returns [*PanicError];
//   - a Go callback ended its goroutine (runtime.Goexit, as testing.T.FailNow does): the native frames are unwound and Call does not return
//     either, only the deferred functions of its Go callers run;
//   - a callback was called after its release: [*ReleasedError];
//   - a stub that leads nowhere was called and nothing could be found for it: the native frames are unwound, [*MissError];
//   - native or run-time code asked for the landing (lj_land, lj_unwind, lj_exit): [*LandingError];
//   - after [KeepFaults], a signal by which native code fails, or std::terminate: [*LandingError], with a backtrace;
//   - the context of [CallContext] ended: [*LandingError];
//   - exit(): the process ends as C says, exit handlers run on this thread, inside the entry; Call does not return;
//   - pthread_exit or pthread_cancel: their forced unwinding passes the edge untouched, the thread ends, Call does not return. On a thread of the
//     Go runtime that loses the goroutine: native code must not end threads it has not made.
//
// # Unwinding
//
// Panics and Goexit unwind native frames like pthread_cancel does, by forced unwinding (_Unwind_ForcedUnwind) up to the entry: destructors and
// catch (...) blocks run, typed handlers do not match, and a catch (...) that does not rethrow only delays: unwinding goes on at its end, so C++ cannot
// swallow a Go panic. Where frames cannot be unwound (no unwind information, or noexcept in the way) the rest is skipped by a jump to the landing, so their destructors
// do not run; [KeepFaults] puts a handler in front of the process's std::terminate handler for that. A landing jump restores callee-saved registers and the C++ runtime's record of caught exceptions and sets
// Go's floating-point control.
//
// # Faults and interrupts
//
// Handlers of signals decide by what the thread itself has noted: inside of an entry lj_current is set, in callbacks into Go and outside it is not. A
// signal of the thread's own doing inside of an entry is the entry's: the handler notes the program counters of all frames and lets the thread go on at its
// landing, where no destructors run. Signals of anything else go to the handler that was there before. The signal mask stays as native code has set it, as with a
// function that returns. Threads that native code has made have no entry: their faults are the process's.
//
// An interrupt is a signal to the thread that is inside of the entry, on whose handler interrupt.cpp tells. It can be late: it does nothing to an entry that nobody
// wants to end. Frame.tid and Frame.interrupt are atomic; the handler runs on the thread that has set lj_current, so program order is enough for the landing
// itself.
//
// # Misses
//
// A stub whose function has no machine code leads to [MissEntry]. Every register that could hold an argument is saved (all general ones, and the
// vector, mask and x87 state by XSAVE), the handler that [HandleMisses] has set for the stub's address says where to go on, all is restored and control
// goes there as if the stub had led there at once; errno is kept too. A miss counts as a callback: the landing is taken away while the handler
// runs, panics and Goexit do what they do in callbacks, and an error ends the entry.
//
// # Threads
//
// The edge keeps struct lj_thread_state (internal/threads) for those who look for code addresses on stacks: base is the outermost landing while the
// thread is inside entries, callback the lowest address of the innermost callback's or miss's saved registers while Go runs in it, and 0 in an entry below
// one. Each way out of an entry puts back what its landing has noted. Only the thread's own code writes them and the scan's signal handler on the same thread reads them, so
// program order is all that is needed here; lj_threads.h says what makes up for it where another thread reads base.
//
// One case is left open: a panic past a Go function that is not a callback of this package may move the goroutine to another thread before its Call can tidy up. Then
// the old thread counts as unknown to scans (it holds everything) until its next entry.
//
// # Invariants
//
//   - A landing never lies beyond a Go frame: callbacks clear the thread's landing before Go runs and restore it after, so landings are LIFO.
//   - Go panics are recovered in the dispatcher and control returns to C the normal way before native frames are unwound.
//   - Go code runs with default floating-point control (x87 control word 0x37f, MXCSR 0x1f80): both edges see to it.
//   - A panic in a Go function that native code reaches through cgo's //export, not through a callback of this package, is not ours to carry: it unwinds the
//     goroutine as Go does, the native frames are dropped, and Call forgets its landing.
//   - A Frame must not live on a goroutine stack (stacks move during callbacks); Call makes it escape.
//
// References: System V AMD64 psABI 1.0 sections 3.2 and 6.2; Itanium C++ ABI: Exception Handling, level I (forced unwinding) and II.
//
// Locks: callbackTable.mu and missTable.mu are leaves; nothing is called while they are held.
package guard

// InlineStack is the number of stack words a Frame holds without being made larger by [NewFrame].
const InlineStack = 16

// Frame is one entry into native code: the function, its arguments in registers and on the stack, and after [Call] its results. It holds no Go
// pointers; native code gets its address. Use one Frame for one call at a time. The zero Frame is ready for functions with up to InlineStack stack
// words; [NewFrame] makes larger ones, [GetFrame] takes one from a pool.
type Frame struct {
	Fn    uint64    // address of the function
	Int   [6]uint64 // rdi, rsi, rdx, rcx, r8, r9
	Float [8]uint64 // low halves of xmm0-xmm7: float64 as Float64bits, float32 as Float32bits in the low half

	RetInt   [2]uint64   // after Call: rax, rdx
	RetFloat [2]uint64   // after Call: low halves of xmm0, xmm1
	RetX87   [2][16]byte // after Call: st0, st1 in the 10-byte extended format; only RetX87[:X87] is written

	// X87 is the number of results the function leaves on the x87 stack: 0, 1 for long double, 2 for long double _Complex. It must be right,
	// the x87 stack faults silently otherwise.
	X87 uint32
	// NStack is the number of stack words in use; word 0 is at the address that is 16-aligned at the call.
	NStack uint32

	landing report

	capacity  uint32 // stack words in this block, 0 means InlineStack
	watched   uint32 // the native side keeps tid
	tid       int32  // of the thread that is inside, 0 if none is
	interrupt uint32
	stack     [InlineStack]uint64 // the last field: NewFrame's blocks go on after it
}

// report is what the native side tells about an entry that did not return.
type report struct {
	reason   int32
	signal   int32
	code     int32
	flags    uint32
	detail   uint64
	address  uint64
	pc       uint64
	sp       uint64
	fp       uint64
	typeName uint64 // malloc'd C string or 0
	what     uint64 // malloc'd C string or 0
	carried  uint64 // key of the error that was carried to this entry, or 0
	ntrace   uint64
	trace    [64]uint64
}

// Callback is one call of a Go callback by native code: what the argument registers held, and room for the results. It lives in the native stack
// frame: valid only until the callback function returns.
type Callback struct {
	Int   [6]uint64 // rdi, rsi, rdx, rcx, r8, r9
	Float [8]uint64 // low halves of xmm0-xmm7

	RetInt   [2]uint64 // to rax, rdx; zero at the start
	RetFloat [2]uint64 // to xmm0, xmm1; zero at the start

	stack   uint64 // address of the first stack argument
	id      uint64
	landing uint64 // landing of the entry below, 0 if native code was not entered through Call
	control uint64 // floating-point control of the native side
	outer   uint64 // the thread's callback mark (internal/threads) outside of this callback
}
