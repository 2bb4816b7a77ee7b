package livejit

import (
	"context"
	"errors"
	"fmt"

	"livejit/internal/jitlink"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// linking is one attempt of a transaction to link: everything it has made so far.
type linking struct {
	units    []*unit
	names    map[string]*definition             // what it defines for everyone
	locals   map[*Module]map[string]*definition // what it defines for one module
	statics  map[*llvm.Global]*definition       // those that come from IR: sources may have statics of one name
	remade   map[*symtab.Symbol]*definition     // new versions of statics
	order    []*definition                      // all definitions, in the order of the sources
	groups   map[string]*Module                 // COMDAT groups kept
	archives []*archiveFile                     // given with the sources
	pulled   []pulledMember
	hosts    []*symtab.Symbol // host symbols this link was the first to need
	absent   *symtab.Symbol   // what undefined weak symbols mean
	pieces   []*piece
	stubs    []*symtab.Symbol // symbols that got a stub
	tls      map[*Module]*tlsBlock
	exits    []*Module // modules that got exit handlers
	spent    bool      // the graphs cannot be linked again
}

// definition is a symbol that a unit, or a lazy module, defines.
type definition struct {
	symbol   *symtab.Symbol // its identity: a new one, or the one that is loaded
	module   *Module
	unit     *unit // nil: compiled at the first call
	id       linkgraph.SymbolID
	name     string
	global   *llvm.Global // nil if it came as an object
	lost     bool         // another definition is kept
	ifunc    bool
	again    bool           // the symbol is loaded: this is a new version of it, or its definition after it was deleted
	succeeds *symtab.Symbol // whose name the new symbol takes over
	migrate  Migration
	body     uint64
	size     uint64
	typ      symtab.Type
	strength symtab.Strength
	local    bool
}

// isNew says whether the definition brings a symbol that was not there.
func (d *definition) isNew() bool { return !d.again }

// linkLocked is the whole link, as a list of passes over all units. The engine is locked
// throughout: what names mean must not change under it.
func (t *transaction) linkLocked(ctx context.Context) error {
	l := &t.link
	*l = linking{names: make(map[string]*definition), locals: make(map[*Module]map[string]*definition), statics: make(map[*llvm.Global]*definition), remade: make(map[*symtab.Symbol]*definition), groups: make(map[string]*Module),
		absent: &symtab.Symbol{Kind: symtab.Absent}, tls: make(map[*Module]*tlsBlock), spent: true}
	for _, p := range t.parts {
		if p.archive != nil {
			l.archives = append(l.archives, p.archive)
		} else {
			first := len(l.units)
			l.units = append(append(l.units, p.unit), p.rest...)
			for _, u := range l.units[first:] {
				u.module = p.module
			}
		}
	}
	for _, pass := range []func(context.Context) error{
		t.define,           // every definition that is kept is in names; losers refer to winners
		t.pull,             // archive members that are needed are units too
		t.bind,             // every symbol in use has a meaning
		t.plan,             // every unit is cut into pieces
		t.allocate,         // beyond this point every block and every symbol has an address
		t.fixUp,            // every edge is applied, aside
		t.placePatchpoints, // each piece knows its patchpoints
		t.debugObjects,     // debug information is kept, with final addresses
		t.stackMaps,        // what code says of its stack frames is its piece's
		t.write,            // memory holds the code, nothing can reach it yet
		t.publish,          // what can fail comes first
	} {
		if err := pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// plan cuts every unit into pieces.
func (t *transaction) plan(context.Context) error {
	t.shareStubs()
	for _, u := range t.link.units {
		if err := u.redirectPatchpoints(); err != nil {
			return &FormatError{Source: u.name, Err: err}
		}
		link, err := jitlink.NewLink(u.graph)
		if err != nil {
			return &FormatError{Source: u.name, Err: err}
		}
		u.link = link
		err = link.Plan(jitlink.Options{
			Far:             func(id linkgraph.SymbolID) bool { return isFar(u.symbols[id]) },
			Reach:           t.engine.reach(),
			TLSDescResolver: tlsDescResolver(),
		})
		if err != nil {
			return linkErrors(err)
		}
	}
	return nil
}

// isFar says whether the address of s may lie outside of the engine's memory.
func isFar(s *symtab.Symbol) bool {
	return s != nil && s.Kind.Host() && (s.Stub == 0 || s.Addr != s.Stub)
}

// allocate gives every piece memory, every new function a stub, and every symbol its address.
func (t *transaction) allocate(context.Context) error {
	l := &t.link
	for _, u := range l.units {
		if err := u.link.Allocate(&allocator{memory: t.engine.memory, module: u.module.name}); err != nil {
			return err
		}
	}
	if err := t.reserveTLS(); err != nil {
		return err
	}
	for _, d := range l.order {
		if d.lost {
			continue
		}
		if d.unit != nil {
			d.body = d.unit.link.BodyOf(d.id)
		}
		if d.isNew() {
			if err := t.place(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// place gives a new symbol its address.
func (t *transaction) place(d *definition) error {
	s := d.symbol
	switch s.Kind {
	case symtab.Func:
		if s.Alias != nil {
			s.Addr, s.Stub, s.Slot = s.Alias.Addr, s.Alias.Stub, s.Alias.Slot
			break
		}
		stub, err := t.engine.stubs.Alloc()
		if err != nil {
			return memoryError(d.module.name, s.Name, err)
		}
		s.Addr, s.Stub, s.Slot = stub.Addr, stub.Addr, stub.Slot
		t.link.stubs = append(t.link.stubs, s)
	case symtab.TLS:
		s.TLS = &symtab.Place{Module: t.link.tls[d.module].module.ID, Offset: d.body}
	case symtab.Number:
	default:
		s.Addr = d.body
		if s.Alias != nil { // of a variable that is loaded
			s.Addr = s.Alias.Addr + uint64(d.global.AliaseeOff)
		}
	}
	return nil
}

// fixUp tells the units what their symbols mean and applies their edges.
func (t *transaction) fixUp(context.Context) error {
	l := &t.link
	var errs []error
	for _, u := range l.units {
		for id, s := range u.symbols {
			if s != nil {
				u.graph.Symbols[id].Target = target(s)
			}
		}
		u.pieces = make([]*piece, len(u.link.Pieces))
		for i := range u.link.Pieces {
			from := &u.link.Pieces[i]
			owner := u.module
			if from.Root >= 0 && u.symbols[from.Root] != nil {
				if m, ok := u.symbols[from.Root].Owner.(*Module); ok {
					owner = m
				}
			}
			u.pieces[i] = t.engine.newPiece(owner, from)
			l.pieces = append(l.pieces, u.pieces[i])
		}
		if err := u.link.FixUp(); err != nil {
			errs = append(errs, linkErrors(err))
		}
	}
	return join(errs...)
}

// target is what references to s mean to the linker.
func target(s *symtab.Symbol) linkgraph.Target {
	t := linkgraph.Target{Addr: s.Addr, Stub: s.Stub, Slot: s.Slot, SlotIsAddr: s.Kind == symtab.HostFunc, Size: s.Size}
	switch {
	case s.Kind == symtab.HostFunc && s.Addr == s.Stub: // as in an executable that is not position-independent
		t.SlotIsAddr = false
	case s.Kind == symtab.HostData:
		t.Stub = s.Body
	}
	if s.TLS != nil {
		t.TLS = linkgraph.TLSTarget{Module: s.TLS.Module, Offset: s.TLS.Offset, TPOffset: s.TLS.TPOffset, Static: s.TLS.Static}
	}
	return t
}

// write fills the memory and gives the thread-local blocks their images.
func (t *transaction) write(context.Context) error {
	if err := t.writeTLS(); err != nil {
		return err
	}
	for _, u := range t.link.units {
		if err := u.link.Write(); err != nil {
			return fmt.Errorf("%s: write code: %w", u.name, err)
		}
	}
	return nil
}

// linkErrors gives errors of package jitlink their public form.
func linkErrors(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, linkErrors(e))
		}
		return join(errs...)
	}
	var r *jitlink.RelocationError
	if errors.As(err, &r) {
		return &RelocationError{Object: r.Object, Section: r.Section, Offset: r.Offset, Symbol: r.Symbol, Kind: r.Kind, Distance: r.Value, Reason: r.Msg}
	}
	return err
}

// discardLink takes back everything an attempt to link has made. Nothing could reach it. The
// units have to be made again.
func (t *transaction) discardLink() {
	e, l := t.engine, &t.link
	for _, u := range l.units {
		if u.link != nil {
			u.link.Release()
		}
		if u.part == nil {
			u.release()
		}
	}
	for _, p := range l.pieces {
		e.freePiece(p)
	}
	for _, s := range l.stubs {
		e.stubs.Free(stubOf(s))
	}
	waiting := len(e.reclaimer.stubs)
	for _, s := range l.hosts {
		e.dropUnused(s)
	}
	for _, s := range e.reclaimer.stubs[waiting:] { // nobody could call them
		e.stubs.Free(s.stub)
	}
	e.reclaimer.stubs = e.reclaimer.stubs[:waiting]
	for _, p := range l.pulled {
		delete(p.archive.taken, p.member)
	}
	for _, b := range l.tls {
		b.module.Release()
	}
	for _, m := range l.exits {
		m.exit.dso.Finalize() // nothing is registered
		m.exit.release(e)
		m.exit = nil
	}
	t.link = linking{}
	for _, p := range t.parts {
		p.release()
	}
}
