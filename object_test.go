package livejit_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"livejit"
)

// load adds sources as one module.
func load(t testing.TB, e *livejit.Engine, sources ...livejit.Source) *livejit.Module {
	t.Helper()
	m, err := e.Add(background, sources...)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return m
}

// refused adds sources, wants an error of the type that target points to, which contains
// all words, and wants the engine to be as before.
func refused(t *testing.T, e *livejit.Engine, target any, words []string, sources ...livejit.Source) {
	t.Helper()
	before := inUse(e)
	_, err := e.Add(background, sources...)
	if err == nil || target != nil && !errors.As(err, target) {
		t.Errorf("Add = %v, want a %v", err, reflect.TypeOf(target).Elem())
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not name %q: %v", w, err)
		}
	}
	if after := inUse(e); !reflect.DeepEqual(after, before) {
		t.Errorf("a refused load changed the engine:\n%+v\n%+v", after, before)
	}
}

func TestObjectFunctions(t *testing.T) {
	e := newEngine(t)
	load(t, e, clangObject(t, "twice", "long twice(long x) { return 2 * x; } static long local(long x) { return x; } long (*pointer)(long) = local;"))
	load(t, e, livejit.Object("gcc.o", compile(t, "gcc", "gcc.c", "extern long twice(long); long four(long x) { return twice(twice(x)); }", "-O2")))
	if got := call(t, e, "four", 5); got != 20 {
		t.Errorf("four(5) = %d", got)
	}
	f := e.Function("twice")
	if f.Type() != "" {
		t.Errorf("a function of an object has type %q", f.Type())
	}
	var any func(int32, float64) (int64, error) // nothing to check against
	if err := e.Bind("twice", &any); err != nil {
		t.Error(err)
	}
	var signature *livejit.SignatureError
	var bad func(string) int64
	if err := e.Bind("twice", &bad); !errors.As(err, &signature) {
		t.Errorf("Bind(%T) = %v, want a SignatureError", &bad, err)
	}
	if _, err := e.Call(background, "twice", struct{}{}); !errors.As(err, &signature) {
		t.Errorf("Call with a struct = %v, want a SignatureError", err)
	}
	if e.Function("local") != nil {
		t.Error("a static function is visible by the engine")
	}
}

func TestDuplicateSymbols(t *testing.T) {
	a := clangObject(t, "a", "long same(void) { return 1; } long variable = 1;")
	b := clangObject(t, "b", "long other(void) { return 2; } long same(void) { return 2; }")
	c := clangObject(t, "c", "long variable = 2;")
	var duplicate *livejit.DuplicateError
	t.Run("one load", func(t *testing.T) {
		e := newEngine(t)
		refused(t, e, &duplicate, []string{"same", "a.o", "b.o"}, a, b)
		refused(t, e, &duplicate, []string{"variable", "a.o", "c.o"}, c, a)
		load(t, e, b, c)
		if got := call(t, e, "same"); got != 2 {
			t.Errorf("same() = %d", got)
		}
	})
	t.Run("two loads", func(t *testing.T) {
		e := newEngine(t)
		m := load(t, e, a)
		refused(t, e, &duplicate, []string{"same", "a.o", "b.o"}, b)
		if *duplicate != (livejit.DuplicateError{Symbol: "same", First: "a.o", Next: "b.o"}) {
			t.Errorf("%+v", duplicate)
		}
		refused(t, e, &duplicate, []string{"same", "a.o", "ir"}, livejit.IR("ir", "define i64 @same() { ret i64 3 }"))
		if got := call(t, e, "same"); got != 1 {
			t.Errorf("same() = %d", got)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		load(t, e, b)
		if got := call(t, e, "same"); got != 2 {
			t.Errorf("same() of the other object = %d", got)
		}
	})
}

// TestMeetingDefinitions has two definitions of one name in every strength and order.
func TestMeetingDefinitions(t *testing.T) {
	definitions := map[string]string{
		"strong": "long v = 1; long *at_strong(void) { return &v; }",
		"weak":   "__attribute__((weak)) long v = 2; long *at_weak(void) { return &v; }",
		"common": "__attribute__((common)) long v; long *at_common(void) { return &v; }",
	}
	objects := make(map[string]livejit.Source)
	for name, text := range definitions {
		objects[name] = clangObject(t, name, text, "-fcommon", "-fPIC")
	}
	read := livejit.IR("read", "@v = external global i64\ndefine i64 @read() { %v = load i64, ptr @v  ret i64 %v }")
	values := map[string]int64{"strong": 1, "weak": 2, "common": 0}
	for _, c := range []struct{ first, second, wins, loaded string }{
		{"strong", "weak", "strong", "strong"},
		{"weak", "strong", "strong", ""},
		{"strong", "common", "strong", "strong"},
		{"common", "strong", "strong", ""},
		{"weak", "common", "common", "weak"},
		{"common", "weak", "common", "common"},
	} {
		t.Run(c.first+" "+c.second, func(t *testing.T) {
			check := func(e *livejit.Engine, want string) {
				t.Helper()
				load(t, e, read)
				if got := call(t, e, "read"); got != values[want] {
					t.Errorf("v is %d, want that of the %s definition, %d", got, want, values[want])
				}
				if call(t, e, "at_"+c.first) != call(t, e, "at_"+c.second) {
					t.Error("the objects refer to two different variables")
				}
			}
			e := newEngine(t)
			load(t, e, objects[c.first], objects[c.second])
			check(e, c.wins)

			e = newEngine(t)
			load(t, e, objects[c.first])
			if c.loaded == "" {
				var duplicate *livejit.DuplicateError
				refused(t, e, &duplicate, []string{"v", c.first + ".o", c.second + ".o"}, objects[c.second])
				return
			}
			load(t, e, objects[c.second])
			check(e, c.loaded)
		})
	}
	t.Run("common common", func(t *testing.T) {
		small := clangObject(t, "small", "char buffer[8]; char *at_small(void) { return buffer; }", "-fcommon", "-fPIC")
		large := clangObject(t, "large", "__attribute__((aligned(64))) char buffer[4096]; char *at_large(void) { buffer[4095] = 1; return buffer; }", "-fcommon", "-fPIC")
		e := newEngine(t)
		m := load(t, e, small, large)
		at := call(t, e, "at_large")
		if at != call(t, e, "at_small") || at%64 != 0 {
			t.Errorf("the common variable lies at %#x", at)
		}
		if s := m.Stats(); s.DataBytes != 4096 {
			t.Errorf("%d bytes of data, want 4096", s.DataBytes)
		}
	})
}

func TestCOMDAT(t *testing.T) {
	text := "inline long counter() { static long n = 0; return ++n; }\ntemplate <class T> T twice(T x) { return x + x; }\n"
	object := func(name, more string) livejit.Source {
		return livejit.Object(name, compile(t, "clang++-22", name+".cpp", text+more, "-O0", "-fPIC"))
	}
	a := object("a", `extern "C" long a(void) { return counter() * 10 + twice(1l); }`)
	b := object("b", `extern "C" long b(void) { return counter() * 10 + twice(2l); }`)
	check := func(t *testing.T, e *livejit.Engine) {
		t.Helper()
		for i, want := range []int64{12, 24, 32, 44} {
			if got := call(t, e, []string{"a", "b"}[i%2]); got != want {
				t.Errorf("call %d = %d, want %d", i+1, got, want)
			}
		}
	}
	t.Run("one load", func(t *testing.T) {
		e := newEngine(t)
		m := load(t, e, a, b)
		check(t, e)
		if got := len(m.Functions()); got != 4 {
			t.Errorf("%d functions, want 4", got)
		}
	})
	t.Run("two loads", func(t *testing.T) {
		e := newEngine(t)
		first := load(t, e, a)
		second := load(t, e, b)
		check(t, e)
		var inUse *livejit.InUseError
		if err := first.Close(); !errors.As(err, &inUse) || !strings.Contains(err.Error(), "b (b)") {
			t.Errorf("Close of the module with the group = %v", err)
		}
		if err := errors.Join(second.Close(), first.Close()); err != nil {
			t.Error(err)
		}
		load(t, e, b, a)
		if got := call(t, e, "b"); got != 14 {
			t.Errorf("b() = %d, want 14: the group is loaded again", got)
		}
	})
}

func TestHiddenSymbols(t *testing.T) {
	e := newEngine(t)
	hidden := clangObject(t, "hidden", `__attribute__((visibility("hidden"))) long secret(void) { return 5; }`)
	load(t, e, hidden, clangObject(t, "user", `__attribute__((visibility("hidden"))) long secret(void); long use(void) { return secret(); }`))
	if got := call(t, e, "use"); got != 5 {
		t.Errorf("use() = %d", got)
	}
}

func TestArchives(t *testing.T) {
	used := compile(t, "clang-22", "used.c", "extern long deeper(long); long used(long x) { return deeper(x) + 1; }", "-O1")
	deeper := compile(t, "clang-22", "deeper.c", "long deeper(long x) { return 10 * x; }", "-O1", "-emit-llvm") // bitcode
	unused := compile(t, "clang-22", "unused.c", "extern long nowhere(void); long unused(void) { return nowhere(); }", "-O1")
	spoiler := compile(t, "clang-22", "spoiler.c", "long main_function(long x) { return -1; } long spoiler;", "-O1")
	archive := archiveOf(t, "parts.a", member{"unused.o", unused}, member{"deeper.o", deeper}, member{"spoiler.o", spoiler}, member{"used.o", used})
	user := livejit.IR("user", "declare i64 @used(i64)\ndefine i64 @main_function(i64 %x) { %r = call i64 @used(i64 %x)  ret i64 %r }")
	weak := livejit.IR("weak", "declare extern_weak i64 @unused()\ndefine i64 @weak() { %c = icmp eq ptr @unused, null  %r = zext i1 %c to i64  ret i64 %r }")
	check := func(t *testing.T, e *livejit.Engine, m *livejit.Module) {
		t.Helper()
		if got := call(t, e, "main_function", 4); got != 41 {
			t.Errorf("main_function(4) = %d, want 41", got)
		}
		var names []string
		for _, f := range m.Functions() {
			names = append(names, f.Name())
		}
		slices.Sort(names)
		if want := []string{"deeper", "main_function", "used"}; !slices.Equal(names, want) {
			t.Errorf("loaded are %v, want %v", names, want)
		}
		load(t, e, weak)
		if got := call(t, e, "weak"); got != 1 {
			t.Error("a weak reference pulled a member")
		}
	}
	t.Run("with its user", func(t *testing.T) {
		e := newEngine(t)
		check(t, e, load(t, e, user, archive))
	})
	t.Run("before, in one load", func(t *testing.T) {
		e := newEngine(t)
		check(t, e, load(t, e, archive, user))
	})
	t.Run("before", func(t *testing.T) {
		e := newEngine(t)
		if m := load(t, e, archive); len(m.Functions()) != 0 {
			t.Errorf("an archive by itself loaded %v", m.Functions())
		}
		check(t, e, load(t, e, user))
	})
	t.Run("after", func(t *testing.T) {
		e := newEngine(t)
		var undefined *livejit.UndefinedError
		refused(t, e, &undefined, []string{"used", "main_function (user)"}, user)
		load(t, e, archive)
		check(t, e, load(t, e, user))
	})
	t.Run("again after close", func(t *testing.T) {
		e := newEngine(t)
		load(t, e, archive)
		for range 3 {
			m := load(t, e, user)
			if got := call(t, e, "main_function", 4); got != 41 {
				t.Errorf("main_function(4) = %d, want 41", got)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("member fails", func(t *testing.T) {
		e := newEngine(t)
		load(t, e, archive)
		var undefined *livejit.UndefinedError
		pull := livejit.IR("pull", "declare i64 @unused()\ndefine i64 @pull() { %r = call i64 @unused()  ret i64 %r }")
		refused(t, e, &undefined, []string{"nowhere", "unused (parts.a(unused.o))"}, pull)
		load(t, e, livejit.IR("nowhere", "define i64 @nowhere() { ret i64 9 }"))
		load(t, e, pull)
		if got := call(t, e, "pull"); got != 9 {
			t.Errorf("pull() = %d", got)
		}
	})
	t.Run("duplicate in a member", func(t *testing.T) {
		e := newEngine(t)
		var duplicate *livejit.DuplicateError
		spoiled := livejit.IR("spoiled", "@spoiler = external global i64\ndefine i64 @main_function(i64 %x) { %r = load i64, ptr @spoiler  ret i64 %r }")
		refused(t, e, &duplicate, []string{"main_function", "spoiled", "parts.a(spoiler.o)"}, spoiled, archive)
	})
	t.Run("not an archive", func(t *testing.T) {
		e := newEngine(t)
		var format *livejit.FormatError
		refused(t, e, &format, []string{"bad.a"}, livejit.Archive("bad.a", []byte("no archive")))
		refused(t, e, &format, []string{"cut.a"}, livejit.Archive("cut.a", []byte("!<arch>\nused.o/         0           0     0     644     100       `\nshort")))
	})
}

// TestOwnDefinitionOfHostName: a function of the process is what its name means until a
// module defines the name, and again when that module is closed. What is bound stays bound.
func TestOwnDefinitionOfHostName(t *testing.T) {
	e := newEngine(t)
	user := func(name string) livejit.Source {
		return livejit.IR(name, "declare i64 @labs(i64)\ndefine i64 @"+name+"(i64 %x) { %r = call i64 @labs(i64 %x)  ret i64 %r }")
	}
	load(t, e, user("before"))
	own := load(t, e, clangObject(t, "own", "long labs(long x) { return 1000 + x; }", "-fno-builtin"))
	with := load(t, e, user("with"))
	for name, want := range map[string]int64{"before": 7, "with": 993, "labs": 993} {
		if got := call(t, e, name, -7); got != want {
			t.Errorf("%s(-7) = %d, want %d", name, got, want)
		}
	}
	if err := errors.Join(with.Close(), own.Close()); err != nil {
		t.Fatal(err)
	}
	after := load(t, e, user("after"))
	for _, name := range []string{"before", "after"} {
		if got := call(t, e, name, -7); got != 7 {
			t.Errorf("%s(-7) = %d, want 7", name, got)
		}
	}
	if e.Function("labs") != nil {
		t.Error("a function of the process is a function of the engine")
	}
	if err := after.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAbsoluteSymbols(t *testing.T) {
	e := newEngine(t)
	load(t, e, assemble(t, "numbers", ".globl small, large\nsmall = 0x1234\nlarge = 0x123456789abc\n"))
	load(t, e, clangObject(t, "user", "extern char small[], large[]; long get_small(void) { return (long)small; } long get_large(void) { return (long)large; } char *at = small;", "-fPIC"))
	for name, want := range map[string]int64{"get_small": 0x1234, "get_large": 0x123456789abc} {
		if got := call(t, e, name); got != want {
			t.Errorf("%s() = %#x, want %#x", name, got, want)
		}
	}
}

func TestUndefinedSymbolsNameTheirReferrers(t *testing.T) {
	e := newEngine(t)
	a := clangObject(t, "a", "extern long one(void), two(void); extern long three; long first(void) { return one() + two(); } long second(void) { return one() + three; }", "-ffunction-sections", "-fPIC")
	b := clangObject(t, "b", "extern long two(void); long (*table[])(void) = {two};", "-fdata-sections")
	var undefined *livejit.UndefinedError
	refused(t, e, &undefined, []string{"one", "two", "three"}, a, b)
	want := []livejit.Undefined{
		{Symbol: "one", Referrers: []string{"first (a.o)", "second (a.o)"}},
		{Symbol: "three", Referrers: []string{"second (a.o)"}},
		{Symbol: "two", Referrers: []string{"first (a.o)", "table (b.o)"}},
	}
	if !reflect.DeepEqual(undefined.Symbols, want) {
		t.Errorf("undefined are %+v, want %+v", undefined.Symbols, want)
	}
	for _, name := range []string{"one", "two", "three"} {
		load(t, e, livejit.IR(name, "define i64 @"+name+"() { ret i64 1 }"))
	}
	load(t, e, a, b)
}

// TestRelocationsOutOfRange has references that cannot be encoded.
func TestRelocationsOutOfRange(t *testing.T) {
	for _, c := range []struct{ kind, section, text string }{
		{"R_X86_64_8", ".data", ".data\n.quad 0\n.byte target"},
		{"R_X86_64_16", ".data", ".data\n.quad 0\n.short target"},
		{"R_X86_64_32", ".data", ".data\n.quad 0\n.long target + 0x100000000"},
		{"R_X86_64_32S", ".text", ".text\n.quad 0\nmov $target - 0x100000000, %rax\nret"},
		{"R_X86_64_PC8", ".data", ".data\n.quad 0\n.byte target - ."},
		{"R_X86_64_PC16", ".data", ".data\n.quad 0\n.short target - . + 0x10000000"},
		{"R_X86_64_PC32", ".text", ".text\n.quad 0\nlea target + 0x7ffffff0(%rip), %rax\nret"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			e := newEngine(t)
			add(t, e, "target", "define void @target() { ret void }")
			object := assemble(t, "far", c.text+"\n.globl holder\nholder = .\n")
			var relocation *livejit.RelocationError
			refused(t, e, &relocation, []string{"far.o", c.section, "target", c.kind}, object)
			if relocation != nil && (relocation.Object != "far.o" || !strings.HasPrefix(relocation.Section, c.section) || relocation.Symbol != "target" ||
				relocation.Kind != c.kind || relocation.Offset < 8) {
				t.Errorf("%+v", relocation)
			}
		})
	}
	t.Run("all are reported", func(t *testing.T) {
		e := newEngine(t)
		add(t, e, "targets", "define void @target() { ret void }\n@other = global i64 1")
		var relocation *livejit.RelocationError
		refused(t, e, &relocation, []string{"target", "other"}, assemble(t, "far", ".data\n.globl holder\nholder:\n.short target\n.short other\n"))
	})
}

// TestStaticTLS: an object that wants its thread-local variables at a fixed distance from
// the thread pointer was compiled for an executable.
func TestStaticTLS(t *testing.T) {
	text := "__thread long own = 1; long get(void) { return own; }"
	e := newEngine(t)
	var relocation *livejit.RelocationError
	refused(t, e, &relocation, []string{"local.o", "own", "TPOFF", "-f"}, clangObject(t, "local", text, "-ftls-model=local-exec"))
	refused(t, e, &relocation, []string{"initial.o", "own", "TPOFF", "-f"}, clangObject(t, "initial", text, "-fPIC", "-ftls-model=initial-exec"))
	load(t, e, clangObject(t, "dynamic", text, "-fPIC"))
	if got := call(t, e, "get"); got != 1 {
		t.Errorf("get() = %d", got)
	}
}

// TestForeignFiles gives the engine files that are no objects of this machine.
func TestForeignFiles(t *testing.T) {
	const text = "long f(void) { return 1; } int main(void) { return 0; }"
	dir := t.TempDir()
	source := filepath.Join(dir, "f.c")
	if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	link := func(flags ...string) []byte {
		out := filepath.Join(dir, "out")
		runTool(t, "gcc", append(flags, source, "-o", out)...)
		return readFile(t, out)
	}
	for _, c := range []struct {
		name  string
		data  []byte
		words []string
	}{
		{"aarch64.o", compile(t, "clang-22", "f.c", text, "--target=aarch64-linux-gnu"), []string{"aarch64.o", "AARCH64"}},
		{"i386.o", compile(t, "clang-22", "f.c", text, "--target=i386-linux-gnu"), []string{"i386.o"}},
		{"ppc64.o", compile(t, "clang-22", "f.c", text, "--target=powerpc64-linux-gnu"), []string{"ppc64.o"}},
		{"riscv64.o", compile(t, "clang-22", "f.c", text, "--target=riscv64-linux-gnu"), []string{"riscv64.o", "RISCV"}},
		{"coff.o", compile(t, "clang-22", "f.c", text, "--target=x86_64-windows-gnu"), []string{"coff.o"}},
		{"macho.o", compile(t, "clang-22", "f.c", text, "--target=x86_64-apple-macos"), []string{"macho.o"}},
		{"shared.so", link("-shared", "-fPIC"), []string{"shared.so", "shared"}},
		{"program", link(), []string{"program", "executable"}},
		{"static", link("-static", "-nostdlib", "-Wl,-e,main"), []string{"static", "executable"}},
		{"empty.o", nil, []string{"empty.o"}},
		{"text.o", []byte("int main"), []string{"text.o"}},
		{"archive.o", []byte("!<arch>\n"), []string{"archive.o"}},
		{"bitcode.o", compile(t, "clang-22", "f.c", text, "-emit-llvm"), []string{"bitcode.o"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t)
			var format *livejit.FormatError
			refused(t, e, &format, c.words, livejit.Object(c.name, c.data))
			if format != nil {
				t.Log(format)
			}
		})
	}
	t.Run("bitcode for another machine", func(t *testing.T) {
		e := newEngine(t)
		var compileError *livejit.CompileError
		refused(t, e, &compileError, []string{"aarch64"}, livejit.Bitcode("aarch64.bc", compile(t, "clang-22", "f.c", text, "--target=aarch64-linux-gnu", "-emit-llvm")))
	})
}
