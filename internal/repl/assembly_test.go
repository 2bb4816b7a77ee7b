package repl

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestAssemblyOpen(t *testing.T) {
	s, _ := newSession(t, "ir")
	for text, open := range map[string]bool{
		"define i64 @f(i64 %x) {\n": true, "define i64 @f(i64 %x)\n": true, "define i64 @f(i64 %x) { ret i64 1 }\n": false, "call i64 @f(i64 1,\n": true,
		"call i64 @f(i64\n": true, "{\n": true, "; {\n": false, "@s = constant [2 x i8] c\"{\\00\"\n": false, "%x = \n": true, "%T = type {\n": true, "}\n": false,
		"declare i64 @f(i64)\n": false, "define void @\"a b\"() {\n": true, ":load {\n": false, "call void @f(]\n": false, "define <{ i8 }> @f()\n": true,
	} {
		if got := s.Open(text); got != open {
			t.Errorf("Open(%q) is %v", text, got)
		}
	}
}

func TestEntities(t *testing.T) {
	for text, want := range map[string]string{
		"%T = type { i64 }\n@x = global %T zeroinitializer, align 8 define void @f() { ret void } declare i32 @puts(ptr)": "type %T|global @x|define @f|declare @puts",
		"define { i32, i32 } @f({ i32, i32 } %a) { %b = add i32 1, 2 \n ret { i32, i32 } %a }\ncall void @f()":            "define @f| ",
		"%x = call i64 @f(i64 1)\nret void":                                       " ",
		"attributes #0 = { nounwind } !0 = !{!1} !llvm.ident = !{!0}":             "attributes #0|metadata !0|metadata !llvm.ident",
		"@a = alias i64 (i64), ptr @b\n$c = comdat any\n@\"q q\" = constant i8 1": "alias @a|comdat $c|global @q q",
		"target triple = \"x\"\nsource_filename = \"y\"\nmodule asm \"z\"":        "target |source_filename |module ",
		"define target(\"spirv.Image\") @f() personality ptr @p { unreachable }":  "define @f",
	} {
		var got []string
		for _, e := range entities(text) {
			got = append(got, e.word+" "+e.name)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s\n%q, want %q", text, strings.Join(got, "|"), want)
		}
	}
}

// TestAssemblySeen: what other modules see of a definition.
func TestAssemblySeen(t *testing.T) {
	a := languages["ir"](&Session{program: newProgram()}).(*assembly)
	for text, want := range map[string]string{
		"define internal i64 @f(i64 %x) #0 { ret i64 %x }":                                                                         "declare i64 @f(i64 %x) #0: i64 (i64)",
		"define linkonce_odr hidden fastcc noundef ptr @f(ptr noundef nonnull align 8 %p, ...) unnamed_addr comdat { ret ptr %p }": "declare fastcc noundef ptr @f(ptr noundef nonnull align 8 %p, ...): ptr (ptr, ...)",
		"define { i32, ptr addrspace(1) } @f(<2 x i32>, [2 x { i8, i8 }] %a) { unreachable }":                                      "declare { i32, ptr addrspace(1) } @f(<2 x i32>, [2 x { i8, i8 }] %a): { i32, ptr addrspace(1) } (<2 x i32>, [2 x { i8, i8 }])",
		"@x = internal unnamed_addr global [2 x i8] c\"a\\00\", align 16":                                                          "@x = external global [2 x i8], align 16: [2 x i8]",
		"@x = dso_local thread_local(initialexec) addrspace(0) constant i32 1":                                                     "@x = external thread_local ( initialexec ) addrspace ( 0 ) constant i32: i32",
		"@x = extern_weak global i32":                           "@x = extern_weak global i32: i32",
		"declare dso_local !dbg !3 i32 @puts(ptr nocapture) #1": "declare i32 @puts(ptr nocapture) #1: i32 (ptr)",
	} {
		d, err := a.definitions(text, "input")
		if err != nil || len(d.items) != 1 {
			t.Fatalf("%s: %v, %v", text, d, err)
		}
		if got := d.items[0].seen + ": " + d.items[0].about; got != want {
			t.Errorf("%s\nis seen as\n%s\nwant\n%s", text, got, want)
		}
	}
}

// TestCalled: the declaration of a function follows from how it is called.
func TestCalled(t *testing.T) {
	for text, want := range map[string]string{
		"%r = call i64 @f(i64 1, ptr null)":                          "declare i64 @f(i64, ptr)",
		"%r = tail call fastcc noundef signext i8 @f(i8 noundef %x)": "declare i8 @f(i8)",
		"call i32 (ptr, ...) @f(ptr @s, i32 1)":                      "declare i32 @f(ptr, ...)",
		"call { i32, [2 x i8] } @f()":                                "declare { i32, [2 x i8] } @f()",
		"call ptr addrspace(1) @f(<2 x i32> %v)":                     "declare ptr addrspace(1) @f(<2 x i32>)",
		"invoke void @f() to label %a unwind label %b":               "declare void @f()",
		"store ptr @f, ptr %p":                                       "",
		"@f(":                                                        "",
	} {
		if got := called(text, "@f"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// FuzzAssembly: whatever is typed, taking it apart ends well, and nothing is lost.
func FuzzAssembly(f *testing.F) {
	for _, text := range []string{
		"define i64 @f(i64 %x) { ret i64 %x }", "@x = global i32 1, comdat, align 4", "%T = type { i64 }", "declare !dbg !1 void @f(", "attributes #0 = { \"a\"=\"b\" }",
		"call i32 (ptr, ...) @printf(ptr @s)", "!0 = distinct !{!0, !1}", "#dbg_value(", "@", "define", "@x =", "@x = alias", "target(", "ptr addrspace(", ")(", "\"", "^0 = x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := languages["ir"](&Session{program: newProgram()}).(*assembly)
		a.open(text)
		covered := 0
		for _, e := range entities(text) {
			covered += len(e.tokens)
			called(text, e.name)
			initialiser(e.text)
		}
		if tokens, _ := scanAssembly(text); covered != len(tokens) {
			t.Errorf("%q: %d of %d tokens are in definitions", text, covered, len(tokens))
		}
		if d, err := a.definitions(text, "input"); err == nil {
			for _, i := range d.items {
				if i.key == "" && i.name != "" {
					t.Errorf("%q: an item without a key", text)
				}
			}
		}
	})
}

// TestAssemblyRedefinitionsTakeNoMemory: as in C, with values that are kept until others have their names.
func TestAssemblyRedefinitionsTakeNoMemory(t *testing.T) {
	s, screen := newSession(t, "ir")
	held := func() string {
		if err := s.engine.Quiesce(context.Background()); err != nil {
			t.Fatal(err)
		}
		stats := s.engine.Stats()
		return fmt.Sprintf("%d modules, %d functions, %d symbols, %d pieces; %d items, %d changes", stats.Modules, stats.Functions, stats.Symbols, stats.Pieces, len(s.program.items), len(s.changes))
	}
	define := func(from, to int) {
		for n := from; n < to; n++ {
			input(t, s, fmt.Sprintf("define i64 @f() { ret i64 %d }", n))
			input(t, s, "%x = call i64 @f()")
			input(t, s, "%y = add i64 %x, 0")
		}
	}
	define(0, undoDepth+1)
	before := held()
	define(1000, 1000+undoDepth)
	if after := held(); after != before {
		t.Errorf("%s\nbefore: %s", after, before)
	}
	if !strings.HasSuffix(screen.String(), "(i64) 1099\n") {
		t.Errorf("%q", screen.String()[max(screen.Len()-200, 0):])
	}
}
