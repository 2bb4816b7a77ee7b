package livejit

import (
	"fmt"

	"livejit/internal/crt"
	"livejit/internal/symtab"
	"livejit/internal/threads"
)

// crtSymbols are names that loaded code gets from the engine's run-time support rather
// than from the process.
var crtSymbols = func() map[string]crt.Symbol {
	symbols := crt.Symbols()
	for name, address := range threads.Symbols() { // what starts threads inside of libc, where nobody sees it
		symbols[name] = crt.Symbol{Addr: address}
	}
	return symbols
}()

// Names that mean something else in every module. Those of libc_nonshared.a lack the
// argument that would say which module calls; an exit handler must run at its module's
// close.
var moduleSymbols = map[string]bool{"__dso_handle": true, "atexit": true, "on_exit": true, "at_quick_exit": true, "pthread_atfork": true}

func isModuleSymbol(name string) bool { return moduleSymbols[name] }

// exitSupport is a module's exit handlers with the thunks by which its code registers them.
type exitSupport struct {
	dso     *crt.DSO
	thunks  Span
	symbols map[string]*symtab.Symbol
}

// needExits returns the module's exit handlers, made at first use.
func (t *transaction) needExits(m *Module) (*exitSupport, error) {
	if m.exit == nil {
		t.link.exits = append(t.link.exits, m)
	}
	return m.exits()
}

// exits returns the module's exit handlers, made at first use.
func (m *Module) exits() (*exitSupport, error) {
	if m.exit != nil {
		return m.exit, nil
	}
	dso, err := crt.NewDSO(m.name)
	if err != nil {
		return nil, fmt.Errorf("%s: exit handlers: %w", m.name, err)
	}
	m.exit = &exitSupport{dso: dso, symbols: make(map[string]*symtab.Symbol)}
	return m.exit, nil
}

// moduleSymbol returns what a module symbol means in a module. It is owned by the
// module, not entered into the table.
func (t *transaction) moduleSymbol(m *Module, name string) (*symtab.Symbol, error) {
	e := t.engine
	x, err := t.needExits(m)
	if err != nil {
		return nil, err
	}
	if s := x.symbols[name]; s != nil {
		return s, nil
	}
	s := &symtab.Symbol{Name: name, Owner: m, Kind: symtab.HostData, Addr: uint64(x.dso.Handle())}
	if name != "__dso_handle" {
		if err := x.placeThunks(e, m); err != nil {
			return nil, err
		}
		s.Kind = symtab.HostFunc
		s.Addr = x.thunks.RX + uint64(thunkOrder[name]*crt.ThunkSize)
		stub, err := e.stubs.Alloc()
		if err != nil {
			return nil, memoryError(m.name, name, err)
		}
		e.stubs.Redirect(stub, s.Addr)
		s.Stub, s.Slot = stub.Addr, stub.Slot
	}
	x.symbols[name] = s
	return s, nil
}

// thunkOrder is where each thunk lies in a module's span of them.
var thunkOrder = map[string]int{"atexit": 0, "on_exit": 1, "at_quick_exit": 2, "pthread_atfork": 3}

// placeThunks writes the module's thunks, once.
func (x *exitSupport) placeThunks(e *Engine, m *Module) error {
	if x.thunks.Size != 0 {
		return nil
	}
	code := make([]byte, len(thunkOrder)*crt.ThunkSize)
	for name, thunk := range x.dso.Thunks() {
		copy(code[thunkOrder[name]*crt.ThunkSize:], thunk)
	}
	request := MemoryRequest{Module: m.name, Section: "exit thunks", Kind: CodeMemory, Size: uint64(len(code)), Align: 16}
	span, err := e.memory.Allocate(request)
	if err != nil {
		return &MemoryError{Request: request, Err: err}
	}
	x.thunks = span
	if err := e.memory.Write(span, 0, code); err != nil {
		return fmt.Errorf("%s: write exit thunks: %w", m.name, err)
	}
	return nil
}

// release gives back the thunks. Finalize has run, or nothing was registered.
func (x *exitSupport) release(e *Engine) error {
	for _, s := range x.symbols {
		if s.Stub != 0 {
			e.stubs.Free(stubOf(s))
			s.Stub, s.Slot = 0, 0
		}
	}
	if x.thunks.Size == 0 {
		return nil
	}
	return e.memory.Free(x.thunks)
}

// tlsBlock is where the thread-local variables lie that one link gives a module: one block for
// all its units, since compilers rely on it for variables that are hidden (the local-dynamic model).
type tlsBlock struct {
	module      crt.TLSModule // ID 0: none
	size, align uint64
}

// reserveTLS gives the thread-local variables of each module that the link defines, if there
// are any, the number of a TLS module and their places in its block. The image follows when it is
// fixed up.
func (t *transaction) reserveTLS() error {
	blocks := t.link.tls
	for _, u := range t.link.units {
		if !u.link.HasTLS() || blocks[u.module] != nil {
			continue
		}
		m, err := crt.NewTLS(nil, 0, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", u.module.name, err)
		}
		blocks[u.module] = &tlsBlock{module: m, align: 1}
	}
	for _, u := range t.link.units { // also those without: they may refer to the others' variables
		b := blocks[u.module]
		if b == nil {
			continue
		}
		size, align := u.link.TLSSize()
		align = max(align, 1)
		base := (b.size + align - 1) &^ (align - 1)
		u.link.SetTLSModule(b.module.ID, base)
		b.size, b.align = base+size, max(b.align, align)
	}
	return nil
}

// writeTLS gives each thread-local block the image from which each thread's copy is made.
func (t *transaction) writeTLS() error {
	for m, b := range t.link.tls {
		var image []byte
		base := uint64(0)
		for _, u := range t.link.units {
			if u.module != m {
				continue
			}
			init, size, align := u.link.TLSImage()
			align = max(align, 1)
			base = (base + align - 1) &^ (align - 1)
			if len(init) > 0 {
				image = append(append(image, make([]byte, base-uint64(len(image)))...), init...)
			}
			base += size
		}
		if err := b.module.SetImage(image, b.size, b.align); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// tlsDescResolver serves the TLS descriptors of foreign objects.
func tlsDescResolver() uint64 {
	_, dynamic := crt.TLSDescResolvers()
	return uint64(dynamic)
}
