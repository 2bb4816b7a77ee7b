package livejit

import (
	"errors"
	"fmt"
	"io"
	"strings"
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
