package unwind_test

import (
	"encoding/binary"
	"testing"

	"livejit/internal/codearena"
	"livejit/internal/unwind"
	"livejit/internal/vmem"
)

// A workshop places code in an arena with a region over it.
type workshop struct {
	t testing.TB
	a *codearena.Arena
	r *unwind.Region
}

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	return newWorkshopIn(t, vmem.Auto)
}

func newWorkshopIn(t testing.TB, m vmem.Mode) *workshop {
	t.Helper()
	a, err := codearena.New(codearena.Options{Mode: m})
	if err != nil {
		t.Fatal(err)
	}
	r, err := unwind.NewRegion(a.Range())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return &workshop{t: t, a: a, r: r}
}

// A part is a stretch of code with an FDE of its own.
type part struct {
	begin, end uint32
	cfi        []byte
}

// placed is a code block in memory.
type placed struct {
	start          uint64
	size           uint64
	fdes           []uint64 // address of each part's FDE
	code, readOnly codearena.Span
}

const headerSize = 16

// place writes a code block with its header, table, CIE and FDEs; it does not add it.
func (w *workshop) place(id uint32, code []byte, parts ...part) placed {
	w.t.Helper()
	allocate := func(k codearena.Kind, size, align int) codearena.Span {
		s, err := w.a.Allocate(codearena.Request{Kind: k, Size: uint64(size), Align: uint64(align)})
		if err != nil {
			w.t.Fatal(err)
		}
		return s
	}
	p := placed{size: uint64(len(code)), code: allocate(codearena.Code, headerSize+len(code), 16)}
	p.start = p.code.RX + headerSize
	le := binary.LittleEndian
	header := make([]byte, headerSize, headerSize+len(code))
	le.PutUint32(header, uint32(len(code)))
	le.PutUint32(header[4:], id)
	if len(parts) > 0 {
		var records int
		for _, part := range parts {
			records += 32 + len(part.cfi)
		}
		p.readOnly = allocate(codearena.ReadOnly, 12*len(parts)+32+records, 4)
		table := make([]byte, 12*len(parts), p.readOnly.Size)
		cie := uint64(len(table))
		// Version 1, "zR", factors 1 and -8, return address 16; pcrel sdata4; CFA = rsp + 8, ra at CFA - 8.
		table = appendRecord(table, 0, []byte{1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1})
		for i, part := range parts {
			at := uint64(len(table))
			fde := p.readOnly.RX + at
			p.fdes = append(p.fdes, fde)
			body := le.AppendUint32(nil, uint32(p.start+uint64(part.begin)-(fde+8)))
			body = le.AppendUint32(body, part.end-part.begin)
			body = append(append(body, 0), part.cfi...)
			table = appendRecord(table, uint32(at+4-cie), body)
			le.PutUint32(table[12*i:], part.begin)
			le.PutUint32(table[12*i+4:], part.end)
			le.PutUint32(table[12*i+8:], uint32(fde-p.start))
		}
		if err := w.a.Write(p.readOnly, 0, table); err != nil {
			w.t.Fatal(err)
		}
		le.PutUint32(header[8:], uint32(p.readOnly.RX-p.start))
		le.PutUint32(header[12:], uint32(len(parts)))
	}
	if err := w.a.Write(p.code, 0, append(header, code...)); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// add places a code block and makes it known.
func (w *workshop) add(id uint32, code []byte, parts ...part) placed {
	w.t.Helper()
	p := w.place(id, code, parts...)
	w.r.Add(p.start)
	return p
}

// free gives the memory of a block back.
func (w *workshop) free(p placed) {
	w.t.Helper()
	if err := w.a.Free(p.code); err != nil {
		w.t.Error(err)
	}
	if p.readOnly.Size > 0 {
		if err := w.a.Free(p.readOnly); err != nil {
			w.t.Error(err)
		}
	}
}

// appendRecord appends a CIE or FDE, padded with DW_CFA_nop to a multiple of 4.
func appendRecord(b []byte, id uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(4+len(body)))
	b = binary.LittleEndian.AppendUint32(b, id)
	return append(b, body...)
}
