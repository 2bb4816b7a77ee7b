package livejit

import (
	"livejit/internal/stubtable"
	"livejit/internal/symtab"
)

// Function is a native function of a module. It stays valid as a value after its module is
// closed; calls then return a *DeletedError.
type Function struct {
	engine *Engine
	symbol *symtab.Symbol
}

// Name returns the function's symbol name.
func (f *Function) Name() string { return f.symbol.Name }

// Type returns the function's IR type, such as "i64 (i64, ptr)", or "" if it came from an
// object file.
func (f *Function) Type() string {
	if s := f.signature(); s != nil {
		return s.text
	}
	return ""
}

// Addr returns the function's address, that of its stub: as native code sees it, the same
// for the function's whole life. It is 0 once the function is deleted.
func (f *Function) Addr() uintptr {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	return uintptr(entryOf(f.symbol))
}

// Module returns the module that defines the function.
func (f *Function) Module() *Module { return f.symbol.Owner.(*Module) }

// Size returns the size of the function's machine code in bytes.
func (f *Function) Size() int { return int(f.symbol.Size) }

// signature returns the function's IR type, nil if unknown.
func (f *Function) signature() *signature {
	m := f.Module()
	if f.symbol.Type < 0 {
		return nil
	}
	return m.signatures[f.symbol.Type]
}

// entry returns the address to enter at. The caller is inside the engine's gate, so what
// it returns stays valid for the call.
func (f *Function) entry() (uint64, error) {
	if !f.engine.open.Load() {
		return 0, ErrClosed
	}
	address := entryOf(f.symbol)
	if address == 0 {
		return 0, &DeletedError{Name: f.symbol.Name}
	}
	return address, nil
}

// callable says whether s may be a function. An untyped label of hand-written assembly may.
func callable(s *symtab.Symbol) bool { return s.Kind == symtab.Func || s.Kind == symtab.Label }

// entryOf returns where to enter s, 0 once it is deleted.
func entryOf(s *symtab.Symbol) uint64 {
	if s.Kind == symtab.Label {
		return s.Addr
	}
	return s.Stub
}

func stubOf(s *symtab.Symbol) stubtable.Stub { return stubtable.Stub{Addr: s.Stub, Slot: s.Slot} }
