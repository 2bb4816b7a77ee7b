package crt

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"livejit/internal/crt/internal/crttest"
	"livejit/internal/guard"
)

// program is a DSO with its thunks placed, as the engine makes it, and the log of its handlers.
type program struct {
	*DSO
	thunks map[string]uint64
	log    []byte
}

var logMu sync.Mutex // the native log is one

func newProgram(t testing.TB, name string) *program {
	t.Helper()
	d, err := NewDSO(name)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{DSO: d, thunks: map[string]uint64{}, log: crttest.Malloc(200)}
	for n, code := range d.Thunks() {
		if len(code) != ThunkSize {
			t.Fatal(n, len(code))
		}
		p.thunks[n] = crttest.Place(code)
	}
	subject(t, "set_log", address(p.log))
	return p
}

func (p *program) text() string { s, _, _ := strings.Cut(string(p.log), "\x00"); return s }

func (p *program) cxaAtexit(t testing.TB, fn string, arg uint64) {
	t.Helper()
	if r := call(t, uint64(Symbols()["__cxa_atexit"].Addr), crttest.Address(fn), arg, uint64(p.Handle())); int32(r) != 0 {
		t.Fatal("__cxa_atexit:", r)
	}
}

func TestFinalizeOrder(t *testing.T) {
	p := newProgram(t, "order")
	p.AddFini(uintptr(crttest.Address("log_x")), uintptr(crttest.Address("log_y")))
	p.AddFini(uintptr(crttest.Address("log_y")))
	p.cxaAtexit(t, "log_arg", 'a')
	call(t, p.thunks["atexit"], crttest.Address("log_x"))
	call(t, p.thunks["on_exit"], crttest.Address("log_status"), 'b')
	call(t, p.thunks["at_quick_exit"], crttest.Address("log_y"))
	w := crttest.Malloc(16)
	putWords(w, uint64(Symbols()["__cxa_atexit"].Addr), uint64(p.Handle()))
	p.cxaAtexit(t, "log_and_register", address(w))
	p.cxaAtexit(t, "log_arg", 'c')
	if err := p.Finalize(); err != nil {
		t.Error(err)
	}
	if err := p.Finalize(); err != nil {
		t.Error(err)
	}
	if got := p.text(); got != "crn0bxayxy" {
		t.Error(got)
	}
}

func putWords(b []byte, words ...uint64) {
	for i, w := range words {
		for j := range 8 {
			b[8*i+j] = byte(w >> (8 * j))
		}
	}
}

func TestFinalizeErrors(t *testing.T) {
	p := newProgram(t, "thrower")
	h := guard.NewCallback(func(*guard.Callback) { panic("go") })
	defer h.Release()
	fn := crttest.Place(h.Code())
	p.AddFini(uintptr(fn))
	p.cxaAtexit(t, "log_arg", 'a')
	p.cxaAtexit(t, "log_throw", 'b')
	p.cxaAtexit(t, "log_arg", 'c')
	err := p.Finalize()
	var e *HandlerError
	var x *guard.ExceptionError
	var g *guard.PanicError
	if !errors.As(err, &e) || e.DSO != "thrower" || e.Address != uintptr(crttest.Address("log_throw")) || !errors.As(err, &x) || !errors.As(err, &g) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(err.Error(), "thrower: fini function at") {
		t.Errorf("%v", err)
	}
	if got := p.text(); got != "cba" {
		t.Error(got)
	}
}

func TestForkHandlers(t *testing.T) {
	p := newProgram(t, "forker")
	call(t, p.thunks["pthread_atfork"], crttest.Address("log_prepare"), crttest.Address("log_parent"), crttest.Address("log_child"))
	subject(t, "fork_once")
	if got := p.text(); got != "pP3" {
		t.Error(got)
	}
	if err := p.Finalize(); err != nil {
		t.Error(err)
	}
	subject(t, "fork_once")
	if got := p.text(); got != "pP34" {
		t.Error("fork handlers outlive their DSO:", got)
	}
}

func TestThreadDestructors(t *testing.T) {
	register := uint64(Symbols()["__cxa_thread_atexit"].Addr)
	p := newProgram(t, "threads")
	subject(t, "from_thread", register, 'a', uint64(p.Handle()))
	if got := p.text(); got != "a" {
		t.Error(got)
	}
	parked := subject(t, "parked_thread", register, 'b', uint64(p.Handle()))
	if err := p.Finalize(); err != nil {
		t.Error(err)
	}
	subject(t, "parked_thread_end", parked)
	if got := p.text(); got != "a" {
		t.Error("a destructor ran after its DSO was gone:", got)
	}
}

func TestThreadDestructorHere(t *testing.T) {
	// The whole sequence on one thread: a callback holds it.
	p := newProgram(t, "here")
	h := guard.NewCallback(func(*guard.Callback) {
		call(t, uint64(Symbols()["__cxa_thread_atexit"].Addr), crttest.Address("log_arg"), 'a', uint64(p.Handle()))
		p.cxaAtexit(t, "log_arg", 'b')
		if err := p.Finalize(); err != nil {
			t.Error(err)
		}
	})
	defer h.Release()
	call(t, crttest.Place(h.Code()))
	if got := p.text(); got != "ab" {
		t.Error(got)
	}
}

func TestFinalizeInHandler(t *testing.T) {
	p := newProgram(t, "reentrant")
	h := guard.NewCallback(func(*guard.Callback) {
		if err := p.Finalize(); err != nil {
			t.Error(err)
		}
	})
	defer h.Release()
	p.cxaAtexit(t, "log_arg", 'a')
	call(t, p.thunks["atexit"], crttest.Place(h.Code()))
	p.cxaAtexit(t, "log_arg", 'b')
	if err := p.Finalize(); err != nil {
		t.Error(err)
	}
	if got := p.text(); got != "ba" {
		t.Error(got)
	}
}

func TestDSOHammer(t *testing.T) {
	sink := crttest.Malloc(1 << 20)
	subject(t, "set_log", address(sink))
	nothing := guard.NewCallback(func(*guard.Callback) {})
	defer nothing.Release()
	fn := crttest.Place(nothing.Code())
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				d, err := NewDSO("hammer")
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 10 {
					name := [...]string{"__cxa_atexit", "__cxa_thread_atexit"}[i%2]
					call(t, uint64(Symbols()[name].Addr), fn, 0, uint64(d.Handle()))
				}
				if err := d.Finalize(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
}

func runChild(what string) {
	t := new(testing.T)
	text := func(s string) uint64 { b := crttest.Malloc(len(s) + 1); copy(b, s); return address(b) }
	a, b := newProgram(t, "a"), newProgram(t, "b")
	a.AddFini(uintptr(crttest.Address("log_x")))
	a.cxaAtexit(t, "puts_arg", text("a1"))
	b.cxaAtexit(t, "puts_arg", text("b1"))
	a.cxaAtexit(t, "puts_arg", text("a2"))
	h := guard.NewCallback(func(c *guard.Callback) { os.Stdout.WriteString("status " + string(rune('0'+c.Int[0])) + "\n") })
	call(t, b.thunks["on_exit"], crttest.Place(h.Code()), 0)
	if err := OnExit(func() { os.Stdout.WriteString("last\n") }); err != nil {
		panic(err)
	}
	OnExit(func() { os.Stdout.WriteString("hook " + a.text() + b.text() + "\n") })
	quick := guard.NewCallback(func(c *guard.Callback) { os.Stdout.WriteString("quick\n") })
	call(t, a.thunks["at_quick_exit"], crttest.Place(quick.Code()))
	gone := newProgram(t, "gone")
	gone.cxaAtexit(t, "puts_arg", text("gone"))
	gone.Finalize()
	subject(t, "set_log", address(a.log))
	switch what {
	case "exit":
		subject(t, "call_exit", 3)
	case "Exit":
		Exit(4)
	case "quick":
		subject(t, "call_quick_exit", 6)
	case "exit in handler":
		b.cxaAtexit(t, "exit_in_handler", text("h"))
		b.Finalize()
	case "throw":
		a.cxaAtexit(t, "log_throw", 't')
		subject(t, "call_exit", 7)
	case "os.Exit":
		os.Exit(8)
	}
}

func TestProcessExit(t *testing.T) {
	// stdio is flushed last: what handlers print through it comes after what Go writes.
	for what, want := range map[string]struct {
		code int
		out  string
	}{
		"exit":            {3, "status 3\nhook x\nlast\ngone\na2\nb1\na1\n"},
		"Exit":            {4, "status 4\nhook x\nlast\ngone\na2\nb1\na1\n"},
		"quick":           {6, "quick\n"},
		"exit in handler": {5, "status 5\nhook x\nlast\ngone\nh\na2\nb1\na1\n"},
		"throw":           {7, "status 7\nhook tx\nlast\ngone\na2\nb1\na1\n"},
		"os.Exit":         {8, ""},
	} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "CRT_TEST_CHILD="+what)
		var stderr strings.Builder
		c.Stderr = &stderr
		out, _ := c.Output()
		if c.ProcessState.ExitCode() != want.code || string(out) != want.out {
			t.Errorf("%s: exit status %d, output %q, want %q; stderr:\n%s", what, c.ProcessState.ExitCode(), out, want.out, stderr.String())
		}
		if message := "livejit: a: exit handler at "; (what == "throw") != strings.Contains(stderr.String(), message) {
			t.Errorf("%s: stderr:\n%s", what, stderr.String())
		}
	}
}
