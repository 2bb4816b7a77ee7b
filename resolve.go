package livejit

import (
	"context"
	"fmt"
	"sort"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// define enters every definition of the first units into the load's names.
func (l *load) define(context.Context) error {
	for _, u := range l.units {
		if err := l.defineUnit(u); err != nil {
			return err
		}
	}
	return nil
}

// defineUnit enters the definitions of one unit.
func (l *load) defineUnit(u *unit) error {
	g := u.graph
	for id := range g.Groups {
		group := &g.Groups[id]
		if !group.COMDAT {
			continue
		}
		if l.groups[group.Signature] || l.engine.table.Group(group.Signature) != nil {
			g.Discard(linkgraph.GroupID(id))
		} else {
			l.groups[group.Signature] = true
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
		function := g.IsFunction(linkgraph.SymbolID(id))
		if s.Block >= 0 && g.MemoryOf(s.Block) == linkgraph.Unloaded {
			continue
		}
		d := l.definition(u, linkgraph.SymbolID(id), function)
		if err := l.meet(d); err != nil {
			return err
		}
		l.order = append(l.order, d)
		if d.lost {
			continue
		}
		u.symbols[id] = d.symbol
		s.StubTarget = function
	}
	return nil
}

// shareStubs makes the names of one place aliases of the first of them: they share a stub.
func (l *load) shareStubs() {
	type place struct {
		unit   *unit
		block  linkgraph.BlockID
		offset uint64
	}
	places := make(map[place]*symtab.Symbol)
	for _, d := range l.order {
		if d.lost || d.symbol.Kind != symtab.Func || d.ifunc {
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

// definition makes the engine's symbol of a graph's.
func (l *load) definition(u *unit, id linkgraph.SymbolID, function bool) *definition {
	s := &u.graph.Symbols[id]
	sym := &symtab.Symbol{Name: s.Name, Owner: l.module, Size: s.Size, Type: -1, Local: s.Scope == linkgraph.Local}
	switch {
	case function:
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
		sym.Strength = symtab.Common
	case s.Weak:
		sym.Strength = symtab.Weak
	}
	if g := u.globals[s.Name]; g != nil && g.Defined { // the object shows what Prepare made of it
		sym.Local = g.Local
		sym.Strength = strength(g.Linkage)
		if g.Signature != nil {
			sym.Type = l.module.signatureIndex(g.Signature)
		}
	}
	return &definition{symbol: sym, unit: u, id: id, ifunc: s.Type == linkgraph.IFunc}
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
func (l *load) meet(d *definition) error {
	s := d.symbol
	if s.Local {
		if l.module.locals == nil {
			l.module.locals = make(map[string]*symtab.Symbol)
		}
		if l.module.locals[s.Name] == nil {
			l.module.locals[s.Name] = s
		}
		return nil
	}
	if old := l.engine.table.Lookup(s.Name); old != nil && (!old.Kind.Host() || l.engine.defined[s.Name] != nil) {
		if symtab.MeetLoaded(s.Strength) == symtab.Duplicate {
			return &DuplicateError{Symbol: s.Name, First: l.engine.definer(old), Next: d.unit.name}
		}
		d.lose()
		return nil
	}
	old := l.names[s.Name]
	if old == nil {
		l.names[s.Name] = d
		return nil
	}
	switch symtab.Meet(old.symbol.Strength, s.Strength) {
	case symtab.Duplicate:
		return &DuplicateError{Symbol: s.Name, First: old.unit.name, Next: d.unit.name}
	case symtab.KeepOld:
		d.lose()
	case symtab.Merge:
		from, to := d.block(), old.block()
		to.Size, to.Align = max(to.Size, from.Size), max(to.Align, from.Align)
		d.lose()
	case symtab.TakeNew:
		old.lose()
		l.names[s.Name] = d
	}
	return nil
}

// lose makes the definition a reference to the one that is kept.
func (d *definition) lose() {
	d.lost = true
	d.unit.symbols[d.id] = nil
	d.unit.graph.Symbols[d.id].StubTarget = false
	d.unit.graph.Undefine(d.id)
}

func (d *definition) block() *linkgraph.Block {
	return &d.unit.graph.Blocks[d.unit.graph.Symbols[d.id].Block]
}

// signatureIndex returns the number of a signature in m.signatures.
func (m *Module) signatureIndex(from *llvm.Signature) int32 {
	if m.signatureOf == nil {
		m.signatureOf = make(map[*llvm.Signature]int32)
	}
	if i, ok := m.signatureOf[from]; ok {
		return i
	}
	i := int32(len(m.signatures))
	m.signatures = append(m.signatures, newSignature(from))
	m.signatureOf[from] = i
	return i
}

// archiveFile is an archive with what was taken out of it.
type archiveFile struct {
	*elfobj.Archive
	taken map[int]bool
}

type pulledMember struct {
	archive *archiveFile
	member  int
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
func (l *load) pull(ctx context.Context) error {
	archives := append(append([]*archiveFile(nil), l.archives...), l.engine.archives...)
	if len(archives) == 0 {
		return nil
	}
	for i := 0; i < len(l.units); i++ { // units grows
		u := l.units[i]
		for _, id := range u.graph.UndefinedSymbols() {
			s := &u.graph.Symbols[id]
			if s.Weak || l.names[s.Name] != nil || l.known(s.Name) {
				continue
			}
			if err := l.pullOne(ctx, archives, s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// known says whether name is loaded or defined by the client, or the engine's own.
func (l *load) known(name string) bool {
	if s := l.engine.table.Lookup(name); s != nil && (!s.Kind.Host() || l.engine.defined[name] != nil) {
		return true
	}
	return isModuleSymbol(name) || name == "_GLOBAL_OFFSET_TABLE_"
}

// pullOne adds the first member that defines name, if there is one.
func (l *load) pullOne(ctx context.Context, archives []*archiveFile, name string) error {
	for _, a := range archives {
		i, ok := a.Index[name]
		if !ok || a.taken[i] {
			continue
		}
		a.taken[i] = true
		l.pulled = append(l.pulled, pulledMember{a, i})
		member := a.Members[i]
		title := a.Name + "(" + member.Name + ")"
		kind, err := contentKind(title, member.Data)
		if err != nil {
			return err
		}
		u, kept, err := l.engine.makeUnit(ctx, Source{name: title, kind: kind, data: member.Data})
		if err != nil {
			return err
		}
		l.units = append(l.units, u)
		l.module.kept = append(l.module.kept, kept)
		return l.defineUnit(u)
	}
	return nil
}

// bind gives every undefined symbol in use its meaning. All that have none are reported
// together.
func (l *load) bind(context.Context) error {
	if err := l.defineBounds(); err != nil {
		return err
	}
	missing := make(map[string]map[string]bool)
	for _, u := range l.units {
		for _, id := range u.graph.UndefinedSymbols() {
			if id == u.graph.GOT {
				continue
			}
			s := &u.graph.Symbols[id]
			sym, err := l.lookup(s)
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
				if err := l.engine.standIn(sym, l.module.name); err != nil {
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

// lookup returns what an undefined symbol means, nil if nothing.
func (l *load) lookup(s *linkgraph.Symbol) (*symtab.Symbol, error) {
	if d := l.names[s.Name]; d != nil {
		return d.symbol, nil
	}
	if isModuleSymbol(s.Name) {
		return l.moduleSymbol(s.Name)
	}
	e := l.engine
	if sym := e.table.Lookup(s.Name); sym != nil {
		return sym, nil
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

// newSignature makes the engine's form of an IR function type.
func newSignature(from *llvm.Signature) *signature {
	s := &signature{variadic: from.Variadic, text: from.Text}
	for i, p := range from.Params {
		t := newNativeType(p)
		if from.Attrs != nil && from.Attrs[i].Flags&(llvm.ByVal|llvm.InAlloca|llvm.Preallocated|llvm.Nest|llvm.SwiftSelf|llvm.SwiftError|llvm.SwiftAsync) != 0 {
			t.class = classOther
		}
		s.params = append(s.params, t)
	}
	switch {
	case from.Ret.Kind == llvm.Void:
	case from.Ret.Kind == llvm.Struct && registersOnly(from.Ret.Elems):
		for _, field := range from.Ret.Elems {
			s.results = append(s.results, newNativeType(field))
		}
	default:
		s.results = []nativeType{newNativeType(from.Ret)}
	}
	if from.CallingConv != 0 {
		for i := range s.params {
			s.params[i].class = classOther
		}
		for i := range s.results {
			s.results[i].class = classOther
		}
	}
	return s
}

// registersOnly says whether a struct result travels in rax, rdx, xmm0 and xmm1.
func registersOnly(fields []llvm.Type) bool {
	ints, floats := 0, 0
	for _, f := range fields {
		switch newNativeType(f).class {
		case classInt:
			ints++
		case classFloat, classDouble:
			floats++
		default:
			return false
		}
	}
	return ints <= 2 && floats <= 2
}

func newNativeType(t llvm.Type) nativeType {
	n := nativeType{text: t.Text}
	switch t.Kind {
	case llvm.Int:
		n.bits = int(t.Bits)
		switch n.bits {
		case 1, 8, 16, 32, 64:
			n.class = classInt
		}
	case llvm.Pointer:
		n.class, n.bits, n.ptr = classInt, 64, true
	case llvm.Float:
		n.class = classFloat
	case llvm.Double:
		n.class = classDouble
	}
	return n
}
