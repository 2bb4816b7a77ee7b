package livejit_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"livejit"
	"livejit/clang"
	"livejit/internal/unwind"
)

// versioned is a function that adds its version, which has the same size in machine code
// from 1<<20 on.
func versioned(name string, version int64) string {
	return fmt.Sprintf("\ndefine i64 @%s(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }", name, version)
}

const firstVersion = 1 << 20

// quiesce waits for old versions to be freed, for at most 20 seconds.
func quiesce(t testing.TB, e *livejit.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	if err := e.Quiesce(ctx); err != nil {
		t.Fatal(err)
	}
}

// loopIR is a loop that calls g n times, and turn in the middle. It returns the sum of g's results
// and its own version, above it.
func loopIR(own, callee int64) string {
	return fmt.Sprintf(`
		declare void @turn()
		define i64 @loop(i64 %%n) {
		entry:
		  %%half = udiv i64 %%n, 2
		  br label %%head
		head:
		  %%i = phi i64 [ 0, %%entry ], [ %%next, %%add ]
		  %%sum = phi i64 [ 0, %%entry ], [ %%total, %%add ]
		  %%is = icmp eq i64 %%i, %%half
		  br i1 %%is, label %%middle, label %%add
		middle:
		  call void @turn()
		  br label %%add
		add:
		  %%r = call i64 @g(i64 0)
		  %%total = add i64 %%sum, %%r
		  %%next = add i64 %%i, 1
		  %%more = icmp ult i64 %%next, %%n
		  br i1 %%more, label %%head, label %%done
		done:
		  %%result = add i64 %%total, %d
		  ret i64 %%result
		}`, own<<40) + versioned("g", callee)
}

const loopC = `
	void turn(void);
	long g(long x) { return x + VERSION; }
	long loop(long n) {
		long sum = 0;
		for (long i = 0; i < n; i++) {
			if (i == n / 2)
				turn();
			sum += g(0);
		}
		return sum + ((long)VERSION << 40);
	}`

// TestLoopAndCalleeReplaced replaces a loop and the function that it calls in one
// transaction while the loop runs: it goes on as the old loop, calls the new function from the
// next time on, and is the new loop when it is called again.
func TestLoopAndCalleeReplaced(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 200
	}
	t.Run("IR", func(t *testing.T) {
		loopReplaced(t, n, func(v int64) livejit.Source { return livejit.IR("loop", loopIR(v, v)) })
	})
	t.Run("C", func(t *testing.T) {
		loopReplaced(t, 3, func(v int64) livejit.Source {
			return clang.Source("loop.c", loopC, clang.Options{Flags: []string{fmt.Sprintf("-DVERSION=%d", v), "-g"}})
		})
	})
	t.Run("another thread", func(t *testing.T) { loopReplacedMeanwhile(t, n) })
}

// loopReplaced replaces from the middle of the loop, so that every result is known.
func loopReplaced(t *testing.T, n int, source func(version int64) livejit.Source) {
	t.Setenv("LIVEJIT_STRESS", "1") // what is freed too early traps
	e := newEngine(t)
	version := int64(firstVersion)
	if err := e.Define("turn", func() {
		version++
		r, err := e.Replace(background, source(version))
		if err != nil {
			panic(err)
		}
		for _, name := range []string{"loop", "g"} {
			if v, _ := r.Verdict(name); v.Outcome != livejit.Replaced {
				panic(v.String())
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Add(background, source(version)); err != nil {
		t.Fatalf("%+v", err)
	}
	var loop func(int64) (int64, error)
	if err := e.Bind("loop", &loop); err != nil {
		t.Fatal(err)
	}
	for range n {
		const half = 5
		old := version
		got, err := loop(2 * half)
		if want := old<<40 + half*old + half*(old+1); got != want || err != nil {
			t.Fatalf("loop = %#x, %v, want %#x: version %d, which calls g of %[4]d and %d", got, err, want, old, old+1)
		}
		if retired := e.Stats().Retired; retired > 8 {
			t.Fatalf("%d old versions are kept", retired)
		}
	}
	quiesce(t, e)
	if s := e.Stats(); s.Retired != 0 || int(s.Reclaimed) < 2*n {
		t.Errorf("%+v", s)
	}
}

// loopReplacedMeanwhile replaces at any moment, from another thread.
func loopReplacedMeanwhile(t *testing.T, n int) {
	t.Setenv("LIVEJIT_STRESS", "1")
	e := newEngine(t)
	if err := e.Define("turn", runtime.Gosched); err != nil {
		t.Fatal(err)
	}
	add(t, e, "loop", loopIR(firstVersion, firstVersion))
	var loop func(int64) (int64, error)
	if err := e.Bind("loop", &loop); err != nil {
		t.Fatal(err)
	}
	var started, finished atomic.Int64
	started.Store(firstVersion)
	finished.Store(firstVersion)
	var caller sync.WaitGroup
	var done atomic.Bool
	seen := make(map[int64]bool)
	caller.Go(func() {
		const n = 100
		for !done.Load() {
			before := finished.Load()
			got, err := loop(n)
			after := started.Load()
			if own, sum := got>>40, got&(1<<40-1); err != nil || own < before || own > after || sum < n*before || sum > n*after {
				t.Errorf("loop = version %d, which calls g of %d on average, %v; it is between %d and %d", own, sum/n, err, before, after)
				return
			}
			seen[got>>40] = true
		}
	})
	for i := range n {
		v := int64(firstVersion + 1 + i)
		started.Store(v)
		replaceIR(t, e, "loop", loopIR(v, v))
		finished.Store(v)
	}
	done.Store(true)
	caller.Wait()
	if len(seen) < min(n, 10) {
		t.Errorf("only %d of %d versions were seen", len(seen), n)
	}
	quiesce(t, e)
	if s := e.Stats(); s.Retired != 0 {
		t.Errorf("%+v", s)
	}
}

// TestMainNeverReturns has a main function that does not return call its parts in a loop,
// while these are replaced over and over. Their old versions must go while it runs, for no call ever
// ends; so the stacks are looked at.
func TestMainNeverReturns(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 3000
	}
	e := newEngine(t)
	parts := []string{"first", "second", "running"}
	text := `
		@seen = global [3 x i64] zeroinitializer
		@rounds = global i64 0
		define i64 @main() {
		entry:
		  br label %loop
		loop:
		  %a = call i64 @first(i64 0)
		  store atomic i64 %a, ptr @seen seq_cst, align 8
		  %b = call i64 @second(i64 0)
		  store atomic i64 %b, ptr getelementptr (i64, ptr @seen, i64 1) seq_cst, align 8
		  %c = call i64 @running(i64 0)
		  store atomic i64 %c, ptr getelementptr (i64, ptr @seen, i64 2) seq_cst, align 8
		  %r = atomicrmw add ptr @rounds, i64 1 seq_cst
		  %end = icmp eq i64 %c, 0
		  br i1 %end, label %done, label %loop
		done:
		  ret i64 %r
		}
		define i64 @saw(i64 %i) { %p = getelementptr i64, ptr @seen, i64 %i  %v = load atomic i64, ptr %p seq_cst, align 8  ret i64 %v }`
	for _, name := range parts {
		text += versioned(name, firstVersion)
	}
	add(t, e, "program", text)
	var saw func(int64) (int64, error)
	if err := e.Bind("saw", &saw); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int64)
	go func() {
		r, err := e.Call(background, "main")
		if err != nil {
			t.Error(err)
		}
		ended <- r.(int64)
	}()
	wait := func(part int, version int64) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
			v, err := saw(int64(part))
			if err != nil {
				t.Fatal(err)
			}
			if v == version {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("main still calls version %d of %s, not %d", v, parts[part], version)
			}
		}
	}
	var warm livejit.Stats
	var warmMappings, most int
	var resident0 int64
	for i := range n {
		part, version := i%len(parts), int64(firstVersion+1+i)
		replaceIR(t, e, "program", versioned(parts[part], version))
		if i%100 == 0 {
			wait(part, version)
		}
		if s := e.Stats(); s.Retired > most {
			most = s.Retired
		}
		if i == n/10/len(parts)*len(parts) {
			quiesce(t, e)
			warm, warmMappings, resident0 = e.Stats(), mappings(t), resident(t)
		}
	}
	quiesce(t, e)
	const bound = 1000 // an update looks at stacks when there are 256, and others may come until it has
	if most > bound {
		t.Errorf("up to %d old versions were kept while main ran, want at most %d", most, bound)
	}
	s := e.Stats()
	if s.ActiveCalls != 1 {
		t.Errorf("%d calls are inside, want main only", s.ActiveCalls)
	}
	compareStats(t, warm, s)
	if m := mappings(t); m > warmMappings+30 {
		t.Errorf("%d mappings, %d after the first tenth", m, warmMappings)
	}
	grown := resident(t) - resident0
	if grown > 64<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	t.Logf("at most %d old versions at a time, %d scans; memory grew by %d bytes", most, s.Scans, grown)
	replaceIR(t, e, "program", "define i64 @running(i64 %x) { ret i64 0 }")
	t.Logf("main went round %d times", <-ended)
}

// TestReplacementsUnderLoad replaces functions while four goroutines call them, and wants
// everything that is counted, and memory, to stay the same from the first quarter on. `make bench` does it a
// million times.
func TestReplacementsUnderLoad(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 2000
	}
	const functions, callers = 4, 4
	e := newEngine(t)
	text := ""
	for i := range functions {
		text += versioned(fmt.Sprint("f", i), firstVersion)
		text += fmt.Sprintf("\ndefine i64 @call%d(i64 %%x) { %%r = call i64 @f%[1]d(i64 %%x)  ret i64 %%r }", i)
	}
	add(t, e, "load", text)
	var started, finished [functions]atomic.Int64
	for i := range functions {
		started[i].Store(firstVersion)
		finished[i].Store(firstVersion)
	}
	var done atomic.Bool
	var calls atomic.Int64
	var workers sync.WaitGroup
	for c := range callers {
		var bound [functions]func(int64) (int64, error)
		for i := range bound {
			if err := e.Bind(fmt.Sprint("call", i), &bound[i]); err != nil {
				t.Fatal(err)
			}
		}
		workers.Go(func() {
			for n := c; !done.Load(); n++ {
				i := n % functions
				low := finished[i].Load()
				got, err := bound[i](1)
				if high := started[i].Load(); err != nil || got-1 < low || got-1 > high {
					t.Errorf("call%d = version %d, %v, want %d to %d", i, got-1, err, low, high)
					return
				}
				if calls.Add(1); n%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	type state struct {
		stats                 livejit.Stats
		mappings, regions, gs int
		resident              int64
	}
	now := func() state {
		quiesce(t, e)
		s := state{e.Stats(), mappings(t), unwind.LiveRegions(), runtime.NumGoroutine(), resident(t)}
		s.stats.ActiveCalls = 0
		return s
	}
	var warm state
	for i := range n {
		k, v := i%functions, int64(firstVersion+1+i)
		started[k].Store(v)
		replaceIR(t, e, "load", versioned(fmt.Sprint("f", k), v))
		finished[k].Store(v)
		if i+1 == n/4 {
			warm = now()
		}
	}
	end := now()
	done.Store(true)
	workers.Wait()
	compareStats(t, warm.stats, end.stats)
	if end.regions != warm.regions || end.gs > warm.gs+2 || end.mappings > warm.mappings+30 || end.resident > warm.resident+64<<20 {
		t.Errorf("unwind regions, goroutines, mappings, memory: %d, %d, %d, %d; after the first quarter %d, %d, %d, %d", end.regions, end.gs, end.mappings, end.resident,
			warm.regions, warm.gs, warm.mappings, warm.resident)
	}
	t.Logf("%d calls; memory %d, after the first quarter %d", calls.Load(), end.resident, warm.resident)
}

// What the hammer has found, each as small as it goes.

// TestDefinedAgainAfterClose deletes a function that others call, closes its module, and
// defines it again in another: the callers reach it.
func TestDefinedAgainAfterClose(t *testing.T) {
	e := newEngine(t)
	m := add(t, e, "first", "define i64 @g() { ret i64 1 }")
	add(t, e, "user", "declare i64 @g()\ndefine i64 @f() { %r = call i64 @g()  ret i64 %r }")
	for i := int64(2); i < 6; i++ {
		if _, err := e.Update(background, func(u *livejit.Update) error { u.ForceDelete("g"); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		quiesce(t, e)
		m = add(t, e, "next", fmt.Sprintf("define i64 @g() { ret i64 %d }", i))
		if got := call(t, e, "f"); got != i {
			t.Errorf("f() = %d, want %d", got, i)
		}
	}
	if s := e.Stats(); s.Stubs != 2 || s.Functions != 2 || s.Symbols != 2 {
		t.Errorf("%+v", s)
	}
}

// TestReplacedConstantsGo replaces a function with the constant that only it uses: the old
// one goes with the old version.
func TestReplacedConstantsGo(t *testing.T) {
	e := newEngine(t)
	text := func(v int) string {
		return fmt.Sprintf(`
			@table = private constant [2 x i64] [i64 %d, i64 %[1]d]
			define i64 @f(i64 %%x) {
			  %%p = getelementptr [2 x i64], ptr @table, i64 0, i64 %%x
			  %%r = load i64, ptr %%p
			  ret i64 %%r }`, v)
	}
	add(t, e, "m", text(0))
	var first livejit.Stats
	for i := range 20 {
		replaceIR(t, e, "m", text(i+1))
		if i%4 == 3 {
			if err := e.Invalidate("f"); err != nil {
				t.Fatal(err)
			}
		}
		if got := call(t, e, "f", 1); got != int64(i+1) {
			t.Errorf("f(1) = %d, want %d", got, i+1)
		}
		quiesce(t, e)
		if i == 3 {
			first = e.Stats()
		}
	}
	compareStats(t, first, e.Stats())
}

// TestReplaceCatcher replaces and invalidates a C++ function that catches exceptions: it
// refers to a pointer to the personality routine that each object defines anew.
func TestReplaceCatcher(t *testing.T) {
	e := newEngine(t)
	source := func(v int) livejit.Source {
		return clang.Source("catcher.cpp", `
			static void thrower(long x) { if (x) throw x; }
			extern "C" long f(long x) { try { thrower(x); return 0; } catch (long y) { return y + VERSION; } }`,
			clang.Options{Lang: "c++", Flags: []string{fmt.Sprintf("-DVERSION=%d", v)}})
	}
	if _, err := e.Add(background, source(100)); err != nil {
		t.Fatalf("%+v", err)
	}
	var second livejit.Stats
	for i := int64(1); i < 6; i++ {
		if _, err := e.Replace(background, source(int(100+i))); err != nil {
			t.Fatalf("%+v", err)
		}
		if got := call(t, e, "f", 7); got != 107+i {
			t.Errorf("f(7) = %d, want %d", got, 107+i)
		}
		if err := e.Invalidate("f"); err != nil {
			t.Fatal(err)
		}
		if got := call(t, e, "f", 7); got != 107+i {
			t.Errorf("after Invalidate f(7) = %d, want %d", got, 107+i)
		}
		quiesce(t, e)
		if i == 2 {
			second = e.Stats()
		}
	}
	compareStats(t, second, e.Stats())
}
