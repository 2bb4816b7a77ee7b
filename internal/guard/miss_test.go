package guard

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"livejit/internal/codearena"
	"livejit/internal/guard/internal/guardtest"
	"livejit/internal/stubtable"
	"livejit/internal/threads"
)

// newStubs returns stubs that lead to MissEntry, and gives them back after the test.
func newStubs(t testing.TB) (*stubtable.Table, *codearena.Arena) {
	t.Helper()
	arena, err := codearena.New(codearena.Options{Size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	table, err := stubtable.New(arena, uint64(MissEntry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(table.Close(), arena.Close()); err != nil {
			t.Error(err)
		}
	})
	return table, arena
}

// missing returns a stub that leads nowhere, whose misses fn answers until the test ends.
func missing(t testing.TB, fn func(stub uint64) (uint64, error)) uint64 {
	t.Helper()
	table, arena := newStubs(t)
	t.Cleanup(HandleMisses(arenaRange(arena, fn)).Release)
	s, err := table.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	return s.Addr
}

func arenaRange(a *codearena.Arena, fn func(uint64) (uint64, error)) (lo, hi uint64, _ func(uint64) (uint64, error)) {
	lo, hi = a.Range()
	return lo, hi, fn
}

var errNoBody = errors.New("no body")

// noisy does what a compiler would do to the thread before it answers.
func noisy() {
	grow(300)
	runtime.GC()
	if r, err := enter("set_rounding", 0x400); r != 0 || err != nil {
		panic(err)
	}
	enter("throw_kind", 3)
	enter("break_errno")
	x := 1.5
	for i := range 100 {
		x = x*1.01 + float64(i)
	}
	if s := fmt.Sprintf("%.3f", x); s == "" {
		panic(s)
	}
}

// TestMissKeepsArguments: calls of every class of argument and result arrive through a miss as if the function had been there.
func TestMissKeepsArguments(t *testing.T) {
	for kind, name := range guardtest.Kinds() {
		t.Run(name, func(t *testing.T) {
			var misses, named atomic.Uint64
			stub := missing(t, func(stub uint64) (uint64, error) {
				misses.Add(1)
				named.Store(stub)
				noisy()
				return guardtest.Target(kind), nil
			})
			r, err := enter("missed_call", uint64(kind), stub)
			if int64(r) == -1 {
				t.Skip("this processor cannot")
			}
			if r != 1 || err != nil {
				t.Errorf("%d %v", int64(r), err)
			}
			if misses.Load() == 0 || named.Load() != stub {
				t.Errorf("%d misses, of %#x, want %#x", misses.Load(), named.Load(), stub)
			}
			if l := enteredNow(); l != 0 {
				t.Errorf("landing %#x is left", l)
			}
			checkCaught(t)
		})
	}
}

// TestMissWithoutXSAVE: processors without it have no more than SSE registers, which FXSAVE saves.
func TestMissWithoutXSAVE(t *testing.T) {
	defer saveByFXSAVE()()
	for kind, name := range guardtest.Kinds() {
		if name == "__m256d" || name == "__m512d" || name == "all registers" {
			continue
		}
		stub := missing(t, func(uint64) (uint64, error) {
			noisy()
			return guardtest.Target(kind), nil
		})
		if r, err := enter("missed_call", uint64(kind), stub); r != 1 || err != nil {
			t.Errorf("%s: %d %v", name, int64(r), err)
		}
	}
}

// TestMissUnwindable: from every instruction of the miss entry an unwinder comes to the caller of the stub, with the caller's registers.
// (Leave out one .cfi_def_cfa line of miss_x86_64.S to see it fail.)
func TestMissUnwindable(t *testing.T) {
	stub := missing(t, func(uint64) (uint64, error) {
		noisy()
		return guardtest.Address("registers_dump"), nil
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lo, hi, run := missCode()
	for range 3 {
		n, err := enter("step_miss", stub, uint64(lo), uint64(hi), uint64(run))
		if err != nil || int64(n) < 50 {
			t.Errorf("%d instructions; if negative, -1 less the offset in lj_miss at which unwinding fails; %v", int64(n), err)
		}
	}
}

// TestMissesAtOnce: a thousand threads that native code has made, and goroutines, call a function for the first time at once.
func TestMissesAtOnce(t *testing.T) {
	table, arena := newStubs(t)
	s, err := table.Alloc()
	if err != nil {
		t.Fatal(err)
	}
	double := callback(t, func(c *Callback) { c.RetInt[0] = 2 * c.Int[0] })
	var compiled, waiting atomic.Int64
	var once sync.Once
	h := HandleMisses(arenaRange(arena, func(uint64) (uint64, error) {
		waiting.Add(1)
		once.Do(func() {
			for deadline := time.Now().Add(2 * time.Second); waiting.Load() < 100 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond) // so that many are there before there is an answer
			}
			compiled.Add(1)
			table.Redirect(s, double)
		})
		return s.Addr, nil // to read the slot again
	}))
	defer h.Release()
	var wg sync.WaitGroup
	for i := range uint64(20) {
		wg.Go(func() {
			f := &Frame{Fn: s.Addr, Int: [6]uint64{i}}
			if err := Call(f); err != nil || f.RetInt[0] != 2*i {
				t.Error(i, f.RetInt[0], err)
			}
		})
	}
	const threads = 1000
	if r, err := enter("missed_call_at_once", s.Addr, threads); r != threads*(threads-1) || err != nil {
		t.Error(r, err)
	}
	wg.Wait()
	if compiled.Load() != 1 || waiting.Load() < 2 {
		t.Errorf("compiled %d times for %d misses", compiled.Load(), waiting.Load())
	}
}

// TestMissFails: the frames between are unwound with their destructors, and no catch (...) can keep the error.
func TestMissFails(t *testing.T) {
	stub := missing(t, func(uint64) (uint64, error) { noisy(); return 0, errNoBody })
	log := guardtest.Malloc(1)
	check := func(name string, err error, want uint64) {
		t.Helper()
		var e *MissError
		if !errors.As(err, &e) || e.Stub != stub || !errors.Is(err, errNoBody) || !strings.Contains(err.Error(), fmt.Sprintf("%#x", stub)) {
			t.Errorf("%s: %v", name, err)
		}
		if log[0] != want {
			t.Errorf("%s: log %d, want %d", name, log[0], want)
		}
		checkCaught(t)
	}
	for name, want := range map[string]uint64{
		"typed_catch":         101,
		"swallow":             102,
		"noexcept_frame":      0, // skipped
		"throwing_destructor": 0, // skipped from the throwing destructor on
		"in_qsort":            1,
	} {
		log[0] = 0
		_, err := enter(name, stub, address(log))
		check(name, err, want)
	}
	log[0] = 0
	_, err := enter("call_with_destructors", stub, 100, address(log))
	check("call_with_destructors", err, 101)
	check("called from Go", Call(&Frame{Fn: stub}), 101)
	if _, err := enter("callback_in_catch", stub); err == nil {
		t.Error("no error")
	}
	checkCaught(t)

	// While the frames are unwound for a panic, and the other way round: the last one counts.
	boom := callback(t, func(c *Callback) { panic("boom") })
	log[0] = 0
	_, err = enter("callback_in_destructor", boom, stub, address(log))
	check("miss in a destructor", err, 0) // which cannot be left while it is unwound: the rest is skipped
	var p *PanicError
	if _, err = enter("callback_in_destructor", stub, boom, address(log)); !errors.As(err, &p) || p.Value != "boom" {
		t.Error(err)
	}
	h := NewCallback(func(*Callback) {})
	released := guardtest.Place(h.Code())
	h.Release()
	_, err = enter("callback_in_destructor", stub, released, address(log))
	var r *ReleasedError
	if !errors.As(err, &r) || !errors.Is(err, errNoBody) {
		t.Error(err)
	}
}

// TestMissInCallback: in native code below a callback, and while a miss is being answered.
func TestMissInCallback(t *testing.T) {
	var depth atomic.Int64
	var stub uint64
	stub = missing(t, func(s uint64) (uint64, error) {
		if d := depth.Add(1); d < 10 {
			grow(100)
			log := guardtest.Malloc(1)
			if r, err := enter("call_with_destructors", s, 3, address(log)); r != 4 || err != nil || log[0] != 4 {
				return 0, fmt.Errorf("at %d: %d, log %d: %w", d, r, log[0], err)
			}
		}
		return guardtest.Address("empty"), nil
	})
	relay := callback(t, func(c *Callback) {
		r, err := enter("call_with_destructors", stub, 5, address(guardtest.Malloc(1)))
		if err != nil {
			panic(err)
		}
		c.RetInt[0] = r
	})
	if r, err := enter("call_with_destructors", relay, 7, address(guardtest.Malloc(1))); r != 7+5+1 || err != nil {
		t.Error(r, err)
	}
	if depth.Load() != 10 {
		t.Error(depth.Load())
	}
	failing := missing(t, func(uint64) (uint64, error) { return 0, errNoBody })
	below := callback(t, func(c *Callback) {
		_, err := enter("swallow", failing, address(guardtest.Malloc(1)))
		if !errors.Is(err, errNoBody) {
			t.Error(err)
		}
		panic(err)
	})
	log := guardtest.Malloc(1)
	var p *PanicError
	if _, err := enter("call_with_destructors", below, 2, address(log)); !errors.As(err, &p) || !errors.Is(err, errNoBody) || log[0] != 3 {
		t.Error(err, log[0])
	}
}

func TestMissOnNativeThread(t *testing.T) {
	stub := missing(t, func(uint64) (uint64, error) {
		noisy()
		return guardtest.Address("empty"), nil
	})
	if r, err := enter("on_thread", stub, 4, 20); r != 4*(20*19/2+20) || err != nil {
		t.Error(r, err)
	}
}

func TestMissPanics(t *testing.T) {
	log := guardtest.Malloc(1)
	for value, fn := range map[string]func(uint64) (uint64, error){
		"boom":           func(uint64) (uint64, error) { grow(100); panic("boom") },
		"BUG: guard: th": func(uint64) (uint64, error) { return 0, nil },
	} {
		stub := missing(t, fn)
		log[0] = 0
		_, err := enter("swallow", stub, address(log))
		var p *PanicError
		if !errors.As(err, &p) || !strings.HasPrefix(fmt.Sprint(p.Value), value) || log[0] != 102 {
			t.Errorf("%s: %v, log %d", value, err, log[0])
		}
		checkCaught(t)
	}
}

func TestMissGoexit(t *testing.T) {
	stub := missing(t, func(uint64) (uint64, error) {
		noisy()
		runtime.Goexit()
		return 0, nil
	})
	for name, want := range map[string]uint64{"typed_catch": 101, "swallow": 102, "noexcept_frame": 0, "in_qsort": 1} {
		for range 20 {
			log := guardtest.Malloc(1)
			deferred, returned := false, false
			done := make(chan bool)
			go func() {
				defer close(done)
				defer func() {
					deferred = true
					if l := enteredNow(); l != 0 {
						t.Errorf("%s: landing %#x is left", name, l)
					}
					if r, err := enter("add3", 1, 2, 3); r != 321 || err != nil {
						t.Error(name, r, err)
					}
					checkCaught(t)
				}()
				enter(name, stub, address(log))
				returned = true
			}()
			<-done
			if !deferred || returned || log[0] != want {
				t.Errorf("%s: deferred %v, returned %v, log %d, want %d", name, deferred, returned, log[0], want)
			}
		}
	}
}

// TestMissHandlers: ranges, and stubs that outlive their handler.
func TestMissHandlers(t *testing.T) {
	table, arena := newStubs(t)
	var stubs []stubtable.Stub
	var handlers []*MissHandler
	for i := range 20 {
		s, err := table.Alloc()
		if err != nil {
			t.Fatal(err)
		}
		stubs = append(stubs, s)
		if i%2 == 0 {
			handlers = append(handlers, HandleMisses(s.Addr, s.Addr+16, func(stub uint64) (uint64, error) {
				return 0, fmt.Errorf("range %d", i)
			}))
		}
	}
	for i, s := range stubs {
		err := Call(&Frame{Fn: s.Addr})
		var e *MissError
		if !errors.As(err, &e) || e.Stub != s.Addr || i%2 == 1 && e.Err != ErrNoEngine || i%2 == 0 && e.Err.Error() != fmt.Sprintf("range %d", i) {
			t.Errorf("%d: %v", i, err)
		}
	}
	fn := func(uint64) (uint64, error) { return 0, errNoBody }
	lo, hi := arena.Range()
	for _, r := range [][2]uint64{{lo, hi}, {stubs[2].Addr, stubs[2].Addr + 1}, {stubs[2].Addr + 15, stubs[3].Addr + 1}, {stubs[3].Addr, stubs[4].Addr + 1}, {5, 5}, {6, 5}} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.HasPrefix(v.(string), "BUG: ") {
					t.Errorf("%#x: %v", r, v)
				}
			}()
			HandleMisses(r[0], r[1], fn)
		}()
	}
	HandleMisses(stubs[3].Addr, stubs[4].Addr, fn).Release()
	for _, h := range handlers {
		h.Release()
		h.Release()
	}
	for _, s := range stubs {
		if err := Call(&Frame{Fn: s.Addr}); !errors.Is(err, ErrNoEngine) {
			t.Error(err)
		}
	}
	if n := LiveMissHandlers(); n != 0 {
		t.Errorf("%d handlers are left", n)
	}
	table.Free(stubs[0])
	if err := Call(&Frame{Fn: stubs[0].Addr}); !errors.Is(err, ErrNoEngine) {
		t.Error("a freed stub:", err)
	}
}

// TestMissHammer: misses of all outcomes on 8 goroutines while handlers come and go, scans interrupt everything and the collector runs.
func TestMissHammer(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 100
	}
	table, arena := newStubs(t)
	var stubs []uint64
	for range 8 {
		s, err := table.Alloc()
		if err != nil {
			t.Fatal(err)
		}
		stubs = append(stubs, s.Addr)
	}
	var turn atomic.Uint64
	defer HandleMisses(stubs[0], slices.Max(stubs)+16, func(stub uint64) (uint64, error) {
		switch turn.Add(1) % 5 {
		case 0:
			return 0, errNoBody
		case 1:
			panic("boom")
		case 2:
			runtime.Goexit()
		case 3:
			noisy()
		}
		return guardtest.Address("empty"), nil
	}).Release()
	stop := make(chan bool)
	var others, wg sync.WaitGroup
	others.Go(func() {
		_, hi := arena.Range()
		for {
			select {
			case <-stop:
				return
			default:
				HandleMisses(hi, hi+16, func(uint64) (uint64, error) { return 0, errNoBody }).Release()
				const nowhere = 0x6c6a_5ca9_0000
				if held, err := threads.Scan([]threads.Range{{Lo: nowhere, Hi: nowhere + 1}}, time.Second); err != nil || held[0].Address != 0 {
					t.Error(held, err)
				}
				runtime.GC()
			}
		}
	})
	for g := range 8 {
		wg.Go(func() {
			for range rounds {
				log := guardtest.Malloc(1)
				done := make(chan bool)
				go func() {
					defer close(done)
					r, err := enter("call_with_destructors", stubs[g], 3, address(log))
					var p *PanicError
					if err == nil && r != 4 || err != nil && !errors.Is(err, errNoBody) && !errors.As(err, &p) {
						t.Error(r, err)
					}
				}()
				<-done
				if log[0] != 4 {
					t.Error(log[0])
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	others.Wait()
}

// TestMissHolds: while the handler runs, a scan finds what only one register of the caller holds. (Give lj_miss_run another second argument, such as
// the address of its struct lj_callback, to see it fail.)
func TestMissHolds(t *testing.T) {
	const value = 0x6c6a_7e57_0000
	var found []threads.Holder
	stub := missing(t, func(uint64) (uint64, error) {
		var err error
		found, err = threads.Scan([]threads.Range{{Lo: value, Hi: value + 1}}, time.Second)
		return guardtest.Address("empty"), err
	})
	for which, name := range []string{"none", "rax", "r10", "r11", "r13", "xmm9"} {
		found = nil
		if _, err := enter("hold_call", stub, ^uint64(value), uint64(which)); err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || (found[0].Thread != 0) != (which != 0) || which != 0 && found[0].Address != value {
			t.Errorf("in %s: %+v", name, found)
		}
	}
}

// BenchmarkMiss is a call of a stub that leads nowhere: beside "Call" and "Call and callback" of BenchmarkCrossings.
func BenchmarkMiss(b *testing.B) {
	target := guardtest.Address("empty")
	stub := missing(b, func(uint64) (uint64, error) { return target, nil })
	f := &Frame{Fn: stub}
	for b.Loop() {
		if err := Call(f); err != nil {
			b.Fatal(err)
		}
	}
}
