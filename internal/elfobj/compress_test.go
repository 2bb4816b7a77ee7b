package elfobj

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// compressed returns the content of a SHF_COMPRESSED section.
func compressed(t testing.TB, kind elf.CompressionType, plain []byte, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(words(uint32(kind), 0))
	b.Write(binary.LittleEndian.AppendUint64(nil, size))
	b.Write(binary.LittleEndian.AppendUint64(nil, 16))
	switch kind {
	case elf.COMPRESS_ZLIB:
		z := zlib.NewWriter(&b)
		z.Write(plain)
		z.Close()
	case elf.COMPRESS_ZSTD:
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(plain)
		z.Close()
	default:
		b.Write(plain)
	}
	return b.Bytes()
}

func TestCompressed(t *testing.T) {
	plain := bytes.Repeat([]byte("a debug section "), 1000)
	n := uint64(len(plain))
	bomb := make([]byte, 8<<20)
	flip := func(b []byte, at int) []byte { b[at] ^= 0xff; return b }
	both := []elf.CompressionType{elf.COMPRESS_ZLIB, elf.COMPRESS_ZSTD}
	for _, kind := range both {
		tests := []struct {
			name  string
			data  []byte
			flags elf.SectionFlag
			typ   elf.SectionType
			want  string
		}{
			{name: "good", data: compressed(t, kind, plain, n)},
			{name: "empty", data: compressed(t, kind, nil, 0)},
			{name: "short", data: compressed(t, kind, plain, n+1), want: "decompress 0x3e81 bytes"},
			{name: "long", data: compressed(t, kind, plain, n-1), want: "longer than its header says"},
			{name: "truncated", data: compressed(t, kind, plain, n)[:60], want: "decompress 0x3e80 bytes"},
			{name: "garbage", data: flip(compressed(t, kind, plain, n), chdrSize), want: "section 1 (.debug_str) at offset 0x58: decompress"},
			{name: "checksum", data: func() []byte { b := compressed(t, kind, plain, n); return flip(b, len(b)-1) }(), want: "decompress 0x3e80 bytes"},
			{name: "header", data: make([]byte, chdrSize-1), want: "too small for a compression header"},
			{name: "bomb", data: compressed(t, kind, bomb, uint64(len(bomb))), want: "exceeds the limit for this file"},
			{name: "claim", data: compressed(t, kind, plain, math.MaxUint64), want: "exceeds the limit for this file"},
			{name: "alignment", data: flip(compressed(t, kind, plain, n), 17), want: "is not a power of two"},
			{name: "kind", data: compressed(t, 77, plain, n), want: "unknown compression type"},
			{name: "loaded", data: compressed(t, kind, plain, n), flags: elf.SHF_ALLOC, want: "cannot be compressed"},
			{name: "symbols", data: compressed(t, kind, plain, n), typ: elf.SHT_SYMTAB, want: "a section of type SHT_SYMTAB cannot be compressed"},
		}
		for _, test := range tests {
			t.Run(fmt.Sprintf("%v/%s", kind, test.name), func(t *testing.T) {
				typ := test.typ
				if typ == 0 {
					typ = elf.SHT_PROGBITS
				}
				o := testObject{sections: []testSection{{name: ".debug_str", typ: typ, flags: uint64(test.flags | elf.SHF_COMPRESSED), data: test.data, align: 8}}}
				f, err := Read("x.o", o.bytes())
				if test.want != "" {
					wantFormatError(t, err, "x.o", test.want)
					if test.name == "long" && !errors.Is(err, errExtra) {
						t.Errorf("error %v does not wrap the decompressor's", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				s := f.Sections[1]
				if s.Size != uint64(len(s.Data)) || s.Align != 16 || s.Flags != 0 {
					t.Errorf("section has size %d, align %d, flags %v", s.Size, s.Align, s.Flags)
				}
				if test.name == "good" && !bytes.Equal(s.Data, plain) {
					t.Error("data differs")
				}
			})
		}
	}
}
