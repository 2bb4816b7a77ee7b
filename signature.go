package livejit

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// class says in which registers a native value travels (x86-64 psABI 3.2.3, AAPCS64 6.8).
type class uint8

const (
	classOther  class = iota // memory, vectors, x87, i128: not passed from Go
	classVoid                // no value
	classInt                 // integers up to 64 bits and pointers: a general register
	classFloat               // 32 bits in a vector register
	classDouble              // 64 bits in a vector register
)

// nativeType is one parameter or result of a native function.
type nativeType struct {
	class class
	bits  int    // of an integer; 64 for a pointer
	ptr   bool   // a pointer
	text  string // as LLVM writes it
}

// signature is the IR type of a function.
type signature struct {
	results  []nativeType // none for void; the fields of a struct returned in registers
	params   []nativeType
	variadic bool
	text     string // as LLVM writes it: "i64 (i64, ptr)"
}

func (t nativeType) String() string { return t.text }

func (s *signature) String() string { return s.text }

// key is different for types that differ, also in how values are passed.
func (s *signature) key() string {
	b := append([]byte(s.text), 0)
	for _, list := range [...][]nativeType{s.params, s.results} {
		for _, t := range list {
			b = append(b, byte(t.class))
		}
		b = append(b, '|')
	}
	return string(b)
}

// accepts says whether a value of the Go type travels as t. Sizes must be equal;
// signedness is the Go type's. A bool is an i1 or, as C passes it, any integer.
func (t nativeType) accepts(g reflect.Type) bool {
	switch t.class {
	case classInt:
		switch g.Kind() {
		case reflect.Bool:
			return t.bits == 1 || t.bits == 8 || t.bits == 32
		case reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64,
			reflect.Int, reflect.Uint:
			return !t.ptr && t.bits == int(g.Size())*8
		case reflect.Uintptr:
			return t.bits == 64
		case reflect.UnsafePointer, reflect.Pointer:
			return t.ptr
		}
	case classFloat:
		return g.Kind() == reflect.Float32
	case classDouble:
		return g.Kind() == reflect.Float64
	}
	return false
}

// goType is the Go type that Call gives a result of type t.
func (t nativeType) goType() reflect.Type {
	switch {
	case t.class == classFloat:
		return reflect.TypeFor[float32]()
	case t.class == classDouble:
		return reflect.TypeFor[float64]()
	case t.ptr:
		return reflect.TypeFor[unsafe.Pointer]()
	}
	switch t.bits {
	case 1:
		return reflect.TypeFor[bool]()
	case 8:
		return reflect.TypeFor[int8]()
	case 16:
		return reflect.TypeFor[int16]()
	case 32:
		return reflect.TypeFor[int32]()
	}
	return reflect.TypeFor[int64]()
}

var errorType = reflect.TypeFor[error]()

// match checks a Go function type against s and returns why it does not fit, or "". An
// extra last result of type error is the caller's.
func (s *signature) match(g reflect.Type) string {
	results := g.NumOut()
	if results > 0 && g.Out(results-1) == errorType {
		results--
	}
	switch {
	case g.IsVariadic():
		return "a variadic Go function cannot be bound; use Call"
	case g.NumIn() < len(s.params), g.NumIn() > len(s.params) && !s.variadic:
		return fmt.Sprintf("it has %d parameter%s, not %d", len(s.params), plural(len(s.params)), g.NumIn())
	case results != len(s.results):
		return fmt.Sprintf("it has %d result%s, not %d", len(s.results), plural(len(s.results)), results)
	}
	for i := range g.NumIn() {
		if i >= len(s.params) {
			if reason := plainType(g.In(i)); reason != "" {
				return fmt.Sprintf("parameter %d: %s", i+1, reason)
			}
			continue
		}
		if !s.params[i].accepts(g.In(i)) {
			return fmt.Sprintf("parameter %d is %s, not %s", i+1, s.params[i], g.In(i))
		}
	}
	for i, r := range s.results {
		if !r.accepts(g.Out(i)) {
			return fmt.Sprintf("result %d is %s, not %s", i+1, r, g.Out(i))
		}
	}
	return ""
}

// plainSignature checks a Go function type for a native function of unknown type: each
// value must fit a register. It returns why it does not, or "".
func plainSignature(g reflect.Type) string {
	if g.IsVariadic() {
		return "a variadic Go function cannot be bound; use Call"
	}
	for i := range g.NumIn() {
		if reason := plainType(g.In(i)); reason != "" {
			return fmt.Sprintf("parameter %d: %s", i+1, reason)
		}
	}
	ints, floats := 0, 0
	for i := range g.NumOut() {
		t := g.Out(i)
		if i == g.NumOut()-1 && t == errorType {
			break
		}
		if reason := plainType(t); reason != "" {
			return fmt.Sprintf("result %d: %s", i+1, reason)
		}
		if k := t.Kind(); k == reflect.Float32 || k == reflect.Float64 {
			floats++
		} else {
			ints++
		}
	}
	if ints > 2 || floats > 2 {
		return "results travel in at most two general and two vector registers"
	}
	return ""
}

// plainType says why a Go type cannot travel in a register, or "".
func plainType(g reflect.Type) string {
	switch k := g.Kind(); {
	case k == reflect.Bool, k >= reflect.Int && k <= reflect.Uintptr, k == reflect.Float32, k == reflect.Float64,
		k == reflect.UnsafePointer, k == reflect.Pointer:
		return ""
	}
	return fmt.Sprintf("a %s has no native form", g)
}

// natives describes Go types as a signature, for a Go function that native code calls.
func natives(g reflect.Type) string {
	params := make([]string, g.NumIn())
	for i := range params {
		params[i] = irType(g.In(i))
	}
	result := "void"
	switch g.NumOut() {
	case 0:
	case 1:
		result = irType(g.Out(0))
	default:
		fields := make([]string, g.NumOut())
		for i := range fields {
			fields[i] = irType(g.Out(i))
		}
		result = "{ " + strings.Join(fields, ", ") + " }"
	}
	return result + " (" + strings.Join(params, ", ") + ")"
}

// irType is the IR type a Go value travels as.
func irType(g reflect.Type) string {
	switch g.Kind() {
	case reflect.Bool:
		return "i1"
	case reflect.Float32:
		return "float"
	case reflect.Float64:
		return "double"
	case reflect.UnsafePointer, reflect.Pointer:
		return "ptr"
	}
	return fmt.Sprintf("i%d", g.Size()*8)
}

// bits returns a Go value as a register holds it: integers extended to 64 bits by their
// sign, a float32 in the low half. Pointers are pinned until the pinner is released; the
// bytes of a string are copied with a terminating zero, those of a slice are shared.
func bitsOf(v reflect.Value, pins *runtime.Pinner) (word uint64, float bool, err error) {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return 1, false, nil
		}
		return 0, false, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return uint64(v.Int()), false, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.Uint(), false, nil
	case reflect.Float32:
		return uint64(float32Bits(float32(v.Float()))), true, nil
	case reflect.Float64:
		return float64Bits(v.Float()), true, nil
	case reflect.UnsafePointer, reflect.Pointer:
		return pinned(v.UnsafePointer(), pins), false, nil
	case reflect.String:
		b := append([]byte(v.String()), 0)
		return pinned(unsafe.Pointer(&b[0]), pins), false, nil
	case reflect.Slice:
		if v.Len() == 0 {
			return 0, false, nil
		}
		return pinned(v.UnsafePointer(), pins), false, nil
	}
	return 0, false, fmt.Errorf("a %s has no native form", v.Type())
}

// pinned returns the address of p. Memory of Go stays where it is while native code has
// the address.
func pinned(p unsafe.Pointer, pins *runtime.Pinner) uint64 {
	if p != nil && pins != nil {
		pins.Pin(p)
	}
	return uint64(uintptr(p))
}

// signature returns the engine's form of an IR function type: one pointer for all that are
// equal. The engine is locked.
func (e *Engine) signature(from *llvm.Signature) symtab.Type {
	s := newSignature(from)
	key := s.key()
	if known := e.signatures[key]; known != nil {
		return known
	}
	s.text = strings.Clone(s.text) // of its summary, nothing else is to be kept
	for _, list := range [...][]nativeType{s.params, s.results} {
		for i := range list {
			list[i].text = strings.Clone(list[i].text)
		}
	}
	e.signatures[key] = s
	return s
}

// newSignature makes the engine's form of an IR function type.
func newSignature(from *llvm.Signature) *signature {
	s := &signature{variadic: from.Variadic, text: from.Text}
	for i, p := range from.Params {
		t := newNativeType(p)
		if from.Attrs != nil && from.Attrs[i].Flags&(llvm.ByVal|llvm.InAlloca|llvm.Preallocated|llvm.Nest|llvm.SwiftSelf|llvm.SwiftError|llvm.SwiftAsync) != 0 {
			t.class = classOther
		}
		s.params = append(s.params, t)
	}
	switch {
	case from.Ret.Kind == llvm.Void:
	case from.Ret.Kind == llvm.Struct && registersOnly(from.Ret.Elems):
		for _, field := range from.Ret.Elems {
			s.results = append(s.results, newNativeType(field))
		}
	default:
		s.results = []nativeType{newNativeType(from.Ret)}
	}
	if from.CallingConv != 0 {
		for i := range s.params {
			s.params[i].class = classOther
		}
		for i := range s.results {
			s.results[i].class = classOther
		}
	}
	return s
}

// registersOnly says whether a struct result travels in rax, rdx, xmm0 and xmm1.
func registersOnly(fields []llvm.Type) bool {
	ints, floats := 0, 0
	for _, f := range fields {
		switch newNativeType(f).class {
		case classInt:
			ints++
		case classFloat, classDouble:
			floats++
		default:
			return false
		}
	}
	return ints <= 2 && floats <= 2
}

func newNativeType(t llvm.Type) nativeType {
	n := nativeType{text: t.Text}
	switch t.Kind {
	case llvm.Int:
		n.bits = int(t.Bits)
		switch n.bits {
		case 1, 8, 16, 32, 64:
			n.class = classInt
		}
	case llvm.Pointer:
		n.class, n.bits, n.ptr = classInt, 64, true
	case llvm.Float:
		n.class = classFloat
	case llvm.Double:
		n.class = classDouble
	}
	return n
}
