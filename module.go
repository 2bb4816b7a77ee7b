package livejit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"livejit/internal/crt"
	"livejit/internal/guard"
	"livejit/internal/jitdebug"
	"livejit/internal/jitlink"
	"livejit/internal/symtab"
	"livejit/stackmap"
)

// Module is what was added in one piece: functions and data of its sources and of the
// archive members they needed, with what has replaced and joined them since.
type Module struct {
	engine *Engine
	name   string

	// Set by the transaction that adds it, then only changed under the engine's lock.
	loaded     bool
	sources    []string         // names of what it was made from
	pieces     []*piece         // current ones, in no order
	archives   []*archiveFile   // that came with it: searched while it is open
	symbols    []*symtab.Symbol // everything it defines, deleted functions too; nil where one has gone
	locals     map[string]*symtab.Symbol
	tls        []crt.TLSModule
	pulled     []pulledMember // its archive members
	exit       *exitSupport   // nil: no exit handlers
	stats      ModuleStats
	constructs []uint64 // constructors, until they have run
	destructed bool
	closed     bool
	constants  []Span // of old versions, kept until it is closed
	remaining  int    // after it was closed: pieces that are still to be reclaimed
}

// piece is what lives and dies together: a version of a function or datum with what only
// it uses.
type piece struct {
	symtab.Version
	name        string // of the function or datum; empty for what a module shares
	module      *Module
	spans       []Span
	starts      []uint64 // of its code blocks
	bytes       jitlink.Bytes
	place       int32 // in module.pieces, or in engine.retired once it is retired
	current     int32 // symbols whose current version it holds
	pins        int32
	stays       bool             // as long as its module does, whoever refers to it
	epoch       uint64           // in which it was retired
	debug       *jitdebug.Object // WithDebug: of the object it came from; its index there is part
	part        int32
	text        *irSource            // WithIRDebug: what its code was compiled from
	maps        *[]stackmap.Function // stack maps of its code, nil if it has none
	patchpoints *[]*patchSite        // of its code, nil if it has none

	collected bool                  // its function has a garbage collector: a frame of it is read by the statepoint of the call it waits for
	sites     map[uint64]*stackSite // of frames that WalkStack has come by, by return address
}

// Name returns the name of the module's first source.
func (m *Module) Name() string { return m.name }

// String returns the module's name.
func (m *Module) String() string { return m.name }

// Function returns the function of this module called name, also one that is local to it
// (static), or nil.
func (m *Module) Function(name string) *Function {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	s := m.locals[name]
	if s == nil {
		if s = m.engine.table.Lookup(name); s == nil || s.Owner != symtab.Owner(m) {
			return nil
		}
	}
	if !callable(s) || s.State == symtab.Deleted {
		return nil
	}
	return &Function{engine: m.engine, symbol: s}
}

// Functions returns the functions the module defines, in the order in which they came.
func (m *Module) Functions() []*Function {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	list := make([]*Function, 0, len(m.symbols))
	for _, s := range m.symbols {
		if s != nil && s.Kind == symtab.Func && s.State <= symtab.Pending {
			list = append(list, &Function{engine: m.engine, symbol: s})
		}
	}
	return list
}

// Close removes the module: its destructors and exit handlers run, then its names go, and
// its code, data, stubs and unwind tables as soon as no thread is inside of them: before
// Close returns, if none is. It refuses with an *InUseError, which names the referrers, while
// other modules refer to it. Calls that come to its functions afterwards end with a
// *DeletedError. Closing again does nothing.
func (m *Module) Close() error {
	e := m.engine
	e.mu.Lock()
	err, closed := m.closable(), m.closed
	e.mu.Unlock()
	if err != nil || closed {
		return err
	}
	failed := m.destruct()
	if err := m.shut(); err != nil {
		return errors.Join(failed, err)
	}
	e.events.send(Event{Operation: OpCloseModule, Subjects: []string{m.name}})
	e.reclaimSome()
	return failed
}

// shut makes everything of m unreachable and retires it.
func (m *Module) shut() error {
	e := m.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.closed {
		return nil
	}
	if err := m.closable(); err != nil {
		return err
	}
	e.modules = slices.DeleteFunc(e.modules, func(other *Module) bool { return other == m })
	m.retire()
	return nil
}

// closable says what stands in the way of closing m.
func (m *Module) closable() error {
	if m.closed {
		return nil
	}
	if referrers := m.referrers(); len(referrers) > 0 {
		return &InUseError{Name: m.name, Referrers: referrers}
	}
	return nil
}

// referrers lists what in other modules refers to m.
func (m *Module) referrers() []string {
	var list []string
	for _, s := range m.symbols {
		if s == nil || s.State == symtab.Deleted || s.Refs() == 0 {
			continue
		}
		s.Users(func(v *symtab.Version, _ symtab.RefFlags) bool {
			if p := m.engine.pieces[v.ID]; !v.Retired && p.module != m {
				list = append(list, fmt.Sprintf("%s (%s) to %s", p.title(), p.module.name, s.Name))
			}
			return true
		})
	}
	slices.Sort(list)
	return list
}

// retire takes the module's names away, has its functions lead nowhere and retires all its
// pieces. What is left goes with the last of them.
func (m *Module) retire() {
	e := m.engine
	m.closed = true
	e.table.DropGroups(m)
	for _, name := range m.sources {
		if e.bySource[name] == m {
			delete(e.bySource, name)
		}
	}
	for _, p := range m.pulled {
		delete(p.archive.taken, p.member) // a later load may need it again
	}
	e.archives = slices.DeleteFunc(e.archives, func(a *archiveFile) bool { return slices.Contains(m.archives, a) })
	m.remaining = len(m.pieces)
	for len(m.pieces) > 0 {
		e.retire(m.pieces[len(m.pieces)-1])
	}
	for _, s := range m.symbols {
		if s == nil {
			continue
		}
		s.Orphan = true
		delete(e.history, s)
		e.unname(s)
		if s.Refs() == 0 {
			e.unneeded(s)
		}
	}
	m.symbols, m.locals, m.pulled, m.archives, m.sources = nil, nil, nil, nil, nil
	if m.remaining == 0 {
		e.finish(m)
	}
}

// finish gives back what a closed module has besides its pieces: the last of them is gone.
func (e *Engine) finish(m *Module) {
	for _, t := range m.tls {
		t.Release()
	}
	if m.exit != nil {
		e.failed = errors.Join(e.failed, m.exit.release(e))
	}
	for _, s := range m.constants {
		e.freeSpan(s)
	}
	m.tls, m.exit, m.constants = nil, nil, nil
}

// title names a piece in messages.
func (p *piece) title() string {
	if p.name == "" {
		return "shared data"
	}
	return p.name
}

// construct runs the module's constructors (gABI, "Initialization and Termination
// Functions"), each with argc, argv and envp as glibc does. Destructors and exit
// handlers run at the module's end even if a constructor fails.
func (m *Module) construct() error {
	list := m.constructs
	m.constructs = nil
	return m.runAll(list)
}

// runAll runs constructors until one fails.
func (m *Module) runAll(list []uint64) error {
	for _, address := range list {
		if err := m.engine.run(address, m.name+": constructor"); err != nil {
			return err
		}
	}
	return nil
}

// destruct runs the module's exit handlers and destructors, once.
func (m *Module) destruct() error {
	e := m.engine
	e.mu.Lock()
	if m.destructed || m.exit == nil {
		m.destructed = true
		e.mu.Unlock()
		return nil
	}
	m.destructed = true
	exit := m.exit
	pin := e.gate.Enter() // before anyone can see that it is done with: nothing is freed meanwhile
	defer e.gate.Exit(pin)
	e.mu.Unlock()
	return exit.dso.Finalize()
}

// run calls a native function of no arguments that need a type.
func (e *Engine) run(address uint64, what string) error {
	frame := guard.GetFrame(0)
	defer frame.Put()
	frame.Fn = address
	e.setProgram(frame)
	pin := e.gate.Enter()
	defer e.gate.Exit(pin)
	if err := guard.Call(frame); err != nil {
		return e.callError(what, context.Background(), err)
	}
	return nil
}

// enter makes s a symbol of m and, if it is not local, gives it its name.
func (m *Module) enter(s *symtab.Symbol) {
	s.Owner = m
	s.At = int32(len(m.symbols))
	m.symbols = append(m.symbols, s)
	if s.Kind == symtab.Func {
		m.stats.Functions++
	}
	m.engine.giveName(s)
}

// leave takes s out of m's symbols.
func (m *Module) leave(s *symtab.Symbol) {
	if int(s.At) < len(m.symbols) && m.symbols[s.At] == s {
		m.symbols[s.At] = nil
		delete(m.engine.history, s)
		if int(s.At) == len(m.symbols)-1 {
			m.symbols = m.symbols[:s.At]
		}
	}
}

// source notes that a source of that name belongs to m.
func (m *Module) source(name string) {
	if m.engine.bySource[name] == m {
		return
	}
	m.engine.bySource[name] = m
	m.sources = append(m.sources, name)
}

// keep makes p one of m's current pieces.
func (m *Module) keep(p *piece) {
	p.place = int32(len(m.pieces))
	m.pieces = append(m.pieces, p)
	m.stats.count(p.bytes, 1)
}

// drop takes p out of m's current pieces.
func (m *Module) drop(p *piece) {
	last := len(m.pieces) - 1
	m.pieces[p.place] = m.pieces[last]
	m.pieces[p.place].place = p.place
	m.pieces[last] = nil
	m.pieces = m.pieces[:last]
	m.stats.count(p.bytes, -1)
}

// newPiece makes the lasting form of a linked piece and gives it an identifier.
func (e *Engine) newPiece(m *Module, from *jitlink.Piece) *piece {
	p := &piece{name: from.Name, module: m}
	if n := len(e.freeIDs); n > 0 {
		p.ID, e.freeIDs = e.freeIDs[n-1], e.freeIDs[:n-1]
	} else {
		p.ID = uint32(len(e.pieces))
		e.pieces = append(e.pieces, nil)
	}
	e.pieces[p.ID] = p
	from.ID = p.ID
	return p
}

// freePiece takes the identifier of a piece back.
func (e *Engine) freePiece(p *piece) {
	if p.text != nil {
		p.text.leave()
	}
	e.pieces[p.ID] = nil
	e.freeIDs = append(e.freeIDs, p.ID)
}
