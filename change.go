package livejit

import (
	"fmt"
	"slices"
	"strings"

	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// judgement is what a transaction does with one function or variable that a source defines.
type judgement struct {
	outcome  Outcome
	reason   string
	symbol   *symtab.Symbol // what its name means now; nil if nothing
	succeeds bool           // a new symbol takes the name over; what is bound to the old one stays so
	migrate  Migration      // of a variable that succeeds
}

// compiles says whether machine code or data has to be made.
func (j judgement) compiles() bool { return j.outcome == Added || j.outcome == Replaced }

// changes is what a transaction does to what is loaded, as judged under the engine's lock.
type changes struct {
	verdicts []Verdict
	replaced map[*symtab.Symbol]bool // get a new version, or a successor
	deleted  map[*symtab.Symbol]bool
	revived  map[*symtab.Symbol]bool // of deleted, those that the same transaction defines again
	removed  []*symtab.Symbol        // deleted, in order
	invalid  []*symtab.Symbol
	moved    []movedSymbol
	errs     []error
}

// movedSymbol is a function or variable that stays but whose source is a new one.
type movedSymbol struct {
	symbol *symtab.Symbol
	global *llvm.Global
	origin *origin
}

// objectDefinition is a global definition of an object.
type objectDefinition struct {
	name      string
	size      uint64
	function  bool
	tls, weak bool
}

// definitionsOf lists the global definitions of an object.
func definitionsOf(g *linkgraph.Graph) []objectDefinition {
	var list []objectDefinition
	for id := range g.Symbols {
		s := &g.Symbols[id]
		if s.Def == linkgraph.Undefined || s.Scope == linkgraph.Local || s.Anonymous || s.Name == "" {
			continue
		}
		list = append(list, objectDefinition{s.Name, s.Size, g.IsFunction(linkgraph.SymbolID(id)) || g.IsLabel(linkgraph.SymbolID(id)), s.Type == linkgraph.TLSObject, s.Weak})
	}
	return list
}

// judgeObject judges the global definitions of an object, of which only names and sizes are
// known: functions are replaced, variables keep their values.
func (t *transaction) judgeObject(p *part) {
	for _, d := range p.defines {
		old := t.existing(p.module, p.source.name, d.name, false)
		j := judgement{outcome: Replaced, symbol: old}
		switch {
		case old == nil:
			j.outcome = Added
		case old.Kind.Host():
			j.outcome, j.reason = Refused, "it is a Go function"
		case d.weak && old.Strength == symtab.Strong && old.Owner != symtab.Owner(p.module):
			j.outcome, j.reason = Kept, "it yields to the definition of "+t.engine.definer(old)
		case d.function != callable(old):
			j.outcome, j.reason = Refused, "a function cannot become a variable, nor the other way round"
		case old.Kind == symtab.Label:
			j.outcome, j.reason = Refused, "it is a label of hand-written assembly, which callers reach without a stub"
		case d.function && old.Alias != nil:
			j.succeeds, j.reason = true, "it was an alias of "+old.Alias.Name
		case d.function:
		case (old.Kind == symtab.TLS) != d.tls:
			j.outcome, j.reason = Refused, "a variable cannot become thread-local or cease to be"
		case old.Size == d.size:
			j.outcome = Kept
		case t.migrations[d.name] != nil && old.Kind == symtab.Data:
			j.succeeds, j.migrate = true, t.migrations[d.name]
			j.reason = fmt.Sprintf("migrated: it %s from %d to %d bytes", grew(old.Size, d.size), old.Size, d.size)
		default:
			j.outcome, j.reason = Refused, fmt.Sprintf("it %s from %d to %d bytes", grew(old.Size, d.size), old.Size, d.size)
		}
		p.judged[d.name] = j
		t.verdict(p, d.name, !d.function, j)
	}
}

// judge judges under the engine's lock.
func (t *transaction) judge() error {
	t.engine.mu.Lock()
	defer t.engine.mu.Unlock()
	if t.engine.closed {
		return ErrClosed
	}
	return t.judgeLocked()
}

// judgeLocked compares the sources of all steps with what is loaded now.
func (t *transaction) judgeLocked() error {
	t.changes = changes{replaced: make(map[*symtab.Symbol]bool), deleted: make(map[*symtab.Symbol]bool), revived: make(map[*symtab.Symbol]bool)}
	for _, p := range t.parts { // what was a new module may be loaded by now
		if p.replaces() && p.first == nil && p.step.module == nil && p.module != nil && !p.module.loaded {
			t.modules = slices.DeleteFunc(t.modules, func(m *Module) bool { return m == p.module })
			p.module = nil
		}
	}
	for _, p := range t.parts {
		if p.replaces() {
			t.findModule(p)
			t.judgePart(p)
		}
	}
	for i := range t.steps {
		switch s := &t.steps[i]; {
		case s.kind == replaceStep && s.module != nil:
			t.judgeRest(s)
		case s.kind == deleteStep:
			t.judgeDelete(s)
		case s.kind == invalidateStep:
			t.judgeInvalidate(s)
		}
	}
	t.followSuccessors()
	t.checkSuccessions()
	t.checkRemovals()
	return join(t.changes.errs...)
}

func (t *transaction) verdict(p *part, name string, variable bool, j judgement) {
	v := Verdict{Function: name, Variable: variable, Outcome: j.outcome, Reason: j.reason}
	if p != nil && p.module != nil {
		v.Module = p.module.name
	}
	if s := j.symbol; s != nil {
		v.Version = int(s.Last)
		if m, ok := s.Owner.(*Module); ok {
			v.Module = m.name
		}
	}
	switch j.outcome {
	case Added:
		v.Version++
	case Replaced:
		v.Version++
		if j.symbol != nil {
			t.changes.replaced[j.symbol] = true
		}
	case Refused:
		t.changes.errs = append(t.changes.errs, &RefusedError{Name: name, Reason: j.reason})
	case Removed, Invalidated:
		v.Version = 0
	}
	t.changes.verdicts = append(t.changes.verdicts, v)
}

// findModule decides which module the definitions of a part belong to: the one a source of
// that name was loaded as, that of the first function it redefines, a new one.
func (t *transaction) findModule(p *part) {
	e := t.engine
	if p.first != nil {
		return
	}
	if p.step.module != nil {
		p.module = p.step.module
		if p.module.closed {
			t.changes.errs = append(t.changes.errs, fmt.Errorf("%s: %w", p.module.name, ErrClosed))
		}
		return
	}
	if p.module != nil && !p.module.loaded {
		return // a new one, from an earlier part
	}
	if p.module = e.bySource[p.source.name]; p.module != nil {
		return
	}
	for _, name := range p.definedNames() {
		if s := e.table.Lookup(name); s != nil {
			if m, ok := s.Owner.(*Module); ok {
				p.module = m
				return
			}
		}
	}
	for _, other := range t.parts { // the sources of one step go together
		if other.step == p.step && other.module != nil && !other.module.loaded {
			p.module = other.module
			return
		}
	}
	p.module = &Module{engine: e, name: p.source.name}
	t.modules = append(t.modules, p.module)
}

// definedNames lists the global names a part defines, functions first.
func (p *part) definedNames() []string {
	var names []string
	for _, d := range p.defines {
		names = append(names, d.name)
	}
	if p.program == nil {
		return names
	}
	for _, list := range [...][]llvm.Global{p.program.Summary.Functions, p.program.Summary.Variables} {
		for i := range list {
			if g := &list[i]; g.Defined && !g.Local {
				names = append(names, g.Name)
			}
		}
	}
	return names
}

// judgePart judges every definition of a part that replaces.
func (t *transaction) judgePart(p *part) {
	p.judged = make(map[string]judgement)
	if p.program == nil {
		t.judgeObject(p)
		return
	}
	if s := p.first; s != nil {
		if !p.neededBy(s) {
			t.changes.errs = append(t.changes.errs, errSettled)
			return
		}
		p.judged[s.Name] = judgement{outcome: Replaced, symbol: s}
		return
	}
	s := p.program.Summary
	if s.ModuleAsm { // it would be left out of what is compiled
		t.changes.errs = append(t.changes.errs, &RefusedError{Name: p.source.name, Reason: "it has module-level assembly, which cannot be replaced"})
	}
	for i := range s.Functions {
		if g := &s.Functions[i]; g.Defined {
			t.keepJudgement(p, g, t.judgeFunction(p, g))
		}
	}
	for i := range s.Variables {
		if g := &s.Variables[i]; g.Defined {
			t.keepJudgement(p, g, t.judgeVariable(p, g))
		}
	}
	for _, list := range [...][]llvm.Global{s.Aliases, s.IFuncs} {
		for i := range list {
			if g := &list[i]; g.Defined {
				t.keepJudgement(p, g, t.judgeAlias(p, g))
			}
		}
	}
}

func (t *transaction) keepJudgement(p *part, g *llvm.Global, j judgement) {
	p.judged[g.Name] = j
	t.verdict(p, g.Name, g.Kind == llvm.Variable, j)
	if j.outcome == Unchanged || j.outcome == Kept && j.symbol.Owner == symtab.Owner(p.module) {
		t.changes.moved = append(t.changes.moved, movedSymbol{j.symbol, g, p.origin})
	}
}

// existing returns what a definition of a module redefines, nil if nothing. A function that
// was static and is no longer, or the other way round, is the same one.
func (t *transaction) existing(m *Module, source, name string, local bool) *symtab.Symbol {
	e := t.engine
	own := m.static(name, source)
	if own != nil && own.State == symtab.Deleted {
		own = nil
	}
	global := e.table.Lookup(name)
	if global != nil && global.Kind.Host() && e.defined[name] == nil {
		global = nil
	}
	if !local {
		if global == nil {
			return own
		}
		return global
	}
	if own == nil && global != nil && global.Owner == symtab.Owner(m) {
		return global
	}
	return own
}

// static returns what a source of m means by the name of a static function or variable, nil if
// nothing. Several sources of one module may have statics of one name: then it is the one that was
// compiled from a source of that name; else the first.
func (m *Module) static(name, source string) *symtab.Symbol {
	first := m.locals[name]
	if len(m.sources) < 2 || first != nil && comesFrom(first, source) {
		return first
	}
	for _, s := range m.symbols {
		if s != nil && s.Local && s.Name == name && s.State <= symtab.Pending && comesFrom(s, source) {
			return s
		}
	}
	return first
}

// comesFrom says whether s was compiled from a source of that name.
func comesFrom(s *symtab.Symbol, source string) bool {
	return s.Origin != nil && s.Origin.Name() == source
}

func (t *transaction) judgeFunction(p *part, g *llvm.Global) judgement {
	old := t.existing(p.module, p.source.name, g.Name, g.Local)
	j := judgement{outcome: Replaced, symbol: old}
	switch {
	case old == nil:
		j.outcome = Added
	case old.Kind.Host():
		j.outcome, j.reason = Refused, "it is a Go function"
	case old.Kind != symtab.Func:
		j.outcome, j.reason = Refused, "it was a variable and cannot become a function"
	case g.Local != old.Local && t.demoted(g, old):
		j.outcome, j.reason = Refused, becameStatic
	case old.Code.Known() && old.Code == g.Code && old.Lines != g.Lines && t.engine.config.sourceLines() && old.State == symtab.Loaded:
		j.reason = "its lines moved"
	case old.Code.Known() && old.Code == g.Code:
		j.outcome = Unchanged
		if old.Lines != g.Lines {
			j.reason = "its lines moved"
		}
	case yields(p, g, old):
		j.outcome, j.reason = Kept, "it yields to the definition of "+t.engine.definer(old)
	case old.Alias != nil:
		j.succeeds, j.reason = true, "it was an alias of "+old.Alias.Name
	case old.Type != nil && g.Signature != nil && old.Type.String() != g.Signature.Text:
		j.succeeds = true
		j.reason = fmt.Sprintf("its type was %s and is %s", old.Type, g.Signature.Text)
	}
	return j
}

const becameStatic = "it became static while other modules refer to it"

// demoted says whether other modules refer to what is to become local.
func (t *transaction) demoted(g *llvm.Global, old *symtab.Symbol) bool {
	foreign := false
	if g.Local {
		old.Users(func(v *symtab.Version, _ symtab.RefFlags) bool {
			p := t.engine.pieces[v.ID]
			foreign = foreign || p != nil && !v.Retired && symtab.Owner(p.module) != old.Owner
			return !foreign
		})
	}
	return foreign
}

// yields says whether a definition is a copy, as inline functions of headers have in every
// module, that yields to the definition of another module.
func yields(p *part, g *llvm.Global, old *symtab.Symbol) bool {
	return old.Owner != symtab.Owner(p.module) && strength(g.Linkage) != symtab.Strong && old.Strength == symtab.Strong
}

func (t *transaction) judgeVariable(p *part, g *llvm.Global) judgement {
	old := t.existing(p.module, p.source.name, g.Name, g.Local)
	j := judgement{outcome: Kept, symbol: old}
	if old == nil {
		return judgement{outcome: Added}
	}
	was := variableOf(old)
	changes := layoutChanges(old, g, p.origin)
	var refusal string
	switch {
	case old.Kind == symtab.Func || old.Kind == symtab.HostFunc:
		refusal = "it was a function and cannot become a variable"
	case old.Kind.Host():
		refusal = "it is a variable of the process"
	case (old.Kind == symtab.TLS) != g.ThreadLocal:
		refusal = "a variable cannot become thread-local or cease to be"
	case g.Local != old.Local && t.demoted(g, old):
		refusal = becameStatic
	case was != nil && was.Code == g.Code && len(changes) == 0:
		j.outcome = Unchanged
		return j
	case yields(p, g, old):
		j.reason = "it yields to the definition of " + t.engine.definer(old)
		return j
	case was != nil && was.Constant && g.Constant && was.Init == g.Init && dispatches(g.Name):
		j.outcome = Unchanged // callers see the functions in it with other attributes
		return j
	case was != nil && was.Constant && g.Constant && dispatches(g.Name) && t.migrations[g.Name] == nil:
		refusal = "the virtual functions of its class changed, and objects made before are called through the old table"
	case was != nil && was.Constant && g.Constant:
		j.outcome, j.succeeds, j.reason = Replaced, true, "a constant; what is bound to the old one stays so"
		return j
	case was != nil && was.Constant != g.Constant:
		refusal = "it was constant and is a variable"
		if g.Constant {
			refusal = "it was a variable and is constant"
		}
	case old.Size != g.Size:
		refusal = fmt.Sprintf("it %s from %d to %d bytes", grew(old.Size, g.Size), old.Size, g.Size)
	case was != nil && was.Type != g.Type:
		refusal = fmt.Sprintf("its type was %s and is %s", was.Type, g.Type)
	}
	if len(changes) > 0 {
		refusal = strings.Join(changes, "; ")
	}
	switch {
	case refusal != "" && t.migrations[g.Name] != nil && old.Kind == symtab.Data:
		j.outcome, j.succeeds, j.migrate, j.reason = Replaced, true, t.migrations[g.Name], "migrated: "+refusal
	case refusal != "":
		j.outcome, j.reason = Refused, refusal
	case was != nil && was.Init != g.Init:
		j.reason = "its initialiser changed; it keeps its value"
	}
	return j
}

// dispatches says whether a constant is a table of virtual functions: a vtable, a construction vtable or a table of these (Itanium C++ ABI 5.1.4.1).
// Replacing a virtual function leaves its table as it is; a table changes when its class gets, loses or reorders some.
func dispatches(name string) bool {
	return strings.HasPrefix(name, "_ZTV") || strings.HasPrefix(name, "_ZTC") || strings.HasPrefix(name, "_ZTT")
}

func grew(old, new uint64) string {
	if new > old {
		return "grew"
	}
	return "shrank"
}

// variableOf returns what the IR said of a loaded variable, nil if it came as an object.
func variableOf(s *symtab.Symbol) *llvm.Global {
	if o, ok := s.Origin.(*origin); ok {
		return o.globals[s.Name]
	}
	return nil
}

// layoutChanges compares the layout of everything reachable from a variable, as far as
// there is debug information on both sides.
func layoutChanges(old *symtab.Symbol, g *llvm.Global, now *origin) []string {
	before, ok := old.Origin.(*origin)
	if !ok {
		return nil
	}
	was := before.globals[old.Name]
	if was == nil || len(was.Aggregates) == 0 {
		return nil
	}
	var lines []string
	for _, c := range llvm.DiffLayouts(before.layouts, now.layouts, was.Aggregates) {
		lines = append(lines, c.String())
	}
	return lines
}

// judgeAlias judges an alias or indirect function: it may be new or stay, not change.
func (t *transaction) judgeAlias(p *part, g *llvm.Global) judgement {
	old := t.existing(p.module, p.source.name, g.Name, g.Local)
	switch {
	case old == nil && g.Kind == llvm.IFunc:
		return judgement{outcome: Refused, reason: "an indirect function can only be added"}
	case old == nil:
		return judgement{outcome: Added}
	}
	was := variableOf(old)
	if g.Kind == llvm.IFunc && old.Origin == nil && old.Code.Known() && old.Code == g.Code {
		return judgement{outcome: Unchanged, symbol: old} // its resolver has run, or will at its first call
	}
	if was != nil && was.Kind == g.Kind && was.Aliasee == g.Aliasee && was.AliaseeOff == g.AliaseeOff {
		return judgement{outcome: Unchanged, symbol: old}
	}
	return judgement{outcome: Refused, symbol: old, reason: "what an alias or indirect function stands for cannot change"}
}
