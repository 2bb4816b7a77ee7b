package livejit

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"livejit/internal/symtab"
)

// IR returns the LLVM IR from which the function is compiled, as text: a module of its own
// that declares what it refers to, as prepared for replacing. The error is ErrNotFound for a
// function that came as machine code.
func (f *Function) IR() (string, error) {
	e := f.engine
	e.mu.Lock()
	s := f.primary()
	from, _ := s.Origin.(*origin)
	closed := e.closed
	e.mu.Unlock()
	switch {
	case closed:
		return "", ErrClosed
	case from == nil:
		return "", fmt.Errorf("IR of %s: it came as machine code: %w", f.Name(), ErrNotFound)
	}
	var text string
	err := from.use(context.Background(), func(p *part) (err error) {
		text, err = p.program.IR(s.Name)
		return compileError(from.kept.name, err)
	})
	return text, err
}

// Disassemble returns the machine code of the function's current version, one instruction a
// line: address, bytes, and the instruction in the syntax of GNU as, with the names of
// what it refers to. With WithDebug, lines "; fib.c:12" say which source line the instructions below are of, with WithIRDebug
// "; %y = add i64 %x, 1" which IR instruction. The error is ErrNotFound while the function has no machine code.
func (f *Function) Disassemble() (string, error) {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	s := f.primary()
	switch {
	case e.closed:
		return "", ErrClosed
	case s.Current == nil:
		return "", fmt.Errorf("disassemble %s: it has no machine code at the moment: %w", f.Name(), ErrNotFound)
	}
	size := s.Size
	if size == 0 {
		return "", fmt.Errorf("disassemble %s: its size is not known: %w", f.Name(), ErrNotFound)
	}
	return listing(s.Name, int(s.Last), s.Body, nativeBytes(s.Body, size), e.namesOf(s.Current), e.comment), nil
}

// comment says in a listing where the instruction at pc comes from, "" if that is not known. The engine is locked.
func (e *Engine) comment(pc uint64) string {
	l, _ := e.own(pc)
	switch {
	case l.Line == 0:
		return ""
	case l.IR != "":
		return "; " + l.IR
	}
	return fmt.Sprintf("; %s:%d", l.File, l.Line)
}

// listing is a disassembly of code whose first instruction lies at body. comment (may be nil) is asked about each instruction; what it says
// stands above all that it says the same of.
func listing(function string, version int, body uint64, code []byte, names map[uint64]string, comment func(pc uint64) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%d:\n", function, version)
	said := ""
	for at := 0; at < len(code); {
		if comment != nil {
			if now := comment(body + uint64(at)); now != said {
				said = now
				fmt.Fprintln(&b, now)
			}
		}
		text, n := disassembleOne(code[at:], body+uint64(at), func(address uint64) (string, uint64) {
			if address >= body && address < body+uint64(len(code)) {
				return function, body
			}
			return names[address], address
		})
		fmt.Fprintf(&b, "%12x  %-31x %s\n", body+uint64(at), code[at:at+n], text)
		at += n
	}
	return b.String()
}

// namesOf names the addresses that a version refers to: stubs, slots and variables.
func (e *Engine) namesOf(v *symtab.Version) map[uint64]string {
	names := make(map[uint64]string)
	for _, r := range v.Refs() {
		s := r.Symbol
		if s.Slot != 0 {
			names[s.Slot] = "*" + s.Name
		}
		for _, address := range [...]uint64{s.Stub, s.Addr} {
			if address != 0 {
				names[address] = s.Name
			}
		}
	}
	return names
}

// disassembleOne returns the first instruction of code as text, and its length.
func disassembleOne(code []byte, pc uint64, name func(uint64) (string, uint64)) (string, int) {
	if runtime.GOARCH == "arm64" {
		inst, err := arm64asm.Decode(code)
		if err != nil {
			return "(bad)", min(4, len(code))
		}
		return arm64asm.GNUSyntax(inst), 4
	}
	inst, err := x86asm.Decode(code, 64)
	if err != nil {
		return "(bad)", 1
	}
	text := x86asm.GNUSyntax(inst, pc, name)
	for _, a := range inst.Args {
		if m, ok := a.(x86asm.Mem); ok && m.Base == x86asm.RIP {
			if n, _ := name(pc + uint64(inst.Len) + uint64(m.Disp)); n != "" {
				text += "  # " + n
			}
		}
	}
	return text, inst.Len
}
