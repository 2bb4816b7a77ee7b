package livejit

import (
	"context"
	"slices"

	"livejit/internal/jitlink"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// publish makes what was linked reachable, in an order that never shows running code
// something that is not there: unwind tables, slots of new functions, slots of functions with a new
// version, names; then what was deleted goes, and old versions are retired. What can fail comes first,
// while nothing refers to anything new.
func (t *transaction) publish(context.Context) error {
	e := t.engine
	for _, u := range t.link.units {
		if len(u.graph.Finis) > 0 && (u.part == nil || !u.part.replaces()) || u.part != nil && u.part.lazy(e) && len(u.part.program.Summary.Dtors) > 0 {
			if _, err := t.needExits(u.module); err != nil {
				return err
			}
		}
	}
	if err := t.migrate(); err != nil {
		return err
	}
	e.hook("register")
	for _, u := range t.link.units {
		for i := range u.link.Pieces {
			e.region.Add(u.link.Pieces[i].CodeStarts...)
		}
	}
	added, changed := t.redirections()
	for _, r := range added {
		e.stubs.Redirect(stubOf(r.symbol), r.target)
	}
	if t.quiescent {
		if err := t.storeQuiescent(changed); err != nil {
			t.unregister()
			return err
		}
	}
	// From here on nothing fails.
	t.keepPieces()
	if !t.quiescent {
		for _, r := range changed {
			e.hook("redirect " + r.symbol.Name)
			e.stubs.Redirect(stubOf(r.symbol), r.target)
		}
	}
	e.hook("names")
	t.keepDefinitions()
	t.tellTools()
	t.keepChanges()
	t.keepModules()
	e.tellDebugger()
	if len(t.modules)+len(t.late) > 0 {
		t.pin = e.gate.Enter()
	}
	e.hook("published")
	return nil
}

// redirection is where a stub is to lead.
type redirection struct {
	symbol *symtab.Symbol
	target uint64
}

// redirections lists the stubs that nobody calls yet, and those that code may call now.
func (t *transaction) redirections() (added, changed []redirection) {
	miss := func(s *symtab.Symbol) redirection { return redirection{s, t.engine.stubs.Miss(stubOf(s))} }
	for _, d := range t.link.order {
		s := d.symbol
		if d.lost || s.Kind != symtab.Func || s.Alias != nil {
			continue
		}
		r := redirection{s, d.body}
		if d.unit == nil || d.ifunc {
			r = miss(s)
		}
		if d.again {
			changed = append(changed, r)
		} else {
			added = append(added, r)
		}
	}
	for _, list := range [...][]*symtab.Symbol{t.changes.invalid, t.changes.removed} {
		for _, s := range list {
			if s.Kind == symtab.Func && s.Alias == nil && !t.changes.revived[s] {
				changed = append(changed, miss(s))
			}
		}
	}
	return added, changed
}

// unregister takes back the unwind tables.
func (t *transaction) unregister() {
	for _, u := range t.link.units {
		for i := range u.link.Pieces {
			t.engine.region.Remove(u.link.Pieces[i].CodeStarts...)
		}
	}
}

// migrate carries the values of variables over.
func (t *transaction) migrate() error {
	for _, d := range t.link.order {
		if d.lost || d.migrate == nil {
			continue
		}
		old, now := nativeBytes(d.succeeds.Addr, d.succeeds.Size), nativeBytes(d.body, d.size)
		if err := d.migrate(old, now); err != nil {
			return &RefusedError{Name: d.name, Reason: "migration: " + err.Error()}
		}
	}
	return nil
}

// keepPieces makes the pieces the modules', with what they refer to.
func (t *transaction) keepPieces() {
	for _, u := range t.link.units {
		for i, p := range u.pieces {
			from := &u.link.Pieces[i]
			p.starts = from.CodeStarts
			p.spans = spansOf(from)
			p.bytes = from.Bytes
			if from.Root >= 0 {
				if s := u.symbols[from.Root]; s != nil && !s.Kind.Host() {
					p.Symbol = s
				}
			}
			p.Refer(t.dependences(u, from))
			p.module.keep(p)
			t.engine.keepPatchpoints(p)
		}
		u.giveText()
	}
	for _, u := range t.link.units {
		for _, p := range u.pieces { // what nothing refers to was kept for another reason
			p.stays = p.Symbol == nil && !p.Held()
		}
	}
	for _, s := range t.link.hosts {
		t.engine.dropUnused(s) // looked up for a reference that did not survive
	}
}

// dependences returns what a piece of u refers to, by symbol and without one.
func (t *transaction) dependences(u *unit, from *jitlink.Piece) ([]symtab.Ref, []*symtab.Version) {
	refs := make([]symtab.Ref, 0, len(from.Refs))
	var holds []*symtab.Version
	for _, r := range from.Refs {
		s := u.symbols[r.Symbol]
		if s == nil {
			if i := u.link.PieceOf(r.Symbol); i >= 0 && &u.link.Pieces[i] != from {
				holds = append(holds, &u.pieces[i].Version)
			}
			continue
		}
		if s == t.link.absent {
			continue
		}
		var how symtab.RefFlags
		if r.Flags&jitlink.RefCall != 0 {
			how |= symtab.Call
		}
		if r.Flags&jitlink.RefAddress != 0 {
			how |= symtab.Address
		}
		refs = append(refs, symtab.Ref{Symbol: s, Flags: how})
	}
	if from.UsesShared {
		holds = append(holds, &u.pieces[u.link.Shared].Version)
	}
	return refs, holds
}

// keepDefinitions enters what was defined: names, versions, what it can be compiled from.
func (t *transaction) keepDefinitions() {
	e := t.engine
	for _, d := range t.link.order {
		if d.lost {
			continue
		}
		s := d.symbol
		if d.succeeds != nil {
			e.outdate(d.succeeds)
		}
		if d.again {
			if t.changes.revived[s] {
				t.leaveOld(s)
			}
			e.adopt(s, d)
		} else {
			d.module.enter(s)
			if s.Alias != nil {
				s.Alias.Aliases++
			}
		}
		if d.again {
			e.remember(s)
		}
		s.Size, s.Strength, s.Body = d.size, d.strength, d.body
		if s.Type != d.typ { // who calls reads it without the lock
			s.Type = d.typ
		}
		if d.global != nil {
			s.Code, s.Init, s.Lines, s.Constant = d.global.Code, d.global.Init, d.global.Lines, d.global.Constant
			s.Private = d.global.Linkage == llvm.Private
			s.Origin = t.originOf(d)
		} else {
			s.Code, s.Init, s.Lines, s.Origin = symtab.Fingerprint{}, symtab.Fingerprint{}, 0, nil
		}
		p := t.versionOf(d)
		if p != nil && d.global != nil { // else its stack maps tell
			p.collected = d.global.Collected
		}
		e.setVersion(s, p)
		switch {
		case s.Kind == symtab.Label:
			s.Entry.Store(s.Addr)
		case s.Kind != symtab.Func:
		default:
			if s.State == symtab.Outdated {
				delete(e.missing, s.Stub)
				break // the first call of a function whose name means another one since
			}
			s.State = symtab.Loaded
			switch {
			case s.Alias != nil:
			case d.unit == nil || d.ifunc:
				s.State = symtab.Pending
				e.missing[s.Stub] = s
			default:
				delete(e.missing, s.Stub)
			}
			s.Entry.Store(s.Stub)
		}
	}
	for signature, m := range t.link.groups {
		e.table.KeepGroup(signature, m)
	}
}

// leaveOld takes a function that was deleted and is defined again by this transaction out of the
// module it belonged to. Its stub leads to the new version already.
func (t *transaction) leaveOld(s *symtab.Symbol) {
	m := s.Owner.(*Module)
	t.engine.takeName(s)
	m.leave(s)
	m.stats.Functions--
	s.State = symtab.Deleted
}

// originOf returns what a definition can be compiled from again.
func (t *transaction) originOf(d *definition) symtab.Origin {
	var o *origin
	if d.unit != nil {
		o = d.unit.origin
	} else {
		for _, p := range t.parts {
			if p.module == d.module && p.globals[d.name] == d.global {
				o = p.origin
			}
		}
	}
	if o == nil || d.ifunc {
		return nil
	}
	return o
}

// versionOf returns the piece that holds a definition's body, nil if none does.
func (t *transaction) versionOf(d *definition) *piece {
	if d.unit == nil || d.symbol.Alias != nil {
		return nil
	}
	if i := d.unit.link.PieceOf(d.id); i >= 0 {
		return d.unit.pieces[i]
	}
	return nil
}

// keepChanges does what was judged with what is loaded already.
func (t *transaction) keepChanges() {
	e := t.engine
	for _, m := range t.changes.moved {
		s := m.symbol
		if s.State == symtab.Deleted || s.State == symtab.Outdated || s.Origin == nil {
			continue
		}
		s.Origin, s.Lines = m.origin, m.global.Lines
		if s.Local != m.global.Local {
			e.rescope(s, m.global.Local)
		}
	}
	for _, s := range t.changes.invalid {
		if s.State == symtab.Loaded {
			s.State = symtab.Pending
			e.missing[s.Stub] = s
			e.setVersion(s, nil)
		}
	}
	for _, s := range t.changes.removed {
		if !t.changes.revived[s] {
			e.remove(s)
		}
	}
}

// keepModules makes new modules the engine's and notes constructors, destructors and archives.
func (t *transaction) keepModules() {
	e, l := t.engine, &t.link
	var lazy []*origin
	added := make(map[*Module]bool)
	for _, m := range t.modules {
		if !m.loaded {
			added[m] = true
			m.loaded = true
			e.modules = append(e.modules, m)
		}
	}
	for _, p := range t.parts {
		if p.archive == nil && (!p.replaces() || p.step.module != nil || added[p.module]) {
			p.module.source(p.source.name) // not those of single functions, each of which may have another name
		}
		switch {
		case p.origin == nil || p.first != nil:
		case p.lazy(e):
			p.origin.settle(p.program)
			lazy = append(lazy, p.origin)
		default:
			p.origin.settle(nil)
		}
		if p.archive != nil {
			p.module.archives = append(p.module.archives, p.archive)
		}
	}
	for _, pulled := range l.pulled {
		pulled.module.pulled = append(pulled.module.pulled, pulled)
	}
	for m, b := range l.tls {
		m.tls = append(m.tls, b.module)
	}
	e.archives = append(e.archives, l.archives...)
	lists := make(map[*Module]*initLists)
	for _, u := range l.units {
		t.count(u)
		if lists[u.module] == nil {
			lists[u.module] = &initLists{}
		}
		switch list := lists[u.module]; {
		case u.part != nil && u.part.replaces():
			list.addNew(t, u)
		case u.part != nil && u.part.lazy(e):
			list.addPending(t, u.part)
		default:
			list.add(u)
		}
	}
	for m, list := range lists {
		constructs := list.keep(m)
		if slices.Contains(t.modules, m) {
			m.constructs = append(m.constructs, constructs...)
		} else if len(constructs) > 0 {
			t.late = append(t.late, lateConstructors{m, constructs})
		}
	}
	for _, o := range lazy {
		e.programs.touch(o)
	}
	for _, u := range l.units {
		if u.part == nil { // a member of an archive
			u.release()
			if u.origin != nil {
				u.origin.settle(nil)
			}
		}
	}
}

// count adds what the link of a unit did to the statistics.
func (t *transaction) count(u *unit) {
	s := &u.module.stats
	s.countLink(u)
	if u.compiled != nil {
		c := u.compiled.Times
		t.stages.Parse += c.Parse
		t.stages.Prepare += c.Prepare
		t.stages.Optimize += c.Optimize
		t.stages.Codegen += c.Codegen
		t.stages.Read += c.Read + c.Graph
	}
	t.stages.Read += u.readTime
}
