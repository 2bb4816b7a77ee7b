package jitlink

import (
	"errors"
	"fmt"

	"livejit/internal/linkgraph"
)

const none = linkgraph.None

// Plan decides everything that needs no address. The error joins one *RelocationError or *linkgraph.DiscardError for each edge that
// can be seen not to be served.
func (l *Link) Plan(o Options) error {
	l.expect("Plan", created)
	l.o = o
	l.original = len(l.Graph.Blocks)

	// Prune and own: beyond this point Block.Live and Block.Owner are known.
	if err := l.own(); err != nil {
		return err
	}
	// Cut into pieces: beyond this point every live block is in a piece or in the TLS image.
	l.makePieces()
	// Relax, build the GOT and veneers, and collect what each piece refers to: beyond this point each edge has its final kind
	// and target, and no block grows any more.
	if err := l.planEdges(); err != nil {
		return err
	}
	// Beyond this point every live block has its place in its span.
	l.layOut()
	l.phase = planned
	return nil
}

// unvisited marks blocks that no root has reached yet.
const unvisited linkgraph.BlockID = -2

// own finds the live blocks and the root that owns each. Roots are functions and data, and what has to stay though nothing refers to
// it. An anonymous block belongs to the root that reaches it, or to the shared piece (None) if several do.
func (l *Link) own() error {
	g := l.Graph
	var errs []error
	stack := make([]linkgraph.BlockID, 0, 64)
	for i := range g.Blocks {
		b := &g.Blocks[i]
		b.Owner, b.Live = unvisited, false
	}
	share := func(b linkgraph.BlockID) {
		if g.Blocks[b].Owner != none {
			g.Blocks[b].Owner = none
			stack = append(stack, b)
		}
	}
	for i := range g.Blocks {
		b, s := &g.Blocks[i], &g.Sections[g.Blocks[i].Section]
		switch {
		case b.Discarded || s.Memory == linkgraph.Unloaded:
		case s.Memory == linkgraph.TLS && b.Root >= 0, s.Bounded, s.Retain && b.Root < 0:
			share(linkgraph.BlockID(i))
		case b.Root >= 0:
			b.Owner = linkgraph.BlockID(i)
			stack = append(stack, linkgraph.BlockID(i))
		}
	}
	for _, list := range [...][]linkgraph.Init{g.Inits, g.Finis} {
		for i := range list {
			b := g.Symbols[list[i].Target].Block
			switch {
			case b < 0 || g.Blocks[b].Root >= 0 || g.Blocks[b].Discarded:
			case g.MemoryOf(b) != linkgraph.Code:
				errs = append(errs, fmt.Errorf("%s: constructor or destructor %s is no code", g.Name, g.SymbolName(list[i].Target)))
			default:
				share(b)
			}
		}
	}
	visit := func(owner, to linkgraph.BlockID) {
		t := &g.Blocks[to]
		switch {
		case t.Owner == to || t.Owner == none || t.Owner == owner:
		case t.Owner == unvisited && g.Sections[t.Section].Memory != linkgraph.TLS:
			t.Owner = owner
			stack = append(stack, to)
		default:
			t.Owner = none
			stack = append(stack, to)
		}
	}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b := &g.Blocks[id]
		b.Live = true
		for i := range b.Edges {
			to, err := l.successor(id, &b.Edges[i])
			if err != nil {
				errs = append(errs, err)
			} else if to >= 0 {
				visit(b.Owner, to)
			}
		}
		g.EachKept(id, func(to linkgraph.BlockID) {
			if !g.Blocks[to].Discarded {
				visit(b.Owner, to)
			}
		})
	}
	return errors.Join(errs...)
}

// successor returns the block that an edge keeps alive, None if it leads out of the graph. Edges into dropped blocks are bent to the
// symbol that stands for the block, or cut where they only describe it.
func (l *Link) successor(from linkgraph.BlockID, e *linkgraph.Edge) (linkgraph.BlockID, error) {
	g := l.Graph
	s := &g.Symbols[e.Target]
	if s.Block < 0 {
		return none, nil
	}
	if g.Blocks[s.Block].Discarded {
		if to, offset, ok := g.Rebound(s.Block); ok {
			e.Addend += int64(s.Offset) - int64(offset)
			e.Target = to
			return none, nil
		}
		section := &g.Sections[g.Blocks[from].Section]
		if section.Direct {
			*e = linkgraph.Edge{Offset: e.Offset}
			return none, nil
		}
		err := &linkgraph.DiscardError{Object: g.Name, Symbol: g.SymbolName(e.Target), Section: section.Name, Offset: uint64(e.Offset)}
		if gid := g.Sections[g.Blocks[s.Block].Section].Group; gid >= 0 {
			err.Group = g.Groups[gid].Signature
		}
		return none, err
	}
	if g.MemoryOf(s.Block) == linkgraph.Unloaded {
		if e.Kind == 0 {
			return none, nil
		}
		return none, l.relocationError(from, e, 0, fmt.Sprintf("section %s is not loaded", g.Sections[g.Blocks[s.Block].Section].Name))
	}
	return s.Block, nil
}

// makePieces makes a piece for each root, and one for what is shared (dropped again by planEdges if it stays empty).
func (l *Link) makePieces() {
	g := l.Graph
	n := 1
	for i := range g.Blocks {
		if g.Blocks[i].Live && g.Blocks[i].Owner == linkgraph.BlockID(i) {
			n++
		}
	}
	l.Pieces = make([]Piece, 0, n)
	l.layouts = make([]layout, n)
	l.pieceOf = make([]int32, len(g.Blocks), len(g.Blocks)+len(g.Blocks)/4)
	for i := range g.Blocks {
		l.pieceOf[i] = -1
		if b := &g.Blocks[i]; b.Live && b.Owner == linkgraph.BlockID(i) {
			l.pieceOf[i] = int32(len(l.Pieces))
			l.Pieces = append(l.Pieces, Piece{Name: g.Symbols[b.Root].Name, Root: b.Root, Block: linkgraph.BlockID(i)})
		}
	}
	l.Shared = len(l.Pieces)
	l.Pieces = append(l.Pieces, Piece{Root: none, Block: none})
	l.gather()
}

// gather lists the placed blocks piece by piece in l.order, the root first, then in the order of the graph; and those of the TLS image.
func (l *Link) gather() {
	g := l.Graph
	l.tls.blocks = l.tls.blocks[:0]
	for len(l.pieceOf) < len(g.Blocks) {
		l.pieceOf = append(l.pieceOf, -1)
	}
	for i := range l.layouts {
		l.layouts[i].first, l.layouts[i].end = 0, 0
	}
	total := int32(0)
	for i := range g.Blocks {
		b := &g.Blocks[i]
		switch {
		case !b.Live:
			continue
		case g.Sections[b.Section].Memory == linkgraph.TLS:
			l.tls.blocks = append(l.tls.blocks, linkgraph.BlockID(i))
			continue
		case b.Owner >= 0:
			l.pieceOf[i] = l.pieceOf[b.Owner]
		default:
			l.pieceOf[i] = int32(l.Shared)
		}
		l.layouts[l.pieceOf[i]].end++
		total++
	}
	l.order = append(l.order[:0], make([]linkgraph.BlockID, total)...)
	at := int32(0)
	for i := range l.layouts {
		lay := &l.layouts[i]
		count := lay.end
		lay.first, lay.end = at, at
		if root := l.Pieces[i].Block; root >= 0 {
			l.order[at] = root
			lay.end++
		}
		at += count
	}
	for i := range g.Blocks {
		p := l.pieceOf[i]
		if !g.Blocks[i].Live || p < 0 || l.Pieces[p].Block == linkgraph.BlockID(i) {
			continue
		}
		l.order[l.layouts[p].end] = linkgraph.BlockID(i)
		l.layouts[p].end++
	}
}

// planEdges plans every live edge, piece by piece.
func (l *Link) planEdges() error {
	p := newPlanner(l)
	starts := make([]int32, len(l.Pieces)+1)
	for i := range l.Pieces {
		starts[i] = int32(len(l.refs))
		p.begin(int32(i))
		for _, b := range l.order[l.layouts[i].first:l.layouts[i].end] {
			p.planBlock(b)
		}
	}
	for _, b := range l.tls.blocks { // still the shared piece
		p.planBlock(b)
	}
	if len(p.errs) > 0 {
		return errors.Join(p.errs...)
	}
	starts[len(l.Pieces)] = int32(len(l.refs))
	for i := range l.Pieces {
		l.Pieces[i].Refs = l.refs[starts[i]:starts[i+1]:starts[i+1]]
	}
	l.Stats.Blocks = len(l.Graph.Blocks)
	for i := range l.Graph.Blocks {
		if !l.Graph.Blocks[i].Live && l.Graph.MemoryOf(linkgraph.BlockID(i)) != linkgraph.Unloaded {
			l.Stats.DeadBlocks++
		}
	}
	if len(l.Graph.Blocks) > l.original {
		l.gather()
	}
	last := &l.layouts[l.Shared]
	if last.first == last.end && len(l.Pieces[l.Shared].Refs) == 0 {
		l.Pieces, l.layouts, l.Shared = l.Pieces[:l.Shared], l.layouts[:l.Shared], -1
	}
	l.Stats.Pieces = len(l.Pieces)
	return nil
}
