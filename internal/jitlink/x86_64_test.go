package jitlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"livejit/internal/linkgraph"
)

const x86Target = "--target=x86_64-linux-gnu"

// field reads a little-endian signed number of n bytes at a symbol's body + off.
func (l *linked) field(t testing.TB, symbol string, off uint64, n int) int64 {
	t.Helper()
	p := l.m.at(t, l.BodyOf(l.symbol(t, symbol))+off, uint64(n))
	switch n {
	case 1:
		return int64(int8(p[0]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(p)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return int64(binary.LittleEndian.Uint64(p))
}

func (l *linked) body(t testing.TB, name string) int64 { return int64(l.BodyOf(l.symbol(t, name))) }
func (l *linked) addr(t testing.TB, name string) int64 { return int64(l.AddressOf(l.symbol(t, name))) }
func (l *linked) stub(t testing.TB, name string) int64 {
	return int64(l.Graph.Symbols[l.symbol(t, name)].Target.Stub)
}
func (l *linked) slot(t testing.TB, name string) int64 {
	return int64(l.Graph.Symbols[l.symbol(t, name)].Target.Slot)
}
func (l *linked) tls(t testing.TB, name string) linkgraph.TLSTarget {
	return l.Graph.Symbols[l.symbol(t, name)].Target.TLS
}

// pointee follows the 32-bit PC-relative field at a symbol's body + off, which ends its instruction.
func (l *linked) pointee(t testing.TB, symbol string, off uint64) int64 {
	t.Helper()
	return l.body(t, symbol) + int64(off) + 4 + l.field(t, symbol, off, 4)
}

// word reads 8 bytes at an address.
func (l *linked) word(t testing.TB, addr int64) int64 {
	t.Helper()
	return int64(binary.LittleEndian.Uint64(l.m.at(t, uint64(addr), 8)))
}

// code returns the bytes of a symbol's body as they read in hexadecimal.
func (l *linked) code(t testing.TB, symbol string, off, n uint64) string {
	t.Helper()
	return fmt.Sprintf("%x", l.m.at(t, l.BodyOf(l.symbol(t, symbol))+off, n))
}

// expect is one comparison of a relocation test.
type expect struct {
	what      string
	got, want int64
}

// x86Cases: each source defines function t and what it needs; check compares fields with the formula.
var x86Cases = []struct {
	name, source string
	check        func(t *testing.T, l *linked) []expect
}{
	{"64 to data of another graph", ".data\n.globl d\n.type d,@object\nd: .quad near_x+5", func(t *testing.T, l *linked) []expect {
		return []expect{{"S+A", l.field(t, "d", 0, 8), l.addr(t, "near_x") + 5}}
	}},
	{"64 to a function of the process", ".data\n.globl d\nd: .quad host_f", func(t *testing.T, l *linked) []expect {
		return []expect{{"S+A", l.field(t, "d", 0, 8), l.addr(t, "host_f")}}
	}},
	{"64 to a function here is its stub", ".data\n.globl d\nd: .quad t\n.text\n.globl t\n.type t,@function\nt: ret", func(t *testing.T, l *linked) []expect {
		return []expect{{"stub", l.field(t, "d", 0, 8), l.stub(t, "t")}}
	}},
	{"64 to a static function by its section is its stub", ".data\n.globl d\nd: .quad t\n.text\n.type t,@function\nt: ret", func(t *testing.T, l *linked) []expect {
		return []expect{{"stub", l.field(t, "d", 0, 8), l.stub(t, "t")}}
	}},
	{"64 into a function is its body", ".data\n.globl d\nd: .quad t+1\n.text\n.globl t\n.type t,@function\nt: nop; ret", func(t *testing.T, l *linked) []expect {
		return []expect{{"body+1", l.field(t, "d", 0, 8), l.body(t, "t") + 1}}
	}},
	{"32 and 32S", ".data\n.globl d\nd: .long near_x+4\n.text\n.globl t\nt: movq $near_x-8, %rax", func(t *testing.T, l *linked) []expect {
		return []expect{{"32", l.field(t, "d", 0, 4), l.addr(t, "near_x") + 4}, {"32S", l.field(t, "t", 3, 4), l.addr(t, "near_x") - 8}}
	}},
	{"32 to a function of the process is its stub", ".text\n.globl t\nt: movl $host_f, %eax", func(t *testing.T, l *linked) []expect {
		return []expect{{"L", l.field(t, "t", 1, 4), l.stub(t, "host_f")}}
	}},
	{"16 and 8 of absolute symbols", ".set abs16, 0xfff0\n.globl abs16\n.data\n.globl d\nd: .short abs16+1\n.byte abs8\n.globl abs8\n.set abs8,-3", func(t *testing.T, l *linked) []expect {
		return []expect{{"16", l.field(t, "d", 0, 2), -15}, {"8", l.field(t, "d", 2, 1), -3}}
	}},
	{"PC32, PC16 and PC8 within data", ".section .data.a,\"aw\"\n.globl d\n.type d,@object\nd: .long near_x-.\n.short d+0x20-.\n.byte d+0x10-.", func(t *testing.T, l *linked) []expect {
		return []expect{{"PC32", l.field(t, "d", 0, 4), l.addr(t, "near_x") - l.body(t, "d")}, {"PC16", l.field(t, "d", 4, 2), 0x20 - 4}, {"PC8", l.field(t, "d", 6, 1), 0x10 - 6}}
	}},
	{"PC64", ".data\n.globl d\nd: .quad near_x+3-.\n.quad host_f-.", func(t *testing.T, l *linked) []expect {
		return []expect{{"S+A-P", l.field(t, "d", 0, 8), l.addr(t, "near_x") + 3 - l.body(t, "d")}, {"far", l.field(t, "d", 8, 8), l.addr(t, "host_f") - l.body(t, "d") - 8}}
	}},
	{"PC32 load of near data", ".text\n.globl t\nt: movl near_x+8(%rip), %eax\n movl $1, near_x(%rip)", func(t *testing.T, l *linked) []expect {
		return []expect{{"S+A-P", l.pointee(t, "t", 2), l.addr(t, "near_x") + 8}, {"with immediate", l.pointee(t, "t", 8) + 4, l.addr(t, "near_x")}}
	}},
	{"PLT32 calls go by the stub", ".text\n.globl t\nt: call fn_a@PLT\n jmp host_f@PLT\n jne fn_a", func(t *testing.T, l *linked) []expect {
		return []expect{{"ours", l.pointee(t, "t", 1), l.stub(t, "fn_a")}, {"host", l.pointee(t, "t", 6), l.stub(t, "host_f")}, {"jne", l.pointee(t, "t", 12), l.stub(t, "fn_a")}}
	}},
	{"PLT32 call of a static function by its section goes by the stub", ".section .text.t,\"ax\"\n.globl t\n.type t,@function\nt: call s\n.section .text.s,\"ax\"\n.type s,@function\ns: ret", func(t *testing.T, l *linked) []expect {
		return []expect{{"stub", l.pointee(t, "t", 1), l.stub(t, "s")}}
	}},
	{"PLT32 call of the cold part goes to the part", ".section .text.t,\"ax\"\n.globl t\n.type t,@function\nt: jmp t.cold\n.section .text.unlikely.t,\"ax\"\n.type t.cold,@function\nt.cold: ud2", func(t *testing.T, l *linked) []expect {
		return []expect{{"body", l.pointee(t, "t", 1), l.body(t, "t.cold")}, {"code blocks", int64(len(l.piece(t, "t").CodeStarts)), 2}}
	}},
	{"PLT32 in data (relative vtable)", ".section .rodata.v,\"a\"\n.globl v\n.type v,@object\nv: .long 0\n.long host_f@PLT-v\n.long fn_a@PLT-v", func(t *testing.T, l *linked) []expect {
		return []expect{{"host", l.field(t, "v", 4, 4), l.stub(t, "host_f") - l.body(t, "v")}, {"ours", l.field(t, "v", 8, 4), l.stub(t, "fn_a") - l.body(t, "v")}}
	}},
	{"lea of functions", ".text\n.globl t\nt: leaq fn_a(%rip), %rax\n leaq host_f(%rip), %r9", func(t *testing.T, l *linked) []expect {
		return []expect{{"ours: stub", l.pointee(t, "t", 3), l.stub(t, "fn_a")}, {"host: reads the slot", l.pointee(t, "t", 10), l.slot(t, "host_f")},
			{"opcode", l.field(t, "t", 8, 1), -0x75 /* 8b */}}
	}},
	{"GOTPCREL", ".text\n.globl t\nt: vmovq near_x@GOTPCREL(%rip), %xmm0\n vmovq host_f@GOTPCREL(%rip), %xmm0", func(t *testing.T, l *linked) []expect {
		return []expect{{"G holds S", l.word(t, l.pointee(t, "t", 4)), l.addr(t, "near_x")}, {"slot of the process's function", l.pointee(t, "t", 12), l.slot(t, "host_f")}}
	}},
	{"GOTPCRELX calls read the slot", ".text\n.globl t\nt: call *fn_a@GOTPCREL(%rip)\n jmp *host_f@GOTPCREL(%rip)", func(t *testing.T, l *linked) []expect {
		return []expect{{"ours", l.pointee(t, "t", 2), l.slot(t, "fn_a")}, {"host", l.pointee(t, "t", 8), l.slot(t, "host_f")}}
	}},
	{"GOTPCRELX call of what has no stub is made direct", ".section .text.t,\"ax\"\n.globl t\nt: call *near_x@GOTPCREL(%rip)\n jmp *near_x@GOTPCREL(%rip)", func(t *testing.T, l *linked) []expect {
		return []expect{{"addr32 call", l.pointee(t, "t", 2), l.addr(t, "near_x")}, {"jmp", l.pointee(t, "t", 7), l.addr(t, "near_x")},
			{"67 e8", l.field(t, "t", 0, 2), -0x1799}, {"e9", l.field(t, "t", 6, 1), -0x17}, {"nop", l.field(t, "t", 11, 1), -0x70}}
	}},
	{"REX_GOTPCRELX loads", ".text\n.globl t\nt: movq near_x@GOTPCREL(%rip), %rbx\n movq fn_a@GOTPCREL(%rip), %r8\n movq host_f@GOTPCREL(%rip), %rax\n movq far_d@GOTPCREL(%rip), %rax", func(t *testing.T, l *linked) []expect {
		return []expect{{"lea near", l.pointee(t, "t", 3), l.addr(t, "near_x")}, {"opcode 8d", l.field(t, "t", 1, 1), -0x73}, {"lea stub", l.pointee(t, "t", 10), l.stub(t, "fn_a")},
			{"slot", l.pointee(t, "t", 17), l.slot(t, "host_f")}, {"GOT", l.word(t, l.pointee(t, "t", 24)), l.addr(t, "far_d")}}
	}},
	{"GOTPCRELX operations on the entry", ".text\n.globl t\nt: cmpq near_x@GOTPCREL(%rip), %rax\n addl fn_a@GOTPCREL(%rip), %ecx\n testq %rax, host_f@GOTPCREL(%rip)", func(t *testing.T, l *linked) []expect {
		return []expect{{"near", l.word(t, l.pointee(t, "t", 3)), l.addr(t, "near_x")}, {"ours", l.word(t, l.pointee(t, "t", 9)), l.stub(t, "fn_a")}, {"host", l.pointee(t, "t", 16), l.slot(t, "host_f")}}
	}},
	{"weak undefined", ".weak far_w\n.text\n.globl t\nt: movq far_w@GOTPCREL(%rip), %rax\n call far_w\n leaq far_w(%rip), %rcx\n.data\n.globl d\nd: .quad far_w", func(t *testing.T, l *linked) []expect {
		veneer := uint64(l.pointee(t, "t", 8) - l.body(t, "t"))
		return []expect{{"GOT entry of 0", l.word(t, l.pointee(t, "t", 3)), 0}, {"call by a jump", l.field(t, "t", veneer, 2), 0x25ff}, {"through 0", l.word(t, l.pointee(t, "t", veneer+2)), 0},
			{"lea reads 0", l.word(t, l.pointee(t, "t", 15)), 0}, {"64", l.field(t, "d", 0, 8), 0}}
	}},
	{"GOT base relative", ".text\n.globl t\nt: leaq _GLOBAL_OFFSET_TABLE_(%rip), %rbx\n movabsq $_GLOBAL_OFFSET_TABLE_-., %rcx\n movabsq $near_x@GOTOFF, %rax\n movabsq $near_x@GOT, %rdx\n movabsq $host_f@PLTOFF, %rsi", func(t *testing.T, l *linked) []expect {
		got := l.pointee(t, "t", 3)
		return []expect{{"GOTPC32", got, l.body(t, "_GLOBAL_OFFSET_TABLE_")}, {"GOTPC64", l.field(t, "t", 9, 8), got - l.body(t, "t") - 7},
			{"GOTOFF64", l.field(t, "t", 19, 8), l.addr(t, "near_x") - got}, {"GOT64", l.word(t, got+l.field(t, "t", 29, 8)), l.addr(t, "near_x")},
			{"PLTOFF64", l.field(t, "t", 39, 8), l.stub(t, "host_f") - got}}
	}},
	{"TLS general and local dynamic", ".section .tbss,\"awT\",@nobits\n.globl v\n.type v,@object\n.quad 0\nv: .quad 0\n.text\n.globl t\nt: leaq v@TLSGD(%rip), %rdi\n leaq near_v@TLSGD(%rip), %rdi\n leaq v@TLSLD(%rip), %rdi\n leaq v@DTPOFF(%rax), %rcx\n.data\n.globl d\nd: .quad v@DTPOFF", func(t *testing.T, l *linked) []expect {
		own, other, module := l.pointee(t, "t", 3), l.pointee(t, "t", 10), l.pointee(t, "t", 17)
		return []expect{{"module", l.word(t, own), 3}, {"offset", l.word(t, own+8), 8}, {"other module", l.word(t, other), 7}, {"other offset", l.word(t, other+8), int64(l.tls(t, "near_v").Offset)},
			{"LD module", l.word(t, module), 3}, {"LD 0", l.word(t, module+8), 0}, {"DTPOFF32", l.field(t, "t", 24, 4), 8}, {"DTPOFF64", l.field(t, "d", 0, 8), 8}}
	}},
	{"TLS initial and local exec of the static block", ".text\n.globl t\nt: movq far_v@GOTTPOFF(%rip), %rax\n movq %fs:far_v@TPOFF, %rax\n.data\n.globl d\nd: .quad far_v@TPOFF", func(t *testing.T, l *linked) []expect {
		tp := l.tls(t, "far_v").TPOffset
		return []expect{{"GOTTPOFF", l.word(t, l.pointee(t, "t", 3)), tp}, {"TPOFF32", l.field(t, "t", 12, 4), tp}, {"TPOFF64", l.field(t, "d", 0, 8), tp}}
	}},
	{"TLS descriptor", ".text\n.globl t\nt: leaq near_v@TLSDESC(%rip), %rax\n call *near_v@TLSCALL(%rax)", func(t *testing.T, l *linked) []expect {
		d := l.pointee(t, "t", 3)
		return []expect{{"resolver", l.word(t, d), descResolver}, {"argument", l.word(t, d+8), d + 16}, {"module", l.word(t, d+16), 7}, {"offset", l.word(t, d+24), int64(l.tls(t, "near_v").Offset)}}
	}},
	{"SIZE", ".data\n.globl d\n.size d, 12\n.type d,@object\nd: .quad d@SIZE+1\n .long near_x@SIZE", func(t *testing.T, l *linked) []expect {
		return []expect{{"Z+A", l.field(t, "d", 0, 8), 13}, {"of another graph", l.field(t, "d", 8, 4), 24}}
	}},
}

func TestX86Relocations(t *testing.T) {
	for _, c := range x86Cases {
		t.Run(c.name, func(t *testing.T) {
			l := mustLink(t, assemble(t, c.source, ".s", x86Target))
			for _, e := range c.check(t, l) {
				if e.got != e.want {
					t.Errorf("%s: got %#x, want %#x", e.what, e.got, e.want)
				}
			}
			if err := l.Release(); err != nil || len(l.m.spans) != 0 {
				t.Errorf("release: %v, %d spans left", err, len(l.m.spans))
			}
		})
	}
}

func TestX86RelocationErrors(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"32 to far data", ".data\n.globl d\nd: .long far_x", "R_X86_64_32 to far_x: 0x7f0"},
		{"pushed", ".text\n.globl t\nt: pushq $far_x", "too far for 32 bits"},
		{"thread-local segment", ".text\n.globl t\nt: movl %fs:far_x, %eax", "too far for 32 bits"},
		{"two registers", ".text\n.globl t\nt: movl far_x(%rax,%rcx,4), %eax", "too far for 32 bits"},
		{"gather", ".text\n.globl t\nt: vpgatherdd %xmm1, far_x(,%xmm2,4), %xmm3", "too far for 32 bits"},
		{"stack pointer", ".text\n.globl t\nt: pushq far_x", "uses the stack pointer"},
		{"narrow data", ".data\n.globl d\nd: .long far_x", "out of the range of a 32-bit"},
		{"PC32 in data to far data", ".data\n.globl d\nd: .long far_x-.", "out of the range of a 32-bit signed"},
		{"16", ".globl abs\n.set abs, 0x10000\n.data\n.globl d\nd: .reloc ., R_X86_64_16, abs\n.short 0", "0x10000 is out of the range of a 16-bit"},
		{"8 below", ".globl abs\n.set abs, -129\n.data\n.globl d\nd: .reloc ., R_X86_64_8, abs\n.byte 0", "-0x81 is out of the range of a 8-bit"},
		{"PC16", ".data\n.globl d\nd: .short near_x-.", "16-bit signed"},
		{"PC8", ".data\n.globl d\nd: .byte near_x-.", "8-bit signed"},
		{"local exec of what is not static", ".text\n.globl t\nt: movq %fs:near_v@TPOFF, %rax", "static TLS block"},
		{"initial exec of our own", ".section .tbss,\"awT\",@nobits\n.globl v\nv: .quad 0\n.text\n.globl t\nt: movq v@GOTTPOFF(%rip), %rax", "static TLS block"},
		{"inside of another graph's function", ".text\n.globl t\nt: leaq fn_a+4(%rip), %rax", "place inside of a function"},
		{"a section that is not loaded", ".section note\n.globl n\nn: .quad 1\n.text\n.globl t\nt: leaq n(%rip), %rax", "section note is not loaded"},
		{"stack pointer", ".text\n.globl t\n.type t,@function\nt: pushq far_x(%rip)", "uses the stack pointer"},
		{"dynamic type", ".text\n.globl t\nt: .reloc ., R_X86_64_COPY, near_x\n.quad 0", "linked images only"},
		{"beyond its section", ".text\n.globl t\nt: .reloc t+2, R_X86_64_64, near_x\n.quad 0\n.data\n.reloc .+1, R_X86_64_64, near_x\n.globl d\nd: .quad 0", "beyond its section"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := link(t, build(t, assemble(t, c.source, ".s", x86Target)))
			var re *RelocationError
			if !errors.As(err, &re) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want a RelocationError with %q", err, c.want)
			}
			if re.Object != "test.o" || re.Section == "" || re.Symbol == "" || re.Kind == "" {
				t.Errorf("error does not name all parties: %+v", re)
			}
		})
	}
}

// disassemble prints the instructions between two offsets of a function, with addresses as offsets.
func (l *linked) disassemble(t *testing.T, name string, from, to uint64) string {
	t.Helper()
	code := l.m.at(t, l.BodyOf(l.symbol(t, name))+from, to-from)
	var out []string
	for pc := from; len(code) > 0; {
		in, err := x86asm.Decode(code, 64)
		if err != nil {
			t.Fatalf("at %#x: %v: % x", pc, err, code)
		}
		text := x86asm.GNUSyntax(in, pc, func(addr uint64) (string, uint64) { return "", 0 })
		out = append(out, text)
		pc += uint64(in.Len)
		code = code[in.Len:]
	}
	return strings.Join(out, "; ")
}

func TestX86DataVeneers(t *testing.T) {
	for _, c := range []struct {
		name, insn string
		in         string // what stands in place of the instruction
		veneer     string // GOT stands for the entry's place
	}{
		{"load", "movq far_x(%rip), %rdx", "jmp V", "mov GOT(%rip),%rdx; mov (%rdx),%rdx; jmp B"},
		{"load of a part", "movl far_x+8(%rip), %r9d", "jmp V", "mov GOT(%rip),%r9; mov 0x8(%r9),%r9d; jmp B"},
		{"load into r12", "movq far_x(%rip), %r12", "jmp V", "mov GOT(%rip),%r12; mov (%r12,%riz),%r12; jmp B"},
		{"load into rbp", "movq far_x(%rip), %rbp", "jmp V", "mov GOT(%rip),%rbp; mov (%rbp),%rbp; jmp B"},
		{"zero-extending load", "movzbl far_x(%rip), %eax", "jmp V", "mov GOT(%rip),%rax; movzbl (%rax),%eax; jmp B"},
		{"16-bit load keeps the rest", "movw far_x(%rip), %ax", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; mov (%rsi),%ax; pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"store", "movl %eax, far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; mov %eax,(%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"store of rsi", "movq %rsi, far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rdi; mov GOT(%rip),%rdi; mov %rsi,(%rdi); pop %rdi; lea 0x80(%rsp),%rsp; jmp B"},
		{"store of bh", "movb %bh, far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; mov %bh,(%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"store of an immediate", "movl $0x12345678, far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; movl $0x12345678,(%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"arithmetic", "addq $1, far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; addq $0x1,(%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"locked", "lock incl far_x(%rip)", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; lock incl (%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"vector", "movsd far_x(%rip), %xmm9", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; movsd (%rsi),%xmm9; pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"lea", "leaq far_x(%rip), %rcx", "mov GOT(%rip),%rcx", ""},
		{"lea of a part", "leaq far_x+16(%rip), %rcx", "jmp V", "mov GOT(%rip),%rcx; lea 0x10(%rcx),%rcx; jmp B"},
		{"absolute load", "movl far_x, %ecx", "jmp V", "mov GOT(%rip),%rcx; mov (%rcx),%ecx; jmp B"},
		{"absolute store", "movl %eax, far_x+4", "jmp V", "lea -0x80(%rsp),%rsp; push %rsi; mov GOT(%rip),%rsi; mov %eax,0x4(%rsi); pop %rsi; lea 0x80(%rsp),%rsp; jmp B"},
		{"address in 32 bits", "movl $far_x, %edi", "jmp V", "mov GOT(%rip),%rdi; jmp B"},
		{"address of a part in 32 bits", "movl $far_x+8, %r12d", "jmp V", "mov GOT(%rip),%r12; lea 0x8(%r12,%riz),%r12; jmp B"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := mustLink(t, assemble(t, ".text\n.globl t\n.type t,@function\nt: .cfi_startproc\n nop\n"+c.insn+"\n ret\n.cfi_endproc", ".s", x86Target))
			size := l.Graph.Blocks[l.Graph.Symbols[l.symbol(t, "t")].Block].Size
			text := l.disassemble(t, "t", 0, size)
			got := normalise(t, l, text)
			want := "nop; " + c.in
			if c.veneer != "" {
				if !strings.HasPrefix(c.insn, "movl $far_x, ") { // as long as the jump
					want += "; N"
				}
				want += "; ret; V: " + c.veneer
			} else {
				want += "; ret"
			}
			if got != want {
				t.Errorf("got  %s\nwant %s\nfrom %s", got, want, text)
			}
		})
	}
}

// normalise names the parts of function t, which is nop, an instruction, ret and a veneer: N nops, V the veneer, B the way back, GOT an
// entry. The targets of the jumps are checked.
func normalise(t *testing.T, l *linked, text string) string {
	t.Helper()
	var out []string
	var there, back uint64
	for i, part := range strings.Split(text, "; ") {
		s := strings.Join(strings.Fields(part), " ")
		if at := strings.Index(s, "(%rip)"); at >= 0 {
			s = s[:strings.LastIndexAny(s[:at], " ,")+1] + "GOT" + s[at:]
		}
		last := ""
		if len(out) > 0 {
			last = out[len(out)-1]
		}
		switch {
		case strings.HasPrefix(s, "jmpq") && i == 1:
			fmt.Sscanf(s, "jmpq 0x%x", &there)
			s = "jmp V"
		case strings.HasPrefix(s, "jmpq"):
			fmt.Sscanf(s, "jmpq 0x%x", &back)
			s = "jmp B"
		case s == "nop" && last == "N":
			continue
		case s == "nop" && i > 0:
			s = "N"
		case s == "retq":
			s = "ret"
		case last == "ret":
			s = "V: " + s
		}
		out = append(out, s)
	}
	if there != 0 && (l.code(t, "t", there-1, 1) != "c3" || back != there-1) {
		t.Errorf("veneer at %#x, back to %#x", there, back)
	}
	return strings.Join(out, "; ")
}

// TestX86MovedInstructions compares what stands in a veneer with what the assembler makes of the rewritten instruction.
func TestX86MovedInstructions(t *testing.T) {
	for _, c := range []struct{ insn, moved string }{
		{"vaddps far_x(%rip), %ymm1, %ymm2", "vaddps 0(%rsi), %ymm1, %ymm2"},
		{"vaddps far_x(%rip), %ymm9, %ymm14", "vaddps 0(%rdi), %ymm9, %ymm14"},
		{"vaddps far_x+64(%rip), %zmm1, %zmm22", "{evex} vaddps 64(%rdi), %zmm1, %zmm22"},
		{"vpermilps $27, far_x(%rip), %ymm3", "vpermilps $27, 0(%rsi), %ymm3"},
		{"andn far_x(%rip), %rsi, %rdi", "andn 0(%rbx), %rsi, %rdi"},
		{"bextr %rdi, far_x(%rip), %rsi", "bextr %rdi, 0(%rbx), %rsi"},
		{"movq %r16, far_x(%rip)", "movq %r16, 0(%rsi)"},
		{"imulq $70000, far_x(%rip), %rax", "imulq $70000, 0(%rsi), %rax"},
		{"cmpb $3, far_x+1(%rip)", "cmpb $3, 1(%rsi)"},
		{"crc32l far_x(%rip), %esi", "crc32l 0(%rdi), %esi"},
		{"pinsrw $5, far_x(%rip), %xmm12", "pinsrw $5, 0(%rsi), %xmm12"},
		{"fldt far_x(%rip)", "fldt 0(%rsi)"},
		{"lock cmpxchg16b far_x(%rip)", "lock cmpxchg16b 0(%rsi)"},
		{"movslq far_x(%rip), %r13", "movslq 0(%r13), %r13"},
		{"movl far_x, %eax", "movl 0(%rax), %eax"},
		{"movl far_x(,%rax,4), %eax", "movl 0(%rsi,%rax,4), %eax"},
		{"movl far_x(,%r12,8), %r9d", "movl 0(%r9,%r12,8), %r9d"},
		{"movl far_x(%rdx), %ecx", "movl 0(%rcx,%rdx), %ecx"},
		{"movl far_x(%rbp), %r12d", "movl 0(%r12,%rbp), %r12d"},
		{"movl %esi, far_x+4(%r13)", "movl %esi, 4(%rdi,%r13)"},
		{"cmpb $0, far_x+225(%rax)", "cmpb $0, 225(%rsi,%rax)"},
		{"vaddps far_x(%rcx), %ymm1, %ymm2", "vaddps 0(%rsi,%rcx), %ymm1, %ymm2"},
		{"vaddps far_x(%r9), %ymm1, %ymm2", "vaddps 0(%rsi,%r9), %ymm1, %ymm2"},
		{"vaddps far_x(,%rsi,2), %zmm1, %zmm22", "{evex} vaddps 0(%rdi,%rsi,2), %zmm1, %zmm22"},
		{"andn far_x(%rbx), %rsi, %rdi", "andn 0(%rbp,%rbx), %rsi, %rdi"},
		{"movq $far_x, -8(%rbp)", "movq %rsi, -8(%rbp)"},
		{"movq $far_x+16, 8(%rsp)", "movq %rsi, 144(%rsp)"},
		{"movq $far_x, (%rsp,%rsi,8)", "movq %rdi, 136(%rsp,%rsi,8)"},
		{"movq $far_x, 16(%rdi,%rsi,8)", "movq %rcx, 16(%rdi,%rsi,8)"},
		{"movq $far_x, (%r14)", "movq %rsi, (%r14)"},
		{"cmpq $far_x, %rsi", "cmpq %rdi, %rsi"},
		{"cmpq $far_x, %rax", "cmpq %rsi, %rax"},
		{"addq $far_x, %r12", "addq %rsi, %r12"},
		{"testq $far_x, %rax", "testq %rsi, %rax"},
		{"testq $far_x, 200(%rdx)", "testq %rsi, 200(%rdx)"},
	} {
		t.Run(c.insn, func(t *testing.T) {
			disp32 := "{disp32} "
			if strings.Contains(c.insn, "$far_x") { // its operand in memory is another
				disp32 = ""
			}
			l := mustLink(t, assemble(t, ".globl t\n.type t,@function\nt: .cfi_startproc\n"+c.insn+"\n ret\n.cfi_endproc\n.section .text.m,\"ax\"\n.globl m\nm: "+disp32+c.moved, ".s", x86Target, "-mapxf"))
			size := func(name string) uint64 {
				return l.Graph.Blocks[l.Graph.Symbols[l.symbol(t, name)].Block].Size
			}
			if got, want := l.code(t, "t", 0, size("t")), l.code(t, "m", 0, size("m")); !strings.Contains(got, want) {
				t.Errorf("%s is not in %s", want, got)
			}
		})
	}
	// A relocated immediate moves too.
	l := mustLink(t, assemble(t, ".globl t\n.type t,@function\nt: .cfi_startproc\n movq $near_x, far_x(%rip)\n ret\n.cfi_endproc", ".s", x86Target))
	if got := l.code(t, "t", 0, l.Graph.Blocks[l.Graph.Symbols[l.symbol(t, "t")].Block].Size); !strings.Contains(got, "48c78600000000"+hex32(uint64(l.addr(t, "near_x")))) {
		t.Errorf("immediate is not in %s", got)
	}
}
