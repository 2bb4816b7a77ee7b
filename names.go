package livejit

import (
	"livejit/internal/symtab"
)

// What follows changes names and versions under the engine's lock.

// setVersion makes p (nil: nothing) the current version of s. The version before is retired
// if no other symbol has it.
func (e *Engine) setVersion(s *symtab.Symbol, p *piece) {
	old := s.Current
	s.Current = nil
	if p != nil {
		s.Current = &p.Version
		p.current++
		s.Last++
		if p.Symbol == s || p.Symbol == nil {
			p.Number = s.Last
		}
	}
	if old == nil {
		return
	}
	if q := e.pieces[old.ID]; !q.Retired {
		if q.current--; q.current == 0 {
			e.retire(q)
		}
	}
}

// giveName makes the name of s mean s.
func (e *Engine) giveName(s *symtab.Symbol) {
	if s.Local {
		m := s.Owner.(*Module)
		if m.locals == nil {
			m.locals = make(map[string]*symtab.Symbol)
		}
		if old := m.locals[s.Name]; old == nil || old.State >= symtab.Deleted {
			m.locals[s.Name] = s
		}
		return
	}
	if e.deleted[s.Name] != nil {
		delete(e.deleted, s.Name) // who was bound to it stays so: this is another one
	}
	if host := e.table.Lookup(s.Name); host != nil {
		e.table.Remove(host) // what was bound to the process stays so; from now on the name means this
	}
	e.table.Insert(s)
}

// takeName has the name of s mean nothing any more.
func (e *Engine) takeName(s *symtab.Symbol) {
	e.table.Remove(s)
	if m, ok := s.Owner.(*Module); ok && m.locals[s.Name] == s {
		delete(m.locals, s.Name)
	}
}

// rescope makes a local symbol global or the other way round.
func (e *Engine) rescope(s *symtab.Symbol, local bool) {
	e.takeName(s)
	s.Local = local
	e.giveName(s)
}

// adopt prepares a symbol that is loaded, or was deleted, for its new definition.
func (e *Engine) adopt(s *symtab.Symbol, d *definition) {
	if s.State != symtab.Deleted {
		if s.Local != d.local {
			e.rescope(s, d.local)
		}
		return
	}
	if e.deleted[s.Name] == s {
		delete(e.deleted, s.Name)
	}
	if m, ok := s.Owner.(*Module); ok {
		if m.locals[s.Name] == s {
			delete(m.locals, s.Name)
		}
		m.leave(s)
	}
	s.Local, s.Orphan, s.State = d.local, false, symtab.Loaded
	d.module.enter(s)
}

// unname has a symbol that goes mean nothing any more: its name is free, a function leads
// nowhere, its version is retired.
func (e *Engine) unname(s *symtab.Symbol) {
	if s.State != symtab.Deleted {
		e.takeName(s)
	}
	if e.deleted[s.Name] == s && s.Refs() == 0 { // else a definition of the name reaches who refers to it, also when its module is closed
		delete(e.deleted, s.Name)
	}
	was := s.State
	s.State = symtab.Deleted
	s.Entry.Store(0)
	if m := s.Owner.(*Module); s.Kind == symtab.Func && was <= symtab.Pending {
		m.stats.Functions--
	}
	if s.Kind == symtab.Func && s.Alias == nil && s.Stub != 0 {
		e.stubs.Redirect(stubOf(s), e.stubs.Miss(stubOf(s)))
		e.missing[s.Stub] = s
	}
	if s.Alias != nil && was != symtab.Deleted {
		if s.Alias.Aliases--; s.Alias.Aliases == 0 && s.Alias.Refs() == 0 {
			e.unneeded(s.Alias)
		}
	}
	if s.Kind == symtab.Func {
		e.setVersion(s, nil)
	} else if s.Current != nil { // stays known, so that what refers to it can hold it
		if p := e.pieces[s.Current.ID]; p != nil && &p.Version == s.Current && !p.Retired {
			if p.current--; p.current == 0 {
				e.retire(p)
			}
		}
	}
}

// remove deletes a symbol. As long as someone may still call a function, its stub stays, and
// a definition of the name gives it a body again.
func (e *Engine) remove(s *symtab.Symbol) {
	e.unname(s)
	if s.Kind == symtab.Func && s.Alias == nil {
		if s.Local {
			m := s.Owner.(*Module)
			m.locals[s.Name] = s
		} else {
			e.deleted[s.Name] = s
		}
	}
	if s.Refs() == 0 {
		e.unneeded(s)
	}
}

// outdate has another symbol take over the name of s, which stays as it is for whoever is
// bound to it.
func (e *Engine) outdate(s *symtab.Symbol) {
	e.takeName(s)
	s.State = symtab.Outdated
	s.Entry.Store(0)
	if s.Kind == symtab.Func {
		s.Owner.(*Module).stats.Functions--
	}
	if s.Refs() == 0 {
		e.unneeded(s)
	}
}

// unneeded is called when no version refers to s any more: it frees what only they needed.
func (e *Engine) unneeded(s *symtab.Symbol) {
	if s.Kind.Host() {
		e.dropUnused(s)
		return
	}
	if s.State == symtab.Outdated && s.Constant && s.Private && s.Aliases == 0 {
		e.dropConstant(s)
		return
	}
	if s.State < symtab.Deleted || s.Kind != symtab.Func || s.Alias != nil || s.Stub == 0 || s.Aliases > 0 {
		return
	}
	if s.AddressTaken && !s.Orphan {
		return // a pointer to it may be anywhere until its module is closed
	}
	if e.deleted[s.Name] == s {
		delete(e.deleted, s.Name)
	}
	if m := s.Owner.(*Module); !m.closed {
		if m.locals[s.Name] == s {
			delete(m.locals, s.Name)
		}
		m.leave(s)
	}
	if s.State == symtab.Outdated {
		e.stubs.Redirect(stubOf(s), e.stubs.Miss(stubOf(s)))
		e.missing[s.Stub] = s
		e.setVersion(s, nil)
	}
	e.retireStub(s)
}

// dropConstant retires a private constant that another one has taken the place of, when no
// version refers to it any more. One with a name, such as a vtable or a table of operations, stays: objects on the
// heap may point to it.
func (e *Engine) dropConstant(s *symtab.Symbol) {
	if m := s.Owner.(*Module); !m.closed {
		m.leave(s)
	}
	old := s.Current
	s.Current = nil
	if old == nil {
		return
	}
	if p := e.pieces[old.ID]; p != nil && &p.Version == old && !p.Retired { // else it went with its module
		if p.current--; p.current == 0 {
			e.retire(p)
		}
	}
}
