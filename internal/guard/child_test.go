package guard

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"livejit/internal/codearena"
	"livejit/internal/guard/internal/guardtest"
	"livejit/internal/stubtable"
)

// runChild is what the subprocess of a test does.
func runChild(what string) {
	place := func(fn func(*Callback)) uint64 { return guardtest.Place(NewCallback(fn).Code()) }
	switch what {
	case "panic":
		enter("bare_thread", place(func(c *Callback) { panic("no entry below") }))
	case "goexit":
		enter("bare_thread", place(func(c *Callback) { runtime.Goexit() }))
	case "released":
		h := NewCallback(func(*Callback) {})
		code := guardtest.Place(h.Code())
		h.Release()
		enter("bare_thread", code)
	case "land":
		fn := LandAddress()
		guardtest.PlainCgo(uint64(fn), int64(Deleted))
	case "miss":
		arena, _ := codearena.New(codearena.Options{Size: 1 << 20})
		table, _ := stubtable.New(arena, uint64(MissEntry()))
		HandleMisses(arenaRange(arena, func(uint64) (uint64, error) { return 0, errNoBody }))
		s, _ := table.Alloc()
		enter("bare_thread", s.Addr)
	case "exit":
		enter("exit", 7)
	}
	println("survived")
}

func TestEndsOfTheProcess(t *testing.T) {
	for what, want := range map[string]struct {
		code int
		text string
	}{
		"panic":    {2, "no entry below"},
		"goexit":   {2, "runtime.Goexit in a callback on a thread that native code has made"},
		"released": {2, "which has been released"},
		"land":     {2, "lj_land on a thread without an entry"},
		"miss":     {2, "no body, on a thread without an entry into native code"},
		"exit":     {7, ""},
	} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "GUARD_TEST_CHILD="+what)
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != want.code || !strings.Contains(string(out), want.text) || strings.Contains(string(out), "survived") {
			t.Errorf("%s: exit status %d, output:\n%s", what, c.ProcessState.ExitCode(), out)
		}
	}
}
