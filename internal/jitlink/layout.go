package jitlink

import (
	"encoding/binary"
	"math/bits"

	"livejit/internal/linkgraph"
)

// Every code block starts 16-aligned and is preceded by a header, which its span holds too:
//
//	struct { uint32 size; uint32 id; int32 eh; uint32 neh; }
//
// size of the code in bytes (with its veneers), the piece's ID, the distance in bytes from the code start to its EH table in
// the piece's read-only span, and the table's number of entries, which may be 0. An entry is
//
//	struct { uint32 begin; uint32 end; int32 fde; }
//
// begin and end count from the code start, fde is the distance from the code start to the FDE (its length field). The table
// is 4-aligned and sorted by begin. Given a pc, package unwind finds the code start, and from there the FDE.
const (
	codeAlign   = 16
	HeaderSize  = 16
	EHEntrySize = 12
)

// layout is what the link knows about a piece beyond Piece.
type layout struct {
	first, end           int32 // its blocks, in l.order
	firstCode, endCode   int32 // in l.codes
	code, readOnly, data area
}

// area is one span to be.
type area struct {
	size, align uint64
	contents    uint64              // bytes from its start that are not zero-fill
	scratch     uint64              // where those are in l.scratch
	section     linkgraph.SectionID // of the first block, for messages
	used        bool
}

// codeBlock is a block of code with its EH table.
type codeBlock struct {
	block linkgraph.BlockID
	fdes  int32
	table uint64 // offset of the table in the read-only span, then its address
}

// tlsLayout is the image of the graph's thread-local variables.
type tlsLayout struct {
	blocks                []linkgraph.BlockID
	size, contents, align uint64
	image                 []byte
}

// place puts size bytes at the end of the area and returns their offset.
func (a *area) place(size, align uint64, section linkgraph.SectionID) uint64 {
	if !a.used {
		a.used, a.section = true, section
	}
	at := alignUp(a.size, align)
	a.size, a.align = at+size, max(a.align, align)
	return at
}

func alignUp(x, align uint64) uint64 { return (x + align - 1) &^ (align - 1) }

// layOut gives every block its offset in its span (Block.Addr), and every span its size.
func (l *Link) layOut() {
	for i := range l.Pieces {
		l.layOutPiece(&l.Pieces[i], &l.layouts[i])
	}
	l.layOutTLS()
}

func (l *Link) layOutPiece(p *Piece, lay *layout) {
	g := l.Graph
	blocks := l.order[lay.first:lay.end]
	lay.firstCode = int32(len(l.codes))
	var readOnly, data, zero, bounded uint64 // sets of alignments (bit n: 2^n)
	for _, id := range blocks {
		b := &g.Blocks[id]
		s := &g.Sections[b.Section]
		bit := b.Align // a power of two is its own bit
		switch {
		case s.Bounded:
			bounded |= 1
			continue
		case s.Memory == linkgraph.Code:
			lay.code.size += HeaderSize
			b.Addr = lay.code.place(b.Size, max(b.Align, codeAlign), b.Section)
			l.codes = append(l.codes, codeBlock{block: id, fdes: int32(len(g.FDEsOf(id)))})
			p.Bytes.Code += uint32(b.Size)
		case s.Memory == linkgraph.ReadOnly:
			readOnly |= bit
		case b.Data != nil:
			data |= bit
		default:
			zero |= bit
		}
		l.count(p, b, s)
	}
	lay.endCode = int32(len(l.codes))
	if bounded != 0 {
		l.placeBounded(p, lay, blocks)
	}
	l.placeTables(lay, blocks, readOnly, p)
	l.placeByAlign(blocks, data, &lay.data, linkgraph.Data, false)
	lay.data.contents = lay.data.size
	l.placeByAlign(blocks, zero, &lay.data, linkgraph.Data, true)
	lay.code.contents, lay.readOnly.contents = lay.code.size, lay.readOnly.size
}

// count adds a block that is no code to what a piece occupies.
func (l *Link) count(p *Piece, b *linkgraph.Block, s *linkgraph.Section) {
	switch {
	case s.Memory == linkgraph.Data:
		p.Bytes.Data += uint32(b.Size)
	case s.Memory == linkgraph.ReadOnly && s.Direct:
		p.Bytes.EH += uint32(b.Size)
	case s.Memory == linkgraph.ReadOnly:
		p.Bytes.ReadOnly += uint32(b.Size)
	}
}

// placeTables places the read-only blocks, from the largest alignment down so that little is lost between them, and the EH tables
// between those of 4 bytes and the rest.
func (l *Link) placeTables(lay *layout, blocks []linkgraph.BlockID, aligns uint64, p *Piece) {
	l.placeByAlign(blocks, aligns&^3, &lay.readOnly, linkgraph.ReadOnly, false)
	for i := lay.firstCode; i < lay.endCode; i++ {
		if c := &l.codes[i]; c.fdes > 0 {
			size := uint64(c.fdes) * EHEntrySize
			c.table = lay.readOnly.place(size, 4, l.Graph.Blocks[c.block].Section)
			p.Bytes.EH += uint32(size)
		}
	}
	l.placeByAlign(blocks, aligns&3, &lay.readOnly, linkgraph.ReadOnly, false)
}

// placeByAlign places the blocks of one memory whose alignment is in a set, the largest first, else in order.
func (l *Link) placeByAlign(blocks []linkgraph.BlockID, aligns uint64, a *area, m linkgraph.Memory, zero bool) {
	g := l.Graph
	for aligns != 0 {
		align := uint64(1) << (63 - bits.LeadingZeros64(aligns))
		aligns &^= align
		for _, id := range blocks {
			b := &g.Blocks[id]
			s := &g.Sections[b.Section]
			if b.Align == align && s.Memory == m && !s.Bounded && (m != linkgraph.Data || zero == (b.Data == nil)) {
				b.Addr = a.place(b.Size, align, b.Section)
			}
		}
	}
}

// placeBounded lays the blocks of each section that has __start_ and __stop_ symbols side by side.
func (l *Link) placeBounded(p *Piece, lay *layout, blocks []linkgraph.BlockID) {
	g := l.Graph
	done := map[string]bool{}
	for _, first := range blocks {
		s := &g.Sections[g.Blocks[first].Section]
		if !s.Bounded || done[s.Name] {
			continue
		}
		done[s.Name] = true
		a := &lay.readOnly
		switch s.Memory {
		case linkgraph.Data:
			a = &lay.data
		case linkgraph.Code:
			a = &lay.code
		}
		for _, id := range blocks {
			b := &g.Blocks[id]
			if t := &g.Sections[b.Section]; t.Bounded && t.Name == s.Name {
				b.Addr = a.place(b.Size, b.Align, b.Section)
				l.count(p, b, t)
			}
		}
	}
}

// layOutTLS gives each thread-local block its offset in the image: initialised ones first.
func (l *Link) layOutTLS() {
	g := l.Graph
	t := &l.tls
	t.align = 1
	for _, zero := range [...]bool{false, true} {
		for _, id := range t.blocks {
			if b := &g.Blocks[id]; (b.Data == nil) == zero {
				b.Addr = alignUp(t.size, b.Align)
				t.size, t.align = b.Addr+b.Size, max(t.align, b.Align)
			}
		}
		if !zero {
			t.contents = t.size
		}
	}
}

// Allocate gives every piece its spans and every live block its address. After an error nothing is left allocated; the error
// is *AllocateError.
func (l *Link) Allocate(a Allocator) error {
	l.expect("Allocate", planned)
	l.allocator = a
	l.phase = allocated
	starts := make([]uint64, len(l.codes))
	for i := range l.Pieces {
		p, lay := &l.Pieces[i], &l.layouts[i]
		for _, want := range [...]struct {
			area   *area
			span   *Span
			memory linkgraph.Memory
		}{{&lay.code, &p.Code, linkgraph.Code}, {&lay.readOnly, &p.ReadOnly, linkgraph.ReadOnly}, {&lay.data, &p.Data, linkgraph.Data}} {
			if !want.area.used {
				continue
			}
			r := Request{Function: p.Name, Section: l.Graph.Sections[want.area.section].Name, Memory: want.memory,
				Size: max(want.area.size, 1), Align: max(want.area.align, 1)}
			span, err := a.Allocate(r)
			if err != nil {
				l.Release()
				return &AllocateError{Object: l.Graph.Name, Request: r, Err: err}
			}
			*want.span = span
			l.Stats.Spans++
			l.Stats.Bytes += span.Size
		}
		l.address(p, lay, starts)
	}
	return nil
}

// address turns the offsets of a piece's blocks into addresses.
func (l *Link) address(p *Piece, lay *layout, starts []uint64) {
	g := l.Graph
	base := [...]uint64{linkgraph.Code: p.Code.Addr, linkgraph.ReadOnly: p.ReadOnly.Addr, linkgraph.Data: p.Data.Addr}
	for _, id := range l.order[lay.first:lay.end] {
		g.Blocks[id].Addr += base[g.MemoryOf(id)]
	}
	for i := lay.firstCode; i < lay.endCode; i++ {
		l.codes[i].table += p.ReadOnly.Addr
		starts[i] = g.Blocks[l.codes[i].block].Addr
	}
	p.CodeStarts = starts[lay.firstCode:lay.endCode:lay.endCode]
}

// writeHeader fills the header before a code block and its EH table.
func (l *Link) writeHeader(p *Piece, lay *layout, c *codeBlock) error {
	g := l.Graph
	b := &g.Blocks[c.block]
	header := l.scratch[lay.code.scratch+b.Addr-HeaderSize-p.Code.Addr:][:HeaderSize]
	binary.LittleEndian.PutUint32(header[0:], uint32(b.Size))
	binary.LittleEndian.PutUint32(header[4:], p.ID)
	if c.fdes == 0 {
		binary.LittleEndian.PutUint64(header[8:], 0)
		return nil
	}
	distance := int64(c.table - b.Addr)
	table := l.scratch[lay.readOnly.scratch+c.table-p.ReadOnly.Addr:][:c.fdes*EHEntrySize]
	binary.LittleEndian.PutUint32(header[8:], uint32(distance))
	binary.LittleEndian.PutUint32(header[12:], uint32(c.fdes))
	for i, f := range g.FDEsOf(c.block) {
		entry := table[i*EHEntrySize:]
		fde := int64(g.Blocks[f.Block].Addr - b.Addr)
		if distance != int64(int32(distance)) || fde != int64(int32(fde)) {
			return l.relocationError(c.block, &linkgraph.Edge{Kind: linkgraph.CIEPointer}, fde, "unwind information is out of the reach of its code")
		}
		binary.LittleEndian.PutUint32(entry[0:], uint32(f.Begin))
		binary.LittleEndian.PutUint32(entry[4:], uint32(f.End))
		binary.LittleEndian.PutUint32(entry[8:], uint32(fde))
	}
	return nil
}
