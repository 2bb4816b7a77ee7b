package livejit

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"livejit/internal/symtab"
)

// judgeRest finds what a module defines that its new version does not.
func (t *transaction) judgeRest(s *step) {
	defined := make(map[string]bool)
	for _, p := range t.parts {
		if p.step != s {
			continue
		}
		if p.program == nil {
			t.changes.errs = append(t.changes.errs, &RefusedError{Name: p.source.name, Reason: "a module is replaced as a whole by IR, not by an object"})
			return
		}
		for name := range p.judged {
			defined[name] = true
		}
	}
	for _, old := range s.module.symbols {
		if old == nil || defined[old.Name] || old.State == symtab.Deleted || old.State == symtab.Outdated || old.Origin == nil {
			continue
		}
		t.remove(old, "")
	}
}

// judgeDelete finds what is to be deleted.
func (t *transaction) judgeDelete(s *step) {
	for _, name := range s.names {
		old, err := t.engine.named(name)
		if err != nil {
			t.changes.errs = append(t.changes.errs, fmt.Errorf("delete %s: %w", name, err))
			continue
		}
		reason := ""
		if s.force {
			if old.Kind != symtab.Func {
				t.changes.errs = append(t.changes.errs, &RefusedError{Name: name, Reason: "only functions can be deleted while others refer to them"})
				continue
			}
			reason = "forced"
		}
		t.remove(old, reason)
	}
}

func (t *transaction) remove(old *symtab.Symbol, reason string) {
	if t.changes.deleted[old] {
		return
	}
	t.changes.deleted[old] = true
	t.changes.removed = append(t.changes.removed, old)
	t.verdict(nil, old.Name, old.Kind != symtab.Func && old.Kind != symtab.Label, judgement{outcome: Removed, symbol: old, reason: reason})
}

// judgeInvalidate finds what is to be unloaded.
func (t *transaction) judgeInvalidate(s *step) {
	for _, name := range s.names {
		old, err := t.engine.named(name)
		switch {
		case err != nil:
			t.changes.errs = append(t.changes.errs, fmt.Errorf("invalidate %s: %w", name, err))
			continue
		case old.Kind != symtab.Func:
			t.changes.errs = append(t.changes.errs, &RefusedError{Name: name, Reason: "it is not a function"})
			continue
		case old.Alias != nil:
			old = old.Alias
		}
		if old.Origin == nil {
			t.changes.errs = append(t.changes.errs, &RefusedError{Name: name, Reason: "it came as machine code and cannot be compiled again"})
			continue
		}
		t.changes.invalid = append(t.changes.invalid, old)
		t.verdict(nil, old.Name, false, judgement{outcome: Invalidated, symbol: old})
	}
}

// followSuccessors has those functions of the sources compiled again that did not change, but are bound to a constant or variable whose
// name another one takes over.
func (t *transaction) followSuccessors() {
	bound := make(map[*symtab.Symbol]string)
	for _, p := range t.parts {
		for name, j := range p.judged {
			if j.succeeds {
				j.symbol.Users(func(v *symtab.Version, _ symtab.RefFlags) bool {
					if !v.Retired && v.Symbol != nil {
						bound[v.Symbol] = name
					}
					return true
				})
			}
		}
	}
	if len(bound) == 0 {
		return
	}
	for _, p := range t.parts {
		for name, j := range p.judged {
			to, ok := bound[j.symbol]
			if !ok || j.outcome != Unchanged || j.symbol.Kind != symtab.Func {
				continue
			}
			j.outcome, j.reason = Replaced, to+" was replaced, which it uses"
			p.judged[name] = j
			t.changes.replaced[j.symbol] = true
			t.changes.moved = slices.DeleteFunc(t.changes.moved, func(m movedSymbol) bool { return m.symbol == j.symbol })
			for i := range t.changes.verdicts {
				if v := &t.changes.verdicts[i]; v.Function == name && !v.Variable {
					v.Outcome, v.Reason, v.Version = Replaced, j.reason, int(j.symbol.Last)+1
				}
			}
		}
	}
}

// checkSuccessions refuses a function of another type, and a variable that migrates, as
// long as others refer to it that are not replaced with it.
func (t *transaction) checkSuccessions() {
	for _, p := range t.parts {
		for name, j := range p.judged {
			if !j.succeeds || j.migrate == nil && j.symbol.Kind != symtab.Func {
				continue
			}
			if others := t.referrers(j.symbol); len(others) > 0 {
				t.changes.errs = append(t.changes.errs, &RefusedError{Name: name, Reason: j.reason + ", but there are referrers that are not replaced with it", Referrers: others})
				t.refuse(name, "there are referrers that are not replaced with it")
			}
		}
	}
}

func (t *transaction) refuse(name, reason string) {
	for i := range t.changes.verdicts {
		if v := &t.changes.verdicts[i]; v.Function == name {
			v.Outcome, v.Reason = Refused, reason
		}
	}
}

// checkRemovals refuses to delete what others refer to, unless that is forced.
func (t *transaction) checkRemovals() {
	forced := make(map[string]bool)
	for i := range t.steps {
		if s := &t.steps[i]; s.kind == deleteStep && s.force {
			for _, name := range s.names {
				forced[name] = true
			}
		}
	}
	for _, old := range t.changes.removed {
		if forced[old.Name] || forced[qualified(old)] {
			continue
		}
		if others := t.referrers(old); len(others) > 0 {
			t.changes.errs = append(t.changes.errs, &InUseError{Name: old.Name, Referrers: others})
			t.refuse(old.Name, "it is referred to by "+joinSome(others, 4))
		}
	}
}

// referrers lists who refers to s and will go on doing so after this transaction.
func (t *transaction) referrers(s *symtab.Symbol) []string {
	return t.engine.referrers(s, func(user *symtab.Symbol) bool { return t.changes.replaced[user] || t.changes.deleted[user] })
}

// referrers lists the current versions that refer to s or to an alias of it, other than its own and those of
// symbols that are going.
func (e *Engine) referrers(s *symtab.Symbol, going func(*symtab.Symbol) bool) []string {
	var list []string
	seen := make(map[*symtab.Version]bool)
	users := func(of *symtab.Symbol) {
		of.Users(func(v *symtab.Version, _ symtab.RefFlags) bool {
			if v.Retired || v.Symbol == s || v.Symbol != nil && going(v.Symbol) || seen[v] {
				return true
			}
			seen[v] = true
			p := e.pieces[v.ID]
			list = append(list, fmt.Sprintf("%s (%s)", p.title(), p.module.name))
			return true
		})
	}
	users(s)
	for _, alias := range e.aliases(s) {
		if !going(alias) {
			list = append(list, fmt.Sprintf("%s (%s)", alias.Name, alias.Owner))
		}
		users(alias)
	}
	sort.Strings(list)
	return list
}

// aliases returns the names that stand for s.
func (e *Engine) aliases(s *symtab.Symbol) []*symtab.Symbol {
	if s.Aliases == 0 {
		return nil
	}
	var list []*symtab.Symbol
	for _, m := range e.modules {
		for _, other := range m.symbols {
			if other != nil && other.Alias == s && other.State <= symtab.Pending {
				list = append(list, other)
			}
		}
	}
	return list
}

// named returns what a name means that a user gives: a global one, or "module:name" for
// one that is local to a module.
func (e *Engine) named(name string) (*symtab.Symbol, error) {
	if s := e.table.Lookup(name); s != nil && !s.Kind.Host() {
		return s, nil
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		for _, m := range e.modules {
			if m.name != name[:i] {
				continue
			}
			if s := m.locals[name[i+1:]]; s != nil && s.State != symtab.Deleted {
				return s, nil
			}
		}
	}
	return nil, fmt.Errorf("no function or variable of that name is loaded: %w", ErrNotFound)
}

// qualified returns the name by which a user can mean s.
func qualified(s *symtab.Symbol) string {
	if m, ok := s.Owner.(*Module); ok && s.Local {
		return m.name + ":" + s.Name
	}
	return s.Name
}
