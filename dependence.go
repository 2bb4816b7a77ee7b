package livejit

import (
	"slices"
	"strings"

	"livejit/internal/symtab"
)

// Dependence is one reference between a function or variable and another.
type Dependence struct {
	Module   string // of what is named; empty for the process, libraries and Go functions
	Name     string
	Version  int  // of a function's current version; 0 for variables and what is not ours
	Variable bool // it is a variable
	Call     bool // the reference is a call or jump
	Address  bool // the reference uses the address otherwise: it may be kept
	Host     bool // it belongs to the process, a library or Go
}

// Callers returns the current versions that refer to the function, sorted by name:
// functions that call it or take its address, and variables that hold its address. The
// references are those of what is linked now; they are kept up with every replacement.
func (f *Function) Callers() []Dependence {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.users(f.symbol)
}

// Referrers returns what refers to the function or variable called name, as
// Function.Callers does; nil if the name means nothing.
func (e *Engine) Referrers(name string) []Dependence {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.named(name)
	if err != nil {
		return nil
	}
	return e.users(s)
}

func (e *Engine) users(s *symtab.Symbol) []Dependence {
	var list []Dependence
	s.Users(func(v *symtab.Version, how symtab.RefFlags) bool {
		if v.Retired {
			return true
		}
		p := e.pieces[v.ID]
		d := Dependence{Module: p.module.name, Name: p.title(), Version: int(v.Number), Call: how&symtab.Call != 0, Address: how&symtab.Address != 0}
		if v.Symbol == nil || v.Symbol.Kind != symtab.Func {
			d.Variable, d.Version = true, 0
		}
		list = append(list, d)
		return true
	})
	sortDependences(list)
	return list
}

// Callees returns what the function's current version refers to, sorted by name: functions
// that it calls or whose address it takes, and variables. It is empty while the function has no machine code.
func (f *Function) Callees() []Dependence {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	v := f.primary().Current
	if v == nil {
		return nil
	}
	var list []Dependence
	for _, r := range v.Refs() {
		s := r.Symbol
		d := Dependence{Name: s.Name, Call: r.Flags&symtab.Call != 0, Address: r.Flags&symtab.Address != 0}
		if m, ok := s.Owner.(*Module); ok {
			d.Module = m.name
		}
		switch s.Kind {
		case symtab.Func:
			d.Version = int(s.Last)
		case symtab.HostFunc:
			d.Host = true
		case symtab.HostData, symtab.HostTLS:
			d.Host, d.Variable = true, true
		case symtab.Label:
		default:
			d.Variable = true
		}
		list = append(list, d)
	}
	sortDependences(list)
	return list
}

// AddressTaken says whether the function's address was ever used otherwise than for a call,
// by native code that was loaded or by Addr: someone may hold it, so its stub is kept until its
// module is closed.
func (f *Function) AddressTaken() bool {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	return f.primary().AddressTaken
}

func sortDependences(list []Dependence) {
	slices.SortFunc(list, func(a, b Dependence) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Module, b.Module)
	})
}
