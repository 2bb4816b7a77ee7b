package livejit_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"livejit"
	"livejit/internal/crt"
	"livejit/internal/guard"
	"livejit/internal/llvm"
	"livejit/internal/unwind"
)

// holdings is what a process holds because of engines.
type holdings struct {
	mappings, files, goroutines           int
	regions, callbacks                    int
	tlsModules, tlsBlocks                 int
	dsos, handlers                        int
	contexts, modules, pipelines, objects int64
}

func hold(t testing.TB) holdings {
	t.Helper()
	h := holdings{mappings: mappings(t), files: openFiles(t), goroutines: runtime.NumGoroutine(),
		regions: unwind.LiveRegions(), callbacks: guard.LiveCallbacks()}
	h.tlsModules, h.tlsBlocks = crt.LiveTLS()
	h.dsos, h.handlers = crt.LiveDSOs()
	s := llvm.ReadStats()
	h.contexts, h.modules, h.pipelines, h.objects = s.Contexts, s.Modules, s.Pipelines, s.Objects
	return h
}

// compareHoldings wants what the process holds to be as before. Only mappings may be a few
// more: Go and the C library make some for threads and heaps when they like to. Goroutines
// of a test that are done may take a moment to go.
func compareHoldings(t *testing.T, before holdings) {
	t.Helper()
	const slack = 20
	for range 10_000 {
		if runtime.NumGoroutine() <= before.goroutines {
			break
		}
		runtime.Gosched()
	}
	after := hold(t)
	after.goroutines = max(after.goroutines, before.goroutines)
	if after.mappings <= before.mappings+slack {
		after.mappings = before.mappings
	}
	if after != before {
		t.Errorf("the process holds\n%+v, before\n%+v", after, before)
	}
}

const lifeIR = `
	@tick = thread_local global i64 40
	@calls = global i64 0
	@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @start, ptr null }]
	@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @stop, ptr null }]
	declare i32 @atexit(ptr)
	declare i64 @note(i64)
	declare i64 @from_archive(i64)
	declare ptr @llvm.threadlocal.address.p0(ptr)
	define void @start() { %r = call i32 @atexit(ptr @end)  %n = call i64 @note(i64 1)  ret void }
	define void @end() { %n = call i64 @note(i64 10)  ret void }
	define void @stop() { %n = call i64 @note(i64 100)  ret void }
	define i64 @run(i64 %x) {
	  %p = call ptr @llvm.threadlocal.address.p0(ptr @tick)
	  %t = load i64, ptr %p
	  %u = add i64 %t, 1
	  store i64 %u, ptr %p
	  %v = call i64 @from_archive(i64 %u)
	  %w = call i64 @note(i64 1000)
	  %r = add i64 %v, %x
	  ret i64 %r }`

// life is one engine from its making to its end.
func life(t *testing.T, i int, archive, object livejit.Source) {
	t.Helper()
	runtime.LockOSThread() // the thread-local variables count its calls
	defer runtime.UnlockOSThread()
	e, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	noted := int64(0)
	if err := e.Define("note", func(n int64) int64 { noted += n; return noted }); err != nil {
		t.Fatal(err)
	}
	m, err := e.Add(background, livejit.IR("life", lifeIR), archive)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if _, err := e.Add(background, object); err != nil {
		t.Fatalf("%+v", err)
	}
	var undefined *livejit.UndefinedError
	if _, err := e.Add(background, livejit.IR("bad", "declare void @missing()\n@x = thread_local global i64 1\ndefine void @bad() { call void @missing()  ret void }")); !errors.As(err, &undefined) {
		t.Fatalf("a load with an undefined symbol: %v", err)
	}
	for n := range int64(2) {
		if got, want := call(t, e, "run", i), 3*(41+n)+int64(i); got != want {
			t.Fatalf("run(%d) = %d, want %d", i, got, want)
		}
		if got := call(t, e, "next"); got != 8+n {
			t.Fatalf("next() = %d, want %d", got, 8+n)
		}
	}
	if i%2 == 0 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if noted != 2111 {
		t.Fatalf("constructor, exit handler, destructor and calls noted %d, want 2111", noted)
	}
}

// TestLifetimes makes and closes 1,000 engines, each with constructors, exit handlers,
// thread-local variables, an archive, a callback and a failed load, and looks at what the
// process holds afterwards.
func TestLifetimes(t *testing.T) {
	const maxGrowth = 8 << 10 // bytes an engine, over the second half of them
	n := 1000
	if testing.Short() {
		n = 50
	}
	archive := archiveOf(t, "life.a", member{"triple.o", compile(t, "clang-22", "triple.c", "long from_archive(long x) { return 3 * x; }", "-O1")})
	object := clangObject(t, "next", "static _Thread_local long n = 7; long next(void) { return ++n; }", "-fPIC")
	for i := range 10 {
		life(t, i, archive, object)
	}
	resident(t)
	before := hold(t)
	var middle int64
	for i := range n {
		if i == n/2 {
			middle = resident(t)
		}
		life(t, i, archive, object)
	}
	end := resident(t)
	compareHoldings(t, before)
	growth := (end - middle) / int64(n-n/2)
	t.Logf("memory grew by %d bytes an engine", growth)
	if !testing.Short() && growth > maxGrowth {
		t.Errorf("memory grew by %d bytes an engine over the last %d, want at most %d", growth, n-n/2, maxGrowth)
	}
}

// TestEnginesSideBySide has many engines open at once.
func TestEnginesSideBySide(t *testing.T) {
	const n = 24
	before := hold(t)
	var engines []*livejit.Engine
	for i := range n {
		e, err := livejit.New(livejit.WithArenaSize(16 << 20))
		if err != nil {
			t.Fatal(err)
		}
		engines = append(engines, e)
		add(t, e, "m", fmt.Sprintf("@v = global i64 %d\ndefine i64 @next() { %%a = load i64, ptr @v  %%b = add i64 %%a, 1  store i64 %%b, ptr @v  ret i64 %%b }", i*100))
	}
	for round := range 3 {
		for i, e := range engines {
			if got, want := call(t, e, "next"), int64(i*100+round+1); got != want {
				t.Errorf("engine %d: next() = %d, want %d", i, got, want)
			}
		}
	}
	for _, e := range engines {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	compareHoldings(t, before)
}
