package elfobj

import (
	"debug/elf"
	"errors"
	"testing"
)

// checkMemory fails the test if read allocates more than an input of n bytes
// can account for: some bytes each for a result, the decompressed sections, and
// the fixed cost of decoders.
func checkMemory(t *testing.T, n int, read func()) {
	t.Helper()
	const decoders = 2 << 20
	limit := 64*uint64(n) + decompressLimit(n) + decoders
	if got := allocated(read); got > limit {
		t.Errorf("%d bytes allocated for %d bytes of input", got, n)
	}
}

// Run the fuzz targets with -fuzzminimizetime 10x: inputs are objects, and Go's
// minimizer can spend the whole fuzz time on the first of them.

func FuzzRead(f *testing.F) {
	small := smallObject()
	f.Add(small.bytes())
	small.machine = elf.EM_AARCH64
	f.Add(small.bytes())
	for _, kind := range []elf.CompressionType{elf.COMPRESS_ZLIB, elf.COMPRESS_ZSTD} {
		f.Add(testObject{sections: []testSection{{name: ".debug_info", typ: elf.SHT_PROGBITS, flags: uint64(elf.SHF_COMPRESSED), data: compressed(f, kind, make([]byte, 100), 100)}}}.bytes())
	}
	f.Add(testObject{sections: []testSection{
		{name: ".data", typ: elf.SHT_PROGBITS, data: make([]byte, 8)},
		{name: ".crel.data", typ: SHT_CREL, data: []byte{2<<3 | 4, 7, 0, 1, 5, 2, 1}, info: 1},
		{name: ".rel.data", typ: elf.SHT_REL, data: relBytes(4, 0, uint32(elf.R_X86_64_32)), info: 1, ent: relSize},
		{name: ".strtab", typ: elf.SHT_STRTAB, data: []byte("\x00a\x00")},
		{name: ".symtab", typ: elf.SHT_SYMTAB, link: 4, ent: symbolSize, data: join(make([]byte, symbolSize), symbolBytes(1, 0x10, 0, 0xffff, 0, 0))},
		{name: ".symtab_shndx", typ: elf.SHT_SYMTAB_SHNDX, link: 5, data: words(0, 1)},
	}}.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		checkMemory(t, len(data), func() { file, err = Read("x.o", data) })
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || err.Error() == "" {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		checkFile(t, file)
	})
}

// checkFile verifies what the package promises of a File.
func checkFile(t *testing.T, f *File) {
	for i := range f.Sections {
		s := &f.Sections[i]
		if s.Data != nil && uint64(len(s.Data)) != s.Size {
			t.Errorf("section %d: %d bytes of data, size %d", i, len(s.Data), s.Size)
		}
		if s.Group < -1 || int(s.Group) >= len(f.Groups) || !isAlignment(s.Align) || s.Size >= addressSpace {
			t.Errorf("section %d: %+v", i, *s)
		}
		for _, r := range s.Relocs {
			if r.Offset > s.Size || r.Sym != 0 && int(r.Sym) >= len(f.Symbols) {
				t.Errorf("section %d: %+v", i, r)
			}
		}
	}
	for i := range f.Symbols {
		if s := &f.Symbols[i]; s.Section < Common || int(s.Section) >= len(f.Sections) {
			t.Errorf("symbol %d: %+v", i, *s)
		}
	}
	for i := range f.Groups {
		for _, m := range f.Groups[i].Members {
			if m == 0 || int(m) >= len(f.Sections) || f.Sections[m].Group != int32(i) {
				t.Errorf("group %d: %+v", i, f.Groups[i])
			}
		}
	}
}

func FuzzReadArchive(f *testing.F) {
	f.Add(archiveBytes())
	f.Add(archiveBytes(testMember{"/", bigEndian(1, 82) + "f\x00"}, testMember{"a.o/", "1"}))
	f.Add(archiveBytes(testMember{"//", "a long name.o/\n"}, testMember{"/0", string(smallObject().bytes())}))
	f.Add(archiveBytes(testMember{"__.SYMDEF", string(words(8, 0, 88, 2)) + "f\x00"}, testMember{"#1/4", "a.o\x001"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a *Archive
		var err error
		checkMemory(t, len(data), func() { a, err = ReadArchive("x.a", data) })
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || err.Error() == "" {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		for name, i := range a.Index {
			if i < 0 || i >= len(a.Members) {
				t.Errorf("symbol %q is in member %d of %d", name, i, len(a.Members))
			}
		}
	})
}
