package jitlink

import (
	"debug/elf"

	"livejit/internal/linkgraph"
)

// Planning of x86-64 edges: each relocation type decides here, before addresses are known, by which way its symbol is reached.
// psABI appendix B.2 names the instructions that GOTPCRELX may be turned into.

// x86Operand tells what instruction a 32-bit PC-relative field belongs to.
type x86Operand uint8

const (
	x86Other  x86Operand = iota
	x86Branch            // call, jmp, jcc
	x86Lea
	x86Word // not in code: a word of data
)

// x86Operand looks at the bytes before a field. A ModRM byte of a rip-relative operand is 00 reg 101, which no branch opcode equals.
func (p *planner) x86Operand(e *linkgraph.Edge) x86Operand {
	if p.memory != linkgraph.Code {
		return x86Word
	}
	at := int(e.Offset)
	last, second := byte(0), byte(0)
	if at >= 1 {
		last = p.data[at-1]
	}
	if at >= 2 {
		second = p.data[at-2]
	}
	switch {
	case last == 0xe8 || last == 0xe9 || second == 0x0f && last&0xf0 == 0x80:
		return x86Branch
	case second == 0x8d && last&0xc7 == 0x05:
		return x86Lea
	}
	return x86Other
}

// x86Absolute: S + A in 64 or fewer bits.
func x86Absolute(p *planner, e *linkgraph.Edge) { p.body(e, e.Addend) }

// x86Narrow: S + A in 32 bits. Code may have to reach a variable of the process by another instruction.
func x86Narrow(p *planner, e *linkgraph.Edge) {
	if p.body(e, e.Addend) || p.memory != linkgraph.Code {
		return
	}
	if s := &p.g.Symbols[e.Target]; s.Def == linkgraph.Undefined && !s.StandIn && p.reach(e.Target) == far {
		p.x86FarAbsolute(e)
	}
}

func x86PC64(p *planner, e *linkgraph.Edge) { p.body(e, 0) }

func x86PLT32(p *planner, e *linkgraph.Edge) {
	op := p.x86Operand(e)
	if op != x86Word {
		op = x86Branch
	}
	p.x86PCRelative(e, op)
}

func x86PC32(p *planner, e *linkgraph.Edge) { p.x86PCRelative(e, p.x86Operand(e)) }

// x86PCRelative plans a 32-bit PC-relative field. A word of data may count from anywhere, so its addend says nothing about the place.
func (p *planner) x86PCRelative(e *linkgraph.Edge, op x86Operand) {
	inside := int64(0)
	if op == x86Branch || op == x86Lea {
		inside = e.Addend + 4
	}
	if p.body(e, inside) {
		return
	}
	r := p.reach(e.Target)
	switch {
	case r == here || r == near:
	case op == x86Branch && r == far:
		p.x86FarBranch(e)
	case op == x86Branch, op == x86Word && r == host:
		e.Kind |= viaStub
	case r == ours || op == x86Word: // the stub is near; a far datum fails when its distance is known
	default:
		p.x86FarData(e, r)
	}
}

// x86FarBranch makes a branch to a symbol that only a GOT entry reaches go to a jump at the end of the block.
func (p *planner) x86FarBranch(e *linkgraph.Edge) {
	to, ok := p.jumps[e.Target]
	if !ok {
		to = p.tailOffset()
		p.tail = append(p.tail, 0xff, 0x25, 0, 0, 0, 0) // jmp *GOT(%rip)
		p.extra = append(p.extra, linkgraph.Edge{Offset: to + 2, Kind: kindPC32, Target: p.entry(e.Target), Addend: -4})
		if p.jumps == nil {
			p.jumps = map[linkgraph.SymbolID]uint32{}
		}
		p.jumps[e.Target] = to
		p.l.Stats.Veneers++
	}
	storeSigned32(p.patch()[e.Offset:], uint64(to)-uint64(e.Offset)-4)
	*e = linkgraph.Edge{Offset: e.Offset}
}

// x86GOTPCREL: G + GOT + A - P, for instructions that are not known.
func x86GOTPCREL(p *planner, e *linkgraph.Edge) {
	if p.reach(e.Target) == host {
		e.Kind = kindPC32 | viaSlot
		return
	}
	toEntry(e, kindPC32, p.entry(e.Target))
}

func x86GOTPCREL64(p *planner, e *linkgraph.Edge) {
	toEntry(e, linkgraph.Kind(elf.R_X86_64_PC64), p.entry(e.Target))
}

// x86GOTPCRELX: as GOTPCREL, but the instruction before the field is known to be one of a few. Calls and jumps of functions read
// the slot; loads of near addresses become lea.
func x86GOTPCRELX(p *planner, e *linkgraph.Edge) {
	r := p.reach(e.Target)
	if e.Addend != -4 || e.Offset < 2 || p.memory != linkgraph.Code || r == host || r == far {
		x86GOTPCREL(p, e)
		return
	}
	at := e.Offset
	opcode, modrm := p.data[at-2], p.data[at-1]
	switch {
	case opcode == 0xff && (modrm == 0x15 || modrm == 0x25) && r == ours:
		e.Kind = kindPC32 | viaSlot
		return
	case opcode == 0xff && modrm == 0x15: // call *sym@GOTPCREL(%rip) → addr32 call sym
		code := p.patch()
		code[at-2], code[at-1] = 0x67, 0xe8
	case opcode == 0xff && modrm == 0x25: // jmp *sym@GOTPCREL(%rip) → jmp sym; nop
		code := p.patch()
		code[at-2], code[at+3] = 0xe9, 0x90
		e.Offset--
	case opcode == 0x8b: // mov sym@GOTPCREL(%rip), reg → lea sym(%rip), reg
		p.patch()[at-2] = 0x8d
	default: // an operation on the entry
		x86GOTPCREL(p, e)
		return
	}
	e.Kind = kindPC32
	p.l.Stats.Relaxations++
}

// x86GOTOffset: G + A, the distance of the GOT entry from the base.
func x86GOTOffset(p *planner, e *linkgraph.Edge) {
	p.base()
	e.Target = p.entry(e.Target)
}

// x86GOTOFF64: S + A - GOT.
func x86GOTOFF64(p *planner, e *linkgraph.Edge) {
	p.base()
	p.body(e, e.Addend)
}

// x86PLTOFF64: L + A - GOT.
func x86PLTOFF64(p *planner, e *linkgraph.Edge) {
	p.base()
	if r := p.reach(e.Target); !p.body(e, e.Addend) && (r == host || r == ours) {
		e.Kind |= viaStub
	}
}

// x86GOTBase: GOT + A - P.
func x86GOTBase(p *planner, e *linkgraph.Edge) { p.base() }

// x86TLS: the PC-relative place of a table entry of a thread-local variable.
func x86TLS(kind entryKind) func(p *planner, e *linkgraph.Edge) {
	return func(p *planner, e *linkgraph.Edge) {
		id := e.Target
		if kind == entryLD || p.g.Symbols[id].Def == linkgraph.Absolute { // the start of the module's block
			id = 0
		}
		toEntry(e, kindPC32, p.tlsEntry(id, kind))
	}
}
