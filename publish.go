package livejit

import (
	"context"
	"fmt"
	"slices"

	"livejit/internal/guard"
	"livejit/internal/symtab"
)

// publish makes the load reachable. Unwind tables come first, then the slots, which
// running code may read, then the names. Only an ifunc's resolver, which is native code, and a
// lack of memory for exit handlers can fail here; nothing refers to the load yet, so discard
// takes it back.
func (l *load) publish(context.Context) error {
	e := l.engine
	for _, u := range l.units {
		for i := range u.link.Pieces {
			e.region.Add(u.link.Pieces[i].CodeStarts...)
		}
	}
	for _, d := range l.order {
		if s := d.symbol; !d.lost && s.Kind == symtab.Func && s.Alias == nil && !d.ifunc {
			e.stubs.Redirect(stubOf(s), s.Body)
		}
	}
	for _, d := range l.order {
		if d.ifunc && !d.lost {
			if err := e.resolveIFunc(d.symbol, l.module.name); err != nil {
				l.unregister()
				return err
			}
		}
	}
	if err := l.needExits(); err != nil {
		l.unregister()
		return err
	}
	l.keepPieces()
	l.keepSymbols()
	l.keepLists()
	l.module.pulled = l.pulled
	e.archives = append(e.archives, l.archives...)
	l.module.archives = l.archives
	e.modules = append(e.modules, l.module)
	l.pin = e.gate.Enter()
	l.published = true
	return nil
}

// unregister takes back the unwind tables.
func (l *load) unregister() {
	for _, u := range l.units {
		for i := range u.link.Pieces {
			l.engine.region.Remove(u.link.Pieces[i].CodeStarts...)
		}
	}
}

// resolveIFunc calls the resolver of an indirect function and makes its stub lead to what
// it returns (gABI extension STT_GNU_IFUNC).
func (e *Engine) resolveIFunc(s *symtab.Symbol, module string) error {
	frame := guard.GetFrame(0)
	defer frame.Put()
	frame.Fn = s.Body
	if err := guard.Call(frame); err != nil {
		return translateGuard(module+": resolver of "+s.Name, err)
	}
	if frame.RetInt[0] == 0 {
		return fmt.Errorf("%s: resolver of %s returned no function", module, s.Name)
	}
	e.stubs.Redirect(stubOf(s), frame.RetInt[0])
	return nil
}

// keepPieces makes the pieces the module's, with what they refer to.
func (l *load) keepPieces() {
	m := l.module
	m.pieces = l.pieces
	for _, u := range l.units {
		for i, p := range u.pieces {
			from := &u.link.Pieces[i]
			p.starts = from.CodeStarts
			p.spans = spansOf(from)
			for _, r := range from.Refs {
				if s := u.symbols[r.Symbol]; s != nil && s != l.absent {
					s.Retain()
					p.refs = append(p.refs, s)
				}
			}
			p.refs = append([]*symtab.Symbol(nil), p.refs...) // exactly as long as needed: there are many
			m.stats.count(from)
		}
	}
	for _, s := range l.hosts {
		l.engine.dropUnused(s) // looked up for a reference that did not survive
	}
}

// keepSymbols enters the names.
func (l *load) keepSymbols() {
	m, e := l.module, l.engine
	for _, d := range l.order {
		if d.lost {
			continue
		}
		s := d.symbol
		m.symbols = append(m.symbols, s)
		if i := d.unit.link.PieceOf(d.id); i >= 0 {
			s.Version = d.unit.pieces[i].id
		}
		if s.Kind == symtab.Func {
			m.stats.Functions++
		}
		if s.Local {
			continue
		}
		if host := e.table.Lookup(s.Name); host != nil {
			e.table.Remove(host) // what was bound to the process stays so; from now on the name means this
		}
		e.table.Insert(s)
	}
	for signature := range l.groups {
		e.table.KeepGroup(signature, m)
	}
	m.signatureOf = nil
}

// needExits makes the module's exit handlers if it has destructors.
func (l *load) needExits() error {
	for _, u := range l.units {
		if len(u.graph.Finis) > 0 {
			_, err := l.module.exits()
			return err
		}
	}
	return nil
}

// keepLists notes the constructors and destructors of all units in one order each.
func (l *load) keepLists() {
	m := l.module
	var constructs, destructs []prioritized
	for _, u := range l.units {
		for i, address := range u.link.InitAddrs() {
			constructs = append(constructs, prioritized{address, u.graph.Inits[i].Priority})
		}
		finis := u.link.FiniAddrs()
		for i := len(finis) - 1; i >= 0; i-- { // array order: they run backwards
			destructs = append(destructs, prioritized{finis[i], u.graph.Finis[i].Priority})
		}
		m.stats.countUnit(u)
	}
	byPriority := func(a, b prioritized) int { return a.priority - b.priority }
	slices.SortStableFunc(constructs, byPriority)
	slices.SortStableFunc(destructs, byPriority)
	for _, c := range constructs {
		m.constructs = append(m.constructs, c.address)
	}
	if len(destructs) > 0 {
		list := make([]uintptr, 0, len(destructs))
		for _, d := range slices.Backward(destructs) {
			list = append(list, uintptr(d.address))
		}
		m.exit.dso.AddFini(list...)
	}
	for _, s := range m.kept {
		m.stats.KeptBytes += uint64(len(s.data))
	}
}

// prioritized is a constructor or destructor.
type prioritized struct {
	address  uint64
	priority int
}
