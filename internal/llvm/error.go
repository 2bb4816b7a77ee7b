package llvm

import (
	"fmt"
	"io"
	"strings"
)

// ErrorKind says which step refused the input.
type ErrorKind uint8

const (
	_ ErrorKind = iota
	// KindParse: the text or bitcode is malformed.
	KindParse
	// KindVerify: well-formed, but not valid IR.
	KindVerify
	// KindTarget: made for another architecture, object format or data layout.
	KindTarget
	// KindUnsupported: valid IR that cannot be prepared, cut or split; the message says why.
	KindUnsupported
	// KindNotFound: no function of that name has a body in the module.
	KindNotFound
	// KindCodegen: LLVM reported an error for the input (inline assembly, for
	// instance) and went on; nothing is poisoned.
	KindCodegen
	// KindFatal: LLVM gave up ("Cannot select", report_fatal_error). The context
	// and the pipeline in use are poisoned.
	KindFatal
	// KindPoisoned: the context or pipeline was poisoned by an earlier fatal error.
	KindPoisoned
)

var errorKindNames = [...]string{
	KindParse: "parse", KindVerify: "verify", KindTarget: "target", KindUnsupported: "unsupported",
	KindNotFound: "not found", KindCodegen: "codegen", KindFatal: "fatal", KindPoisoned: "poisoned",
}

func (k ErrorKind) String() string {
	if int(k) < len(errorKindNames) && errorKindNames[k] != "" {
		return errorKindNames[k]
	}
	return fmt.Sprintf("ErrorKind(%d)", uint8(k))
}

// Severity of a Diagnostic, in clang's words.
type Severity uint8

const (
	SeverityError Severity = iota
	SeverityWarning
	SeverityRemark
	SeverityNote
)

func (s Severity) String() string {
	switch s {
	case SeverityError:
		return "error"
	case SeverityWarning:
		return "warning"
	case SeverityRemark:
		return "remark"
	case SeverityNote:
		return "note"
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// Diagnostic is one message of LLVM with its place. File is the module's name
// when LLVM names none; Line and Column count from 1, 0 when unknown.
type Diagnostic struct {
	File         string
	Line, Column int
	Severity     Severity
	Message      string
	SourceLine   string // text of the line, "" when unknown
}

// String formats as clang does: file:line:col: severity: message.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		b.WriteByte(':')
		if d.Line > 0 {
			fmt.Fprintf(&b, "%d:", d.Line)
			if d.Column > 0 {
				fmt.Fprintf(&b, "%d:", d.Column)
			}
		}
		b.WriteByte(' ')
	}
	b.WriteString(d.Severity.String())
	b.WriteString(": ")
	b.WriteString(d.Message)
	return b.String()
}

// Error is the only error type of the package. %v prints the first diagnostic
// of severity error in one line, %+v all of them with their source lines.
type Error struct {
	Kind        ErrorKind
	Module      string // name of the module worked on
	Diagnostics []Diagnostic
}

func (e *Error) Error() string {
	d := e.first()
	if d == nil {
		return fmt.Sprintf("%s: %s error", e.Module, e.Kind)
	}
	s := d.String()
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return s
}

func (e *Error) first() *Diagnostic {
	for i := range e.Diagnostics {
		if e.Diagnostics[i].Severity == SeverityError {
			return &e.Diagnostics[i]
		}
	}
	if len(e.Diagnostics) > 0 {
		return &e.Diagnostics[0]
	}
	return nil
}

// Format implements fmt.Formatter for %+v.
func (e *Error) Format(s fmt.State, verb rune) {
	if verb != 'v' || !s.Flag('+') || len(e.Diagnostics) == 0 {
		io.WriteString(s, e.Error())
		return
	}
	for i, d := range e.Diagnostics {
		if i > 0 {
			io.WriteString(s, "\n")
		}
		io.WriteString(s, d.String())
		if d.SourceLine == "" {
			continue
		}
		io.WriteString(s, "\n"+d.SourceLine)
		if d.Column > 0 && d.Column <= len(d.SourceLine)+1 {
			io.WriteString(s, "\n"+caretIndent(d.SourceLine[:d.Column-1])+"^")
		}
	}
}

// caretIndent is as wide as prefix: tabs stay tabs.
func caretIndent(prefix string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, prefix)
}
