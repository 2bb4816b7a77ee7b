package livejit

import (
	"strings"

	"livejit/internal/jitdebug"
	"livejit/internal/linkgraph"
)

// What debuggers and profilers are told, under the engine's lock: code that was published, versions that became old, code
// that is freed.

// tellTools tells of the code that a transaction has published.
func (t *transaction) tellTools() {
	e := t.engine
	t.tellPerf()
	if e.names != nil {
		for _, u := range t.link.units {
			for _, p := range u.pieces {
				e.nameCode(p)
			}
		}
	}
	if e.gdb == nil {
		return
	}
	var objects []*jitdebug.Object
	var pieces []int
	for _, u := range t.link.units {
		if len(u.pieces) == 0 {
			continue
		}
		o := u.pieces[0].debug
		o.Functions = u.functions()
		objects = append(objects, o)
		pieces = append(pieces, len(u.pieces))
	}
	e.gdb.Add(objects, pieces)
}

// functions lists the functions of a unit that were placed.
func (u *unit) functions() []jitdebug.Function {
	var list []jitdebug.Function
	for i := range u.graph.Symbols {
		id := linkgraph.SymbolID(i)
		s := &u.graph.Symbols[i]
		if s.Type != linkgraph.Func || s.Block < 0 || s.Def != linkgraph.Defined || u.graph.MemoryOf(s.Block) != linkgraph.Code {
			continue
		}
		n := u.link.PieceOf(id)
		if n < 0 {
			continue
		}
		f := jitdebug.Function{Name: s.Name, Start: u.link.BodyOf(id), Size: s.Size, Piece: n}
		if named := u.symbols[i]; named != nil && named.Last > 0 {
			f.Version = int(named.Last)
		} else {
			f.Version = int(u.pieces[n].Number)
		}
		list = append(list, f)
	}
	return list
}

// tellRetired tells that a version became an old one: debuggers show its function with its number, so that the
// name alone means the current version.
func (e *Engine) tellRetired(p *piece) {
	if e.gdb == nil || p.debug == nil || p.Number == 0 {
		return
	}
	if p.text != nil {
		e.gdb.Rename(p.debug, int(p.part), p.name, p.versionName())
		return
	}
	name := Demangle(p.name) // DWARF has the last part of a qualified name
	name, _, _ = strings.Cut(name, "(")
	name = name[strings.LastIndex(name, ":")+1:]
	e.gdb.Rename(p.debug, int(p.part), name, strings.Replace(p.versionName(), p.title(), name, 1))
}

// tellDebugger has a debugger that is attached hear of all that was told. It stops the process for each time, so it is called once for what a
// transaction or a round of reclaiming has changed, and before memory that was freed is used again. The engine is locked.
func (e *Engine) tellDebugger() {
	if e.gdb != nil {
		e.gdb.Sync()
	}
}

// tellFreed tells that code goes.
func (e *Engine) tellFreed(p *piece) {
	if e.gdb != nil && p.debug != nil {
		e.gdb.Drop(p.debug, int(p.part))
	}
}
