package livejit

import (
	"errors"
	"fmt"
	"slices"

	"livejit/internal/crt"
	"livejit/internal/guard"
	"livejit/internal/jitlink"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// Module is what one Engine.Add loaded: functions and data of its sources and of the
// archive members they needed.
type Module struct {
	engine *Engine
	name   string

	// Set by the load, then only changed under the engine's lock.
	kept        []Source // what it was made from, for recompiling and showing
	pieces      []*piece
	archives    []*archiveFile   // that came with it: searched while it is open
	symbols     []*symtab.Symbol // everything it defines
	locals      map[string]*symtab.Symbol
	signatures  []*signature
	signatureOf map[*llvm.Signature]int32 // while loading
	tls         []crt.TLSModule
	pulled      []pulledMember // its archive members
	exit        *exitSupport   // nil: no exit handlers
	stats       ModuleStats
	constructs  []uint64 // constructors, until they have run
	destructed  bool
	closed      bool
}

// piece is what lives and dies together: a function or datum and what only it uses.
type piece struct {
	id     uint32
	name   string // of the function or datum; empty for what a module shares
	module *Module
	spans  []Span
	starts []uint64         // of its code blocks
	refs   []*symtab.Symbol // what it refers to, each counted in the symbol
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
	if !callable(s) {
		return nil
	}
	return &Function{engine: m.engine, symbol: s}
}

// Functions returns the functions the module defines, in the order of its sources.
func (m *Module) Functions() []*Function {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	list := make([]*Function, 0, len(m.symbols))
	for _, s := range m.symbols {
		if s.Kind == symtab.Func {
			list = append(list, &Function{engine: m.engine, symbol: s})
		}
	}
	return list
}

// Close removes the module: its destructors and exit handlers run, then its names, code,
// data, stubs and unwind tables go. It refuses with an *InUseError, which names the
// referrers, while other modules refer to it, and while calls are inside native code.
// Closing again does nothing.
func (m *Module) Close() error {
	e := m.engine
	e.mu.Lock()
	err, closed := m.closable(), m.closed
	e.mu.Unlock()
	if err != nil || closed {
		return err
	}
	failed := m.destruct()

	e.mu.Lock()
	defer e.mu.Unlock()
	if m.closed {
		return failed
	}
	if err := m.closable(); err != nil {
		return errors.Join(failed, err)
	}
	inside := e.gate.Exclusive(func() {
		failed = errors.Join(failed, m.free())
		for i, other := range e.modules {
			if other == m {
				e.modules = append(e.modules[:i], e.modules[i+1:]...)
				break
			}
		}
	})
	if inside != 0 {
		return errors.Join(failed, &InUseError{Name: m.name, Running: inside})
	}
	return failed
}

// closable says what stands in the way of closing m.
func (m *Module) closable() error {
	if m.closed {
		return nil
	}
	if n := m.engine.gate.Inside(); n != 0 {
		return &InUseError{Name: m.name, Running: n}
	}
	if referrers := m.referrers(); len(referrers) > 0 {
		return &InUseError{Name: m.name, Referrers: referrers}
	}
	return nil
}

// referrers lists what in other modules refers to m.
func (m *Module) referrers() []string {
	own := make(map[*symtab.Symbol]int)
	for _, p := range m.pieces {
		for _, s := range p.refs {
			if s.Owner == symtab.Owner(m) {
				own[s]++
			}
		}
	}
	wanted := false
	for _, s := range m.symbols {
		wanted = wanted || s.Refs() > own[s]
	}
	if !wanted {
		return nil
	}
	var list []string
	for _, other := range m.engine.modules {
		if other == m {
			continue
		}
		for _, p := range other.pieces {
			for _, s := range p.refs {
				if s.Owner == symtab.Owner(m) {
					list = append(list, fmt.Sprintf("%s (%s) to %s", p.title(), other.name, s.Name))
				}
			}
		}
	}
	return list
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
	pin := e.gate.Enter() // before anyone can see that it is done with: nothing is freed meanwhile
	defer e.gate.Exit(pin)
	e.mu.Unlock()
	return m.exit.dso.Finalize()
}

// run calls a native function of no arguments that need a type.
func (e *Engine) run(address uint64, what string) error {
	frame := guard.GetFrame(0)
	defer frame.Put()
	frame.Fn = address
	e.setProgram(frame)
	pin := e.gate.Enter()
	defer e.gate.Exit(pin)
	return translateGuard(what, guard.Call(frame))
}

// free gives back all that m owns. The engine is locked (or being taken down), no native
// code is running.
func (m *Module) free() error {
	if m.closed {
		return nil
	}
	m.closed = true
	e := m.engine
	var errs []error
	for _, s := range m.symbols {
		e.table.Remove(s)
	}
	e.table.DropGroups(m)
	for _, p := range m.pieces {
		errs = append(errs, p.free(e))
	}
	for _, s := range m.symbols {
		if s.Stub != 0 && s.Alias == nil {
			e.stubs.Free(stubOf(s))
		}
		s.Stub, s.Slot = 0, 0
		if s.Kind == symtab.Label {
			s.Addr = 0
		}
	}
	for _, p := range m.pulled {
		delete(p.archive.taken, p.member) // a later load may need it again
	}
	for _, t := range m.tls {
		t.Release()
	}
	if m.exit != nil {
		errs = append(errs, m.exit.release(e))
	}
	e.archives = slices.DeleteFunc(e.archives, func(a *archiveFile) bool { return slices.Contains(m.archives, a) })
	m.pieces, m.symbols, m.locals, m.kept, m.pulled = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}

// free gives back the piece's memory, registrations and references.
func (p *piece) free(e *Engine) error {
	e.region.Remove(p.starts...)
	var errs []error
	for _, s := range p.spans {
		errs = append(errs, e.memory.Free(s))
	}
	for _, s := range p.refs {
		e.releaseSymbol(s)
	}
	e.pieces[p.id] = nil
	e.freeIDs = append(e.freeIDs, p.id)
	return errors.Join(errs...)
}

// newPiece makes the lasting form of a linked piece and gives it an identifier.
func (e *Engine) newPiece(m *Module, from *jitlink.Piece) *piece {
	p := &piece{name: from.Name, module: m}
	if n := len(e.freeIDs); n > 0 {
		p.id, e.freeIDs = e.freeIDs[n-1], e.freeIDs[:n-1]
	} else {
		p.id = uint32(len(e.pieces))
		e.pieces = append(e.pieces, nil)
	}
	e.pieces[p.id] = p
	from.ID = p.id
	return p
}
