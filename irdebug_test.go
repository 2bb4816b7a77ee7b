package livejit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"livejit"
	"livejit/clang"
)

const irFaulting = `; a comment that the module does not keep
define internal i64 @inner(ptr %p, i64 %x) {
entry:
  %y = add i64 %x, 1
  store i64 %y, ptr %p, align 8
  ret i64 %y
}
define i64 @outer(i64 %x) {
  %r = call i64 @inner(ptr null, i64 %x)
  switch i64 %x, label %other [
    i64 1, label %one
  ]
one:
  ret i64 1
other:
  %s = mul i64 %r, 2
  ret i64 %s
}
`

// instructions are the IR instructions that a version's code says it is made from, each once, in the order of the code. Each must
// be at its line of the file that its location names.
func instructions(t *testing.T, e *livejit.Engine, v livejit.Version) []string {
	t.Helper()
	var list []string
	for pc := v.Addr; pc < v.Addr+uintptr(v.Size); pc++ {
		l, ok := e.Symbolize(uint64(pc))
		if !ok || l.Line > 0 != (l.IR != "") {
			t.Fatalf("%+v", l)
		}
		if l.Line == 0 || len(list) > 0 && list[len(list)-1] == l.IR {
			continue
		}
		text, err := os.ReadFile(l.File)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Split(string(text), "\n")[l.Line-1]
		if shown := strings.TrimSuffix(strings.TrimSpace(line), " {"); !strings.HasPrefix(l.IR, shown) || shown == "" {
			t.Errorf("%s:%d is %q, the location says %q", l.File, l.Line, line, l.IR)
		}
		list = append(list, l.IR)
	}
	return list
}

func currentVersion(f *livejit.Function) livejit.Version {
	v := f.Versions()
	return v[len(v)-1]
}

func mustFault(t *testing.T, e *livejit.Engine, name string, args ...any) *livejit.FaultError {
	t.Helper()
	_, err := e.Call(background, name, args...)
	var fault *livejit.FaultError
	if !errors.As(err, &fault) {
		t.Fatalf("%v, want a fault", err)
	}
	return fault
}

// A fault names the IR instruction, of a module compiled whole, function by function or at first calls, at every level, and of
// each version by its own text.
func TestIRDebug(t *testing.T) {
	for name, options := range map[string][]livejit.Option{
		"whole": nil,
		"O2":    {livejit.WithOptLevel(2)},
		"lazy":  {livejit.WithLazy()},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, append(options, livejit.WithIRDebug())...)
			m := add(t, e, "f.ll", irFaulting)
			fault := mustFault(t, e, "outer", 4)
			at := fault.Backtrace[0]
			if at.IR != "store i64 %y, ptr %p, align 8" || at.Function != "inner" || at.Version != 1 || at.Line == 0 || at.Column != 3 {
				t.Errorf("%+v", at)
			}
			wantInOrder(t, fmt.Sprintf("%+v", fault),
				`#0 0x[0-9a-f]+ inner@1\+0x[0-9a-f]+ \(.*/livejit-ir-\d+/\w+\.\d\.ll:\d+:3\)\n\t\tstore i64 %y, ptr %p, align 8$`,
				`#1 0x[0-9a-f]+ outer@1\+0x[0-9a-f]+ \(.*\)\n\t\t%r = call i64 @inner\(ptr null, i64 %x\)$`)
			outer := instructions(t, e, currentVersion(m.Function("outer")))
			for _, want := range []string{"%r = call i64 @inner(ptr null, i64 %x)", "switch i64 %x, label %other [ i64 1, label %one ]"} {
				if name == "O2" { // the switch is none then
					break
				}
				if !strings.Contains(strings.Join(outer, "\n")+"\n", want+"\n") {
					t.Errorf("no %s in %q", want, outer)
				}
			}

			pin, err := m.Function("inner").Pin()
			if err != nil {
				t.Fatal(err)
			}
			old := pin.Version()
			was := instructions(t, e, old)
			replaceIR(t, e, "f.ll", strings.Replace(irFaulting, "add i64 %x, 1", "xor i64 %x, 77", 1))
			again := mustFault(t, e, "outer", 4).Backtrace[0]
			if again.Version != 2 || again.File == at.File || again.IR != at.IR || filepath.Base(again.File)[:6] != "inner." {
				t.Errorf("%+v", again)
			}
			if now := strings.Join(instructions(t, e, currentVersion(m.Function("inner"))), "\n"); !strings.Contains(now, "xor i64 %x, 77") || strings.Contains(now, "add") {
				t.Errorf("new version: %s", now)
			}
			if now := instructions(t, e, old); fmt.Sprint(now) != fmt.Sprint(was) {
				t.Errorf("old version: %q, was %q", now, was)
			}
			pin.Release()
		})
	}
}

// Debug information of the source gives way to that of the IR; lines that move in the source change nothing.
func TestIRDebugOfC(t *testing.T) {
	e := newEngine(t, livejit.WithIRDebug(), livejit.WithDebug())
	source := func(shift int) livejit.Source {
		return clang.Source("boom.c", strings.Repeat("\n", shift)+"static int at(int *p, int i) {\n return p[i]; }\nint boom(int i) { return at((int *)8, i); }\n",
			clang.Options{Flags: []string{"-g"}})
	}
	if _, err := e.Add(background, source(0)); err != nil {
		t.Fatal(err)
	}
	fault := mustFault(t, e, "boom", 0)
	if l := fault.Backtrace[0]; !regexp.MustCompile(`^%\w+ = load i32, ptr %\w+, align 4`).MatchString(l.IR) || !strings.HasSuffix(l.File, ".ll") {
		t.Errorf("%+v", l)
	}
	r, err := e.Replace(background, source(5))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Verdicts {
		if v.Outcome != livejit.Unchanged {
			t.Errorf("%s", v)
		}
	}
}

// Texts go with the code that was compiled from them, those of transactions that fail at once, the directory with the engine.
func TestIRDebugFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	files := func() int {
		t.Helper()
		list, err := filepath.Glob(os.Getenv("TMPDIR") + "/livejit-ir-*/*")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	e := newEngine(t, livejit.WithIRDebug())
	text := func(n int) string {
		return fmt.Sprintf("define i64 @f() { ret i64 %d }\ndefine i64 @g() { ret i64 1 }", n)
	}
	m := add(t, e, "f.ll", text(0))
	for i := range 50 {
		replaceIR(t, e, "f.ll", text(i+1))
	}
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	if n := files(); n != 2 { // of the module, which g is from, and of f
		t.Errorf("%d texts after 50 replacements", n)
	}
	if _, err := e.Add(background, livejit.IR("h.ll", "declare void @nowhere_to_be_found()\ndefine void @h() { call void @nowhere_to_be_found() ret void }")); err == nil {
		t.Error("an undefined symbol was found")
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	if _, err := e.Add(ended, livejit.IR("h.ll", "define void @h() { ret void }")); err == nil {
		t.Error("added under an ended context")
	}
	if n := files(); n != 2 {
		t.Errorf("%d texts after transactions that failed", n)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Quiesce(background); err != nil {
		t.Fatal(err)
	}
	if n := files(); n != 0 {
		t.Errorf("%d texts are left", n)
	}
	add(t, e, "f.ll", text(0))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if list, _ := filepath.Glob(os.Getenv("TMPDIR") + "/*"); len(list) != 0 {
		t.Errorf("left: %q", list)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	if _, err := livejit.New(livejit.WithIRDebug()); err == nil || !strings.Contains(err.Error(), "directory for IR texts") {
		t.Errorf("without a directory: %v", err)
	}
}

// A module that several workers compile together has a text for each share.
func TestIRDebugShares(t *testing.T) {
	var b strings.Builder
	const n = 60
	for i := range n {
		fmt.Fprintf(&b, "define i64 @f%d(i64 %%a) { %%p = inttoptr i64 %%a to ptr  %%v = load i64, ptr %%p  %%r = mul i64 %%v, %d  ret i64 %%r }\n", i, i+3)
	}
	b.WriteString("; " + strings.Repeat("x", 1<<20) + "\n")
	e := newEngine(t, livejit.WithIRDebug())
	add(t, e, "large.ll", b.String())
	for i := range n {
		l := mustFault(t, e, fmt.Sprintf("f%d", i), 0).Backtrace[0]
		if l.IR != "%v = load i64, ptr %p, align 8" || l.Function != fmt.Sprintf("f%d", i) {
			t.Errorf("%+v", l)
		}
		if got := strings.Join(instructions(t, e, currentVersion(e.Function(l.Function))), "\n"); !strings.Contains(got, fmt.Sprintf("mul i64 %%v, %d\n", i+3)) {
			t.Errorf("f%d: %s", i, got)
		}
	}
}

// Objects keep their own debug information.
func TestIRDebugOfObjects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "o.o")
	if err := os.WriteFile(file, compile(t, "clang-22", "o.c", "int o(void) { return 1; }", "-g", "-fPIC"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, livejit.WithIRDebug())
	if _, err := e.Add(background, livejit.File(file)); err != nil {
		t.Fatal(err)
	}
	l, _ := e.Symbolize(uint64(currentVersion(e.Function("o")).Addr))
	if filepath.Base(l.File) != "o.c" || l.IR != "" || l.Line != 1 {
		t.Errorf("%+v", l)
	}
}
