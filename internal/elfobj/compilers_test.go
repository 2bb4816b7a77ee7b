package elfobj

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const luaArchive = "/usr/lib/x86_64-linux-gnu/liblua5.4.a"

const sourceC = `
extern int puts(const char *), printf(const char *, ...);
extern __thread int counter;
_Thread_local long own = 3;
int common[10];
static int zeroes[1000];
const char *table[] = {"one", "two", "three"};
__attribute__((weak)) int weak(void) { return zeroes[3]; }
__attribute__((visibility("hidden"))) int hidden(int i) { counter += i; return own + common[i]; }
__attribute__((constructor(200))) static void start(void) { puts(table[1]); }
__attribute__((cold, noinline)) static void fail(void) { printf("%d\n", weak()); }
int run(int n) {
	switch (n) { case 0: return 4; case 1: return hidden(1); case 2: return 77; case 3: return -9; case 4: fail(); case 5: return weak(); }
	return n;
}
`

const sourceCXX = `
#include <stdexcept>
#include <vector>
template <class T> struct Box { T v; virtual ~Box() {} virtual T get() { return v; } };
inline int shared() { static int n; return ++n; }
int run(int n) {
	std::vector<int> v(n);
	Box<int> b; b.v = n; Box<long> c; c.v = n;
	try { if (v.at(3) > shared()) throw std::runtime_error("x"); } catch (const std::exception &) { return b.get(); }
	return c.get();
}
`

// TestCompilers reads what compilers write and compares with debug/elf's
// reading of it.
func TestCompilers(t *testing.T) {
	sources := map[string]string{"x.c": sourceC, "x.cc": sourceCXX}
	tests := []struct {
		source string
		args   string
	}{
		{"x.c", "gcc -O0"},
		{"x.c", "gcc -O2 -g -fPIC -ffunction-sections -fdata-sections"},
		{"x.c", "gcc -O2 -g -gz=zlib -fcommon -fno-pic"},
		{"x.c", "gcc -O2 -mcmodel=large -fcommon"},
		{"x.c", "clang-22 -O0"},
		{"x.c", "clang-22 -O2 -g -fPIC -ffunction-sections -fdata-sections"},
		{"x.c", "clang-22 -O2 -g -gz=zlib -fcommon -fno-pic"},
		{"x.c", "clang-22 -O2 -g -gz=zstd -ftls-model=local-dynamic -fPIC"},
		{"x.c", "clang-22 -O2 -mcmodel=large -fno-plt -fPIC"},
		{"x.c", "clang-22 -O2 -g --target=aarch64-linux-gnu -fPIC"},
		{"x.c", "clang-22 -O1 -fstack-size-section -faddrsig -fbasic-block-address-map"},
		{"x.cc", "gcc -O0 -g"},
		{"x.cc", "gcc -O2 -fPIC -ffunction-sections"},
		{"x.cc", "clang-22 -O0 -g -fPIC"},
		{"x.cc", "clang-22 -O2 -fno-pic -ffunction-sections -fno-unique-section-names"},
	}
	for _, test := range tests {
		t.Run(test.args+" "+test.source, func(t *testing.T) {
			data := compile(t, test.source, sources[test.source], strings.Fields(test.args)...)
			if _, err := compare(data); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCREL compares an object with compact relocations with the same one with
// plain relocations.
func TestCREL(t *testing.T) {
	read := func(args ...string) map[string][]Reloc {
		f, err := Read("x.o", compile(t, "x.c", sourceC, append([]string{"clang-22", "-O2", "-g", "-ffunction-sections"}, args...)...))
		if err != nil {
			t.Fatal(err)
		}
		relocs := map[string][]Reloc{}
		for _, s := range f.Sections {
			if s.Relocs != nil {
				relocs[s.Name] = s.Relocs
			}
		}
		return relocs
	}
	plain := read()
	compact := read("-Wa,--crel,--allow-experimental-crel")
	// Symbols have other names' offsets but the same order, so that all is equal.
	if len(plain) < 5 || !reflect.DeepEqual(plain, compact) {
		t.Errorf("relocations differ:\nplain   %v\ncompact %v", plain, compact)
	}
}

func TestDamagedCREL(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want string // "": good
	}{
		{"none", []byte{0}, ""},
		{"one", []byte{1<<3 | 4, 1 << 3}, ""},
		{"header", nil, "bad header of compact relocations"},
		{"open header", []byte{0x80}, "bad header of compact relocations"},
		{"count", []byte{3<<3 | 4, 0}, "3 compact relocations do not fit 0x2 bytes"},
		{"huge count", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, "do not fit"},
		{"truncated", []byte{1<<3 | 4, 1}, "relocation 0: compact relocation is truncated"},
		{"open offset", []byte{1<<3 | 4, 0x80}, "relocation 0: compact relocation is truncated"},
		{"long number", []byte{1<<3 | 4, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, "out of range"},
		{"symbol", []byte{1<<3 | 4, 1, 1}, "relocation 0: symbol index 1 of 0 symbols"},
		{"negative symbol", []byte{1<<3 | 4, 1, 0x7f}, "relocation 0: symbol index 4294967295"},
		{"offset", []byte{1<<3 | 7, 2 << 3}, "offset 0x10 is outside"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := testObject{sections: []testSection{
				{name: ".data", typ: elf.SHT_PROGBITS, data: make([]byte, 8)},
				{name: ".crel.data", typ: SHT_CREL, data: test.data, info: 1, ent: 1},
			}}
			_, err := Read("x.o", o.bytes())
			if test.want != "" {
				wantFormatError(t, err, "x.o", test.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAssembledSections reads an object of 70,000 sections made by clang.
func TestAssembledSections(t *testing.T) {
	const n = 70_000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ".section .t%d,\"ax\",@progbits\nf%d: .quad f%d\n", i, i, (i+1)%n)
	}
	data := compile(t, "x.s", b.String(), "clang-22", "--target=x86_64-linux-gnu")
	f, err := Read("x.o", data)
	if err != nil {
		t.Fatal(err)
	}
	// Which sections each symbol and relocation is in, by names.
	found := 0
	for i := range f.Sections {
		s := &f.Sections[i]
		var k int
		if _, err := fmt.Sscanf(s.Name, ".t%d", &k); err != nil {
			continue
		}
		found++
		if len(s.Relocs) != 1 {
			t.Fatalf("%s has relocations %v", s.Name, s.Relocs)
		}
		sym := f.Symbols[s.Relocs[0].Sym]
		if want := fmt.Sprintf(".t%d", (k+1)%n); f.Sections[sym.Section].Name != want {
			t.Fatalf("relocation of %s is against %q in %s", s.Name, sym.Name, f.Sections[sym.Section].Name)
		}
	}
	if found != n {
		t.Errorf("%d sections found, want %d", found, n)
	}
}

// TestNotRelocatable reads other files of the toolchain.
func TestNotRelocatable(t *testing.T) {
	const source = "int f(void) { return 1; }"
	tests := []struct {
		name, args, want string
	}{
		{"shared", "gcc -shared -fPIC x.c -o out", "is a shared library"},
		{"executable", "gcc -no-pie -nostdlib -Wl,-ef x.c -o out", "is an executable"},
		{"bitcode", "clang-22 -emit-llvm -c x.c -o out", "is not an ELF object but LLVM bitcode"},
		{"i386", "clang-22 -m32 -c x.c -o out", "is for 32-bit processors"},
		{"x32", "clang-22 -mx32 -c x.c -o out", "is for 32-bit processors"},
		{"big-endian", "clang-22 --target=aarch64_be-linux-gnu -c x.c -o out", "is not little-endian"},
		{"RISC-V", "clang-22 --target=riscv64-linux-gnu -c x.c -o out", "is for machine EM_RISCV"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "x.c"), []byte(source), 0o666); err != nil {
				t.Fatal(err)
			}
			run(t, dir, strings.Fields(test.args)...)
			_, err := Read("out", readFile(t, filepath.Join(dir, "out")))
			wantFormatError(t, err, "out", test.want)
		})
	}
}

// TestLua compares every member of an installed archive with debug/elf's reading.
func TestLua(t *testing.T) {
	data, err := os.ReadFile(luaArchive)
	if err != nil {
		t.Skip(err)
	}
	a, err := ReadArchive("liblua5.4.a", data)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Members) < 30 {
		t.Errorf("%d members", len(a.Members))
	}
	defined := map[string]int{}
	for i, m := range a.Members {
		f, err := compare(m.Data)
		if err != nil {
			t.Errorf("%s: %v", a.Path(i), err)
			continue
		}
		for _, s := range f.Symbols {
			if _, ok := defined[s.Name]; !ok && s.Bind != elf.STB_LOCAL && s.Section != Undef {
				defined[s.Name] = i
			}
		}
	}
	if !reflect.DeepEqual(a.Index, defined) {
		t.Errorf("index is %v\nwant %v", a.Index, defined)
	}
}

// compare reads an object and says how the result differs from debug/elf's.
func compare(data []byte) (*File, error) {
	got, err := Read("x.o", data)
	if err != nil {
		return nil, err
	}
	want, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("debug/elf: %v", err)
	}
	if got.Machine != want.Machine || len(got.Sections) != len(want.Sections) {
		return nil, fmt.Errorf("machine %v, %d sections; want %v, %d", got.Machine, len(got.Sections), want.Machine, len(want.Sections))
	}
	for i := range got.Sections {
		if err := compareSection(&got.Sections[i], want.Sections[i]); err != nil {
			return nil, fmt.Errorf("section %d: %w", i, err)
		}
	}
	if err := compareSymbols(got, want); err != nil {
		return nil, err
	}
	return got, compareRelocs(got, want)
}

func compareSection(got *Section, want *elf.Section) error {
	type header struct {
		Name                 string
		Type                 elf.SectionType
		Flags                elf.SectionFlag
		Size, Align, Entsize uint64
		Link, Info           uint32
	}
	g := header{got.Name, got.Type, got.Flags, got.Size, got.Align, got.Entsize, got.Link, got.Info}
	w := header{want.Name, want.Type, want.Flags &^ elf.SHF_COMPRESSED, want.Size, want.Addralign, want.Entsize, want.Link, want.Info}
	if g != w {
		return fmt.Errorf("header %+v, want %+v", g, w)
	}
	if got.Type == elf.SHT_NOBITS || got.Type == elf.SHT_NULL {
		return nil
	}
	data, err := want.Data()
	if err != nil {
		return err
	}
	if !bytes.Equal(got.Data, data) {
		return fmt.Errorf("data of %s differs", got.Name)
	}
	return nil
}

func compareSymbols(got *File, want *elf.File) error {
	symbols, err := want.Symbols()
	if err != nil {
		return err
	}
	if len(got.Symbols) != len(symbols)+1 {
		return fmt.Errorf("%d symbols, want %d", len(got.Symbols), len(symbols)+1)
	}
	for i, w := range symbols {
		g := got.Symbols[i+1]
		section := int32(w.Section)
		switch w.Section {
		case elf.SHN_ABS:
			section = Abs
		case elf.SHN_COMMON, 0xff02:
			section = Common
		}
		if w := (Symbol{w.Name, w.Value, w.Size, section, elf.ST_BIND(w.Info), elf.ST_TYPE(w.Info), elf.ST_VISIBILITY(w.Other)}); g != w {
			return fmt.Errorf("symbol %d is %+v, want %+v", i+1, g, w)
		}
	}
	return nil
}

func compareRelocs(got *File, want *elf.File) error {
	relocs := make([][]Reloc, len(got.Sections))
	for _, s := range want.Sections {
		if s.Type != elf.SHT_RELA {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return err
		}
		for _, e := range readRela64(data) {
			relocs[s.Info] = append(relocs[s.Info], Reloc{e.Off, e.Addend, elf.R_TYPE64(e.Info), elf.R_SYM64(e.Info)})
		}
	}
	for i, s := range got.Sections {
		if len(s.Relocs) != len(relocs[i]) || len(s.Relocs) > 0 && !reflect.DeepEqual(s.Relocs, relocs[i]) {
			return fmt.Errorf("relocations of %s are %v, want %v", s.Name, s.Relocs, relocs[i])
		}
	}
	return nil
}

func readRela64(data []byte) []elf.Rela64 {
	entries := make([]elf.Rela64, len(data)/relaSize)
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, entries); err != nil {
		panic(err)
	}
	return entries
}
