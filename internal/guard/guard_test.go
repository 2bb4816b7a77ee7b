package guard

import (
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"livejit/internal/guard/internal/guardtest"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("GUARD_TEST_CHILD"); child != "" {
		runChild(child)
		return
	}
	drop := KeepFaults(nil)
	status := m.Run()
	drop()
	if n := LiveCallbacks(); n != 0 {
		println("callbacks leaked:", n)
		status = 1
	}
	carried.Range(func(k, v any) bool {
		println("error leaked:", v.(error).Error())
		status = 1
		return true
	})
	if n := LiveMissHandlers(); n != 0 {
		println("miss handlers leaked:", n)
		status = 1
	}
	os.Exit(status)
}

// enter calls a native subject with integer arguments; those past the sixth go on the stack.
func enter(name string, args ...uint64) (uint64, error) {
	f := NewFrame(max(0, len(args)-6))
	f.Fn = guardtest.Address(name)
	n := copy(f.Int[:], args)
	copy(f.Stack(), args[n:])
	err := Call(f)
	return f.RetInt[0], err
}

// callback makes a placed callback that ends with the test.
func callback(t testing.TB, fn func(*Callback)) uint64 {
	h := NewCallback(fn)
	t.Cleanup(h.Release)
	return guardtest.Place(h.Code())
}

func TestCall(t *testing.T) {
	if r, err := enter("add3", 1, 2, 3); r != 321 || err != nil {
		t.Fatal(r, err)
	}
	args, want := make([]uint64, 22), uint64(0)
	for i := range args {
		args[i] = uint64(i*i + 3)
		want += uint64(i+1) * args[i]
	}
	if r, err := enter("weigh", args...); r != want || err != nil {
		t.Fatalf("16 stack words: %d, want %d, %v", r, want, err)
	}
}

func TestCallVariadic(t *testing.T) {
	out := guardtest.Malloc(8)
	format := append([]byte("%.2f and %g"), 0)
	f := GetFrame(0)
	defer f.Put()
	f.Fn = guardtest.Address("variadic_sum")
	f.Int = [6]uint64{address(out), address(guardtest.Malloc(2))}
	copy(bytesAt(f.Int[1], len(format)), format)
	f.Float[0], f.Float[1] = math.Float64bits(1.5), math.Float64bits(-2)
	if err := Call(f); err != nil {
		t.Fatal(err)
	}
	if s := string(bytesAt(f.Int[0], int(f.RetInt[0]))); s != "1.50 and -2" {
		t.Fatal(s)
	}
}

func TestCallX87(t *testing.T) {
	f := NewFrame(2)
	f.Fn = guardtest.Address("half")
	f.X87 = 1
	copy(f.Stack(), []uint64{0xc000000000000000, 0x4000}) // 3.0
	for range 20 {                                        // more than the x87 stack holds
		if err := Call(f); err != nil {
			t.Fatal(err)
		}
	}
	want := [10]byte{0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f} // 1.5
	if [10]byte(f.RetX87[0][:10]) != want {
		t.Fatalf("% x", f.RetX87[0])
	}
}

func TestExceptions(t *testing.T) {
	for kind, want := range []ExceptionError{
		{"std::out_of_range", "index 9"},
		{"int", ""},
		{"char const*", "a C string"},
		{"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "a string"},
		{"zoo::Animal<int>", ""},
		{"zoo::BadWhat", "bad"},
		{"", ""},
		{"char const*", ""},
	} {
		_, err := enter("throw_kind", uint64(kind))
		var e *ExceptionError
		if !errors.As(err, &e) || *e != want {
			t.Errorf("kind %d: %#v", kind, err)
		}
	}
	checkCaught(t)
}

// checkCaught verifies that the C++ runtime sees no caught or uncaught exception on any thread that tests use.
func checkCaught(t *testing.T) {
	t.Helper()
	if r, err := enter("caught_count"); r != 0 || err != nil {
		t.Errorf("the C++ runtime's record of exceptions is not restored: %d %v", r, err)
	}
}

func TestCallback(t *testing.T) {
	out := guardtest.Malloc(1)
	fn := callback(t, func(c *Callback) {
		if !c.Entered() {
			t.Error("not entered")
		}
		c.RetInt[0] = c.Int[0] + 41
	})
	if r, err := enter("call_with_destructors", fn, 5, address(out)); r != 46 || err != nil || out[0] != 6 {
		t.Fatal(r, err, out)
	}
}

func TestCallbackPanic(t *testing.T) {
	log := guardtest.Malloc(1)
	boom := callback(t, func(c *Callback) { panic("boom") })
	for name, want := range map[string]struct{ log, args uint64 }{
		"typed_catch":         {log: 101},
		"swallow":             {log: 102},
		"noexcept_frame":      {log: 0}, // skipped
		"throwing_destructor": {log: 0}, // skipped from the throwing destructor on
		"in_qsort":            {log: 1},
	} {
		log[0] = 0
		_, err := enter(name, boom, address(log))
		var p *PanicError
		if !errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "TestCallbackPanic") {
			t.Errorf("%s: %v", name, err)
		}
		if log[0] != want.log {
			t.Errorf("%s: log %d, want %d", name, log[0], want.log)
		}
		checkCaught(t)
	}
	log[0] = 0
	if _, err := enter("call_with_destructors", boom, 100, address(log)); err == nil || log[0] != 101 {
		t.Error(err, log[0])
	}
	if _, err := enter("callback_in_catch", boom); err == nil {
		t.Error("no error")
	}
	checkCaught(t)
}

func TestCallbackPanicValue(t *testing.T) {
	fn := callback(t, func(c *Callback) { var p *int; *p = 1 })
	_, err := enter("swallow", fn, address(guardtest.Malloc(1)))
	var re runtime.Error
	if !errors.As(err, &re) {
		t.Fatalf("%#v", err)
	}
}

func TestCallbackWhileUnwinding(t *testing.T) {
	log := guardtest.Malloc(1)
	boom := callback(t, func(c *Callback) { panic("boom") })
	fine := callback(t, func(c *Callback) { c.RetInt[0] = 10 })
	if _, err := enter("callback_in_destructor", boom, fine, address(log)); err == nil || err.Error() != "callback panicked: boom" || log[0] != 11 {
		t.Errorf("%v %d", err, log[0])
	}
	second := callback(t, func(c *Callback) { panic("second") })
	if _, err := enter("callback_in_destructor", boom, second, address(log)); err == nil || err.Error() != "callback panicked: second" {
		t.Errorf("%v", err)
	}
	throws := callback(t, func(c *Callback) {
		_, err := enter("throw_kind", 0)
		panic(err)
	})
	var e *ExceptionError
	if _, err := enter("callback_in_destructor", fine, throws, address(log)); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
	checkCaught(t)
}

func TestNested(t *testing.T) {
	log := guardtest.Malloc(1)
	var fn uint64
	fn = callback(t, func(c *Callback) {
		n := c.Int[0]
		_ = n
		depth := log[0]
		if depth >= 20 {
			panic("deep")
		}
		log[0]++
		grow(200)
		r, err := enter("swallow", fn, address(guardtest.Malloc(1)))
		log[0]--
		if depth == 10 {
			var p *PanicError
			if !errors.As(err, &p) || p.Value != "deep" {
				t.Errorf("at 10: %v", err)
			}
			c.RetInt[0] = 5
			return
		}
		if depth > 10 {
			panic(err.(*PanicError).Value)
		}
		c.RetInt[0] = r
		if err != nil {
			t.Error(depth, err)
		}
	})
	if r, err := enter("swallow", fn, address(guardtest.Malloc(1))); r != 1 || err != nil {
		t.Fatal(r, err)
	}
}

// grow makes the goroutine's stack move.
func grow(n int) byte {
	var room [1024]byte
	if n == 0 {
		return room[0]
	}
	room[n%1024] = grow(n - 1)
	return room[3]
}

func TestGoexit(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []uint64
		want uint64
	}{
		{"typed_catch", nil, 101}, {"swallow", nil, 102}, {"noexcept_frame", nil, 0}, {"in_qsort", nil, 1},
		{"throwing_destructor", nil, 0}, {"callback_in_destructor", nil, 12},
	} {
		log := guardtest.Malloc(1)
		exit := callback(t, func(c *Callback) { grow(100); runtime.Goexit() })
		inner := callback(t, func(c *Callback) {
			grow(300)
			runtime.GC()
			if r, err := enter("add3", 1, 0, 1); r != 101 || err != nil {
				t.Error(r, err)
			}
			c.RetInt[0] = 11
		})
		deferred, returned := false, false
		done := make(chan bool)
		go func() {
			defer close(done)
			defer func() {
				deferred = true
				if lj := enteredNow(); lj != 0 {
					t.Errorf("%s: landing %#x is left", tc.name, lj)
				}
				if r, err := enter("add3", 1, 2, 3); r != 321 || err != nil {
					t.Error(tc.name, r, err)
				}
				checkCaught(t)
			}()
			if tc.name == "callback_in_destructor" {
				enter(tc.name, exit, inner, address(log))
			} else {
				enter(tc.name, exit, address(log))
			}
			returned = true
		}()
		<-done
		if !deferred || returned || log[0] != tc.want {
			t.Errorf("%s: deferred %v, returned %v, log %d, want %d", tc.name, deferred, returned, log[0], tc.want)
		}
	}
}

func TestGoexitNested(t *testing.T) {
	log := guardtest.Malloc(1)
	exit := callback(t, func(c *Callback) { runtime.Goexit() })
	outer := callback(t, func(c *Callback) {
		enter("call_with_destructors", exit, 10, address(log))
		t.Error("returned")
	})
	for range 100 {
		done := make(chan bool)
		go func() {
			defer close(done)
			enter("call_with_destructors", outer, 20, address(log))
			t.Error("returned")
		}()
		<-done
	}
	if log[0] != 100*(11+21) {
		t.Error(log[0])
	}
}

func TestReleased(t *testing.T) {
	h := NewCallback(func(c *Callback) { c.RetInt[0] = 1 })
	code := guardtest.Place(h.Code())
	log := guardtest.Malloc(1)
	if _, err := enter("call_with_destructors", code, 0, address(log)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	h.Release()
	callback(t, func(c *Callback) { t.Error("successor called") })
	log[0] = 0
	_, err := enter("call_with_destructors", code, 3, address(log))
	var e *ReleasedError
	if !errors.As(err, &e) || e.ID != h.ID() || log[0] != 4 {
		t.Fatal(err, log[0])
	}
}

func TestClosure(t *testing.T) {
	h := NewCallback(func(c *Callback) { c.RetInt[0] = c.Int[0] + c.Int[1] })
	defer h.Release()
	fn, arg := h.Closure()
	f := &Frame{Fn: uint64(fn), Int: [6]uint64{uint64(arg), 5}}
	if err := Call(f); err != nil || f.RetInt[0] != uint64(arg)+5 {
		t.Fatal(err, f.RetInt[0])
	}
}

func TestNativeThreads(t *testing.T) {
	fn := callback(t, func(c *Callback) {
		if c.Entered() {
			t.Error("a native thread has no entry below")
		}
		if r, err := enter("add3", c.Int[0], 1, 1); r != c.Int[0]+110 || err != nil {
			t.Error(r, err)
		}
		c.RetInt[0] = c.Int[0]
	})
	if r, err := enter("on_thread", fn, 8, 200); r != 8*199*100 || err != nil {
		t.Fatal(r, err)
	}
}

func TestLand(t *testing.T) {
	var e *LandingError
	_, err := enter("land_in_catch", uint64(LandAddress()), 99)
	if !errors.As(err, &e) || e.Reason != Deleted || e.Detail != 99 {
		t.Fatal(err)
	}
	checkCaught(t)
	_, err = enter("land_in_catch", uint64(UnwindAddress()), 98)
	if !errors.As(err, &e) || e.Reason != Deleted || e.Detail != 98 {
		t.Fatal(err)
	}
	checkCaught(t)
}

func TestLandSignal(t *testing.T) {
	for range 100 {
		_, err := enter("signal_land", uint64(LandSignalAddress()))
		var e *LandingError
		if !errors.As(err, &e) || e.Reason != Fault || e.Signal < 34 || e.PC == 0 {
			t.Fatal(err)
		}
		if r, _ := enter("get_rounding"); r != 0 {
			t.Fatal("rounding mode is not restored", r)
		}
		runtime.GC()
	}
}

func TestControlWords(t *testing.T) {
	if r, err := enter("set_rounding", 0x800); r != 0 || err != nil {
		t.Fatal(r, err)
	}
	if r, _ := enter("get_rounding"); r != 0 {
		t.Fatal("rounding mode leaks out of an entry", r)
	}
	fn := callback(t, func(c *Callback) {
		if one, ten := 1.0, float64(len("1234567890")); math.Float64bits(one/ten) != 0x3fb999999999999a || one/3 != 0x1.5555555555555p-2 {
			t.Error("Go runs with the native rounding mode")
		}
	})
	if r, err := enter("rounding_around", fn); r != 1 || err != nil {
		t.Fatal("a callback changes the native rounding mode", r, err)
	}
}

func TestCalleeSavedAfterLanding(t *testing.T) {
	inner := NewFrame(0)
	inner.Fn = guardtest.Address("stomp_callee_saved")
	inner.Int[0] = uint64(LandAddress())
	if r, err := enter("callee_saved_kept", uint64(guardCallAddress()), uint64(uintptr(unsafe.Pointer(inner)))); r != 0 || err != nil {
		t.Fatalf("%#x %v", r, err)
	}
	if Reason(inner.landing.reason) != Deleted {
		t.Fatal(inner.landing)
	}
	runtime.KeepAlive(inner)
}

func TestForcedUnwindingPasses(t *testing.T) {
	words := guardtest.Malloc(frameWords)
	inner := (*Frame)(unsafe.Pointer(&words[0]))
	inner.Fn = guardtest.Address("exit_thread")
	if r, err := enter("forced_unwinding_passes", uint64(guardCallAddress()), address(words)); r != 1 || err != nil {
		t.Fatal(r, err)
	}
}

func TestBacktraceThroughCallback(t *testing.T) {
	var inside, outside uint64
	outside, _ = enter("depth_of_backtrace")
	fn := callback(t, func(c *Callback) { inside, _ = enter("depth_of_backtrace") })
	enter("call_with_destructors", fn, 0, address(guardtest.Malloc(1)))
	if outside < 3 || inside < 3 {
		t.Error(outside, inside)
	}
}

// TestPanicPastOtherCallback: a panic in a Go function that native code calls through cgo alone unwinds Go's way, past the entry, and leaves nothing behind.
func TestPanicPastOtherCallback(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log := address(guardtest.Malloc(1))
	for _, deep := range []int{0, 3} {
		for range 3 {
			guardtest.OnExported = func(n int64) int64 {
				if deep > 0 {
					deep--
					r, err := enter("call_with_destructors", guardtest.ExportedAddress(), 2, log)
					if err != nil {
						t.Error(err)
					}
					return int64(r)
				}
				panic("past")
			}
			func() {
				defer func() {
					if v := recover(); v != "past" {
						t.Error(v)
					}
				}()
				enter("call_with_destructors", guardtest.ExportedAddress(), 2, log)
			}()
			if l := enteredNow(); l != 0 {
				t.Errorf("landing %#x is left", l)
			}
			if r, err := enter("add3", 1, 2, 3); r != 321 || err != nil {
				t.Error(r, err)
			}
		}
	}
}

// TestNoUnwindInformation: unwinding stops at code that has none, and the rest is skipped.
func TestNoUnwindInformation(t *testing.T) {
	relay := guardtest.Place([]byte{0x48, 0x83, 0xec, 8, 0xff, 0xd7, 0x48, 0x83, 0xc4, 8, 0xc3}) // sub $8,%rsp; call *%rdi; add $8,%rsp; ret
	log := guardtest.Malloc(1)
	var inner uint64
	relayed := callback(t, func(c *Callback) {
		_, err := enter("call_with_destructors", inner, 0, address(log))
		if err != nil {
			panic(err)
		}
	})
	inner = callback(t, func(c *Callback) { panic("boom") })
	f := &Frame{Fn: relay, Int: [6]uint64{relayed}}
	var p *PanicError
	if err := Call(f); !errors.As(err, &p) || log[0] != 1 {
		t.Error(err, log[0])
	}
	quit := callback(t, func(c *Callback) { runtime.Goexit() })
	done := make(chan bool)
	go func() {
		defer close(done)
		Call(&Frame{Fn: relay, Int: [6]uint64{quit}})
		t.Error("returned")
	}()
	<-done
}

func TestFrameRoom(t *testing.T) {
	f := GetFrame(100)
	f.Stack()[99] = 7
	f.Put()
	defer func() {
		if v := recover(); v == nil || !strings.HasPrefix(v.(string), "BUG: ") {
			t.Error(v)
		}
	}()
	small := &Frame{Fn: 1, NStack: InlineStack + 1}
	Call(small)
}

func address(words []uint64) uint64 { return uint64(uintptr(unsafe.Pointer(&words[0]))) }

func bytesAt(address uint64, n int) []byte { return unsafe.Slice((*byte)(native(address)), n) }
