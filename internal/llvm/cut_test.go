package llvm

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCutContents checks what goes into a cut module.
func TestCutContents(t *testing.T) {
	tests := []struct {
		name, ir  string
		functions []string // of the cut of @f; nil for just f
		want, not []string // regular expressions, by line
	}{
		{
			name: "declarations for what it names",
			ir: `define i32 @f() { %a = load i32, ptr @v
 %b = call i32 @g(i32 %a)
 %c = call i32 @d(i32 %b)
 ret i32 %c }
@v = internal global i32 5
@unused = global i32 6
define internal i32 @g(i32 %x) { ret i32 %x }
declare i32 @d(i32)
declare void @unused_too()`,
			want: []string{`^define weak i32 @f\(\)`, `^@v = external dso_local global i32`, `^declare i32 @g\(i32\)`, `^declare i32 @d\(i32\)`},
			not:  []string{`unused`},
		},
		{
			name: "private constants, also those they lead to",
			ir: `@a = private unnamed_addr constant [2 x i8] c"x\00"
@b = private unnamed_addr constant [2 x ptr] [ptr @a, ptr @v]
@v = global i32 0
define ptr @f() { ret ptr @b }`,
			want: []string{`^@a = private unnamed_addr constant \[2 x i8\] c"x`, `^@b = private unnamed_addr constant \[2 x ptr\] \[ptr @a, ptr @v\]`, `^@v = external dso_local global i32`},
		},
		{
			name: "constant that leads back to the function",
			ir: `@t = private unnamed_addr constant [2 x ptr] [ptr @f, ptr @g]
define ptr @f() { ret ptr @t }
define void @g() { ret void }`,
			want: []string{`^@t = private unnamed_addr constant \[2 x ptr\] \[ptr @f, ptr @g\]`, `^declare void @g\(\)`},
		},
		{
			name: "always_inline helpers, also those they use",
			ir: `define internal i32 @h() alwaysinline { %r = call i32 @i()
 ret i32 %r }
define linkonce_odr i32 @i() alwaysinline { %r = load i32, ptr @v
 ret i32 %r }
@v = internal global i32 0
define i32 @f() { %r = call i32 @h()
 ret i32 %r }`,
			want: []string{`^define internal i32 @h\(\)`, `^define internal i32 @i\(\)`, `^@v = external dso_local global i32`},
		},
		{
			name: "personality, prefix and prologue data, gc, section; no comdat",
			ir: `$f = comdat any
@p = private unnamed_addr constant i32 7
define linkonce_odr void @f() section "x" comdat gc "statepoint-example" prefix ptr @p prologue i8 -112 personality ptr @pers { ret void }
declare i32 @pers(...)
@__start_x = external global i8`,
			want: []string{`^define weak void @f\(\) #\d+ section "x" gc "statepoint-example" prefix ptr @p prologue i8 -112 personality ptr @pers`, `^@p = private`, `^declare i32 @pers`},
		},
		{
			name: "aliases and indirect functions become declarations",
			ir: `define internal i32 @g(i32 zeroext %x) { ret i32 %x }
@a = alias i32 (i32), ptr @g
@v = thread_local global [2 x i32] zeroinitializer
@va = thread_local alias i32, ptr @v
define ptr @r() { ret ptr null }
@i = ifunc void (), ptr @r
define i32 @f() { %x = call i32 @a(i32 zeroext 1)
 call void @i()
 %y = load i32, ptr @va
 ret i32 %y }`,
			want: []string{`^declare i32 @a\(i32 zeroext\) #\d`, `^declare void @i\(\) #\d`, `^@va = external thread_local global i32`},
			not:  []string{`alias`, `ifunc`},
		},
		{
			name: "label addresses in its own table",
			ir: `@t = internal constant [2 x ptr] [ptr blockaddress(@f, %a), ptr blockaddress(@f, %b)]
define i32 @f(ptr %p) {
  store ptr blockaddress(@f, %b), ptr %p
  %l = load ptr, ptr @t
  indirectbr ptr %l, [label %a, label %b]
a:
  ret i32 1
b:
  ret i32 2
}`,
			want: []string{`^@t = internal constant \[2 x ptr\] \[ptr blockaddress\(@f, %a\), ptr blockaddress\(@f, %b\)\]`, `store ptr blockaddress\(@f, %b\)`},
		},
		{
			name: "label addresses that another function knows",
			ir: `@t = internal global [2 x ptr] [ptr blockaddress(@g, %a), ptr blockaddress(@h, %a)]
define ptr @f() { ret ptr blockaddress(@g, %a) }
define i32 @g(ptr %l) {
  indirectbr ptr %l, [label %a]
a:
  ret i32 1
}
define i32 @h(ptr %l) {
  indirectbr ptr %l, [label %a]
a:
  %x = load ptr, ptr @t
  ret i32 2
}
define i32 @other() { ret i32 0 }`,
			functions: []string{"f", "g", "h"},
			want:      []string{`^@t = internal global`, `^define weak i32 @g`, `^define weak i32 @h`},
			not:       []string{`other`},
		},
		{
			name: "metadata on instructions",
			ir: `define i32 @f(ptr %p) { %x = load i32, ptr %p, !tbaa !0, !range !3
 br label %l
l:
 br label %l, !llvm.loop !4 }
!0 = !{!1, !1, i64 0}
!1 = !{!"int", !2}
!2 = !{!"root"}
!3 = !{i32 0, i32 9}
!4 = distinct !{!4}`,
			want: []string{`!tbaa !\d+, !range !\d+`, `!llvm.loop`},
		},
		{
			name: "metadata that names globals",
			ir: `define i32 @f(ptr %p) { %x = call i32 %p(), !callees !0
 ret i32 %x }
define i32 @g() { ret i32 0 }
!0 = !{ptr @g}`,
			want: []string{`!\d+ = !{ptr @g}`, `^declare i32 @g`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, newContext(t), tt.ir)
			prepare(t, m)
			before := m.Text()
			f := cut(t, m, "f")
			text := f.Text()
			for _, w := range tt.want {
				if !regexp.MustCompile("(?m)" + w).MatchString(text) {
					t.Errorf("no match for %s", w)
				}
			}
			for _, w := range tt.not {
				if s := regexp.MustCompile("(?m).*(?:" + w + ").*").FindString(text); s != "" {
					t.Errorf("unwanted %s: %s", w, s)
				}
			}
			if tt.functions == nil {
				tt.functions = []string{"f"}
			}
			got := slices.Clone(f.Functions)
			slices.Sort(got[1:])
			if !slices.Equal(got, tt.functions) {
				t.Errorf("functions %v, want %v", got, tt.functions)
			}
			if again := cut(t, m, "f").Text(); again != text {
				t.Errorf("second cut differs:\n%s", again)
			}
			if m.Text() != before {
				t.Error("cutting changed the module")
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

func TestCutErrors(t *testing.T) {
	tests := []struct {
		name, ir, want string
		kind           ErrorKind
	}{
		{"no such function", "", "no body of a function f in module test.ll", KindNotFound},
		{"declaration", "declare void @f()", "no body of a function f", KindNotFound},
		{"somebody else's body", "define available_externally void @f() { ret void }", "no body of a function f", KindNotFound},
		{"variable of that name", "@f = global i32 0", "no body of a function f", KindNotFound},
		{"unnamed callee", "define void @0() { ret void }\ndefine void @f() { call void @0()\n ret void }", "an unnamed global is used", KindUnsupported},
		{"visible label table", "@t = global ptr blockaddress(@f, %a)\ndefine void @f(ptr %p) { indirectbr ptr %p, [label %a]\na:\n ret void }",
			"function f cannot be cut out: variable t, which is not local to it, holds or leads to addresses of its labels", KindUnsupported},
		{"label table handed on", "@t = internal constant [1 x ptr] [ptr blockaddress(@f, %a)]\n@u = internal global ptr @t\ndefine void @f(ptr %p) { indirectbr ptr %p, [label %a]\na:\n ret void }",
			"variable u", KindUnsupported},
		{"label table with an alias", "@t = internal constant [1 x ptr] [ptr blockaddress(@f, %a)]\n@u = alias ptr, ptr @t\ndefine void @f(ptr %p) { indirectbr ptr %p, [label %a]\na:\n ret void }",
			"alias u", KindUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, newContext(t), tt.ir).Cut("f")
			wantError(t, err, tt.kind, tt.want)
		})
	}
}

// TestCutDebugInfo: the function's own debug info comes along, that of the rest of the file does not.
func TestCutDebugInfo(t *testing.T) {
	bc := compileC(t, "d.cpp", `
enum Unused { A, B };
struct Big { int fields; Unused u; void method(); };
int globalvar; static int used;
namespace n { struct T { int q; }; }
using n::T;
#define MACRO 1
template <class X> int tmpl(X x) { struct Local { X v; } l{x}; return (int)sizeof(l.v); }
static inline __attribute__((always_inline)) int inlined(int k) { int deep = k + 1; return deep; }
int other(Big *b) { auto f = [](int z) { return z; }; return f(b->fields); }
int f(Big *b, T t) { int local = b->fields + inlined(t.q); { int nested = local; used += nested; } return tmpl(local) + tmpl(t.q); }
int g() { auto l = [] { return 1; }; return tmpl(l) != 0 ? 1 : 2; }
`, "-g", "-fno-discard-value-names", "-D_G", "-fdebug-macro")
	c := newContext(t)
	m := parseBitcodeFile(t, c, "d.cpp", bc)
	s := prepare(t, m)
	p := newPipeline(t, PipelineOptions{})
	for _, fn := range s.Functions {
		if !fn.Defined {
			continue
		}
		t.Run(fn.Name, func(t *testing.T) {
			f := cut(t, m, fn.Name)
			text := f.Text()
			if n := strings.Count(text, "DICompileUnit("); n != 1 {
				t.Errorf("%d compile units", n)
			}
			for _, list := range []string{"enums:", "retainedTypes:", "globals:", "imports:", "macros:"} {
				if strings.Contains(regexp.MustCompile(`(?m)^.*DICompileUnit\(.*$`).FindString(text), list) {
					t.Errorf("compile unit has %s", list)
				}
			}
			if strings.Contains(text, `"globalvar"`) || strings.Contains(text, "DIMacro") {
				t.Error("debug info of other things came along")
			}
			o := emit(t, p, f)
			file := writeFile(t, t.TempDir(), "f.o", o.raw)
			if out := string(tool(t, "llvm-dwarfdump-22", "--verify", file)); !strings.Contains(out, "No errors") {
				t.Errorf("%s", out)
			}
			if fn.Name == "_Z1fP3BigN1n1TE" {
				out := string(tool(t, "llvm-dwarfdump-22", "--debug-info", file))
				for _, want := range []string{`"local"`, `"nested"`, `"deep"`, `"inlined"`, `"fields"`, "DW_TAG_inlined_subroutine"} {
					if !strings.Contains(out, want) {
						t.Errorf("no %s in debug info", want)
					}
				}
			}
		})
	}
}

// TestAdopt copies a module of another context, as another binding would hold it.
func TestAdopt(t *testing.T) {
	a, b := newContext(t), newContext(t)
	foreign := parse(t, a, "define i32 @f(i32 %x) {\n  %y = mul i32 %x, %x\n  ret i32 %y\n}\n")
	before := foreign.Text()
	m, err := Adopt(b, foreign.Ref(), "adopted")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	prepare(t, m)
	if foreign.Text() != before {
		t.Error("the foreign module changed")
	}
	if m.Name() != "adopted" || !strings.Contains(m.Text(), "define weak i32 @f") {
		t.Error(m.Text())
	}
	emit(t, newPipeline(t, PipelineOptions{}), m).code(t, "f")
}
