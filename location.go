package livejit

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"livejit/internal/hostsym"
	"livejit/internal/symtab"
	"livejit/internal/unwind"
)

// Location says what lies at an address of code. Of code that was inlined, File, Line, Column and IR are the innermost function's,
// Function is the one that it was inlined into.
type Location struct {
	PC       uint64
	Module   string // name of the module; "" for code that is not the engine's
	Function string // as the linker knows it; "" if unknown
	Version  int    // of the function; 0 if it has none
	Offset   uint64 // bytes from the function's first instruction, or from the stub's

	File         string // of the source, as its compiler was given it; of the IR text with WithIRDebug; "" without debug information, see WithDebug
	Line, Column int    // from 1; 0 if unknown
	IR           string // WithIRDebug: the IR instruction, "store i32 0, ptr %p, align 4"; in a function's prologue its head, "define ..."

	Object  string // the library or program of a Foreign location, a path
	Stub    bool   // the address is in the stub of Function
	Foreign bool   // the code is not the engine's: of the process, of a library, or Go's
}

// String returns the location in one line: "fib@3+0x1a (fib.c:12:5)", "stub of fib", "strlen+0x9 (libc.so.6)", and the
// address alone if nothing is known of it. C++ names are as in the source.
func (l Location) String() string {
	if l.Function == "" && l.Object == "" {
		return fmt.Sprintf("%#x", l.PC)
	}
	var b strings.Builder
	if l.Stub {
		b.WriteString("stub of ")
	}
	if l.Function == "" {
		b.WriteString("?")
	} else {
		b.WriteString(Demangle(l.Function))
	}
	if l.Version > 0 {
		fmt.Fprintf(&b, "@%d", l.Version)
	}
	if l.Function != "" && !l.Stub {
		fmt.Fprintf(&b, "+%#x", l.Offset)
	}
	switch {
	case l.File != "" && l.Column > 0:
		fmt.Fprintf(&b, " (%s:%d:%d)", l.File, l.Line, l.Column)
	case l.File != "":
		fmt.Fprintf(&b, " (%s:%d)", l.File, l.Line)
	case l.Object != "":
		fmt.Fprintf(&b, " (%s)", filepath.Base(l.Object))
	}
	return b.String()
}

// Symbolize says what the code at pc is: the function with its version, the source line (WithDebug), the IR instruction (WithIRDebug). For a return address ask for pc-1, which lies in
// the call. The engine's own code is found whether it is current or an old version that was
// not freed yet; so are its stubs. All other code of the process is Foreign: Go functions
// are named by Go's tables, native ones by the closest symbol that their library exports.
// false: pc is in no code that anyone knows.
//
// It waits for transactions that are being linked. An address that a thread was found at stays
// resolvable for as long as that thread's call lasts.
func (e *Engine) Symbolize(pc uint64) (Location, bool) {
	if !e.inRange(pc) {
		return foreign(pc)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return Location{PC: pc}, false
	}
	return e.own(pc)
}

func (e *Engine) inRange(pc uint64) bool {
	lo, hi := e.memory.Range()
	return pc >= lo && pc < hi
}

// own is Symbolize for code of the engine, which is locked.
func (e *Engine) own(pc uint64) (Location, bool) {
	l := Location{PC: pc}
	if code, ok := e.region.Find(pc); ok {
		p := e.pieces[code.ID]
		if p == nil {
			return l, false
		}
		l.Module, l.Function, l.Version, l.Offset = p.module.name, p.name, int(p.Number), pc-code.Start
		e.inside(&l, p, code)
		if p.debug != nil { // without lines if they cannot be read
			l.File, l.Line, l.Column, _, _ = p.debug.Line(pc)
		}
		if p.text != nil {
			p.text.locate(&l)
		}
		return l, true
	}
	if stub, ok := e.stubs.At(pc); ok {
		l.Stub, l.Offset = true, pc-stub.Addr
		if s := e.behind(stub.Addr, e.stubs.Target(stub)); s != nil {
			l.Function = s.Name
			if m, ok := s.Owner.(*Module); ok {
				l.Module = m.name
			}
		}
		return l, true
	}
	for name, h := range e.defined { // the way into a Go function
		if pc >= h.thunk.RX && pc < h.thunk.RX+h.thunk.Size {
			l.Stub, l.Function, l.Offset = true, name, pc-h.thunk.RX
			return l, true
		}
	}
	return l, false
}

// inside finds the function of a code block with several, such as a .text section of an object that was
// not compiled with a section for each function.
func (e *Engine) inside(l *Location, p *piece, code unwind.Code) {
	if p.current > 1 || p.current == 1 && p.Symbol != nil && p.Symbol.Body != code.Start {
		var best *symtab.Symbol
		for _, s := range p.module.symbols {
			if s == nil || s.Current != &p.Version || !callable(s) || s.Body > l.PC || s.Body < code.Start {
				continue
			}
			if best == nil || s.Body > best.Body {
				best = s
			}
		}
		if best != nil {
			l.Function, l.Version, l.Offset = best.Name, int(best.Last), l.PC-best.Body
			return
		}
	}
	if l.Function == "" && code.Func > code.Start {
		l.Offset = l.PC - code.Func
	}
}

// behind returns the symbol whose stub leads to target, nil if it is not known.
func (e *Engine) behind(stub, target uint64) *symtab.Symbol {
	if s := e.missing[stub]; s != nil {
		return s
	}
	if code, ok := e.region.Find(target); ok && e.pieces[code.ID] != nil {
		p := e.pieces[code.ID]
		if p.Symbol != nil && p.Symbol.Stub == stub {
			return p.Symbol
		}
		for _, s := range p.module.symbols {
			if s != nil && s.Stub == stub && s.Alias == nil {
				return s
			}
		}
	}
	var found *symtab.Symbol
	e.table.All(func(s *symtab.Symbol) bool { // a function of the host, or one that its resolver has chosen
		if s.Stub == stub {
			found = s
		}
		return found == nil
	})
	return found
}

// foreign names code that is not the engine's.
func foreign(pc uint64) (Location, bool) {
	l := Location{PC: pc, Foreign: true}
	if f := runtime.FuncForPC(uintptr(pc)); f != nil {
		l.Function, l.Offset = f.Name(), pc-uint64(f.Entry())
		l.File, l.Line = f.FileLine(uintptr(pc))
		return l, true
	}
	file, symbol, start := hostsym.Origin(uintptr(pc))
	l.Object, l.Function = file, symbol
	if symbol != "" {
		l.Offset = pc - uint64(start)
	}
	return l, file != ""
}

// trace makes locations of a native backtrace: all but the first are return addresses.
func (e *Engine) trace(pcs []uint64) []Location {
	list := make([]Location, 0, len(pcs))
	for i, pc := range pcs {
		at := pc
		if i > 0 {
			at--
		}
		l, _ := e.Symbolize(at)
		l.PC, l.Offset = pc, l.Offset+pc-at
		list = append(list, l)
	}
	return list
}
