package linkgraph

import (
	"bytes"
	"debug/elf"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"livejit/internal/elfobj"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// compile runs clang on a source and reads the object.
func compile(t testing.TB, source, ext string, args ...string) *elfobj.File {
	t.Helper()
	clang, err := exec.LookPath("clang-22")
	if err != nil {
		t.Skip("clang-22 is not installed")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"+ext), filepath.Join(dir, "out.o")
	if err := os.WriteFile(in, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if msg, err := exec.Command(clang, append(args, "-c", "-o", out, in)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elfobj.Read("test.o", data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func build(t testing.TB, source string) *Graph {
	t.Helper()
	g, err := Build(compile(t, source, ".s", "--target=x86_64-linux-gnu"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func symbol(t testing.TB, g *Graph, name string) *Symbol {
	t.Helper()
	i := slices.IndexFunc(g.Symbols, func(s Symbol) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no symbol %s", name)
	}
	return &g.Symbols[i]
}

// TestGolden dumps the graphs of testdata/*.s; `go test ./internal/linkgraph -update` writes the expected text anew.
func TestGolden(t *testing.T) {
	sources, err := filepath.Glob("testdata/*.s")
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources in testdata")
	}
	for _, path := range sources {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			target := "--target=x86_64-linux-gnu"
			if strings.Contains(path, "aarch64") {
				target = "--target=aarch64-linux-gnu"
			}
			f := compile(t, string(source), ".s", target)
			var first []byte
			for range 2 {
				g, err := Build(f)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if err := g.Dump(&out); err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = out.Bytes()
				} else if !bytes.Equal(first, out.Bytes()) {
					t.Error("two builds of one object differ")
				}
			}
			golden := strings.TrimSuffix(path, ".s") + ".golden"
			if *update {
				if err := os.WriteFile(golden, first, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, want) {
				t.Errorf("graph differs from %s; got\n%s", golden, first)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	g := build(t, `
.section .rodata.str1.1,"aMS",@progbits,1
.La: .string "same"
.Lb: .string "other"
.Lunused: .string "unused"
.section .rodata.more,"aMS",@progbits,1
.Lc: .string "same"
.section .rodata.str4.4,"aMS",@progbits,4
.p2align 2
.Lw: .long 1, 2, 0
.Lx: .long 3, 0
.section .rodata.cst8,"aM",@progbits,8
.Lp: .quad 5
.Lq: .quad 6
.Lr: .quad 5
.section .rodata.open,"aMS",@progbits,1
.Lo: .ascii "no end"
.data
.globl d
d: .quad .La, .Lb+2, .Lc, .Lw+4, .Lx, .Lq, .Lr, .Lp+1, .Lo+3
`)
	type at struct {
		block  BlockID
		offset uint64
	}
	var places []at
	for _, e := range g.Blocks[symbol(t, g, "d").Block].Edges {
		s := &g.Symbols[e.Target]
		places = append(places, at{s.Block, s.Offset + uint64(e.Addend)})
	}
	contents := func(i int) string { return string(g.Blocks[places[i].block].Data) }
	for i, want := range []struct {
		data   string
		offset uint64
	}{{"same\x00", 0}, {"other\x00", 2}, {"same\x00", 0}, {"\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00", 4}, {"\x03\x00\x00\x00\x00\x00\x00\x00", 0},
		{"\x06\x00\x00\x00\x00\x00\x00\x00", 0}, {"\x05\x00\x00\x00\x00\x00\x00\x00", 0}, {"\x05\x00\x00\x00\x00\x00\x00\x00", 1}, {"no end", 3}} {
		if contents(i) != want.data || places[i].offset != want.offset {
			t.Errorf("reference %d leads to %q+%d, want %q+%d", i, contents(i), places[i].offset, want.data, want.offset)
		}
	}
	if places[0].block != places[2].block || places[6].block != places[7].block {
		t.Error("equal elements were not merged")
	}
	if slices.ContainsFunc(g.Blocks, func(b Block) bool { return string(b.Data) == "unused\x00" }) {
		t.Error("an element without use has a block")
	}
}

func TestFunctionReferencesByPlace(t *testing.T) {
	g := build(t, `
.text
.type first,@function
first: ret
.type second,@function
second: leaq first(%rip), %rax
 ret
.globl strong
.type strong,@function
strong:
.type local_alias,@function
local_alias: ret
.section .data.rel.ro.d,"aw",@progbits
.globl d
d: .quad first, second, second+1, local_alias
 .long second-.
.section .text.other,"ax",@progbits
.globl other
.type other,@function
other: call second
 leaq first(%rip), %rax
 jmp second+1
.section .rodata.table,"a",@progbits
.globl table
table: .long .Lin-table
 .long .Lin-table
.text
.Lin: nop
`)
	targets := func(name string) string {
		var out []string
		for _, e := range g.Blocks[symbol(t, g, name).Block].Edges {
			s := g.SymbolName(e.Target)
			if a := e.Addend + pcBias(g.Machine, g.MemoryOf(symbol(t, g, name).Block), e.Kind); a != 0 {
				s += addend(a)
			}
			out = append(out, s)
		}
		return strings.Join(out, " ")
	}
	for name, want := range map[string]string{
		"d":     "first second .text+0x2 local_alias .text+0x1",
		"other": "second first .text+0x2",
		"table": ".text+0xa .text+0xe",
	} {
		// The name of a block is its root's.
		got := strings.ReplaceAll(targets(name), "strong+", ".text+")
		if name == "d" {
			got = strings.ReplaceAll(got, "second+", ".text+")
		}
		if got != want {
			t.Errorf("%s refers to %s, want %s", name, got, want)
		}
	}
	if s := symbol(t, g, "second"); !s.Called || !s.AddressTaken || !g.IsFunction(SymbolID(slices.IndexFunc(g.Symbols, func(x Symbol) bool { return x.Name == "second" }))) {
		t.Errorf("second: %+v", s)
	}
}

func TestUndefine(t *testing.T) {
	g := build(t, ".weak a\n.type a,@object\n.data\na: .quad used\n.globl b\n.type b,@object\nb: .quad 2\n.section .data.c,\"aw\"\n.globl c\n.type c,@object\nc: .quad onlyc\n.globl t\n.text\nt: leaq c(%rip), %rax\n leaq a(%rip), %rax")
	names := func() string {
		var out []string
		for _, s := range g.UndefinedSymbols() {
			out = append(out, g.Symbols[s].Name)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	id := func(name string) SymbolID {
		return SymbolID(slices.IndexFunc(g.Symbols, func(s Symbol) bool { return s.Name == name }))
	}
	if got := names(); got != "onlyc used" {
		t.Errorf("undefined: %s", got)
	}
	block := symbol(t, g, "a").Block
	g.Undefine(id("a"))
	if g.Blocks[block].Discarded || g.BlockName(block) != "b" {
		t.Errorf("block of a and b: discarded %v, root %s", g.Blocks[block].Discarded, g.BlockName(block))
	}
	g.Undefine(id("c"))
	if got := names(); got != "a c used" {
		t.Errorf("undefined: %s", got)
	}
	g.Undefine(id("b"))
	if !g.Blocks[block].Discarded {
		t.Error("block without names is still there")
	}
	if s, offset, ok := g.Rebound(block); !ok || s != id("b") || offset != 8 {
		t.Errorf("block stands for %d+%d, %v", s, offset, ok)
	}
	g.Undefine(id("b")) // again: nothing to do
}

func TestBuildErrors(t *testing.T) {
	text := elfobj.Section{Name: ".text", Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, Size: 4, Align: 16, Data: make([]byte, 4), Group: -1}
	object := func(change func(f *elfobj.File)) *elfobj.File {
		f := &elfobj.File{Name: "bad.o", Machine: elf.EM_X86_64, Sections: []elfobj.Section{{Group: -1}, text}, Symbols: []elfobj.Symbol{{}, {Name: "f", Section: 1}}}
		change(f)
		return f
	}
	for _, c := range []struct {
		name, want string
		change     func(f *elfobj.File)
	}{
		{"machine", "cannot link code for EM_RISCV", func(f *elfobj.File) { f.Machine = elf.EM_RISCV }},
		{"writable code", "both writable and executable", func(f *elfobj.File) { f.Sections[1].Flags |= elf.SHF_WRITE }},
		{"alignment", "section alignment 3", func(f *elfobj.File) { f.Sections[1].Align = 3 }},
		{"huge section", "section of 8589934592 bytes", func(f *elfobj.File) { f.Sections[1].Size, f.Sections[1].Data = 1<<33, nil }},
		{"relocation of nothing", "without contents", func(f *elfobj.File) {
			f.Sections[1].Type, f.Sections[1].Data, f.Sections[1].Relocs = elf.SHT_NOBITS, nil, []elfobj.Reloc{{Type: 1, Sym: 1}}
		}},
		{"relocation type", "relocation type 70000", func(f *elfobj.File) { f.Sections[1].Relocs = []elfobj.Reloc{{Type: 70000, Sym: 1}} }},
		{"symbol index", "against symbol 9", func(f *elfobj.File) { f.Sections[1].Relocs = []elfobj.Reloc{{Type: 1, Sym: 9}} }},
		{"huge common", "common symbol of", func(f *elfobj.File) {
			f.Symbols[1] = elfobj.Symbol{Name: "c", Section: elfobj.Common, Size: 1 << 40}
		}},
		{"common alignment", "alignment 3 of a common symbol", func(f *elfobj.File) {
			f.Symbols[1] = elfobj.Symbol{Name: "c", Section: elfobj.Common, Size: 1, Value: 3}
		}},
		{"unwind records", "cannot read unwind information", func(f *elfobj.File) {
			f.Sections[1].Name, f.Sections[1].Flags, f.Sections[1].Data = ".eh_frame", elf.SHF_ALLOC, []byte{9, 9, 9, 9}
		}},
	} {
		_, err := Build(object(c.change))
		var be *BuildError
		if !errors.As(err, &be) || !strings.Contains(err.Error(), c.want) || be.Object != "bad.o" {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Build(object(func(*elfobj.File) {})); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"f.cold": true, "f.cold.12": true, "f.colder": false, "f": false, ".cold": false, "f.__part.1": true, "f.cold.x": false} {
		if isPart(name) != want {
			t.Errorf("isPart(%q) is %v", name, !want)
		}
	}
	for name, want := range map[string]bool{".L1": true, "": true, "$x": true, "$d.5": true, "$xy": false, "main": false, "$": false} {
		if isLocalLabel(name) != want {
			t.Errorf("isLocalLabel(%q) is %v", name, !want)
		}
	}
	for name, want := range map[string]string{"__start_set": "set", "__stop_set": "set", "__start_": "", "__start_a-b": "", "__start_1x": "", "__stxxt": ""} {
		if got, _, ok := boundOf(name); got != want && ok || ok != (want != "") {
			t.Errorf("boundOf(%q) is %q, %v", name, got, ok)
		}
	}
}
