package jitlink

import (
	"sort"

	"livejit/internal/linkgraph"
)

// Data veneers. Code that was compiled for an executable refers to data of the process (stderr, environ) by a 32-bit distance,
// which does not reach from JIT memory. Such an instruction is carried out at the end of its block, with the address from the GOT:
//
//	insn   foo+k(%rip), ...      →   jmp veneer; nops
//
//	veneer: lea  -128(%rsp), %rsp     the red zone stays whole; flags stay too
//	        push scratch
//	        mov  GOT(%rip), scratch
//	        insn k(scratch), ...
//	        pop  scratch
//	        lea  128(%rsp), %rsp
//	        jmp  back
//
// A load into a general register takes its destination as the scratch register and needs no stack. lea foo(%rip), reg becomes
// mov GOT(%rip), reg in place. Instructions that use the stack pointer are refused.

// x86FarData serves a PC-relative memory operand or lea of a symbol that is out of reach (r is far, or host).
func (p *planner) x86FarData(e *linkgraph.Edge, r reach) {
	start, in, ok := p.x86Sweep(e.Offset)
	if !ok || !in.ripBase || start+uint64(in.disp) != uint64(e.Offset) {
		if r == host {
			e.Kind |= viaStub // a distance as an immediate or the like
			return
		}
		p.fail(e, "symbol is too far, and the instruction around the field cannot be told; compile with -fPIC")
		return
	}
	code := p.data[start : start+uint64(in.length)]
	k := e.Addend + int64(start) + int64(in.length) - int64(e.Offset)
	if int64(int32(k)) != k {
		p.fail(e, "offset from a far symbol is too large")
		return
	}
	if k == 0 && in.opmap == 0 && in.vex < 0 && code[in.opcode] == 0x8d && in.rex >= 0 && code[in.rex]&8 != 0 && !in.size16 {
		p.patch()[start+uint64(in.opcode)] = 0x8b
		x86GOTPCREL(p, e)
		return
	}
	if msg := in.cannotMove(code); msg != "" {
		p.fail(e, msg)
		return
	}
	p.x86Veneer(e, start, in, int32(k))
}

// x86Leave makes the instruction at start a jump to its veneer, and ends the veneer with a jump behind it.
func (p *planner) x86Leave(e *linkgraph.Edge, start uint64, in x86Instruction, to uint32) {
	p.tail = append(p.tail, 0xe9, 0, 0, 0, 0)
	storeSigned32(p.tail[len(p.tail)-4:], start+uint64(in.length)-uint64(p.tailOffset()))

	old := p.patch()[start : start+uint64(in.length)]
	for i := range old {
		old[i] = 0x90
	}
	old[0] = 0xe9
	storeSigned32(old[1:], uint64(to)-start-5)
	*e = linkgraph.Edge{Offset: e.Offset}
	p.l.Stats.Veneers++
}

// x86Sweep decodes from the start of the function to the instruction that has a field at offset.
func (p *planner) x86Sweep(offset uint32) (start uint64, in x86Instruction, ok bool) {
	at := p.swept
	fdes := p.g.FDEsOf(p.block)
	if i := sort.Search(len(fdes), func(i int) bool { return fdes[i].Begin > uint64(offset) }); i > 0 {
		at = max(at, fdes[i-1].Begin)
	}
	for at < uint64(offset) {
		in, ok = decodeX86(p.data[at:])
		if !ok {
			return 0, in, false
		}
		if at+uint64(in.length) > uint64(offset) {
			p.swept = at
			return at, in, true
		}
		at += uint64(in.length)
	}
	return 0, in, false
}

// cannotMove returns why an instruction cannot be carried out elsewhere, "" if it can.
func (in *x86Instruction) cannotMove(code []byte) string {
	const stack = "symbol is too far for an instruction that uses the stack pointer; compile with -fPIC"
	if in.opmap != 0 || in.vex >= 0 && code[in.vex] != 0xd5 {
		return ""
	}
	op, reg := code[in.opcode], code[in.modrm]>>3&7
	if in.rex >= 0 && code[in.rex]&4 != 0 {
		reg |= 8
	}
	switch {
	case op == 0xff && reg&7 >= 2, op == 0x8f:
		return stack // call, jmp, push, pop
	case reg == 4 && (op < 0x40 && op&1 == 1 || op == 0x63 || op == 0x69 || op == 0x6b || op == 0x85 || op == 0x87 || op == 0x89 || op == 0x8b || op == 0x8d):
		return stack // rsp is its register operand
	}
	return ""
}

// loads reports whether an instruction sets the whole of a general register from its operand and reads no other register: that
// register is returned.
func (in *x86Instruction) loads(code []byte) (reg byte, ok bool) {
	if in.vex >= 0 || in.prefix {
		return 0, false
	}
	reg = code[in.modrm] >> 3 & 7
	w := false
	if in.rex >= 0 {
		reg |= code[in.rex] & 4 << 1
		w = code[in.rex]&8 != 0
	}
	op := code[in.opcode]
	switch {
	case in.opmap == 0 && (op == 0x8b || op == 0x63 && w || op == 0x8d):
		return reg, true
	case in.opmap == 1 && (op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf):
		return reg, true
	}
	return 0, false
}

// scratch chooses a register that an instruction does not use: none of these is an implicit operand of any instruction with a
// memory operand except cmpxchg8b and cmpxchg16b (rbx, taken when there is another operand than memory, which they have not).
func (in *x86Instruction) scratch(code []byte) byte {
	reg, vvvv := code[in.modrm]>>3&7, byte(0xff)
	high := byte(0xff) // ah, ch, dh, bh are parts of registers 0 to 3
	if in.vex >= 0 {
		switch code[in.vex] {
		case 0xc4, 0x62:
			vvvv = ^code[in.vex+2] >> 3 & 15
		case 0xc5:
			vvvv = ^code[in.vex+1] >> 3 & 15
		}
	} else if in.rex < 0 {
		high = reg & 3
	}
	index, _ := in.index(code)
	for _, r := range [...]byte{6, 7, 3, 5} {
		if r != reg && r != high && r != vvvv && r != index {
			return r
		}
	}
	panic("BUG: jitlink: an x86-64 instruction has more than three register operands")
}

// index returns the register that an operand adds to an absolute address, with its scale as in a SIB byte; 0xff if there is none.
func (in *x86Instruction) index(code []byte) (reg, scale byte) {
	rex := byte(0) // X in bit 1, B in bit 0
	switch {
	case in.rex >= 0:
		rex = code[in.rex]
	case in.vex >= 0 && code[in.vex] != 0xc5:
		rex = ^code[in.vex+1] >> 5
	}
	switch {
	case in.sib >= 0:
		if reg = code[in.sib]>>3&7 | rex&2<<2; reg != 4 {
			return reg, code[in.sib] & 0xc0
		}
	case in.modrm >= 0 && code[in.modrm]>>6 == 2 && code[in.modrm]&7 != 4: // disp32(reg)
		return code[in.modrm]&7 | rex&1<<3, 0
	}
	return 0xff, 0
}

// x86Veneer moves the instruction at start behind the block.
func (p *planner) x86Veneer(e *linkgraph.Edge, start uint64, in x86Instruction, k int32) {
	code := append([]byte(nil), p.data[start:start+uint64(in.length)]...)
	entry := p.entry(e.Target)
	to := p.tailOffset()
	base, loads := in.loads(code)
	if index, _ := in.index(code); loads && base == index {
		loads = false
	}
	if !loads {
		base = in.scratch(code)
		p.tail = append(p.tail, 0x48, 0x8d, 0x64, 0x24, 0x80) // lea -128(%rsp), %rsp
		p.tail = append(p.tail, 0x50+base)                    // push
	}
	p.tail = append(p.tail, 0x48|base>>3<<2, 0x8b, 0x05|base&7<<3) // mov GOT(%rip), base
	p.extra = append(p.extra, linkgraph.Edge{Offset: p.tailOffset(), Kind: kindPC32, Target: entry, Addend: -4})
	p.tail = append(p.tail, 0, 0, 0, 0)
	moved := p.x86Rebase(code, in, base, k)
	p.x86MoveImmediate(e, start, in, moved)
	if !loads {
		p.tail = append(p.tail, 0x58+base)                             // pop
		p.tail = append(p.tail, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0) // lea 128(%rsp), %rsp
	}
	p.x86Leave(e, start, in, to)
}

// x86Rebase appends to the tail an instruction whose operand disp32(%rip) or disp32(,index) is replaced by k(base) or k(base,index), and
// returns the offset in the block at which its immediate stands.
func (p *planner) x86Rebase(code []byte, in x86Instruction, base byte, k int32) uint32 {
	index, scale := in.index(code)
	high := index != 0xff && index > 7
	if in.rex >= 0 {
		code[in.rex] = code[in.rex]&^3 | base>>3
		if high {
			code[in.rex] |= 2
		}
	}
	if in.vex >= 0 {
		switch code[in.vex] { // base is below 8: B (stored inverted, except in REX2) says so
		case 0xc4, 0x62:
			code[in.vex+1] |= 0x60
			if high {
				code[in.vex+1] &^= 0x40
			}
		case 0xd5:
			code[in.vex+1] &^= 0x33
		}
	}
	p.tail = append(p.tail, code[:in.modrm]...)
	switch reg := code[in.modrm] & 0x38; {
	case index != 0xff:
		p.tail = append(p.tail, 0x84|reg, scale|index&7<<3|base&7)
	case base&7 == 4:
		p.tail = append(p.tail, 0x84|reg, 0x24)
	default:
		p.tail = append(p.tail, 0x80|reg|base&7)
	}
	p.tail = append(p.tail, 0, 0, 0, 0)
	storeSigned32(p.tail[len(p.tail)-4:], uint64(int64(k)))
	at := p.tailOffset()
	p.tail = append(p.tail, code[in.length-in.imm:]...)
	return at
}

// x86MoveImmediate moves the edges of the instruction's immediate along with it.
func (p *planner) x86MoveImmediate(e *linkgraph.Edge, start uint64, in x86Instruction, to uint32) {
	from := uint32(start) + uint32(in.length-in.imm)
	for i := p.at + 1; i < len(p.edges) && uint64(p.edges[i].Offset) < start+uint64(in.length); i++ {
		x := &p.edges[i]
		row := p.t.row(x.Kind)
		if row == nil || x.Offset < from || x.Offset-from+uint32(row.width) > uint32(in.imm) {
			p.fail(x, "overlaps with another field of an instruction that must be moved")
			continue
		}
		p.refer(x)
		if row.plan != nil {
			row.plan(p, x)
		}
		moved := *x
		moved.Offset = moved.Offset - from + to
		p.extra = append(p.extra, moved)
		*x = linkgraph.Edge{Offset: x.Offset}
	}
}
