package livejit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"livejit/internal/guard"
	"livejit/internal/hostsym"
	"livejit/internal/linkgraph"
	"livejit/internal/symtab"
	"livejit/stackmap"
)

// Patchpoint is one call of llvm.experimental.patchpoint in the machine code of one version of a function: a place whose target can be changed while
// threads run through it. Inline caches, counters that can be turned off and calls that are specialised at run time are made from it.
//
// # What the code does
//
// The site calls by way of a cell, an aligned word of data that goes with the version, and [Patchpoint.SetTarget] stores to the cell. Code is never written
// to, so there is nothing that an executing processor could fetch half-changed (Intel SDM volume 3A, section 9.1.3), and an aligned word of eight bytes is loaded
// whole (section 9.1.1): each call reaches the old target or the new one. A call that begins after SetTarget has returned, as other
// synchronisation tells, reaches the new one; a call under way goes on in the old one. Without a target the site does nothing, as LLVM says, and the result is whatever the
// register of results holds.
//
// The arguments and the result are passed by the calling convention of the call in the IR. Nothing checks that a target has that type. With anyregcc the target finds
// its arguments in the registers that the stack map says.
//
// How many bytes the IR has reserved does not matter: the site always takes 13, the last of which end the call.
//
// # What has a patchpoint
//
// The target in the IR must be null, a function or a constant address; another is a *[CompileError]. A site that reserves no bytes and has no target only makes a record, as llvm.experimental.stackmap
// does, and is no Patchpoint. In objects from other compilers sites with a target can be changed like any; those with null are not found, since an object does not
// tell how many bytes belong to them. Other machines than x86-64 have none yet.
//
// # Versions
//
// A new version of the function begins with the target of its IR; the sites of old versions stay as they are, for calls that are still inside. Methods are safe for
// concurrent use.
type Patchpoint struct {
	ID       uint64   // as in the IR; several sites may have one
	Location Location // of the site's first byte
	Size     int      // bytes of the site

	engine *Engine
	site   *patchSite
}

// patchSite is a patchpoint of a piece.
type patchSite struct {
	id      uint64
	piece   *piece
	address uint64 // of its first byte
	cell    uint64
	target  string         // name of the function that it leads to; "": an address, or nothing
	held    *symtab.Symbol // the same, if the piece refers to it because of this site and not by its code
}

// Patchpoints returns the sites with an ID in all code that is loaded, also in old versions that were not freed yet, sorted by function, version and
// address. It waits for transactions that are being linked.
func (e *Engine) Patchpoints(id uint64) []*Patchpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []*Patchpoint
	for _, s := range e.patchSites[id] {
		l, _ := e.own(s.address)
		list = append(list, &Patchpoint{ID: id, Location: l, Size: linkgraph.PatchpointSize, engine: e, site: s})
	}
	slices.SortFunc(list, func(a, b *Patchpoint) int {
		return cmp.Or(cmp.Compare(a.Location.Function, b.Location.Function), cmp.Compare(a.Location.Version, b.Location.Version),
			cmp.Compare(a.Location.PC, b.Location.PC))
	})
	return list
}

// SetTarget makes the site call the function called name: one that is loaded ("module:name" for a static one), a Go function ([Engine.Define]), or a
// function of a library or the process. "" makes it do nothing.
//
// The site reaches a function as any caller does, so it can be replaced, invalidated and compiled at its first call. As long as the site leads to it, and its version is current,
// the function is in use: [Function.Callers] lists the site's function, and deleting it is refused with an *[InUseError]. The target that the IR names stays in use
// for as long as the version does. It takes no memory and waits for transactions that are being linked.
//
// Errors: [ErrClosed]; [ErrNotFound] if there is no such function, or the version has been freed; *[RefusedError] if it is no function.
func (p *Patchpoint) SetTarget(name string) error {
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := p.alive(); err != nil {
		return err
	}
	if name == "" {
		e.retarget(p.site, "", nil, uint64(guard.Nothing()))
		return nil
	}
	s, address, err := e.target(name)
	if err != nil {
		return fmt.Errorf("set the target of patchpoint %d: %s: %w", p.ID, name, err)
	}
	e.retarget(p.site, name, s, address)
	return nil
}

// SetTargetAddress is SetTarget for code that has no name here. The caller sees to it that it stays. An address in the engine's own memory is refused with a
// *[RefusedError], since nothing would hold the code: functions go by their names. 0 makes the site do nothing.
func (p *Patchpoint) SetTargetAddress(address uintptr) error {
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	switch err := p.alive(); {
	case err != nil:
		return err
	case address == 0:
		address = guard.Nothing()
	case e.inRange(uint64(address)):
		l, _ := e.own(uint64(address))
		return &RefusedError{Name: fmt.Sprintf("patchpoint %d", p.ID), Reason: fmt.Sprintf("the address of %v is the engine's; a function is given by its name", l)}
	}
	e.retarget(p.site, "", nil, uint64(address))
	return nil
}

// Target returns what the site calls: the name of a function as SetTarget takes it, and the address that calls go to. The name is "" if the target was given as an
// address, both are zero if there is none. [ErrNotFound] if the version has been freed, [ErrClosed].
func (p *Patchpoint) Target() (name string, address uintptr, err error) {
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := p.alive(); err != nil {
		return "", 0, err
	}
	if address = uintptr(atomic.LoadUint64(p.site.word())); address == guard.Nothing() {
		address = 0
	}
	return p.site.target, address, nil
}

// alive says whether the site's code is still there. The engine is locked.
func (p *Patchpoint) alive() error {
	switch e := p.engine; {
	case e.closed:
		return ErrClosed
	case e.pieces[p.site.piece.ID] != p.site.piece:
		return fmt.Errorf("patchpoint %d of %v: its code has been freed: %w", p.ID, p.Location, ErrNotFound)
	}
	return nil
}

// target returns the function that SetTarget names, and where to call it. What is outside of the engine has no symbol to be held: libraries and Go functions stay until the engine is
// closed.
func (e *Engine) target(name string) (*symtab.Symbol, uint64, error) {
	if s, err := e.named(name); err == nil {
		switch {
		case !callable(s):
			return nil, 0, &RefusedError{Name: name, Reason: "it is not a function"}
		case s.Stub != 0:
			return s, s.Stub, nil
		}
		return s, s.Addr, nil
	}
	if h := e.defined[name]; h != nil {
		return nil, h.thunk.RX, nil
	}
	found, ok := e.lookHost(name)
	switch {
	case !ok:
		return nil, 0, fmt.Errorf("no function of that name is loaded or in the process: %w", ErrNotFound)
	case found.Kind != hostsym.Func && found.Kind != hostsym.IFuncResolved:
		return nil, 0, &RefusedError{Name: name, Reason: "it is not a function"}
	}
	return nil, uint64(found.Addr), nil
}

// retarget makes a site lead to address, which is that of the symbol held, if there is one.
//
// The order: the new target is referred to before the cell names it, and the old one forgotten after the cell names it no more. A thread that has loaded the cell before may be on
// its way to the old target for as long as any thread that has read a slot: what was deleted waits for it (reclaim.go).
func (e *Engine) retarget(s *patchSite, name string, held *symtab.Symbol, address uint64) {
	old := s.held
	if held != nil {
		s.piece.AddRef(held, symtab.Call)
	}
	s.target, s.held = name, held
	atomic.StoreUint64(s.word(), address)
	if old != nil {
		s.piece.DropRef(old, e.unneeded)
	}
}

// word is the site's cell, in memory that is not Go's.
func (s *patchSite) word() *uint64 { return (*uint64)(unsafe.Pointer(nativePointer(s.cell))) }

// linkedPatchpoint is a patchpoint on its way to be a patchSite.
type linkedPatchpoint struct {
	id     uint64
	block  linkgraph.BlockID
	offset uint64
	cell   linkgraph.SymbolID
}

// redirectPatchpoints makes the patchpoints of a unit call by way of cells.
func (u *unit) redirectPatchpoints() error {
	g := u.graph
	block := u.stackMapBlock()
	if block < 0 {
		return nil
	}
	maps, err := stackmap.Parse(g.Blocks[block].Data)
	if err != nil {
		return err
	}
	functions := make(map[uint64]linkgraph.Edge)
	for _, edge := range g.Blocks[block].Edges {
		functions[uint64(edge.Offset)] = edge
	}
	for _, m := range maps {
		for _, f := range m.Functions {
			edge, ok := functions[uint64(f.Field)]
			if !ok || g.Symbols[edge.Target].Block < 0 {
				continue
			}
			s := &g.Symbols[edge.Target]
			block, start := s.Block, s.Offset+uint64(edge.Addend)
			for i := range f.Records {
				p := linkedPatchpoint{id: f.Records[i].ID, block: block, offset: start + uint64(f.Records[i].Offset)}
				if p.cell, ok = g.RedirectPatchpoint(block, p.offset, uint64(guard.Nothing())); ok {
					u.patchpoints = append(u.patchpoints, p)
				}
			}
		}
	}
	return nil
}

// placePatchpoints gives each piece its sites, which have addresses now.
func (t *transaction) placePatchpoints(context.Context) error {
	for _, u := range t.link.units {
		for _, from := range u.patchpoints {
			i := u.link.PieceOf(from.cell)
			if i < 0 { // of a definition that was dropped
				continue
			}
			p := u.pieces[i]
			s := &patchSite{id: from.id, piece: p, address: u.graph.Blocks[from.block].Addr + from.offset, cell: u.link.BodyOf(from.cell)}
			if edges := u.graph.Blocks[u.graph.Symbols[from.cell].Block].Edges; len(edges) > 0 && int(edges[0].Target) < len(u.symbols) {
				if to := u.symbols[edges[0].Target]; to != nil {
					s.target = qualified(to)
				}
			}
			if p.patchpoints == nil {
				p.patchpoints = new([]*patchSite)
			}
			*p.patchpoints = append(*p.patchpoints, s)
		}
	}
	return nil
}

// keepPatchpoints makes the sites of a piece findable.
func (e *Engine) keepPatchpoints(p *piece) {
	if p.patchpoints == nil {
		return
	}
	for _, s := range *p.patchpoints {
		e.patchSites[s.id] = append(e.patchSites[s.id], s)
	}
}

// dropPatchpoints undoes keepPatchpoints.
func (e *Engine) dropPatchpoints(p *piece) {
	if p.patchpoints == nil {
		return
	}
	for _, s := range *p.patchpoints {
		list := slices.DeleteFunc(e.patchSites[s.id], func(other *patchSite) bool { return other == s })
		if e.patchSites[s.id] = list; len(list) == 0 {
			delete(e.patchSites, s.id)
		}
	}
}
