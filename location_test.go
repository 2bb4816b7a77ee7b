package livejit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"livejit"
)

// symbolized returns what the engine says of an address, "" if it knows nothing.
func symbolized(e *livejit.Engine, pc uintptr) string {
	l, ok := e.Symbolize(uint64(pc))
	if !ok {
		return ""
	}
	return l.String()
}

func TestSymbolize(t *testing.T) {
	e := newEngine(t)
	if err := e.Define("host_fn", func(x int64) int64 { return x }); err != nil {
		t.Fatal(err)
	}
	m := add(t, e, "f.ll", `
		declare i64 @strlen(ptr)
		declare i64 @host_fn(i64)
		define i64 @f(ptr %s) { %r = call i64 @strlen(ptr %s)  ret i64 %r }
		define i64 @g(i64 %x) { %r = call i64 @host_fn(i64 %x)  ret i64 %r }`)
	pin, err := e.Function("f").Pin()
	if err != nil {
		t.Fatal(err)
	}
	old := pin.Version()
	replaceIR(t, e, "f.ll", `define i64 @f(ptr %s) { ret i64 7 }`)
	now := e.Function("f").Versions()[1]
	for _, test := range []struct {
		pc   uintptr
		want string
	}{
		{now.Addr, "f@2+0x0"},
		{now.Addr + uintptr(now.Size) - 1, fmt.Sprintf("f@2+%#x", now.Size-1)},
		{old.Addr + 1, "f@1+0x1"},
		{old.Addr + uintptr(old.Size) - 1, fmt.Sprintf("f@1+%#x", old.Size-1)},
		{old.Addr + uintptr(old.Size), ""},
		{e.Function("f").Addr(), "stub of f"},
		{e.Function("g").Addr() + 6, "stub of g"},
		{8, ""},
	} {
		if got := symbolized(e, test.pc); got != test.want {
			t.Errorf("%#x is %q, want %q", test.pc, got, test.want)
		}
	}
	if l, _ := e.Symbolize(uint64(old.Addr) + 1); l.Module != m.Name() || l.Function != "f" || l.Version != 1 || l.Offset != 1 || l.Foreign || l.Stub {
		t.Errorf("%+v", l)
	}
	pin.Release()
	if got := symbolized(e, old.Addr); got != "" {
		t.Errorf("freed code is %q", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := symbolized(e, now.Addr); got != "" {
		t.Errorf("code of a closed module is %q", got)
	}
}

// What is not the engine's own is named by its library or by Go, and flagged.
func TestSymbolizeForeign(t *testing.T) {
	e := newEngine(t)
	add(t, e, "q.ll", "declare ptr @strdup(ptr)\ndefine i64 @q() { ret i64 ptrtoint (ptr @strdup to i64) }")
	strdup := uintptr(call(t, e, "q"))
	l, ok := e.Symbolize(uint64(strdup) + 3)
	if !ok || !l.Foreign || !strings.HasSuffix(l.Function, "strdup") || l.Offset != 3 || !strings.Contains(l.Object, "libc") {
		t.Errorf("%+v, %t", l, ok)
	}
	if got := l.String(); !strings.Contains(got, "strdup+0x3 (libc") {
		t.Errorf("%q", got)
	}
	l, ok = e.Symbolize(uint64(reflect.ValueOf(TestSymbolizeForeign).Pointer()))
	if !ok || !l.Foreign || l.Function != "livejit_test.TestSymbolizeForeign" || l.Offset != 0 || filepath.Base(l.File) != "location_test.go" {
		t.Errorf("%+v, %t", l, ok)
	}
}

// Stubs are known by whom they lead to: functions of the process, pending ones, deleted ones.
func TestSymbolizeStubs(t *testing.T) {
	e := newEngine(t, livejit.WithLazy())
	add(t, e, "s.ll", `
		declare i64 @labs(i64)
		define i64 @lazy(i64 %x) { %r = call i64 @labs(i64 %x)  ret i64 %r }
		define i64 @calls(i64 %x) { %r = call i64 @lazy(i64 %x)  ret i64 %r }`)
	stub := e.Function("lazy").Addr()
	if got := symbolized(e, stub+8); got != "stub of lazy" {
		t.Errorf("pending: %q", got)
	}
	if got := call(t, e, "calls", -4); got != 4 {
		t.Fatal(got)
	}
	if got := symbolized(e, stub); got != "stub of lazy" {
		t.Errorf("loaded: %q", got)
	}
	found := false
	for pc := stub &^ 0xfff; pc < stub|0xfff; pc += 16 {
		found = found || symbolized(e, pc) == "stub of labs"
	}
	if !found {
		t.Error("no stub of labs in the page of stubs")
	}
}

// An object with one section for all its functions is one block: each function of it is found.
func TestSymbolizeOneSection(t *testing.T) {
	dir := t.TempDir()
	src, obj := filepath.Join(dir, "one.c"), filepath.Join(dir, "one.o")
	if err := os.WriteFile(src, []byte("int a(void){return 1;} int b(void){return 2;} static int c(void){return 3;} int d(void){return c();}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("clang-22", "-c", "-O0", "-fno-function-sections", "-o", obj, src).CombinedOutput(); err != nil {
		t.Fatalf("clang: %v\n%s", err, out)
	}
	e := newEngine(t)
	if _, err := e.Add(background, livejit.File(obj)); err != nil {
		t.Fatal(err)
	}
	a := e.Function("a").Versions()[0].Addr
	b := e.Function("b").Versions()[0].Addr
	d := e.Function("d").Versions()[0].Addr
	for pc, want := range map[uintptr]string{a: "a@1+0x0", b: "b@1+0x0", b + 1: "b@1+0x1", b - 1: "a@1+", d: "d@1+0x0", d + 2: "d@1+0x2"} {
		if got := symbolized(e, pc); got != want && !(want == "a@1+" && strings.HasPrefix(got, want)) {
			t.Errorf("%#x is %q, want %q", pc, got, want)
		}
	}
}
