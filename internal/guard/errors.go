package guard

import (
	"errors"
	"fmt"
)

// Reason says why an entry ended without returning. The values are those of enum lj_reason in guard.h.
type Reason int32

const (
	Returned    Reason = iota // not a failure
	Exception                 // a C++ exception reached the edge
	Panic                     // a Go callback panicked
	Goexit                    // a Go callback ended its goroutine
	Released                  // native code called a released callback
	Fault                     // a synchronous signal: LandingError.Signal, Code, Address, PC
	Interrupted               // an asynchronous request to end the call
	Deleted                   // a deleted function was called; Detail names it, as its stub's maker says
	Terminated                // std::terminate or abort while landing was possible
	Missed                    // a stub that leads nowhere was called and its handler failed
	Exited                    // lj_exit was called; Detail is the status
)

var reasonNames = [...]string{"returned", "C++ exception", "Go panic", "Goexit", "released callback", "fault", "interrupt", "deleted function", "termination", "miss", "exit"}

func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("reason %d", int32(r))
	}
	return reasonNames[r]
}

// ExceptionError is a C++ (or other language's) exception that left the entered function.
type ExceptionError struct {
	Type string // demangled name of the thrown type; "" for an exception of another language
	What string // std::exception's what(), the text of a thrown C string or std::string, else ""
}

func (e *ExceptionError) Error() string {
	switch {
	case e.Type == "":
		return "native code threw a foreign exception"
	case e.What == "":
		return "native code threw " + e.Type
	}
	return "native code threw " + e.Type + ": " + e.What
}

// PanicError is a Go panic in a callback, carried across the native frames between.
type PanicError struct {
	Value any    // the panic value
	Stack []byte // the goroutine's stack at the panic, as runtime/debug.Stack formats it
}

func (e *PanicError) Error() string { return fmt.Sprintf("callback panicked: %v", e.Value) }

// Unwrap returns the panic value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Format prints the stack too for %+v.
func (e *PanicError) Format(s fmt.State, verb rune) {
	fmt.Fprint(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, "\n%s", e.Stack)
	}
}

// ReleasedError is the call of a callback after its [CallbackHandle.Release].
type ReleasedError struct {
	ID uint64 // the handle's number, [CallbackHandle.ID]
}

func (e *ReleasedError) Error() string {
	return fmt.Sprintf("native code called callback %#x, which has been released", e.ID)
}

// MissError is the call of a stub that leads nowhere and for which nothing could be found. The native frames between have been unwound.
type MissError struct {
	Stub uint64 // address of the stub
	Err  error  // what the handler of [HandleMisses] said, or [ErrNoEngine]
}

func (e *MissError) Error() string {
	return fmt.Sprintf("native code called stub %#x: %v", e.Stub, e.Err)
}

// Unwrap returns Err.
func (e *MissError) Unwrap() error { return e.Err }

// ErrNoEngine is in a [MissError] whose stub is in no range of [HandleMisses].
var ErrNoEngine = errors.New("the address belongs to no engine")

// LandingError is an entry that ended at its landing for any other reason. Foreign state (locks, half-done work of libraries) may be inconsistent after it.
type LandingError struct {
	Reason  Reason
	Detail  uint64 // what was given to lj_land or lj_unwind
	Signal  int    // for Fault and Interrupted: signal number, si_code and si_addr
	Code    int
	Address uint64
	PC      uint64 // where the thread was, for landings from a signal
	SP, FP  uint64

	Foreign       bool            // it happened in foreign code that JIT code had called
	StackOverflow bool            // the stack had no room left
	Trace         []uint64        // program counters, innermost first; all but the first are return addresses
	CutShort      bool            // there are more than those
	Exception     *ExceptionError // for Terminated: what was thrown, nil if nothing was
}

func (e *LandingError) Error() string {
	if e.Reason == Fault {
		return fmt.Sprintf("native code ended by %v: signal %d (code %d) at pc %#x, address %#x", e.Reason, e.Signal, e.Code, e.PC, e.Address)
	}
	return fmt.Sprintf("native code ended by %v (detail %#x)", e.Reason, e.Detail)
}
