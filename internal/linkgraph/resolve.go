package linkgraph

import "fmt"

// DiscardError says that what is left of a graph needs a place that was dropped.
type DiscardError struct {
	Object  string
	Group   string // signature of the discarded group; "" if the block was dropped with its last name
	Symbol  string // the place: a local symbol or a section
	Section string // who refers to it
	Offset  uint64
}

func (e *DiscardError) Error() string {
	in := "a dropped definition"
	if e.Group != "" {
		in = "discarded section group " + e.Group
	}
	return fmt.Sprintf("%s(%s+%#x): refers to %s in %s", e.Object, e.Section, e.Offset, e.Symbol, in)
}

// Discard drops a section group whose signature another graph has defined already. Its global symbols become undefined
// references to the winner's, by name; the unwind and debug information of its functions goes with it. A reference from
// elsewhere in the graph to a local symbol of the group cannot be served: jitlink's Plan then fails with *DiscardError.
func (g *Graph) Discard(group GroupID) {
	gr := &g.Groups[group]
	if gr.Discarded {
		return
	}
	gr.Discarded = true
	g.stale = true
	for _, b := range gr.Blocks {
		g.Blocks[b].Discarded = true
	}
	if g.groupSymbols == nil {
		g.groupSymbols = make([][]SymbolID, len(g.Groups))
		for i := range g.Symbols {
			if s := &g.Symbols[i]; s.Group >= 0 && s.Scope == Global {
				g.groupSymbols[s.Group] = append(g.groupSymbols[s.Group], SymbolID(i))
			}
		}
	}
	for _, id := range g.groupSymbols[group] {
		if s := &g.Symbols[id]; s.Def == Defined {
			g.forget(s)
		}
	}
}

// forget makes a symbol undefined.
func (g *Graph) forget(s *Symbol) {
	s.Def, s.Block, s.Offset, s.Group = Undefined, None, 0, None
}

// Undefine makes a defined or common symbol an undefined reference, because another definition won (weak losers, merged
// commons, data that keep their place when their module is replaced). A block left without a defined name is dropped, and
// references to it by section go to the symbol's Target too (at the same distance).
func (g *Graph) Undefine(id SymbolID) {
	s := &g.Symbols[id]
	if s.Def == Absolute {
		s.Def, s.Offset = Undefined, 0
		return
	}
	if s.Def == Undefined {
		return
	}
	g.stale = true
	b, offset, named := s.Block, s.Offset, s.names()
	g.forget(s)
	blk := &g.Blocks[b]
	if !named {
		return
	}
	if blk.names--; blk.names > 0 {
		if blk.Root == id {
			g.rename(b)
		}
		return
	}
	blk.Discarded = true
	if g.rebound == nil {
		g.rebound = map[BlockID]rebinding{}
	}
	g.rebound[b] = rebinding{id, offset}
}

// rename gives a block whose root symbol went the next best one.
func (g *Graph) rename(b BlockID) {
	g.Blocks[b].Root = None
	for i := range g.Symbols {
		s := &g.Symbols[i]
		if s.Block == b && s.names() &&
			(g.Blocks[b].Root < 0 || g.stronger(SymbolID(i), g.Blocks[b].Root)) {
			g.Blocks[b].Root = SymbolID(i)
		}
	}
}

// Rebound returns, for a block dropped by Undefine, the symbol that stands for it and the offset at which that symbol lay.
func (g *Graph) Rebound(b BlockID) (s SymbolID, offset uint64, ok bool) {
	r, ok := g.rebound[b]
	return r.symbol, r.offset, ok
}

// UndefinedSymbols returns the undefined symbols that a loaded block refers to, in order of their index. Used, Called and
// AddressTaken of all symbols are brought up to date with what Discard and Undefine have dropped.
func (g *Graph) UndefinedSymbols() []SymbolID {
	if g.stale {
		g.markUses()
	}
	var list []SymbolID
	for i := range g.Symbols {
		if s := &g.Symbols[i]; s.Def == Undefined && s.Used {
			list = append(list, SymbolID(i))
		}
	}
	return list
}
