package repl

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func newSession(t testing.TB, lang string) (*Session, *bytes.Buffer) {
	t.Helper()
	var screen bytes.Buffer
	s, err := New(Config{Lang: lang, Out: &screen, Notes: &screen, Talk: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, &screen
}

func input(t testing.TB, s *Session, text string) {
	t.Helper()
	if err := s.Input(context.Background(), text); err != nil {
		t.Fatalf("%s\n%+v", text, err)
	}
}

// tenLines is a function of ten lines, different for each n.
func tenLines(name string, n int) string {
	return fmt.Sprintf(`int %s(int a, int b) {
	int sum = %d;
	for (int i = a; i < b; i++) {
		if (i %% 3 == 0)
			sum += i * %d;
		else
			sum -= i;
	}
	return sum;
}`, name, n, n%7)
}

// TestRedefinitionsTakeNoMemory defines one function again and again: the engine holds no
// more afterwards, and neither does the session. Keeping old versions (a Pin for each) makes it fail.
func TestRedefinitionsTakeNoMemory(t *testing.T) {
	s, screen := newSession(t, "c")
	var bytes uint64
	held := func() string {
		if err := s.engine.Quiesce(context.Background()); err != nil {
			t.Fatal(err)
		}
		stats := s.engine.Stats()
		bytes = 0
		for _, m := range stats.Memory {
			bytes += m.Bytes
		}
		return fmt.Sprintf("%d modules, %d functions, %d symbols, %d pieces, %d retired; %d items, %d changes, %d earlier",
			stats.Modules, stats.Functions, stats.Symbols, stats.Pieces, stats.Retired, len(s.program.items), len(s.changes), len(s.history["f"]))
	}
	define := func(from, to int) {
		for n := from; n < to; n++ {
			input(t, s, tenLines("f", n))
			input(t, s, "g = f(0, 10);")
		}
		screen.Reset()
	}
	input(t, s, "int g;")
	define(0, undoDepth+1)
	before, was := held(), bytes
	define(1000, 1000+undoDepth)
	if after := held(); after != before || bytes > was+64 { // instructions differ in size
		t.Errorf("after %d redefinitions more: %d bytes\n%s\nbefore: %d bytes\n%s", undoDepth, bytes, after, was, before)
	}
	input(t, s, "g")
	if want := fmt.Sprintf("(int) %d\n", 1099+18*(1099%7)-27); screen.String() != want {
		t.Errorf("%q, want %q", screen.String(), want)
	}
}

func TestOpen(t *testing.T) {
	s, _ := newSession(t, "c")
	for text, open := range map[string]bool{
		"int f(int x) {\n": true, "int f(int x) { return ')'; }\n": false, "f(\n": true, "\"(\"\n": false, "/* (\n": true, "// (\n": false,
		"#if X\nint x;\n": true, "#if X\nint x;\n#endif\n": false, "#define F(x) \\\n": true, "f(}\n": false, "R\"(a\n": true, ":load (\n": false,
		"1'000\n": false, "'\\'' + '('\n": false,
	} {
		if got := s.Open(text); got != open {
			t.Errorf("Open(%q) is %v", text, got)
		}
	}
}

func TestSegments(t *testing.T) {
	for text, want := range map[string]string{
		"int i = 0; i++; f(i);":                        "int i = 0;|i++;|f(i);",
		"for (;;) { a; } b;":                           "for (;;) { a; }|b;",
		"if (x) { a; } else { b; } c;":                 "if (x) { a; } else { b; }|c;",
		"do { a; } while (x); b;":                      "do { a; } while (x);|b;",
		"struct P { int x; } p; int f() { } int g;":    "struct P { int x; } p;|int f() { }|int g;",
		"int a[] = { 1, 2 }; { a[0]++; } while (x) y;": "int a[] = { 1, 2 };|{ a[0]++; }|while (x) y;",
	} {
		if got := strings.Join(segments(text), "|"); got != want {
			t.Errorf("%s\n%s\nwant\n%s", text, got, want)
		}
	}
}

func TestGiven(t *testing.T) {
	for text, want := range map[string]string{
		"int x = y, z[N], *p;": "p x z", "struct P { int a; } s;": "P s", "enum E e = B;": "e", "int f(int a) { return b; }": "f",
		"typedef struct T T;": "T", "class D : B { int a; };": "D", "using namespace n;": "", "using T = U;": "T", "int C::m() { }": "m",
	} {
		var names []string
		for n := range given(text) {
			names = append(names, n)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
}

// TestFailureChangesNothing: whatever is wrong in an input, the program is as it was before.
func TestFailureChangesNothing(t *testing.T) {
	s, screen := newSession(t, "c")
	for _, text := range []string{"struct P { int x; };", "struct P p = { 3 };", "int f(void) { return p.x; }", "#define N 4", "extern int nowhere;"} {
		input(t, s, text)
	}
	state := func() string {
		var b strings.Builder
		for _, i := range s.program.sorted() {
			fmt.Fprintln(&b, i.key, i.order, i.text, i.broken, i.uses)
		}
		return b.String() + fmt.Sprint(len(s.changes), s.engine.Function("h") != nil, s.engine.Function("i") != nil)
	}
	before := state()
	for _, text := range []string{
		"int f(void) { return 1 }", "struct P { nonsense y; };", "int g(void) { return nowhere; }", "#include \"nowhere.h\"", "#if", "p.y", "f(;",
		"int h(void) { return 1; } int i(void) { return q; }", ":delete p", ":load nowhere.c", ":undo nothing",
	} {
		screen.Reset()
		if err := s.Input(context.Background(), text); err == nil {
			t.Errorf("%s: no error\n%s", text, screen)
		}
		if after := state(); after != before {
			t.Errorf("%s changed\n%s\nto\n%s", text, before, after)
		}
	}
	screen.Reset()
	input(t, s, "f()")
	if screen.String() != "(int) 3\n" {
		t.Errorf("%q", screen.String())
	}
}

// BenchmarkPrompt is the time from Enter to ready for a function of ten lines: the median over
// a session of 1,000 new functions, of its first and last hundred, and of 1,000 redefinitions.
func BenchmarkPrompt(b *testing.B) {
	median := func(d []time.Duration) float64 {
		d = slices.Sorted(slices.Values(d))
		return d[len(d)/2].Seconds() * 1e3
	}
	for b.Loop() {
		s, _ := newSession(b, "c")
		s.config.Talk = false
		var fresh, again []time.Duration
		for n := range 1000 {
			begin := time.Now()
			input(b, s, tenLines(fmt.Sprintf("f%d", n), n))
			fresh = append(fresh, time.Since(begin))
		}
		for n := range 1000 {
			begin := time.Now()
			input(b, s, tenLines(fmt.Sprintf("f%d", n), n+1))
			again = append(again, time.Since(begin))
		}
		b.ReportMetric(median(fresh), "ms/definition")
		b.ReportMetric(median(fresh[:100]), "ms/first-100")
		b.ReportMetric(median(fresh[900:]), "ms/last-100")
		b.ReportMetric(median(again), "ms/redefinition")
	}
}
