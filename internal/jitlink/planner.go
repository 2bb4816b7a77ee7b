package jitlink

import (
	"slices"

	"livejit/internal/linkgraph"
)

// planner goes over the edges of all live blocks, piece by piece.
type planner struct {
	l        *Link
	g        *linkgraph.Graph
	t        *target
	reaches  []reach // by symbol, as far as asked
	lastRef  []int32 // by symbol: index in l.refs + 1 of its latest Ref
	firstRef int32   // index in l.refs of the piece's first
	piece    int32
	errs     []error

	// The block being planned.
	block  linkgraph.BlockID
	memory linkgraph.Memory
	direct bool   // its references to functions mean the body
	data   []byte // contents
	owned  bool   // data is a copy that may be changed
	edges  []linkgraph.Edge
	at     int              // index in edges of the edge being planned
	tail   []byte           // what is to follow the block's contents: veneers
	extra  []linkgraph.Edge // edges in the tail
	swept  uint64           // start of the last instruction found in it
	jumps  map[linkgraph.SymbolID]uint32
}

// reach says how a symbol can be reached, as far as that is known without addresses.
type reach uint8

const (
	unknown reach = iota
	here          // placed with this graph, no stub
	ours          // a JIT function: Addr is its stub, near
	host          // a function of the process: stub and slot near, the slot holds Addr
	near          // defined by another graph, in JIT memory
	far           // only through a GOT entry
)

func newPlanner(l *Link) *planner {
	n := len(l.Graph.Symbols)
	l.tables.byAddress = make([]linkgraph.SymbolID, n)
	return &planner{l: l, g: l.Graph, t: l.t, reaches: make([]reach, n), lastRef: make([]int32, n)}
}

// begin starts a piece.
func (p *planner) begin(piece int32) {
	p.piece = piece
	p.firstRef = int32(len(p.l.refs))
}

// owner is what Block.Owner is in the current piece.
func (p *planner) owner() linkgraph.BlockID { return p.l.Pieces[p.piece].Block }

// reach returns how a symbol can be reached. Symbols made while planning lie here.
func (p *planner) reach(id linkgraph.SymbolID) reach {
	if int(id) >= len(p.reaches) {
		return here
	}
	if r := p.reaches[id]; r != unknown {
		return r
	}
	s := &p.g.Symbols[id]
	isFar := s.Def == linkgraph.Absolute || s.Def == linkgraph.Undefined && p.l.o.Far != nil && p.l.o.Far(id)
	r := near
	switch {
	case s.StubTarget && isFar:
		r = host
	case s.StubTarget:
		r = ours
	case isFar:
		r = far
	case s.Def != linkgraph.Undefined:
		r = here
	}
	p.reaches[id] = r
	return r
}

// planBlock plans the edges of one block and appends the veneers they need to it.
func (p *planner) planBlock(id linkgraph.BlockID) {
	b := &p.g.Blocks[id]
	if len(b.Edges) == 0 {
		return
	}
	section := &p.g.Sections[b.Section]
	p.block, p.memory, p.direct = id, section.Memory, section.Direct
	p.data, p.owned, p.edges = b.Data, false, b.Edges
	p.tail, p.extra, p.swept, p.jumps = nil, nil, 0, nil
	for p.at = 0; p.at < len(p.edges); p.at++ {
		e := &p.edges[p.at]
		row := p.t.row(e.Kind)
		switch {
		case row == nil:
			p.fail(e, "unknown to this linker")
			continue
		case uint64(e.Offset)+uint64(row.width) > uint64(len(p.data)):
			p.fail(e, "field reaches beyond its section")
			continue
		}
		p.refer(e)
		if row.plan != nil {
			row.plan(p, e)
		}
	}
	p.l.Stats.Edges += len(p.edges) + len(p.extra)
	b = &p.g.Blocks[id] // GOT entries may have moved the blocks
	if p.owned {
		b.Data = p.data
	}
	if len(p.tail) > 0 {
		b.Data = slices.Concat(p.data, p.tail)
		b.Size = uint64(len(b.Data))
		b.Edges = slices.Concat(p.edges, p.extra)
	}
}

func (p *planner) fail(e *linkgraph.Edge, msg string) {
	p.errs = append(p.errs, p.l.relocationError(p.block, e, 0, msg))
}

// patch returns the contents of the block, ready to be changed.
func (p *planner) patch() []byte {
	if !p.owned {
		p.data, p.owned = slices.Clone(p.data), true
	}
	return p.data
}

// tailOffset is where in the block the next byte of the tail will stand.
func (p *planner) tailOffset() uint32 { return uint32(len(p.data) + len(p.tail)) }

// refer records the dependence of the piece that an edge means.
func (p *planner) refer(e *linkgraph.Edge) {
	s := &p.g.Symbols[e.Target]
	if s.Def == linkgraph.Absolute || e.Kind == 0 {
		return
	}
	call := p.memory == linkgraph.Code && p.g.IsCall(p.data, e)
	flags := RefAddress
	if call {
		flags = RefCall
	}
	id := e.Target
	if s.Block >= 0 {
		to := p.l.pieceOf[s.Block]
		switch {
		case to == p.piece:
			return
		case to == int32(p.l.Shared):
			p.l.Pieces[p.piece].UsesShared = true
			return
		case to >= 0:
			if s.Anonymous || s.Part {
				if p.memory != linkgraph.Code && p.g.MemoryOf(s.Block) == linkgraph.Code {
					return // a shared jump table; only the function itself uses that entry
				}
				id = p.l.Pieces[to].Root
				flags |= RefDirect
			} else if !s.StubTarget || p.direct {
				flags |= RefDirect
			}
		case s.Anonymous:
			return // an unnamed thread-local
		}
	}
	if last := p.lastRef[id]; last > p.firstRef {
		p.l.refs[last-1].Flags |= flags
		return
	}
	p.l.refs = append(p.l.refs, Ref{id, flags})
	p.lastRef[id] = int32(len(p.l.refs))
}

// body turns an edge to a function into one to its body where that is what it means: in tables that describe the code itself,
// and for places inside of the function (offset is the distance from the symbol that is meant). It reports whether nothing
// is left to do.
func (p *planner) body(e *linkgraph.Edge, offset int64) bool {
	s := &p.g.Symbols[e.Target]
	if !s.StubTarget {
		return false
	}
	if s.Def == linkgraph.Defined && (p.direct || offset != 0) {
		e.Kind |= viaBody
		return true
	}
	if offset != 0 {
		p.fail(e, "place inside of a function that is defined elsewhere")
		return true
	}
	return false
}

// refuse is the plan of types that no relocatable object may hold.
func refuse(p *planner, e *linkgraph.Edge) {
	p.fail(e, "belongs into linked images only")
}
