package llvm

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPrepareRules checks what Prepare makes of the globals of small modules. want and not are regular expressions
// on the prepared module's text, one line each.
func TestPrepareRules(t *testing.T) {
	tests := []struct {
		name, ir  string
		want, not []string
	}{
		{
			name: "function becomes interposable",
			ir:   `define dso_local i32 @f() { ret i32 1 }`,
			want: []string{`^define weak i32 @f\(\) #\d+ {`, `nonlazybind`, `"frame-pointer"="all"`, `uwtable`},
			not:  []string{`uwtable\(sync\)`, `dso_local`},
		},
		{
			name: "front end's frame pointer and unwind choices are overridden",
			ir:   `define void @f() "frame-pointer"="none" uwtable(sync) { ret void }`,
			want: []string{`"frame-pointer"="all"`},
			not:  []string{`"frame-pointer"="none"`, `uwtable\(sync\)`},
		},
		{
			name: "internal function and its calls",
			ir:   "define internal void @s() { ret void }\ndefine void @f() { call void @s()\n ret void }",
			want: []string{`^define weak void @s\(\)`, `call void @s\(\)`},
		},
		{
			name: "hidden and protected function",
			ir:   "define hidden void @h() { ret void }\ndefine protected void @p() { ret void }",
			want: []string{`^define weak void @h\(\)`, `^define weak void @p\(\)`},
		},
		{
			name: "linkonce_odr with its comdat",
			ir:   "$f = comdat any\ndefine linkonce_odr hidden void @f() comdat { ret void }",
			want: []string{`^define weak void @f\(\) #\d+ comdat`},
		},
		{
			name: "unnamed function",
			ir:   "define void @0() { ret void }",
			want: []string{`^define weak void @anon.function.0\(\)`},
		},
		{
			name: "available_externally body dropped, comdat too",
			ir:   "define available_externally i32 @f() { ret i32 1 }\n@v = available_externally constant i32 3",
			want: []string{`^declare i32 @f\(\)`, `^@v = external constant i32`},
		},
		{
			name: "declarations are called through the GOT",
			ir:   "declare void @a()\ndeclare extern_weak void @w()\ndeclare hidden void @h()\ndefine void @f() { call void @a()\ncall void @w()\ncall void @h()\n ret void }",
			want: []string{`^declare void @a\(\) #\d`, `^declare extern_weak void @w\(\) #\d`, `^declare void @h\(\) #\d`},
		},
		{
			name: "intrinsics are left alone",
			ir:   "declare void @llvm.trap()\ndefine void @f() { call void @llvm.trap()\n unreachable }",
			not:  []string{`memory\(inaccessiblemem: write\) nonlazybind`, `nonlazybind.*memory`},
		},
		{
			name: "inferred attributes are dropped from definitions, not from declarations",
			ir: `define noundef nonnull ptr @f(ptr readonly captures(none) returned noundef nonnull %p) nounwind willreturn memory(argmem: read) norecurse nosync nofree { ret ptr %p }
declare i32 @d(i32) nounwind memory(none)`,
			want: []string{`define weak noundef ptr @f\(ptr noundef nonnull %p\)`, `declare i32 @d\(i32\)`, `memory\(none\)`},
			not:  []string{`willreturn`, `captures`, `readonly`, `returned`, `norecurse`, `memory\(argmem`},
		},
		{
			name: "optnone and noinline are the front end's word",
			ir:   `define void @f() noinline optnone { ret void }`,
			want: []string{`noinline .*optnone`},
		},
		{
			name: "alwaysinline helper stays",
			ir:   "define internal i32 @h() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
			want: []string{`^define internal i32 @h\(\)`, `alwaysinline`},
		},
		{
			name: "linkonce alwaysinline helper loses its comdat",
			ir:   "$h = comdat any\ndefine linkonce_odr i32 @h() alwaysinline comdat { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
			want: []string{`^define internal i32 @h\(\) #\d+ {`},
		},
		{
			name: "external alwaysinline function is both",
			ir:   "define i32 @h() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
			want: []string{`^define weak i32 @h\(\)`, `^define internal i32 @h.inline\(\)`, `call i32 @h.inline\(\)`},
		},
		{
			name: "alwaysinline helper with its address taken is both",
			ir:   "define internal i32 @h() alwaysinline { ret i32 1 }\n@p = global ptr @h\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
			want: []string{`^define weak i32 @h\(\)`, `^@p = .*global ptr @h$`, `call i32 @h.inline\(\)`},
		},
		{
			name: "alwaysinline that cannot be",
			ir:   "define internal i32 @h(i32 %x) alwaysinline { %r = call i32 @h(i32 %x)\n ret i32 %r }\ndefine i32 @f() { %r = call i32 @h(i32 1)\n ret i32 %r }",
			want: []string{`^define weak i32 @h\(i32 %x\)`},
			not:  []string{`alwaysinline`},
		},
		{
			name: "available_externally alwaysinline (gnu_inline) keeps its body",
			ir:   "define available_externally i32 @h() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
			want: []string{`^define available_externally i32 @h\(\)`},
		},
		{
			name: "call site alwaysinline is refused",
			ir:   "define i32 @h() { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h() alwaysinline\n ret i32 %r }",
			not:  []string{`alwaysinline`},
		},
		{
			name: "sections of functions go, unless their bounds are asked for",
			ir: `@__start_keep = external global i8
define void @a() section ".init.text" { ret void }
define void @b() section "keep" { ret void }`,
			want: []string{`^define weak void @a\(\) #\d+ {`, `^define weak void @b\(\) #\d+ section "keep" {`},
		},
		{
			name: "variables",
			ir: `@i = internal global i32 1
@p = private global i32 2
@pc = private constant i32 3
@puc = private unnamed_addr constant [2 x i8] c"x\00"
@iuc = internal unnamed_addr constant i32 4
@e = global i32 5
@h = hidden global i32 6
@x = external global i32
@xl = external dso_local global i32
@xh = external hidden global i32
@w = weak global i32 7
@wo = weak_odr constant i32 8
@lo = linkonce_odr dso_local constant i32 9
@c = common global i32 0
@ew = extern_weak global i32
@0 = global i32 10`,
			want: []string{`^@i = protected global i32 1`, `^@p = protected global i32 2`, `^@pc = protected constant i32 3`, `^@puc = private unnamed_addr constant`,
				`^@iuc = protected unnamed_addr constant i32 4`, `^@e = protected global i32 5`, `^@h = protected global i32 6`, `^@x = external global i32`,
				`^@xl = external global i32`, `^@xh = external global i32`, `^@w = weak global i32 7`, `^@wo = weak_odr constant i32 8`, `^@lo = linkonce_odr constant i32 9`,
				`^@c = common global i32 0`, `^@ew = extern_weak global i32`, `^@anon.variable.0 = protected global i32 10`},
		},
		{
			name: "thread-local variables become general dynamic",
			ir: `@a = thread_local(localexec) global i32 1
@b = internal thread_local(initialexec) global i32 2
@c = thread_local(localdynamic) global i32 3
@d = external thread_local(initialexec) global i32`,
			want: []string{`^@a = thread_local global i32 1`, `^@b = thread_local global i32 2`, `^@c = thread_local global i32 3`, `^@d = external thread_local\(initialexec\) global i32`},
		},
		{
			name: "label table stays with its function",
			ir: `@t = internal constant [2 x ptr] [ptr blockaddress(@f, %a), ptr blockaddress(@f, %b)]
define i32 @f(i64 %i) {
  %p = getelementptr ptr, ptr @t, i64 %i
  %l = load ptr, ptr %p
  indirectbr ptr %l, [label %a, label %b]
a:
  ret i32 1
b:
  ret i32 2
}`,
			want: []string{`^@t = internal constant`},
		},
		{
			name: "aliases",
			ir: `define void @f() { ret void }
@v = global [2 x i32] zeroinitializer
@a = alias void (), ptr @f
@ia = internal alias void (), ptr @f
@va = hidden alias i32, getelementptr ([2 x i32], ptr @v, i64 0, i64 1)`,
			want: []string{`^@a = weak alias void \(\), ptr @f`, `^@ia = weak alias void \(\), ptr @f`, `^@va = weak alias i32`},
		},
		{
			name: "alias of an alias",
			ir: `@v = global [2 x i32] zeroinitializer
@a = alias i32, ptr @b
@b = alias i32, getelementptr ([2 x i32], ptr @v, i64 0, i64 1)
@c = alias i32, ptr @a`,
			want: []string{`^@a = weak alias i32, getelementptr \(i8, ptr @v, i64 4\)`, `^@c = weak alias i32, getelementptr \(i8, ptr @v, i64 4\)`},
		},
		{
			name: "ifunc",
			ir: `define internal ptr @r() { ret ptr null }
@i = internal ifunc void (), ptr @r`,
			want: []string{`^@i = weak ifunc void \(\), ptr @r`, `^define weak ptr @r\(\)`},
		},
		{
			name: "appending globals and llvm.used",
			ir: `@x = internal global i32 0
define internal void @ctor() { ret void }
@llvm.used = appending global [1 x ptr] [ptr @x], section "llvm.metadata"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @ctor, ptr null }]`,
			want: []string{`^@llvm.used = appending global \[1 x ptr\] \[ptr @x\]`, `^@llvm.global_ctors = appending global`},
		},
		{
			name: "position flags",
			ir: `!llvm.module.flags = !{!0, !1, !2, !3}
!0 = !{i32 8, !"PIC Level", i32 2}
!1 = !{i32 7, !"PIE Level", i32 2}
!2 = !{i32 7, !"direct-access-external-data", i32 1}
!3 = !{i32 1, !"wchar_size", i32 4}`,
			want: []string{`"PIC Level", i32 2`, `"RtLibUseGOT", i32 1`, `wchar_size`},
			not:  []string{`PIE Level`, `direct-access`},
		},
		{
			name: "names with \\1",
			ir: `declare void @"\01raw"()
declare void @raw()
define void @"\01g"() { call void @raw()
 call void @"\01raw"()
 ret void }`,
			want: []string{`^declare void @raw\(\)`, `^define weak void @g\(\)`},
			not:  []string{`\\01`},
		},
		{
			name: "older data layouts are brought up to date",
			ir: `target datalayout = "e-m:e-i64:64-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"
define void @f() { ret void }`,
			want: []string{`p270:32:32`, `x86_64-unknown-linux-gnu`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, newContext(t), tt.ir)
			prepare(t, m)
			text := m.Text()
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
			prepare(t, m) // again: nothing changes
			if again := m.Text(); again != text {
				t.Errorf("second Prepare changed the module:\n%s", again)
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	m := parse(t, newContext(t), `
%big = type { i64, [3 x double], %small }
%small = type <{ i8, ptr }>
$f = comdat any
@v = internal thread_local global %big zeroinitializer, align 32
@k = hidden constant [4 x i16] zeroinitializer, section "sec"
@str = private unnamed_addr constant [2 x i8] c"x\00"
@ext = external global i32
@va = alias i16, getelementptr ([4 x i16], ptr @k, i64 0, i64 2)
@fa = internal alias { i64, double } (), ptr @pair
@ifn = ifunc void (i32), ptr @res
@llvm.global_ctors = appending global [2 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @c, ptr null }, { i32, ptr, ptr } { i32 2, ptr @c, ptr null }]
module asm ".globl q"
define internal void @c() { ret void }
define linkonce_odr signext i8 @f(i8 zeroext %a, ptr byval(%small) align 16 %b, ptr nest %n, ...) section ".text.x" comdat { ret i8 0 }
define { i64, double } @pair() { ret { i64, double } zeroinitializer }
define fastcc void @ret(ptr sret(%big) %p, <4 x float> %v, x86_fp80 %l, i128 %w) { ret void }
define internal ptr @res() { ret ptr null }
define internal void @help() alwaysinline { ret void }
declare extern_weak i32 @d(ptr, i32)
declare void @llvm.trap()
`)
	s := prepare(t, m)
	if !slices.Equal(s.Ctors, []Init{{"c", 1}, {"c", 2}}) || len(s.Dtors) != 0 || !s.ModuleAsm {
		t.Errorf("ctors %v, dtors %v, asm %v", s.Ctors, s.Dtors, s.ModuleAsm)
	}
	find := func(l []Global, name string) Global {
		for _, g := range l {
			if g.Name == name {
				return g
			}
		}
		t.Fatalf("no %s in summary", name)
		return Global{}
	}
	check := func(l []Global, want Global) {
		t.Helper()
		got := find(l, want.Name)
		if got.Code == [16]byte{} && got.Defined || (got.Init != [16]byte{}) != (got.Defined && got.Kind == Variable) {
			t.Errorf("fingerprints of %s: %x %x", got.Name, got.Code, got.Init)
		}
		got.Signature, got.Code, got.Init = nil, want.Code, want.Init
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	check(s.Variables, Global{Name: "v", Kind: Variable, Linkage: Internal, Local: true, Defined: true, ThreadLocal: true,
		Type: "{ i64, [3 x double], <{ i8, ptr }> }", Size: 48, Align: 32})
	check(s.Variables, Global{Name: "k", Kind: Variable, Linkage: External, Visibility: Hidden, Defined: true, Constant: true, Section: "sec", Type: "[4 x i16]", Size: 8})
	check(s.Variables, Global{Name: "ext", Kind: Variable, Type: "i32", Size: 4})
	check(s.Aliases, Global{Name: "va", Kind: Alias, Defined: true, Aliasee: "k", AliaseeOff: 4, Type: "i16"})
	check(s.Aliases, Global{Name: "fa", Kind: Alias, Linkage: Internal, Local: true, Defined: true, Aliasee: "pair", Type: "{ i64, double } ()"})
	check(s.IFuncs, Global{Name: "ifn", Kind: IFunc, Defined: true, Aliasee: "res", Type: "void (i32)"})
	check(s.Functions, Global{Name: "f", Linkage: LinkOnceODR, Defined: true, Comdat: "f", Section: ".text.x",
		Type: "i8 signext (i8 zeroext, ptr byval(<{ i8, ptr }>) align 16, ptr nest, ...)"})
	check(s.Functions, Global{Name: "ret", Defined: true, Type: "cc 8 void (ptr sret({ i64, [3 x double], <{ i8, ptr }> }), <4 x float>, x86_fp80, i128)"})
	check(s.Functions, Global{Name: "help", Linkage: Internal, Local: true, AlwaysInline: true, Type: "void ()"})
	check(s.Functions, Global{Name: "d", Linkage: ExternalWeak, Type: "i32 (ptr, i32)"})
	for _, l := range [][]Global{s.Functions, s.Variables} {
		if slices.ContainsFunc(l, func(g Global) bool { return g.Name == "str" || strings.HasPrefix(g.Name, "llvm.") }) {
			t.Errorf("private constants or LLVM's own in summary: %+v", l)
		}
	}

	f := find(s.Functions, "f").Signature
	if !f.Variadic || f.RetAttrs != SignExt || len(f.Params) != 3 || f.Attrs[0].Flags != ZeroExt || f.Attrs[2].Flags != Nest {
		t.Errorf("signature of f: %+v", f)
	}
	if b := f.Attrs[1]; b.Flags != ByVal || b.Align != 16 || b.Type.Text != "<{ i8, ptr }>" || b.Type.Size != 9 || b.Type.Kind != PackedStruct {
		t.Errorf("byval of f: %+v %+v", b, b.Type)
	}
	r := find(s.Functions, "ret").Signature
	kinds := []TypeKind{Pointer, Vector, X86FP80, Int}
	for i, p := range r.Params {
		if p.Kind != kinds[i] {
			t.Errorf("parameter %d of ret is %v", i, p.Kind)
		}
	}
	if r.CallingConv != 8 || r.Attrs[0].Flags != SRet || r.Attrs[0].Type.Size != 48 || r.Params[1].Count != 4 || r.Params[1].Elems[0].Kind != Float || r.Params[3].Bits != 128 {
		t.Errorf("signature of ret: %+v", r)
	}
	p := find(s.Functions, "pair").Signature
	if p.Ret.Kind != Struct || len(p.Ret.Elems) != 2 || p.Ret.Elems[1].Kind != Double || p.Attrs != nil {
		t.Errorf("signature of pair: %+v", p)
	}
	if a := find(s.Aliases, "fa").Signature; a != p {
		t.Errorf("alias does not share its function's signature: %+v", a)
	}
	if i := find(s.IFuncs, "ifn").Signature; i == nil || len(i.Params) != 1 {
		t.Errorf("signature of ifn: %+v", i)
	}
}

func TestSummaryTextOfDeepTypes(t *testing.T) {
	text := "%t0 = type { i64, i32 }\n"
	for i := 1; i <= 30; i++ {
		text += "%t" + itoa(i) + " = type { %t" + itoa(i-1) + ", %t" + itoa(i-1) + " }\n"
	}
	s := prepare(t, parse(t, newContext(t), text+"@v = external global %t30\n"))
	if n := len(s.Variables[0].Type); n > 2100 || !strings.Contains(s.Variables[0].Type, "...#") {
		t.Errorf("type text has %d bytes", n)
	}
}

func TestStaticSuffix(t *testing.T) {
	m := parse(t, newContext(t), "@v = internal global i32 0\n@s = private unnamed_addr constant [1 x i8] c\"x\"\ndefine internal ptr @f() { ret ptr @v }\ndefine ptr @g() { %r = call ptr @f()\n ret ptr @s }")
	s, err := m.Prepare(PrepareOptions{StaticSuffix: ".7"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Functions[0].Name != "f.7" || s.Functions[1].Name != "g" || s.Variables[0].Name != "v.7" {
		t.Errorf("%+v", s)
	}
}

func TestPrepareErrors(t *testing.T) {
	tests := []struct {
		name, ir, want string
		kind           ErrorKind
	}{
		{"architecture", `target triple = "aarch64-unknown-linux-gnu"`, "module is for target aarch64-unknown-linux-gnu, this process runs on x86_64", KindTarget},
		{"object format", `target triple = "x86_64-apple-macosx"`, "x86_64-apple-macosx", KindTarget},
		{"system", `target triple = "x86_64-unknown-freebsd"`, "x86_64-unknown-freebsd", KindTarget},
		{"x32", `target triple = "x86_64-unknown-linux-gnux32"`, "gnux32", KindTarget},
		{"layout", "target datalayout = \"e-p:32:32\"\ntarget triple = \"x86_64-unknown-linux-gnu\"", `data layout "e-p:32:32`, KindTarget},
		{"two definitions of one symbol", "define void @x() { ret void }\ndefine void @\"\\01x\"() { ret void }", "defined twice", KindUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, newContext(t), tt.ir)
			_, err := m.Prepare(PrepareOptions{})
			wantError(t, err, tt.kind, tt.want)
		})
	}
}
