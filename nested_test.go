package livejit_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"livejit"
)

// TestLoadInCallback loads, defines, calls and closes from a Go function that native code calls.
func TestLoadInCallback(t *testing.T) {
	e := newEngine(t)
	var inUse *livejit.InUseError
	if err := e.Define("grow", func(n int64) int64 {
		m, err := e.Add(background, livejit.IR("inner", "declare i64 @given(i64)\ndefine i64 @inner(i64 %x) { %r = mul i64 %x, 3  ret i64 %r }"),
			livejit.IR("given", "define i64 @given(i64 %x) { ret i64 %x }"))
		if err != nil {
			panic(err)
		}
		if err := e.Define("late", func() int64 { return 4 }); err != nil {
			panic(err)
		}
		if err := e.Close(); !errors.As(err, &inUse) || inUse.Running == 0 {
			t.Errorf("Engine.Close inside of a call = %v, want an InUseError", err)
		}
		inner := e.Function("inner")
		result := call(t, e, "inner", n) + 1
		if err := m.Close(); err != nil {
			t.Errorf("Close inside of a call: %v", err)
		}
		var deleted *livejit.DeletedError
		if _, err := inner.Call(background, n); !errors.As(err, &deleted) {
			t.Errorf("a call after Close: %v, want a DeletedError", err)
		}
		return result
	}); err != nil {
		t.Fatal(err)
	}
	add(t, e, "outer", "declare i64 @grow(i64)\ndefine i64 @outer(i64 %x) { %r = call i64 @grow(i64 %x)  ret i64 %r }")
	if got := call(t, e, "outer", 5); got != 16 {
		t.Errorf("outer(5) = %d, want 16", got)
	}
	if err := e.Quiesce(background); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Retired != 0 || s.Functions != 1 {
		t.Errorf("after the call %d functions are loaded and %d versions retired, want 1 and 0", s.Functions, s.Retired)
	}
	for _, m := range e.Modules() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLoadInConstructor has a constructor load another module, and a destructor call one.
func TestLoadInConstructor(t *testing.T) {
	e := newEngine(t)
	var order []string
	if err := e.Define("load", func() {
		add(t, e, "second", "define i64 @second() { ret i64 2 }")
		order = append(order, "load")
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.Define("unload", func() {
		if got := call(t, e, "second"); got != 2 {
			t.Errorf("second() = %d", got)
		}
		order = append(order, "unload")
	}); err != nil {
		t.Fatal(err)
	}
	m := add(t, e, "first", `
		declare void @load()
		declare void @unload()
		@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @load, ptr null }]
		@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @unload, ptr null }]`)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if want := []string{"load", "unload"}; !reflect.DeepEqual(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// TestFailingConstructor: the load fails, its destructors run, nothing is left.
func TestFailingConstructor(t *testing.T) {
	e := newEngine(t)
	reason, destructed := errors.New("the constructor's reason"), 0
	if err := errors.Join(
		e.Define("fail", func() { panic(reason) }),
		e.Define("destruct", func() { destructed++ }),
		e.Define("never", func() { t.Error("the constructor after the failed one ran") }),
	); err != nil {
		t.Fatal(err)
	}
	before := inUse(e)
	for i := range 3 {
		_, err := e.Add(background, livejit.IR("failing", `
			declare void @fail()
			declare void @never()
			declare void @destruct()
			@llvm.global_ctors = appending global [2 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 101, ptr @fail, ptr null }, { i32, ptr, ptr } { i32 102, ptr @never, ptr null }]
			@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 101, ptr @destruct, ptr null }]
			define i64 @f() { ret i64 1 }`))
		var panicked *livejit.PanicError
		if !errors.As(err, &panicked) || !errors.Is(err, reason) {
			t.Errorf("Add = %v, want a PanicError", err)
		}
		if destructed != i+1 {
			t.Errorf("destructors ran %d times, want %d", destructed, i+1)
		}
		if after := inUse(e); !reflect.DeepEqual(after, before) {
			t.Errorf("the engine is not as it was:\n%+v\n%+v", after, before)
		}
	}
	throws := livejit.Object("throws.o", compile(t, "clang++-22", "throws.cpp", `
		#include <stdexcept>
		struct S { S() { throw std::runtime_error("no start"); } } s;`, "-O1", "-fPIC"))
	var exception *livejit.ExceptionError
	if _, err := e.Add(background, throws); !errors.As(err, &exception) || exception.What != "no start" || exception.Type != "std::runtime_error" {
		t.Errorf("Add of a constructor that throws = %v, want an ExceptionError", err)
	}
	if after := inUse(e); !reflect.DeepEqual(after, before) {
		t.Errorf("the engine is not as it was:\n%+v\n%+v", after, before)
	}
}

func TestCancelledContext(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", "define i64 @f() { ret i64 1 }")
	before := inUse(e)
	ctx, cancel := context.WithCancelCause(background)
	cancel(nil)
	if _, err := e.Add(ctx, livejit.IR("n", "define i64 @g() { ret i64 1 }")); !errors.Is(err, context.Canceled) {
		t.Errorf("Add under a cancelled context = %v", err)
	}
	if _, err := e.Call(ctx, "f"); !errors.Is(err, context.Canceled) {
		t.Errorf("Call under a cancelled context = %v", err)
	}
	if _, err := e.Main(ctx, "f"); !errors.Is(err, context.Canceled) {
		t.Errorf("Main under a cancelled context = %v", err)
	}
	if after := inUse(e); !reflect.DeepEqual(after, before) {
		t.Errorf("the engine changed:\n%+v\n%+v", after, before)
	}
}

// TestCloseOnceFromMany closes one module, and then the engine, from many goroutines: the
// destructors run once.
func TestCloseOnceFromMany(t *testing.T) {
	for range 20 {
		e, err := livejit.New()
		if err != nil {
			t.Fatal(err)
		}
		destructed := 0
		if err := e.Define("destruct", func() { destructed++ }); err != nil {
			t.Fatal(err)
		}
		m := add(t, e, "m", "declare void @destruct()\n@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 101, ptr @destruct, ptr null }]")
		fromMany(func() { closeSoon(t, m) })
		if destructed != 1 {
			t.Errorf("the destructor ran %d times", destructed)
		}
		fromMany(func() {
			var inUse *livejit.InUseError
			if err := e.Close(); err != nil && !errors.As(err, &inUse) {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// fromMany runs f on several goroutines at once.
func fromMany(f func()) {
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(f)
	}
	wait.Wait()
}
