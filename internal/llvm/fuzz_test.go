package llvm

import (
	"errors"
	"testing"
)

// checkInput takes a module that was read all the way. The oracle: an *Error or a result, and nothing else.
func checkInput(t *testing.T, c *Context, m *Module, err error) {
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Kind == KindPoisoned || len(e.Diagnostics) == 0 {
			t.Fatalf("error %T %v", err, err)
		}
		return
	}
	defer m.Close()
	if err := m.Verify(); err != nil {
		t.Fatalf("module was read, but is invalid: %+v", err)
	}
	s, err := m.Prepare(PrepareOptions{})
	if err != nil {
		return
	}
	if err := m.Verify(); err != nil {
		t.Fatalf("prepared module is invalid: %+v\n%s", err, m.Text())
	}
	for i, f := range s.Functions {
		if !f.Defined || i > 20 {
			continue
		}
		part, err := m.Cut(f.Name)
		if err != nil {
			continue
		}
		if err := part.Verify(); err != nil {
			t.Fatalf("cut module is invalid: %+v\n%s", err, part.Text())
		}
		part.Close()
	}
	for part, err := range m.Split(SplitOptions{}) {
		if err != nil {
			break
		}
		if err := part.Module.Verify(); err != nil {
			t.Fatalf("part is invalid: %+v\n%s", err, part.Module.Text())
		}
	}
}

// Texts with something of everything, for the mutator to work on.
var fuzzSeeds = []string{
	smallIR, goodIR,
	"@a = private unnamed_addr constant [2 x i8] c\"x\\00\"\n@t = internal constant [1 x ptr] [ptr blockaddress(@f, %b)]\n@x = thread_local(localexec) global i32 0\ndefine ptr @f(ptr %p) {\n indirectbr ptr %p, [label %b]\nb:\n ret ptr @a\n}\n",
	"$c = comdat any\n@v = linkonce_odr global { i32, ptr } zeroinitializer, comdat($c), align 8\n@al = alias i32, ptr @v\n@if = ifunc void (), ptr @r\ndefine internal ptr @r() alwaysinline { ret ptr null }\n@llvm.used = appending global [1 x ptr] [ptr @v], section \"llvm.metadata\"\n",
	"define internal i32 @h(i32 %x) alwaysinline { ret i32 %x }\ndefine i32 @f(i32 %x) personality ptr @p {\n %a = invoke i32 @h(i32 %x) to label %ok unwind label %bad\nok:\n ret i32 %a\nbad:\n %l = landingpad { ptr, i32 } cleanup\n resume { ptr, i32 } %l\n}\ndeclare i32 @p(...)\n",
	"define void @f() !dbg !3 { ret void, !dbg !6 }\n!llvm.module.flags = !{!0}\n!llvm.dbg.cu = !{!1}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}\n!1 = distinct !DICompileUnit(language: DW_LANG_C99, file: !2)\n!2 = !DIFile(filename: \"a.c\", directory: \"/\")\n!3 = distinct !DISubprogram(name: \"f\", file: !2, unit: !1, type: !4, spFlags: DISPFlagDefinition)\n!4 = !DISubroutineType(types: !5)\n!5 = !{null}\n!6 = !DILocation(line: 1, scope: !3)\n",
	"!llvm.module.flags = !{!0, !1}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}\n!1 = distinct !DIFile(filename: \"a.c\", directory: \"/\")\n", // flags that are none
	"define void @f() { ret void, !g !0 }\n!0 = distinct !DISubprogram(unit: !1)\n!1 = !{!0, null, ptr @f}\n",                                     // debug info that is none
	"define void @f() !d !3 { ret void, !dbg !2 }\n!llvm.dbg.cu = !{!1}\n!1 = distinct !DICompileUnit(language: DW_LANG_C99, file: !6)\n!2 = !DIFile(filename: \"a.c\", directory: \"/\")\n!3 = distinct !DISubprogram(name: \"f\", file: !2, unit: !1, type: !4)\n!4 = !DISubroutineType(types: !4)\n!6 = !DILocation(line: 1, scope: !3)",
	"@al = alias i32, ptr @if\n@if = ifunc void (), ptr @r\n@al2 = alias i32, ptr @al\ndefine internal ptr @r() alwaysinline { ret ptr null }\n",
	"target triple = \"x86_64-unknown-linux-gnu\"\nmodule asm \".globl q\"\n%s = type { i8, <4 x float>, [3 x %s2] }\n%s2 = type <{ i1 }>\ndeclare %s @g(ptr byval(%s2), ...)\n",
}

func FuzzIR(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := NewContext()
		defer c.Close()
		m, err := c.ParseIR("fuzz.ll", text)
		checkInput(t, c, m, err)
	})
}

// FuzzBitcode: what LLVM writes it reads back as the same. (Bytes are not mutated: LLVM's reader trusts its input in
// parts, and fabricated bitcode can crash it.)
func FuzzBitcode(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := NewContext()
		defer c.Close()
		m, err := c.ParseIR("fuzz", text)
		if err != nil {
			return
		}
		defer m.Close()
		bc, err := m.Bitcode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.ParseBitcode("fuzz", bc)
		if err != nil {
			t.Fatalf("own bitcode: %+v\n%s", err, m.Text())
		}
		checkInput(t, c, again, nil)
	})
}
