package livejit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
)

// ErrClosed is returned by every method of an engine or module after its Close.
var ErrClosed = errors.New("livejit: closed")

// ErrNotFound is matched (errors.Is) by errors about a name that means nothing to the engine.
var ErrNotFound = errors.New("livejit: not found")

// Diagnostic is one message of a front end or of LLVM.
type Diagnostic struct {
	File         string
	Line, Column int    // from 1; 0 if unknown
	Severity     string // "error", "warning", "note"
	Message      string
	SourceLine   string // the line it is about, if known
}

// String returns the diagnostic as clang prints it: file:line:column: severity: message.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		if d.Line > 0 {
			fmt.Fprintf(&b, ":%d", d.Line)
			if d.Column > 0 {
				fmt.Fprintf(&b, ":%d", d.Column)
			}
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: %s", d.Severity, d.Message)
	return b.String()
}

// CompileError reports that a source could not be read, verified or compiled. The engine
// is as it was before.
type CompileError struct {
	Source      string       // name of the source
	Stage       string       // "parse", "verify", "optimise", "codegen", "clang"
	Fatal       bool         // LLVM gave up as a whole; its state was thrown away
	Diagnostics []Diagnostic // at least one
}

func (e *CompileError) Error() string {
	if len(e.Diagnostics) == 0 {
		return fmt.Sprintf("%s: %s failed", e.Source, e.Stage)
	}
	return firstLine(e.Diagnostics[0].String())
}

// Format prints every diagnostic with its source line under %+v.
func (e *CompileError) Format(s fmt.State, verb rune) {
	formatError(s, verb, e, func(w io.Writer) {
		for _, d := range e.Diagnostics {
			fmt.Fprintln(w, d)
			if d.SourceLine != "" {
				fmt.Fprintln(w, d.SourceLine)
				if d.Column > 0 {
					fmt.Fprintln(w, strings.Repeat(" ", d.Column-1)+"^")
				}
			}
		}
	})
}

// FormatError reports an object file or archive that cannot be read.
type FormatError struct {
	Source string // name of the object or archive
	Err    error  // what is wrong, with section and offset
}

func (e *FormatError) Error() string { return e.Err.Error() }

// Unwrap returns the reader's error.
func (e *FormatError) Unwrap() error { return e.Err }

// Undefined is a symbol that nothing defines, and who needs it.
type Undefined struct {
	Symbol    string
	Referrers []string // functions and variables, as "name (object)"
}

// UndefinedError names every symbol that nothing defines.
type UndefinedError struct{ Symbols []Undefined }

func (e *UndefinedError) Error() string {
	names := make([]string, 0, len(e.Symbols))
	for _, s := range e.Symbols {
		name := s.Symbol
		if len(s.Referrers) > 0 {
			name += " (referenced by " + joinSome(s.Referrers, 3) + ")"
		}
		names = append(names, name)
	}
	return "undefined symbol" + plural(len(names)) + ": " + joinSome(names, 4)
}

// Format prints a line for each symbol and referrer under %+v.
func (e *UndefinedError) Format(s fmt.State, verb rune) {
	formatError(s, verb, e, func(w io.Writer) {
		for _, u := range e.Symbols {
			fmt.Fprintf(w, "undefined symbol: %s\n", u.Symbol)
			for _, r := range u.Referrers {
				fmt.Fprintf(w, "\treferenced by %s\n", r)
			}
		}
	})
}

// DuplicateError reports a second definition of a strong symbol.
type DuplicateError struct {
	Symbol      string
	First, Next string // who defines it: modules or objects
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("duplicate symbol: %s is defined by %s and by %s", e.Symbol, e.First, e.Next)
}

// InUseError reports that something cannot go because others refer to it.
type InUseError struct {
	Name      string
	Referrers []string // who refers to it; empty if native calls are running
	Running   int      // native calls in progress
}

func (e *InUseError) Error() string {
	if len(e.Referrers) > 0 {
		return fmt.Sprintf("%s is in use: referenced by %s", e.Name, joinSome(e.Referrers, 4))
	}
	return fmt.Sprintf("%s is in use: %d native call%s in progress", e.Name, e.Running, plural(e.Running))
}

// Format prints all referrers under %+v.
func (e *InUseError) Format(s fmt.State, verb rune) {
	formatError(s, verb, e, func(w io.Writer) {
		for _, r := range e.Referrers {
			fmt.Fprintf(w, "\treferenced by %s\n", r)
		}
	})
}

// DeletedError is the error of a call to a function that is no longer there.
type DeletedError struct{ Name string }

func (e *DeletedError) Error() string { return fmt.Sprintf("call of deleted function %s", e.Name) }

// SignatureError reports Go types that do not fit the type of a native function.
type SignatureError struct {
	Function string
	Native   string // the function's IR type
	Go       string // the Go type or the types of the arguments
	Reason   string
}

func (e *SignatureError) Error() string {
	s := fmt.Sprintf("%s: Go type %s does not fit", e.Function, e.Go)
	if e.Native != "" {
		s += " " + e.Native
	}
	return s + ": " + e.Reason
}

// RelocationError reports a reference that cannot be encoded or served.
type RelocationError struct {
	Object, Section string
	Offset          uint64 // of the reference in the section
	Symbol          string
	Kind            string // as the psABI names it
	Distance        int64  // the value that did not fit, where there is one
	Reason          string
}

func (e *RelocationError) Error() string {
	return fmt.Sprintf("%s: %s+%#x: relocation %s against %s: %s", e.Object, e.Section, e.Offset, e.Kind, e.Symbol, e.Reason)
}

// MemoryError reports that memory for code or data could not be had.
type MemoryError struct {
	Request MemoryRequest
	Err     error
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("cannot allocate %d bytes of %s for %s of %s: %v", e.Request.Size, e.Request.Kind, e.Request.Section, e.Request.Module, e.Err)
}

// Unwrap returns the memory manager's error.
func (e *MemoryError) Unwrap() error { return e.Err }

// ExceptionError is the error of a native call that a C++ exception left.
type ExceptionError struct {
	Function string // what was called
	Type     string // demangled C++ type; empty for a foreign exception
	What     string // what() of a std::exception
}

func (e *ExceptionError) Error() string {
	s := fmt.Sprintf("%s: uncaught exception", e.Function)
	if e.Type != "" {
		s += " of type " + e.Type
	}
	if e.What != "" {
		s += ": " + e.What
	}
	return s
}

// PanicError is the error of a native call during which a Go function called by native
// code panicked.
type PanicError struct {
	Function string // what was called
	Value    any    // the panic's value
	Stack    []byte // Go stack at the panic
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%s: panic in a Go function: %v", e.Function, e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// FaultError is the error of a native call that ended by a signal or by std::terminate: a bad memory access, a division by
// zero, a trap, abort, a stack overflow, an exception that nobody catches inside of a noexcept function. The frames of the
// call were dropped without running destructors.
type FaultError struct {
	Function      string          // what was called
	Signal        syscall.Signal  // SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP or SIGABRT
	Code          int             // si_code, see sigaction(2)
	Address       uint64          // that was accessed, for SIGSEGV and SIGBUS
	PC            uint64          // where it happened
	Backtrace     []Location      // innermost first, up to 64 frames, to the function that was called
	Foreign       bool            // it happened in a library that JIT code had called, whose state (locks, buffers, the heap) may be inconsistent now
	StackOverflow bool            // SIGSEGV because the stack has no room left
	Exception     *ExceptionError // std::terminate was called about this exception
	Terminated    bool            // std::terminate was called
}

// tidy makes the backtrace begin at what asked for the end: frames of the C++ run-time above a call of std::terminate say nothing. And abort or raise
// called by JIT code leave no library in the middle of something, unless it was another that called them.
func (e *FaultError) tidy() {
	first := slices.IndexFunc(e.Backtrace, func(l Location) bool { return l.Module != "" && l.Function != "__clang_call_terminate" })
	if first < 0 {
		return
	}
	if e.Terminated {
		e.Backtrace = e.Backtrace[first:]
		e.PC = e.Backtrace[0].PC
	} else if first > 0 && e.Code <= 0 {
		caller := e.Backtrace[first-1].Function
		e.Foreign = caller != "abort" && caller != "raise" && caller != "gsignal"
	}
}

// reason says what happened in the words of the C library.
func (e *FaultError) reason() string {
	switch {
	case e.Exception != nil && e.Exception.What != "":
		return "terminated by an exception of type " + e.Exception.Type + ": " + e.Exception.What
	case e.Exception != nil:
		return "terminated by an exception of type " + e.Exception.Type
	case e.Terminated:
		return "std::terminate was called"
	case e.StackOverflow:
		return "stack overflow"
	case e.Signal == syscall.SIGSEGV && e.Code > 0 && e.Code < 0x80:
		return fmt.Sprintf("segmentation fault at address %#x", e.Address)
	case e.Signal == syscall.SIGBUS && e.Code > 0 && e.Code < 0x80:
		return fmt.Sprintf("bus error at address %#x", e.Address)
	case e.Signal == syscall.SIGFPE && e.Code == 1: // FPE_INTDIV
		return "division by zero"
	case e.Signal == syscall.SIGABRT:
		return "abort was called"
	}
	return e.Signal.String()
}

func (e *FaultError) Error() string {
	s := e.Function + ": " + e.reason()
	if where := firstNamed(e.Backtrace); where != "" {
		s += " in " + where
	}
	return s
}

// Format prints the backtrace under %+v.
func (e *FaultError) Format(s fmt.State, verb rune) {
	formatError(s, verb, e, func(w io.Writer) { printTrace(w, e.Backtrace) })
}

// InterruptError is the error of a native call whose context ended while it was inside. Its frames were dropped
// without running destructors.
type InterruptError struct {
	Function  string     // what was called
	Backtrace []Location // where it was, innermost first
	Foreign   bool       // it was in a library that JIT code had called and did not come back, whose state may be inconsistent now
	Err       error      // the context's
}

func (e *InterruptError) Error() string {
	s := e.Function + ": interrupted"
	if where := firstNamed(e.Backtrace); where != "" {
		s += " in " + where
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the context's error.
func (e *InterruptError) Unwrap() error { return e.Err }

// Format prints the backtrace under %+v.
func (e *InterruptError) Format(s fmt.State, verb rune) {
	formatError(s, verb, e, func(w io.Writer) { printTrace(w, e.Backtrace) })
}

// ExitError is the error of a native call that called exit, in an engine with [WithExitError].
type ExitError struct {
	Function string // what was called
	Status   int    // as given to exit
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: exit(%d) was called", e.Function, e.Status)
}

// firstNamed is the innermost frame of the engine, or of anyone if there is none.
func firstNamed(trace []Location) string {
	for _, l := range trace {
		if l.Module != "" {
			return l.String()
		}
	}
	if len(trace) > 0 {
		return trace[0].String()
	}
	return ""
}

func printTrace(w io.Writer, trace []Location) {
	for i, l := range trace {
		fmt.Fprintf(w, "\t#%d %#x %s\n", i, l.PC, l)
		if l.IR != "" {
			fmt.Fprintf(w, "\t\t%s\n", l.IR)
		}
	}
}

// severalErrors are the errors of a load that went wrong in more than one place.
type severalErrors []error

// join returns nil for no error, a single error as it is, and several as one.
func join(errs ...error) error {
	var list severalErrors
	for _, err := range errs {
		if err != nil {
			list = append(list, err)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

func (e severalErrors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

func (e severalErrors) Unwrap() []error { return e }

// Format prints each error as the verb says, with its detail under %+v.
func (e severalErrors) Format(s fmt.State, verb rune) {
	for i, err := range e {
		if i > 0 {
			io.WriteString(s, "\n")
		}
		fmt.Fprintf(s, fmt.FormatString(s, verb), err)
	}
}

// formatError prints one line under %v and %s, and detail as well under %+v.
func formatError(s fmt.State, verb rune, err error, detail func(io.Writer)) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", err.Error())
	case verb == 'v' && s.Flag('+'):
		var b strings.Builder
		detail(&b)
		text := strings.TrimRight(b.String(), "\n")
		if !strings.HasPrefix(text, err.Error()) {
			text = strings.TrimRight(err.Error()+"\n"+text, "\n")
		}
		io.WriteString(s, text)
	default:
		io.WriteString(s, err.Error())
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// joinSome lists at most n of the items and counts the rest.
func joinSome(items []string, n int) string {
	if len(items) <= n {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:n], ", "), len(items)-n)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
