package llvm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// differing names the globals of two summaries whose Code (or presence) differs, sorted.
func differing(a, b *Summary) string {
	codes := func(s *Summary) map[string][16]byte {
		m := map[string][16]byte{}
		for _, list := range [][]Global{s.Functions, s.Variables, s.Aliases, s.IFuncs} {
			for _, g := range list {
				if g.Defined {
					m[g.Name] = g.Code
				}
			}
		}
		return m
	}
	x, y := codes(a), codes(b)
	var names []string
	for n, code := range x {
		if y[n] != code {
			names = append(names, n)
		}
	}
	for n := range y {
		if _, both := x[n]; !both {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func summarize(t testing.TB, text string) *Summary {
	t.Helper()
	return prepare(t, parse(t, newContext(t), text))
}

// fingerprintPairs are modules a and b, and the names of the globals whose Code differs. An empty a is the line
// "define i32 @f(i32 %x, ptr %p) { ... }" around body; the same for b.
var fingerprintPairs = []struct{ name, a, b, differ string }{
	// What does not enter.
	{"names of values", "%a = add i32 %x, 1\n ret i32 %a", "%b = add i32 %x, 1\n ret i32 %b", ""},
	{"names of blocks", "br label %a\na:\n ret i32 0", "br label %b\nb:\n ret i32 0", ""},
	{"numbered values", "%1 = add i32 %x, 1\n ret i32 %1", "%n = add i32 %x, 1\n ret i32 %n", ""},
	{"comments and metadata numbers", "%a = load i32, ptr %p, !range !0\n ret i32 %a }\n!0 = !{i32 0, i32 5}\ndefine void @o() { ret void",
		"%a = load i32, ptr %p, !range !7\n ret i32 %a }\n!7 = !{i32 0, i32 5}\n!8 = !{}\n!x = !{!8}\ndefine void @o() { ret void", ""},
	{"order of symbols", "@v = global i32 1\n@w = global i32 2\ndefine void @f() { ret void }\ndefine void @g() { ret void }",
		"@w = global i32 2\n@v = global i32 1\ndefine void @g() { ret void }\ndefine void @f() { ret void }", ""},
	{"source file name", "source_filename = \"a.c\"\ndefine void @f() { ret void }", "source_filename = \"b.c\"\ndefine void @f() { ret void }", ""},
	{"flags of debug info", "define void @f() { ret void }\n!llvm.module.flags = !{!0}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}",
		"define void @f() { ret void }\n!llvm.module.flags = !{!0, !1}\n!0 = !{i32 2, !\"Debug Info Version\", i32 3}\n!1 = !{i32 7, !\"Dwarf Version\", i32 5}", ""},
	{"named types", "%t = type { i32, ptr }\n@v = global %t zeroinitializer\ndefine void @f(ptr %p) { store %t zeroinitializer, ptr %p\n ret void }",
		"%u = type { i32, ptr }\n@v = global %u zeroinitializer\ndefine void @f(ptr %p) { store %u zeroinitializer, ptr %p\n ret void }", ""},
	{"names of private constants", "@.str = private unnamed_addr constant [2 x i8] c\"a\\00\"\ndefine ptr @f() { ret ptr @.str }",
		"@.str.9 = private unnamed_addr constant [2 x i8] c\"a\\00\"\ndefine ptr @f() { ret ptr @.str.9 }", ""},
	{"linkage of functions", "define internal void @f() { ret void }", "define linkonce_odr void @f() { ret void }", ""},
	{"source locations of inline assembly", "call void asm \"nop\", \"\"(), !srcloc !0\n ret i32 0 }\n!0 = !{i64 1}\ndefine void @o() { ret void",
		"call void asm \"nop\", \"\"(), !srcloc !0\n ret i32 0 }\n!0 = !{i64 2}\ndefine void @o() { ret void", ""},
	{"order of attachments", "%a = load i32, ptr %p, !range !0, !noundef !1\n ret i32 %a }\n!0 = !{i32 0, i32 5}\n!1 = !{}\ndefine void @o() { ret void",
		"%a = load i32, ptr %p, !noundef !1, !range !0\n ret i32 %a }\n!0 = !{i32 0, i32 5}\n!1 = !{}\ndefine void @o() { ret void", ""},
	{"an inline helper's name", "define internal i32 @h() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @h()\n ret i32 %r }",
		"define internal i32 @k() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @k()\n ret i32 %r }", ""},
	{"attributes inferred from bodies", "define void @f() nounwind memory(none) { ret void }\ndefine void @g() { call void @f()\n ret void }",
		"define void @f() { ret void }\ndefine void @g() { call void @f()\n ret void }", ""},

	// Instructions and their flags.
	{"another constant", "%a = add i32 %x, 1\n ret i32 %a", "%a = add i32 %x, 2\n ret i32 %a", "f"},
	{"another operator", "%a = add i32 %x, 1\n ret i32 %a", "%a = sub i32 %x, 1\n ret i32 %a", "f"},
	{"operands exchanged", "%a = sub i32 %x, 1\n ret i32 %a", "%a = sub i32 1, %x\n ret i32 %a", "f"},
	{"nsw dropped", "%a = add nsw i32 %x, 1\n ret i32 %a", "%a = add i32 %x, 1\n ret i32 %a", "f"},
	{"nuw for nsw", "%a = add nsw i32 %x, 1\n ret i32 %a", "%a = add nuw i32 %x, 1\n ret i32 %a", "f"},
	{"exact", "%a = udiv exact i32 %x, 3\n ret i32 %a", "%a = udiv i32 %x, 3\n ret i32 %a", "f"},
	{"disjoint", "%a = or disjoint i32 %x, 3\n ret i32 %a", "%a = or i32 %x, 3\n ret i32 %a", "f"},
	{"fast-math", "%a = fadd fast float 1.0, 2.0\n ret i32 0", "%a = fadd float 1.0, 2.0\n ret i32 0", "f"},
	{"another float", "%a = fadd float 1.0, 2.0\n ret i32 0", "%a = fadd float 1.0, 2.5\n ret i32 0", "f"},
	{"negative zero", "%a = fadd float 0.0, 2.0\n ret i32 0", "%a = fadd float -0.0, 2.0\n ret i32 0", "f"},
	{"predicate", "%a = icmp slt i32 %x, 1\n ret i32 0", "%a = icmp ult i32 %x, 1\n ret i32 0", "f"},
	{"samesign", "%a = icmp samesign slt i32 %x, 1\n ret i32 0", "%a = icmp slt i32 %x, 1\n ret i32 0", "f"},
	{"inbounds", "%a = getelementptr inbounds i8, ptr %p, i32 %x\n ret i32 0", "%a = getelementptr i8, ptr %p, i32 %x\n ret i32 0", "f"},
	{"element type", "%a = getelementptr i8, ptr %p, i32 %x\n ret i32 0", "%a = getelementptr i16, ptr %p, i32 %x\n ret i32 0", "f"},
	{"alloca's alignment", "%a = alloca i32, align 4\n ret i32 0", "%a = alloca i32, align 8\n ret i32 0", "f"},
	{"alloca's type", "%a = alloca i32, align 4\n ret i32 0", "%a = alloca float, align 4\n ret i32 0", "f"},
	{"volatile", "%a = load volatile i32, ptr %p\n ret i32 %a", "%a = load i32, ptr %p\n ret i32 %a", "f"},
	{"alignment of a load", "%a = load i32, ptr %p, align 4\n ret i32 %a", "%a = load i32, ptr %p, align 2\n ret i32 %a", "f"},
	{"ordering", "%a = load atomic i32, ptr %p acquire, align 4\n ret i32 %a", "%a = load atomic i32, ptr %p monotonic, align 4\n ret i32 %a", "f"},
	{"syncscope", "fence seq_cst\n ret i32 0", "fence syncscope(\"singlethread\") seq_cst\n ret i32 0", "f"},
	{"atomic operation", "%a = atomicrmw add ptr %p, i32 1 seq_cst\n ret i32 %a", "%a = atomicrmw xor ptr %p, i32 1 seq_cst\n ret i32 %a", "f"},
	{"weak cmpxchg", "%a = cmpxchg weak ptr %p, i32 1, i32 2 seq_cst seq_cst\n ret i32 0", "%a = cmpxchg ptr %p, i32 1, i32 2 seq_cst seq_cst\n ret i32 0", "f"},
	{"failure ordering", "%a = cmpxchg ptr %p, i32 1, i32 2 seq_cst seq_cst\n ret i32 0", "%a = cmpxchg ptr %p, i32 1, i32 2 seq_cst monotonic\n ret i32 0", "f"},
	{"index", "%a = extractvalue {i32, i32} {i32 1, i32 2}, 0\n ret i32 %a", "%a = extractvalue {i32, i32} {i32 1, i32 2}, 1\n ret i32 %a", "f"},
	{"shuffle mask", "%a = shufflevector <2 x i32> <i32 1, i32 2>, <2 x i32> poison, <2 x i32> <i32 0, i32 1>\n ret i32 0",
		"%a = shufflevector <2 x i32> <i32 1, i32 2>, <2 x i32> poison, <2 x i32> <i32 1, i32 0>\n ret i32 0", "f"},
	{"undef and poison", "%a = add i32 undef, 1\n ret i32 0", "%a = add i32 poison, 1\n ret i32 0", "f"},
	{"case of a switch", "switch i32 %x, label %a [ i32 1, label %b ]\na:\n ret i32 0\nb:\n ret i32 1", "switch i32 %x, label %a [ i32 2, label %b ]\na:\n ret i32 0\nb:\n ret i32 1", "f"},
	{"target of a switch", "switch i32 %x, label %a [ i32 1, label %b ]\na:\n ret i32 0\nb:\n ret i32 1", "switch i32 %x, label %b [ i32 1, label %a ]\na:\n ret i32 0\nb:\n ret i32 1", "f"},
	{"branches exchanged", "%c = icmp eq i32 %x, 0\n br i1 %c, label %a, label %b\na:\n ret i32 0\nb:\n ret i32 1",
		"%c = icmp eq i32 %x, 0\n br i1 %c, label %b, label %a\na:\n ret i32 0\nb:\n ret i32 1", "f"},
	{"predecessors of a phi", "%c = icmp eq i32 %x, 0\n br i1 %c, label %a, label %b\na:\n br label %e\nb:\n br label %e\ne:\n %v = phi i32 [ 1, %a ], [ 2, %b ]\n ret i32 %v",
		"%c = icmp eq i32 %x, 0\n br i1 %c, label %a, label %b\na:\n br label %e\nb:\n br label %e\ne:\n %v = phi i32 [ 1, %b ], [ 2, %a ]\n ret i32 %v", "f"},
	{"which argument", "define i32 @f(i32 %x, i32 %y) { ret i32 %x }", "define i32 @f(i32 %x, i32 %y) { ret i32 %y }", "f"},
	{"an instruction more", "%a = add i32 %x, 1\n ret i32 %x", "ret i32 %x", "f"},
	{"inline assembly", "call void asm \"nop\", \"\"()\n ret i32 0", "call void asm \"nop\", \"~{memory}\"()\n ret i32 0", "f"},
	{"side effects of assembly", "call void asm \"nop\", \"\"()\n ret i32 0", "call void asm sideeffect \"nop\", \"\"()\n ret i32 0", "f"},
	{"dialect of assembly", "call void asm \"nop\", \"\"()\n ret i32 0", "call void asm inteldialect \"nop\", \"\"()\n ret i32 0", "f"},

	// Calls.
	{"call target", "declare void @g()\ndeclare void @h()\ndefine void @f() { call void @g()\n ret void }", "declare void @g()\ndeclare void @h()\ndefine void @f() { call void @h()\n ret void }", "f"},
	{"tail", "declare void @g()\ndefine void @f() { tail call void @g()\n ret void }", "declare void @g()\ndefine void @f() { call void @g()\n ret void }", "f"},
	{"musttail", "declare void @g()\ndefine void @f() { tail call void @g()\n ret void }", "declare void @g()\ndefine void @f() { musttail call void @g()\n ret void }", "f"},
	{"calling convention of a call", "define void @f(ptr %p) { call fastcc void %p()\n ret void }", "define void @f(ptr %p) { call void %p()\n ret void }", "f"},
	{"attribute of a call", "define void @f(ptr %p) { call void %p() nounwind\n ret void }", "define void @f(ptr %p) { call void %p()\n ret void }", "f"},
	{"attribute of an argument", "define void @f(ptr %p) { call void %p(i8 zeroext 1)\n ret void }", "define void @f(ptr %p) { call void %p(i8 signext 1)\n ret void }", "f"},
	{"operand bundle", "define void @f(ptr %p) { call void %p() [ \"x\"(i32 1) ]\n ret void }", "define void @f(ptr %p) { call void %p() [ \"y\"(i32 1) ]\n ret void }", "f"},
	{"clause of a landing pad", "declare void @g()\ndefine void @f() personality ptr @g { invoke void @g() to label %a unwind label %b\na:\n ret void\nb:\n %l = landingpad {ptr, i32} cleanup\n ret void }",
		"declare void @g()\ndefine void @f() personality ptr @g { invoke void @g() to label %a unwind label %b\na:\n ret void\nb:\n %l = landingpad {ptr, i32} catch ptr null\n ret void }", "f"},
	{"a callee's body", "define i32 @g() { ret i32 1 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }", "define i32 @g() { ret i32 2 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }", "g"},
	{"an inline helper's body", "define internal i32 @g() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }\ndefine void @o() { ret void }",
		"define internal i32 @g() alwaysinline { ret i32 2 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }\ndefine void @o() { ret void }", "f"},
	{"a helper's helper", "define internal i32 @h() alwaysinline { ret i32 1 }\ndefine internal i32 @g() alwaysinline { %r = call i32 @h()\n ret i32 %r }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }",
		"define internal i32 @h() alwaysinline { ret i32 2 }\ndefine internal i32 @g() alwaysinline { %r = call i32 @h()\n ret i32 %r }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }", "f"},
	{"a visible inline function's body", "define i32 @g() alwaysinline { ret i32 1 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }",
		"define i32 @g() alwaysinline { ret i32 2 }\ndefine i32 @f() { %r = call i32 @g()\n ret i32 %r }", "f g"},
	{"attribute of a declaration", "declare void @g() nounwind\ndefine void @f() { call void @g()\n ret void }\ndefine void @o() { ret void }", "declare void @g()\ndefine void @f() { call void @g()\n ret void }\ndefine void @o() { ret void }", "f"},
	{"recursion", "define void @f() { call void @f()\n ret void }", "define void @f() { call void @g()\n ret void }\ndeclare void @g()", "f"},

	// Functions as a whole.
	{"attribute", "define void @f() noinline { ret void }", "define void @f() cold { ret void }", "f"},
	{"attribute only the body sees", "define void @f() noinline { ret void }\ndefine void @g() { call void @f()\n ret void }", "define void @f() { ret void }\ndefine void @g() { call void @f()\n ret void }", "f"},
	{"string attribute", "define void @f() \"target-cpu\"=\"x86-64\" { ret void }", "define void @f() \"target-cpu\"=\"x86-64-v3\" { ret void }", "f"},
	{"parameter attribute", "define void @f(i8 zeroext %x) { ret void }", "define void @f(i8 signext %x) { ret void }", "f"},
	{"attribute with a type", "define void @f(ptr byval(i32) %x) { ret void }", "define void @f(ptr byval(i64) %x) { ret void }", "f"},
	{"range of a parameter of a declaration", "declare void @g(i8 range(i8 0, 5))\ndefine void @f() { call void @g(i8 1)\n ret void }", "declare void @g(i8 range(i8 0, 6))\ndefine void @f() { call void @g(i8 1)\n ret void }", "f"},
	{"calling convention", "define void @f() { ret void }", "define fastcc void @f() { ret void }", "f"},
	{"alignment", "define void @f() align 32 { ret void }", "define void @f() { ret void }", "f"},
	{"personality", "declare void @p()\ndefine void @f() personality ptr @p { ret void }", "declare void @p()\ndefine void @f() { ret void }", "f"},
	{"prefix", "define void @f() prefix i32 1 { ret void }", "define void @f() prefix i32 2 { ret void }", "f"},
	{"garbage collector", "define void @f() gc \"statepoint-example\" { ret void }", "define void @f() { ret void }", "f"},
	{"section that means something", "@__start_a = external global i8\ndefine void @f() section \"a\" { ret void }", "@__start_a = external global i8\ndefine void @f() { ret void }", "f"},
	{"comdat", "$f = comdat any\ndefine void @f() comdat { ret void }", "define void @f() { ret void }", "f"},
	{"entry count", "define void @f() !prof !0 { ret void }\n!0 = !{!\"function_entry_count\", i64 1}", "define void @f() !prof !0 { ret void }\n!0 = !{!\"function_entry_count\", i64 2}", "f"},
	{"return type", "define i32 @f() { ret i32 0 }", "define i64 @f() { ret i64 0 }", "f"},
	{"module flag", "define void @f() { ret void }\n!llvm.module.flags = !{!0}\n!0 = !{i32 1, !\"wchar_size\", i32 4}", "define void @f() { ret void }\n!llvm.module.flags = !{!0}\n!0 = !{i32 1, !\"wchar_size\", i32 2}", "f"},
	{"triple", "target triple = \"x86_64-unknown-linux-gnu\"\ndefine void @f() { ret void }", "target triple = \"x86_64-pc-linux-gnu\"\ndefine void @f() { ret void }", "f"},

	// Metadata.
	{"range", "%a = load i32, ptr %p, !range !0\n ret i32 %a }\n!0 = !{i32 0, i32 5}\ndefine void @o() { ret void", "%a = load i32, ptr %p, !range !0\n ret i32 %a }\n!0 = !{i32 0, i32 6}\ndefine void @o() { ret void", "f"},
	{"attachment gone", "%a = load i32, ptr %p, !nontemporal !0\n ret i32 %a }\n!0 = !{i32 1}\ndefine void @o() { ret void", "%a = load i32, ptr %p\n ret i32 %a }\ndefine void @o() { ret void", "f"},
	{"kind of attachment", "%a = load ptr, ptr %p, !nonnull !0\n ret i32 0 }\n!0 = !{}\ndefine void @o() { ret void", "%a = load ptr, ptr %p, !invariant.load !0\n ret i32 0 }\n!0 = !{}\ndefine void @o() { ret void", "f"},
	{"alias classes, deep inside", "%a = load i32, ptr %p, !tbaa !0\n ret i32 %a }\n!0 = !{!1, !1, i64 0}\n!1 = !{!\"int\", !2}\n!2 = !{!\"root\"}\ndefine void @o() { ret void",
		"%a = load i32, ptr %p, !tbaa !0\n ret i32 %a }\n!0 = !{!1, !1, i64 0}\n!1 = !{!\"int\", !2}\n!2 = !{!\"other root\"}\ndefine void @o() { ret void", "f"},
	{"branch weights", "%c = icmp eq i32 %x, 0\n br i1 %c, label %a, label %b, !prof !0\na:\n ret i32 0\nb:\n ret i32 1 }\n!0 = !{!\"branch_weights\", i32 1, i32 2}\ndefine void @o() { ret void",
		"%c = icmp eq i32 %x, 0\n br i1 %c, label %a, label %b, !prof !0\na:\n ret i32 0\nb:\n ret i32 1 }\n!0 = !{!\"branch_weights\", i32 1, i32 3}\ndefine void @o() { ret void", "f"},
	{"callees", "define void @f(ptr %p) { call void %p(), !callees !0\n ret void }\ndeclare void @g()\ndeclare void @h()\n!0 = !{ptr @g}", "define void @f(ptr %p) { call void %p(), !callees !0\n ret void }\ndeclare void @g()\ndeclare void @h()\n!0 = !{ptr @h}", "f"},
	{"loop hint", "br label %l\nl:\n br label %l, !llvm.loop !0 }\n!0 = distinct !{!0, !1}\n!1 = !{!\"llvm.loop.unroll.disable\"}\ndefine void @o() { ret void",
		"br label %l\nl:\n br label %l, !llvm.loop !0 }\n!0 = distinct !{!0, !1}\n!1 = !{!\"llvm.loop.unroll.enable\"}\ndefine void @o() { ret void", "f"},
	{"the same scope twice, and two scopes", "%a = load i32, ptr %p, !alias.scope !0\n %b = load i32, ptr %p, !noalias !0\n ret i32 0 }\n!0 = !{!1}\n!1 = distinct !{!1, !2}\n!2 = distinct !{!2}\ndefine void @o() { ret void",
		"%a = load i32, ptr %p, !alias.scope !0\n %b = load i32, ptr %p, !noalias !3\n ret i32 0 }\n!0 = !{!1}\n!1 = distinct !{!1, !2}\n!2 = distinct !{!2}\n!3 = !{!4}\n!4 = distinct !{!4, !2}\ndefine void @o() { ret void", "f"},
	{"metadata operand", "%a = call i64 @llvm.read_register.i64(metadata !0)\n ret i32 0 }\n!0 = !{!\"rsp\"}\ndeclare i64 @llvm.read_register.i64(metadata)\ndefine void @o() { ret void",
		"%a = call i64 @llvm.read_register.i64(metadata !0)\n ret i32 0 }\n!0 = !{!\"rsi\"}\ndeclare i64 @llvm.read_register.i64(metadata)\ndefine void @o() { ret void", "f"},

	// Variables and what their users see of them.
	{"initialiser", "@v = global i32 1\ndefine ptr @f() { ret ptr @v }", "@v = global i32 2\ndefine ptr @f() { ret ptr @v }", "v"},
	{"value type", "@v = global i32 1\ndefine ptr @f() { ret ptr @v }", "@v = global i64 1\ndefine ptr @f() { ret ptr @v }", "f v"},
	{"alignment of a variable", "@v = global i32 1, align 4\ndefine ptr @f() { ret ptr @v }", "@v = global i32 1, align 64\ndefine ptr @f() { ret ptr @v }", "f v"},
	{"thread-local", "@v = global i32 1\ndefine ptr @f() { ret ptr @v }", "@v = thread_local global i32 1\ndefine ptr @f() { ret ptr @v }", "f v"},
	{"section of a variable", "@v = global i32 1\n", "@v = global i32 1, section \"s\"\n", "v"},
	{"constant", "@v = global i32 1\ndefine ptr @f() { ret ptr @v }", "@v = constant i32 1\ndefine ptr @f() { ret ptr @v }", "f v"},
	{"content of a constant", "@v = constant i32 1\ndefine ptr @f() { ret ptr @v }\ndefine void @o() { ret void }", "@v = constant i32 2\ndefine ptr @f() { ret ptr @v }\ndefine void @o() { ret void }", "f v"},
	{"content of a constant that may be another", "@v = weak constant i32 1\ndefine ptr @f() { ret ptr @v }", "@v = weak constant i32 2\ndefine ptr @f() { ret ptr @v }", "v"},
	{"constant behind a constant", "@a = constant i32 1\n@b = constant ptr @a\ndefine ptr @f() { ret ptr @b }", "@a = constant i32 2\n@b = constant ptr @a\ndefine ptr @f() { ret ptr @b }", "a f"},
	{"string", "@s = private unnamed_addr constant [2 x i8] c\"a\\00\"\n@v = global ptr @s\ndefine ptr @f() { ret ptr @s }", "@s = private unnamed_addr constant [2 x i8] c\"b\\00\"\n@v = global ptr @s\ndefine ptr @f() { ret ptr @s }", "f v"},
	{"strings behind a table", "@s = private unnamed_addr constant [2 x i8] c\"a\\00\"\n@t = private unnamed_addr constant [1 x ptr] [ptr @s]\ndefine ptr @f() { ret ptr @t }",
		"@s = private unnamed_addr constant [2 x i8] c\"b\\00\"\n@t = private unnamed_addr constant [1 x ptr] [ptr @s]\ndefine ptr @f() { ret ptr @t }", "f"},
	{"strings exchanged", "@s = private unnamed_addr constant [2 x i8] c\"a\\00\"\n@t = private unnamed_addr constant [2 x i8] c\"b\\00\"\n@v = global [2 x ptr] [ptr @s, ptr @t]",
		"@s = private unnamed_addr constant [2 x i8] c\"a\\00\"\n@t = private unnamed_addr constant [2 x i8] c\"b\\00\"\n@v = global [2 x ptr] [ptr @t, ptr @s]", "v"},
	{"what a variable points to", "@a = global i32 0\n@b = global i32 0\n@v = global ptr @a", "@a = global i32 0\n@b = global i32 0\n@v = global ptr @b", "v"},
	{"where into it points", "@a = global [2 x i32] zeroinitializer\n@v = global ptr getelementptr (i8, ptr @a, i64 4)", "@a = global [2 x i32] zeroinitializer\n@v = global ptr @a", "v"},
	{"extern_weak", "declare void @g()\ndefine ptr @f() { ret ptr @g }", "declare extern_weak void @g()\ndefine ptr @f() { ret ptr @g }", "f"},
	{"constants in a circle", "@a = private unnamed_addr constant [2 x ptr] [ptr @b, ptr null]\n@b = private unnamed_addr constant [2 x ptr] [ptr @a, ptr @v]\n@v = global i32 0\n@w = global i32 0\ndefine ptr @f() { ret ptr @a }\ndefine ptr @g() { ret ptr @b }",
		"@a = private unnamed_addr constant [2 x ptr] [ptr @b, ptr null]\n@b = private unnamed_addr constant [2 x ptr] [ptr @a, ptr @w]\n@v = global i32 0\n@w = global i32 0\ndefine ptr @f() { ret ptr @a }\ndefine ptr @g() { ret ptr @b }", "f g"},
	{"names in a circle", "@a = private unnamed_addr constant [2 x ptr] [ptr @b, ptr null]\n@b = private unnamed_addr constant [2 x ptr] [ptr @a, ptr @v]\n@v = global i32 0\ndefine ptr @f() { ret ptr @a }",
		"@y = private unnamed_addr constant [2 x ptr] [ptr @x, ptr @v]\n@x = private unnamed_addr constant [2 x ptr] [ptr @y, ptr null]\n@v = global i32 0\ndefine ptr @f() { ret ptr @x }", ""},
	{"a constant that leads to itself", "@a = private unnamed_addr constant [2 x ptr] [ptr @a, ptr null]\ndefine ptr @f() { ret ptr @a }", "@a = private unnamed_addr constant [2 x ptr] [ptr null, ptr @a]\ndefine ptr @f() { ret ptr @a }", "f"},
	{"named constants in a circle", "@a = constant [2 x ptr] [ptr @b, ptr null]\n@b = constant [2 x ptr] [ptr @a, ptr null]\ndefine ptr @f() { ret ptr @a }",
		"@a = constant [2 x ptr] [ptr @b, ptr null]\n@b = constant [2 x ptr] [ptr @a, ptr @b]\ndefine ptr @f() { ret ptr @a }", "b f"},

	// Aliases, ifuncs, labels.
	{"alias", "@v = global i32 0\n@w = global i32 0\n@a = alias i32, ptr @v\ndefine ptr @f() { ret ptr @a }", "@v = global i32 0\n@w = global i32 0\n@a = alias i32, ptr @w\ndefine ptr @f() { ret ptr @a }", "a"},
	{"resolver", "define ptr @r() { ret ptr null }\ndefine ptr @s() { ret ptr null }\n@i = ifunc void (), ptr @r", "define ptr @r() { ret ptr null }\ndefine ptr @s() { ret ptr null }\n@i = ifunc void (), ptr @s", "i"},
	{"label in a table", labelProgram("a", "0"), labelProgram("b", "0"), "f"},
	{"names of labels", labelProgram("a", "0"), strings.NewReplacer("%a", "%z", "\na:", "\nz:").Replace(labelProgram("a", "0")), ""},
	{"functions tied by labels", tiedProgram("1"), tiedProgram("2"), "f g"},
}

// labelProgram has a function with a table of its labels, first the one called first.
func labelProgram(first, result string) string {
	return fmt.Sprintf(`@t = internal constant [2 x ptr] [ptr blockaddress(@f, %%%s), ptr blockaddress(@f, %%b)]
define i32 @f(i64 %%i) {
  %%p = getelementptr ptr, ptr @t, i64 %%i
  %%l = load ptr, ptr %%p
  indirectbr ptr %%l, [label %%a, label %%b]
a:
  ret i32 %s
b:
  ret i32 2
}
define void @o() { ret void }`, first, result)
}

// tiedProgram has two functions that a label of one ties together, and what g returns.
func tiedProgram(result string) string {
	return `define ptr @f() { ret ptr blockaddress(@g, %a) }
define i32 @g(ptr %l) {
  indirectbr ptr %l, [label %a]
a:
  ret i32 ` + result + `
}
define void @o() { ret void }`
}

func TestFingerprintPairs(t *testing.T) {
	if len(fingerprintPairs) < 60 {
		t.Errorf("%d pairs", len(fingerprintPairs))
	}
	whole := func(s string) string {
		if regexp.MustCompile(`(?m)^(define|declare|@|%\w+ = type|\$|source_filename|target) ?`).MatchString(s) && !strings.HasSuffix(s, "ret void") {
			return s
		}
		return "define i32 @f(i32 %x, ptr %p) {\n " + s + "\n}\n"
	}
	for _, p := range fingerprintPairs {
		t.Run(p.name, func(t *testing.T) {
			a, b := summarize(t, whole(p.a)), summarize(t, whole(p.b))
			if got := differing(a, b); got != p.differ {
				t.Errorf("%q differ, want %q", got, p.differ)
			}
			if got := differing(a, summarize(t, whole(p.a))); got != "" {
				t.Errorf("of a and a %q differ", got)
			}
		})
	}
}

// TestFingerprintsDoNotDependOnHistory: what a context has seen before, and other modules in it, does not matter.
func TestFingerprintsDoNotDependOnHistory(t *testing.T) {
	c := newContext(t)
	parse(t, c, "%t = type { i8 }\n@x = global %t zeroinitializer\ndefine void @y() \"k\"=\"v\" { call void @z() [ \"bundle\"() ]\n ret void }\ndeclare void @z()\n!q = !{!0}\n!0 = !{!\"unrelated\"}\ndefine void @u(ptr %p) { %a = load i32, ptr %p, !mykind !0\n fence syncscope(\"mine\") seq_cst\n ret void }")
	text := "%t = type { i64 }\n@x = global %t zeroinitializer\ndefine void @f(ptr %p) { %a = load i32, ptr %p, !otherkind !0\n fence syncscope(\"other\") seq_cst\n call void %p() [ \"tag\"() ]\n ret void }\n!0 = !{!\"s\"}"
	if got := differing(prepare(t, parse(t, c, text)), summarize(t, text)); got != "" {
		t.Errorf("%q differ", got)
	}
}

// TestInit: a variable's type and initialiser can be told apart.
func TestInit(t *testing.T) {
	find := func(text string) Global { return summarize(t, text).Variables[0] }
	a, b := find("@v = global i32 1, align 4"), find("@v = global i32 2, align 4")
	c := find("@v = global i32 1, align 8")
	if a.Init == b.Init || a.Code == b.Code || a.Init != c.Init || a.Code == c.Code {
		t.Errorf("%x %x\n%x %x\n%x %x", a.Code, a.Init, b.Code, b.Init, c.Code, c.Init)
	}
}

// TestLongChains: fingerprints do not recurse along what a program can make long. (LLVM's own reader does along metadata.)
func TestLongChains(t *testing.T) {
	const constants, nodes = 50000, 2000
	var text strings.Builder
	for i := range constants {
		fmt.Fprintf(&text, "@c%d = private unnamed_addr constant ptr @c%d\n", i, (i+1)%constants)
	}
	for i := range nodes {
		fmt.Fprintf(&text, "!%d = !{!%d}\n", i, i+1)
	}
	fmt.Fprintf(&text, "!%d = !{!\"end\"}\ndefine ptr @f(ptr %%p) { %%a = load i32, ptr %%p, !chain !0\n ret ptr @c0 }\n", nodes)
	c := NewContext()
	defer c.Close()
	m, err := c.ParseIR("chain.ll", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Prepare(PrepareOptions{})
	if err != nil || s.Functions[0].Code == [16]byte{} {
		t.Error(err)
	}
}

// summarizeC compiles C or C++ and prepares it.
func summarizeC(t testing.TB, name, source string, flags ...string) *Summary {
	t.Helper()
	return prepare(t, parseBitcodeFile(t, newContext(t), name, compileC(t, name, source, flags...)))
}

const tinyC = `
struct point { int x; short y; };
static const int table[] = { 1, 2, 3 };
static struct point points[4];
static inline __attribute__((always_inline)) int twice(int v) { return v * 2; }
static int area(struct point *p) { return p->x * p->y; }
static int last(int i) { return table[i]; }
const char *name(int i) { for (int k = 0; k < i; k++) { __asm__("nop"); } return i ? "one" : "two"; }
int user(int i) { return twice(i) + area(&points[i]) + last(i); }
int dispatch(int i) { static void *l[] = { &&a, &&b }; goto *l[i]; a: return 1; b: return 2; }
`

// tinyEdits are edits of tinyC, and the names of the globals whose Code then differs.
var tinyEdits = []struct{ name, old, new, differ string }{
	{"line on top", "\nstruct point", "\n\n// more\nstruct point", ""},
	{"string before", "const char *name", "const char *fresh(void) { return \"zero\"; }\nconst char *name", "fresh"},
	{"statics in another order", "static int area(struct point *p) { return p->x * p->y; }\nstatic int last(int i) { return table[i]; }\n",
		"static int last(int i) { return table[i]; }\nstatic int area(struct point *p) { return p->x * p->y; }\n", ""},
	{"field moved", "int x; short y;", "short y; int x;", "area points user"},
	{"table", "1, 2, 3", "1, 2, 4", "last table"},
	{"helper", "v * 2", "v * 3", "user"},
	{"string", "\"one\"", "\"eins\"", "name"},
	{"body of a static", "p->x * p->y", "p->x + p->y", "area"},
	{"label", "return 1; b:", "return 3; b:", "dispatch"},
	{"names of locals", "int k = 0; k < i; k++", "int n = 0; n < i; n++", ""},
}

func TestFingerprintsOfC(t *testing.T) {
	for _, flags := range [][]string{{"-O0"}, {"-O0", "-g"}, {"-O2", "-g", "-Xclang", "-disable-llvm-passes"}} {
		before := summarizeC(t, "tiny.c", tinyC, flags...)
		for _, e := range tinyEdits {
			t.Run(strings.Join(flags, "")+"/"+e.name, func(t *testing.T) {
				after := summarizeC(t, "tiny.c", strings.Replace(tinyC, e.old, e.new, 1), flags...)
				if got := differing(before, after); got != e.differ {
					t.Errorf("%q differ, want %q", got, e.differ)
				}
			})
		}
	}
	plain, debug := summarizeC(t, "tiny.c", tinyC, "-O0"), summarizeC(t, "tiny.c", tinyC, "-O0", "-g")
	if got := differing(plain, debug); got != "" {
		t.Errorf("with debug info %q differ", got)
	}
	for i := range plain.Functions {
		if plain.Functions[i].Lines != 0 || (debug.Functions[i].Lines != 0) != debug.Functions[i].Defined {
			t.Errorf("lines of %s: %x, %x", debug.Functions[i].Name, plain.Functions[i].Lines, debug.Functions[i].Lines)
		}
	}
}

// TestEqualCodeCompilesEqual: what a fingerprint promises, at all levels.
func TestEqualCodeCompilesEqual(t *testing.T) {
	for level := range 4 {
		p := newPipeline(t, PipelineOptions{OptLevel: level})
		compile := func(source string) (*Summary, *object) {
			m := parseBitcodeFile(t, newContext(t), "tiny.c", compileC(t, "tiny.c", source, "-O2", "-Xclang", "-disable-llvm-passes"))
			s := prepare(t, m)
			return s, emit(t, p, m)
		}
		before, old := compile(tinyC)
		for _, e := range tinyEdits {
			after, new := compile(strings.Replace(tinyC, e.old, e.new, 1))
			differ := strings.Fields(differing(before, after))
			for _, f := range before.Functions {
				if f.Defined && !slices.Contains(differ, f.Name) && !bytes.Equal(old.code(t, f.Name), new.code(t, f.Name)) {
					t.Errorf("level %d, %s: %s has the same fingerprint and other code", level, e.name, f.Name)
				}
			}
		}
	}
}

// TestLines: Lines moves with the source, and only with it.
func TestLines(t *testing.T) {
	dir := t.TempDir() // its name is in the debug info
	lines := func(source string) map[string]uint64 {
		m := map[string]uint64{}
		out := filepath.Join(dir, "tiny.bc")
		tool(t, "clang-22", "-emit-llvm", "-c", "-g", writeFile(t, dir, "tiny.c", []byte(source)), "-o", out)
		bc, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range prepare(t, parseBitcodeFile(t, newContext(t), "tiny.c", bc)).Functions {
			if f.Defined {
				m[f.Name] = f.Lines
			}
		}
		return m
	}
	before := lines(tinyC)
	changed := func(old, new string) string {
		var names []string
		for n, l := range lines(strings.Replace(tinyC, old, new, 1)) {
			if before[n] != l {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for _, e := range [][3]string{
		{"\nstruct point", "\n\nstruct point", "area dispatch last name user"},
		{"int k = 0; k < i; k++", "int n = 0; n < i; n++", "name"},
		{"{ return v * 2", "{  return v * 2", "user"},
		{"1, 2, 3", "1, 2, 4", ""},
		{"; b: return 2", ";\n b: return 2", "dispatch"},
	} {
		if got := changed(e[0], e[1]); got != e[2] {
			t.Errorf("%q for %q: lines of %q, want %q", e[1], e[0], got, e[2])
		}
	}
}

// TestFingerprintsOfSQLite: text and bitcode give the same; one changed instruction changes one function.
func TestFingerprintsOfSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles SQLite")
	}
	bc := sqlite(t)
	m := parseBitcodeFile(t, newContext(t), "sqlite", bc)
	text := m.Text()
	own, err := m.Bitcode()
	if err != nil {
		t.Fatal(err)
	}
	first := prepare(t, m)
	if got := differing(first, prepare(t, parse(t, newContext(t), text))); got != "" {
		t.Errorf("through text %.200q differ", got)
	}
	if got := differing(first, prepare(t, parseBitcodeFile(t, newContext(t), "sqlite", own))); got != "" {
		t.Errorf("through bitcode %.200q differ", got)
	}
	seen := map[[16]byte]string{}
	for _, v := range first.Variables {
		if v.Defined && (v.Code == [16]byte{} || v.Init == [16]byte{}) {
			t.Errorf("%s has no fingerprint", v.Name)
		}
	}
	same := 0
	for _, f := range first.Functions {
		if f.Defined {
			if seen[f.Code] != "" {
				same++
			}
			seen[f.Code] = f.Name
		}
	}
	if n := len(seen); n < 2000 {
		t.Errorf("only %d different functions, %d are the same as others", n, same)
	}

	// Every 40th function gets another constant or operator.
	add := regexp.MustCompile(`= (add|sub|and|or|shl) (nsw |nuw )*(i32|i64) `)
	var edited strings.Builder
	var want []string
	count := 0
	for _, chunk := range strings.SplitAfter(text, "\n}\n") {
		at := strings.Index(chunk, "\ndefine ")
		if at >= 0 {
			count++
			body := chunk[at:]
			if loc := add.FindStringSubmatchIndex(body); count%40 == 0 && loc != nil {
				name := regexp.MustCompile(`@([\w.$]+)\(`).FindStringSubmatch(body)[1]
				want = append(want, name)
				chunk = chunk[:at] + body[:loc[2]] + "xor" + " " + body[loc[6]:]
			}
		}
		edited.WriteString(chunk)
	}
	slices.Sort(want)
	if len(want) < 20 {
		t.Fatalf("only %d functions edited", len(want))
	}
	if got := differing(first, prepare(t, parse(t, newContext(t), edited.String()))); got != strings.Join(want, " ") {
		t.Errorf("edited %v\ndiffer %v", want, got)
	}
}
