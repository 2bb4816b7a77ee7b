package jitlink

import "livejit/internal/linkgraph"

// tables are the GOT entries of a link. Each entry is a block of its own, so that it can belong to the piece that uses it; the
// base (_GLOBAL_OFFSET_TABLE_) is one more block, from which distances are counted.
type tables struct {
	section   linkgraph.SectionID
	byAddress []linkgraph.SymbolID            // by symbol of the object: the entry that holds its address; 0: none
	byKey     map[tableKey]linkgraph.SymbolID // all other entries
	slab      []linkgraph.Edge                // where the edges of entries are cut from
	byBase    map[linkgraph.SymbolID]uint32   // entries inside of the base's block: their offset
}

// tableKey tells the entries of a thread-local variable apart.
type tableKey struct {
	symbol linkgraph.SymbolID
	kind   entryKind
}

type entryKind uint8

const (
	entryGD   entryKind = iota // {module, offset}, the argument of __tls_get_addr
	entryLD                    // {module, 0}
	entryIE                    // offset from the thread pointer
	entryDesc                  // TLS descriptor
)

// zeros is the contents of every entry before it is fixed up.
var zeros [32]byte

// makeEntry makes an entry of size bytes with n edges and returns its symbol.
func (p *planner) makeEntry(size uint64, edges ...linkgraph.Edge) linkgraph.SymbolID {
	t := &p.l.tables
	if t.section == 0 {
		t.section = p.g.GOTSection() + 1
	}
	if cap(t.slab)-len(t.slab) < len(edges) {
		t.slab = make([]linkgraph.Edge, 0, 256)
	}
	n := len(t.slab)
	t.slab = append(t.slab, edges...)
	b := p.g.AddBlock(linkgraph.Block{Data: zeros[:size:size], Size: size, Align: 8, Edges: t.slab[n:len(t.slab):len(t.slab)],
		Section: t.section - 1, Live: true})
	p.g.Blocks[b].Owner = p.owner()
	p.l.Stats.GOTEntries++
	p.l.Stats.Edges += len(edges)
	if p.piece == int32(p.l.Shared) {
		p.g.Blocks[b].Owner = none
	}
	return p.g.AddSymbol(b, 0)
}

// claim makes an entry that another piece uses already a shared one.
func (p *planner) claim(entry linkgraph.SymbolID) linkgraph.SymbolID {
	b := &p.g.Blocks[p.g.Symbols[entry].Block]
	if b.Owner == p.owner() {
		return entry
	}
	if b.Owner >= 0 {
		p.l.Pieces[p.l.pieceOf[b.Owner]].UsesShared = true
		b.Owner = none
	}
	p.l.Pieces[p.piece].UsesShared = p.piece != int32(p.l.Shared)
	return entry
}

// entry returns the GOT entry that holds the address of a symbol.
func (p *planner) entry(id linkgraph.SymbolID) linkgraph.SymbolID {
	if int(id) >= len(p.l.tables.byAddress) {
		return p.makeEntry(8, linkgraph.Edge{Kind: p.t.word64, Target: id})
	}
	if e := p.l.tables.byAddress[id]; e != 0 {
		return p.claim(e)
	}
	e := p.makeEntry(8, linkgraph.Edge{Kind: p.t.word64, Target: id})
	p.l.tables.byAddress[id] = e
	return e
}

// tlsEntry returns the entry of a kind for a thread-local variable (symbol 0 for entryLD: the graph's own module).
func (p *planner) tlsEntry(id linkgraph.SymbolID, kind entryKind) linkgraph.SymbolID {
	key := tableKey{id, kind}
	if e, ok := p.l.tables.byKey[key]; ok {
		return p.claim(e)
	}
	var e linkgraph.SymbolID
	switch kind {
	case entryGD:
		e = p.makeEntry(16, linkgraph.Edge{Kind: p.t.dtpmod, Target: id}, linkgraph.Edge{Offset: 8, Kind: p.t.dtpoff, Target: id})
	case entryLD:
		e = p.makeEntry(16, linkgraph.Edge{Kind: p.t.dtpmod, Target: id})
	case entryIE:
		e = p.makeEntry(8, linkgraph.Edge{Kind: p.t.tpoff, Target: id})
	case entryDesc:
		e = p.makeEntry(32, linkgraph.Edge{Kind: kindDescriptor, Target: id},
			linkgraph.Edge{Offset: 16, Kind: p.t.dtpmod, Target: id}, linkgraph.Edge{Offset: 24, Kind: p.t.dtpoff, Target: id})
	}
	if p.l.tables.byKey == nil {
		p.l.tables.byKey = map[tableKey]linkgraph.SymbolID{}
	}
	p.l.tables.byKey[key] = e
	return e
}

// toEntry points an edge at a table entry, as a plain reference of the given kind.
func toEntry(e *linkgraph.Edge, kind linkgraph.Kind, entry linkgraph.SymbolID) {
	e.Kind, e.Target = kind, entry
}

// base makes sure that the base of the GOT exists and is placed with or beside the current piece.
func (p *planner) base() linkgraph.SymbolID {
	if p.g.GOT < 0 {
		p.g.GOT = p.makeEntry(8)
		return p.g.GOT
	}
	b := &p.g.Blocks[p.g.Symbols[p.g.GOT].Block]
	if !b.Live {
		b.Live, b.Owner = true, none
	}
	return p.claim(p.g.GOT)
}

// entryAtBase returns an entry that lies in the block of the base, for types whose distance from the base is narrow.
func (p *planner) entryAtBase(id linkgraph.SymbolID) linkgraph.SymbolID {
	base := p.base()
	b := &p.g.Blocks[p.g.Symbols[base].Block]
	offset, ok := p.l.tables.byBase[id]
	if !ok {
		if p.l.tables.byBase == nil {
			p.l.tables.byBase = map[linkgraph.SymbolID]uint32{}
		}
		offset = uint32(b.Size)
		p.l.tables.byBase[id] = offset
		b.Size += 8
		b.Data = append(b.Data[:len(b.Data):len(b.Data)], zeros[:8]...)
		b.Edges = append(b.Edges[:len(b.Edges):len(b.Edges)], linkgraph.Edge{Offset: offset, Kind: p.t.word64, Target: id})
		p.l.Stats.GOTEntries++
	}
	return p.g.AddSymbol(p.g.Symbols[base].Block, uint64(offset))
}
