package jitlink

// x86Instruction is what a veneer must know of an instruction: where its parts lie.
type x86Instruction struct {
	length  int
	opcode  int // index of the opcode byte
	rex     int // index of the REX byte, -1: none
	vex     int // index of the first byte of a VEX, EVEX or REX2 prefix, -1: none
	modrm   int // index of the ModRM byte, -1: none
	disp    int // index of the displacement of its memory operand, -1: none
	sib     int // index of the SIB byte of an operand disp32 or disp32(,index), -1: none
	imm     int // bytes of immediate at its end
	opmap   byte
	prefix  bool // it has legacy prefixes
	size16  bool // 66
	ripBase bool // its operand is disp32(%rip)
}

// Opcode properties: bit 7 says that a ModRM byte follows, the low bits give the immediate.
const (
	noImm   = 0
	imm8    = 1
	imm16   = 2
	immZ    = 3 // 4 bytes, 2 with the 66 prefix
	imm24   = 4 // enter
	immV    = 5 // mov reg: 8 bytes with REX.W, else as immZ
	moffs   = 6 // 8-byte address
	branch4 = 7 // 4 bytes whatever the prefixes
	bad     = 8
	group3  = 9 // imm8 or immZ if ModRM.reg is 0 or 1 (test)
	immMask = 15
	hasM    = 0x80
)

// x86OneByte is the one-byte opcode map (AMD64 manual volume 3, table A-1) by runs of equal properties.
var x86OneByte, x86TwoByte = x86Maps()

func x86Maps() (one, two [256]byte) {
	set := func(m *[256]byte, from, to int, v byte) {
		for i := from; i <= to; i++ {
			m[i] = v
		}
	}
	for row := 0; row < 0x40; row += 8 { // add, or, adc, sbb, and, sub, xor, cmp
		set(&one, row, row+3, hasM)
		one[row+4], one[row+5] = imm8, immZ
		one[row+6], one[row+7] = bad, bad
	}
	one[0x60], one[0x61] = bad, bad
	one[0x63] = hasM
	one[0x68], one[0x69], one[0x6a], one[0x6b] = immZ, hasM|immZ, imm8, hasM|imm8
	set(&one, 0x70, 0x7f, imm8)
	one[0x80], one[0x81], one[0x82], one[0x83] = hasM|imm8, hasM|immZ, bad, hasM|imm8
	set(&one, 0x84, 0x8f, hasM)
	one[0x9a] = bad
	set(&one, 0xa0, 0xa3, moffs)
	one[0xa8], one[0xa9] = imm8, immZ
	set(&one, 0xb0, 0xb7, imm8)
	set(&one, 0xb8, 0xbf, immV)
	one[0xc0], one[0xc1], one[0xc2] = hasM|imm8, hasM|imm8, imm16
	one[0xc6], one[0xc7], one[0xc8], one[0xca], one[0xcd] = hasM|imm8, hasM|immZ, imm24, imm16, imm8
	one[0xce], one[0xd4], one[0xd6] = bad, bad, bad
	set(&one, 0xd0, 0xd3, hasM)
	set(&one, 0xd8, 0xdf, hasM)
	set(&one, 0xe0, 0xe7, imm8)
	one[0xe8], one[0xe9], one[0xea], one[0xeb] = branch4, branch4, bad, imm8
	one[0xf6], one[0xf7] = hasM|group3, hasM|group3
	one[0xfe], one[0xff] = hasM, hasM

	set(&two, 0x00, 0xff, hasM)
	for _, op := range [...]int{0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e, 0x77, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa} {
		two[op] = noImm
	}
	for _, op := range [...]int{0x04, 0x0a, 0x0c} {
		two[op] = bad
	}
	two[0x0f] = hasM | imm8 // 3DNow!
	set(&two, 0x30, 0x37, noImm)
	set(&two, 0x70, 0x73, hasM|imm8)
	set(&two, 0x80, 0x8f, branch4)
	two[0xa4], two[0xac], two[0xba] = hasM|imm8, hasM|imm8, hasM|imm8
	two[0xc2], two[0xc4], two[0xc5], two[0xc6] = hasM|imm8, hasM|imm8, hasM|imm8, hasM|imm8
	set(&two, 0xc8, 0xcf, noImm)
	return one, two
}

// decodeX86 finds the parts of the 64-bit mode instruction at the start of code; ok is false for what is no instruction known here.
func decodeX86(code []byte) (in x86Instruction, ok bool) {
	in = x86Instruction{rex: -1, vex: -1, modrm: -1, disp: -1, sib: -1}
	at, rexW := 0, false
	byteAt := func(i int) byte {
		if i < len(code) {
			return code[i]
		}
		return 0
	}
	for ; at < 14; at++ {
		switch byteAt(at) {
		case 0x66:
			in.size16 = true
			fallthrough
		case 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65:
			in.prefix = true
			continue
		}
		break
	}
	if b := byteAt(at); b&0xf0 == 0x40 {
		in.rex, rexW = at, b&8 != 0
		at++
	}
	// The map of the opcode: 0 one byte, 1 0f, 2 0f 38, 3 0f 3a.
	vector := false
	switch b := byteAt(at); {
	case b == 0x0f:
		in.opmap = 1
		at++
		if b := byteAt(at); b == 0x38 || b == 0x3a {
			in.opmap = 2 + (b-0x38)/2
			at++
		}
	case b == 0xc5:
		in.vex, in.opmap, vector = at, 1, true
		at += 2
	case b == 0xc4:
		in.vex, in.opmap, vector = at, byteAt(at+1)&0x1f, true
		at += 3
	case b == 0x62:
		in.vex, in.opmap, vector = at, byteAt(at+1)&7, true
		in.size16 = in.size16 || byteAt(at+2)&3 == 1
		rexW = byteAt(at+2)&0x80 != 0
		at += 4
	case b == 0xd5:
		in.vex, in.opmap, rexW = at, byteAt(at+1)>>7, byteAt(at+1)&8 != 0
		at += 2
	}
	in.opcode = at
	op := byteAt(at)
	at++
	property, ok := in.property(op, vector)
	if !ok {
		return in, false
	}
	if property&hasM != 0 {
		in.modrm = at
		at += in.operand(code, at)
	}
	in.imm = immediate(property&immMask, in.size16 && !rexW, rexW, in.modrm >= 0 && byteAt(in.modrm)&0x30 == 0, op)
	in.length = at + in.imm
	return in, in.length <= len(code) && in.length <= 15
}

// property returns what follows an opcode.
func (in *x86Instruction) property(op byte, vector bool) (byte, bool) {
	switch {
	case in.opmap == 0 && !vector:
		v := x86OneByte[op]
		return v, v&immMask != bad
	case in.opmap == 4 && vector: // APX forms of instructions of the other maps; all have a ModRM byte
		switch op {
		case 0x24, 0x2c: // shld, shrd
			return hasM | imm8, true
		case 0x69, 0x6b, 0x80, 0x81, 0x83, 0xc0, 0xc1, 0xf6, 0xf7:
			return x86OneByte[op], true
		}
		return hasM, true
	case in.opmap == 1 && vector:
		if op == 0x77 {
			return noImm, true
		}
		if v := x86TwoByte[op]; v == hasM|imm8 {
			return v, true
		}
		return hasM, true
	case in.opmap == 1:
		v := x86TwoByte[op]
		return v, v&immMask != bad
	case in.opmap == 2, vector && (in.opmap == 5 || in.opmap == 6):
		return hasM, true
	case in.opmap == 3:
		return hasM | imm8, true
	}
	return 0, false
}

// operand notes where the memory operand of a ModRM byte at index at lies and returns how many bytes it takes.
func (in *x86Instruction) operand(code []byte, at int) int {
	if at >= len(code) {
		return 16 // beyond the end: the length check fails
	}
	mod, rm, n := code[at]>>6, code[at]&7, 1
	if mod == 3 {
		return n
	}
	if rm == 4 {
		n++
		if at+1 < len(code) && mod == 0 && code[at+1]&7 == 5 {
			in.sib, in.disp = at+1, at+n
			return n + 4
		}
	}
	switch {
	case mod == 1:
		in.disp = at + n
		n++
	case mod == 2, rm == 5:
		in.disp = at + n
		in.ripBase = mod == 0
		n += 4
	}
	return n
}

// immediate returns the size of an instruction's immediate.
func immediate(kind byte, short, rexW, test bool, op byte) int {
	switch kind {
	case imm8:
		return 1
	case imm16:
		return 2
	case imm24:
		return 3
	case moffs:
		return 8
	case branch4:
		return 4
	case group3:
		if !test {
			return 0
		}
		if op == 0xf6 {
			return 1
		}
	case immV:
		if rexW {
			return 8
		}
	case immZ:
	default:
		return 0
	}
	if short {
		return 2
	}
	return 4
}
