package livejit

import "livejit/internal/symtab"

// Function is a native function of a module: its name and stub, whatever version is current.
// It stays valid as a value when the function is deleted; calls then return a *DeletedError
// until the name is defined again.
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
// Since the caller may keep it, the stub is not used for another function before the
// module is closed.
func (f *Function) Addr() uintptr {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	f.primary().AddressTaken = true
	return uintptr(f.symbol.Entry.Load())
}

// Module returns the module that defines the function.
func (f *Function) Module() *Module {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	return f.symbol.Owner.(*Module)
}

// Size returns the size of the machine code of the function's current version in bytes.
func (f *Function) Size() int {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	return int(f.symbol.Size)
}

// signature returns the function's IR type, nil if unknown.
func (f *Function) signature() *signature {
	s, _ := f.symbol.Type.(*signature)
	return s
}

// entry returns the address to enter at. The caller is inside the engine's gate, so what
// it returns stays valid for the call.
func (f *Function) entry() (uint64, error) {
	if !f.engine.open.Load() {
		return 0, ErrClosed
	}
	address := f.symbol.Entry.Load()
	if address == 0 {
		return 0, f.noEntry()
	}
	return address, nil
}

// noEntry says why the function cannot be entered.
func (f *Function) noEntry() error {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	if f.symbol.State == symtab.Outdated {
		if now := f.engine.table.Lookup(f.symbol.Name); now != nil && now.Type != nil {
			return &SignatureError{Function: f.symbol.Name, Native: now.Type.String(), Go: f.symbol.Type.String(), Reason: "the function was replaced by one of another type; look it up again"}
		}
	}
	return &DeletedError{Name: f.symbol.Name}
}

// callable says whether s may be a function. An untyped label of hand-written assembly may.
func callable(s *symtab.Symbol) bool { return s.Kind == symtab.Func || s.Kind == symtab.Label }
