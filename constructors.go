package livejit

import (
	"slices"
	"strings"

	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// initLists are the constructors and destructors of the units of a module.
type initLists struct{ constructs, destructs []prioritized }

// prioritized is a constructor or destructor.
type prioritized struct {
	address  uint64
	priority int
}

func (l *initLists) add(u *unit) {
	for i, address := range u.link.InitAddrs() {
		l.constructs = append(l.constructs, prioritized{address, u.graph.Inits[i].Priority})
	}
	finis := u.link.FiniAddrs()
	for i := len(finis) - 1; i >= 0; i-- { // array order: they run backwards
		l.destructs = append(l.destructs, prioritized{finis[i], u.graph.Finis[i].Priority})
	}
}

// addPending adds those of a lazy module: their stubs, whose first call compiles them.
func (l *initLists) addPending(t *transaction, p *part) {
	s := p.program.Summary
	for _, c := range s.Ctors {
		l.constructs = append(l.constructs, t.prioritize(p, c))
	}
	for _, d := range s.Dtors {
		l.destructs = append(l.destructs, t.prioritize(p, d))
	}
}

// addNew adds what has to run because of a replacement: constructors that are new, and the
// functions by which clang initialises single variables of C++, if a variable that they refer to is new.
func (l *initLists) addNew(t *transaction, u *unit) {
	p := u.part
	if p.program == nil || p.first != nil {
		return
	}
	runs := false
	for _, c := range p.program.Summary.Ctors {
		if p.judged[c.Function].outcome == Added {
			l.constructs = append(l.constructs, t.prioritize(p, c))
			runs = true
		}
	}
	if runs {
		return // it calls those of the variables
	}
	for _, d := range t.link.order {
		if d.unit != u || d.lost || !strings.HasPrefix(d.name, "__cxx_global_var_init") {
			continue
		}
		for _, r := range t.versionOf(d).Refs() {
			if r.Symbol.Kind == symtab.Data && p.judged[r.Symbol.Name].outcome == Added {
				l.constructs = append(l.constructs, prioritized{d.symbol.Stub, linkgraph.DefaultPriority})
				break
			}
		}
	}
}

// prioritize returns the stub of a constructor or destructor with its priority.
func (t *transaction) prioritize(p *part, i llvm.Init) prioritized {
	priority := i.Priority
	if priority == 65535 { // none was given
		priority = linkgraph.DefaultPriority
	}
	return prioritized{t.meaning(p, i.Function).Stub, priority}
}

// keep gives the destructors to the module and returns the constructors, in one order each.
func (l *initLists) keep(m *Module) (constructs []uint64) {
	byPriority := func(a, b prioritized) int { return a.priority - b.priority }
	slices.SortStableFunc(l.constructs, byPriority)
	slices.SortStableFunc(l.destructs, byPriority)
	for _, c := range l.constructs {
		constructs = append(constructs, c.address)
	}
	if len(l.destructs) == 0 {
		return constructs
	}
	list := make([]uintptr, 0, len(l.destructs))
	for _, d := range slices.Backward(l.destructs) {
		list = append(list, uintptr(d.address))
	}
	m.exit.dso.AddFini(list...)
	return constructs
}
