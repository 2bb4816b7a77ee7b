package jitlink

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"livejit/internal/linkgraph"
)

const exceptions = `
#include <stdexcept>
#include <string>
struct Guard { ~Guard(); };
int thrower(int x) { if (x > 3) throw std::runtime_error("too large"); return x; }
int catcher(int x) { Guard g; try { return thrower(x); } catch (std::exception &e) { return -1; } catch (int i) { return i; } }
template <class T> T twice(T x) { return x + x; }
int user(int x) { return twice(x) + catcher(x); }
static int hidden(int x) { return x * 3; }
int (*pointer)(int) = hidden;
std::string text() { return "a string that is long enough to stay in memory"; }
`

// compilers are the ways in which a source is made into objects for tests with real code.
func compilers(t *testing.T, source, ext string) map[string][]byte {
	objects := map[string][]byte{}
	for name, args := range map[string][]string{
		"clang O0 sections": {"clang-22", "-O0", "-fPIC", "-ffunction-sections", "-fdata-sections", "-fno-plt"},
		"clang O2":          {"clang-22", "-O2", "-fPIC", "-g"},
		"gcc O2":            {"gcc", "-O2", "-fPIC", "-g"},
		"gcc O2 sections":   {"gcc", "-O2", "-fPIC", "-ffunction-sections", "-fno-plt"},
		"gcc O0 PIE":        {"gcc", "-O0", "-fPIE"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			continue
		}
		objects[name] = compile(t, args[0], source, ext, args[1:]...)
	}
	return objects
}

func TestUnwindTables(t *testing.T) {
	for name, object := range compilers(t, exceptions, ".cc") {
		t.Run(name, func(t *testing.T) {
			l := mustLink(t, object)
			tables := 0
			for i := range l.Pieces {
				p := &l.Pieces[i]
				if !slices.IsSorted(p.CodeStarts) {
					t.Errorf("code starts of %s are not ascending", p.Name)
				}
				for _, start := range p.CodeStarts {
					tables += checkHeader(t, l, p, start)
				}
			}
			if tables < 5 {
				t.Errorf("only %d unwind table entries", tables)
			}
			lsda := l.lsda(t, "_Z7catcheri")
			if _, mem := l.m.span(lsda); lsda == 0 || mem == nil {
				t.Errorf("catcher has LSDA %#x", lsda)
			}
		})
	}
}

// checkHeader checks the header of a code block and its table, and returns the number of entries.
func checkHeader(t *testing.T, l *linked, p *Piece, start uint64) int {
	t.Helper()
	le := binary.LittleEndian
	h := l.m.at(t, start-HeaderSize, HeaderSize)
	size, id, eh, n := le.Uint32(h), le.Uint32(h[4:]), int32(le.Uint32(h[8:])), int(le.Uint32(h[12:]))
	if start%16 != 0 || id != p.ID || start+uint64(size) > p.Code.Addr+p.Code.Size {
		t.Errorf("header of %s at %#x: size %d id %d", p.Name, start, size, id)
	}
	last := int64(-1)
	for i := range n {
		e := l.m.at(t, start+uint64(int64(eh))+uint64(i*EHEntrySize), EHEntrySize)
		begin, end, fde := le.Uint32(e), le.Uint32(e[4:]), start+uint64(int64(int32(le.Uint32(e[8:]))))
		if int64(begin) <= last || end > size || begin > end {
			t.Errorf("entry %d of %s: %#x-%#x after %#x", i, p.Name, begin, end, last)
		}
		last = int64(begin)
		record := l.m.at(t, fde, 20)
		cie := fde + 4 - uint64(int64(int32(le.Uint32(record[4:]))))
		if id := le.Uint32(l.m.at(t, cie+4, 4)); id != 0 {
			t.Errorf("FDE %d of %s leads to no CIE", i, p.Name)
		}
		// All compilers here use pcrel sdata4.
		if pc := fde + 8 + uint64(int64(int32(le.Uint32(record[8:])))); pc != start+uint64(begin) {
			t.Errorf("FDE %d of %s begins at %#x, not %#x", i, p.Name, pc, start+uint64(begin))
		}
		if length := le.Uint32(record[12:]); length != end-begin {
			t.Errorf("FDE %d of %s covers %d bytes, not %d", i, p.Name, length, end-begin)
		}
	}
	return n
}

// lsda follows the FDE of a function to its language specific data.
func (l *linked) lsda(t *testing.T, name string) uint64 {
	t.Helper()
	s := l.Graph.Symbols[l.symbol(t, name)]
	for _, f := range l.Graph.FDEsOf(s.Block) {
		if f.Begin == s.Offset {
			addr := l.Graph.Blocks[f.Block].Addr
			return addr + 17 + uint64(int64(int32(binary.LittleEndian.Uint32(l.m.at(t, addr+17, 4)))))
		}
	}
	t.Fatalf("no FDE for %s", name)
	return 0
}

const sharing = `
.section .text.a,"ax",@progbits
.globl a
.type a,@function
a: .cfi_startproc
 leaq .Lown(%rip), %rax
 leaq .Lboth(%rip), %rax
 movq far_one@GOTPCREL(%rip), %rax
 movq far_both@GOTPCREL(%rip), %rax
 call *b@GOTPCREL(%rip)
 movl datum(%rip), %eax
 ret
 .cfi_endproc
.section .text.b,"ax",@progbits
.globl b
.type b,@function
b: .cfi_startproc
 leaq .Lboth(%rip), %rax
 movq far_both@GOTPCREL(%rip), %rax
 call b
 leaq a(%rip), %rax
 ret
 .cfi_endproc
.section .rodata.own,"a",@progbits
.Lown: .quad .Linner
.section .rodata.inner,"a",@progbits
.Linner: .quad 1
.section .rodata.both,"a",@progbits
.Lboth: .quad 2
.section .rodata.dead,"a",@progbits
.Ldead: .quad 3
.section .data.datum,"aw",@progbits
.type datum,@object
datum: .quad 4
`

func TestPieces(t *testing.T) {
	g := build(t, assemble(t, sharing, ".s", x86Target))
	l, err := link(t, g)
	if err != nil {
		t.Fatal(err)
	}
	owner := func(section string) string {
		b := &g.Blocks[g.Sections[g.SectionByName(section)].Block]
		switch {
		case !b.Live:
			return "dead"
		case b.Owner < 0:
			return "shared"
		}
		return g.BlockName(b.Owner)
	}
	for section, want := range map[string]string{".rodata.own": "a", ".rodata.inner": "a", ".rodata.both": "shared", ".rodata.dead": "dead", ".data.datum": "datum"} {
		if got := owner(section); got != want {
			t.Errorf("%s belongs to %s, want %s", section, got, want)
		}
	}
	refs := func(p *Piece) string {
		var out []string
		for _, r := range p.Refs {
			out = append(out, fmt.Sprintf("%s:%d", g.SymbolName(r.Symbol), r.Flags))
		}
		return strings.Join(out, " ")
	}
	for name, want := range map[string]string{
		"a": "far_one:2 far_both:2 b:1 datum:6",
		"b": "far_both:2 a:2", "datum": "", "": "",
	} {
		if got := refs(l.piece(t, name)); got != want {
			t.Errorf("%q refers to %s, want %s", name, got, want)
		}
	}
	if a := l.piece(t, "a"); !a.UsesShared || a.Code.Size == 0 || a.ReadOnly.Size == 0 || a.Data.Size != 0 || a.Bytes.ReadOnly != 24 {
		t.Errorf("piece a: %+v", a)
	}
	if l.Shared != len(l.Pieces)-1 || l.Pieces[l.Shared].Bytes.ReadOnly != 16 || l.Stats.GOTEntries != 2 {
		t.Errorf("shared piece: %+v, %+v", l.Pieces[l.Shared], l.Stats)
	}
	if got := l.PieceOf(l.symbol(t, "b")); l.Pieces[got].Name != "b" {
		t.Errorf("b is in piece %d", got)
	}
	// A function alone needs no shared piece.
	one := mustLink(t, assemble(t, ".globl t\n.type t,@function\nt: .cfi_startproc\n movq far_x@GOTPCREL(%rip), %rax\n ret\n.cfi_endproc", ".s", x86Target))
	if one.Shared != -1 || len(one.Pieces) != 1 {
		t.Errorf("%d pieces, shared %d", len(one.Pieces), one.Shared)
	}
}

func TestDeterminism(t *testing.T) {
	for name, object := range compilers(t, exceptions, ".cc") {
		first := mustLink(t, object).m.image()
		for range 3 {
			if !bytes.Equal(first, mustLink(t, object).m.image()) {
				t.Errorf("%s: two links differ", name)
			}
		}
	}
}

func TestAllocateFailure(t *testing.T) {
	object := assemble(t, sharing, ".s", x86Target)
	for n := 1; ; n++ {
		g := build(t, object)
		l, _ := NewLink(g)
		r := &resolver{g}
		r.mark()
		if err := l.Plan(Options{Far: r.far}); err != nil {
			t.Fatal(err)
		}
		m := newMemory()
		m.fail = n
		err := l.Allocate(m)
		var ae *AllocateError
		if err == nil {
			if n < 4 {
				t.Errorf("only %d spans", n)
			}
			return
		}
		if !errors.As(err, &ae) || ae.Request.Size == 0 || len(m.spans) != 0 {
			t.Fatalf("failure %d: %v, %d spans left", n, err, len(m.spans))
		}
	}
}

func TestDroppedDefinitions(t *testing.T) {
	const source = `
.section .text.t,"ax",@progbits
.globl t
.type t,@function
t: call once
 movl near_d(%rip), %eax
 movl .Ld+4(%rip), %eax
 ret
.section .text.once,"axG",@progbits,once,comdat
.weak once
.type once,@function
once: .cfi_startproc
 ret
.cfi_endproc
.section .data.d,"aw",@progbits
.globl near_d
.type near_d,@object
near_d: .quad 1
.Ld: .quad 2
.bss
.comm near_c, 16, 8
.data
.quad near_c
.globl p
p: .quad near_c+8
`
	g := build(t, assemble(t, source, ".s", x86Target))
	find := func(name string) linkgraph.SymbolID {
		return linkgraph.SymbolID(slices.IndexFunc(g.Symbols, func(s linkgraph.Symbol) bool { return s.Name == name }))
	}
	g.Discard(0)
	g.Undefine(find("near_d"))
	g.Undefine(find("near_c"))
	// The names decide how the resolver of the tests serves them.
	g.Symbols[find("once")].Name, g.Symbols[find("once")].Weak = "fn_once", false
	var undefined []string
	for _, s := range g.UndefinedSymbols() {
		undefined = append(undefined, g.Symbols[s].Name)
	}
	slices.Sort(undefined)
	if got := strings.Join(undefined, " "); got != "fn_once near_c near_d" {
		t.Errorf("undefined: %s", got)
	}
	l, err := link(t, g)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []expect{
		{"call of the winner", l.pointee(t, "t", 1), l.stub(t, "fn_once")},
		{"datum of another graph", l.pointee(t, "t", 7), l.addr(t, "near_d")},
		{"by its section", l.pointee(t, "t", 13), l.addr(t, "near_d") + 12},
		{"common of another graph", l.field(t, "p", 0, 8), l.addr(t, "near_c") + 8},
		{"pieces", int64(len(l.Pieces)), 2},
	} {
		if e.got != e.want {
			t.Errorf("%s: got %#x, want %#x", e.what, e.got, e.want)
		}
	}

	g = build(t, assemble(t, ".globl t\nt: movl inner(%rip), %eax\n.section .data.x,\"awG\",@progbits,x,comdat\n.weak x\n.type x,@object\nx: .quad 0\n.type inner,@object\ninner: .quad 1", ".s", x86Target))
	g.Discard(0)
	_, err = link(t, g)
	var de *linkgraph.DiscardError
	if !errors.As(err, &de) || de.Group != "x" || de.Section != ".text" {
		t.Errorf("got %v, want a DiscardError", err)
	}
}

func TestBoundedAndRetainedSections(t *testing.T) {
	l := mustLink(t, assemble(t, `
.globl t
t: leaq __start_set(%rip), %rax
 leaq __stop_set(%rip), %rcx
 leaq __start_none(%rip), %rcx
.weak __start_none
.section set,"a",@progbits
 .quad 1
.section set,"a",@progbits,unique,2
 .globl element
 .type element,@object
element: .quad 2
.section kept,"aR",@progbits
 .quad 3
.section .llvm_stackmaps,"a",@progbits
 .quad t
`, ".s", x86Target))
	start := l.pointee(t, "t", 3)
	stackMaps, err := l.Unloaded(l.Graph.Sections[l.Graph.SectionByName(".llvm_stackmaps")].Block)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []expect{
		{"size", l.pointee(t, "t", 10) - start, 16}, {"first", l.word(t, start), 1}, {"second", l.word(t, start+8), 2},
		{"element", l.addr(t, "element"), start + 8},
		{"no such section", l.word(t, l.pointee(t, "t", 17)), 0},
		{"kept", l.word(t, int64(l.Graph.Blocks[l.Graph.Sections[l.Graph.SectionByName("kept")].Block].Addr)), 3},
		{"stack maps name the body", int64(binary.LittleEndian.Uint64(stackMaps)), l.body(t, "t")},
	} {
		if e.got != e.want {
			t.Errorf("%s: got %#x, want %#x", e.what, e.got, e.want)
		}
	}
}

func TestTLSImage(t *testing.T) {
	l := mustLink(t, assemble(t, `
.section .tbss,"awT",@nobits
.globl z
.type z,@object
.p2align 6
z: .skip 100
.section .tdata,"awT",@progbits
.globl v
.type v,@object
v: .quad near_x
.globl w
.type w,@object
w: .quad 7
`, ".s", x86Target))
	init, size, align := l.TLSImage()
	if size != 164 || align != 64 || len(init) != 16 || int64(binary.LittleEndian.Uint64(init)) != l.addr(t, "near_x") || init[8] != 7 {
		t.Errorf("image of %d bytes, aligned %d: % x", size, align, init)
	}
	if l.BodyOf(l.symbol(t, "w")) != 8 || l.BodyOf(l.symbol(t, "z")) != 64 || !l.HasTLS() {
		t.Errorf("w at %d, z at %d", l.BodyOf(l.symbol(t, "w")), l.BodyOf(l.symbol(t, "z")))
	}
	if p := &l.Pieces[l.Shared]; len(p.Refs) != 1 || p.Code.Size+p.ReadOnly.Size+p.Data.Size != 0 {
		t.Errorf("shared piece %+v", p)
	}
}

func TestUnloaded(t *testing.T) {
	object := assemble(t, "int x; int f(int a) { return a + x; }\nstatic int g(void) { return 1; }\nint (*p)(void) = g;", ".c", "-g", "-O1", "-ffunction-sections", x86Target)
	l := mustLink(t, object)
	g := l.Graph
	section := g.SectionByName(".debug_addr")
	if section < 0 {
		t.Fatal("no .debug_addr")
	}
	data, err := l.Unloaded(g.Sections[section].Block)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, binary.LittleEndian.AppendUint64(nil, l.BodyOf(l.symbol(t, "f")))) ||
		!bytes.Contains(data, binary.LittleEndian.AppendUint64(nil, l.BodyOf(l.symbol(t, "g")))) {
		t.Errorf("bodies are not in .debug_addr: % x", data)
	}
	for i := range g.Blocks {
		if g.MemoryOf(linkgraph.BlockID(i)) == linkgraph.Unloaded {
			if _, err := l.Unloaded(linkgraph.BlockID(i)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestInits(t *testing.T) {
	l := mustLink(t, assemble(t, `
.macro fn name
.globl \name
.type \name,@function
\name: ret
.endm
fn a
fn b
fn c
fn d
fn e
.section .init_array,"aw",@init_array
.quad a
.section .init_array.00101,"aw",@init_array
.quad b
.section .ctors.65334,"aw",@progbits
.quad c, d
.section .fini_array,"aw",@fini_array
.quad a
.quad b
.section .fini_array.5,"aw",@fini_array
.quad e
`, ".s", x86Target))
	names := func(list []linkgraph.Init) (out string) {
		for _, i := range list {
			out += l.Graph.SymbolName(i.Target)
		}
		return out
	}
	if got := names(l.Graph.Inits); got != "bdca" {
		t.Errorf("constructors run as %s", got)
	}
	if got := names(l.Graph.Finis); got != "bae" {
		t.Errorf("destructors run as %s", got)
	}
	if got := l.InitAddrs(); len(got) != 4 || int64(got[0]) != l.stub(t, "b") {
		t.Errorf("addresses %#x", got)
	}
}

func TestMachines(t *testing.T) {
	if _, err := NewLink(&linkgraph.Graph{Machine: elf.EM_RISCV}); err == nil {
		t.Error("no error for a machine without table")
	}
}
