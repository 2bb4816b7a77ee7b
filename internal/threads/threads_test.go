package threads_test

import (
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"livejit/internal/guard"
	"livejit/internal/threads"
	"livejit/internal/threads/internal/threadstest"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("THREADS_TEST_CHILD"); child != "" {
		runChild(child)
		return
	}
	status := m.Run()
	if n := awaitNative(0); n != 0 {
		println("native threads left in the registry:", n)
		status = 1
	}
	for i := 0; threads.Inside() != 0; i++ { // Go's threads count while they end
		if i == 2000 {
			println("threads left with native frames:", threads.Inside())
			status = 1
			break
		}
		time.Sleep(time.Millisecond)
	}
	os.Exit(status)
}

// awaitNative waits until as many native threads are left: they end a little after they are joined or have said so.
func awaitNative(n int) int {
	for range 2000 {
		if threads.Native() == n {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return threads.Native()
}

// Nothing is mapped here; what is kept there is just a word.
const (
	kept  = 0x1234_5678_0100
	limit = 10 * time.Second // never reached but where a test says so
)

// around are ranges of which only the middle one contains address.
func around(address uint64) []threads.Range {
	return []threads.Range{{Lo: address - 0x80, Hi: address - 0x20}, {Lo: address, Hi: address + 16}, {Lo: address + 0x20, Hi: address + 0x80}}
}

func scan(t testing.TB, ranges []threads.Range) []threads.Holder {
	t.Helper()
	h, err := threads.Scan(ranges, limit)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// expect checks that thread, or nobody if it is 0, keeps address.
func expect(t testing.TB, address uint64, thread int) {
	t.Helper()
	h := scan(t, around(address))
	want := []threads.Holder{1: {Thread: thread}, 2: {}}
	if thread != 0 {
		want[1].Address = address
	}
	if h[1].Address > address && h[1].Address <= address+16 { // a program counter
		want[1].Address = h[1].Address
	}
	if !slices.Equal(h, want) {
		t.Errorf("holders %v, want %v", h, want)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name                 string
		launch, place, pause int
	}{
		{"stack", threadstest.Pthread, threadstest.Stack, threadstest.Spin},
		{"callee-saved register", threadstest.Pthread, threadstest.Register, threadstest.Spin},
		{"red zone", threadstest.Pthread, threadstest.RedZone, threadstest.Spin},
		{"program counter", threadstest.Pthread, threadstest.Counter, threadstest.Spin},
		{"asleep in nanosleep", threadstest.Pthread, threadstest.Stack, threadstest.Sleep},
		{"blocked in read", threadstest.Pthread, threadstest.Stack, threadstest.Read},
		{"std::thread", threadstest.StdThread, threadstest.Stack, threadstest.Sleep},
		{"detached", threadstest.Detached, threadstest.Stack, threadstest.Sleep},
		{"thrd_create", threadstest.C11, threadstest.Stack, threadstest.Sleep},
		{"thread_local destructor", threadstest.ThreadLocal, threadstest.Stack, threadstest.Sleep},
		{"destructor of a key", threadstest.Key, threadstest.Stack, threadstest.Sleep},
		{"destructor of a key in the last round", threadstest.LastKey, threadstest.Stack, threadstest.Sleep},
		{"destructor during pthread_cancel", threadstest.Cancelled, threadstest.Stack, threadstest.Sleep},
		{"destructor during pthread_exit", threadstest.Exited, threadstest.Stack, threadstest.Sleep},
		{"handler on an alternate stack", threadstest.Alternate, threadstest.Stack, threadstest.Spin},
		{"interrupted by a handler on an alternate stack", threadstest.Interrupted, threadstest.Stack, threadstest.Spin},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := threads.Native()
			address := uint64(kept)
			if c.place == threadstest.Counter {
				address = threadstest.PlacedCode()
			}
			a := threadstest.Start(c.launch, c.place, c.pause, address)
			if c.launch == threadstest.Cancelled {
				a.AwaitExactly(10)
				a.Cancel()
			}
			a.AwaitExactly(1)
			for range 20 {
				expect(t, address, a.Thread())
			}
			if n := threads.Native(); n != before+1 {
				t.Errorf("%d native threads, %d before", n, before)
			}
			a.Go(1)
			a.AwaitExactly(2)
			for range 20 {
				expect(t, address, 0)
			}
			a.Go(2)
			a.End()
			if n := awaitNative(before); n != before {
				t.Errorf("%d native threads, %d before", n, before)
			}
			expect(t, address, 0)
		})
	}
}

// What lies in a vector register counts for nothing: it would stay there.
func TestVectorRegister(t *testing.T) {
	a := threadstest.Start(threadstest.Pthread, threadstest.Vector, threadstest.Spin, kept)
	a.AwaitExactly(1)
	expect(t, kept, 0)
	a.Go(1)
	a.Go(2)
	a.End()
}

// The return address of a call that does not return is the first byte behind its function.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		ranges []threads.Range
		held   []bool
	}{
		{"first byte", []threads.Range{{Lo: kept, Hi: kept + 1}}, []bool{true}},
		{"last byte", []threads.Range{{Lo: kept - 16, Hi: kept + 1}}, []bool{true}},
		{"behind", []threads.Range{{Lo: kept - 16, Hi: kept}}, []bool{true}},
		{"between two", []threads.Range{{Lo: kept - 16, Hi: kept}, {Lo: kept, Hi: kept + 16}}, []bool{true, true}},
		{"far behind", []threads.Range{{Lo: kept - 16, Hi: kept - 1}}, []bool{false}},
		{"before", []threads.Range{{Lo: kept + 1, Hi: kept + 16}}, []bool{false}},
		{"in a gap", []threads.Range{{Lo: kept - 64, Hi: kept - 32}, {Lo: kept + 32, Hi: kept + 64}}, []bool{false, false}},
		{"none", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Sleep, kept)
			a.AwaitExactly(1)
			for i, h := range scan(t, c.ranges) {
				if h.Held() != c.held[i] {
					t.Errorf("range %d: %v", i, h)
				}
			}
			a.Go(1)
			a.Go(2)
			a.End()
		})
	}
}

func TestMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"empty range": func() { threads.Scan([]threads.Range{{Lo: 5, Hi: 5}}, 0) },
		"unsorted":    func() { threads.Scan([]threads.Range{{Lo: 50, Hi: 60}, {Lo: 5, Hi: 6}}, 0) },
		"overlapping": func() { threads.Scan([]threads.Range{{Lo: 50, Hi: 60}, {Lo: 59, Hi: 66}}, 0) },
		"odd store":   func() { threads.Stop(nil, []threads.Store{{Address: 12}}, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: threads: ") {
					t.Errorf("panic %q", s)
				}
			}()
			f()
		})
	}
}

// Threads of Go's runtime do not count as native, however many there are.
func TestGoThreadsAreNotNative(t *testing.T) {
	before := threads.Native()
	var wg sync.WaitGroup
	all := make(chan bool)
	for range 20 {
		wg.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			<-all
		})
	}
	time.Sleep(10 * time.Millisecond)
	if n := threads.Native(); n != before {
		t.Errorf("%d native threads, %d before", n, before)
	}
	close(all)
	wg.Wait()
	expect(t, kept, 0)
}

// call enters native code.
func call(t testing.TB, fn uint64, args ...uint64) {
	f := guard.NewFrame(0)
	f.Fn = fn
	copy(f.Int[:], args)
	if err := guard.Call(f); err != nil {
		t.Error(err)
	}
}

// Go code that native code has called, nested: the frames of all entries are looked at, from another thread and from the thread itself.
func TestCallbacks(t *testing.T) {
	var outer, inner *guard.CallbackHandle
	const second = kept + 0x1000
	check := func(first, other bool) {
		t.Helper()
		h := scan(t, append(around(kept), around(second)...))
		if h[1].Held() != first || h[4].Held() != other {
			t.Errorf("holders %v", h)
		}
		for _, r := range h {
			if r.Reason != "" {
				t.Error(r)
			}
		}
	}
	both := func(first, other bool) {
		t.Helper()
		check(first, other)
		done := make(chan bool)
		go func() {
			defer close(done)
			check(first, other)
		}()
		<-done
		growStack(100)
		check(first, other)
	}
	ignore := guard.NewCallback(func(*guard.Callback) {})
	inner = guard.NewCallback(func(*guard.Callback) { both(true, true) })
	outer = guard.NewCallback(func(c *guard.Callback) {
		both(true, false)
		fn, arg := inner.Closure()
		nothing, nobody := ignore.Closure()
		call(t, threadstest.KeepAndCall(), ^uint64(second), uint64(fn), uint64(arg), uint64(nothing), uint64(nobody))
		both(true, false)
	})
	after := guard.NewCallback(func(*guard.Callback) { both(false, false) })
	defer func() {
		for _, h := range []*guard.CallbackHandle{outer, inner, ignore, after} {
			h.Release()
		}
	}()
	fn, arg := outer.Closure()
	then, thenArg := after.Closure()
	call(t, threadstest.KeepAndCall(), ^uint64(kept), uint64(fn), uint64(arg), uint64(then), uint64(thenArg))
	if n := threads.Inside(); n != threads.Native() {
		t.Errorf("%d threads inside after the entry", n)
	}
}

// Go code that native code calls past guard: where its thread's native frames are is not known while it runs on its goroutine's stack, so they hold
// everything; also if the entry is inside a callback, whose frames are known.
func TestPlainCallback(t *testing.T) {
	var wg sync.WaitGroup
	threadstest.Back = func(uint64) {
		var ready, stop atomic.Bool
		var h []threads.Holder
		wg.Go(func() {
			for !ready.Load() {
				runtime.Gosched()
			}
			h = scan(t, around(kept))
			stop.Store(true)
		})
		ready.Store(true)
		for !stop.Load() {
		}
		wg.Wait()
		if !h[1].Held() {
			t.Errorf("holders %v", h)
		}
		// The thread itself knows: this is deeper on its stack.
		if own := scan(t, around(kept)); own[1].Thread != h[1].Thread || own[1].Address != kept {
			t.Errorf("holders %v", own)
		}
	}
	nothing := guard.NewCallback(func(*guard.Callback) {})
	defer nothing.Release()
	fn, arg := nothing.Closure()
	inside := func() {
		call(t, threadstest.KeepAndCall(), ^uint64(kept), threadstest.PlainBack(), 0, uint64(fn), uint64(arg))
	}
	inside()
	outer := guard.NewCallback(func(*guard.Callback) { inside() })
	defer outer.Release()
	outerFn, outerArg := outer.Closure()
	call(t, threadstest.KeepAndCall(), 0, uint64(outerFn), uint64(outerArg), uint64(fn), uint64(arg))
}

// A thread of Go's runtime runs exit handlers of native code when it ends.
func TestGoThreadEnds(t *testing.T) {
	before := threads.Inside()
	a := threadstest.New(kept)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		call(t, threadstest.ActAtEnd(), a.Address())
	}()
	a.AwaitExactly(1)
	expect(t, kept, a.Thread())
	a.Go(1)
	a.AwaitExactly(2)
	expect(t, kept, 0)
	a.Go(2)
	for range 2000 {
		if threads.Inside() == before {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if n := threads.Inside(); n != before {
		t.Errorf("%d threads inside, %d before", n, before)
	}
	time.Sleep(time.Millisecond)
	a.Free()
}

// Scans and stops of several goroutines wait for each other.
func TestConcurrentScans(t *testing.T) {
	a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Read, kept)
	a.AwaitExactly(1)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				if i%2 == 0 {
					expect(t, kept, a.Thread())
				} else if done, h, err := threads.Stop(around(kept), nil, limit); done || err != nil || !h[1].Held() {
					t.Error(done, h, err)
				}
			}
		})
	}
	wg.Wait()
	a.Go(1)
	a.Go(2)
	a.End()
}

func growStack(n int) byte {
	var b [1024]byte
	if n > 0 {
		b[n] = growStack(n - 1)
	}
	return b[n/2]
}

// Entries on Go threads that do not return for long.
func TestEntries(t *testing.T) {
	words := threadstest.Words(2)
	var wg sync.WaitGroup
	wg.Go(func() {
		call(t, threadstest.KeepAndWait(), ^uint64(kept), address(&words[0]), address(&words[1]))
	})
	for load(&words[0]) == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	h := scan(t, around(kept))
	if !h[1].Held() || h[1].Address != kept || h[0].Held() || h[2].Held() {
		t.Errorf("holders %v", h)
	}
	if n := threads.Inside(); n != threads.Native()+1 {
		t.Errorf("%d threads inside", n)
	}
	store(&words[1], 1)
	wg.Wait()
	expect(t, kept, 0)
}

// A thread that cannot be looked at holds everything, in the time given; its signal comes late and finds nothing.
func TestBlocked(t *testing.T) {
	a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Blocked, kept)
	a.AwaitExactly(1)
	time.Sleep(time.Millisecond) // it blocks its signals right after
	for range 5 {
		h, err := threads.Scan(around(kept), 5*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range h {
			if r.Thread != a.Thread() || !strings.Contains(r.Reason, "blocked") {
				t.Errorf("holder %v", r)
			}
		}
		done, h, err := threads.Stop(nil, nil, 5*time.Millisecond)
		if done || err != nil || len(h) != 1 || h[0].Thread != a.Thread() {
			t.Errorf("stop: %v %v %v", done, h, err)
		}
	}
	a.Go(1)
	a.AwaitExactly(2)
	expect(t, kept, 0)
	a.Go(2)
	a.End()
}

// A thread on a stack of its own is not looked at, and holds everything.
func TestOtherStack(t *testing.T) {
	a := threadstest.Start(threadstest.Context, threadstest.Stack, threadstest.Sleep, kept)
	a.AwaitExactly(1)
	for _, h := range scan(t, around(kept)) {
		if h.Thread != a.Thread() || !strings.Contains(h.Reason, "a stack that is not its own") {
			t.Errorf("holder %v", h)
		}
	}
	a.Go(1)
	a.AwaitExactly(2)
	expect(t, kept, 0)
	a.Go(2)
	a.End()
}

// The signal of scans belongs to the program as well.
func TestSignal(t *testing.T) {
	scan(t, nil)
	n := threads.SignalNumber()
	all := make(chan os.Signal, 16)
	signal.Notify(all)
	defer signal.Reset()
	a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Sleep, kept)
	defer a.End()
	a.AwaitExactly(1)
	expect(t, kept, a.Thread())
	if err := syscall.Kill(os.Getpid(), syscall.Signal(n)); err != nil {
		t.Fatal(err)
	}
	for got := false; !got; {
		select {
		case s := <-all:
			got = s == syscall.Signal(n)
		case <-time.After(10 * time.Second):
			t.Fatal("the program's own signal has not arrived")
		}
	}
	signal.Ignore(syscall.Signal(n))
	expect(t, kept, a.Thread())
	if threads.SignalNumber() != n {
		t.Error("another signal, though nobody else has taken this one")
	}
	threadstest.UseSignal(n)
	expect(t, kept, a.Thread())
	if threads.SignalNumber() == n {
		t.Error("the same signal, though native code has taken it")
	}
	a.Go(1)
	a.AwaitExactly(2)
	expect(t, kept, 0)
	a.Go(2)
}

func TestSymbols(t *testing.T) {
	s := threads.Symbols()
	for _, name := range []string{"pthread_create", "thrd_create", "timer_create", "mq_notify", "aio_read", "getaddrinfo_a"} {
		if s[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
	if threadstest.Fills(s["sigfillset"], threads.SignalNumber()) || !threadstest.Fills(s["sigfillset"], int(syscall.SIGUSR1)) {
		t.Error("sigfillset")
	}
}

// Notifications by threads that libc makes inside itself.
func TestNotifications(t *testing.T) {
	s := threads.Symbols()
	act := func(a threadstest.Actor) {
		a.AwaitExactly(1)
		expect(t, kept, a.Thread())
		a.Go(1)
		a.AwaitExactly(2)
		expect(t, kept, 0)
		a.Go(2)
		a.AwaitExactly(3)
	}
	t.Run("timer", func(t *testing.T) {
		a := threadstest.New(kept)
		defer a.Free()
		timer, errno := a.Timer(s["timer_create"])
		if errno != 0 {
			t.Fatal(syscall.Errno(errno))
		}
		act(a)
		if e := threadstest.TimerEnd(s["timer_delete"], timer); e != 0 {
			t.Error("timer_delete failed")
		}
	})
	t.Run("message queue", func(t *testing.T) {
		a := threadstest.New(kept)
		defer a.Free()
		if errno := syscall.Errno(a.Queue(s["mq_notify"])); errno == syscall.ENOSYS || errno == syscall.EACCES {
			t.Skip("no message queues here:", errno)
		} else if errno != 0 {
			t.Fatal(errno)
		}
		act(a)
	})
}

func TestFork(t *testing.T) {
	a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Sleep, kept)
	a.AwaitExactly(1)
	if n := threadstest.ForkCount(threads.NativeCountAddress()); n != 0 {
		t.Errorf("%d native threads in the child", n)
	}
	expect(t, kept, a.Thread())
	a.Go(1)
	a.Go(2)
	a.End()
}

func address(p *uint64) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }
