package livejit_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"livejit"
)

// chain is how many functions of manyFunctions call one another in a row.
const chain = 100

// manyFunctions is a module of n functions, a multiple of chain. f<i> calls f<i+1>, but
// the last of each chain; @all calls the first of each through a table of addresses.
func manyFunctions(n int) string {
	var b strings.Builder
	b.WriteString("@count = global i64 0\n")
	fmt.Fprintf(&b, "@table = constant [%d x ptr] [", n/chain)
	for i := 0; i < n; i += chain {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "ptr @f%d", i)
	}
	b.WriteString("]\n")
	for i := range n {
		fmt.Fprintf(&b, "define i64 @f%d(i64 %%x) {\n%%n = load i64, ptr @count\n%%m = add i64 %%n, 1\nstore i64 %%m, ptr @count\n", i)
		fmt.Fprintf(&b, "%%a = mul i64 %%x, 31\n%%b = add i64 %%a, %d\n", i)
		if i%chain == chain-1 {
			b.WriteString("ret i64 %b\n}\n")
		} else {
			fmt.Fprintf(&b, "%%r = call i64 @f%d(i64 %%b)\nret i64 %%r\n}\n", i+1)
		}
	}
	fmt.Fprintf(&b, `
define i64 @all(i64 %%x) {
entry:
  br label %%loop
loop:
  %%i = phi i64 [ 0, %%entry ], [ %%next, %%loop ]
  %%v = phi i64 [ %%x, %%entry ], [ %%w, %%loop ]
  %%p = getelementptr [%d x ptr], ptr @table, i64 0, i64 %%i
  %%f = load ptr, ptr %%p
  %%w = call i64 %%f(i64 %%v)
  %%next = add i64 %%i, 1
  %%more = icmp ult i64 %%next, %[1]d
  br i1 %%more, label %%loop, label %%done
done:
  ret i64 %%w
}
define i64 @calls() {
  %%n = load i64, ptr @count
  ret i64 %%n
}
`, n/chain)
	return b.String()
}

// follow is what f<i> of manyFunctions returns, and how many functions that calls.
func follow(i int, x int64) (result int64, calls int) {
	for {
		x = x*31 + int64(i)
		calls++
		if i%chain == chain-1 {
			return x, calls
		}
		i++
	}
}

// TestLarge loads a module of 100,000 functions, calls every one, and looks at what they
// cost: mappings of the process, and memory beyond code, data and the kept IR.
func TestLarge(t *testing.T) {
	const (
		maxMappings = 60
		maxOverhead = 1280 // bytes a function; 890 to 960 are usual
	)
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	warmUp(t)
	mappingsBefore, residentBefore := mappings(t), resident(t)

	procs := runtime.GOMAXPROCS(1) // one worker: what several leave in malloc's arenas differs by hundreds of bytes a function from run to run
	e := newEngine(t)
	runtime.GOMAXPROCS(procs)
	m := add(t, e, "large", manyFunctions(n))
	stats := m.Stats()
	if stats.Functions != n+2 {
		t.Errorf("%d functions, want %d", stats.Functions, n+2)
	}
	if more := mappings(t) - mappingsBefore; more > maxMappings {
		t.Errorf("%d more mappings, want at most %d", more, maxMappings)
	} else {
		t.Logf("%d functions, %d pieces; %d more mappings", stats.Functions, stats.Pieces, more)
	}
	payload := int64(stats.CodeBytes + stats.ConstBytes + stats.DataBytes + stats.UnwindBytes + stats.KeptBytes)
	used := resident(t) - residentBefore
	overhead := (used - payload) / int64(n)
	t.Logf("memory: %d KiB, of which %d KiB are code, data and IR: %d bytes a function beyond", used>>10, payload>>10, overhead)
	if !testing.Short() && overhead > maxOverhead {
		t.Errorf("%d bytes a function beyond its code, data and IR, want at most %d", overhead, maxOverhead)
	}
	callAll(t, e, n)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Functions+s.Pieces+s.Stubs+s.Symbols != 0 {
		t.Errorf("left after closing the module: %+v", s)
	}
}

// callAll calls every function of manyFunctions(n) through the others, and some by name.
func callAll(t *testing.T, e *livejit.Engine, n int) {
	t.Helper()
	want, wantCalls := int64(7), 0
	for i := 0; i < n; i += chain {
		r, calls := follow(i, want)
		want, wantCalls = r, wantCalls+calls
	}
	if got, err := e.Call(background, "all", 7); got != want || err != nil {
		t.Errorf("all(7) = %v, %v; want %d", got, err, want)
	}
	if got, err := e.Call(background, "calls"); got != int64(wantCalls) || err != nil || wantCalls != n {
		t.Errorf("%v functions ran, %v; want %d", got, err, n)
	}
	for i := 0; i < n; i += 97 {
		var f func(int64) (int64, error)
		name := fmt.Sprintf("f%d", i)
		if err := e.Bind(name, &f); err != nil {
			t.Fatal(err)
		}
		want, _ := follow(i, int64(i))
		if got, err := f(int64(i)); got != want || err != nil {
			t.Fatalf("%s(%[2]d) = %d, %v; want %d", name, i, got, err, want)
		}
	}
}

// warmUp makes what is made once in a process: LLVM's tables, threads, the hooks of libc.
func warmUp(t *testing.T) {
	t.Helper()
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	add(t, e, "warm-up", manyFunctions(10*chain))
	callAll(t, e, 10*chain)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
