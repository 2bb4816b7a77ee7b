package livejit

import (
	"livejit/internal/guard"
	"livejit/internal/hostsym"
	"livejit/internal/symtab"
)

// lookHost looks for a name outside the engine: in its own run-time support, the process
// and the libraries.
func (e *Engine) lookHost(name string) (hostsym.Symbol, bool) {
	if name == "exit" && e.config.exitError {
		return hostsym.Symbol{Kind: hostsym.Func, Addr: guard.ExitAddress()}, true
	}
	if own, ok := crtSymbols[name]; ok {
		kind := hostsym.Func
		if own.Data {
			kind = hostsym.Data
		}
		return hostsym.Symbol{Kind: kind, Addr: own.Addr}, true
	}
	return hostsym.LookupIn(name, e.libraries)
}

// findHost makes the symbol of a name that lookHost finds. It returns nil if it is nowhere.
func (e *Engine) findHost(name string) (*symtab.Symbol, error) {
	found, ok := e.lookHost(name)
	if !ok {
		return nil, nil
	}
	switch found.Kind {
	case hostsym.TLS:
		s, err := e.hostSymbol(name, symtab.HostTLS, 0)
		if err == nil {
			s.TLS = &symtab.Place{Module: found.TLS.Module, Offset: found.TLS.Offset, TPOffset: found.TLS.TPOffset, Static: found.TLS.Static}
		}
		return s, err
	case hostsym.Data:
		s, err := e.hostSymbol(name, symtab.HostData, uint64(found.Addr))
		if err == nil {
			s.Size, s.Constant = found.Size, found.ReadOnly
		}
		return s, err
	}
	return e.hostSymbol(name, symtab.HostFunc, uint64(found.Addr))
}

// hostSymbol enters a symbol of the host into the table; a function gets a stub, by which
// code reaches it however far away it is.
func (e *Engine) hostSymbol(name string, kind symtab.Kind, address uint64) (*symtab.Symbol, error) {
	s := &symtab.Symbol{Name: name, Kind: kind, Addr: address}
	if kind == symtab.HostFunc {
		stub, err := e.stubs.Alloc()
		if err != nil {
			return nil, memoryError("", name, err)
		}
		e.stubs.Redirect(stub, address)
		s.Stub, s.Slot = stub.Addr, stub.Slot
	}
	e.table.Insert(s)
	return s, nil
}

// standIn serves code that is not position-independent and wants the address of a host
// symbol in 32 bits. As in an executable of that kind, the address of a function becomes
// that of its stub, for all that is loaded from now on, unless something uses its address
// already; and a constant (a vtable, a std::type_info) is copied to where it can be reached.
func (e *Engine) standIn(s *symtab.Symbol, module string) error {
	const narrow = 1<<31 - 1
	switch {
	case s.Kind == symtab.HostFunc && s.Owner == nil && s.Addr > narrow && s.Refs() == 0:
		s.Addr = s.Stub
	case s.Kind == symtab.HostData && s.Constant && s.Size > 0 && s.Addr > narrow && s.Body == 0:
		request := MemoryRequest{Module: module, Function: s.Name, Section: "copy of a constant", Kind: ReadOnlyMemory, Size: s.Size, Align: 64}
		span, err := e.memory.Allocate(request)
		if err != nil {
			return &MemoryError{Request: request, Err: err}
		}
		if err := e.memory.Write(span, 0, nativeBytes(s.Addr, s.Size)); err != nil {
			e.memory.Free(span)
			return &MemoryError{Request: request, Err: err}
		}
		e.copies[s], s.Body = span, span.RX
	}
	return nil
}

// dropUnused removes a host symbol without references, unless it is a Go function that is
// defined.
func (e *Engine) dropUnused(s *symtab.Symbol) {
	if s.Refs() != 0 || !s.Kind.Host() || s.Owner != nil || s.Name == "" {
		return
	}
	if h := e.defined[s.Name]; h != nil && h.symbol == s {
		return
	}
	e.table.Remove(s)
	s.Name = "" // it goes once
	if s.Stub != 0 {
		e.retireStub(s)
	}
	if copied, ok := e.copies[s]; ok {
		delete(e.copies, s)
		e.memory.Free(copied)
	}
}
