package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"livejit"
)

// TestHammer uses one engine from many goroutines: they add modules that refer to one
// another's, call them, close them, define names, and fail loads, while Go collects garbage.
func TestHammer(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	before := hold(t)
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	var called atomic.Int64
	if err := e.Define("note", func(n int64) int64 { called.Add(1); return n + 1 }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "base", `
		declare i64 @note(i64)
		@bias = global i64 1000
		define i64 @base(i64 %x) { %b = load i64, ptr @bias  %y = add i64 %x, %b  %r = call i64 @note(i64 %y)  ret i64 %r }`)
	var base func(int64) (int64, error)
	if err := e.Bind("base", &base); err != nil {
		t.Fatal(err)
	}

	var workers, collector sync.WaitGroup
	stop := make(chan struct{})
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for w := range 4 {
		workers.Go(func() { hammerModules(t, e, w, rounds) })
	}
	workers.Go(func() { // a module of two sources, one of which is an object
		object := livejit.Generated("generated", func(context.Context) (livejit.Source, error) {
			return livejit.IR("generated", "define i64 @generated() { ret i64 5 }"), nil
		})
		for range rounds {
			m, err := e.Add(background, object, livejit.IR("user", "declare i64 @generated()\ndefine i64 @user() { %r = call i64 @generated()  ret i64 %r }"))
			if err != nil {
				t.Errorf("%+v", err)
				return
			}
			if r, err := e.Call(background, "user"); r != int64(5) || err != nil {
				t.Errorf("user() = %v, %v", r, err)
			}
			closeSoon(t, m)
		}
	})
	workers.Go(func() { // loads that fail
		for i := range rounds {
			_, err := e.Add(background, livejit.IR("bad", fmt.Sprintf("declare void @missing%d()\ndefine i64 @fails(i64 %%x) { call void @missing%[1]d()  ret i64 %%x }", i)))
			var undefined *livejit.UndefinedError
			if !errors.As(err, &undefined) {
				t.Errorf("load with an undefined symbol: %v", err)
			}
			_, err = e.Add(background, livejit.IR("twice", "define i64 @base(i64 %x) { ret i64 0 }"))
			var duplicate *livejit.DuplicateError
			if !errors.As(err, &duplicate) {
				t.Errorf("load with a duplicate: %v", err)
			}
		}
	})
	workers.Go(func() { // definitions
		for i := range rounds {
			name := fmt.Sprintf("defined%d", i)
			if err := e.Define(name, func(x int64) int64 { return x * int64(i) }); err != nil {
				t.Error(err)
			}
			m, err := e.Add(background, livejit.IR(name, fmt.Sprintf("declare i64 @defined%d(i64)\ndefine i64 @calls%[1]d(i64 %%x) { %%r = call i64 @defined%[1]d(i64 %%x)  ret i64 %%r }", i)))
			if err != nil {
				t.Errorf("%+v", err)
				return
			}
			if r, err := m.Function(fmt.Sprintf("calls%d", i)).Call(background, 7); r != int64(7*i) || err != nil {
				t.Errorf("%s(7) = %v, %v", name, r, err)
			}
			closeSoon(t, m)
		}
	})
	for range 2 {
		workers.Go(func() { // calls of what stays
			for i := range int64(rounds) * 200 {
				if r, err := base(i); r != i+1001 || err != nil {
					t.Errorf("base(%d) = %d, %v", i, r, err)
					return
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	collector.Wait()
	s := e.Stats()
	if s.Modules != 1 || s.Functions != 1 || s.ActiveCalls != 0 || s.Callbacks != 1+rounds {
		t.Errorf("left: %+v", s)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	compareHoldings(t, before)
}

// hammerModules loads, calls and closes modules of worker w.
func hammerModules(t *testing.T, e *livejit.Engine, w, rounds int) {
	for i := range rounds {
		name := fmt.Sprintf("f%d_%d", w, i)
		n := rand.IntN(20) + 1
		m, err := e.Add(background, livejit.IR(name, fmt.Sprintf(`
			declare i64 @base(i64)
			@state%s = thread_local global i64 3
			declare ptr @llvm.threadlocal.address.p0(ptr)
			define internal i64 @own(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }
			define i64 @%[1]s(i64 %%x) {
			  %%a = call i64 @own(i64 %%x)
			  %%b = call i64 @base(i64 %%a)
			  %%p = call ptr @llvm.threadlocal.address.p0(ptr @state%[1]s)
			  %%c = load i64, ptr %%p
			  %%r = add i64 %%b, %%c
			  ret i64 %%r }`, name, n)))
		if err != nil {
			t.Errorf("%+v", err)
			return
		}
		var f func(int64) (int64, error)
		if err := e.Bind(name, &f); err != nil {
			t.Error(err)
			return
		}
		for x := range int64(20) {
			if r, err := f(x); r != x+int64(n)+1004 || err != nil {
				t.Errorf("%s(%d) = %d, %v", name, x, r, err)
			}
		}
		closeSoon(t, m)
		var deleted *livejit.DeletedError
		if _, err := f(1); !errors.As(err, &deleted) {
			t.Errorf("call of a closed module: %v", err)
		}
	}
}

// closeSoon closes m when no call of another goroutine is in native code.
func closeSoon(t *testing.T, m *livejit.Module) {
	for {
		err := m.Close()
		var inUse *livejit.InUseError
		if errors.As(err, &inUse) && inUse.Running > 0 {
			runtime.Gosched()
			continue
		}
		if err != nil {
			t.Errorf("close: %v", err)
		}
		return
	}
}

// TestConcurrentCalls calls one bound function from eight goroutines.
func TestConcurrentCalls(t *testing.T) {
	e := newEngine(t)
	if err := e.Define("square", func(x int64) int64 { return x * x }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "m", fib+"\ndeclare i64 @square(i64)\ndefine i64 @f(i64 %x, ptr %p) { %a = call i64 @fib(i64 15)  %b = call i64 @square(i64 %x)  %c = load i64, ptr %p  %d = add i64 %a, %b  %r = add i64 %d, %c  ret i64 %r }")
	var f func(int64, *int64) (int64, error)
	if err := e.Bind("f", &f); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for g := range int64(8) {
		wait.Go(func() {
			for i := range int64(300) {
				x, value := g*1000+i, new(int64)
				*value = i
				if r, err := f(x, value); r != 610+x*x+i || err != nil {
					t.Errorf("f(%d, %d) = %d, %v", x, i, r, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// TestCallsFromNativeThreads has threads that native code made call a Go function, which
// calls native code again.
func TestCallsFromNativeThreads(t *testing.T) {
	e := newEngine(t)
	var sum atomic.Int64
	if err := e.Define("collect", func(n int64, p unsafe.Pointer) int64 {
		r, err := e.Call(background, "fib", n)
		if err != nil {
			panic(err)
		}
		sum.Add(r.(int64) + *(*int64)(p))
		return r.(int64)
	}); err != nil {
		t.Fatal(err)
	}
	add(t, e, "fib", fib)
	load(t, e, clangObject(t, "threads", `
		#include <pthread.h>
		enum { threads = 8, calls = 100 };
		long collect(long, long *);
		static _Thread_local long own;
		static void *run(void *arg) {
			long sum = 0;
			for (int i = 0; i < calls; i++) {
				own = i;
				sum += collect(10, &own);
			}
			return (void *)sum;
		}
		long start(void) {
			pthread_t t[threads];
			long sum = 0;
			for (int i = 0; i < threads; i++)
				if (pthread_create(&t[i], 0, run, 0)) return -1;
			for (int i = 0; i < threads; i++) {
				void *r;
				if (pthread_join(t[i], &r)) return -2;
				sum += (long)r;
			}
			return sum;
		}`, "-fPIC"))
	for range 3 {
		sum.Store(0)
		if got := call(t, e, "start"); got != 8*100*55 {
			t.Errorf("start() = %d, want %d", got, 8*100*55)
		}
		if want := int64(8 * (100*55 + 4950)); sum.Load() != want {
			t.Errorf("Go functions summed up to %d, want %d", sum.Load(), want)
		}
	}
}
