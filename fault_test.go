package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"livejit"
	"livejit/clang"
)

// failing is a program with a function for each way to fail.
const failing = `
	#include <stdlib.h>
	#include <string.h>
	#include <signal.h>
	#include <unistd.h>
	#include <stdio.h>
	#include <pthread.h>
	#include <sys/mman.h>
	#include <stdexcept>
	extern "C" {
	volatile long zero;
	long null_write(long x) { *(volatile int *)zero = 1; return x; }
	long null_read(long x) { return *(volatile long *)(zero + 64); }
	long divide(long x) { return x / zero; }
	long trap(long) { __builtin_trap(); }
	long breakpoint(long) { __builtin_debugtrap(); return 7; }
	long aborts(long) { abort(); }
	long raises(long) { raise(SIGFPE); return 1; }
	long recurse(long x) { volatile char room[512]; room[x % 512] = 1; return recurse(x + 1) + room[x % 512]; }
	long bad_pointer(long x) { return ((long (*)(long))(zero + 0x10))(x) + 1; }
	long in_strlen(long) { return strlen((char *)zero) + 1; }
	int compare(const void *a, const void *b) { return *(volatile int *)zero; }
	long in_qsort(long) { int v[4] = {4, 3, 2, 1}; qsort(v, 4, sizeof *v, compare); return v[0]; }
	long bus(long) {
		FILE *f = tmpfile();
		char *p = (char *)mmap(0, 4096, PROT_READ, MAP_SHARED, fileno(f), 0);
		fclose(f);
		return *(volatile char *)p;
	}
	long double_free(long) { void *volatile p = malloc(100); free(p); free(p); return 0; }
	long throws(long) { throw std::runtime_error("lost"); }
	void careful(long x) noexcept { throws(x); }
	long terminates(long x) { careful(x); return 0; }
	long leaves(long x) { exit(3); }
	long well(long x) { return x + 1; }
	long outer(long x) { return null_write(x) + 1; }
	long outermost(long x) { return outer(x) + 1; }
	}
`

// loadC loads a text of C++ at a level.
func loadCPP(t testing.TB, e *livejit.Engine, name, text string) *livejit.Module {
	t.Helper()
	m, err := e.Add(background, clang.Source(name, text, clang.Options{Lang: "c++", Flags: []string{"-w"}}))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return m
}

func TestFaults(t *testing.T) {
	tests := []struct {
		function string
		signal   syscall.Signal
		foreign  bool
		text     string
	}{
		{"null_write", syscall.SIGSEGV, false, "null_write: segmentation fault at address 0x0 in null_write@1+"},
		{"null_read", syscall.SIGSEGV, false, "null_read: segmentation fault at address 0x40 in null_read@1+"},
		{"divide", syscall.SIGFPE, false, "divide: division by zero in divide@1+"},
		{"trap", syscall.SIGILL, false, "trap: illegal instruction in trap@1+"},
		{"breakpoint", syscall.SIGTRAP, false, "breakpoint: trace/breakpoint trap in breakpoint@1+"},
		{"aborts", syscall.SIGABRT, false, "aborts: abort was called in aborts@1+"},
		{"raises", syscall.SIGFPE, false, "raises: floating point exception in raises@1+"},
		{"recurse", syscall.SIGSEGV, false, "recurse: stack overflow in recurse@1+"},
		{"bad_pointer", syscall.SIGSEGV, false, "bad_pointer: segmentation fault at address 0x10 in bad_pointer@1+"},
		{"in_strlen", syscall.SIGSEGV, true, "in_strlen: segmentation fault at address 0x0 in in_strlen@1+"},
		{"in_qsort", syscall.SIGSEGV, false, "in_qsort: segmentation fault at address 0x0 in compare@1+"},
		{"bus", syscall.SIGBUS, false, "bus: bus error at address 0x"},
		{"terminates", syscall.SIGABRT, false, "terminates: terminated by an exception of type std::runtime_error: lost in careful@1+"},
		{"double_free", syscall.SIGABRT, true, "double_free: abort was called in double_free@1+"},
		{"outermost", syscall.SIGSEGV, false, "outermost: segmentation fault at address 0x0 in null_write@1+"},
	}
	for _, level := range []int{0, 2} {
		t.Run(fmt.Sprintf("O%d", level), func(t *testing.T) {
			e := newEngine(t, livejit.WithOptLevel(level), livejit.WithExitError())
			loadCPP(t, e, "failing.cpp", failing)
			for _, tt := range tests {
				for range 3 {
					_, err := e.Call(background, tt.function, 5)
					var f *livejit.FaultError
					if !errors.As(err, &f) {
						t.Fatalf("%s: %v", tt.function, err)
					}
					if f.Signal != tt.signal || f.Foreign != tt.foreign || !strings.HasPrefix(f.Error(), tt.text) {
						t.Errorf("%s: signal %v, foreign %t, %q; want %v, %t, %q\n%+v", tt.function, f.Signal, f.Foreign, f, tt.signal, tt.foreign, tt.text, f)
					}
					if last := f.Backtrace[len(f.Backtrace)-1]; !f.StackOverflow && last.Function != tt.function {
						t.Errorf("the backtrace of %s ends with %v:\n%+v", tt.function, last, f)
					}
					if got := call(t, e, "well", 5); got != 6 {
						t.Fatalf("after %s: well(5) = %d", tt.function, got)
					}
				}
				runtime.GC()
			}
			var exit *livejit.ExitError
			if _, err := e.Call(background, "leaves", 1); !errors.As(err, &exit) || exit.Status != 3 {
				t.Errorf("exit: %v", err)
			}
		})
	}
}

const endless = `
	#include <unistd.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <pthread.h>
	#include <poll.h>
	#include <time.h>
	extern "C" {
	int pipes[2] = {-1, -1};
	volatile long turns;
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	long spin(long) { for (;;) turns++; }
	long sleeps(long) { for (;;) sleep(100); }
	long naps(long) { for (;;) { struct timespec t = {0, 1000000}; nanosleep(&t, 0); } }
	long reads(long) { char c; if (pipes[0] < 0) pipe(pipes); for (;;) read(pipes[0], &c, 1); }
	long gets(long) { char line[10]; if (pipes[0] < 0) pipe(pipes); FILE *f = fdopen(dup(pipes[0]), "r"); for (;;) { fgets(line, 10, f); clearerr(f); } }
	long polls(long) { for (;;) poll(0, 0, -1); }
	long locks(long) { pthread_mutex_lock(&mutex); pthread_mutex_lock(&mutex); return 1; }
	int compare(const void *a, const void *b) { return 1; }
	long sorts(long) { static int v[10000]; for (;;) qsort(v, 10000, sizeof *v, compare); }
	void host(void);
	long calls(long) { for (;;) host(); }
	long allocates(long) { for (;;) free(malloc(turns++ % 1000)); }
	long throws(long) { for (;;) try { throw 1; } catch (int) { turns++; } }
	long well(long x) { return x + 1; }
	}
`

func TestInterrupt(t *testing.T) {
	e := newEngine(t)
	if err := e.Define("host", func() {}); err != nil {
		t.Fatal(err)
	}
	loadCPP(t, e, "endless.cpp", endless)
	for _, function := range []string{"spin", "sleeps", "naps", "reads", "gets", "polls", "locks", "sorts", "calls", "allocates", "throws"} {
		for range 3 {
			ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
			_, err := e.Call(ctx, function, 0)
			cancel()
			var i *livejit.InterruptError
			if !errors.As(err, &i) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s: %v", function, err)
			}
			if i.Foreign != (function == "locks") {
				t.Errorf("%s was interrupted in foreign code: %t\n%+v", function, i.Foreign, i)
			}
			if len(i.Backtrace) == 0 || i.Backtrace[len(i.Backtrace)-1].Function != function {
				t.Errorf("%s: backtrace:\n%+v", function, i)
			}
			if got := call(t, e, "well", 5); got != 6 {
				t.Fatalf("after %s: well(5) = %d", function, got)
			}
		}
	}
}

// deepMetadata is a module in which LLVM follows a chain of metadata by recursion, until its stack is used up.
func deepMetadata() string {
	var b strings.Builder
	b.WriteString("!chain = !{!300000}\n!0 = !{}\n")
	for i := 1; i <= 300_000; i++ {
		fmt.Fprintf(&b, "!%d = !{!%d}\n", i, i-1)
	}
	return b.String()
}

// TestLLVMCrash makes LLVM crash, on two threads at a time, and goes on.
func TestLLVMCrash(t *testing.T) {
	e := newEngine(t)
	text := deepMetadata()
	errs := make(chan error)
	for range 2 {
		go func() {
			_, err := e.Add(background, livejit.IR("deep.ll", text))
			errs <- err
		}()
	}
	for range 2 {
		var c *livejit.CompileError
		if err := <-errs; !errors.As(err, &c) || !c.Fatal || !strings.Contains(err.Error(), "LLVM crashed: Segmentation fault") {
			t.Errorf("crash: %v", err)
		}
	}
	add(t, e, "fib.ll", fib)
	if got := call(t, e, "fib", int64(10)); got != 55 {
		t.Errorf("fib(10) = %d after crashes", got)
	}
}
