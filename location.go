package livejit

import (
	"fmt"
	"path/filepath"
	"strings"

	"livejit/internal/hostsym"
	"livejit/internal/stubtable"
	"livejit/internal/unwind"
)

// Location says what an address of machine code belongs to.
type Location struct {
	PC       uint64
	Module   string // name of the module; "" for code that is not the engine's
	Function string // symbol name; "" if it has none
	Version  int    // of the function, from 1; 0 for code that has no versions
	Offset   uint64 // of PC in the function
	Stub     bool   // PC is in the function's stub, which leads to its current version
	Object   string // file that holds the code, for code of the process and its libraries
}

// String returns "fib@3+0x1a" for code of the engine, "strlen+0x20 (libc.so.6)" for code of libraries, and the
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
	if l.Object != "" {
		fmt.Fprintf(&b, " (%s)", filepath.Base(l.Object))
	}
	return b.String()
}

// Symbolize says what the machine code at pc belongs to: a version of a function of this engine, also an old one that is
// still in memory, a stub, or a function that the process or one of its libraries exports. ok is false if nothing is known. For a return
// address ask for the byte before it: the call is what is meant.
func (e *Engine) Symbolize(pc uint64) (l Location, ok bool) {
	if e.inRange(pc) {
		return e.symbolizeOwn(pc)
	}
	l.PC = pc
	file, symbol, start := hostsym.Origin(uintptr(pc))
	if file == "" && symbol == "" {
		return l, false
	}
	l.Object, l.Function = file, symbol
	if symbol != "" {
		l.Offset = pc - uint64(start)
	}
	return l, true
}

func (e *Engine) inRange(pc uint64) bool {
	lo, hi := e.memory.Range()
	return pc >= lo && pc < hi
}

func (e *Engine) symbolizeOwn(pc uint64) (l Location, ok bool) {
	l.PC = pc
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return l, false
	}
	code, ok := unwind.Find(pc)
	if !ok {
		for s := range e.table.All {
			if s.Stub != 0 && pc >= s.Stub && pc < s.Stub+stubtable.StubSize {
				l.Function, l.Stub, l.Offset = s.Name, true, pc-s.Stub
				if m, ok := s.Owner.(*Module); ok {
					l.Module = m.name
				}
				return l, true
			}
		}
		return l, false
	}
	var p *piece
	if int(code.ID) < len(e.pieces) {
		p = e.pieces[code.ID]
	}
	if p == nil {
		return l, false
	}
	l.Module, l.Function = p.module.name, p.name
	if s := p.Symbol; s != nil {
		l.Version = int(p.Number)
		if s.Current == &p.Version {
			l.Version = int(s.Last)
		}
	}
	l.Offset = pc - code.Start
	return l, true
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
