package livejit_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"livejit"
)

// countingMemory records what it is asked for.
type countingMemory struct {
	livejit.MemoryManager
	refuse    func(livejit.MemoryRequest) error // nil: nothing is refused
	failWrite func() error                      // nil: no write fails

	mu       sync.Mutex
	requests []livejit.MemoryRequest
	live     map[livejit.Span]livejit.MemoryRequest
	writes   int
	closed   int
	misuse   []string
}

func newCountingMemory(t testing.TB, inner livejit.MemoryManager) *countingMemory {
	t.Helper()
	if inner == nil {
		var err error
		if inner, err = livejit.NewMemoryManager(64 << 20); err != nil {
			t.Fatal(err)
		}
	}
	return &countingMemory{MemoryManager: inner, live: make(map[livejit.Span]livejit.MemoryRequest)}
}

func (m *countingMemory) Allocate(r livejit.MemoryRequest) (livejit.Span, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		if err := m.refuse(r); err != nil {
			return livejit.Span{}, err
		}
	}
	s, err := m.MemoryManager.Allocate(r)
	if err == nil {
		m.requests = append(m.requests, r)
		m.live[s] = r
	}
	return s, err
}

func (m *countingMemory) Write(s livejit.Span, off uint64, p []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.failWrite != nil {
		if err := m.failWrite(); err != nil {
			return err
		}
	}
	if _, ok := m.live[s]; !ok {
		m.misuse = append(m.misuse, fmt.Sprintf("write to %+v, which is not allocated", s))
	} else if off+uint64(len(p)) > s.Size {
		m.misuse = append(m.misuse, fmt.Sprintf("write of %d bytes at %d to %+v", len(p), off, s))
	}
	return m.MemoryManager.Write(s, off, p)
}

func (m *countingMemory) Free(s livejit.Span) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.live[s]; !ok {
		m.misuse = append(m.misuse, fmt.Sprintf("free of %+v, which is not allocated", s))
	}
	delete(m.live, s)
	return m.MemoryManager.Free(s)
}

func (m *countingMemory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	if len(m.live) > 0 {
		m.misuse = append(m.misuse, fmt.Sprintf("closed with %d spans in use: %+v", len(m.live), m.live))
	}
	return m.MemoryManager.Close()
}

// check reports what the engine did wrong, after its close.
func (m *countingMemory) check(t testing.TB) {
	t.Helper()
	for _, s := range m.misuse {
		t.Error(s)
	}
	if m.closed != 1 {
		t.Errorf("the memory was closed %d times", m.closed)
	}
}

// allKinds is a program that needs memory of every kind: code, constants, variables, stubs
// for the process's functions, GOT entries, exit thunks, TLS, a constructor.
const allKinds = `
	@text = private constant [6 x i8] c"hello\00"
	@numbers = constant [4 x i64] [i64 1, i64 2, i64 3, i64 4]
	@variable = global i64 5
	@zero = global [100 x i64] zeroinitializer
	@thread = thread_local global i64 6
	@entries = constant [2 x ptr] [ptr @one, ptr @strlen]
	@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @start, ptr null }]
	@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @stop, ptr null }]
	declare i64 @strlen(ptr)
	declare i32 @atexit(ptr)
	declare ptr @llvm.threadlocal.address.p0(ptr)
	define void @start() { store i64 7, ptr @variable  %r = call i32 @atexit(ptr @stop)  ret void }
	define void @stop() { ret void }
	define internal i64 @one(i64 %x) { %r = add i64 %x, 1  ret i64 %r }
	define i64 @two(i64 %x) { %f = load ptr, ptr @entries  %r = call i64 %f(i64 %x)  ret i64 %r }
	define i64 @three(i64 %x) {
	  %a = call i64 @two(i64 %x)
	  %b = call i64 @strlen(ptr @text)
	  %p = getelementptr [4 x i64], ptr @numbers, i64 0, i64 2
	  %c = load i64, ptr %p
	  %d = load i64, ptr @variable
	  %t = call ptr @llvm.threadlocal.address.p0(ptr @thread)
	  %e = load i64, ptr %t
	  %q = getelementptr [100 x i64], ptr @zero, i64 0, i64 99
	  %f = load i64, ptr %q
	  %s1 = add i64 %a, %b
	  %s2 = add i64 %s1, %c
	  %s3 = add i64 %s2, %d
	  %s4 = add i64 %s3, %e
	  %s5 = add i64 %s4, %f
	  ret i64 %s5 }`

// useAllKinds loads the program and calls it.
func useAllKinds(t testing.TB, e *livejit.Engine) *livejit.Module {
	t.Helper()
	m := add(t, e, "rooms", allKinds)
	if got := call(t, e, "three", 100); got != 101+5+3+7+6 {
		t.Errorf("three(100) = %d, want 122", got)
	}
	return m
}

func TestMemoryRequestsNameWhoNeedsThem(t *testing.T) {
	counting := newCountingMemory(t, nil)
	e, err := livejit.New(livejit.WithMemoryManager(counting))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Define("callback", func() {}); err != nil {
		t.Fatal(err)
	}
	useAllKinds(t, e)
	named := make(map[string]bool)
	for _, r := range counting.requests {
		if r.Size == 0 || r.Align&(r.Align-1) != 0 || r.Section == "" {
			t.Errorf("request %+v", r)
		}
		named[fmt.Sprintf("%s/%s/%s", r.Module, r.Function, r.Kind)] = true
	}
	for _, want := range []string{
		"rooms/one/code", "rooms/two/code", "rooms/three/code", "rooms/start/code", "rooms/numbers/read-only data", "rooms/variable/data",
		"rooms/zero/data", "rooms/entries/read-only data", "/callback/code", "//stubs", "//slots",
	} {
		if !named[want] {
			t.Errorf("no request was for %s; there were %v", want, slices.Sorted(maps.Keys(named)))
		}
	}
	if counting.writes == 0 {
		t.Error("nothing was written")
	}
	stats := e.Stats()
	spans := 0
	for _, s := range stats.Memory {
		spans += s.Spans
	}
	if spans != len(counting.live) {
		t.Errorf("Stats counts %d spans, the memory manager %d", spans, len(counting.live))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	counting.check(t)
}

// TestRefusedMemory refuses the first, the second, ... request until a load succeeds.
func TestRefusedMemory(t *testing.T) {
	any := func(livejit.MemoryRequest) bool { return true }
	for _, c := range []struct {
		name, text string
		counts     func(livejit.MemoryRequest) bool
	}{
		{"all", allKinds, any},
		{"stubs", manyFunctions(7 * chain), func(r livejit.MemoryRequest) bool { return r.Module == "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			counting := newCountingMemory(t, nil)
			e, err := livejit.New(livejit.WithMemoryManager(counting))
			if err != nil {
				t.Fatal(err)
			}
			add(t, e, "base", "define i64 @base() { ret i64 3 }")
			refused := 0
			for refuseOne(t, e, counting, refused+1, c.text, c.counts) {
				refused++
			}
			t.Logf("%d requests, each refused once", refused)
			if refused < 2 {
				t.Error("hardly a request was refused")
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			counting.check(t)
		})
	}
}

// refuseOne loads text with the n-th request that counts refused, and reports whether there
// were as many. The engine must be as it was afterwards.
func refuseOne(t *testing.T, e *livejit.Engine, counting *countingMemory, n int, text string, counts func(livejit.MemoryRequest) bool) bool {
	t.Helper()
	refusal := errors.New("refused by the test")
	live, before, stubs := len(counting.live), inUse(e), spansOfStubs(e)
	var request livejit.MemoryRequest
	asked := 0
	counting.refuse = func(r livejit.MemoryRequest) error {
		if counts(r) {
			asked++
		}
		if !counts(r) || asked != n {
			return nil
		}
		request = r
		return refusal
	}
	m, err := e.Add(background, livejit.IR("program", text))
	counting.refuse = nil
	if err == nil {
		if asked >= n {
			t.Fatalf("request %d (%+v) was refused, and the load succeeded", n, request)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	} else {
		var memory *livejit.MemoryError
		if !errors.As(err, &memory) || !errors.Is(err, refusal) {
			t.Fatalf("request %d refused: %v, want a MemoryError", n, err)
		}
		if request.Module != "" && memory.Request != request || memory.Request.Module != "program" {
			t.Errorf("request %d: the error names %+v, refused was %+v", n, memory.Request, request)
		}
	}
	after := inUse(e)
	live += spansOfStubs(e) - stubs
	if pages := spansOfStubs(e) - stubs; pages > 2 {
		t.Errorf("request %d refused: %d more spans of stubs and slots", n, pages)
	}
	if !reflect.DeepEqual(after, before) || len(counting.live) != live {
		t.Fatalf("request %d refused (%+v): the engine is not as it was:\n%+v, %d spans\n%+v, %d spans", n, request, after, len(counting.live), before, live)
	}
	if got := call(t, e, "base"); got != 3 {
		t.Fatalf("base() = %d", got)
	}
	return err != nil
}

// inUse is what an engine holds, without what it ever did, and without pages of stubs: it may
// keep an empty one for later.
func inUse(e *livejit.Engine) livejit.Stats {
	s := e.Stats()
	for kind, m := range s.Memory {
		s.Memory[kind] = livejit.MemoryStats{Spans: m.Spans, Bytes: m.Bytes}
	}
	delete(s.Memory, livejit.StubMemory.String())
	delete(s.Memory, livejit.SlotMemory.String())
	s.Reclaimed, s.Scans = 0, 0
	return s
}

// spansOfStubs returns how many spans an engine has for stubs and their slots.
func spansOfStubs(e *livejit.Engine) int {
	s := e.Stats()
	return s.Memory[livejit.StubMemory.String()].Spans + s.Memory[livejit.SlotMemory.String()].Spans
}

// TestFailingWrites fails the first, the second, ... write until a load succeeds.
func TestFailingWrites(t *testing.T) {
	failure := errors.New("failed by the test")
	counting := newCountingMemory(t, nil)
	e, err := livejit.New(livejit.WithMemoryManager(counting))
	if err != nil {
		t.Fatal(err)
	}
	add(t, e, "base", "define i64 @base() { ret i64 3 }")
	before := inUse(e)
	for n := 1; ; n++ {
		written := 0
		counting.failWrite = func() error {
			if written++; written == n {
				return failure
			}
			return nil
		}
		_, err := e.Add(background, livejit.IR("program", allKinds))
		counting.failWrite = nil
		if err == nil {
			t.Logf("%d writes, each failed once", n-1)
			break
		}
		if !errors.Is(err, failure) || !strings.Contains(err.Error(), "program") {
			t.Fatalf("write %d failed: %v", n, err)
		}
		if after := inUse(e); !reflect.DeepEqual(after, before) {
			t.Fatalf("write %d failed: the engine is not as it was:\n%+v\n%+v", n, after, before)
		}
		if got := call(t, e, "base"); got != 3 {
			t.Fatalf("base() = %d", got)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	counting.check(t)
}

// TestRefusedEngine refuses each request of New and of Define.
func TestRefusedEngine(t *testing.T) {
	refusal := errors.New("refused by the test")
	for n := 1; ; n++ {
		counting := newCountingMemory(t, nil)
		asked := 0
		counting.refuse = func(livejit.MemoryRequest) error {
			if asked++; asked == n {
				return refusal
			}
			return nil
		}
		e, err := livejit.New(livejit.WithMemoryManager(counting))
		if err != nil {
			if !errors.Is(err, refusal) {
				t.Errorf("New = %v", err)
			}
			counting.check(t)
			continue
		}
		if err = e.Define("f", func() {}); err != nil {
			var memory *livejit.MemoryError
			if !errors.Is(err, refusal) || !errors.As(err, &memory) {
				t.Errorf("request %d refused: Define = %v, want a MemoryError", n, err)
			}
			if err := e.Define("f", func() {}); err != nil {
				t.Errorf("Define again: %v", err)
			}
		}
		refused := asked >= n
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		counting.check(t)
		if !refused {
			break
		}
	}
}
