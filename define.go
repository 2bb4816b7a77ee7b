package livejit

import (
	"fmt"
	"reflect"

	"livejit/internal/guard"
	"livejit/internal/symtab"
)

// hostFunction is a Go function that native code can call: a callback and its entry thunk
// in code memory.
type hostFunction struct {
	handle *guard.CallbackHandle
	thunk  Span
	symbol *symtab.Symbol
	native string // type as IR
}

// Define makes a Go function visible to native code as the C function name. Parameters
// and results are integers, bools, floats and pointers (unsafe.Pointer, uintptr, *T); two
// results are a struct returned in registers. fn may be called on any thread, also
// several at once, and may call the engine. A panic in fn unwinds the native frames above
// the call that entered native code, which returns it as a *PanicError.
//
// The name must not be defined yet; what is loaded later refers to it. It stays defined
// until the engine is closed.
func (e *Engine) Define(name string, fn any) error {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return &SignatureError{Function: name, Go: fmt.Sprintf("%T", fn), Reason: "Define needs a function"}
	}
	if reason := plainSignature(v.Type()); reason != "" {
		return &SignatureError{Function: name, Go: v.Type().String(), Reason: reason}
	}
	if n := v.Type().NumOut(); n > 0 && v.Type().Out(n-1) == errorType {
		return &SignatureError{Function: name, Go: v.Type().String(), Reason: "native code cannot take an error; panic instead"}
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if old := e.table.Lookup(name); old != nil {
		return &DuplicateError{Symbol: name, First: e.definer(old), Next: "a Go function"}
	}
	return e.defineLocked(name, v)
}

// defineLocked places the thunk and makes the symbol.
func (e *Engine) defineLocked(name string, fn reflect.Value) (err error) {
	h := &hostFunction{handle: guard.NewCallback(callbackBody(fn)), native: natives(fn.Type())}
	defer func() {
		if err != nil {
			h.handle.Release()
		}
	}()
	code := h.handle.Code()
	request := MemoryRequest{Function: name, Section: "callback", Kind: CodeMemory, Size: uint64(len(code)), Align: 16}
	if h.thunk, err = e.memory.Allocate(request); err != nil {
		return &MemoryError{Request: request, Err: err}
	}
	if err = e.memory.Write(h.thunk, 0, code); err != nil {
		err = fmt.Errorf("define %s: write callback: %w", name, err)
	} else {
		h.symbol, err = e.hostSymbol(name, symtab.HostFunc, h.thunk.RX)
	}
	if err != nil {
		e.memory.Free(h.thunk)
		return err
	}
	e.defined[name] = h
	return nil
}

// callbackBody is what a call of the callback runs: registers to Go values, fn, and back.
func callbackBody(fn reflect.Value) func(*guard.Callback) {
	if fast := fastCallback(fn.Interface()); fast != nil {
		return fast
	}
	g := fn.Type()
	ints, floats := 0, 0
	stack := 0
	for i := range g.NumIn() {
		if isFloat(g.In(i)) {
			if floats++; floats > floatRegisters {
				stack++
			}
		} else if ints++; ints > intRegisters {
			stack++
		}
	}
	return func(c *guard.Callback) {
		args := make([]reflect.Value, g.NumIn())
		spilled := c.Stack(0, stack)
		ints, floats := 0, 0
		for i := range args {
			v := reflect.New(g.In(i)).Elem()
			var word uint64
			switch float := isFloat(g.In(i)); {
			case float && floats < floatRegisters:
				word = c.Float[floats]
				floats++
			case !float && ints < intRegisters:
				word = c.Int[ints]
				ints++
			default:
				word, spilled = spilled[0], spilled[1:]
			}
			setWord(v, word)
			args[i] = v
		}
		ints, floats = 0, 0
		for _, r := range fn.Call(args) {
			word, float, err := bitsOf(r, nil)
			switch {
			case err != nil:
				panic("BUG: livejit: " + err.Error())
			case float:
				c.RetFloat[floats] = word
				floats++
			default:
				c.RetInt[ints] = word
				ints++
			}
		}
	}
}

func isFloat(g reflect.Type) bool { return g.Kind() == reflect.Float32 || g.Kind() == reflect.Float64 }

// release gives back the thunk and the callback.
func (h *hostFunction) release(m MemoryManager) error {
	h.handle.Release()
	return m.Free(h.thunk)
}
