package jitlink

import (
	"errors"
	"fmt"
	"slices"

	"livejit/internal/linkgraph"
)

// fixer applies the edges of one block after the other.
type fixer struct {
	l     *Link
	g     *linkgraph.Graph
	block linkgraph.BlockID
	addr  uint64 // of the block
	mem   []byte // its bytes in a scratch buffer
	msg   string // why the formula of the current edge has no value
	// section: absolute references to unloaded blocks count from the start of their section (debug information).
	section bool
	errs    []error
}

// P is the address of the edge's place.
func (f *fixer) P(e *linkgraph.Edge) uint64 { return f.addr + uint64(e.Offset) }

// S is the address of the edge's target.
func (f *fixer) S(e *linkgraph.Edge) uint64 {
	s := &f.g.Symbols[e.Target]
	if e.Kind&viaMask != 0 {
		return f.via(e, s)
	}
	switch {
	case s.StubTarget:
		return s.Target.Addr
	case s.Block >= 0:
		return f.place(s)
	case s.Def == linkgraph.Absolute:
		return s.Offset
	}
	if s.Target.Addr == 0 && !s.Weak {
		f.msg = "symbol is undefined"
	}
	return s.Target.Addr
}

// place is where a symbol defined here lies.
func (f *fixer) place(s *linkgraph.Symbol) uint64 {
	b := &f.g.Blocks[s.Block]
	if !b.Live && !(f.section && f.g.Sections[b.Section].Memory == linkgraph.Unloaded) {
		f.msg = "target was dropped"
	}
	return b.Addr + s.Offset
}

// via is the address that planning chose.
func (f *fixer) via(e *linkgraph.Edge, s *linkgraph.Symbol) uint64 {
	switch e.Kind & viaMask {
	case viaSlot:
		if s.Target.Slot == 0 {
			f.msg = "function has no slot"
		}
		return s.Target.Slot
	case viaStub:
		if s.Target.Stub != 0 {
			return s.Target.Stub
		}
		if s.Target.Addr != 0 {
			return s.Target.Addr
		}
		f.msg = "function has no stub"
		return 0
	}
	if s.Block < 0 {
		f.msg = "function is not defined here"
		return 0
	}
	return f.place(s)
}

// Z is the size of the edge's target.
func (f *fixer) Z(e *linkgraph.Edge) uint64 {
	s := &f.g.Symbols[e.Target]
	if s.Def == linkgraph.Undefined {
		return s.Target.Size
	}
	return s.Size
}

// GOT is the base of the global offset table.
func (f *fixer) GOT() uint64 {
	if f.g.GOT < 0 {
		f.msg = "graph has no global offset table"
		return 0
	}
	return f.place(&f.g.Symbols[f.g.GOT])
}

// TLS is the place of the thread-local variable that is the edge's target; symbol 0 stands for the graph's own module.
func (f *fixer) TLS(e *linkgraph.Edge) linkgraph.TLSTarget {
	s := &f.g.Symbols[e.Target]
	switch {
	case s.Block >= 0 && f.g.MemoryOf(s.Block) == linkgraph.TLS:
		return linkgraph.TLSTarget{Module: f.module(), Offset: f.place(s) + f.l.tlsBase}
	case e.Target == 0, s.Def == linkgraph.Absolute && s.Type == linkgraph.TLSObject: // _TLS_MODULE_BASE_
		return linkgraph.TLSTarget{Module: f.module()}
	case s.Def != linkgraph.Undefined:
		f.msg = "target is not thread-local"
	case s.Target.TLS.Module == 0 && !s.Target.TLS.Static && !s.Weak:
		f.msg = "thread-local variable is undefined"
	}
	return s.Target.TLS
}

// module is the graph's TLS module. References by offset only do not need it, so it may be unset for debug information.
func (f *fixer) module() uint64 {
	if f.l.tlsModule == 0 && !f.section {
		f.msg = "graph has no TLS module"
	}
	return f.l.tlsModule
}

// apply applies the edges of a block.
func (f *fixer) apply(block linkgraph.BlockID, addr uint64, mem []byte, edges []linkgraph.Edge) {
	f.block, f.addr, f.mem = block, addr, mem
	t := f.l.t
	for i := range edges {
		e := &edges[i]
		row := t.row(e.Kind)
		if row == nil || uint64(e.Offset)+uint64(row.width) > uint64(len(mem)) {
			f.errs = append(f.errs, f.l.relocationError(block, e, 0, "unknown relocation type or field outside of its section"))
			continue
		}
		if row.store == nil {
			continue
		}
		f.msg = ""
		v := row.value(f, e)
		msg := f.msg
		if msg == "" {
			msg = row.store(mem[e.Offset:int(e.Offset)+int(row.width)], v)
		}
		if msg != "" {
			f.errs = append(f.errs, f.l.relocationError(block, e, int64(v), msg))
		}
	}
}

// FixUp applies every edge in scratch buffers. The error joins one *RelocationError for each edge that cannot be served.
func (l *Link) FixUp() error {
	l.expect("FixUp", allocated)
	l.makeScratch()
	f := &fixer{l: l, g: l.Graph}
	for i := range l.Pieces {
		l.fixPiece(f, &l.Pieces[i], &l.layouts[i])
	}
	l.tls.image = make([]byte, l.tls.contents)
	for _, id := range l.tls.blocks {
		if b := &l.Graph.Blocks[id]; b.Data != nil {
			mem := l.tls.image[b.Addr : b.Addr+b.Size]
			copy(mem, b.Data)
			f.apply(id, b.Addr, mem, b.Edges)
		}
	}
	if len(f.errs) > 0 {
		l.scratch = nil
		return errors.Join(f.errs...)
	}
	l.phase = fixed
	return nil
}

// makeScratch sets aside a buffer for the contents of all spans.
func (l *Link) makeScratch() {
	total := uint64(0)
	for i := range l.layouts {
		lay := &l.layouts[i]
		for _, a := range [...]*area{&lay.code, &lay.readOnly, &lay.data} {
			a.scratch = total
			total += alignUp(a.contents, 8)
		}
	}
	l.scratch = make([]byte, total)
}

// fixPiece copies the blocks of a piece, applies their edges, and makes headers and EH tables.
func (l *Link) fixPiece(f *fixer, p *Piece, lay *layout) {
	g := l.Graph
	if lay.code.contents > uint64(p.Bytes.Code)+uint64(lay.endCode-lay.firstCode)*HeaderSize {
		padding := l.scratch[lay.code.scratch:][:lay.code.contents]
		for i := range padding {
			padding[i] = l.t.fill
		}
	}
	for _, id := range l.order[lay.first:lay.end] {
		b := &g.Blocks[id]
		if b.Data == nil {
			continue
		}
		mem := l.memory(p, lay, b)
		copy(mem, b.Data)
		f.apply(id, b.Addr, mem, b.Edges)
	}
	for i := lay.firstCode; i < lay.endCode; i++ {
		if err := l.writeHeader(p, lay, &l.codes[i]); err != nil {
			f.errs = append(f.errs, err)
		}
	}
}

// memory returns a placed block's part of the scratch buffer.
func (l *Link) memory(p *Piece, lay *layout, b *linkgraph.Block) []byte {
	a, base := &lay.code, p.Code.Addr
	switch l.Graph.Sections[b.Section].Memory {
	case linkgraph.ReadOnly:
		a, base = &lay.readOnly, p.ReadOnly.Addr
	case linkgraph.Data:
		a, base = &lay.data, p.Data.Addr
	}
	at := a.scratch + b.Addr - base
	return l.scratch[at : at+b.Size : at+b.Size]
}

// Contents returns the fixed-up bytes of a live, placed block, valid between FixUp and Write; nil for zero-fill and for any other block.
func (l *Link) Contents(id linkgraph.BlockID) []byte {
	l.expect("Contents", fixed)
	b := &l.Graph.Blocks[id]
	if l.pieceOf[id] < 0 || !b.Live || b.Data == nil {
		return nil
	}
	return l.memory(&l.Pieces[l.pieceOf[id]], &l.layouts[l.pieceOf[id]], b)
}

// Write fills the spans, with one Write for each that is not all zero-fill; the scratch buffers are gone afterwards.
func (l *Link) Write() error {
	l.expect("Write", fixed)
	for i := range l.Pieces {
		p, lay := &l.Pieces[i], &l.layouts[i]
		for _, part := range [...]struct {
			area *area
			span Span
		}{{&lay.code, p.Code}, {&lay.readOnly, p.ReadOnly}, {&lay.data, p.Data}} {
			if part.area.contents == 0 {
				continue
			}
			bytes := l.scratch[part.area.scratch:][:part.area.contents]
			if err := l.allocator.Write(part.span, 0, bytes); err != nil {
				return fmt.Errorf("write %s memory of %s at %#x: %w", part.span.Memory, p.Name, part.span.Addr, err)
			}
		}
	}
	l.scratch = nil
	l.phase = written
	return nil
}

// Release frees the spans of all pieces. It may be called at any time, also twice.
func (l *Link) Release() error {
	var errs []error
	for i := range l.Pieces {
		p := &l.Pieces[i]
		for _, s := range [...]*Span{&p.Code, &p.ReadOnly, &p.Data} {
			if s.Size > 0 {
				errs = append(errs, l.allocator.Free(*s))
				*s = Span{}
			}
		}
	}
	l.scratch = nil
	l.phase = released
	return errors.Join(errs...)
}

// TLSImage returns the initial contents, the size and the alignment of the graph's TLS block; what follows the contents is zero.
// After FixUp.
func (l *Link) TLSImage() (init []byte, size, align uint64) {
	return l.tls.image, l.tls.size, l.tls.align
}

// Unloaded returns a fixed-up copy of a block that is not placed (debug information): references to code and data are final
// addresses (of bodies), those among unloaded sections are offsets in the section; those to places that were dropped are 0. After Allocate.
func (l *Link) Unloaded(id linkgraph.BlockID) ([]byte, error) {
	g := l.Graph
	b := &g.Blocks[id]
	if l.phase < allocated {
		panic("BUG: jitlink: Unloaded of a link without addresses")
	}
	if g.MemoryOf(id) != linkgraph.Unloaded {
		return nil, fmt.Errorf("section %s of %s is loaded", g.BlockName(id), g.Name)
	}
	edges := slices.Clone(b.Edges)
	for i := range edges {
		e := &edges[i]
		s := &g.Symbols[e.Target]
		switch {
		case s.Block < 0:
		case !g.Blocks[s.Block].Live && g.MemoryOf(s.Block) != linkgraph.Unloaded:
			e.Target, e.Addend = 0, 0
		case s.StubTarget:
			e.Kind |= viaBody
		}
	}
	f := &fixer{l: l, g: g, section: true}
	mem := slices.Clone(b.Data)
	f.apply(id, 0, mem, edges)
	return mem, errors.Join(f.errs...)
}

// FieldSize returns how many bytes the field of an edge of that kind has; 0 for a kind that stores nothing or is not known.
func (l *Link) FieldSize(k linkgraph.Kind) uint8 {
	if r := l.t.row(k); r != nil {
		return r.width
	}
	return 0
}

// pageOf is the 4 KiB page of an address.
func pageOf(x uint64) uint64 { return x &^ 0xfff }
