package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"livejit"
)

// lines collects what is said and lets a test wait for it.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	return len(p), nil
}

// take waits until want was said, and forgets all up to it.
func (l *lines) take(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		l.mu.Lock()
		at := strings.Index(l.text, want)
		if at >= 0 {
			l.text = l.text[at+len(want):]
			l.mu.Unlock()
			return
		}
		text := l.text
		l.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("waited for %q, was told:\n%s", want, text)
		}
	}
}

// watched is a program under watch, with the folder it lies in.
type watched struct {
	t    *testing.T
	dir  string
	eng  *livejit.Engine
	said *lines
}

func (p *watched) put(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

func (p *watched) returns(want int) {
	p.t.Helper()
	if got, err := p.eng.Call(context.Background(), "f"); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("f() = %v, %v; want %d", got, err, want)
	}
}

// start loads files of a folder and follows them until the test ends. build may be empty.
func start(t *testing.T, dir, build string, files ...string) *watched {
	t.Helper()
	eng, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &watched{t, dir, eng, &lines{}}
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(dir, f)
	}
	w, err := New(Config{Engine: eng, Files: paths, Out: p.said, Build: build})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if w.Load(ctx) == nil {
			p.said.Write([]byte("loaded\n"))
			w.Run(ctx)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestSaves: editors that rename, files that go and come back, failed builds, bursts.
func TestSaves(t *testing.T) {
	dir := t.TempDir()
	p := &watched{t: t, dir: dir}
	text := func(n int) string { return fmt.Sprintf("#include \"h.h\"\nint f(void) { return H + %d; }\n", n) }
	p.put("h.h", "#define H 100\n")
	p.put("a.c", "int f(void) { return oops; }\n")
	p = start(t, dir, "", "a.c")
	p.said.take(t, "undeclared identifier 'oops'")
	p.said.take(t, "waiting for a change")
	p.put("a.c", text(1))
	p.said.take(t, "loaded\n")
	p.returns(101)

	p.put("a.c.new", text(2))
	if err := os.Rename(filepath.Join(dir, "a.c.new"), filepath.Join(dir, "a.c")); err != nil {
		t.Fatal(err)
	}
	p.said.take(t, "applied f@2")
	p.said.take(t, "unchanged")
	p.returns(102)

	if err := os.Remove(filepath.Join(dir, "a.c")); err != nil {
		t.Fatal(err)
	}
	p.said.take(t, "a.c is not there; the program runs on")
	p.put("a.c", text(3))
	p.said.take(t, "applied f@3")
	p.returns(103)

	if err := os.Remove(filepath.Join(dir, "h.h")); err != nil {
		t.Fatal(err)
	}
	p.said.take(t, "'h.h' file not found")
	p.said.take(t, "has errors; the program runs on")
	p.returns(103)
	p.put("h.h", "#define H 200\n")
	p.said.take(t, "applied f@4")
	p.returns(203)

	for n := range 30 { // faster than they can be compiled: the last counts
		p.put("a.c", text(1000+n))
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got, err := p.eng.Call(context.Background(), "f"); fmt.Sprint(got) == "1229" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("f() = %v, %v; the last save was not applied", got, err)
		}
	}
}

// TestBuild: objects that a build makes of sources are followed, and a build that fails changes nothing.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	p := &watched{t: t, dir: dir}
	p.put("s.c", "int f(void) { return 1; }\n")
	p = start(t, dir, "clang-22 -c -emit-llvm -fPIC -o p.bc s.c", "p.bc")
	p.said.take(t, "loaded\n")
	p.returns(1)
	p.put("s.c", "int f(void) { return 2; }\n")
	p.said.take(t, "applied f@2")
	p.returns(2)
	p.put("s.c", "int f(void) { return 3 }\n")
	p.said.take(t, "expected ';'")
	p.said.take(t, "the program runs on")
	p.returns(2)
	p.put("s.c", "int f(void) { return 4; }\n")
	p.said.take(t, "applied f@3")
	p.returns(4)
}

// TestChangeOfTwoFiles: a change that is refused because another file does not fit it is applied
// together with the change of that file.
func TestChangeOfTwoFiles(t *testing.T) {
	dir := t.TempDir()
	p := &watched{t: t, dir: dir}
	p.put("a.c", "int g(int x) { return x; }\n")
	p.put("b.c", "int g(int); int f(void) { return g(4); }\n")
	p = start(t, dir, "", "a.c", "b.c")
	p.said.take(t, "loaded\n")
	p.put("a.c", "long g(long x, long y) { return x + y; }\n")
	p.said.take(t, "refused: g")
	p.said.take(t, "the program runs on")
	p.returns(4)
	p.put("b.c", "long g(long, long); int f(void) { return g(4, 5); }\n")
	p.said.take(t, "applied f@2")
	p.said.take(t, "a.c, ")
	p.returns(9)
}
