package watch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"livejit"
	"livejit/clang"
)

// edit is one change of a program, what has to be said of it, and what f returns before and
// after. Every program has a function f without arguments that returns an int.
type edit struct {
	name          string
	ext           string // of the edited file; default ".c"
	before, after string
	header        [2]string // of h.h, where the program includes it, before and after
	other         string    // a second file, other.c, that is not edited
	returns       [2]int32
	want          []string // in what is said
	never         []string // not in what is said
}

var nothingApplied = []string{"applied", "refused", "added", "removed"}

var edits = []edit{
	{name: "body", before: "int f(void) { return 1; }", after: "int f(void) { return 2; }", returns: [2]int32{1, 2}, want: []string{"applied f@2 ("}},
	{name: "body, the rest unchanged", before: "int g(void) { return 3; } int f(void) { return g(); }", after: "int g(void) { return 4; } int f(void) { return g(); }",
		returns: [2]int32{3, 4}, want: []string{"applied g@2", "1 definition unchanged"}, never: []string{"applied f"}},
	{name: "new function", before: "int f(void) { return 1; }", after: "int g(void) { return 7; } int f(void) { return g(); }",
		returns: [2]int32{1, 7}, want: []string{"added g@1", "applied f@2"}},
	{name: "new static function", before: "int f(void) { return 1; }", after: "static int g(void) { return 7; } int f(void) { return g(); }",
		returns: [2]int32{1, 7}, want: []string{"added g@1", "applied f@2"}},
	{name: "removed function", before: "int g(void) { return 1; } int f(void) { return 5; }", after: "int f(void) { return 5; }",
		returns: [2]int32{5, 5}, want: []string{"removed g"}, never: []string{"applied"}},
	{name: "removed function that another file calls", before: "int g(void) { return 1; } int h(void) { return 2; }", after: "int h(void) { return 3; }",
		other: "int g(void), h(void); int f(void) { return g() + h(); }", returns: [2]int32{3, 3}, want: []string{"refused", "g", "the program runs on"}, never: []string{"applied h"}},
	{name: "renamed function", before: "int g(void) { return 1; } int f(void) { return g(); }", after: "int h(void) { return 2; } int f(void) { return h(); }",
		returns: [2]int32{1, 2}, want: []string{"added h@1", "applied f@2", "removed g"}},
	{name: "changed signature, callers changed", before: "int g(int a) { return a; } int f(void) { return g(1); }", after: "int g(int a, int b) { return a + b; } int f(void) { return g(1, 5); }",
		returns: [2]int32{1, 6}, want: []string{"applied f@2", "g@"}},
	{name: "changed signature, a caller in another file not changed", before: "int g(int a) { return a; }", after: "long g(long a, long b) { return a + b; }",
		other: "int g(int); int f(void) { return g(4); }", returns: [2]int32{4, 4}, want: []string{"refused: g", "restart needed", "the program runs on"}},
	{name: "changed return type, callers changed", before: "int g(void) { return 1; } int f(void) { return g(); }", after: "double g(void) { return 2.5; } int f(void) { return (int)(g() * 2); }",
		returns: [2]int32{1, 5}, want: []string{"applied f@2"}},
	{name: "new global", before: "int f(void) { return 1; }", after: "int n = 8; int f(void) { return n; }", returns: [2]int32{1, 8}, want: []string{"added n", "applied f@2"}},
	{name: "changed initialiser", before: "int n = 8; int f(void) { return n; }", after: "int n = 9; int f(void) { return n; }",
		returns: [2]int32{8, 8}, want: []string{"kept n: "}, never: []string{"applied"}},
	{name: "removed global", before: "int n = 8; int f(void) { return 2; }", after: "int f(void) { return 2; }", returns: [2]int32{2, 2}, want: []string{"removed n"}},
	{name: "global keeps its value", before: "int n; int f(void) { return ++n; }", after: "int n; int f(void) { return ++n + 100; }", returns: [2]int32{1, 102}, want: []string{"applied f@2"}},
	{name: "static global keeps its value", before: "static int n; int f(void) { return ++n; }", after: "static int n; int f(void) { return ++n + 100; }", returns: [2]int32{1, 102}, want: []string{"applied f@2"}},
	{name: "static local keeps its value", before: "int f(void) { static int n; return ++n; }", after: "int f(void) { static int n; return ++n * 10; }", returns: [2]int32{1, 20}, want: []string{"applied f@2"}},
	{name: "grown static local", before: "int f(void) { static int n; return ++n; }", after: "int f(void) { static long n[2]; return ++n[1]; }",
		returns: [2]int32{1, 2}, want: []string{"refused: f.n: it grew from 4 to 16 bytes, restart needed"}, never: []string{"applied"}},
	{name: "grown struct", before: "struct s { int a; } v; int f(void) { return ++v.a; }", after: "struct s { int a, b; } v; int f(void) { return ++v.b; }",
		returns: [2]int32{1, 2}, want: []string{"refused: v: struct s grew from 4 to 8 bytes; struct s: member b is new, restart needed"}, never: []string{"applied"}},
	{name: "shrunk array", before: "int v[4]; int f(void) { return ++v[0]; }", after: "int v[2]; int f(void) { return ++v[0]; }", returns: [2]int32{1, 2}, want: []string{"refused: v"}},
	{name: "members of a struct change places", before: "struct s { int a, b; } v; int f(void) { return ++v.a; }", after: "struct s { int b, a; } v; int f(void) { return ++v.a; }",
		returns: [2]int32{1, 2}, want: []string{"refused: v", "restart needed"}, never: []string{"applied"}},
	{name: "enum", before: "enum e { A = 1 }; int f(void) { return A; }", after: "enum e { Z, A = 6 }; int f(void) { return A; }", returns: [2]int32{1, 6}, want: []string{"applied f@2"}},
	{name: "macro in a header", before: "#include \"h.h\"\nint f(void) { return N; }", header: [2]string{"#define N 1\n", "#define N 20\n"}, returns: [2]int32{1, 20}, want: []string{"applied f@2"}},
	{name: "inline function in a header", before: "#include \"h.h\"\nint f(void) { return g(); }", header: [2]string{"static inline int g(void) { return 1; }\n", "static inline int g(void) { return 9; }\n"},
		returns: [2]int32{1, 9}, want: []string{"applied g@2"}, never: []string{"applied f"}},
	{name: "comment only", before: "int f(void) { return 1; }", after: "/* one */ int f(void) { /* two */ return 1; }", returns: [2]int32{1, 1}, want: []string{"1 definition unchanged"}, never: nothingApplied},
	{name: "line shift only", before: "int f(void) { return 1; }", after: "\n\n\nint f(void) {\n return 1; }", returns: [2]int32{1, 1}, want: []string{"1 definition unchanged"}, never: nothingApplied},
	{name: "functions change places", before: "int g(void) { return 2; } int f(void) { return 1; }", after: "int f(void) { return 1; } int g(void) { return 2; }", returns: [2]int32{1, 1}, want: []string{"2 definitions unchanged"}, never: nothingApplied},
	{name: "string constant", before: "const char *s(void) { return \"a\"; } int f(void) { return s()[0]; }", after: "const char *s(void) { return \"b\"; } int f(void) { return s()[0]; }",
		returns: [2]int32{'a', 'b'}, want: []string{"applied s@2"}, never: []string{"applied f"}},
	{name: "floating-point constant", before: "int f(void) { volatile double d = 1.5; return d * 2; }", after: "int f(void) { volatile double d = 2.5; return d * 2; }", returns: [2]int32{3, 5}, want: []string{"applied f@2"}},
	{name: "function pointer in a table", before: "int g(void) { return 1; } int (*table[])(void) = {g}; int f(void) { return table[0](); }", after: "int g(void) { return 5; } int (*table[])(void) = {g}; int f(void) { return table[0](); }",
		returns: [2]int32{1, 5}, want: []string{"applied g@2"}, never: []string{"applied f"}},
	{name: "switch", before: "int n = 3; int f(void) { switch (n) { case 1: return 1; case 2: return 4; case 3: return 9; case 4: return 16; } return 0; }",
		after: "int n = 3; int f(void) { switch (n) { case 1: return 1; case 2: return 8; case 3: return 27; case 4: return 64; } return 0; }", returns: [2]int32{9, 27}, want: []string{"applied f@2"}},
	{name: "thread-local keeps its value", before: "_Thread_local int t = 5; int f(void) { return t; }", after: "_Thread_local int t = 5; int f(void) { return t + 1; }", returns: [2]int32{5, 6}, want: []string{"applied f@2"}},
	{name: "grown thread-local", before: "_Thread_local int t = 5; int f(void) { return t; }", after: "_Thread_local long t[3] = {6}; int f(void) { return t[0]; }", returns: [2]int32{5, 5}, want: []string{"refused: t"}, never: []string{"applied"}},
	{name: "syntax error", before: "int f(void) { return 1; }", after: "int f(void) { return 1 }", returns: [2]int32{1, 1}, want: []string{"error: expected ';'", "^", "has errors; the program runs on"}, never: nothingApplied},
	{name: "call of what nobody defines", before: "int f(void) { return 1; }", after: "int nowhere(void); int f(void) { return nowhere(); }", returns: [2]int32{1, 1}, want: []string{"nowhere", "the program runs on"}, never: []string{"applied f"}},
	{name: "method", ext: ".cpp", before: "struct c { int m(); }; int c::m() { return 1; } extern \"C\" int f() { return c().m(); }", after: "struct c { int m(); }; int c::m() { return 2; } extern \"C\" int f() { return c().m(); }",
		returns: [2]int32{1, 2}, want: []string{"applied c::m()@2"}, never: []string{"applied f"}},
	{name: "constructor of a class", ext: ".cpp", before: "struct c { int v; c(); }; c::c() : v(1) {} extern \"C\" int f() { return c().v; }", after: "struct c { int v; c(); }; c::c() : v(4) {} extern \"C\" int f() { return c().v; }",
		returns: [2]int32{1, 4}, want: []string{"applied c::c()@2"}},
	{name: "virtual function", ext: ".cpp", before: "struct c { virtual int m(); }; int c::m() { return 1; } c v; extern \"C\" int f() { c *volatile p = &v; return p->m(); }",
		after: "struct c { virtual int m(); }; int c::m() { return 2; } c v; extern \"C\" int f() { c *volatile p = &v; return p->m(); }", returns: [2]int32{1, 2}, want: []string{"applied c::m()@2"}, never: []string{"applied f"}},
	{name: "new virtual function", ext: ".cpp", before: "struct c { virtual int m(); }; int c::m() { return 1; } c v; extern \"C\" int f() { c *volatile p = &v; return p->m(); }",
		after: "struct c { virtual int n(); virtual int m(); }; int c::n() { return 7; } int c::m() { return 2; } c v; extern \"C\" int f() { c *volatile p = &v; return p->n(); }", returns: [2]int32{1, 1}, want: []string{"refused: vtable for c: the virtual functions of its class changed"}, never: []string{"applied"}},
	{name: "new member of a class", ext: ".cpp", before: "struct c { int a = 1; int m() { return a; } } v; extern \"C\" int f() { return v.m(); }",
		after: "struct c { int a = 1, b = 2; int m() { return a + b; } } v; extern \"C\" int f() { return v.m(); }", returns: [2]int32{1, 1}, want: []string{"refused: v"}, never: []string{"applied"}},
	{name: "new member of a class with virtual functions", ext: ".cpp", before: "struct c { int a; virtual int m(); }; int c::m() { return 1; } extern \"C\" int f() { c v; c *volatile p = &v; return p->m(); }",
		after: "struct c { int a, b; virtual int m(); }; int c::m() { return 2; } extern \"C\" int f() { c v; c *volatile p = &v; return p->m(); }", returns: [2]int32{1, 2}, want: []string{"applied c::m()@2"}, never: []string{"refused"}},
	{name: "grown struct behind pointers", before: "#include <stdlib.h>\nstruct s { int a; }; static struct s *p; int f(void) { if (!p) p = calloc(1, sizeof *p); return ++p->a; }",
		after: "#include <stdlib.h>\nstruct s { int b, a; }; static struct s *p; int f(void) { if (!p) p = calloc(1, sizeof *p); return ++p->a; }", returns: [2]int32{1, 2}, want: []string{"refused"}, never: []string{"applied"}},
	{name: "new constructor function", before: "int n; int f(void) { return n; }", after: "int n; __attribute__((constructor)) static void start(void) { n = 5; } int f(void) { return n; }", returns: [2]int32{0, 5}, want: []string{"added start"}},
	{name: "template", ext: ".cpp", before: "template <class T> T g(T x) { return x; } extern \"C\" int f() { return g(3); }", after: "template <class T> T g(T x) { return x * x; } extern \"C\" int f() { return g(3); }",
		returns: [2]int32{3, 9}, want: []string{"applied int g<int>(int)@2"}, never: []string{"applied f"}},
	{name: "lambda", ext: ".cpp", before: "extern \"C\" int f() { auto g = [](int x) { return x; }; return g(3); }", after: "extern \"C\" int f() { auto g = [](int x) { return x + 4; }; return g(3); }",
		returns: [2]int32{3, 7}, want: []string{"applied "}},
	{name: "exception", ext: ".cpp", before: "int g() { throw 1; } extern \"C\" int f() { try { return g(); } catch (int x) { return x; } }", after: "int g() { throw 6; } extern \"C\" int f() { try { return g(); } catch (int x) { return x; } }",
		returns: [2]int32{1, 6}, want: []string{"applied g()@2"}},
}

// TestEdits: the verdict about each kind of edit, and what the program does afterwards.
func TestEdits(t *testing.T) {
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) { e.run(t) })
	}
}

func (e edit) run(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if e.ext == "" {
		e.ext = ".c"
	}
	files := []string{put("p"+e.ext, e.before)}
	if e.other != "" {
		files = append(files, put("other.c", e.other))
	}
	put("h.h", e.header[0])
	eng, err := livejit.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	var said bytes.Buffer
	w, err := New(Config{Engine: eng, Files: files, Out: &said, Clang: clang.Options{Flags: []string{"-g"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx := context.Background()
	if w.refresh(ctx); !w.loaded {
		t.Fatalf("not loaded: %s", &said)
	}
	call := func(want int32, when string) {
		got, err := eng.Call(ctx, "f")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("f() = %v, %v %s; want %d", got, err, when, want)
		}
	}
	call(e.returns[0], "before")
	if e.after != "" {
		put("p"+e.ext, e.after)
	}
	if e.header[1] != "" {
		put("h.h", e.header[1])
	}
	said.Reset()
	w.refresh(ctx)
	call(e.returns[1], "after")
	for _, want := range e.want {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not said in:\n%s", want, &said)
		}
	}
	for _, never := range e.never {
		if strings.Contains("\n"+said.String(), "\n"+never) {
			t.Errorf("%q is said in:\n%s", never, &said)
		}
	}
}
