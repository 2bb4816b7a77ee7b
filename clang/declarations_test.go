package clang_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"livejit/clang"
)

// declare returns what clang says that text declares, one line each.
func declare(t *testing.T, lang, text string) ([]string, []clang.Declaration, error) {
	t.Helper()
	var list []clang.Declaration
	_, err := clang.Source("x.c", text, clang.Options{Lang: lang, Declarations: func(l []clang.Declaration) { list = l }}).Generate(context.Background())
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("%s %s%s %s [%s]", d.Kind, d.Class, d.Name, d.Declaration, text[d.Range[0]:d.Range[1]]))
	}
	return lines, list, err
}

func TestDeclarations(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"c", "#include <stddef.h>\nstruct P { int x; } p, *q = &p;", `
			type P  [struct P { int x; }]
			variable p struct P p [struct P { int x; } p]
			variable q struct P *q [struct P { int x; } p, *q = &p]`},
		{"c", "static int f(int a[3]) { return *a; } int g(void);", `
			function f int (f)(int *) [static int f(int a[3]) { return *a; }]
			function g int (g)(void) [int g(void)]`},
		{"c", "typedef enum { A, B } E; ;", `
			type   [enum { A, B }]
			typedef E  [typedef enum { A, B } E]
			empty   [;]`},
		{"c++", "namespace n { int x; } template <class T> T id(T x) { return x; } struct C { int m(); }; int C::m() { return 1; }", `
			other Namespacen  [namespace n { int x; }]
			other FunctionTemplateid  [template <class T> T id(T x) { return x; }]
			type C  [struct C { int m(); }]
			method C::m int (m)() [int C::m() { return 1; }]`},
	} {
		lines, _, err := declare(t, c.lang, c.text)
		want := strings.ReplaceAll(strings.TrimSpace(c.want), "\t\t\t", "")
		if got := strings.Join(lines, "\n"); got != want || err != nil {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.text, err, got, want)
		}
	}

	_, list, err := declare(t, "c", "#define N 3\nint a[N] = {1}, n = f();")
	if err == nil || len(list) != 2 || list[1].Name != "n" || list[0].Layout.Count != 3 || list[0].Layout.Element.Size != 4 {
		t.Errorf("with an error in it: %v, %+v", err, list)
	}
	text := "struct S { char c; union { int i; float f; } u; unsigned b : 3; enum { X = -2 } e; const char *s; } s = { 1 };"
	_, list, err = declare(t, "c", text)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %+v", err, list)
	}
	var fields []string
	for _, f := range list[1].Layout.Fields {
		fields = append(fields, fmt.Sprintf("%s %s %d %d", f.Name, f.Type.Kind, f.Offset, f.Bits))
	}
	if got := strings.Join(fields, ", "); got != "c char 0 0, u union 32 0, b unsigned 64 3, e enum 96 0, s string 128 0" {
		t.Errorf("fields %s", got)
	}
	if init := list[1].Init; text[init[0]:init[1]] != "{ 1 }" || list[1].Symbol != "s" {
		t.Errorf("initialiser %v, symbol %q", init, list[1].Symbol)
	}
}

// TestPrecompile uses a precompiled header, whose declarations are not the source's own.
func TestPrecompile(t *testing.T) {
	dir := t.TempDir()
	header, out := filepath.Join(dir, "h.h"), filepath.Join(dir, "h.pch")
	if err := os.WriteFile(header, []byte("#include <stddef.h>\ntypedef size_t length;\n#define N 4\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := clang.Precompile(ctx, header, out, clang.Options{}); err != nil {
		t.Fatal(err)
	}
	var list []clang.Declaration
	_, err := clang.Source("x.c", "length f(void) { return N; }", clang.Options{
		Flags: []string{"-include-pch", out}, Declarations: func(l []clang.Declaration) { list = l },
	}).Generate(ctx)
	if err != nil || len(list) != 1 || list[0].Declaration != "length (f)(void)" {
		t.Errorf("%v, %+v", err, list)
	}
	if err := clang.Precompile(ctx, filepath.Join(dir, "nowhere.h"), out, clang.Options{}); err == nil {
		t.Error("a header that is not there was precompiled")
	}
}
