package livejit

import (
	"context"
	"fmt"
	"strings"

	"livejit/internal/jitdebug"
	"livejit/internal/linkgraph"
)

// Debug information goes aside when its object is linked: a copy of its .debug_* sections with the
// addresses of the code, one jitdebug.Object for each unit, which the unit's pieces share.

// debugObjects makes the debug information of everything that the transaction has linked. Nothing is
// published yet.
func (t *transaction) debugObjects(context.Context) error {
	if !t.engine.config.debug {
		return nil
	}
	for _, u := range t.link.units {
		o, err := u.debugObject()
		if err != nil {
			return fmt.Errorf("%s: debug information: %w", u.name, err)
		}
		for i, p := range u.pieces {
			p.debug, p.part = o, int32(i)
		}
	}
	return nil
}

// debugObject copies the debug information of a unit.
func (u *unit) debugObject() (*jitdebug.Object, error) {
	g := u.graph
	o := &jitdebug.Object{Name: u.name, Machine: g.Machine}
	index := make(map[linkgraph.BlockID]int16)
	for i := range g.Sections {
		if s := &g.Sections[i]; isDebug(s) {
			index[s.Block] = int16(len(o.Sections))
			o.Sections = append(o.Sections, jitdebug.Section{Name: s.Name})
		}
	}
	for i := range g.Sections {
		s := &g.Sections[i]
		if !isDebug(s) {
			continue
		}
		to := &o.Sections[index[s.Block]]
		var err error
		if to.Data, err = u.link.Unloaded(s.Block); err != nil {
			return nil, err
		}
		to.Refs = u.debugRefs(s.Block, index)
	}
	return o, nil
}

// isDebug leaves out the index by name: it would have to follow when functions are renamed and dropped, and gdb, which looks
// nowhere else when it is there, finds no function by address in it.
func isDebug(s *linkgraph.Section) bool {
	return s.Memory == linkgraph.Unloaded && s.Block >= 0 && strings.HasPrefix(s.Name, ".debug_") && s.Name != ".debug_names"
}

// debugRefs lists what in a section of debug information refers to code or to another one.
func (u *unit) debugRefs(block linkgraph.BlockID, index map[linkgraph.BlockID]int16) []jitdebug.Ref {
	g := u.graph
	edges := g.Blocks[block].Edges
	refs := make([]jitdebug.Ref, 0, len(edges))
	for i := range edges {
		e := &edges[i]
		b := g.Symbols[e.Target].Block
		if b < 0 {
			continue
		}
		r := jitdebug.Ref{Offset: e.Offset, Size: u.link.FieldSize(e.Kind), To: -1}
		if to, ok := index[b]; ok {
			r.To = to
		} else if piece := u.link.PieceOf(e.Target); piece >= 0 && g.MemoryOf(b) == linkgraph.Code {
			r.Piece = int32(piece)
		} else {
			continue
		}
		refs = append(refs, r)
	}
	return refs
}
