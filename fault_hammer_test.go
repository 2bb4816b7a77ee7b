package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"livejit"
	"livejit/clang"
)

// TestFaultHammer fails in every way, on four threads at a time, while Go's collector runs, functions are replaced and calls
// are interrupted. It runs 8,000 faults, with LIVEJIT_LONG=1 100,000 (once: 12.5 s). To see it fail
// install the handlers without SA_ONSTACK: the first stack overflow ends the process.
func TestFaultHammer(t *testing.T) {
	each := 2000
	if os.Getenv("LIVEJIT_LONG") == "1" {
		each = 25_000
	}
	e := newEngine(t)
	loadCPP(t, e, "failing.cpp", failing)
	kinds := map[string]syscall.Signal{"null_write": syscall.SIGSEGV, "divide": syscall.SIGFPE, "trap": syscall.SIGILL, "breakpoint": syscall.SIGTRAP,
		"aborts": syscall.SIGABRT, "recurse": syscall.SIGSEGV, "bad_pointer": syscall.SIGSEGV, "in_strlen": syscall.SIGSEGV, "in_qsort": syscall.SIGSEGV,
		"bus": syscall.SIGBUS, "terminates": syscall.SIGABRT, "outermost": syscall.SIGSEGV}
	loadCPP(t, e, "endless.cpp", `extern "C" long spin(long) { for (;;) __asm__ volatile(""); }`)
	threads := taskCount(t)
	var stop atomic.Bool
	var others, hammers sync.WaitGroup
	others.Go(func() {
		for !stop.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	})
	others.Go(func() {
		for n := 0; !stop.Load(); n++ {
			text := strings.Replace(failing, "long well(long x) { return x + 1; }", fmt.Sprintf("long well(long x) { return x + 1 + %d * zero; }", n), 1)
			text = strings.Replace(text, "*(volatile int *)zero = 1; return x;", fmt.Sprintf("*(volatile int *)zero = %d; return x;", n), 1)
			if _, err := e.Replace(background, clang.Source("failing.cpp", text, clang.Options{Lang: "c++", Flags: []string{"-w"}})); err != nil {
				t.Errorf("replace: %v", err)
				return
			}
		}
	})
	others.Go(func() {
		for !stop.Load() {
			ctx, cancel := context.WithTimeout(background, time.Millisecond)
			var i *livejit.InterruptError
			if _, err := e.Call(ctx, "spin", 0); !errors.As(err, &i) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("spin: %v", err)
			}
			cancel()
		}
	})
	for range 4 {
		hammers.Go(func() {
			for n := 0; n < each; {
				for function, want := range kinds {
					_, err := e.Call(background, function, 5)
					var f *livejit.FaultError
					if !errors.As(err, &f) || f.Signal != want || !f.StackOverflow && f.Backtrace[len(f.Backtrace)-1].Function != function {
						t.Errorf("%s: %+v", function, err)
						return
					}
					n++
				}
				if _, err := e.Call(background, "well", 5); err != nil {
					t.Errorf("well: %v", err)
					return
				}
			}
		})
	}
	hammers.Wait()
	stop.Store(true)
	others.Wait()
	if err := e.Quiesce(background); err != nil {
		t.Error(err)
	}
	for _, f := range e.Modules()[0].Functions() {
		if n := len(f.Versions()); n > 1 {
			t.Errorf("%s has %d versions in memory: %v", f.Name(), n, f.WhyAlive())
		}
	}
	if now := taskCount(t); now > threads+16 {
		t.Errorf("%d threads, %d before", now, threads)
	}
}

func taskCount(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// TestGoKeepsItsFaults checks that what is not native code's own doing stays Go's, with an engine open: faults of Go code, also in callbacks, signals to
// the process, a profile.
func TestGoKeepsItsFaults(t *testing.T) {
	e := newEngine(t)
	loadCPP(t, e, "failing.cpp", failing)
	nilWrite := func() (err error) {
		defer func() {
			if r, ok := recover().(runtime.Error); ok {
				err = r
			}
		}()
		var p *int
		*p = 1
		return nil
	}
	if err := nilWrite(); err == nil || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("nil write in Go: %v", err)
	}
	if err := e.Define("host", func() {
		if err := nilWrite(); err == nil {
			t.Error("nil write in a callback was not a panic")
		}
	}); err != nil {
		t.Fatal(err)
	}
	loadCPP(t, e, "through.cpp", `extern "C" { void host(void); long through(long x) { host(); return x; } }`)
	if got := call(t, e, "through", 3); got != 3 {
		t.Errorf("through(3) = %d", got)
	}
	if err := e.Define("fails", func() { var p *int; *p = 1 }); err != nil {
		t.Fatal(err)
	}
	loadCPP(t, e, "into.cpp", `extern "C" { void fails(void); long into(long x) { fails(); return x; } }`)
	var panicked *livejit.PanicError
	if _, err := e.Call(background, "into", 1); !errors.As(err, &panicked) {
		t.Errorf("nil write in a callback: %v", err)
	}

	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	defer signal.Stop(told)
	if err := pprof.StartCPUProfile(discard{}); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		var f *livejit.FaultError
		if _, err := e.Call(background, "outermost", 1); !errors.As(err, &f) {
			t.Fatalf("while a profile runs: %v", err)
		}
	}
	if s := <-told; s != syscall.SIGUSR1 {
		t.Errorf("signal %v", s)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestHandlersGo looks at the process's handlers before, with and after engines.
func TestHandlersGo(t *testing.T) {
	before := handlers(t)
	a, b := newEngine(t), newEngine(t)
	during := handlers(t)
	for _, s := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT} {
		if during[s] == before[s] {
			t.Errorf("%v has no handler of the engine's", s)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if handlers(t) != during {
		t.Error("the handlers are gone before the last engine")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if handlers(t) != before {
		t.Error("the handlers stay after the last engine")
	}
}

// handlers are the addresses of the handlers of all signals, as the kernel has them.
func handlers(t *testing.T) (list [65]uintptr) {
	for s := 1; s <= 64; s++ {
		var action [4]uintptr // handler, flags, restorer, mask
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), 0, uintptrOf(&action), 8, 0, 0); errno == 0 {
			list[s] = action[0]
		}
	}
	return list
}

// TestForeignFault crashes in C code outside of native calls: Go's handler has it, and ends the process with its dump.
func TestForeignFault(t *testing.T) {
	if os.Getenv("LIVEJIT_FOREIGN_FAULT") == "1" {
		newEngine(t)
		syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGSEGV))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestForeignFault$")
	cmd.Env = append(os.Environ(), "LIVEJIT_FOREIGN_FAULT=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "goroutine ") {
		t.Errorf("a fault outside of calls: %v\n%s", err, out)
	}
}
