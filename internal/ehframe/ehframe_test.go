package ehframe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// section builds .eh_frame sections by hand.
type section struct{ data []byte }

// record appends a record with the given CIE pointer field and body, and
// returns its offset.
func (s *section) record(pointer uint32, body ...byte) uint64 {
	at := uint64(len(s.data))
	s.data = binary.LittleEndian.AppendUint32(s.data, uint32(4+len(body)))
	s.data = binary.LittleEndian.AppendUint32(s.data, pointer)
	s.data = append(s.data, body...)
	return at
}

// wide appends a record with a 64-bit length.
func (s *section) wide(pointer uint32, body ...byte) uint64 {
	at := uint64(len(s.data))
	s.data = binary.LittleEndian.AppendUint32(s.data, 0xffffffff)
	s.data = binary.LittleEndian.AppendUint64(s.data, uint64(4+len(body)))
	s.data = binary.LittleEndian.AppendUint32(s.data, pointer)
	s.data = append(s.data, body...)
	return at
}

// fde appends an FDE of the CIE at offset cie.
func (s *section) fde(cie uint64, body ...byte) uint64 {
	return s.record(uint32(uint64(len(s.data))+4-cie), body...)
}

func (s *section) terminator() { s.data = append(s.data, 0, 0, 0, 0) }

func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case byte:
			b = append(b, p)
		case int:
			b = append(b, byte(p))
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, p)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, p)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, p)
		}
	}
	return b
}

// cieBody is a CIE's body after its id: version 1, code alignment 1, data
// alignment -8, return register 16, then data.
func cieBody(augmentation string, data ...byte) []byte {
	return cat(1, augmentation, 0, 1, 0x78, 16, data)
}

const pcrel4 = PEPCRel | PESData4

// plain is a CIE body as compilers write it for C.
func plain() []byte { return cieBody("zR", 1, pcrel4, 0x0c, 7, 8, 0x90, 1) }

// withLSDA is a CIE body as compilers write it for C++.
func withLSDA() []byte {
	return cieBody("zPLR", cat(7, PEIndirect|pcrel4, uint32(0), pcrel4, pcrel4, 0x0c, 7, 8)...)
}

func TestSplit(t *testing.T) {
	var s section
	c0 := s.record(0, plain()...)
	f0 := s.fde(c0, cat(uint32(0), uint32(100), 0, 0x41)...)
	c1 := s.record(0, withLSDA()...)
	f1 := s.fde(c1, cat(uint32(0), uint32(200), 4, uint32(0), 0x41, 0x42)...)
	f2 := s.fde(c0, cat(uint32(0), uint32(300), 0)...)
	s.terminator()

	got, err := Split(s.data)
	if err != nil {
		t.Fatal(err)
	}
	want := []Record{
		{Offset: c0, Size: f0, CIE: -1, CIEPointer: c0 + 4, PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit,
			Augmentation: "zR", Instructions: c0 + 17},
		{Offset: f0, Size: c1 - f0, CIE: 0, CIEPointer: f0 + 4, PCBegin: f0 + 8, PCRange: f0 + 12, PCLength: 100, PCEncoding: pcrel4,
			LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit, Augmentation: "zR", Instructions: f0 + 17},
		{Offset: c1, Size: f1 - c1, CIE: -1, CIEPointer: c1 + 4, Personality: c1 + 19, PCEncoding: pcrel4, LSDAEncoding: pcrel4,
			PersonalityEncoding: PEIndirect | pcrel4, Augmentation: "zPLR", Instructions: c1 + 25},
		{Offset: f1, Size: f2 - f1, CIE: 2, CIEPointer: f1 + 4, PCBegin: f1 + 8, PCRange: f1 + 12, PCLength: 200, LSDA: f1 + 17, PCEncoding: pcrel4,
			LSDAEncoding: pcrel4, PersonalityEncoding: PEIndirect | pcrel4, Augmentation: "zPLR", Instructions: f1 + 21},
		{Offset: f2, Size: 17, CIE: 0, CIEPointer: f2 + 4, PCBegin: f2 + 8, PCRange: f2 + 12, PCLength: 300, PCEncoding: pcrel4,
			LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit, Augmentation: "zR", Instructions: f2 + 17},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("records are\n%+v\nwant\n%+v", got, want)
	}
	if got[1].HasLSDA() || !got[3].HasLSDA() || got[2].HasLSDA() {
		t.Error("HasLSDA is wrong")
	}
}

func TestPointerEncodings(t *testing.T) {
	leb := cat(0xe5, 0x8e, 0x26) // 624485
	tests := []struct {
		encoding  byte
		begin     []byte
		length    []byte
		wantRange uint64 // from the start of the fields
		want      uint64
	}{
		{PEAbsPtr, cat(uint64(0)), cat(uint64(77)), 8, 77},
		{PESigned, cat(uint64(0)), cat(uint64(77)), 8, 77},
		{PEUData2, cat(uint16(0)), cat(uint16(0xfffe)), 2, 0xfffe},
		{PESData2, cat(uint16(0)), cat(uint16(77)), 2, 77},
		{PEUData4, cat(uint32(0)), cat(uint32(math.MaxUint32)), 4, math.MaxUint32},
		{PESData4 | PEPCRel, cat(uint32(0)), cat(uint32(77)), 4, 77},
		{PEUData8, cat(uint64(0)), cat(uint64(1 << 40)), 8, 1 << 40},
		{PESData8 | PEPCRel, cat(uint64(0)), cat(uint64(77)), 8, 77},
		{PESData8 | PETextRel, cat(uint64(0)), cat(uint64(77)), 8, 77},
		{PESData4 | PEDataRel, cat(uint32(0)), cat(uint32(77)), 4, 77},
		{PESData4 | PEFuncRel | PEIndirect, cat(uint32(0)), cat(uint32(77)), 4, 77},
		{PEULEB128, leb, leb, 3, 624485},
		{PESLEB128, leb, leb, 3, 624485},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%#x", test.encoding), func(t *testing.T) {
			var s section
			c := s.record(0, cieBody("zR", 1, test.encoding)...)
			f := s.fde(c, cat(test.begin, test.length, 0, 0x41)...)
			got, err := Split(s.data)
			if err != nil {
				t.Fatal(err)
			}
			r := got[1]
			if r.PCEncoding != test.encoding || r.PCBegin != f+8 || r.PCRange != f+8+test.wantRange || r.PCLength != test.want || r.Instructions != r.PCRange+test.wantRange+1 {
				t.Errorf("record is %+v", r)
			}
		})
	}
}

func TestAlignedPointers(t *testing.T) {
	var s section
	c := s.record(0, cieBody("zPR", cat(16, PEAligned, make([]byte, 6), uint64(0), 0)...)...)
	got, err := Split(s.data)
	if err != nil {
		t.Fatal(err)
	}
	// The size is at 16, the encoding at 17; the pointer stands at the next multiple of 8.
	if got[0].Personality != c+24 || got[0].PersonalityEncoding != PEAligned || got[0].PCEncoding != PEAbsPtr {
		t.Errorf("record is %+v", got[0])
	}
}

func TestAugmentations(t *testing.T) {
	tests := []struct {
		augmentation string
		data         []byte
		want         Record // the fields that depend on the augmentation
	}{
		{"", nil, Record{PCEncoding: PEAbsPtr, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"z", cat(0), Record{PCEncoding: PEAbsPtr, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"z", cat(3, 9, 9, 9), Record{PCEncoding: PEAbsPtr, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"R", cat(pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"zRS", cat(1, pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit, SignalFrame: true}},
		{"zRB", cat(1, pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"zRG", cat(1, pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"zLR", cat(2, PEOmit, pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"zPR", cat(2, PEOmit, pcrel4), Record{PCEncoding: pcrel4, LSDAEncoding: PEOmit, PersonalityEncoding: PEOmit}},
		{"zRLP", cat(11, pcrel4, PEUData8, PEAbsPtr, uint64(0)), Record{PCEncoding: pcrel4, LSDAEncoding: PEUData8, PersonalityEncoding: PEAbsPtr, Personality: 21}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q % x", test.augmentation, test.data), func(t *testing.T) {
			var s section
			s.record(0, cieBody(test.augmentation, test.data...)...)
			want := test.want
			want.Size, want.CIE, want.CIEPointer, want.Augmentation = uint64(len(s.data)), -1, 4, test.augmentation
			want.Instructions = uint64(len(s.data))
			got, err := Split(s.data)
			if err != nil {
				t.Fatal(err)
			}
			if got[0] != want {
				t.Errorf("record is %+v\nwant %+v", got[0], want)
			}
		})
	}
}

// The FDE of a CIE without z has no augmentation data.
func TestWithoutAugmentationData(t *testing.T) {
	var s section
	c := s.record(0, cieBody("")...)
	f := s.fde(c, cat(uint64(0), uint64(5), 0x41)...)
	got, err := Split(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[1]; r.PCBegin != f+8 || r.PCRange != f+16 || r.PCLength != 5 || r.Instructions != f+24 || r.HasLSDA() {
		t.Errorf("record is %+v", r)
	}
}

func TestVersions(t *testing.T) {
	tests := []struct {
		name string
		body []byte
	}{
		{"3", cat(3, "zR\x00", 1, 0x78, 0x90, 1, 1, pcrel4)},
		{"4", cat(4, "zR\x00", 8, 0, 1, 0x78, 16, 1, pcrel4)},
	}
	for _, test := range tests {
		var s section
		s.record(0, test.body...)
		got, err := Split(s.data)
		if err != nil || got[0].PCEncoding != pcrel4 || got[0].Instructions != uint64(len(s.data)) {
			t.Errorf("version %s: %+v, %v", test.name, got, err)
		}
	}
}

func TestWideRecords(t *testing.T) {
	var s section
	c := s.wide(0, withLSDA()...)
	f := s.wide(uint32(uint64(len(s.data))+12-c), cat(uint32(0), uint32(9), 4, uint32(0))...)
	s.fde(c, cat(uint32(0), uint32(10), 4, uint32(0))...)
	got, err := Split(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[0]; !r.DWARF64 || r.Size != f || r.CIEPointer != 12 || r.Personality != 27 {
		t.Errorf("CIE is %+v", r)
	}
	if r := got[1]; !r.DWARF64 || r.CIE != 0 || r.CIEPointer != f+12 || r.PCBegin != f+16 || r.LSDA != f+25 {
		t.Errorf("FDE is %+v", r)
	}
	if r := got[2]; r.DWARF64 || r.CIE != 0 || r.PCLength != 10 {
		t.Errorf("FDE is %+v", r)
	}
}

func TestTerminators(t *testing.T) {
	var s section
	s.record(0, plain()...)
	one := len(s.data)
	s.terminator()
	s.data = append(s.data, "what follows is not read"...)
	tests := []struct {
		name string
		data []byte
		want int
	}{
		{"nothing", nil, 0},
		{"only a terminator", make([]byte, 4), 0},
		{"padding", make([]byte, 16), 0},
		{"none", s.data[:one], 1},
		{"one", s.data[:one+4], 1},
		{"inside", s.data, 1},
	}
	for _, test := range tests {
		if got, err := Split(test.data); err != nil || len(got) != test.want {
			t.Errorf("%s: %d records, %v, want %d", test.name, len(got), err, test.want)
		}
	}
}

// An FDE may stand before its CIE: the distance is then negative.
func TestForwardCIE(t *testing.T) {
	var s section
	s.record(0, plain()...)
	const size = 25 // of the FDE, which its CIE follows
	distance := int32(4 - size)
	f := s.record(uint32(distance), cat(uint32(0), uint32(10), 4, uint32(0), make([]byte, size-21))...)
	c := s.record(0, withLSDA()...)
	got, err := Split(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if c != f+size || got[1].CIE != 2 || got[1].LSDA != f+17 {
		t.Errorf("FDE is %+v", got[1])
	}
}

func TestSplitErrors(t *testing.T) {
	cie := func(body ...byte) []byte { var s section; s.record(0, body...); return s.data }
	fde := func(cie []byte, body ...byte) []byte {
		var s section
		s.fde(s.record(0, cie...), body...)
		return s.data
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"length", []byte{1, 2, 3}, "record at offset 0x0: length is truncated (at 0x0)"},
		{"wide length", cat(uint32(math.MaxUint32), uint32(7)), "64-bit length is truncated"},
		{"reserved length", cat(uint32(0xfffffff0), uint32(0)), "length 0xfffffff0 is reserved"},
		{"long", cat(uint32(5), uint32(0)), "length 0x5 goes beyond the end of the section (0x8 bytes)"},
		{"wide and long", cat(uint32(math.MaxUint32), uint64(math.MaxUint64), uint32(0)), "length 0xffffffffffffffff goes beyond"},
		{"short", cat(uint32(3), "abc"), "length 3 leaves no room for a CIE pointer"},
		{"no version", cie(), "CIE at offset 0x0: field of size 1 does not fit the 0 bytes left (at 0x8)"},
		{"version", cie(2, 0), "version 2 is not supported (at 0x8)"},
		{"address size", cie(cat(4, 0, 4, 0, 1, 1, 16)...), "addresses of 4 bytes with segments of 0"},
		{"open augmentation", cie(cat(1, "zR")...), "augmentation is not terminated (at 0x9)"},
		{"letter", cie(cieBody("zX", 0)...), `augmentation "zX": letter 'X' is not supported`},
		{"eh", cie(cieBody("eh")...), `augmentation "eh": letter 'e' is not supported`},
		{"alignment factor", cie(cat(1, 0, 0x80)...), "number is truncated or too large"},
		{"long number", cie(cat(1, 0, 1, bytes.Repeat([]byte{0x80}, 12), 0)...), "number is too large"},
		{"augmentation data", cie(cieBody("zR", 2, 0)...), "augmentation data of 2 bytes goes beyond the end of the record"},
		{"small augmentation data", cie(cieBody("zPR", cat(3, PEAbsPtr, uint64(0), 0)...)...), "field of size 8 does not fit the 2 bytes left"},
		{"encoding", cie(cieBody("zR", 1, 0x05)...), "unknown pointer encoding 0x5 (at 0x10)"},
		{"application", cie(cieBody("zR", 1, 0x60)...), "unknown pointer encoding 0x60"},
		{"aligned", cie(cieBody("zR", 1, PEAligned|PEUData4)...), "aligned pointer encoding 0x53 is not that of a whole pointer"},
		{"no start", cie(cieBody("zR", 1, PEOmit)...), "FDEs would have no start address"},
		{"no CIE", cat(uint32(4), uint32(4)), "FDE at offset 0x0: CIE pointer 0x4 leads to offset 0x0, where no CIE starts (at 0x4)"},
		{"CIE outside", cat(uint32(4), uint32(0x7fffffff)), "where no CIE starts"},
		{"CIE behind", cat(uint32(4), uint32(0xfffffffc)), "leads to offset 0x8, where no CIE starts"},
		{"FDE as CIE", func() []byte {
			var s section
			f := s.fde(s.record(0, plain()...), cat(uint32(0), uint32(1), 0)...)
			s.fde(f, cat(uint32(0), uint32(1), 0)...)
			return s.data
		}(), "leads to offset 0x16, where no CIE starts"},
		{"no range", fde(plain(), cat(uint32(0))...), "field of size 4 does not fit the 0 bytes left"},
		{"no FDE data", fde(plain(), cat(uint32(0), uint32(1))...), "number is truncated"},
		{"small FDE data", fde(withLSDA(), cat(uint32(0), uint32(1), 3, uint32(0))...), "field of size 4 does not fit the 3 bytes left"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Split(test.data)
			wantFormatError(t, err, test.want)
		})
	}
}

func wantFormatError(t *testing.T, err error, want string) {
	t.Helper()
	var f *FormatError
	if !errors.As(err, &f) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v\nwant a *FormatError with %q", err, want)
	}
}

func TestCIEDelta(t *testing.T) {
	tests := []struct {
		field, cie uint64
		want       int32
		ok         bool
	}{
		{104, 100, 4, true},
		{100, 104, -4, true},
		{100, 100, 0, false},
		{1 << 31, 1, math.MaxInt32, true},
		{1 << 31, 0, math.MinInt32, false},
		{0, 1 << 31, math.MinInt32, true},
		{0, 1<<31 + 1, 0, false},
		{4, math.MaxUint64 - 3, 8, true},
	}
	for _, test := range tests {
		got, ok := CIEDelta(test.field, test.cie)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("CIEDelta(%#x, %#x) = %d, %v", test.field, test.cie, got, ok)
		}
	}
}

// TestSetCIE moves an FDE and its CIE apart and reads them again.
func TestSetCIE(t *testing.T) {
	for _, wide := range []bool{false, true} {
		var s section
		c := s.record(0, plain()...)
		if wide {
			s.wide(uint32(uint64(len(s.data))+12-c), cat(uint32(0), uint32(9), 0)...)
		} else {
			s.fde(c, cat(uint32(0), uint32(9), 0)...)
		}
		records, err := Split(s.data)
		if err != nil {
			t.Fatal(err)
		}
		cie, f := records[0], records[1]
		fde := bytes.Clone(s.data[f.Offset : f.Offset+f.Size])

		for _, before := range []bool{false, true} {
			var moved section
			other := moved.record(0, plain()...)
			at, cieAt := uint64(0), uint64(0)
			if before {
				at = uint64(len(moved.data))
				cieAt = at + f.Size
			} else {
				cieAt = uint64(len(moved.data))
				at = cieAt + cie.Size
			}
			if !f.SetCIE(fde, 0x7000_0000+at, 0x7000_0000+cieAt) {
				t.Fatal("SetCIE is false")
			}
			parts := [][]byte{s.data[:cie.Size], fde}
			if before {
				parts[0], parts[1] = parts[1], parts[0]
			}
			moved.data = append(append(moved.data, parts[0]...), parts[1]...)
			got, err := Split(moved.data)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				if r.Offset == at && (r.CIE < 0 || got[r.CIE].Offset != cieAt) {
					t.Errorf("wide %v, before %v: FDE has CIE %d (other at %d)", wide, before, r.CIE, other)
				}
			}
		}
		kept := bytes.Clone(fde)
		if f.SetCIE(fde, 0, 1<<40) || !bytes.Equal(fde, kept) {
			t.Error("SetCIE accepts a CIE that is too far")
		}
	}
}

func TestSetCIEMisuse(t *testing.T) {
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "BUG: ") {
			t.Errorf("panic is %q", msg)
		}
	}()
	(&Record{CIE: -1, Size: 8}).SetCIE(make([]byte, 8), 0, 8)
}

func FuzzSplit(f *testing.F) {
	var s section
	c := s.record(0, plain()...)
	s.fde(c, cat(uint32(0), uint32(100), 0, 0x41)...)
	c = s.wide(0, withLSDA()...)
	s.fde(c, cat(uint32(0), uint32(200), 4, uint32(0), 0x41, 0x42)...)
	s.record(0, cieBody("zPR", cat(16, PEAligned, make([]byte, 6), uint64(0), 0)...)...)
	s.terminator()
	f.Add(s.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		records, err := Split(data)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64*uint64(len(data))+1<<20 {
			t.Errorf("%d bytes allocated for %d", got, len(data))
		}
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || err.Error() == "" {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		end := uint64(0)
		for i, r := range records {
			if r.Offset != end || r.Size < 8 || r.Size > uint64(len(data))-r.Offset {
				t.Fatalf("record %d is %+v, expected at %#x", i, r, end)
			}
			end += r.Size
			for _, field := range []uint64{r.CIEPointer, r.PCBegin, r.PCRange, r.LSDA, r.Personality} {
				if field != 0 && (field < r.Offset || field >= end) {
					t.Errorf("record %d has a field at %#x: %+v", i, field, r)
				}
			}
			if r.Instructions <= r.CIEPointer || r.Instructions > end {
				t.Errorf("record %d has its instructions at %#x: %+v", i, r.Instructions, r)
			}
			if r.CIE >= 0 && (r.CIE >= len(records) || records[r.CIE].CIE != -1 || r.PCBegin == 0 || r.PCRange == 0) {
				t.Errorf("record %d is %+v", i, r)
			}
		}
	})
}
