package jitlink

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"livejit/internal/linkgraph"
)

const a64Target = "--target=aarch64-linux-gnu"

// insn reads the instruction at a symbol's body + off.
func (l *linked) insn(t testing.TB, symbol string, off uint64) uint32 {
	return uint32(l.field(t, symbol, off, 4))
}

// The addresses that instructions at a symbol's body + off form, decoded independently of the stores.

func (l *linked) branch(t testing.TB, symbol string, off uint64) int64 {
	return l.body(t, symbol) + int64(off) + int64(int32(l.insn(t, symbol, off)<<6))>>4
}

func (l *linked) literal(t testing.TB, symbol string, off uint64) int64 { // ldr literal, b.cond, cbz
	return l.body(t, symbol) + int64(off) + int64(int32(l.insn(t, symbol, off)<<8)>>13)*4
}

func (l *linked) testBranch(t testing.TB, symbol string, off uint64) int64 {
	return l.body(t, symbol) + int64(off) + int64(int32(l.insn(t, symbol, off)<<13)>>18)*4
}

func a64ADRValue(i uint32) int64 { return int64(int32(i<<8)>>13)<<2 | int64(i>>29&3) }

func (l *linked) adr(t testing.TB, symbol string, off uint64) int64 {
	return l.body(t, symbol) + int64(off) + a64ADRValue(l.insn(t, symbol, off))
}

// pair is adrp at off and an instruction with 12 bits, scaled, at off+4.
func (l *linked) pair(t testing.TB, symbol string, off uint64, scale int) int64 {
	page := (l.body(t, symbol)+int64(off))&^0xfff + a64ADRValue(l.insn(t, symbol, off))<<12
	return page + l.low12(t, symbol, off+4)<<scale
}

func (l *linked) low12(t testing.TB, symbol string, off uint64) int64 {
	return int64(l.insn(t, symbol, off) >> 10 & 0xfff)
}

func (l *linked) imm16(t testing.TB, symbol string, off uint64) int64 {
	return int64(l.insn(t, symbol, off) >> 5 & 0xffff)
}

var a64Cases = []struct {
	name, source string
	check        func(t *testing.T, l *linked) []expect
}{
	{"ABS64, ABS32, ABS16", ".globl c16\n.set c16, 0x1230\n.data\n.globl d\nd: .xword near_x+5\n.word near_x\n.hword c16+4\n.hword 0\n.xword host_f", func(t *testing.T, l *linked) []expect {
		return []expect{{"64", l.field(t, "d", 0, 8), l.addr(t, "near_x") + 5}, {"32", l.field(t, "d", 8, 4), l.addr(t, "near_x")}, {"16", l.field(t, "d", 12, 2), 0x1234}, {"host", l.field(t, "d", 16, 8), l.addr(t, "host_f")}}
	}},
	{"PREL64, PREL32, PREL16, PLT32", ".data\n.globl d\n.type d,@object\nd: .xword near_x-.\n.word near_x-.\n.hword d+0x100-.\n.hword 0\n.word host_f@PLT - .", func(t *testing.T, l *linked) []expect {
		return []expect{{"64", l.field(t, "d", 0, 8), l.addr(t, "near_x") - l.body(t, "d")}, {"32", l.field(t, "d", 8, 4), l.addr(t, "near_x") - l.body(t, "d") - 8}, {"16", l.field(t, "d", 12, 2), 0x100 - 12},
			{"PLT32", l.field(t, "d", 16, 4), l.stub(t, "host_f") - l.body(t, "d") - 16}}
	}},
	{"adrp, add, ldr", ".text\n.globl t\nt: adrp x0, near_x\n add x0, x0, :lo12:near_x\n adrp x0, near_x+8\n ldr x1, [x0, :lo12:near_x+8]\n adrp x0, near_x\n ldrb w1, [x0, :lo12:near_x]\n adrp x0, near_x\n ldrh w1, [x0, :lo12:near_x]\n adrp x0, near_x\n ldr w1, [x0, :lo12:near_x]\n adrp x0, near_x\n ldr q1, [x0, :lo12:near_x]", func(t *testing.T, l *linked) []expect {
		x := l.addr(t, "near_x")
		return []expect{{"add", l.pair(t, "t", 0, 0), x}, {"64", l.pair(t, "t", 8, 3), x + 8}, {"8", l.pair(t, "t", 16, 0), x}, {"16", l.pair(t, "t", 24, 1), x}, {"32", l.pair(t, "t", 32, 2), x}, {"128", l.pair(t, "t", 40, 4), x}}
	}},
	{"addresses of functions", ".text\n.globl t\n.type t,@function\nt: adrp x0, fn_a\n add x0, x0, :lo12:fn_a\n adrp x0, host_f\n add x0, x0, :lo12:host_f\n adrp x0, t\n add x0, x0, :lo12:t", func(t *testing.T, l *linked) []expect {
		return []expect{{"ours", l.pair(t, "t", 0, 0), l.stub(t, "fn_a")}, {"host", l.pair(t, "t", 8, 0), l.stub(t, "host_f")}, {"here", l.pair(t, "t", 16, 0), l.stub(t, "t")}}
	}},
	{"GOT", ".text\n.globl t\nt: adrp x0, :got:near_x\n ldr x0, [x0, :got_lo12:near_x]\n adrp x0, :got:host_f\n ldr x0, [x0, :got_lo12:host_f]\n adrp x0, :got:far_x\n ldr x0, [x0, :got_lo12:far_x]", func(t *testing.T, l *linked) []expect {
		return []expect{{"near", l.word(t, l.pair(t, "t", 0, 3)), l.addr(t, "near_x")}, {"slot", l.pair(t, "t", 8, 3), l.slot(t, "host_f")}, {"far", l.word(t, l.pair(t, "t", 16, 3)), l.addr(t, "far_x")}}
	}},
	{"GOT page of -fpic", ".text\n.globl t\nt: adrp x0, _GLOBAL_OFFSET_TABLE_\n ldr x1, [x0, #:gotpage_lo15:near_x]\n ldr x2, [x0, #:gotpage_lo15:far_x]\n ldr x2, [x0, #:gotpage_lo15:near_x]", func(t *testing.T, l *linked) []expect {
		page := l.body(t, "_GLOBAL_OFFSET_TABLE_") &^ 0xfff
		return []expect{{"page", l.body(t, "t")&^0xfff + a64ADRValue(l.insn(t, "t", 0))<<12, page}, {"near", l.word(t, page+l.low12(t, "t", 4)*8), l.addr(t, "near_x")},
			{"far", l.word(t, page+l.low12(t, "t", 8)*8), l.addr(t, "far_x")}, {"again", l.low12(t, "t", 12), l.low12(t, "t", 4)}}
	}},
	{"calls", ".text\n.globl t\nt: bl fn_a\n b host_f\n bl t.cold\n.section .text.unlikely.t,\"ax\"\n.type t.cold,@function\nt.cold: ret", func(t *testing.T, l *linked) []expect {
		veneer := func(off uint64) int64 { // the stubs are out of reach of the branch
			at := uint64(l.branch(t, "t", off) - l.body(t, "t"))
			if l.insn(t, "t", at+8) != 0xd61f0200 {
				t.Errorf("no veneer at %#x", at)
			}
			return l.pair(t, "t", at, 0)
		}
		return []expect{{"ours", veneer(0), l.stub(t, "fn_a")}, {"host", veneer(4), l.stub(t, "host_f")}, {"cold part", l.branch(t, "t", 8), l.body(t, "t.cold")}}
	}},
	{"weak undefined", ".weak far_w\n.text\n.globl t\nt: bl far_w\n adrp x0, :got:far_w\n ldr x0, [x0, :got_lo12:far_w]", func(t *testing.T, l *linked) []expect {
		veneer := uint64(l.branch(t, "t", 0) - l.body(t, "t"))
		return []expect{{"jump through the GOT", l.word(t, l.pair(t, "t", veneer, 3)), 0}, {"GOT", l.word(t, l.pair(t, "t", 4, 3)), 0}}
	}},
	{"short distances", ".text\n.globl t\nt: adr x0, s\n ldr x1, s\n cbz x0, s\n tbz x0, #3, s\n b.eq s\n.section .text.s,\"ax\"\ns: ret", func(t *testing.T, l *linked) []expect {
		s := l.body(t, "s")
		return []expect{{"adr", l.adr(t, "t", 0), s}, {"ldr", l.literal(t, "t", 4), s}, {"cbz", l.literal(t, "t", 8), s}, {"tbz", l.testBranch(t, "t", 12), s}, {"b.eq", l.literal(t, "t", 16), s}}
	}},
	{"movz and movk", ".text\n.globl t\nt: movz x0, #:abs_g3:far_x\n movk x0, #:abs_g2_nc:far_x\n movk x0, #:abs_g1_nc:far_x\n movk x0, #:abs_g0_nc:far_x\n movz x0, #:abs_g1:near_x\n movz x1, #:abs_g1_s:near_x\n movz x1, #:prel_g1:near_x", func(t *testing.T, l *linked) []expect {
		x := l.addr(t, "far_x")
		return []expect{{"all", l.imm16(t, "t", 0)<<48 | l.imm16(t, "t", 4)<<32 | l.imm16(t, "t", 8)<<16 | l.imm16(t, "t", 12), x}, {"g1", l.imm16(t, "t", 16), l.addr(t, "near_x") >> 16}, {"signed g1", l.imm16(t, "t", 20), l.addr(t, "near_x") >> 16},
			{"relative", l.imm16(t, "t", 24), (l.addr(t, "near_x") - l.body(t, "t") - 24) >> 16}}
	}},
	{"TLS", ".section .tbss,\"awT\",@nobits\n.globl v\n.xword 0\nv: .xword 0\n.text\n.globl t\nt: .reloc ., R_AARCH64_TLSGD_ADR_PAGE21, v\n adrp x0, 0\n .reloc ., R_AARCH64_TLSGD_ADD_LO12_NC, v\n add x0, x0, 0\n .reloc ., R_AARCH64_TLSLD_ADR_PAGE21, v\n adrp x0, 0\n .reloc ., R_AARCH64_TLSLD_ADD_LO12_NC, v\n add x0, x0, 0\n add x0, x0, :dtprel_hi12:v\n add x0, x0, :dtprel_lo12_nc:v\n ldr x0, [x0, :dtprel_lo12:v]\n adrp x0, :gottprel:far_v\n ldr x0, [x0, :gottprel_lo12:far_v]", func(t *testing.T, l *linked) []expect {
		gd, ld := l.pair(t, "t", 0, 0), l.pair(t, "t", 8, 0)
		return []expect{{"GD module", l.word(t, gd), 3}, {"GD offset", l.word(t, gd+8), 8}, {"LD module", l.word(t, ld), 3}, {"LD 0", l.word(t, ld+8), 0}, {"hi12", l.low12(t, "t", 16), 0}, {"lo12", l.low12(t, "t", 20), 8},
			{"ldr", l.low12(t, "t", 24), 1}, {"IE", l.word(t, l.pair(t, "t", 28, 3)), l.tls(t, "far_v").TPOffset}}
	}},
	{"TLS descriptor", ".text\n.globl t\nt: adrp x0, :tlsdesc:near_v\n ldr x1, [x0, :tlsdesc_lo12:near_v]\n add x0, x0, :tlsdesc_lo12:near_v\n .tlsdesccall near_v\n blr x1", func(t *testing.T, l *linked) []expect {
		d := l.pair(t, "t", 0, 3)
		return []expect{{"resolver", l.word(t, d), descResolver}, {"argument", l.word(t, d+8), d + 16}, {"module", l.word(t, d+16), 7}, {"offset", l.word(t, d+24), int64(l.tls(t, "near_v").Offset)},
			{"add", l.low12(t, "t", 8), d & 0xfff}}
	}},
}

func TestAArch64Relocations(t *testing.T) {
	for _, c := range a64Cases {
		t.Run(c.name, func(t *testing.T) {
			l := mustLink(t, assemble(t, c.source, ".s", a64Target))
			for _, e := range c.check(t, l) {
				if e.got != e.want {
					t.Errorf("%s: got %#x, want %#x", e.what, e.got, e.want)
				}
			}
		})
	}
}

func TestAArch64RelocationErrors(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"adrp of far data", ".text\n.globl t\nt: adrp x0, far_x", "33-bit page distance"},
		{"adr", ".text\n.globl t\nt: adr x0, near_x", "21-bit signed"},
		{"ldr literal", ".text\n.globl t\nt: ldr x0, near_x", "21-bit branch"},
		{"unaligned", ".text\n.globl t\nt: adrp x0, near_x+1\n ldr x0, [x0, :lo12:near_x+1]", "not aligned to 8 bytes"},
		{"abs_g0", ".text\n.globl t\nt: movz x0, #:abs_g0:near_x", "16-bit unsigned"},
		{"abs_g1_s", ".text\n.globl t\nt: movz x0, #:abs_g1_s:far_x", "33-bit signed"},
		{"32", ".data\n.globl d\nd: .word far_x", "32-bit"},
		{"local exec", ".text\n.globl t\nt: add x0, x0, :tprel_lo12:near_v", "static TLS block"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := link(t, build(t, assemble(t, c.source, ".s", a64Target)))
			var re *RelocationError
			if !errors.As(err, &re) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a RelocationError with %q", err, c.want)
			}
		})
	}
}

// TestAArch64Stores checks stores against bit patterns of the architecture manual, and their ranges.
func TestAArch64Stores(t *testing.T) {
	for _, c := range []struct {
		name  string
		store func([]byte, uint64) string
		insn  uint32
		value int64
		want  uint32 // 0: refused
	}{
		{"bl forward", a64Store26, 0x94000000, 4, 0x94000001},
		{"bl backward", a64Store26, 0x94000000, -4, 0x97ffffff},
		{"bl furthest", a64Store26, 0x94000000, 1<<27 - 4, 0x95ffffff},
		{"bl too far", a64Store26, 0x94000000, 1 << 27, 0},
		{"bl odd", a64Store26, 0x94000000, 2, 0},
		{"b.eq", a64Store19, 0x54000000, -1 << 20, 0x54800000},
		{"b.eq too far", a64Store19, 0x54000000, 1 << 20, 0},
		{"tbz", a64Store14, 0x36180000, 1<<15 - 4, 0x361bffe0},
		{"tbz too far", a64Store14, 0x36180000, -1<<15 - 4, 0},
		{"adr", a64StoreADR, 0x10000000, -1, 0x70ffffe0},
		{"adrp", a64StoreADRP, 0x90000000, 0x3000, 0xf0000000},
		{"adrp backward", a64StoreADRP, 0x90000000, -0x1000, 0xf0ffffe0},
		{"adrp too far", a64StoreADRP, 0x90000000, 1 << 32, 0},
		{"movz becomes movn", a64MovSigned(0), 0xd2800000, -2, 0x92800020},
		{"movn becomes movz", a64MovSigned(0), 0x92800000, 5, 0xd28000a0},
		{"movz signed too far", a64MovSigned(0), 0xd2800000, 1 << 16, 0},
		{"movz g3", a64MovNC(3), 0xd2e00000, -1 << 48, 0xd2ffffe0},
		{"gotpage", a64StoreLow15, 0xf9400000, 0x7ff8, 0xf97ffc00},
		{"gotpage too far", a64StoreLow15, 0xf9400000, 0x8000, 0},
		{"tprel", a64StoreChecked12(3), 0xf9400000, 0xff8, 0xf947fc00},
		{"tprel too far", a64StoreChecked12(3), 0xf9400000, 0x1000, 0},
		{"tprel_hi12", a64StoreHigh12, 0x91400000, 0xabc123, 0x916af000},
		{"tprel_hi12 too far", a64StoreHigh12, 0x91400000, 1 << 24, 0},
	} {
		p := binary.LittleEndian.AppendUint32(nil, c.insn)
		msg := c.store(p, uint64(c.value))
		if got := binary.LittleEndian.Uint32(p); (msg == "") != (c.want != 0) || c.want != 0 && got != c.want {
			t.Errorf("%s: got %#x, %q, want %#x", c.name, got, msg, c.want)
		}
	}
}

// TestAArch64Golden holds the types that clang's assembler has no syntax for.
func TestAArch64Golden(t *testing.T) {
	base := []byte{0, 0, 0x80, 0xd2, 0, 0, 0, 0}
	for _, c := range []struct {
		kind   linkgraph.Kind
		target string
		check  func(l *linked) []expect
	}{
		{300, "near_x", func(l *linked) []expect {
			return []expect{{"MOVW_GOTOFF_G0", l.word(t, int64(l.BodyOf(l.Graph.GOT))+l.imm16(t, "t", 0)), dataBase + 128}}
		}},
		{307, "near_x", func(l *linked) []expect {
			return []expect{{"GOTREL64", l.field(t, "t", 0, 8), dataBase + 128 - int64(l.BodyOf(l.Graph.GOT))}}
		}},
		{308, "near_x", func(l *linked) []expect {
			return []expect{{"GOTREL32", l.field(t, "t", 0, 4), dataBase + 128 - int64(l.BodyOf(l.Graph.GOT))}}
		}},
		{310, "near_x", func(l *linked) []expect {
			return []expect{{"LD64_GOTOFF_LO15", l.word(t, int64(l.BodyOf(l.Graph.GOT))+8*l.low12(t, "t", 0)), dataBase + 128}}
		}},
		{315, "near_x", func(l *linked) []expect {
			return []expect{{"GOTPCREL32", l.word(t, l.body(t, "t")+l.field(t, "t", 0, 4)), dataBase + 128}}
		}},
		{276, "near_x", func(l *linked) []expect {
			return []expect{{"ADR_PREL_PG_HI21_NC", l.body(t, "t")&^0xfff + a64ADRValue(l.insn(t, "t", 0))<<12, dataBase}}
		}},
		{1030, "far_tls", func(l *linked) []expect {
			return []expect{{"TLS_TPREL64", l.field(t, "t", 0, 8), l.tls(t, "far_tls").TPOffset}}
		}},
		{256, "near_x", func(l *linked) []expect {
			return []expect{{"NONE", l.field(t, "t", 0, 4), -0x2d800000}}
		}},
	} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			_, l, err := goldenLink(t, place(elf.EM_AARCH64, append([]byte(nil), base...), 0, c.kind, c.target, 0), 8)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.check(l) {
				if e.got != e.want {
					t.Errorf("%s: got %#x, want %#x", e.what, e.got, e.want)
				}
			}
		})
	}
}
