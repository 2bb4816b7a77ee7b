package livejit_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"livejit"
)

// TestForeignFlags runs programs whose objects use what compilers' flags change: code models, ways
// to reach data and thread-local variables, tables of sections and kinds of debug information.
func TestForeignFlags(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles several programs many times")
	}
	livejit := buildCommand(t)
	names := []string{"c/tls", "c/avx2", "c/funcptr", "c/linkage", "c/switch", "c/sections", "cpp/exceptions", "cpp/threadlocal", "cpp/iostream"}
	programs := slices.DeleteFunc(readPrograms(t), func(p program) bool { return !slices.Contains(names, p.Name) })
	for _, c := range []struct{ compiler, flags string }{
		{"gcc", "-O2 -fno-pic"},
		{"gcc", "-O2 -mcmodel=large -fno-pic"},
		{"gcc", "-O1 -fPIC -mtls-dialect=gnu2 -fno-plt"},
		{"gcc", "-Os -fstack-protector-all -fcf-protection=full -g -gz=zlib"},
		{"clang", "-O0 -fno-pic"},
		{"clang", "-O2 -fPIC -fvisibility=hidden -mcmodel=medium -mtls-dialect=gnu2"},
		{"clang", "-O2 -ffunction-sections -fdata-sections -fbasic-block-sections=all -fdebug-types-section -g"},
	} {
		t.Run(c.compiler+" "+c.flags, func(t *testing.T) {
			for _, p := range programs {
				flags := strings.Fields(c.flags)
				if slices.Contains(p.Objflags, "-fPIC") && !slices.Contains(flags, "-fPIC") {
					continue // its thread-local variables would have to be there when the process starts
				}
				t.Run(p.Name, func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					var objects []string
					for i, f := range p.Files {
						o := filepath.Join(dir, fmt.Sprintf("%d.o", i))
						args := append(slices.Concat(p.Cflags, flags), "-w", "-c", f, "-o", o)
						if out, err := exec.Command(p.compiler(c.compiler), args...).CombinedOutput(); err != nil {
							t.Fatalf("%s %s: %v\n%s", c.compiler, strings.Join(args, " "), err, out)
						}
						objects = append(objects, o)
					}
					native := filepath.Join(dir, "native")
					link := slices.Concat([]string{"-pthread", "-o", native}, objects, p.link())
					if slices.Contains(flags, "-fno-pic") {
						link = append(link, "-no-pie")
					}
					if out, err := exec.Command(p.compiler(c.compiler), link...).CombinedOutput(); err != nil {
						t.Fatalf("link: %v\n%s", err, out)
					}
					args := append([]string{"run"}, p.link()...)
					compare(t, p.run(t, native, nil), p.run(t, livejit, append(append(args, objects...), "--")))
				})
			}
		})
	}
}

// TestForeignNames: symbols with versions, as .symver makes them, and objects that cannot be what
// they seem to be.
func TestForeignNames(t *testing.T) {
	t.Run("version of the process", func(t *testing.T) {
		e := newEngine(t)
		load(t, e, livejit.Object("old.o", compile(t, "gcc", "old.c", `
			extern void *copy(void *, const void *, unsigned long); __asm__(".symver copy,memcpy@GLIBC_2.2.5");
			long old(long x) { long y = 0; copy(&y, &x, sizeof x); return y; }`, "-fPIC")))
		if got := call(t, e, "old", 77); got != 77 {
			t.Errorf("old(77) = %d", got)
		}
	})
	t.Run("default version of its own", func(t *testing.T) {
		e := newEngine(t)
		load(t, e, livejit.Object("define.o", compile(t, "gcc", "define.c", `int impl(void) { return 7; } __asm__(".symver impl,feature@@V1");`)),
			clangObject(t, "use", "extern int feature(void); long use(void) { return feature(); }"))
		if got := call(t, e, "use"); got != 7 {
			t.Errorf("use() = %d", got)
		}
	})
	t.Run("no such version", func(t *testing.T) {
		var undefined *livejit.UndefinedError
		refused(t, newEngine(t), &undefined, []string{"memcpy@GLIBC_1.0"}, livejit.Object("none.o", compile(t, "gcc", "none.c", `
			extern void *copy(void *, const void *, unsigned long); __asm__(".symver copy,memcpy@GLIBC_1.0"); void *none(void *p) { return copy(p, p, 1); }`)))
	})
	t.Run("intermediate code", func(t *testing.T) {
		var format *livejit.FormatError
		refused(t, newEngine(t), &format, []string{"slim.o", "-ffat-lto-objects"}, livejit.Object("slim.o", compile(t, "gcc", "slim.c", "int f(void) { return 1; }", "-flto")))
	})
}

// TestDelimitedSections: __start_ and __stop_ symbols delimit a section of any object of a load; if
// several had a part of it, each would see its own only.
func TestDelimitedSections(t *testing.T) {
	part := `__attribute__((section("registry"), used)) static long entry = 5;`
	user := clangObject(t, "user", part+"extern long __start_registry[], __stop_registry[]; long count(void) { return __stop_registry - __start_registry; }")
	e := newEngine(t)
	var format *livejit.FormatError
	refused(t, e, &format, []string{"user.o", "other.o", "registry", "ld -r"}, user, clangObject(t, "other", part))
	load(t, e, user)
	if got := call(t, e, "count"); got != 1 {
		t.Errorf("count() = %d, want 1", got)
	}
	e = newEngine(t)
	load(t, e, clangObject(t, "three", `__attribute__((section("registry"), used)) static long entries[3] = {5, 6, 7};`),
		clangObject(t, "reader", "extern long __start_registry[], __stop_registry[]; long sum(void) { long s = 0; for (long *p = __start_registry; p < __stop_registry; p++) s += *p; return s; }"))
	if got := call(t, e, "sum"); got != 18 {
		t.Errorf("sum() = %d, want 18: the section is another object's", got)
	}
}

// TestUntypedLabels: hand-written assembly may have data among the code under a label without
// a type, or a function; both are what stands at their true place.
func TestUntypedLabels(t *testing.T) {
	e := newEngine(t)
	load(t, e, assemble(t, "untyped", `
.text
.globl table
table: .quad 11, 22, 33
.globl plain
plain: leaq 1(%rdi), %rax
 ret`))
	load(t, e, clangObject(t, "user", `
		extern const long table[]; extern long plain(long);
		long second(void) { return table[1]; }
		long sum(void) { long s = 0; for (const long *p = table; p < table + 3; p++) s += *p; return s; }
		long (*pointer)(long) = plain;
		long direct(long x) { return plain(x); }
		long indirect(long x) { return pointer(x); }`, "-fPIC", "-fno-plt"))
	for _, c := range []struct {
		name string
		args []any
		want int64
	}{{"second", nil, 22}, {"sum", nil, 66}, {"direct", []any{4}, 5}, {"indirect", []any{5}, 6}, {"plain", []any{6}, 7}} {
		if got := call(t, e, c.name, c.args...); got != c.want {
			t.Errorf("%s%v = %d, want %d", c.name, c.args, got, c.want)
		}
	}
	f := e.Function("plain")
	if f == nil || f.Addr() == 0 {
		t.Fatal("a label that may be a function is none")
	}
	if _, err := f.Call(background, 1); err != nil {
		t.Error(err)
	}
}

// TestDeletedLabel: an untyped label is as dead as a function once its module is closed.
func TestDeletedLabel(t *testing.T) {
	e := newEngine(t)
	m := load(t, e, assemble(t, "untyped", ".globl plain\nplain: movl $3, %eax\n ret"))
	f := m.Function("plain")
	if got, err := f.Call(background); err != nil || got != int64(3) {
		t.Fatalf("plain() = %v, %v", got, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Call(background); err == nil || f.Addr() != 0 {
		t.Errorf("a deleted label at %#x was called: %v", f.Addr(), err)
	}
}

// TestAbsoluteSymbols: a symbol that is a number is that number in every object, also 0.
func TestNumbersAreSymbols(t *testing.T) {
	numbers := assemble(t, "numbers", ".globl answer, zero, large\nanswer = 42\nzero = 0\nlarge = 0x123456789abc")
	text := `extern char answer[], zero[], large[];
		long get_answer(void) { return (long)answer; } long get_zero(void) { return (long)zero; } long get_large(void) { return (long)large; }
		char *words[] = {answer, zero, large}; long word(long i) { return (long)words[i]; }`
	for _, flags := range []string{"-fPIC", "-fPIC -mcmodel=large"} {
		user := clangObject(t, "user", text, strings.Fields(flags)...)
		for name, loads := range map[string][][]livejit.Source{"together": {{user, numbers}}, "one after the other": {{numbers}, {user}}} {
			t.Run(flags+" "+name, func(t *testing.T) {
				e := newEngine(t)
				for _, sources := range loads {
					load(t, e, sources...)
				}
				for i, want := range []int64{42, 0, 0x123456789abc} {
					get := []string{"get_answer", "get_zero", "get_large"}[i]
					if got := call(t, e, get); got != want {
						t.Errorf("%s() = %#x, want %#x", get, got, want)
					}
					if got := call(t, e, "word", i); got != want {
						t.Errorf("word(%d) = %#x, want %#x", i, got, want)
					}
				}
			})
		}
	}
}

// TestLocalDynamicVariables: hidden thread-local variables of several objects lie at fixed
// distances in one block, whatever the dialect; in another load they are out of reach.
func TestLocalDynamicVariables(t *testing.T) {
	define := `__attribute__((visibility("hidden"))) __thread long first = 1, second = 2, zero[1000]; __attribute__((visibility("hidden"))) __thread char odd = 3;
		static __thread long own = 4; long get_own(void) { return own; }`
	use := `extern __attribute__((visibility("hidden"))) __thread long first, second, zero[1000]; extern __attribute__((visibility("hidden"))) __thread char odd;
		static __thread long own = 50; long get(void) { return first * 1000 + second * 100 + odd * 10 + own + zero[999]; }
		void set(long v) { zero[999] = v; own++; }`
	for _, flags := range []string{"-fPIC -ftls-model=local-dynamic", "-fPIC -ftls-model=local-dynamic -mtls-dialect=gnu2", "-fPIC -ftls-model=local-dynamic -mcmodel=large"} {
		t.Run(flags, func(t *testing.T) {
			words := append(strings.Fields(flags), "-O2")
			defining := livejit.Object("define.o", compile(t, "gcc", "define.c", define, words...))
			using := livejit.Object("use.o", compile(t, "gcc", "use.c", use, words...))
			e := newEngine(t)
			load(t, e, using, defining)
			if got := call(t, e, "get"); got != 1280 {
				t.Errorf("get() = %d, want 1280", got)
			}
			call(t, e, "set", 5)
			if got, own := call(t, e, "get"), call(t, e, "get_own"); got != 1286 || own != 4 {
				t.Errorf("get() = %d, get_own() = %d, want 1286 and 4", got, own)
			}
			e = newEngine(t)
			load(t, e, defining)
			var relocation *livejit.RelocationError
			refused(t, e, &relocation, []string{"first", "of another module"}, using)
		})
	}
}

// TestPositionDependentCode: code of -fno-pic wants addresses in 32 bits. Functions and
// constants of the process are given near ones; variables are reached by other instructions.
func TestPositionDependentCode(t *testing.T) {
	e := newEngine(t)
	text := `#include <stdlib.h>
		#include <unistd.h>
		#include <typeinfo>
		#include <stdexcept>
		#include <iostream>
		typedef int (*function)(const char *);
		extern "C" {
		function as_word = atoi;
		long same_function(void) { function f = atoi; asm volatile("" : "+r"(f)); return f == as_word && f("12") == 12; }
		long variable(void) { int old = optind; optind = 7; int *p = &optind; asm volatile("" : "+r"(p)); long r = *p == 7; optind = old; return r; }
		long caught(void) { try { throw std::out_of_range("x"); } catch (const std::logic_error &e) { return e.what()[0]; } }
		long type(void) { const std::type_info *t = &typeid(int); asm volatile("" : "+r"(t)); return *t == typeid(int) && *t != typeid(long); }
		long stream(void) { std::ostream &o = std::cout; asm volatile("" : : "r"(&o)); return o.good(); }
		}`
	for _, compiler := range []string{"g++", "clang++-22"} {
		for _, level := range []string{"-O0", "-O2"} {
			t.Run(compiler+level, func(t *testing.T) {
				m := load(t, e, livejit.Object("user.o", compile(t, compiler, "user.cpp", text, "-fno-pic", level)))
				for name, want := range map[string]int64{"same_function": 1, "variable": 1, "caught": 'x', "type": 1, "stream": 1} {
					if got := call(t, e, name); got != want {
						t.Errorf("%s() = %d, want %d", name, got, want)
					}
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if m := e.Stats().Memory["read-only"]; m.Spans != 0 {
		t.Errorf("%d read-only spans stay, copies of constants among them", m.Spans)
	}
}
