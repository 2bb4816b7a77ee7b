package jitlink

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"testing"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
)

// synthetic makes an object of n functions, each in a section of its own with an FDE, that call two others, load a GOT entry and
// use a string of their own.
func synthetic(n int) *elfobj.File {
	f := &elfobj.File{Name: "synthetic.o", Machine: elf.EM_X86_64, Sections: []elfobj.Section{{Group: -1}}, Symbols: []elfobj.Symbol{{}}}
	code := make([]byte, 48)
	copy(code, []byte{0xe8, 0, 0, 0, 0, 0xff, 0x15, 0, 0, 0, 0, 0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xc3})
	var text []byte
	frame := []byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0xc, 7, 8, 0x90, 1, 0, 0}
	var frameRelocs []elfobj.Reloc
	host := uint32(1)
	f.Symbols = append(f.Symbols, elfobj.Symbol{Name: "host_function", Bind: elf.STB_GLOBAL})
	str := uint32(2)
	f.Symbols = append(f.Symbols, elfobj.Symbol{Section: 1, Type: elf.STT_SECTION})
	f.Sections = append(f.Sections, elfobj.Section{}, elfobj.Section{})
	first := uint32(3)
	for i := range n {
		section := int32(len(f.Sections))
		callee := func(k int) uint32 { return first + uint32((i*7+k)%n) }
		text = append(text, fmt.Sprintf("string %d\x00", i)...)
		f.Sections = append(f.Sections, elfobj.Section{Name: fmt.Sprintf(".text.f%d", i), Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR,
			Size: 48, Align: 16, Data: code, Group: -1, Relocs: []elfobj.Reloc{
				{Offset: 1, Type: 4, Sym: callee(1), Addend: -4}, {Offset: 7, Type: 41, Sym: callee(2), Addend: -4},
				{Offset: 14, Type: 42, Sym: host, Addend: -4}, {Offset: 21, Type: 2, Sym: str, Addend: int64(len(text)) - 4 - int64(len(fmt.Sprintf("string %d\x00", i)))}}})
		f.Symbols = append(f.Symbols, elfobj.Symbol{Name: fmt.Sprintf("f%d", i), Section: section, Size: 48, Bind: elf.STB_GLOBAL, Type: elf.STT_FUNC})
		at := len(frame)
		frame = binary.LittleEndian.AppendUint32(frame, 20)
		frame = binary.LittleEndian.AppendUint32(frame, uint32(at+4))
		frame = append(frame, make([]byte, 16)...)
		frame[at+12] = 48
		frameRelocs = append(frameRelocs, elfobj.Reloc{Offset: uint64(at + 8), Type: 2, Sym: first + uint32(i)})
	}
	f.Sections[1] = elfobj.Section{Name: ".rodata.str1.1", Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC | elf.SHF_MERGE | elf.SHF_STRINGS, Entsize: 1, Size: uint64(len(text)), Align: 1, Data: text, Group: -1}
	f.Sections[2] = elfobj.Section{Name: ".eh_frame", Type: elf.SHT_PROGBITS, Flags: elf.SHF_ALLOC, Size: uint64(len(frame)), Align: 8, Data: frame, Relocs: frameRelocs, Group: -1}
	return f
}

// benchMemory gives out addresses only.
type benchMemory struct{ next [3]uint64 }

func (m *benchMemory) Allocate(r Request) (Span, error) {
	addr := alignUp(m.next[r.Memory], max(r.Align, 16))
	m.next[r.Memory] = addr + r.Size
	return Span{Addr: addr, Size: r.Size, Memory: r.Memory}, nil
}
func (m *benchMemory) Write(Span, uint64, []byte) error { return nil }
func (m *benchMemory) Free(Span) error                  { return nil }

// benchmarkLink measures Build alone, up to Plan, and the whole link.
func benchmarkLink(b *testing.B, f *elfobj.File) {
	for upTo, name := range []string{"Build", "Plan", "All"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := linkUpTo(f, upTo); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func linkUpTo(f *elfobj.File, upTo int) error {
	g, err := linkgraph.Build(f)
	if err != nil || upTo == 0 {
		return err
	}
	l, err := NewLink(g)
	if err != nil {
		return err
	}
	r := &resolver{g}
	r.mark()
	if err := l.Plan(Options{Far: r.far}); err != nil || upTo == 1 {
		return err
	}
	m := benchMemory{next: [3]uint64{0x1000_0000, 0x1800_0000, 0x1c00_0000}}
	if err := l.Allocate(&m); err != nil {
		return err
	}
	r.fill()
	if err := l.FixUp(); err != nil {
		return err
	}
	return l.Write()
}

func BenchmarkSQLite(b *testing.B) {
	f, err := elfobj.Read("sqlite.o", sqlite(b))
	if err != nil {
		b.Fatal(err)
	}
	benchmarkLink(b, f)
}

func BenchmarkFunctions(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000, 100_000} {
		f := synthetic(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkLink(b, f) })
	}
}
