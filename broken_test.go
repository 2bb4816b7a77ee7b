package livejit_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"livejit"
	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
)

const mutated = `
extern long strtol(const char *, char **, int);
extern long (*table[])(long);
static const char digits[] = "42";
__attribute__((common)) long shared;
long variable = 3;
__thread long thread = 4;
static long local(long x) { return x + variable; }
__attribute__((weak)) long weak(long x) { return strtol(digits, 0, 10) + thread; }
long (*table[])(long) = {local, weak};
long use(long x) { return table[x & 1](x) + shared; }
`

// TestBrokenObjects loads an object cut off at every length and with every byte changed in
// several ways. Each load fails with a typed error or succeeds; the engine stays usable.
// Nothing of the objects is executed: they have no constructors, and one whose change gives
// it some, or an indirect function, is left out.
func TestBrokenObjects(t *testing.T) {
	good := compile(t, "clang-22", "mutated.c", mutated, "-O1", "-fPIC", "-ffunction-sections", "-fcommon")
	load(t, newEngine(t), livejit.Object("good.o", good))

	e := newEngine(t)
	add(t, e, "base", "define i64 @base(i64 %x) { ret i64 %x }")
	before := inUse(e)
	loaded, failed, left := 0, 0, 0
	try := func(what string, at int, data []byte) {
		if runsCode(data) {
			left++
			return
		}
		m, err := e.Add(background, livejit.Object("broken.o", data))
		switch {
		case err != nil:
			failed++
			if !typed(err) {
				t.Errorf("%s at %#x: an error without a type: %v", what, at, err)
			}
		case what == "truncated":
			t.Errorf("an object cut off at %#x was loaded", at)
		default:
			loaded++
		}
		if m != nil {
			if err := m.Close(); err != nil {
				t.Errorf("%s at %#x: close: %v", what, at, err)
			}
		}
		if after := inUse(e); !reflect.DeepEqual(after, before) {
			t.Fatalf("%s at %#x changed the engine:\n%+v\n%+v", what, at, after, before)
		}
	}
	for n := range good {
		try("truncated", n, good[:n])
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(good); i += step {
		for _, mask := range []byte{0x01, 0x10, 0x80, 0xff} {
			data := slices.Clone(good)
			data[i] ^= mask
			try("flipped", i, data)
		}
	}
	t.Logf("%d bytes: %d objects loaded, %d refused, %d left out", len(good), loaded, failed, left)
	if got := call(t, e, "base", 6); got != 6 {
		t.Errorf("base(6) = %d", got)
	}
	load(t, e, livejit.Object("good.o", good))
	if got := call(t, e, "use", 1); got != 46 {
		t.Errorf("use(1) = %d, want 46", got)
	}
}

// TestBrokenIR loads IR text and bitcode cut off at every length.
func TestBrokenIR(t *testing.T) {
	e := newEngine(t)
	before := inUse(e)
	text := "@v = global i64 1\n@s = private constant [3 x i8] c\"ab\\00\"\n" + fib + "\n!0 = !{i32 1}\n"
	code, err := livejit.Split(livejit.IR("fib", text))
	if err != nil {
		t.Fatal(err)
	}
	try := func(kind string, n int, source livejit.Source) {
		m, err := e.Add(background, source)
		if err != nil && !errors.As(err, new(*livejit.CompileError)) {
			t.Errorf("%s of %d bytes: an error without a type: %v", kind, n, err)
		}
		if m != nil { // the text of some lengths is a smaller module
			if err := m.Close(); err != nil {
				t.Errorf("%s of %d bytes: close: %v", kind, n, err)
			}
		}
		if after := inUse(e); !reflect.DeepEqual(after, before) {
			t.Fatalf("%s of %d bytes changed the engine:\n%+v\n%+v", kind, n, after, before)
		}
	}
	for n := range text {
		try("text", n, livejit.IR("cut.ll", text[:n]))
	}
	for n := range code[0].Bitcode {
		try("bitcode", n, livejit.Bitcode("cut.bc", code[0].Bitcode[:n]))
	}
	add(t, e, "fib", text)
	if got := call(t, e, "fib", 10); got != 55 {
		t.Errorf("fib(10) = %d", got)
	}
}

// TestErrorsShowTheirDetail: %+v shows lines of source, of one error and of several.
func TestErrorsShowTheirDetail(t *testing.T) {
	e := newEngine(t)
	const caret = "^"
	a, b := livejit.IR("a.ll", "define i64 @a( { ret i64 1 }"), livejit.IR("b.ll", "define i64 @b) { ret i64 1 }")
	for _, c := range []struct {
		sources []livejit.Source
		short   string
	}{
		{[]livejit.Source{a}, "a.ll:1:18: error: expected type"},
		{[]livejit.Source{a, b}, "a.ll:1:18: error: expected type\nb.ll:1:14: error: expected '(' in function argument list"},
	} {
		_, err := e.Add(background, c.sources...)
		if err == nil || err.Error() != c.short || fmt.Sprint(err) != c.short {
			t.Errorf("%%v is %q, want %q", fmt.Sprint(err), c.short)
		}
		if long := fmt.Sprintf("%+v", err); strings.Count(long, caret) != len(c.sources) || !strings.Contains(long, "define i64 @a( {") {
			t.Errorf("%%+v is %q", long)
		}
		if !errors.As(err, new(*livejit.CompileError)) {
			t.Errorf("%T, want a CompileError", err)
		}
	}
}

// FuzzObject loads anything that is taken for an object beside a module whose names it may
// define or need. It is refused with a typed error or loaded, and leaves nothing behind.
func FuzzObject(f *testing.F) {
	f.Add(compile(f, "clang-22", "mutated.c", mutated, "-O1", "-fPIC", "-ffunction-sections", "-fcommon"))
	f.Add(compile(f, "gcc", "mutated.c", mutated, "-O2", "-g", "-fPIC"))
	f.Add(compile(f, "clang++-22", "mutated.cpp", "inline long count() { static long n; return ++n; } long use() { return count(); }", "-Os"))
	f.Add(compile(f, "clang++-22", "mutated.cpp", "long base(long); long f(long x) { try { return base(x); } catch (int i) { return i; } }", "-O1", "-fPIC"))
	e := newEngine(f)
	add(f, e, "base", "define i64 @base(i64 %x) { ret i64 %x }\n@variable = global i64 1\ndefine weak i64 @weak(i64 %x) { ret i64 %x }")
	before := inUse(e)
	f.Fuzz(func(t *testing.T, data []byte) {
		if runsCode(data) {
			t.Skip("loading it runs code")
		}
		m, err := e.Add(background, livejit.Object("fuzz.o", data))
		if err != nil && !typed(err) {
			t.Errorf("an error without a type: %v", err)
		}
		if m != nil {
			if err := m.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if after := inUse(e); !reflect.DeepEqual(after, before) {
			t.Errorf("the engine changed:\n%+v\n%+v", after, before)
		}
	})
}

// typed says whether err is, or joins only, errors that the documentation of Add names.
func typed(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !typed(e) })
	}
	for _, target := range []any{new(*livejit.FormatError), new(*livejit.UndefinedError), new(*livejit.DuplicateError),
		new(*livejit.RelocationError), new(*livejit.MemoryError)} {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

// runsCode says whether loading the object might run code of it.
func runsCode(data []byte) bool {
	file, err := elfobj.Read("broken.o", data)
	if err != nil {
		return false
	}
	g, err := linkgraph.Build(file)
	return err == nil && (len(g.Inits)+len(g.Finis) > 0 ||
		slices.ContainsFunc(g.Symbols, func(s linkgraph.Symbol) bool { return s.Type == linkgraph.IFunc }))
}
