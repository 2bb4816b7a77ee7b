package threads_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"livejit/internal/threads"
	"livejit/internal/threads/internal/threadstest"
)

// What stays for the life of a process is tried in one of its own. runChild is what that does.
func runChild(what string) {
	s := threads.Symbols()
	scan := func() []threads.Holder {
		h, err := threads.Scan(around(kept), 0)
		if err != nil {
			println(err.Error())
		}
		return h
	}
	switch what {
	case "aio":
		a := threadstest.New(kept)
		if e := a.AIO(s["aio_read"]); e != 0 {
			println("aio_read failed")
		}
		a.AwaitExactly(1)
		h := scan()
		// libc's helper for the read itself has its signals blocked for a second more.
		if h[1].Thread != a.Thread() || h[1].Address != kept {
			println("not found:", h[1].String())
		}
		a.Go(1)
		a.AwaitExactly(2)
		for range 1000 {
			if h = scan(); !h[1].Held() {
				break
			}
		}
		if h[1].Held() {
			println("still held:", h[1].String())
		}
		a.Go(2)
	case "clone":
		if n := threadstest.CloneRun(s["clone"]); n != 42 {
			println("clone:", n)
		}
		if h := scan(); h[1].Held() {
			println("held:", h[1].String())
		}
	case "makecontext":
		if h := scan(); h[1].Held() {
			println("held:", h[1].String())
		}
		if n := threadstest.ContextRun(s["makecontext"]); n != 204 {
			println("makecontext:", n)
		}
		for _, h := range scan() {
			if !strings.Contains(h.Reason, "makecontext") {
				println("not held:", h.String())
			}
		}
	}
	println("done")
}

func TestForEver(t *testing.T) {
	for _, what := range []string{"aio", "clone", "makecontext"} {
		t.Run(what, func(t *testing.T) {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), "THREADS_TEST_CHILD="+what)
			if out, err := c.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "done" {
				t.Errorf("%v, output:\n%s", err, out)
			}
		})
	}
}
