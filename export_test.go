package livejit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"livejit/internal/crt"
	"livejit/internal/guard"
	"livejit/internal/symtab"
	"livejit/internal/unwind"
)

// Dump returns the engine's whole state as text, for tests that compare it before and after
// something that must change nothing. Equal states give equal texts. Left out is what
// changes by itself or is a cache: times, counters of what ever happened, the epoch, open programs,
// interned types, free identifiers, and how many pages the stub table has.
func (e *Engine) Dump() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dump()
}

// Check returns what contradicts itself in the engine's state, one line each.
func (e *Engine) Check() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := stateCheck{engine: e}
	c.run()
	return c.wrong
}

// dump is Dump under the engine's lock.
func (e *Engine) dump() string {
	var d stateDump
	d.line("engine: closed %t, stubs %d, code blocks %d, retired %d (%d bytes), retired stubs %d, failed %v", e.closed, e.stubs.Stats().Live,
		e.region.Len(), len(e.retired), e.bytes, len(e.reclaimer.stubs), e.failed)
	for kind := CodeMemory; kind <= DataMemory; kind++ {
		d.line("memory %s: %d spans, %d bytes", kind, e.memory.spans[kind].Load(), e.memory.bytes[kind].Load())
	}
	modules, _ := crt.LiveTLS()
	dsos, handlers := crt.LiveDSOs()
	d.line("process: %d TLS modules, %d DSOs, %d exit handlers, %d callbacks, %d regions", modules, dsos, handlers, guard.LiveCallbacks(), unwind.LiveRegions())
	for i, m := range e.modules {
		d.line("module %d: %s", i, m.dump())
	}
	d.names("name", e.tableNames())
	d.names("deleted", e.deleted)
	for _, stub := range slices.Sorted(maps.Keys(e.missing)) {
		d.line("missing %#x: %s", stub, symbolName(e.missing[stub]))
	}
	for _, name := range slices.Sorted(maps.Keys(e.bySource)) {
		d.line("source %s: module %s", name, e.bySource[name].name)
	}
	groups := e.groups()
	for _, signature := range slices.Sorted(maps.Keys(groups)) {
		d.line("group %s: module %s", signature, groups[signature])
	}
	for _, name := range slices.Sorted(maps.Keys(e.defined)) {
		d.line("defined %s: %+v", name, e.defined[name].thunk)
	}
	for s, span := range e.copies {
		d.later("copy of %s: %+v", s.Name, span)
	}
	for s := range e.compiling {
		d.later("compiling %s", symbolName(s))
	}
	for _, a := range e.archives {
		d.line("archive %s: taken %v", a.Name, slices.Sorted(maps.Keys(a.taken)))
	}
	for s := range e.allSymbols() {
		d.later("symbol %s", e.dumpSymbol(s))
	}
	for id, sites := range e.patchSites {
		for _, s := range sites {
			d.later("patchpoint %d at %#x of %s: %q, %#x", id, s.address, s.piece.versionName(), s.target, *s.word())
		}
	}
	for _, p := range e.pieces {
		if p != nil {
			d.line("piece %s", p.dump())
		}
	}
	return d.text()
}

// stateDump collects the lines of a dump.
type stateDump struct{ lines, unordered []string }

func (d *stateDump) line(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// later adds a line to a part that is sorted, since it comes from a map.
func (d *stateDump) later(format string, args ...any) {
	d.unordered = append(d.unordered, fmt.Sprintf(format, args...))
}

func (d *stateDump) names(title string, names map[string]*symtab.Symbol) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.line("%s %s: %s", title, name, symbolName(names[name]))
	}
}

func (d *stateDump) text() string {
	slices.Sort(d.unordered)
	return strings.Join(slices.Concat(d.lines, d.unordered), "\n") + "\n"
}

func (e *Engine) tableNames() map[string]*symtab.Symbol {
	names := make(map[string]*symtab.Symbol)
	e.table.All(func(s *symtab.Symbol) bool { names[s.Name] = s; return true })
	return names
}

// groups returns the COMDAT groups by their signatures. They are named like symbols of ours.
func (e *Engine) groups() map[string]string {
	groups := make(map[string]string)
	for s := range e.allSymbols() {
		if owner := e.table.Group(s.Name); owner != nil {
			groups[s.Name] = owner.String()
		}
	}
	return groups
}

// allSymbols finds every symbol that something of the engine leads to.
func (e *Engine) allSymbols() map[*symtab.Symbol]bool {
	all := make(map[*symtab.Symbol]bool)
	add := func(s *symtab.Symbol) {
		for ; s != nil; s = s.Alias {
			all[s] = true
		}
	}
	e.table.All(func(s *symtab.Symbol) bool { add(s); return true })
	for _, s := range e.deleted {
		add(s)
	}
	for _, s := range e.missing {
		add(s)
	}
	for _, m := range e.modules {
		for _, s := range m.symbols {
			add(s)
		}
		for _, s := range m.locals {
			add(s)
		}
		if m.exit != nil {
			for _, s := range m.exit.symbols {
				add(s)
			}
		}
	}
	for _, p := range e.pieces {
		if p == nil {
			continue
		}
		add(p.Symbol)
		for _, r := range p.Refs() {
			add(r.Symbol)
		}
	}
	return all
}

// symbolName is a symbol's name with what tells it from others of that name.
func symbolName(s *symtab.Symbol) string {
	if s == nil {
		return "nil"
	}
	owner := "host"
	if s.Owner != nil {
		owner = s.Owner.String()
	}
	return fmt.Sprintf("%s (%s, stub %#x, at %#x)", s.Name, owner, s.Stub, s.Addr)
}

func (e *Engine) dumpSymbol(s *symtab.Symbol) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: kind %d, %s, slot %#x", symbolName(s), s.Kind, s.State, s.Slot)
	if s.Slot != 0 {
		fmt.Fprintf(&b, " to %#x", e.stubs.Target(stubOf(s)))
	}
	fmt.Fprintf(&b, ", body %#x, size %d, version %d", s.Body, s.Size, s.Last)
	if s.Current != nil {
		fmt.Fprintf(&b, " in %d", s.Current.ID)
	}
	if s.TLS != nil {
		fmt.Fprintf(&b, ", TLS %+v", *s.TLS)
	}
	if s.Alias != nil {
		fmt.Fprintf(&b, ", alias of %s", symbolName(s.Alias))
	}
	if s.Type != nil {
		fmt.Fprintf(&b, ", type %s", s.Type)
	}
	if o, ok := s.Origin.(*origin); ok {
		fmt.Fprintf(&b, ", from %s (%p)", o.Name(), o)
	}
	fmt.Fprintf(&b, ", entry %#x, code %x, init %x, lines %x, strength %d, aliases %d", s.Entry.Load(), s.Code, s.Init, s.Lines, s.Strength, s.Aliases)
	fmt.Fprintf(&b, ", local %t, constant %t, address taken %t, orphan %t, used by", s.Local, s.Constant, s.AddressTaken, s.Orphan)
	var users []string
	s.Users(func(v *symtab.Version, how symtab.RefFlags) bool {
		users = append(users, fmt.Sprintf(" %d:%d", v.ID, how))
		return true
	})
	slices.Sort(users)
	b.WriteString(strings.Join(users, ""))
	return b.String()
}

func (m *Module) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%p): sources %q, destructed %t, closed %t, remaining %d, constructors %#x, constants %+v, TLS %+v", m.name, m, m.sources,
		m.destructed, m.closed, m.remaining, m.constructs, m.constants, m.tls)
	stats := m.stats
	stats.LoadDuration = Stages{}
	fmt.Fprintf(&b, "\n\tstats %+v", stats)
	var pieces []uint32
	for _, p := range m.pieces {
		pieces = append(pieces, p.ID)
	}
	slices.Sort(pieces)
	fmt.Fprintf(&b, "\n\tpieces %v", pieces)
	for _, s := range m.symbols {
		if s != nil {
			fmt.Fprintf(&b, "\n\tsymbol %s", symbolName(s))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.locals)) {
		fmt.Fprintf(&b, "\n\tlocal %s: %s", name, symbolName(m.locals[name]))
	}
	for _, a := range m.archives {
		fmt.Fprintf(&b, "\n\tarchive %s", a.Name)
	}
	for _, p := range m.pulled {
		fmt.Fprintf(&b, "\n\tmember %d of %s", p.member, p.archive.Name)
	}
	if m.exit != nil {
		fmt.Fprintf(&b, "\n\texits %#x, thunks %+v", m.exit.dso.Handle(), m.exit.thunks)
		for _, name := range slices.Sorted(maps.Keys(m.exit.symbols)) {
			fmt.Fprintf(&b, "\n\texit symbol %s", symbolName(m.exit.symbols[name]))
		}
	}
	return b.String()
}

func (p *piece) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %s@%d of %s, symbol %s, retired %t, current %d, pins %d, stays %t, held %t, spans %+v, starts %#x, bytes %+v, refers to", p.ID, p.name,
		p.Number, p.module.name, symbolName(p.Symbol), p.Retired, p.current, p.pins, p.stays, p.Held(), p.spans, p.starts, p.bytes)
	for _, r := range p.Refs() {
		fmt.Fprintf(&b, " %s:%d", symbolName(r.Symbol), r.Flags)
	}
	b.WriteString(", holds")
	for _, h := range p.Holds() {
		fmt.Fprintf(&b, " %d", h.ID)
	}
	return b.String()
}

// stateCheck looks for contradictions in an engine's state.
type stateCheck struct {
	engine *Engine
	wrong  []string
}

func (c *stateCheck) bad(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *stateCheck) run() {
	if c.engine.closed {
		return
	}
	c.pieces()
	all := c.engine.allSymbols()
	aliases := make(map[*symtab.Symbol]int32)
	for s := range all {
		if s.Alias != nil && s.State != symtab.Deleted {
			aliases[s.Alias]++
		}
	}
	for s := range all {
		if s.Aliases != aliases[s] {
			c.bad("%s has %d aliases and says %d", symbolName(s), aliases[s], s.Aliases)
		}
		c.symbol(s)
	}
	c.modules()
	c.memory()
}

// pieces checks that each piece is in one list, and that what it says of others they say of it.
func (c *stateCheck) pieces() {
	e := c.engine
	live, starts := 0, 0
	current := make(map[*piece]int32)
	for s := range e.allSymbols() {
		if s.Current == nil {
			continue
		}
		p := e.pieces[s.Current.ID]
		switch {
		case p == nil || &p.Version != s.Current:
			if s.State != symtab.Deleted {
				c.bad("%s: its version is not a piece any more", symbolName(s))
			}
		case s.State != symtab.Deleted || s.Kind == symtab.Func:
			current[p]++
		}
	}
	for id, p := range e.pieces {
		if p == nil {
			continue
		}
		live++
		starts += len(p.starts)
		list := p.module.pieces
		if p.Retired {
			list = e.retired
		}
		if int(p.ID) != id || int(p.place) >= len(list) || list[p.place] != p {
			c.bad("piece %d (%s) is not in its place", id, p.title())
		}
		if !p.Retired && p.current != current[p] {
			c.bad("piece %d (%s) is the current version of %d symbols and says %d", id, p.title(), current[p], p.current)
		}
		if p.Retired && p.current != 0 {
			c.bad("piece %d (%s) is retired and current", id, p.title())
		}
		if !p.Retired && !p.stays && p.current == 0 && !p.Held() {
			c.bad("piece %d (%s) is kept for nothing", id, p.title())
		}
		for _, r := range p.Refs() {
			known := false
			r.Symbol.Users(func(v *symtab.Version, _ symtab.RefFlags) bool { known = v == &p.Version; return !known })
			if !known {
				c.bad("piece %d (%s) refers to %s, which does not know", id, p.title(), symbolName(r.Symbol))
			}
			if s := r.Symbol; s.Kind == symtab.Func && s.Stub == 0 && s.Alias == nil {
				c.bad("piece %d (%s) refers to %s, whose stub is gone", id, p.title(), symbolName(s))
			}
		}
		for _, h := range p.Holds() {
			if q := e.pieces[h.ID]; q == nil || &q.Version != h {
				c.bad("piece %d (%s) holds a version that is gone", id, p.title())
			}
		}
	}
	if free := len(e.pieces) - 1 - len(e.freeIDs); live != free {
		c.bad("%d pieces are there and %d identifiers are in use", live, free)
	}
	if n := e.region.Len(); n != starts {
		c.bad("%d code blocks are registered and %d are there", n, starts)
	}
}

// symbol checks that a symbol's stub leads where its state says.
func (c *stateCheck) symbol(s *symtab.Symbol) {
	e := c.engine
	if s.Kind != symtab.Func || s.Alias != nil || s.Stub == 0 {
		return
	}
	leads, miss := e.stubs.Target(stubOf(s)), e.stubs.Miss(stubOf(s))
	missing := e.missing[s.Stub] == s
	switch s.State {
	case symtab.Loaded:
		_, indirect := e.stubs.At(leads) // what a resolver chose
		if leads == miss || missing || s.Current != nil && leads != s.Body && !indirect {
			c.bad("%s is loaded, and its stub leads to %#x, its body is at %#x (missing: %t)", symbolName(s), leads, s.Body, missing)
		}
	case symtab.Pending:
		if leads != miss || !missing || s.Current != nil && s.Origin != nil {
			c.bad("%s is pending, and its stub leads to %#x (missing: %t, version: %t)", symbolName(s), leads, missing, s.Current != nil)
		}
	case symtab.Deleted:
		if leads != miss || !missing {
			c.bad("%s is deleted, and its stub leads to %#x (missing: %t)", symbolName(s), leads, missing)
		}
	}
	if s.State <= symtab.Pending && s.Entry.Load() != s.Stub {
		c.bad("%s is entered at %#x", symbolName(s), s.Entry.Load())
	}
	if s.State > symtab.Pending && s.Entry.Load() != 0 {
		c.bad("%s is %s and can be entered", symbolName(s), s.State)
	}
}

// modules checks that names and symbols agree.
func (c *stateCheck) modules() {
	e := c.engine
	for _, m := range e.modules {
		functions := 0
		for i, s := range m.symbols {
			if s == nil {
				continue
			}
			if int(s.At) != i || s.Owner != symtab.Owner(m) {
				c.bad("%s is not in its place in %s", symbolName(s), m.name)
			}
			if s.Kind == symtab.Func && s.State <= symtab.Pending {
				functions++
			}
			means := e.table.Lookup(s.Name)
			if s.Local {
				if means = m.locals[s.Name]; means != nil && means != s && means.State <= symtab.Pending && means.Local {
					continue // another source's static of that name
				}
			}
			if s.State <= symtab.Pending && means != s {
				c.bad("%s is %s, and its name means %s", symbolName(s), s.State, symbolName(means))
			}
			if s.State > symtab.Pending && !s.Local && means == s {
				c.bad("%s is %s, and its name means it", symbolName(s), s.State)
			}
		}
		if m.stats.Functions != functions {
			c.bad("%s has %d functions and counts %d", m.name, functions, m.stats.Functions)
		}
		if m.stats.Pieces != len(m.pieces) {
			c.bad("%s has %d pieces and counts %d", m.name, len(m.pieces), m.stats.Pieces)
		}
	}
	for name, s := range e.deleted {
		if s.Name != name || s.State != symtab.Deleted {
			c.bad("%s is noted as deleted and is %s", symbolName(s), s.State)
		}
		if e.table.Lookup(name) != nil {
			c.bad("%s is noted as deleted, and its name means %s", symbolName(s), symbolName(e.table.Lookup(name)))
		}
	}
}

// memory checks that all memory belongs to something.
func (c *stateCheck) memory() {
	e := c.engine
	var spans, bytes [SlotMemory + 1]int64
	add := func(list ...Span) {
		for _, s := range list {
			if s.Size != 0 {
				spans[s.Kind]++
				bytes[s.Kind] += int64(s.Size)
			}
		}
	}
	retired := uint64(0)
	for _, p := range e.pieces {
		if p == nil {
			continue
		}
		add(p.spans...)
		if p.Retired {
			for _, s := range p.spans {
				retired += s.Size
			}
		}
	}
	if retired != e.bytes {
		c.bad("%d bytes are retired and %d are counted", retired, e.bytes)
	}
	for _, m := range e.modules {
		add(m.constants...)
		if m.exit != nil {
			add(m.exit.thunks)
		}
	}
	for _, h := range e.defined {
		add(h.thunk)
	}
	for _, s := range e.copies {
		add(s)
	}
	add(e.arguments)
	for kind := CodeMemory; kind <= DataMemory; kind++ {
		if got, b := e.memory.spans[kind].Load(), e.memory.bytes[kind].Load(); got != spans[kind] || b != bytes[kind] {
			c.bad("%s: %d spans of %d bytes are in use, %d of %d belong to something", kind, got, b, spans[kind], bytes[kind])
		}
	}
}
