package livejit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"livejit/internal/guard"
)

func float32Bits(f float32) uint32 { return math.Float32bits(f) }
func float64Bits(f float64) uint64 { return math.Float64bits(f) }

// Registers that carry arguments (x86-64 psABI 3.2.3).
const (
	intRegisters   = 6
	floatRegisters = 8
)

// Bind makes a Go function of the native function called name. target points to a
// variable of function type, whose parameters and results must fit the function's IR
// type: integers by size (of either sign; bool for i1, i8 and i32), ptr as
// unsafe.Pointer, *T or uintptr, float and double. A struct returned in registers is
// several results. Functions from object files have no IR type: theirs is not checked.
//
// If the last result is of type error, it carries what went wrong during a call: an
// *ExceptionError, *FaultError, *PanicError or *DeletedError, or ErrClosed; without it such a call
// panics with that error. Pointers to Go memory are pinned for the duration of a call.
//
// The function may be called from any goroutine, also concurrently, for as long as the
// engine is open. A *SignatureError says what does not fit.
func (e *Engine) Bind(name string, target any) error {
	f := e.Function(name)
	if f == nil {
		return fmt.Errorf("bind %s: %w", name, e.whyNotFound(name))
	}
	return f.Bind(target)
}

// Bind makes a Go function of f; see Engine.Bind.
func (f *Function) Bind(target any) error {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Func {
		return &SignatureError{Function: f.Name(), Native: f.Type(), Go: fmt.Sprintf("%T", target), Reason: "Bind needs a pointer to a variable of function type"}
	}
	g := v.Elem().Type()
	reason := ""
	if s := f.signature(); s != nil {
		reason = s.match(g)
	} else {
		reason = plainSignature(g)
	}
	if reason != "" {
		return &SignatureError{Function: f.Name(), Native: f.Type(), Go: g.String(), Reason: reason}
	}
	if !bindFast(f, target) {
		v.Elem().Set(reflect.MakeFunc(g, f.caller(g)))
	}
	return nil
}

// caller returns the body of a bound function of Go type g.
func (f *Function) caller(g reflect.Type) func([]reflect.Value) []reflect.Value {
	results := g.NumOut()
	hasError := results > 0 && g.Out(results-1) == errorType
	if hasError {
		results--
	}
	return func(args []reflect.Value) []reflect.Value {
		var pins runtime.Pinner
		defer pins.Unpin()
		frame, err := newFrame(args, &pins)
		if err == nil {
			defer frame.Put()
			err = f.enter(context.Background(), frame)
		}
		if err != nil && !hasError {
			panic(err)
		}
		out := make([]reflect.Value, 0, results+1)
		ints, floats := 0, 0
		for i := range results {
			v := reflect.New(g.Out(i)).Elem()
			if err == nil {
				setResult(v, frame, &ints, &floats)
			}
			out = append(out, v)
		}
		if hasError {
			v := reflect.New(errorType).Elem()
			if err != nil {
				v.Set(reflect.ValueOf(err))
			}
			out = append(out, v)
		}
		return out
	}
}

// newFrame puts arguments into registers and, when those are full, onto the stack.
func newFrame(args []reflect.Value, pins *runtime.Pinner) (*guard.Frame, error) {
	words := make([]uint64, len(args))
	isFloat := make([]bool, len(args))
	ints, floats, stack := 0, 0, 0
	for i, a := range args {
		word, float, err := bitsOf(a, pins)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		words[i], isFloat[i] = word, float
		switch {
		case float && floats < floatRegisters:
			floats++
		case !float && ints < intRegisters:
			ints++
		default:
			stack++
		}
	}
	frame := guard.GetFrame(stack)
	spill := frame.Stack()
	ints, floats, stack = 0, 0, 0
	for i, word := range words {
		switch {
		case isFloat[i] && floats < floatRegisters:
			frame.Float[floats] = word
			floats++
		case !isFloat[i] && ints < intRegisters:
			frame.Int[ints] = word
			ints++
		default:
			spill[stack] = word
			stack++
		}
	}
	return frame, nil
}

// setResult stores the next result register into v.
func setResult(v reflect.Value, frame *guard.Frame, ints, floats *int) {
	if isFloat(v.Type()) {
		setWord(v, frame.RetFloat[*floats])
		*floats++
		return
	}
	setWord(v, frame.RetInt[*ints])
	*ints++
}

// setWord stores what a register holds into v: integers cut to v's size.
func setWord(v reflect.Value, word uint64) {
	switch v.Kind() {
	case reflect.Float32:
		v.SetFloat(float64(math.Float32frombits(uint32(word))))
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(word))
	case reflect.Bool:
		v.SetBool(word&1 != 0)
	case reflect.Int8:
		v.SetInt(int64(int8(word)))
	case reflect.Int16:
		v.SetInt(int64(int16(word)))
	case reflect.Int32:
		v.SetInt(int64(int32(word)))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(word))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint, reflect.Uint64, reflect.Uintptr:
		v.SetUint(word & (1<<(8*v.Type().Size()) - 1))
	case reflect.UnsafePointer:
		v.SetPointer(nativePointer(word))
	case reflect.Pointer:
		v.Set(reflect.NewAt(v.Type().Elem(), nativePointer(word)))
	default:
		panic("BUG: livejit: result of kind " + v.Kind().String())
	}
}

// Call calls the native function called name. Arguments are integers, floats, bools and
// pointers that fit the function's IR type as Bind says; untyped Go ints also fit smaller
// integers they are in range of. A string is passed as the address of a copy with a
// terminating zero, a slice as the address of its elements, both valid for the duration of
// the call. Further arguments of a variadic function go as C passes them (a float32 as
// double).
//
// The result is nil for a void function, a Go value of the IR type (bool, int8 to int64,
// float32, float64, unsafe.Pointer), []any for a struct returned in registers, and int64
// for a function from an object file, whose type is not known.
//
// Call does not begin once ctx has ended. If it ends while native code runs, that is interrupted and
// the error is an *InterruptError: code of the engine at once; a library function that it has called when that returns, while the system
// calls that it waits in fail with EINTR, or at once if that takes longer than 20 ms; a Go function that native code has called when
// that returns.
func (e *Engine) Call(ctx context.Context, name string, args ...any) (any, error) {
	f := e.Function(name)
	if f == nil {
		return nil, fmt.Errorf("call %s: %w", name, e.whyNotFound(name))
	}
	return f.Call(ctx, args...)
}

// Call calls f; see Engine.Call.
func (f *Function) Call(ctx context.Context, args ...any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := f.signature()
	values, err := f.arguments(s, args)
	if err != nil {
		return nil, err
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	frame, err := newFrame(values, &pins)
	if err != nil {
		return nil, &SignatureError{Function: f.Name(), Native: f.Type(), Go: typesOf(args), Reason: err.Error()}
	}
	defer frame.Put()
	if err := f.enter(ctx, frame); err != nil {
		return nil, err
	}
	if s == nil {
		return int64(frame.RetInt[0]), nil
	}
	ints, floats := 0, 0
	results := make([]any, len(s.results))
	for i, r := range s.results {
		v := reflect.New(r.goType()).Elem()
		setResult(v, frame, &ints, &floats)
		results[i] = v.Interface()
	}
	switch len(results) {
	case 0:
		return nil, nil
	case 1:
		return results[0], nil
	}
	return results, nil
}

// arguments checks args against s (nil: unknown) and converts them.
func (f *Function) arguments(s *signature, args []any) ([]reflect.Value, error) {
	refuse := func(format string, a ...any) error {
		return &SignatureError{Function: f.Name(), Native: f.Type(), Go: typesOf(args), Reason: fmt.Sprintf(format, a...)}
	}
	if s != nil {
		if n := len(s.params); len(args) < n || len(args) > n && !s.variadic {
			return nil, refuse("it has %d parameter%s, not %d", n, plural(n), len(args))
		}
		for i, r := range s.results {
			if r.class == classOther {
				return nil, refuse("result %d of type %s cannot be passed to Go", i+1, r)
			}
		}
	}
	values := make([]reflect.Value, len(args))
	for i, a := range args {
		v := reflect.ValueOf(a)
		if a == nil {
			v = reflect.ValueOf(unsafe.Pointer(nil))
		}
		switch {
		case s != nil && i < len(s.params):
			converted, reason := s.params[i].convert(v)
			if reason != "" {
				return nil, refuse("argument %d: %s", i+1, reason)
			}
			v = converted
		case v.Kind() == reflect.Float32: // default argument promotion (C17 6.5.2.2)
			v = v.Convert(reflect.TypeFor[float64]())
		}
		values[i] = v
	}
	return values, nil
}

// convert makes v fit t, or says why it does not.
func (t nativeType) convert(v reflect.Value) (reflect.Value, string) {
	g := v.Type()
	if t.accepts(g) {
		return v, ""
	}
	switch {
	case t.ptr && (g.Kind() == reflect.String || g.Kind() == reflect.Slice):
		return v, ""
	case t.class == classInt && !t.ptr && g.Kind() == reflect.Int:
		if n := v.Int(); t.bits == 64 || n >= -1<<(t.bits-1) && n < 1<<t.bits {
			return v, ""
		}
		return v, fmt.Sprintf("%d is out of range for %s", v.Int(), t)
	case t.class == classFloat && g.Kind() == reflect.Float64:
		return v.Convert(reflect.TypeFor[float32]()), ""
	}
	return v, fmt.Sprintf("it is %s, not %s", t, g)
}

func typesOf(args []any) string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = fmt.Sprintf("%T", a)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// enter calls f with the arguments in frame. Everything that enters native code of a
// function goes through here.
func (f *Function) enter(ctx context.Context, frame *guard.Frame) error {
	e := f.engine
	pin := e.gate.Enter()
	defer e.gate.Exit(pin)
	stub, err := f.entry()
	if err != nil {
		return err
	}
	frame.Fn = stub
	if err := guard.CallContext(ctx, frame); err != nil {
		return e.callError(f.Name(), ctx, err)
	}
	return nil
}

// callError gives an error of package guard its public form. ctx is that of the call.
func (e *Engine) callError(name string, ctx context.Context, err error) error {
	var exception *guard.ExceptionError
	var panicked *guard.PanicError
	var missed *guard.MissError
	var landed *guard.LandingError
	switch {
	case errors.As(err, &missed):
		return missed.Err
	case errors.As(err, &exception):
		return &ExceptionError{Function: name, Type: exception.Type, What: exception.What}
	case errors.As(err, &panicked):
		return &PanicError{Function: name, Value: panicked.Value, Stack: panicked.Stack}
	case !errors.As(err, &landed):
		return fmt.Errorf("%s: %w", name, err)
	}
	switch landed.Reason {
	case guard.Exited:
		return &ExitError{Function: name, Status: int(int32(landed.Detail))}
	case guard.Interrupted:
		return &InterruptError{Function: name, Backtrace: e.trace(landed.Trace), Foreign: landed.Foreign, Err: context.Cause(ctx)}
	case guard.Fault, guard.Terminated:
		f := &FaultError{Function: name, Signal: syscall.Signal(landed.Signal), Code: landed.Code, Address: landed.Address, PC: landed.PC,
			Foreign: landed.Foreign, StackOverflow: landed.StackOverflow, Backtrace: e.trace(landed.Trace), Terminated: landed.Reason == guard.Terminated}
		if x := landed.Exception; x != nil {
			f.Exception = &ExceptionError{Function: name, Type: x.Type, What: x.What}
		}
		f.tidy()
		return f
	}
	return fmt.Errorf("%s: %w", name, err)
}
