package livejit_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"livejit"
)

// What tools look at: events, history, the map of the memory.

func TestEvents(t *testing.T) {
	e := newEngine(t)
	flow := e.Events(16)
	defer flow.Close()
	m := add(t, e, "g", "define i64 @g(i64 %x) { ret i64 %x }\ndefine i64 @h() { ret i64 2 }")
	replaceIR(t, e, "g", "define i64 @g(i64 %x) { ret i64 7 }")
	if _, err := e.Replace(background, livejit.IR("g", "declare i64 @nowhere()\ndefine i64 @g(i64 %x) { %r = call i64 @nowhere() ret i64 %r }")); err == nil {
		t.Fatal("a replacement that refers to nothing was accepted")
	}
	if err := e.Invalidate("g"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Call(background, "g", int64(1)); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(background, "h"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for event := range flow.C() {
		line := fmt.Sprintf("%d %s %s", event.Number, event.Operation, strings.Join(event.Subjects, ","))
		for _, v := range event.Verdicts {
			line += "; " + v.String()
		}
		var undefined *livejit.UndefinedError
		if errors.As(event.Err, &undefined) {
			line += "; undefined " + undefined.Symbols[0].Symbol
		} else if event.Err != nil {
			t.Errorf("event %d: %v", event.Number, event.Err)
		}
		if event.Operation != livejit.OpCloseModule && event.Duration.Total <= 0 || event.Time.IsZero() {
			t.Errorf("event %d: duration %v, time %v", event.Number, event.Duration.Total, event.Time)
		}
		got = append(got, line)
	}
	want := []string{"1 add g; added g@1; added h@1", "2 replace g; replaced g@2", "3 replace g; undefined nowhere",
		"4 invalidate g; invalidated g", "5 first call g", "6 delete h; removed h", "7 close module g"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, open := <-e.Events(1).C(); open {
		t.Error("an event came from a closed engine")
	}
}

// TestEventsNeverWait has receivers come, go and not read while transactions run: numbers only
// grow, what is missed is a gap, and nobody waits for anybody. Sending without the default case of
// events.send hangs it; closing a channel outside of the lock makes it panic.
func TestEventsNeverWait(t *testing.T) {
	e := newEngine(t)
	add(t, e, "g", "define i64 @g() { ret i64 0 }")
	idle := e.Events(2) // is never read until the end
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				flow := e.Events(1)
				var last uint64
				for range 3 {
					select {
					case event := <-flow.C():
						if event.Number <= last {
							t.Errorf("event %d came after %d", event.Number, last)
						}
						last = event.Number
					case <-stop:
						flow.Close()
						return
					}
				}
				flow.Close()
				flow.Close()
			}
		})
	}
	const rounds = 100
	for i := range rounds {
		replaceIR(t, e, "g", fmt.Sprintf("define i64 @g() { ret i64 %d }", i+1))
	}
	close(stop)
	wait.Wait()
	first := <-idle.C()
	if second := <-idle.C(); first.Number != 2 || second.Number != 3 {
		t.Errorf("a full buffer holds events %d and %d, want the first ones, 2 and 3", first.Number, second.Number)
	}
	replaceIR(t, e, "g", "define i64 @g() { ret i64 -1 }")
	if next := <-idle.C(); next.Number != rounds+2 {
		t.Errorf("after a gap came event %d, want %d", next.Number, rounds+2)
	}
	idle.Close()
}

func TestHistory(t *testing.T) {
	e := newEngine(t, livejit.WithHistory(2))
	m := add(t, e, "g", "declare i32 @abs(i32)\ndefine i32 @g() { %r = call i32 @abs(i32 100) ret i32 %r }")
	first, err := e.Function("g").Disassemble()
	if err != nil {
		t.Fatal(err)
	}
	if past := e.Function("g").Past(); len(past) != 0 {
		t.Errorf("%d past versions before the first replacement", len(past))
	}
	for i := 1; i <= 2; i++ {
		replaceIR(t, e, "g", fmt.Sprintf("define i32 @g() { ret i32 %d }", 100+i))
	}
	past := e.Function("g").Past()
	if len(past) != 2 || past[0].Number != 1 || past[1].Number != 2 {
		t.Fatalf("past versions %v, want 1 and 2", past)
	}
	if got := past[0].Disassemble(); got != first || !strings.Contains(got, "abs") {
		t.Errorf("g@1 was\n%s\nand is in the history\n%s", first, got)
	}
	for i, want := range []string{"call i32 @abs(i32 100)", "ret i32 101"} {
		if ir, err := past[i].IR(); err != nil || !strings.Contains(ir, want) {
			t.Errorf("IR of g@%d lacks %q: %v\n%s", i+1, want, err, ir)
		}
	}
	replaceIR(t, e, "g", "define i32 @g() { ret i32 103 }")
	if past := e.Function("g").Past(); len(past) != 2 || past[0].Number != 2 {
		t.Errorf("past versions %v, want 2 and 3", past)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := past[0].IR(); !errors.Is(err, livejit.ErrClosed) {
		t.Errorf("IR after the engine was closed: %v", err)
	}
	if _, err := livejit.New(livejit.WithHistory(-1)); err == nil {
		t.Error("a history of -1 versions was accepted")
	}
}

// TestMemoryMap compares the map with what the memory manager has given, span by span: with
// variables, callbacks, exit handlers, and an old version that is pinned.
func TestMemoryMap(t *testing.T) {
	e := newEngine(t)
	if err := e.Define("host", func() int64 { return 1 }); err != nil {
		t.Fatal(err)
	}
	add(t, e, "g", `@v = global [100 x i64] zeroinitializer
declare i64 @host()
declare i32 @atexit(ptr)
define void @bye() { ret void }
define i64 @g() { %s = call i32 @atexit(ptr @bye) %r = call i64 @host() store i64 %r, ptr @v ret i64 %r }`)
	pin, err := e.Function("g").Pin()
	if err != nil {
		t.Fatal(err)
	}
	replaceIR(t, e, "g", "@v = external global [100 x i64]\ndefine i64 @g() { store i64 2, ptr @v ret i64 2 }")
	m, err := e.MemoryMap()
	if err != nil {
		t.Fatal(err)
	}
	spans := make(map[string]int)
	retired, last := 0, m.Lo
	for _, s := range m.Spans {
		spans[s.Kind.String()]++
		if s.Retired {
			retired++
			if s.Name != "g" || s.Version != 1 {
				t.Errorf("%s@%d is retired, want g@1 only", s.Name, s.Version)
			}
		}
		if s.Addr < last || s.Addr+s.Size > m.Hi {
			t.Errorf("span %+v overlaps or is out of range", s)
		}
		last = s.Addr + s.Size
		inPool := false
		for _, p := range m.Pools {
			inPool = inPool || s.Addr >= p.Lo && s.Addr+s.Size <= p.Hi
		}
		if !inPool {
			t.Errorf("span %+v is in no pool of %+v", s, m.Pools)
		}
	}
	for kind, stats := range e.Stats().Memory {
		if spans[kind] != stats.Spans {
			t.Errorf("%d spans of %s on the map, %d in use", spans[kind], kind, stats.Spans)
		}
	}
	if retired == 0 {
		t.Error("a pinned old version is not on the map")
	}
	pin.Release()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.MemoryMap(); !errors.Is(err, livejit.ErrClosed) {
		t.Errorf("map of a closed engine: %v", err)
	}
}
