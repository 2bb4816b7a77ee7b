package livejit

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// define enters every definition of the first units, and of lazy modules, into the link's
// names.
func (t *transaction) define(context.Context) error {
	for _, u := range t.link.units {
		if err := t.defineUnit(u); err != nil {
			return err
		}
	}
	for _, p := range t.parts {
		if err := t.definePending(p); err != nil {
			return err
		}
	}
	return nil
}

// defineUnit enters the definitions of one unit.
func (t *transaction) defineUnit(u *unit) error {
	g := u.graph
	replaces := u.part != nil && u.part.replaces()
	for id := range g.Groups {
		group := &g.Groups[id]
		if !group.COMDAT || isOwnCopy(group.Signature) {
			continue
		}
		owner := t.engine.table.Group(group.Signature)
		switch {
		case t.link.groups[group.Signature] != nil, owner != nil && !replaces:
			g.Discard(linkgraph.GroupID(id))
		case owner == nil:
			t.link.groups[group.Signature] = u.module
		}
	}
	u.symbols = make([]*symtab.Symbol, len(g.Symbols))
	for id := range g.Symbols {
		s := &g.Symbols[id]
		if s.Def == linkgraph.Undefined || s.Anonymous || s.Part || s.Name == "" {
			continue
		}
		if s.Scope == linkgraph.Local && s.Type != linkgraph.IFunc {
			// A static of another compiler's object: nobody else can mean it. A static function gets no
			// stub, since its assembler has resolved references to it that would not go by the stub.
			continue
		}
		if s.Block >= 0 && g.MemoryOf(s.Block) == linkgraph.Unloaded || isOwnCopy(s.Name) {
			continue
		}
		d := t.definition(u, linkgraph.SymbolID(id))
		meet := t.meet
		if replaces {
			meet = t.meetReplacement
		}
		if err := meet(d); err != nil {
			return err
		}
		t.link.order = append(t.link.order, d)
		if d.lost {
			continue
		}
		u.symbols[id] = d.symbol
		s.StubTarget = d.symbol.Kind == symtab.Func
	}
	return nil
}

// isOwnCopy says whether every unit keeps its own definition of a name: the pointer to a
// personality routine that code generators make, hidden, for unwind tables to refer to
// (DW.ref.__gxx_personality_v0). A shared one would tie modules together, and no source says that it is
// defined, so it could not be judged when a function is replaced.
func isOwnCopy(name string) bool { return strings.HasPrefix(name, "DW.ref.") }

// definePending enters what has no machine code yet: the functions of a lazy module, and
// aliases of what is loaded.
func (t *transaction) definePending(p *part) error {
	if p.program == nil || p.unit == nil || p.covers == nil {
		return nil
	}
	s := p.program.Summary
	if !p.replaces() {
		for i := range s.Functions {
			if g := &s.Functions[i]; g.Defined {
				d := t.pending(p, g)
				if err := t.meet(d); err != nil {
					return err
				}
				t.link.order = append(t.link.order, d)
			}
		}
	}
	for i := range s.Aliases {
		g := &s.Aliases[i]
		if !g.Defined || p.replaces() && p.judged[g.Name].outcome != Added {
			continue
		}
		d := t.pending(p, g)
		base := t.meaning(p, g.Aliasee)
		if base == nil {
			return &RefusedError{Name: g.Name, Reason: "it is an alias of " + g.Aliasee + ", which is not loaded"}
		}
		if base.Alias != nil {
			base = base.Alias
		}
		d.symbol.Kind, d.symbol.Alias = base.Kind, base
		if base.Kind == symtab.Func && g.AliaseeOff != 0 {
			return &RefusedError{Name: g.Name, Reason: "it is an alias of a place inside of a function"}
		}
		if err := t.meet(d); err != nil {
			return err
		}
		t.link.order = append(t.link.order, d)
	}
	return nil
}

// pending makes the definition of a function without machine code.
func (t *transaction) pending(p *part, g *llvm.Global) *definition {
	d := &definition{module: p.module, name: g.Name, global: g, size: g.Size, local: g.Local, strength: strength(g.Linkage)}
	if g.Signature != nil {
		d.typ = t.engine.signature(g.Signature)
	}
	d.symbol = &symtab.Symbol{Name: g.Name, Owner: p.module, Kind: symtab.Func, Type: d.typ, Strength: d.strength, Local: d.local}
	return d
}

// meaning returns what a name means in a source, as far as it is ours.
func (t *transaction) meaning(p *part, name string) *symtab.Symbol {
	if d := t.link.statics[p.globals[name]]; d != nil {
		return d.symbol
	}
	if d := t.link.locals[p.module][name]; d != nil {
		return d.symbol
	}
	if d := t.link.names[name]; d != nil {
		return d.symbol
	}
	if s := t.existing(p.module, p.source.name, name, true); s != nil {
		return s
	}
	return t.existing(p.module, p.source.name, name, false)
}

// shareStubs makes the new names of one place aliases of the first of them: they share a stub.
func (t *transaction) shareStubs() {
	type place struct {
		unit   *unit
		block  linkgraph.BlockID
		offset uint64
	}
	places := make(map[place]*symtab.Symbol)
	for _, d := range t.link.order {
		if d.lost || d.unit == nil || d.again || d.symbol.Kind != symtab.Func || d.ifunc {
			continue
		}
		s := &d.unit.graph.Symbols[d.id]
		at := place{d.unit, s.Block, s.Offset}
		if first := places[at]; first != nil {
			d.symbol.Alias = first
		} else {
			places[at] = d.symbol
		}
	}
}

// definition makes the engine's definition of a graph's, with a symbol of its own.
func (t *transaction) definition(u *unit, id linkgraph.SymbolID) *definition {
	s := &u.graph.Symbols[id]
	d := &definition{module: u.module, unit: u, id: id, name: s.Name, size: s.Size, local: s.Scope == linkgraph.Local, ifunc: s.Type == linkgraph.IFunc}
	sym := &symtab.Symbol{Name: s.Name, Owner: u.module}
	switch {
	case u.graph.IsFunction(id):
		sym.Kind = symtab.Func
	case s.Def == linkgraph.Absolute:
		sym.Kind, sym.Addr = symtab.Number, s.Offset
	case s.Type == linkgraph.TLSObject:
		sym.Kind = symtab.TLS
	case u.graph.IsLabel(id):
		sym.Kind = symtab.Label
	default:
		sym.Kind = symtab.Data
	}
	switch {
	case s.Def == linkgraph.Common:
		d.strength = symtab.Common
	case s.Weak:
		d.strength = symtab.Weak
	}
	if g := u.globals[s.Name]; g != nil && g.Defined { // the object shows what Prepare made of it
		d.global = g
		d.local = g.Local
		d.strength = strength(g.Linkage)
		if g.Signature != nil {
			d.typ = t.engine.signature(g.Signature)
		}
	}
	sym.Size, sym.Type, sym.Strength, sym.Local = d.size, d.typ, d.strength, d.local
	d.symbol = sym
	return d
}

// strength of a definition in IR (LLVM Language Reference, "Linkage Types").
func strength(linkage llvm.Linkage) symtab.Strength {
	switch linkage {
	case llvm.LinkOnceAny, llvm.LinkOnceODR, llvm.WeakAny, llvm.WeakODR, llvm.ExternalWeak:
		return symtab.Weak
	case llvm.Common:
		return symtab.Common
	}
	return symtab.Strong
}

// meet decides between d and other definitions of its name. The loser becomes a
// reference to the winner.
func (t *transaction) meet(d *definition) error {
	s := d.symbol
	if d.local {
		t.defineLocal(d)
		return nil
	}
	if old := t.engine.table.Lookup(s.Name); old != nil && (!old.Kind.Host() || t.engine.defined[s.Name] != nil) && !t.changes.deleted[old] {
		if symtab.MeetLoaded(s.Strength) == symtab.Duplicate {
			return &DuplicateError{Symbol: s.Name, First: t.engine.definer(old), Next: d.where()}
		}
		d.lose()
		return nil
	}
	old := t.link.names[s.Name]
	if old == nil {
		t.defineGlobal(d)
		return nil
	}
	switch symtab.Meet(old.symbol.Strength, s.Strength) {
	case symtab.Duplicate:
		return &DuplicateError{Symbol: s.Name, First: old.where(), Next: d.where()}
	case symtab.KeepOld:
		d.lose()
	case symtab.Merge:
		from, to := d.block(), old.block()
		to.Size, to.Align = max(to.Size, from.Size), max(to.Align, from.Align)
		d.lose()
	case symtab.TakeNew:
		old.lose()
		t.defineGlobal(d)
	}
	return nil
}

// meetReplacement does with d what was judged.
func (t *transaction) meetReplacement(d *definition) error {
	p := d.unit.part
	j, judged := p.judged[d.name]
	if g := p.globals[d.name]; !judged && p.first != nil && g != nil { // compiled together with that, since labels tie them together
		if s := t.existing(d.module, p.source.name, d.name, g.Local); s != nil && s.Origin == symtab.Origin(p.origin) {
			j, judged = judgement{outcome: Replaced, symbol: s}, true
		}
	}
	switch {
	case !judged && d.local:
		t.defineLocal(d)
		return nil
	case !judged:
		return &RefusedError{Name: d.name, Reason: "it is defined by module-level assembly, which cannot be replaced"}
	case !j.compiles():
		d.lose()
		return nil
	case t.link.names[d.name] != nil && !d.local:
		return &DuplicateError{Symbol: d.name, First: t.link.names[d.name].where(), Next: d.where()}
	case d.local && t.link.remade[j.symbol] != nil:
		return &DuplicateError{Symbol: d.name, First: t.link.remade[j.symbol].where(), Next: d.where()}
	case j.outcome == Replaced && j.succeeds:
		d.succeeds, d.migrate = j.symbol, j.migrate
	case j.outcome == Replaced:
		d.symbol, d.again = j.symbol, true
	}
	if d.local {
		t.defineLocal(d)
	} else {
		t.defineGlobal(d)
	}
	return nil
}

// defineLocal enters a definition that only its module sees.
func (t *transaction) defineLocal(d *definition) {
	locals := t.link.locals[d.module]
	if locals == nil {
		locals = make(map[string]*definition)
		t.link.locals[d.module] = locals
	}
	if old := d.module.locals[d.name]; old != nil && (len(d.module.sources) < 2 || d.unit != nil && comesFrom(old, d.unit.name)) {
		t.revive(d, old)
	}
	if locals[d.name] == nil {
		locals[d.name] = d
	}
	if d.global != nil {
		t.link.statics[d.global] = d
	}
	if d.again {
		t.link.remade[d.symbol] = d
	}
}

// defineGlobal enters a definition that everyone sees.
func (t *transaction) defineGlobal(d *definition) {
	if old := t.engine.table.Lookup(d.name); old != nil && t.changes.deleted[old] {
		t.revive(d, old)
	} else {
		t.revive(d, t.engine.deleted[d.name])
	}
	t.link.names[d.name] = d
}

// revive makes the definition one of a symbol that was deleted, or is deleted by this transaction, if
// old is that: whoever still refers to it reaches the new function.
func (t *transaction) revive(d *definition, old *symtab.Symbol) {
	if old == nil || d.again || old.Kind != symtab.Func || d.symbol.Kind != symtab.Func || d.ifunc || old.Stub == 0 || old.Alias != nil {
		return
	}
	going := t.changes.deleted[old]
	if old.State != symtab.Deleted && !going || old.Type != nil && d.typ != nil && old.Type != d.typ {
		return
	}
	d.symbol, d.again = old, true
	if going {
		t.changes.revived[old] = true
	}
}

// lose makes the definition a reference to the one that is kept.
func (d *definition) lose() {
	d.lost = true
	if d.unit == nil {
		return
	}
	d.unit.symbols[d.id] = nil
	d.unit.graph.Symbols[d.id].StubTarget = false
	d.unit.graph.Undefine(d.id)
}

func (d *definition) block() *linkgraph.Block {
	return &d.unit.graph.Blocks[d.unit.graph.Symbols[d.id].Block]
}

// where names the definition's source, for messages.
func (d *definition) where() string {
	if d.unit == nil {
		return d.module.name
	}
	return d.unit.name
}

// archiveFile is an archive with what was taken out of it.
type archiveFile struct {
	*elfobj.Archive
	taken map[int]bool
}

// pulledMember is a member of an archive that was linked into a module.
type pulledMember struct {
	archive *archiveFile
	member  int
	module  *Module
}

func readArchive(s Source) (*archiveFile, error) {
	a, err := elfobj.ReadArchive(s.name, s.data)
	if err != nil {
		return nil, &FormatError{Source: s.name, Err: err}
	}
	return &archiveFile{Archive: a, taken: make(map[int]bool)}, nil
}

// pull makes units of the archive members that define what is still undefined, as a static
// linker does: weak references pull nothing, and an archive is searched again as long as it
// gives something.
func (t *transaction) pull(ctx context.Context) error {
	l := &t.link
	archives := append(append([]*archiveFile(nil), l.archives...), t.engine.archives...)
	if len(archives) == 0 {
		return nil
	}
	for i := 0; i < len(l.units); i++ { // units grows
		u := l.units[i]
		for _, id := range u.graph.UndefinedSymbols() {
			s := &u.graph.Symbols[id]
			if s.Weak || l.names[s.Name] != nil || t.known(u, s.Name) {
				continue
			}
			if err := t.pullOne(ctx, u.module, archives, s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// known says whether name is loaded or defined by the client, or the engine's own.
func (t *transaction) known(u *unit, name string) bool {
	if t.link.locals[u.module][name] != nil || t.existing(u.module, u.name, name, false) != nil {
		return true
	}
	return isModuleSymbol(name) || name == "_GLOBAL_OFFSET_TABLE_"
}

// pullOne adds the first member that defines name, if there is one, to a module.
func (t *transaction) pullOne(ctx context.Context, m *Module, archives []*archiveFile, name string) error {
	for _, a := range archives {
		i, ok := a.Index[name]
		if !ok || a.taken[i] {
			continue
		}
		a.taken[i] = true
		t.link.pulled = append(t.link.pulled, pulledMember{a, i, m})
		member := a.Members[i]
		title := a.Name + "(" + member.Name + ")"
		kind, err := contentKind(title, member.Data)
		if err != nil {
			return err
		}
		u, err := t.engine.memberUnit(ctx, m, Source{name: title, kind: kind, data: member.Data})
		if err != nil {
			return err
		}
		t.link.units = append(t.link.units, u)
		return t.defineUnit(u)
	}
	return nil
}

// memberUnit makes a unit of a member of an archive.
func (e *Engine) memberUnit(ctx context.Context, m *Module, s Source) (*unit, error) {
	u := &unit{name: s.name, module: m}
	if s.kind == object {
		g, err := readObject(s)
		u.graph = g
		return u, err
	}
	program, err := e.openProgram(ctx, s, false)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	u.origin = newOrigin(e, s, program.Summary)
	u.globals = u.origin.globals
	if u.compiled, err = program.Compile(ctx); err != nil {
		return nil, compileError(s.name, err)
	}
	u.graph = u.compiled.Graph
	return u, nil
}

// bind gives every undefined symbol in use its meaning. All that have none are reported
// together.
func (t *transaction) bind(context.Context) error {
	if err := t.defineBounds(); err != nil {
		return err
	}
	missing := make(map[string]map[string]bool)
	for _, u := range t.link.units {
		for _, id := range u.graph.UndefinedSymbols() {
			if id == u.graph.GOT {
				continue
			}
			s := &u.graph.Symbols[id]
			sym, err := t.lookup(u, s)
			if err != nil {
				return err
			}
			if sym == nil {
				addReferrers(missing, u, id)
				continue
			}
			if sym.Kind == symtab.Number { // a value, as if it stood in this object
				s.Def, s.Offset = linkgraph.Absolute, sym.Addr
				continue
			}
			if s.Narrow {
				if err := t.engine.standIn(sym, u.module.name); err != nil {
					return err
				}
			}
			u.symbols[id] = sym
			s.StandIn = sym.Kind == symtab.HostData && sym.Body != 0
			s.StubTarget = sym.Stub != 0 || sym.Kind == symtab.Func
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return undefinedError(missing)
}

// lookup returns what an undefined symbol of a unit means, nil if nothing: what the unit's
// source calls by the name of a static means that.
func (t *transaction) lookup(u *unit, s *linkgraph.Symbol) (*symtab.Symbol, error) {
	e, l := t.engine, &t.link
	sees := u.sees(s.Name)
	if sees {
		if d := l.statics[u.globals[s.Name]]; d != nil {
			return d.symbol, nil
		}
	}
	if d := l.names[s.Name]; d != nil {
		return d.symbol, nil
	}
	if isModuleSymbol(s.Name) {
		return t.moduleSymbol(u.module, s.Name)
	}
	own := u.module.static(s.Name, u.name)
	if own != nil && sees && own.State != symtab.Deleted && !t.changes.deleted[own] {
		return own, nil
	}
	if sym := e.table.Lookup(s.Name); sym != nil && !t.changes.deleted[sym] {
		return sym, nil
	}
	if own != nil && u.origin != nil && own.State != symtab.Deleted && !t.changes.deleted[own] {
		return own, nil // declared in IR that replaces a part of the module
	}
	sym, err := e.findHost(s.Name)
	switch {
	case err != nil:
		return nil, err
	case sym != nil:
		l.hosts = append(l.hosts, sym)
	case s.Weak:
		return l.absent, nil
	}
	return sym, nil
}

// sees says whether the unit's source has a static of that name.
func (u *unit) sees(name string) bool {
	g := u.globals[name]
	return g != nil && g.Defined && g.Local
}

// addReferrers notes which functions and variables of u refer to the symbol.
func addReferrers(missing map[string]map[string]bool, u *unit, id linkgraph.SymbolID) {
	g := u.graph
	name := g.Symbols[id].Name
	if missing[name] == nil {
		missing[name] = make(map[string]bool)
	}
	for b := range g.Blocks {
		if g.Blocks[b].Discarded || g.MemoryOf(linkgraph.BlockID(b)) == linkgraph.Unloaded {
			continue
		}
		for _, edge := range g.Blocks[b].Edges {
			if edge.Target == id {
				missing[name][fmt.Sprintf("%s (%s)", g.BlockName(linkgraph.BlockID(b)), u.name)] = true
				break
			}
		}
	}
}

func undefinedError(missing map[string]map[string]bool) error {
	e := &UndefinedError{}
	for name, referrers := range missing {
		u := Undefined{Symbol: name}
		for r := range referrers {
			u.Referrers = append(u.Referrers, r)
		}
		sort.Strings(u.Referrers)
		e.Symbols = append(e.Symbols, u)
	}
	sort.Slice(e.Symbols, func(i, j int) bool { return e.Symbols[i].Symbol < e.Symbols[j].Symbol })
	return e
}

// definer names who defines s, for messages.
func (e *Engine) definer(s *symtab.Symbol) string {
	switch {
	case e.defined[s.Name] != nil:
		return "a Go function"
	case s.Owner != nil:
		return s.Owner.String()
	}
	return "the process"
}
