package livejit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"livejit"
	"livejit/clang"
)

// firstLine is where a function's version begins, "file:line".
func firstLine(t testing.TB, e *livejit.Engine, pc uintptr) string {
	t.Helper()
	l, ok := e.Symbolize(uint64(pc))
	if !ok {
		t.Fatalf("%#x is unknown", pc)
	}
	return fmt.Sprintf("%s@%d %s:%d", l.Function, l.Version, l.File, l.Line)
}

// Lines stay right for each version while functions are replaced one by one, and those of
// functions that moved in their file are the new ones.
func TestDebugLines(t *testing.T) {
	e := newEngine(t, livejit.WithDebug())
	source := func(shift, factor int) livejit.Source {
		return clang.Source("calc.c", strings.Repeat("\n", shift)+fmt.Sprintf(
			"static int twice(int x) {\n  return x * %d;\n}\nint calc(int x) {\n  return twice(x)\n    + 1;\n}\nint other(void) { return 3; }\n", factor),
			clang.Options{Flags: []string{"-g"}})
	}
	m, err := e.Add(background, source(0, 2))
	if err != nil {
		t.Fatal(err)
	}
	calc, twice, other := m.Function("calc"), m.Function("twice"), m.Function("other")
	pin, err := twice.Pin()
	if err != nil {
		t.Fatal(err)
	}
	defer pin.Release()
	old := pin.Version().Addr
	check := func(f *livejit.Function, want string) {
		t.Helper()
		v := f.Versions()
		if got := firstLine(t, e, v[len(v)-1].Addr); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	check(twice, "twice@1 calc.c:1")
	check(calc, "calc@1 calc.c:4")
	check(other, "other@1 calc.c:8")

	r, err := e.Replace(background, source(0, 3)) // one function alone
	if err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, r, "unchanged calc@1", "replaced twice@2", "unchanged other@1")
	check(twice, "twice@2 calc.c:1")
	check(calc, "calc@1 calc.c:4")
	if got := firstLine(t, e, old); got != "twice@1 calc.c:1" {
		t.Errorf("old version: %s", got)
	}

	if r, err = e.Replace(background, source(10, 3)); err != nil { // lines move
		t.Fatal(err)
	}
	wantVerdicts(t, r, "replaced calc@2: its lines moved", "replaced twice@3: its lines moved", "replaced other@2: its lines moved")
	check(twice, "twice@3 calc.c:11")
	check(other, "other@2 calc.c:18")
	if got := firstLine(t, e, old); got != "twice@1 calc.c:1" {
		t.Errorf("old version: %s", got)
	}

	// Every line of calc is found, with columns.
	found := make(map[string]bool)
	v := calc.Versions()
	for pc := v[len(v)-1].Addr; pc < v[len(v)-1].Addr+uintptr(v[len(v)-1].Size); pc++ {
		l, _ := e.Symbolize(uint64(pc))
		found[fmt.Sprintf("%d:%d", l.Line, l.Column)] = true
	}
	for _, want := range []string{"15:16", "15:10", "16:5", "15:3"} {
		if !found[want] {
			t.Errorf("line and column %s not found among %v", want, found)
		}
	}
	l, _ := e.Symbolize(uint64(v[len(v)-1].Addr))
	if got := l.String(); got != "calc@2+0x0 (calc.c:14)" && !strings.HasPrefix(got, "calc@2+0x0 (calc.c:14:") {
		t.Error(got)
	}
}

// Objects of two compilers, in two versions of DWARF, with functions in one section each and all
// in one.
func TestDebugLinesOfObjects(t *testing.T) {
	for _, args := range [][]string{
		{"clang-22", "-g"},
		{"clang-22", "-gdwarf-4", "-ffunction-sections"},
		{"clang-22", "-g", "-gz=zlib", "-ffunction-sections"},
		{"gcc", "-g"},
		{"gcc", "-gdwarf-4", "-ffunction-sections"},
		{"g++", "-x", "c++", "-g", "-ffunction-sections"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			dir := t.TempDir()
			text := "static int keep(int x) {\n return x + 1; }\n#ifdef __cplusplus\nextern \"C\"\n#endif\nint f(int x) {\n if (x > 1)\n  return keep(x);\n return 7; }\n#ifdef __cplusplus\nextern \"C\"\n#endif\nint g(void) { return f(3); }\n__thread int tls = 5;\n"
			if err := os.WriteFile(filepath.Join(dir, "o.c"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			object := filepath.Join(dir, "o.o")
			cmd := exec.Command(args[0], append(args[1:], "-fPIC", "-c", "o.c", "-o", object)...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			e := newEngine(t, livejit.WithDebug())
			if _, err := e.Add(background, livejit.File(object)); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"f": "f@1 o.c:6", "g": "g@1 o.c:13"} {
				if got := firstLine(t, e, e.Function(name).Versions()[0].Addr); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

// A source that was named by its absolute path is found by its name, wherever the compiler ran, and so are headers beside it. (debug/dwarf makes
// /cwd/abs/a.c of it in DWARF 5.) clang notes the names of files below its working directory relative to that.
func TestDebugLinesAbsolute(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.c")
	for name, text := range map[string]string{file: "#include \"b.h\"\nint a(void) { return b(); }\n", filepath.Join(dir, "b.h"): "static int b(void) { return 1; }\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, cwd := range []string{".", "/", dir, os.TempDir()} {
		t.Chdir(cwd)
		for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
			e := newEngine(t, livejit.WithDebug())
			m, err := e.Add(background, clang.File(file, clang.Options{Flags: []string{version}}))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"a": file + ":2", "b": filepath.Join(dir, "b.h") + ":1"} {
				l, _ := e.Symbolize(uint64(m.Function(name).Versions()[0].Addr))
				found := l.File
				if !filepath.IsAbs(found) {
					found = filepath.Join(cwd, found)
				}
				if got := fmt.Sprintf("%s:%d", found, l.Line); got != want {
					t.Errorf("in %s with %s: %s is at %s, want %s", cwd, version, name, got, want)
				}
			}
		}
	}
}

// Without the option nothing is kept and nothing is said.
func TestNoDebugWithoutOption(t *testing.T) {
	e := newEngine(t)
	if _, err := e.Add(background, clang.Source("n.c", "int n(void) { return 1; }", clang.Options{Flags: []string{"-g"}})); err != nil {
		t.Fatal(err)
	}
	if l, ok := e.Symbolize(uint64(e.Function("n").Versions()[0].Addr)); !ok || l.File != "" || l.Line != 0 {
		t.Errorf("%+v", l)
	}
}
