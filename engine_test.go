package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"livejit"
)

var background = context.Background()

// newEngine returns an engine that is closed, and must be empty, at the test's end.
func newEngine(t testing.TB, options ...livejit.Option) *livejit.Engine {
	t.Helper()
	e, err := livejit.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// add loads IR text.
func add(t testing.TB, e *livejit.Engine, name, text string) *livejit.Module {
	t.Helper()
	m, err := e.Add(background, livejit.IR(name, text))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return m
}

const fib = `
define i64 @fib(i64 %n) {
  %small = icmp slt i64 %n, 2
  br i1 %small, label %done, label %more
done:
  ret i64 %n
more:
  %a = sub i64 %n, 1
  %b = sub i64 %n, 2
  %x = call i64 @fib(i64 %a)
  %y = call i64 @fib(i64 %b)
  %r = add i64 %x, %y
  ret i64 %r
}`

func TestAddBindCall(t *testing.T) {
	for level := range 4 {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			e := newEngine(t, livejit.WithOptLevel(level))
			add(t, e, "fib.ll", fib)
			var f func(int64) (int64, error)
			if err := e.Bind("fib", &f); err != nil {
				t.Fatal(err)
			}
			if r, err := f(20); r != 6765 || err != nil {
				t.Errorf("fib(20) = %d, %v", r, err)
			}
			var g func(uint64) uint64 // by reflection, without an error result
			if err := e.Bind("fib", &g); err != nil {
				t.Fatal(err)
			}
			if r := g(10); r != 55 {
				t.Errorf("fib(10) = %d", r)
			}
			if r, err := e.Call(background, "fib", 15); r != int64(610) || err != nil {
				t.Errorf("Call fib(15) = %v, %v", r, err)
			}
			if got := e.Function("fib").Type(); got != "i64 (i64)" {
				t.Errorf("type %q", got)
			}
		})
	}
}

func TestCallResults(t *testing.T) {
	e := newEngine(t)
	add(t, e, "results", `
		define void @nothing() { ret void }
		define i1 @less(i32 %a, i32 %b) { %r = icmp slt i32 %a, %b  ret i1 %r }
		define i8 @byte(i8 %a) { %r = add i8 %a, 1  ret i8 %r }
		define i16 @short(i16 %a) { %r = sub i16 0, %a  ret i16 %r }
		define i32 @int(i32 %a) { %r = sub i32 0, %a  ret i32 %r }
		define float @half(float %a) { %r = fmul float %a, 5.0e-1  ret float %r }
		define double @mix(i64 %i, double %d, ptr %p, float %f) {
		  %x = sitofp i64 %i to double  %y = fadd double %x, %d  %z = fpext float %f to double  %w = fadd double %y, %z
		  %v = load double, ptr %p  %r = fadd double %w, %v  ret double %r }
		define { i64, double } @pair(i64 %a, double %b) {
		  %p = insertvalue { i64, double } undef, i64 %a, 0  %q = insertvalue { i64, double } %p, double %b, 1  ret { i64, double } %q }
		define i64 @ten(i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f, i64 %g, i8 %h, i64 %i, i64 %j) {
		  %h2 = sext i8 %h to i64  %x = mul i64 %g, 100  %y = mul i64 %h2, 10  %z = add i64 %x, %y  %w = add i64 %z, %j  ret i64 %w }
		define i64 @first(ptr %s) { %c = load i8, ptr %s  %r = zext i8 %c to i64  ret i64 %r }
		define ptr @same(ptr %p) { ret ptr %p }`)
	value := 0.25
	for _, c := range []struct {
		name string
		args []any
		want any
	}{
		{"nothing", nil, nil},
		{"less", []any{int32(-1), int32(1)}, true},
		{"byte", []any{int8(127)}, int8(-128)},
		{"byte", []any{255}, int8(0)},
		{"short", []any{int16(5)}, int16(-5)},
		{"int", []any{7}, int32(-7)},
		{"half", []any{float32(3)}, float32(1.5)},
		{"half", []any{3.0}, float32(1.5)},
		{"mix", []any{2, 0.5, &value, float32(1)}, 3.75},
		{"pair", []any{7, 2.5}, []any{int64(7), 2.5}},
		{"ten", []any{1, 2, 3, 4, 5, 6, 7, int8(-8), 9, 10}, int64(630)},
		{"first", []any{"text"}, int64('t')},
		{"first", []any{[]byte("bytes")}, int64('b')},
		{"same", []any{nil}, unsafe.Pointer(nil)},
	} {
		got, err := e.Call(background, c.name, c.args...)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s%v = %v (%T), %v; want %v", c.name, c.args, got, got, err, c.want)
		}
	}
	var pair func(int64, float64) (int64, float64, error)
	if err := e.Bind("pair", &pair); err != nil {
		t.Fatal(err)
	}
	if a, b, err := pair(3, 0.125); a != 3 || b != 0.125 || err != nil {
		t.Errorf("pair = %v, %v, %v", a, b, err)
	}
}

func TestSignatureErrors(t *testing.T) {
	e := newEngine(t)
	add(t, e, "sig", `
		define i64 @f(i64 %a, ptr %p) { ret i64 %a }
		define <4 x float> @v() { ret <4 x float> zeroinitializer }
		define x86_fp80 @ld(x86_fp80 %x) { ret x86_fp80 %x }`)
	var wrongCount func(int64) int64
	var wrongKind func(float64, unsafe.Pointer) int64
	var wrongSize func(int32, unsafe.Pointer) int64
	var wrongResult func(int64, unsafe.Pointer) int32
	var text func(int64, string) int64
	var vector func() int64
	var long func(float64) float64
	for _, c := range []struct {
		name   string
		target any
		want   string
	}{
		{"f", &wrongCount, "it has 2 parameters, not 1"},
		{"f", &wrongKind, "parameter 1 is i64, not float64"},
		{"f", &wrongSize, "parameter 1 is i64, not int32"},
		{"f", &wrongResult, "result 1 is i64, not int32"},
		{"f", &text, "parameter 2 is ptr, not string"},
		{"f", wrongCount, "needs a pointer to a variable of function type"},
		{"v", &vector, "result 1 is <4 x float>, not int64"},
		{"ld", &long, "parameter 1 is x86_fp80, not float64"},
	} {
		err := e.Bind(c.name, c.target)
		var s *livejit.SignatureError
		if !errors.As(err, &s) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Bind(%s, %T) = %v, want a SignatureError with %q", c.name, c.target, err, c.want)
		}
	}
	for _, args := range [][]any{{1}, {1, 2}, {"x", nil}, {1, nil, 3}, {int64(1), 2.5}} {
		_, err := e.Call(background, "f", args...)
		var s *livejit.SignatureError
		if !errors.As(err, &s) {
			t.Errorf("Call(f, %v) = %v, want a SignatureError", args, err)
		}
	}
	if _, err := e.Call(background, "v"); err == nil {
		t.Error("a vector result was accepted")
	}
	if err := e.Bind("none", &vector); !errors.Is(err, livejit.ErrNotFound) {
		t.Errorf("Bind of an unknown name = %v", err)
	}
}

func TestStubIsTheAddress(t *testing.T) {
	e := newEngine(t)
	add(t, e, "a", `
		@table = constant [2 x ptr] [ptr @g, ptr @own]
		declare i64 @printf(ptr, ...)
		define i64 @g() { ret i64 1 }
		define internal i64 @own() { ret i64 2 }
		define ptr @address() { ret ptr @g }
		define ptr @entry(i64 %i) { %p = getelementptr [2 x ptr], ptr @table, i64 0, i64 %i  %f = load ptr, ptr %p  ret ptr %f }
		define ptr @host() { ret ptr @printf }
		define i64 @indirect() { %f = call ptr @entry(i64 1)  %r = call i64 %f()  ret i64 %r }`)
	stub := e.Function("g").Addr()
	for _, call := range []struct {
		name string
		args []any
	}{{"address", nil}, {"entry", []any{0}}} {
		got, err := e.Call(background, call.name, call.args...)
		if err != nil || uintptr(got.(unsafe.Pointer)) != stub {
			t.Errorf("%s = %v, %v; want the stub %#x", call.name, got, err, stub)
		}
	}
	if r, err := e.Call(background, "indirect"); r != int64(2) || err != nil {
		t.Errorf("indirect = %v, %v", r, err)
	}
	// The address of a function of the process is its true one, the same in every module.
	first, err := e.Call(background, "host")
	if err != nil {
		t.Fatal(err)
	}
	m := add(t, e, "b", "declare i64 @printf(ptr, ...)\n@p = global ptr @printf\ndefine ptr @host2() { %v = load ptr, ptr @p  ret ptr %v }")
	second, err := e.Call(background, "host2")
	if err != nil || first != second {
		t.Errorf("addresses of printf: %v and %v, %v", first, second, err)
	}
	if m.Function("own") != nil {
		t.Error("a static function is visible in another module")
	}
}

func TestModulesMeet(t *testing.T) {
	e := newEngine(t)
	lib := add(t, e, "lib", `
		@count = global i64 5
		define i64 @inc() { %v = load i64, ptr @count  %w = add i64 %v, 1  store i64 %w, ptr @count  ret i64 %w }
		define weak i64 @common() { ret i64 1 }`)
	user := add(t, e, "user", `
		@count = external global i64
		declare i64 @inc()
		define weak i64 @common() { ret i64 2 }
		define i64 @twice() { %a = call i64 @inc()  %b = call i64 @inc()  %c = load i64, ptr @count  %d = call i64 @common()  %r = mul i64 %c, 10  %s = add i64 %r, %d  ret i64 %s }`)
	if r, err := e.Call(background, "twice"); r != int64(71) || err != nil {
		t.Errorf("twice = %v, %v; want 71", r, err)
	}
	var inUse *livejit.InUseError
	if err := lib.Close(); !errors.As(err, &inUse) || !strings.Contains(err.Error(), "twice (user) to") {
		t.Errorf("Close of a module in use = %v", err)
	}
	if err := user.Close(); err != nil {
		t.Fatal(err)
	}
	if err := lib.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.Stats()
	if s.Functions != 0 || s.Pieces != 0 || s.Stubs != 0 || s.Symbols != 0 || s.Memory["code"].Bytes != 0 {
		t.Errorf("left after closing all modules: %+v", s)
	}
}

func TestErrorsLeaveTheEngineAsItWas(t *testing.T) {
	e := newEngine(t)
	add(t, e, "base", "define i64 @base() { ret i64 1 }")
	before := e.Stats()
	before.Memory = nil
	for _, c := range []struct {
		name, text, want string
		as               any
	}{
		{"syntax.ll", "define i64 @x( { ret i64 1 }", "syntax.ll:1:", new(*livejit.CompileError)},
		{"types.ll", "define i64 @x() { ret i32 1 }", "types.ll:1:", new(*livejit.CompileError)},
		{"undefined.ll", "declare i64 @nowhere()\n@also = external global i64\n" +
			"define i64 @x() { %r = call i64 @nowhere()  %s = load i64, ptr @also  %t = add i64 %r, %s  ret i64 %t }\ndefine i64 @y() { %r = call i64 @nowhere()  ret i64 %r }",
			"undefined symbols: also (referenced by x (undefined.ll)), nowhere (referenced by x (undefined.ll), y (undefined.ll))", new(*livejit.UndefinedError)},
		{"duplicate.ll", "define i64 @other() { ret i64 3 }\ndefine i64 @base() { ret i64 2 }", "base is defined by base and by duplicate.ll", new(*livejit.DuplicateError)},
		{"asm.ll", `define void @x() { call void asm sideeffect "no such instruction", ""()  ret void }`, "", new(*livejit.CompileError)},
		{"select.ll", "define <vscale x 4 x i32> @x(<vscale x 4 x i32> %a) { ret <vscale x 4 x i32> %a }", "", new(*livejit.CompileError)},
	} {
		_, err := e.Add(background, livejit.IR(c.name, c.text))
		if err == nil || !errors.As(err, c.as) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want a %T with %q", c.name, err, c.as, c.want)
		}
		after := e.Stats()
		after.Memory = nil
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s changed the engine:\n%+v\n%+v", c.name, before, after)
		}
		if r, err := e.Call(background, "base"); r != int64(1) || err != nil {
			t.Errorf("after %s: base = %v, %v", c.name, r, err)
		}
	}
	add(t, e, "good", "declare i64 @base()\ndefine i64 @x() { %r = call i64 @base()  ret i64 %r }")
	if r, err := e.Call(background, "x"); r != int64(1) || err != nil {
		t.Errorf("x = %v, %v", r, err)
	}
}

func TestClosed(t *testing.T) {
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	m := add(t, e, "m", "define i64 @f() { ret i64 1 }")
	var f func() (int64, error)
	if err := e.Bind("f", &f); err != nil {
		t.Fatal(err)
	}
	fn := e.Function("f")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	var deleted *livejit.DeletedError
	if _, err := f(); !errors.As(err, &deleted) {
		t.Errorf("call after Module.Close = %v, want a DeletedError", err)
	}
	if fn.Addr() != 0 || fn.Name() != "f" {
		t.Errorf("deleted function: %s at %#x", fn.Name(), fn.Addr())
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f(); !errors.Is(err, livejit.ErrClosed) {
		t.Errorf("call after Engine.Close = %v, want ErrClosed", err)
	}
	if _, err := e.Add(background, livejit.IR("x", "")); !errors.Is(err, livejit.ErrClosed) {
		t.Errorf("Add after Close = %v", err)
	}
	if err := e.Define("f", func() {}); !errors.Is(err, livejit.ErrClosed) {
		t.Errorf("Define after Close = %v", err)
	}
	if err := errors.Join(e.Close(), m.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestConstructorsAndDestructors(t *testing.T) {
	e := newEngine(t)
	var order []int64
	if err := e.Define("note", func(n int64) { order = append(order, n) }); err != nil {
		t.Fatal(err)
	}
	m := add(t, e, "ctors", `
		declare void @note(i64)
		declare i32 @atexit(ptr)
		@llvm.global_ctors = appending global [3 x { i32, ptr, ptr }] [
		  { i32, ptr, ptr } { i32 65535, ptr @c, ptr null }, { i32, ptr, ptr } { i32 200, ptr @b, ptr null }, { i32, ptr, ptr } { i32 101, ptr @a, ptr null }]
		@llvm.global_dtors = appending global [2 x { i32, ptr, ptr }] [
		  { i32, ptr, ptr } { i32 101, ptr @y, ptr null }, { i32, ptr, ptr } { i32 65535, ptr @x, ptr null }]
		define void @a() { call void @note(i64 1)  ret void }
		define void @b() { call void @note(i64 2)  ret void }
		define void @c() { call void @note(i64 3)  %r = call i32 @atexit(ptr @h)  ret void }
		define void @h() { call void @note(i64 4)  ret void }
		define void @x() { call void @note(i64 5)  ret void }
		define void @y() { call void @note(i64 6)  ret void }`)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if want := []int64{1, 2, 3, 4, 5, 6}; !reflect.DeepEqual(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestDefine(t *testing.T) {
	e := newEngine(t)
	var seen []any
	define := func(name string, fn any) {
		t.Helper()
		if err := e.Define(name, fn); err != nil {
			t.Fatal(err)
		}
	}
	define("many", func(a int8, b uint16, c float32, d float64, p unsafe.Pointer, f, g, h, i int64, ok bool) float64 {
		seen = []any{a, b, c, d, p == nil, f, g, h, i, ok}
		return 2.5
	})
	define("pair", func(a int64) (int64, float64) { return a + 1, float64(a) / 2 })
	define("again", func(n int64) int64 {
		if n == 0 {
			return 0
		}
		r, err := e.Call(background, "down", n-1)
		if err != nil {
			panic(err)
		}
		return r.(int64) + 1
	})
	add(t, e, "use", `
		declare double @many(i8, i16, float, double, ptr, i64, i64, i64, i64, i1)
		declare { i64, double } @pair(i64)
		declare i64 @again(i64)
		define double @usemany() { %r = call double @many(i8 signext -3, i16 zeroext -1, float 1.5, double 2.5, ptr null, i64 4, i64 5, i64 6, i64 7, i1 zeroext true)  ret double %r }
		define i64 @usepair() { %r = call { i64, double } @pair(i64 8)  %a = extractvalue { i64, double } %r, 0  %b = extractvalue { i64, double } %r, 1
		  %c = fptosi double %b to i64  %d = mul i64 %a, 10  %s = add i64 %d, %c  ret i64 %s }
		define i64 @down(i64 %n) { %r = call i64 @again(i64 %n)  ret i64 %r }`)
	if r, err := e.Call(background, "usemany"); r != 2.5 || err != nil {
		t.Errorf("usemany = %v, %v", r, err)
	}
	if want := []any{int8(-3), uint16(65535), float32(1.5), 2.5, true, int64(4), int64(5), int64(6), int64(7), true}; !reflect.DeepEqual(seen, want) {
		t.Errorf("arguments %v, want %v", seen, want)
	}
	if r, err := e.Call(background, "usepair"); r != int64(94) || err != nil {
		t.Errorf("usepair = %v, %v", r, err)
	}
	if r, err := e.Call(background, "down", 20); r != int64(20) || err != nil {
		t.Errorf("nested calls = %v, %v", r, err)
	}

	var duplicate *livejit.DuplicateError
	if err := e.Define("pair", func() {}); !errors.As(err, &duplicate) {
		t.Errorf("second Define = %v", err)
	}
	if _, err := e.Add(background, livejit.IR("d", "define void @pair() { ret void }")); !errors.As(err, &duplicate) {
		t.Errorf("definition of a defined Go function = %v", err)
	}
	var signature *livejit.SignatureError
	for _, bad := range []any{nil, 3, func(string) {}, func() error { return nil }, func(...int64) {}, func() (a, b, c int64) { return }} {
		if err := e.Define("bad", bad); !errors.As(err, &signature) {
			t.Errorf("Define(%T) = %v, want a SignatureError", bad, err)
		}
	}
}

func TestPanicInCallback(t *testing.T) {
	e := newEngine(t)
	failure := errors.New("the reason")
	if err := e.Define("fail", func() { panic(failure) }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "m", "declare void @fail()\ndefine i64 @f() { call void @fail()  ret i64 1 }\ndefine i64 @g() { ret i64 2 }")
	_, err := e.Call(background, "f")
	var p *livejit.PanicError
	if !errors.As(err, &p) || !errors.Is(err, failure) || len(p.Stack) == 0 {
		t.Errorf("f = %v, want a PanicError with the value and the stack", err)
	}
	if r, err := e.Call(background, "g"); r != int64(2) || err != nil {
		t.Errorf("afterwards: %v, %v", r, err)
	}
}
