package livejit_test

import (
	"slices"
	"testing"

	"livejit/clang"
)

const unwinding = `
	#include <execinfo.h>
	#include <pthread.h>
	#include <unistd.h>
	#include <unwind.h>
	extern "C" {
	void *seen[64];
	volatile int ended, waiting;
	long by_backtrace() { return backtrace(seen, 64); }
	static _Unwind_Reason_Code note(_Unwind_Context *c, void *n) {
		seen[(*(long *)n)++] = (void *)_Unwind_GetIP(c);
		return *(long *)n == 64 ? _URC_END_OF_STACK : _URC_NO_REASON;
	}
	long by_unwinder() { long n = 0; _Unwind_Backtrace(note, &n); return n; }
	struct Note { ~Note() { ended++; } };
	long middle(long (*f)()) { Note n; return f() + 0 * ended; }
	long outer(long which) { return middle(which ? by_unwinder : by_backtrace) + 0 * ended; }
	long address(long i) { return (long)seen[i]; }
	long wait() { waiting = 1; for (;;) { pthread_testcancel(); usleep(1000); } }
	long leave() { pthread_exit((void *)7); }
	void *waits(void *) { Note n; middle(wait); return 0; }
	void *leaves(void *) { Note n; middle(leave); return 0; }
	long cancelled() {
		pthread_t t;
		void *result;
		ended = waiting = 0;
		pthread_create(&t, 0, waits, 0);
		while (!waiting) usleep(1000);
		pthread_cancel(t);
		pthread_join(t, &result);
		return result == PTHREAD_CANCELED ? ended : -1;
	}
	long left() {
		pthread_t t;
		void *result;
		ended = 0;
		pthread_create(&t, 0, leaves, 0);
		pthread_join(t, &result);
		return result == (void *)7 ? ended : -1;
	}
	}
`

// TestUnwinding looks at JIT frames as libraries do: by backtrace, by the unwinder, and by its forced unwinding at the end of threads.
func TestUnwinding(t *testing.T) {
	eachWay(t, func(t *testing.T, e *cEngine) {
		e.load("unwinding.cpp", unwinding)
		for which, innermost := range []string{"by_backtrace", "by_unwinder"} {
			n := call(t, e.Engine, "outer", which)
			var names []string
			for i := range n {
				if l, ok := e.Symbolize(uint64(call(t, e.Engine, "address", i)) - 1); ok && l.Module != "" {
					names = append(names, l.Function)
				}
			}
			if want := []string{innermost, "middle", "outer"}; !slices.Equal(names, want) {
				t.Errorf("%s sees %v, want %v", innermost, names, want)
			}
		}
		e.want(2, "cancelled")
		e.want(2, "left")
	})
}

// TestSymbolize asks about addresses of every kind.
func TestSymbolizeVersions(t *testing.T) {
	e := newEngine(t)
	load(t, e, clang.Source("m.c", `long f(long x) { return x + 1; } static long g(long x) { return x * 2; } long h(long x) { return g(x); } long v = 3;`, clang.Options{}))
	f := e.Function("f")
	pin, err := f.Pin()
	if err != nil {
		t.Fatal(err)
	}
	old := pin.Version()
	if _, err := e.Replace(background, clang.Source("m.c", `long f(long x) { return x + 100; } static long g(long x) { return x * 2; } long h(long x) { return g(x); } long v = 3;`, clang.Options{})); err != nil {
		t.Fatal(err)
	}
	now := f.Versions()[1]
	for _, tt := range []struct {
		pc   uint64
		want string
		ok   bool
	}{
		{uint64(old.Addr), "f@1+0x0", true},
		{uint64(old.Addr) + 3, "f@1+0x3", true},
		{uint64(now.Addr), "f@2+0x0", true},
		{uint64(e.Modules()[0].Function("g").Versions()[0].Addr) + 1, "g@1+0x1", true},
		{uint64(f.Addr()) + 6, "stub of f", true},
		{8, "0x8", false},
	} {
		l, ok := e.Symbolize(tt.pc)
		if l.String() != tt.want || ok != tt.ok || l.PC != tt.pc {
			t.Errorf("%#x is %v (%t), want %s", tt.pc, l, ok, tt.want)
		}
	}
	pin.Release()
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	if l, ok := e.Symbolize(uint64(old.Addr)); ok && l.Version == 1 {
		t.Errorf("the freed version is still %v", l)
	}
}
