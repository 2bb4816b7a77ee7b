package jitlink

import (
	"encoding/binary"

	"livejit/internal/linkgraph"
)

// Code that is not position-independent takes the addresses of the process's variables (stdout, std::cout) for 32-bit numbers. Instructions
// with one are carried out in a veneer as in x86_64_veneer.go, with the address from the GOT:
//
//	insn  sym+k(,index,n)    →   insn k(scratch,index,n)
//	mov   $sym+k, reg        →   mov GOT(%rip), reg; lea k(reg), reg
//	insn  $sym+k, operand    →   insn scratch, operand

// x86FarAbsolute serves the address, in 32 bits, of a datum that is out of reach: as the operand of a load or store, or moved into a
// register.
func (p *planner) x86FarAbsolute(e *linkgraph.Edge) {
	start, in, ok := p.x86Sweep(e.Offset)
	if !ok {
		p.fail(e, "symbol is too far, and the instruction around the field cannot be told; compile with -fPIC or -fPIE")
		return
	}
	code := p.data[start : start+uint64(in.length)]
	switch {
	case in.disp >= 0 && start+uint64(in.disp) == uint64(e.Offset) && !in.unusualBase(code):
		if msg := in.cannotMove(code); msg != "" {
			p.fail(e, msg)
			return
		}
		p.x86Veneer(e, start, in, int32(e.Addend))
	case in.opmap == 0 && in.vex < 0 && !in.prefix && code[in.opcode]&0xf8 == 0xb8 && start+uint64(in.length) == uint64(e.Offset)+4:
		p.x86FarMove(e, start, in)
	case in.farImmediate(code) && start+uint64(in.length) == uint64(e.Offset)+4:
		p.x86FarImmediate(e, start, in)
	default:
		p.fail(e, "symbol is too far for 32 bits; compile with -fPIC or -fPIE")
	}
}

// unusualBase reports whether an operand adds more to an absolute address than one register: two, those of a vector (vgather) or the base
// of a segment; or is cut to 32 bits.
func (in *x86Instruction) unusualBase(code []byte) bool {
	for _, b := range code[:in.opcode] {
		if b == 0x64 || b == 0x65 || b == 0x67 {
			return true
		}
	}
	op, modrm := code[in.opcode], code[in.modrm]
	return in.sib < 0 && (modrm>>6 != 2 || modrm&7 == 4) || // not disp32(reg)
		in.vex >= 0 && (code[in.vex] == 0xd5 || in.opmap == 2 && (op&0xfc == 0x90 || op&0xfc == 0xa0))
}

// x86FarMove makes mov $sym, reg a load from the GOT behind the block.
func (p *planner) x86FarMove(e *linkgraph.Edge, start uint64, in x86Instruction) {
	reg, entry := p.data[start+uint64(in.opcode)]&7, p.entry(e.Target)
	rex := byte(0x48)
	if in.rex >= 0 && p.data[start+uint64(in.rex)]&1 != 0 {
		rex = 0x4d
	}
	to := p.tailOffset()
	p.x86LoadAddress(rex, reg, e.Addend, entry)
	p.x86Leave(e, start, in, to)
}

// x86LoadAddress appends to the tail instructions that put an address and an addend into a register. rex is 48, or 4d for r8 to r15.
func (p *planner) x86LoadAddress(rex, reg byte, addend int64, entry linkgraph.SymbolID) {
	p.tail = append(p.tail, rex&^1, 0x8b, 0x05|reg<<3) // mov GOT(%rip), reg
	p.extra = append(p.extra, linkgraph.Edge{Offset: p.tailOffset(), Kind: kindPC32, Target: entry, Addend: -4})
	p.tail = append(p.tail, 0, 0, 0, 0)
	if addend == 0 {
		return
	}
	p.tail = append(p.tail, rex, 0x8d, 0x80|reg<<3|reg) // lea addend(reg), reg
	if reg == 4 {
		p.tail = append(p.tail, 0x24)
	}
	p.tail = append(p.tail, 0, 0, 0, 0)
	storeSigned32(p.tail[len(p.tail)-4:], uint64(addend))
}

// farImmediate reports whether an instruction has a 32-bit immediate, extended to 64 bits, for which there is a form with a register.
func (in *x86Instruction) farImmediate(code []byte) bool {
	if in.opmap != 0 || in.vex >= 0 || in.prefix || in.rex < 0 || code[in.rex]&8 == 0 || in.imm != 4 {
		return false
	}
	if in.modrm < 0 {
		op := code[in.opcode]
		return op < 0x40 && op&7 == 5 || op == 0xa9
	}
	switch reg := code[in.modrm] >> 3 & 7; code[in.opcode] {
	case 0x81:
		return true
	case 0xc7, 0xf7:
		return reg == 0
	}
	return false
}

// saved is how far the stack pointer is lower while a veneer has a scratch register.
const saved = 128 + 8

// x86FarImmediate gives an instruction its immediate in a register.
func (p *planner) x86FarImmediate(e *linkgraph.Edge, start uint64, in x86Instruction) {
	code := append([]byte(nil), p.data[start:start+uint64(in.length)-4]...)
	op := code[in.opcode]
	rex, modrm, rest := code[in.rex], byte(0xc0), []byte(nil) // op $imm, %rax
	if in.modrm >= 0 {
		modrm, rest = code[in.modrm]&0xc7, code[in.modrm+1:]
	}
	var other *linkgraph.Edge // of the operand
	if p.at > 0 && uint64(p.edges[p.at-1].Offset) >= start {
		other = &p.edges[p.at-1]
		if other.Kind != kindPC32 && other.Kind != kind32S {
			p.fail(e, "symbol is too far for 32 bits; compile with -fPIC or -fPIE")
			return
		}
	}
	stack := false
	used := [2]byte{modrm&7 | rex&1<<3, 0xff}
	if modrm>>6 != 3 && modrm&7 == 4 {
		used = [2]byte{rest[0]&7 | rex&1<<3, rest[0]>>3&7 | rex&2<<2}
		stack = used[0] == 4
	} else if modrm>>6 == 3 && used[0] == 4 {
		p.fail(e, "symbol is too far for an instruction that uses the stack pointer; compile with -fPIC")
		return
	}
	scratch := byte(6)
	for scratch == used[0] || scratch == used[1] {
		scratch = scratch%7 + 1 // 6, 7, 1: never the stack pointer
	}
	entry := p.entry(e.Target)
	to := p.tailOffset()
	p.tail = append(p.tail, 0x48, 0x8d, 0x64, 0x24, 0x80) // lea -128(%rsp), %rsp
	p.tail = append(p.tail, 0x50+scratch)                 // push
	p.x86LoadAddress(0x48, scratch, e.Addend, entry)
	switch { // the form whose operand is a register
	case in.modrm < 0 && op == 0xa9, op == 0xf7:
		op = 0x85 // test
	case op == 0xc7:
		op = 0x89 // mov
	case in.modrm < 0:
		op = op&^7 | 1
	default:
		op = code[in.modrm]&0x38 | 1
	}
	if stack {
		modrm, rest = lowerStack(modrm, rest)
	}
	p.tail = append(p.tail, rex&^4, op, modrm|scratch<<3)
	if other != nil {
		moved := *other
		moved.Offset = p.tailOffset() + other.Offset - uint32(start) - uint32(in.modrm) - 1
		if moved.Kind == kindPC32 {
			moved.Addend += 4 // no immediate follows
		}
		p.extra = append(p.extra, moved)
		*other = linkgraph.Edge{Offset: other.Offset}
	}
	p.tail = append(p.tail, rest...)
	p.tail = append(p.tail, 0x58+scratch)                          // pop
	p.tail = append(p.tail, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0) // lea 128(%rsp), %rsp
	p.x86Leave(e, start, in, to)
}

// lowerStack makes an operand relative to the stack pointer, as ModRM and what follows, the same place when the stack pointer is lower.
func lowerStack(modrm byte, rest []byte) (byte, []byte) {
	disp := int32(0)
	switch modrm >> 6 {
	case 1:
		disp = int32(int8(rest[1]))
	case 2:
		disp = int32(binary.LittleEndian.Uint32(rest[1:]))
	}
	return modrm&0x3f | 0x80, binary.LittleEndian.AppendUint32(rest[:1:1], uint32(disp+saved))
}
