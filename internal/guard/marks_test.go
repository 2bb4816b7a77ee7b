package guard

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"livejit/internal/guard/internal/guardtest"
)

// checkUnmarked verifies that this thread counts as one without native frames. The caller has locked the goroutine to the thread.
func checkUnmarked(t *testing.T, after string) {
	t.Helper()
	if base, callback := threadMarks(); base != 0 || callback != 0 {
		t.Errorf("after %s: base %#x, callback %#x", after, base, callback)
	}
}

// TestThreadMarks: base and callback (internal/threads) are right inside entries, callbacks and misses at any depth, and put back on each way out.
// (Leave out lj_thread_leave in one of the ways in edge.cpp, or the stores of callback in enter_x86_64.S, to see it fail.)
func TestThreadMarks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	checkUnmarked(t, "nothing")
	log := address(guardtest.Malloc(1))

	type marks struct{ base, callback uint64 }
	// look verifies the marks in Go code inside a callback or miss; outer are those of the callback around it, if any.
	look := func(what string, outer marks) marks {
		var m marks
		m.base, m.callback = threadMarks()
		if m.callback == 0 || m.base <= m.callback || outer.base != 0 && (m.base != outer.base || m.callback >= outer.callback) {
			t.Errorf("in a %s: base %#x, callback %#x; around it base %#x, callback %#x", what, m.base, m.callback, outer.base, outer.callback)
		}
		return m
	}
	same := func(what string, want marks) {
		t.Helper()
		if base, callback := threadMarks(); base != want.base || callback != want.callback {
			t.Errorf("%s: base %#x, callback %#x, were %#x, %#x", what, base, callback, want.base, want.callback)
		}
	}

	boom := callback(t, func(c *Callback) { panic("boom") })
	fails := missing(t, func(uint64) (uint64, error) { return 0, errNoBody })
	// ways are ends of an entry.
	ways := map[string]func(){
		"a return":       func() { enter("add3", 1, 2, 3) },
		"an exception":   func() { enter("throw_kind", 0) },
		"a panic":        func() { enter("call_with_destructors", boom, 3, log) },
		"a skip":         func() { enter("noexcept_frame", boom, log) },
		"a landing":      func() { enter("land_in_catch", uint64(LandAddress()), 1) },
		"an unwinding":   func() { enter("land_in_catch", uint64(UnwindAddress()), 1) },
		"a signal":       func() { enter("signal_land", uint64(LandSignalAddress())) },
		"a failed miss":  func() { enter("call_with_destructors", fails, 3, log) },
		"a native entry": func() { enterNatively() },
	}
	for name, way := range ways {
		way()
		checkUnmarked(t, name)
	}

	// The same inside a callback, inside a miss inside that, and inside a Go function that native code has called past this package.
	var outer marks
	exported := func(n int64) int64 {
		if base, callback := threadMarks(); base != outer.base || callback != 0 {
			t.Errorf("in an exported function: base %#x, callback %#x; around it base %#x", base, callback, outer.base)
		}
		for name, way := range ways {
			way()
			same(name+" in an exported function", marks{outer.base, 0})
		}
		return n
	}
	guardtest.OnExported = exported
	leadsToExported := missing(t, func(uint64) (uint64, error) { return guardtest.ExportedAddress(), nil })
	empty := callback(t, func(*Callback) {})
	lookMiss := missing(t, func(uint64) (uint64, error) {
		m := look("miss", outer)
		if l := enteredNow(); l != 0 {
			t.Errorf("landing %#x stays while Go runs", l)
		}
		if _, err := Stack(nil); err != ErrMiss {
			t.Errorf("a walk of the stack in a miss: %v", err)
		}
		for name, way := range ways {
			way()
			same(name+" in a miss", m)
		}
		return guardtest.Address("empty"), nil
	})
	if _, err := Stack(nil); err != ErrOutside {
		t.Errorf("a walk of the stack outside of native code: %v", err)
	}
	inner := callback(t, func(c *Callback) {
		outer = look("callback", marks{})
		if frames, err := Stack(nil); err != nil || len(frames) != 0 { // the subjects are no JIT code
			t.Errorf("a walk of the stack in a callback: %v, %v", frames, err)
		}
		if here := uint64(uintptr(unsafe.Pointer(c))); outer.callback != here || c.outer != 0 {
			t.Errorf("callback at %#x is marked at %#x, outside of it %#x", here, outer.callback, c.outer)
		}
		for name, way := range ways {
			way()
			same(name+" in a callback", outer)
		}
		if _, err := enter("call_with_destructors", lookMiss, 2, log); err != nil {
			t.Error(err)
		}
		same("a miss in a callback", outer)
		if _, err := enter("call_with_destructors", guardtest.ExportedAddress(), 2, log); err != nil {
			t.Error(err)
		}
		same("an exported function in a callback", outer)
		// Native code after a callback and after a miss is not in it any more.
		if _, err := enter("callback_in_destructor", empty, guardtest.ExportedAddress(), log); err != nil {
			t.Error(err)
		}
		if _, err := enter("call_with_destructors", leadsToExported, 2, log); err != nil {
			t.Error(err)
		}
	})
	if _, err := enter("call_with_destructors", inner, 4, log); err != nil {
		t.Error(err)
	}
	checkUnmarked(t, "callbacks and misses")

	// A panic past an exported function: the callback around it has its mark again when that ends.
	guardtest.OnExported = func(int64) int64 { panic("past") }
	past := callback(t, func(c *Callback) {
		base, _ := threadMarks()
		func() {
			defer func() { recover() }()
			enter("call_with_destructors", guardtest.ExportedAddress(), 2, log)
		}()
		if now, callback := threadMarks(); now != base || callback != 0 {
			t.Errorf("after a panic past an exported function: base %#x, was %#x, callback %#x", now, base, callback)
		}
	})
	if _, err := enter("call_with_destructors", past, 4, log); err != nil {
		t.Error(err)
	}
	checkUnmarked(t, "a panic past an exported function in a callback")
	func() {
		defer func() { recover() }()
		enter("call_with_destructors", guardtest.ExportedAddress(), 2, log)
	}()
	checkUnmarked(t, "a panic past an exported function")
}

// TestThreadMarksGoexit: the same when the goroutine ends, in a callback and in a miss, at depth.
func TestThreadMarksGoexit(t *testing.T) {
	log := address(guardtest.Malloc(1))
	quit := callback(t, func(*Callback) { runtime.Goexit() })
	quitMiss := missing(t, func(uint64) (uint64, error) { runtime.Goexit(); return 0, nil })
	relay := callback(t, func(*Callback) { enter("call_with_destructors", quit, 2, log) })
	destructor := callback(t, func(c *Callback) {
		base, callback := threadMarks()
		if here := uint64(uintptr(unsafe.Pointer(c))); callback != here || base <= here || c.outer != 0 {
			t.Errorf("in a destructor: base %#x, callback %#x, outside %#x; at %#x", base, callback, c.outer, here)
		}
	})
	for name, way := range map[string]func(){
		"a callback":       func() { enter("call_with_destructors", quit, 2, log) },
		"a miss":           func() { enter("call_with_destructors", quitMiss, 2, log) },
		"a callback below": func() { enter("call_with_destructors", relay, 2, log) },
		"a destructor":     func() { enter("callback_in_destructor", quitMiss, destructor, log) },
	} {
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer checkUnmarked(t, "Goexit in "+name)
			way()
			t.Error("returned")
		}()
		<-done
	}
}

// enterNatively enters from C code that enters native code by itself.
func enterNatively() {
	f := NewFrame(0)
	f.Fn, f.Int[0] = guardtest.Address("throw_kind"), 1
	if _, err := enter("call_guard", uint64(guardCallAddress()), uint64(uintptr(unsafe.Pointer(f)))); err != nil {
		panic(err)
	}
	var e *ExceptionError
	if err := f.landed(); !errors.As(err, &e) {
		panic(err)
	}
	runtime.KeepAlive(f)
}
