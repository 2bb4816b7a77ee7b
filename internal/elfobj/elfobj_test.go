package elfobj

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestReadSmall(t *testing.T) {
	data := smallObject().bytes()
	f, err := Read("small.o", data)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "small.o" || f.Machine != elf.EM_X86_64 || len(f.Sections) != smallNames+1 {
		t.Errorf("file is %q, %v, %d sections", f.Name, f.Machine, len(f.Sections))
	}
	wantSymbols := []Symbol{
		{},
		{Section: smallText, Type: elf.STT_SECTION},
		{Name: "main", Section: smallText, Size: 6, Bind: elf.STB_GLOBAL, Type: elf.STT_FUNC, Vis: elf.STV_HIDDEN},
		{Name: "puts", Section: Undef, Bind: elf.STB_WEAK},
		{Name: "count", Section: Common, Value: 8, Size: 40, Bind: elf.STB_GLOBAL, Type: elf.STT_OBJECT},
		{Name: "limit", Section: Abs, Value: 99, Bind: elf.STB_GLOBAL},
	}
	if !reflect.DeepEqual(f.Symbols, wantSymbols) {
		t.Errorf("symbols are %+v\nwant %+v", f.Symbols, wantSymbols)
	}
	wantGroups := []Group{{Signature: "main", Symbol: 2, COMDAT: true, Members: []uint32{smallText, smallRela}}}
	if !reflect.DeepEqual(f.Groups, wantGroups) {
		t.Errorf("groups are %+v\nwant %+v", f.Groups, wantGroups)
	}
	text, dat, bss := f.Sections[smallText], f.Sections[smallData], f.Sections[smallBSS]
	if want := []Reloc{{Offset: 1, Addend: -4, Type: uint32(elf.R_X86_64_PLT32), Sym: 3}}; !reflect.DeepEqual(text.Relocs, want) {
		t.Errorf("relocations are %+v, want %+v", text.Relocs, want)
	}
	if text.Group != 0 || dat.Group != -1 || f.Sections[0].Group != -1 {
		t.Errorf("groups of .text, .data, null are %d, %d, %d", text.Group, dat.Group, f.Sections[0].Group)
	}
	if bss.Data != nil || bss.Size != 0x100000 || bss.Align != 32 {
		t.Errorf(".bss is %+v", bss)
	}
	if at := bytes.Index(data, dat.Data); &dat.Data[0] != &data[at] {
		t.Error(".data does not alias the input")
	}
}

func TestReadErrors(t *testing.T) {
	le := binary.LittleEndian
	// header gives section i's header in an object.
	header := func(b []byte, i int) []byte {
		return b[le.Uint64(b[0x28:])+uint64(i)*sectionSize:]
	}
	content := func(b []byte, i int) []byte { return b[le.Uint64(header(b, i)[0x18:]):] }
	tests := []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"empty", func(b []byte) []byte { return nil }, "x.o: is not an ELF object: it is empty"},
		{"text", func(b []byte) []byte { return []byte("int main;") }, "x.o: is not an ELF object"},
		{"archive", func(b []byte) []byte { return []byte("!<arch>\n") }, "is not an ELF object but an ar archive"},
		{"bitcode", func(b []byte) []byte { return []byte("BC\xc0\xde\x35") }, "is not an ELF object but LLVM bitcode"},
		{"wrapped bitcode", func(b []byte) []byte { return []byte("\xde\xc0\x17\x0b\x00") }, "is not an ELF object but LLVM bitcode"},
		{"only magic", func(b []byte) []byte { return b[:4] }, "x.o: ELF header at offset 0x4: truncated"},
		{"half a header", func(b []byte) []byte { return b[:40] }, "x.o: ELF header at offset 0x28: truncated"},
		{"no sections", func(b []byte) []byte { return b[:64] }, "is outside of the file"},
		{"32 bit", func(b []byte) []byte { b[4] = 1; return b }, "ELF header at offset 0x4: is for 32-bit processors; only 64-bit"},
		{"class", func(b []byte) []byte { b[4] = 7; return b }, "ELF header at offset 0x4: unknown class 7"},
		{"big-endian", func(b []byte) []byte { b[5] = 2; return b }, "ELF header at offset 0x5: is not little-endian (ELFDATA2MSB)"},
		{"version", func(b []byte) []byte { b[6] = 9; return b }, "ELF version 9 is not supported"},
		{"shared library", func(b []byte) []byte { b[0x10] = 3; return b }, "is a shared library or a position-independent executable, not a relocatable object"},
		{"executable", func(b []byte) []byte { b[0x10] = 2; return b }, "is an executable, not a relocatable object"},
		{"core", func(b []byte) []byte { b[0x10] = 4; return b }, "is a core file, not a relocatable object"},
		{"type", func(b []byte) []byte { b[0x10] = 77; return b }, "is of ELF type 77, not a relocatable object"},
		{"machine", func(b []byte) []byte { b[0x12] = 243; return b }, "ELF header at offset 0x12: is for machine EM_RISCV; supported are EM_X86_64 and EM_AARCH64"},
		{"header size", func(b []byte) []byte { b[0x3a] = 40; return b }, "section header size is 40, want 64"},
		{"no header table", func(b []byte) []byte { le.PutUint64(b[0x28:], 0); return b }, "has 9 sections but no section header table"},
		{"header table outside", func(b []byte) []byte { le.PutUint64(b[0x28:], 1<<60); return b }, "section header table at 0x1000000000000000 is outside"},
		{"header table wraps", func(b []byte) []byte { le.PutUint64(b[0x28:], math.MaxUint64-16); return b }, "is outside of the file"},
		{"too many sections", func(b []byte) []byte { le.PutUint16(b[0x3c:], 0xf000); return b }, "61440 section headers do not fit the file"},
		{"one section more", func(b []byte) []byte { le.PutUint16(b[0x3c:], smallNames+2); return b }, "goes beyond the end of the file"},
		{"huge extended count", func(b []byte) []byte {
			le.PutUint16(b[0x3c:], 0)
			le.PutUint64(header(b, 0)[0x20:], math.MaxUint64/2)
			return b
		}, "9223372036854775807 section headers do not fit the file"},
		{"name table index", func(b []byte) []byte { le.PutUint16(b[0x3e:], 50); return b }, "section name table has index 50 of 9 sections"},
		{"extended name table index", func(b []byte) []byte {
			le.PutUint16(b[0x3e:], uint16(elf.SHN_XINDEX))
			le.PutUint32(header(b, 0)[0x28:], 70000)
			return b
		}, "section name table has index 70000 of 9 sections"},
		{"name table type", func(b []byte) []byte { le.PutUint16(b[0x3e:], smallData); return b }, "section 3 at offset"},
		{"name outside", func(b []byte) []byte { le.PutUint32(header(b, 3), 1<<20); return b }, "name at 0x100000 is outside of the section name table (section 8"},
		{"name open", func(b []byte) []byte {
			n := le.Uint64(header(b, smallNames)[0x20:])
			content(b, smallNames)[n-1] = 'x'
			return b
		}, "or not terminated"},
		{"null section", func(b []byte) []byte { header(b, 0)[4] = 1; return b }, "section 0 must be the null section, not SHT_PROGBITS"},
		{"flags", func(b []byte) []byte { header(b, 1)[0x0c] = 1; return b }, "unknown section flags 0x100000206"},
		{"content outside", func(b []byte) []byte { le.PutUint64(header(b, 3)[0x18:], 1<<40); return b }, "content (0x8 bytes at 0x10000000000) goes beyond the end"},
		{"content wraps", func(b []byte) []byte { le.PutUint64(header(b, 3)[0x18:], math.MaxUint64-3); return b }, "goes beyond the end"},
		{"size", func(b []byte) []byte { le.PutUint64(header(b, 4)[0x20:], 1<<60); return b }, "size 0x1000000000000000 is more than an address space"},
		{"alignment", func(b []byte) []byte { le.PutUint64(header(b, 3)[0x30:], 24); return b }, "alignment 0x18 is not a power of two"},
		{"huge alignment", func(b []byte) []byte { le.PutUint64(header(b, 3)[0x30:], 1<<63); return b }, "is not a power of two below 1<<47"},
		{"two symbol tables", func(b []byte) []byte { header(b, smallGroup)[4] = byte(elf.SHT_SYMTAB); return b }, "second symbol table; the first is section 6"},
		{"symbol size", func(b []byte) []byte { header(b, smallSym)[0x38] = 16; return b }, "section 6 (.symtab) at offset"},
		{"part of a symbol", func(b []byte) []byte { header(b, smallSym)[0x20]--; return b }, "is not a multiple of 24"},
		{"symbol names", func(b []byte) []byte { header(b, smallSym)[0x28] = 99; return b }, "string table has index 99 of 9 sections"},
		{"symbol names' type", func(b []byte) []byte { header(b, smallSym)[0x28] = smallData; return b }, "section 3 (.data) at offset"},
		{"symbol name", func(b []byte) []byte { le.PutUint32(content(b, smallSym)[2*symbolSize:], 500); return b }, "symbol 2: name at 0x1f4 is outside"},
		{"symbol section", func(b []byte) []byte { le.PutUint16(content(b, smallSym)[2*symbolSize+6:], 500); return b }, `symbol 2: symbol "main" has section index 500 of 9 sections`},
		{"reserved section", func(b []byte) []byte { le.PutUint16(content(b, smallSym)[2*symbolSize+6:], 0xff01); return b }, `symbol 2: symbol "main" has reserved section index 0xff01`},
		{"extended section", func(b []byte) []byte { le.PutUint16(content(b, smallSym)[2*symbolSize+6:], 0xffff); return b }, "but the file has no table of those"},
		{"common alignment", func(b []byte) []byte { le.PutUint64(content(b, smallSym)[4*symbolSize+8:], 9); return b }, `alignment 0x9 of common symbol "count"`},
		{"common size", func(b []byte) []byte { le.PutUint64(content(b, smallSym)[4*symbolSize+16:], 1<<50); return b }, `size 0x4000000000000 of common symbol "count"`},
		{"relocation size", func(b []byte) []byte { header(b, smallRela)[0x38] = 16; return b }, "relocation size is 16, want 24"},
		{"part of a relocation", func(b []byte) []byte { header(b, smallRela)[0x20] = 23; return b }, "is not a multiple of 24"},
		{"relocation target", func(b []byte) []byte { header(b, smallRela)[0x2c] = 60; return b }, "relocations are for section 60 of 9"},
		{"no relocation target", func(b []byte) []byte { header(b, smallRela)[0x2c] = 0; return b }, "relocations are for section 0 of 9"},
		{"zero-fill relocation target", func(b []byte) []byte { header(b, smallRela)[0x2c] = smallBSS; return b }, "relocations are for section 4 (.bss), which has no content"},
		{"relocation symbols", func(b []byte) []byte { header(b, smallRela)[0x28] = 1; return b }, "relocations use the symbol table in section 1"},
		{"relocation symbol", func(b []byte) []byte { le.PutUint32(content(b, smallRela)[12:], 6); return b }, "section 2 (.rela.text) at offset 0x48: relocation 0: symbol index 6 of 6 symbols"},
		{"relocation offset", func(b []byte) []byte { content(b, smallRela)[0] = 7; return b }, "relocation 0: offset 0x7 is outside of section 1 (.text) (0x6 bytes)"},
		{"addend outside", func(b []byte) []byte {
			h := header(b, smallRela)
			h[4], h[0x20], h[0x38] = byte(elf.SHT_REL), relSize, relSize
			content(b, smallRela)[0] = 3
			return b
		}, "addend at offset 0x3 goes beyond the end of section 1 (.text)"},
		{"kind without an implicit addend", func(b []byte) []byte {
			h := header(b, smallRela)
			h[4], h[0x20], h[0x38] = byte(elf.SHT_REL), relSize, relSize
			content(b, smallRela)[8] = byte(elf.R_X86_64_COPY)
			return b
		}, "kind R_X86_64_COPY cannot have an addend in the section"},
		{"REL symbol", func(b []byte) []byte {
			h := header(b, smallRela)
			h[4], h[0x20], h[0x38] = byte(elf.SHT_REL), relSize, relSize
			le.PutUint32(content(b, smallRela)[12:], 77)
			return b
		}, "relocation 0: symbol index 77 of 6 symbols"},
		{"compressed names", func(b []byte) []byte {
			le.PutUint64(header(b, smallNames)[0x08:], uint64(elf.SHF_COMPRESSED))
			return b
		}, "section 8 at offset 0x368: string table is compressed"},
		{"empty group", func(b []byte) []byte { header(b, smallGroup)[0x20] = 0; return b }, "size 0x0 of the group"},
		{"group size", func(b []byte) []byte { header(b, smallGroup)[0x20] = 7; return b }, "size 0x7 of the group"},
		{"group flags", func(b []byte) []byte { content(b, smallGroup)[0] = 3; return b }, "unknown group flags 0x3"},
		{"group symbols", func(b []byte) []byte { header(b, smallGroup)[0x28] = 3; return b }, "signature of the group is in section 3"},
		{"group signature", func(b []byte) []byte { header(b, smallGroup)[0x2c] = 44; return b }, "signature of the group is symbol 44 of 6"},
		{"group member", func(b []byte) []byte { content(b, smallGroup)[4] = 44; return b }, `member of group "main" has section index 44 of 9`},
		{"group in group", func(b []byte) []byte { content(b, smallGroup)[4] = smallGroup; return b }, `member of group "main" is section 7 (.group), a group`},
		{"member twice", func(b []byte) []byte { content(b, smallGroup)[8] = smallText; return b }, `section 1 (.text) is a member of group "main" and of group "main"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := test.damage(smallObject().bytes())
			_, err := Read("x.o", data)
			wantFormatError(t, err, "x.o", test.want)
		})
	}
	t.Run("every truncation", func(t *testing.T) {
		data := smallObject().bytes()
		for n := range data {
			_, err := Read("x.o", data[:n:n])
			wantFormatError(t, err, "x.o", "x.o: ")
		}
	})
}

func wantFormatError(t *testing.T, err error, file, want string) {
	t.Helper()
	var f *FormatError
	if !errors.As(err, &f) {
		t.Fatalf("error is %v, want a *FormatError", err)
	}
	if f.File != file || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %q\nwant it to contain %q", err, want)
	}
}

func TestReadWithoutSections(t *testing.T) {
	b := testObject{}.bytes()[:headerSize]
	for _, off := range []int{0x28, 0x3c, 0x3e} {
		binary.LittleEndian.PutUint16(b[off:], 0)
	}
	f, err := Read("empty.o", b)
	if err != nil || len(f.Sections) != 0 || len(f.Symbols) != 0 {
		t.Errorf("Read = %+v, %v", f, err)
	}
}

// Without a section name table, sections have no names.
func TestReadWithoutSectionNames(t *testing.T) {
	b := smallObject().bytes()
	binary.LittleEndian.PutUint16(b[0x3e:], 0)
	f, err := Read("x.o", b)
	if err != nil {
		t.Fatal(err)
	}
	if f.Sections[smallText].Name != "" || f.Symbols[2].Name != "main" {
		t.Errorf("section is %q, symbol is %q", f.Sections[smallText].Name, f.Symbols[2].Name)
	}
	b[binary.LittleEndian.Uint64(b[0x28:])+smallRela*sectionSize+0x2c] = smallBSS
	_, err = Read("x.o", b)
	wantFormatError(t, err, "x.o", "section 2 at offset 0x20c: relocations are for section 4, which")
}

func TestGroupNamedBySectionSymbol(t *testing.T) {
	o := smallObject()
	o.sections[smallGroup-1].info = 1
	f, err := Read("x.o", o.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if g := f.Groups[0]; g.Signature != ".text" || g.Symbol != 1 {
		t.Errorf("group is %+v", g)
	}
}

func TestRelocationsWithoutSymbols(t *testing.T) {
	o := testObject{sections: []testSection{
		{name: ".data", typ: elf.SHT_PROGBITS, data: make([]byte, 8)},
		{name: ".rela.data", typ: elf.SHT_RELA, data: relaBytes(0, 0, 1, 7), info: 1, ent: relaSize},
	}}
	f, err := Read("x.o", o.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := []Reloc{{Addend: 7, Type: 1}}; !reflect.DeepEqual(f.Sections[1].Relocs, want) {
		t.Errorf("relocations are %+v, want %+v", f.Sections[1].Relocs, want)
	}
}

// Two relocation sections may be for one section; the second must not write
// over the relocations that follow the first in memory.
func TestSeveralRelocationSections(t *testing.T) {
	rela := func(target, sym uint32) testSection {
		return testSection{name: ".rela", typ: elf.SHT_RELA, data: relaBytes(0, 0, sym, 0), info: target, ent: relaSize}
	}
	data := testSection{name: ".data", typ: elf.SHT_PROGBITS, data: make([]byte, 8)}
	o := testObject{sections: []testSection{data, data, rela(1, 10), rela(2, 20), rela(1, 11), rela(1, 12), rela(2, 21)}}
	f, err := Read("x.o", o.bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]string{1: "[10 11 12]", 2: "[20 21]"} {
		var kinds []uint32
		for _, r := range f.Sections[i].Relocs {
			kinds = append(kinds, r.Type)
		}
		if fmt.Sprint(kinds) != want {
			t.Errorf("section %d has relocations %v, want %s", i, kinds, want)
		}
	}
}

// A file may claim that many relocation sections are at the same place. That
// must not multiply its relocations.
func TestOverlappingRelocations(t *testing.T) {
	for _, typ := range []elf.SectionType{elf.SHT_RELA, SHT_CREL} {
		o := testObject{sections: []testSection{{name: ".data", typ: elf.SHT_PROGBITS, data: make([]byte, 8)}}}
		for range 1000 {
			o.sections = append(o.sections, testSection{typ: elf.SHT_NOBITS, size: 24 * 2000, info: 1, ent: relaSize})
		}
		b := o.bytes()
		headers := b[binary.LittleEndian.Uint64(b[0x28:]):]
		for i := 2; i < 1002; i++ {
			binary.LittleEndian.PutUint32(headers[i*sectionSize+4:], uint32(typ))
			binary.LittleEndian.PutUint64(headers[i*sectionSize+0x18:], headerSize)
		}
		var err error
		if got := allocated(func() { _, err = Read("x.o", b) }); got > 64*uint64(len(b)) {
			t.Errorf("%v: %d bytes allocated for a file of %d", typ, got, len(b))
		}
		wantFormatError(t, err, "x.o", "relocation sections overlap")
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLargeCommon(t *testing.T) {
	for machine, ok := range map[elf.Machine]bool{elf.EM_X86_64: true, elf.EM_AARCH64: false} {
		o := testObject{machine: machine, sections: []testSection{
			{name: ".strtab", typ: elf.SHT_STRTAB, data: []byte("\x00a\x00")},
			{name: ".symtab", typ: elf.SHT_SYMTAB, link: 1, ent: symbolSize, data: join(make([]byte, symbolSize), symbolBytes(1, 0x11, 0, 0xff02, 16, 64))},
		}}
		f, err := Read("x.o", o.bytes())
		if (err == nil) != ok {
			t.Fatalf("%v: %v", machine, err)
		}
		if ok && f.Symbols[1].Section != Common {
			t.Errorf("symbol is %+v", f.Symbols[1])
		}
	}
}

func TestIsEHFrame(t *testing.T) {
	tests := []struct {
		s    Section
		m    elf.Machine
		want bool
	}{
		{Section{Name: ".eh_frame", Type: elf.SHT_PROGBITS}, elf.EM_X86_64, true},
		{Section{Name: ".eh_frame", Type: SHT_X86_64_UNWIND}, elf.EM_X86_64, true},
		{Section{Name: ".eh_frame", Type: elf.SHT_PROGBITS}, elf.EM_AARCH64, true},
		{Section{Name: ".eh_frame_hdr", Type: elf.SHT_PROGBITS}, elf.EM_X86_64, false},
		{Section{Name: ".attributes", Type: SHT_X86_64_UNWIND}, elf.EM_AARCH64, false},
		{Section{Name: ".eh_frame", Type: elf.SHT_NOBITS}, elf.EM_X86_64, false},
	}
	for _, test := range tests {
		if got := test.s.IsEHFrame(test.m); got != test.want {
			t.Errorf("%s of type %v on %v: %v", test.s.Name, test.s.Type, test.m, got)
		}
	}
}

func TestImplicitAddends(t *testing.T) {
	at := func(size int, word uint64) []byte {
		return binary.LittleEndian.AppendUint64(nil, word)[:size]
	}
	x, a := elf.EM_X86_64, elf.EM_AARCH64
	tests := []struct {
		name    string
		machine elf.Machine
		kind    uint32
		data    []byte
		want    int64
	}{
		{"none", x, uint32(elf.R_X86_64_NONE), nil, 0},
		{"64", x, uint32(elf.R_X86_64_64), at(8, 1<<63|5), math.MinInt64 + 5},
		{"PC32", x, uint32(elf.R_X86_64_PC32), at(4, 0xfffffffc), -4},
		{"16", x, uint32(elf.R_X86_64_16), at(2, 0x8000), -0x8000},
		{"PC8", x, uint32(elf.R_X86_64_PC8), at(1, 0x7f), 0x7f},
		{"APX GOT load", x, 43, at(4, 0xfffffffb), -5},
		{"ABS64", a, uint32(elf.R_AARCH64_ABS64), at(8, 12), 12},
		{"PREL32", a, uint32(elf.R_AARCH64_PREL32), at(4, 0x80000000), math.MinInt32},
		{"ABS16", a, uint32(elf.R_AARCH64_ABS16), at(2, 0xffff), -1},
		{"b .-8", a, uint32(elf.R_AARCH64_JUMP26), at(4, 0x17fffffe), -8},
		{"bl .+4", a, uint32(elf.R_AARCH64_CALL26), at(4, 0x94000001), 4},
		{"b.eq .-4", a, uint32(elf.R_AARCH64_CONDBR19), at(4, 0x54ffffe0), -4},
		{"tbz x0, #0, .-4", a, uint32(elf.R_AARCH64_TSTBR14), at(4, 0x3607ffe0), -4},
		{"ldr x0, .+8", a, uint32(elf.R_AARCH64_LD_PREL_LO19), at(4, 0x58000040), 8},
		{"adr x0, .+5", a, uint32(elf.R_AARCH64_ADR_PREL_LO21), at(4, 0x30000020), 5},
		{"adr x0, .-1", a, uint32(elf.R_AARCH64_ADR_PREL_LO21), at(4, 0x70ffffe0), -1},
		{"adrp x0, 5", a, uint32(elf.R_AARCH64_ADR_PREL_PG_HI21), at(4, 0xb0000020), 5},
		{"add x0, x0, #16", a, uint32(elf.R_AARCH64_ADD_ABS_LO12_NC), at(4, 0x91004000), 16},
		{"ldr x0, [x0, #16]", a, uint32(elf.R_AARCH64_LDST64_ABS_LO12_NC), at(4, 0xf9400800), 16},
		{"movz x0, #12345", a, uint32(elf.R_AARCH64_MOVW_UABS_G3), at(4, 0xd2860720), 12345},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Bytes before show that the offset is taken into account.
			content := append([]byte{0xaa, 0xbb, 0xcc}, test.data...)
			o := testObject{machine: test.machine, sections: []testSection{
				{name: ".text", typ: elf.SHT_PROGBITS, data: content},
				{name: ".rel.text", typ: elf.SHT_REL, data: relBytes(3, 0, test.kind), info: 1, ent: relSize},
			}}
			f, err := Read("x.o", o.bytes())
			if err != nil {
				t.Fatal(err)
			}
			want := []Reloc{{Offset: 3, Addend: test.want, Type: test.kind}}
			if got := f.Sections[1].Relocs; !reflect.DeepEqual(got, want) {
				t.Errorf("relocations are %+v, want %+v", got, want)
			}
		})
	}
}

func TestNoImplicitAddend(t *testing.T) {
	o := testObject{machine: elf.EM_AARCH64, sections: []testSection{
		{name: ".text", typ: elf.SHT_PROGBITS, data: make([]byte, 8)},
		{name: ".rel.text", typ: elf.SHT_REL, data: relBytes(0, 0, uint32(elf.R_AARCH64_ADR_GOT_PAGE)), info: 1, ent: relSize},
	}}
	_, err := Read("x.o", o.bytes())
	wantFormatError(t, err, "x.o", "relocation 0: kind R_AARCH64_ADR_GOT_PAGE cannot have an addend in the section")
}

// TestManySections reads a hand-made object with so many sections that counts
// and indices do not fit their 16 bits.
func TestManySections(t *testing.T) {
	const n = 70_000
	symbols := make([]byte, symbolSize)
	indices := words(0)
	o := testObject{}
	for i := 1; i <= n; i++ {
		o.sections = append(o.sections, testSection{name: ".s", typ: elf.SHT_PROGBITS, data: []byte{byte(i)}})
		shndx := uint16(elf.SHN_XINDEX)
		if i < int(elf.SHN_LORESERVE) {
			shndx = uint16(i)
		}
		symbols = append(symbols, symbolBytes(1, 0x10, 0, shndx, 0, 0)...)
		indices = append(indices, words(uint32(i))...)
	}
	o.sections = append(o.sections,
		testSection{name: ".strtab", typ: elf.SHT_STRTAB, data: []byte("\x00f\x00")},
		testSection{name: ".symtab", typ: elf.SHT_SYMTAB, link: n + 1, ent: symbolSize, data: symbols},
		testSection{name: ".symtab_shndx", typ: elf.SHT_SYMTAB_SHNDX, link: n + 2, ent: 4, data: indices},
	)
	b := o.bytes()
	f, err := Read("x.o", b)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Sections) != n+5 || len(f.Symbols) != n+1 {
		t.Fatalf("%d sections, %d symbols", len(f.Sections), len(f.Symbols))
	}
	for i := 1; i <= n; i++ {
		if f.Symbols[i].Section != int32(i) || f.Sections[i].Data[0] != byte(i) {
			t.Fatalf("symbol %d has section %d, which has data %v", i, f.Symbols[i].Section, f.Sections[i].Data)
		}
	}

	bad := func(name, want string, change func(s []testSection)) {
		t.Run(name, func(t *testing.T) {
			p := testObject{sections: append([]testSection(nil), o.sections...)}
			change(p.sections)
			_, err := Read("x.o", p.bytes())
			wantFormatError(t, err, "x.o", want)
		})
	}
	bad("short table", "extended section indices have size", func(s []testSection) { s[n+2].data = s[n+2].data[:8] })
	bad("other symbol table", "which is not the symbol table", func(s []testSection) { s[n+2].link = 1 })
	bad("two tables", "second table of extended section indices", func(s []testSection) { s[0].typ = elf.SHT_SYMTAB_SHNDX })
	bad("no symbol table", "extended section indices without a symbol table", func(s []testSection) { s[n+1].typ = elf.SHT_PROGBITS })
	bad("index", "has section index 4294967295", func(s []testSection) {
		s[n+2].data = append(bytes.Clone(indices[:n*4]), words(math.MaxUint32)...)
	})
}
