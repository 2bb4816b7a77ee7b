package livejit

import (
	"cmp"
	"context"
	"slices"

	"livejit/internal/linkgraph"
	"livejit/stackmap"
)

// StackMap is what LLVM has noted about one place in the code of a version of a function.
type StackMap struct {
	Location  Location         // of the place
	StackSize uint64           // of the function's frame, see stackmap.Function
	Record    *stackmap.Record // read only
}

// StackMap returns the record for a place in the engine's code: for a call of llvm.experimental.gc.statepoint or patchpoint its return address, for
// llvm.experimental.stackmap the address where it stands. Old versions that are still in memory have theirs; the records go with the version. It takes a time
// that does not depend on how much is loaded, and waits for transactions that are being linked.
//
// The section .llvm_stackmaps itself is not loaded: code that looks for __LLVM_StackMaps in its own memory does not find it.
func (e *Engine) StackMap(pc uint64) (StackMap, bool) {
	if !e.inRange(pc) {
		return StackMap{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return StackMap{}, false
	}
	for _, inside := range [...]uint64{pc - 1, pc} { // the last call of a function may have its return address behind the code
		code, ok := e.region.Find(inside)
		if !ok || e.pieces[code.ID] == nil {
			continue
		}
		if f, r := e.pieces[code.ID].stackMap(pc); r != nil {
			l, _ := e.own(inside)
			l.Offset += pc - inside
			l.PC = pc
			return StackMap{Location: l, StackSize: f.StackSize, Record: r}, true
		}
	}
	return StackMap{}, false
}

// stackMap finds the record for pc; nil if there is none.
func (p *piece) stackMap(pc uint64) (*stackmap.Function, *stackmap.Record) {
	if p.maps == nil {
		return nil, nil
	}
	for i := range *p.maps {
		f := &(*p.maps)[i]
		n, ok := slices.BinarySearchFunc(f.Records, pc, func(r stackmap.Record, pc uint64) int {
			return cmp.Compare(f.Address+uint64(r.Offset), pc)
		})
		if ok {
			return f, &f.Records[n]
		}
	}
	return nil, nil
}

// StackMaps returns the records of the function's current version, in the order of its code, with their places.
func (f *Function) StackMaps() []StackMap {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	v := f.primary().Current
	if v == nil || e.pieces[v.ID].maps == nil {
		return nil
	}
	var list []StackMap
	for _, m := range *e.pieces[v.ID].maps {
		for i := range m.Records {
			pc := m.Address + uint64(m.Records[i].Offset)
			l, _ := e.own(pc - 1)
			l.PC, l.Offset = pc, l.Offset+1
			list = append(list, StackMap{Location: l, StackSize: m.StackSize, Record: &m.Records[i]})
		}
	}
	return list
}

// stackMaps gives each piece the stack maps of its code. Nothing is published yet.
func (t *transaction) stackMaps(context.Context) error {
	for _, u := range t.link.units {
		block := u.stackMapBlock()
		if block < 0 {
			continue
		}
		if err := u.keepStackMaps(block); err != nil {
			return &FormatError{Source: u.name, Err: err}
		}
	}
	return nil
}

// stackMapBlock returns the stack maps of a unit, None if it has none.
func (u *unit) stackMapBlock() linkgraph.BlockID {
	id := u.graph.SectionByName(".llvm_stackmaps")
	if id == linkgraph.None {
		return linkgraph.None
	}
	block := u.graph.Sections[id].Block
	if block < 0 || u.graph.Blocks[block].Discarded {
		return linkgraph.None
	}
	return block
}

func (u *unit) keepStackMaps(block linkgraph.BlockID) error {
	section, err := u.link.Unloaded(block)
	if err != nil {
		return err
	}
	maps, err := stackmap.Parse(section)
	if err != nil {
		return err
	}
	returns := make(map[uint64]bool, len(u.patchpoints))
	for _, p := range u.patchpoints {
		returns[u.graph.Blocks[p.block].Addr+p.offset] = true
	}
	owners := make(map[uint64]*piece)
	for _, edge := range u.graph.Blocks[block].Edges { // the functions' addresses
		if i := u.link.PieceOf(edge.Target); i >= 0 {
			owners[uint64(edge.Offset)] = u.pieces[i]
		}
	}
	for _, m := range maps {
		for _, f := range m.Functions {
			p := owners[uint64(f.Field)]
			if p == nil || len(f.Records) == 0 { // of a definition that was dropped
				continue
			}
			if p.maps == nil {
				p.maps = new([]stackmap.Function)
			}
			for i := range f.Records {
				if r := &f.Records[i]; returns[f.Address+uint64(r.Offset)] { // LLVM has noted where the site begins
					r.Offset += linkgraph.PatchpointSize
				}
			}
			slices.SortStableFunc(f.Records, func(a, b stackmap.Record) int { return int(a.Offset) - int(b.Offset) })
			*p.maps = append(*p.maps, f)
			p.collected = p.collected || slices.ContainsFunc(f.Records, func(r stackmap.Record) bool { _, ok := r.Statepoint(); return ok })
		}
	}
	return nil
}
