package llvm

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const shareIR = `
$c = comdat any
@v = internal global i32 5
@w = linkonce_odr global i32 6
@tl = thread_local global i32 1
@str = private unnamed_addr constant [2 x i8] c"x\00"
@other = private unnamed_addr constant [2 x i8] c"y\00"
@c = linkonce_odr global i32 7, comdat
@llvm.used = appending global [1 x ptr] [ptr @v], section "llvm.metadata"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @ctor, ptr null }]
@t = internal constant [1 x ptr] [ptr blockaddress(@l, %a)]
@fa = alias i32 (), ptr @base
@va = alias i32, ptr @v
define i32 @base() { ret i32 1 }
define internal void @ctor() { ret void }
define i32 @l() { %p = load ptr, ptr @t
 indirectbr ptr %p, [label %a]
a:
 ret i32 1 }
define i32 @inComdat() comdat($c) { ret i32 2 }
define internal i32 @inline() alwaysinline { ret i32 3 }
define i32 @f() { %a = load i32, ptr @v
 %b = call i32 @g()
 %i = call i32 @inline()
 %s = load i8, ptr @str
 ret i32 %a }
define i32 @g() { %a = call i32 @h()
 %b = load i32, ptr @w
 ret i32 %b }
define internal i32 @h() { %a = call i32 @f()
 %b = call i32 @fa()
 %d = load i32, ptr @va
 %e = load i32, ptr @tl
 %o = load i8, ptr @other
 ret i32 %a }
define i32 @k() { ret i32 9 }
define i32 @m() { %a = call i32 @inline()
 ret i32 %a }
`

// TestKeepShare checks that each function is in one share, the data in the first, and what the others know of it.
func TestKeepShare(t *testing.T) {
	const shares = 3
	defined := regexp.MustCompile(`(?m)^define (?:weak )?\w+ @(\w+)\(`)
	all := map[string]int{}
	var texts []string
	for i := range shares {
		m := parse(t, newContext(t), shareIR)
		if _, err := m.Prepare(PrepareOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := m.KeepShare(i, shares); err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(); err != nil {
			t.Fatalf("share %d: %v\n%s", i, err, m.Text())
		}
		text := m.Text()
		texts = append(texts, text)
		here := defined.FindAllStringSubmatch(text, -1)
		for _, d := range here {
			all[d[1]]++
		}
		if len(here) < 2 {
			t.Errorf("share %d has %d functions:\n%s", i, len(here), text)
		}
	}
	for _, name := range []string{"base", "ctor", "l", "inComdat", "f", "g", "h", "k", "m"} {
		if all[name] != 1 {
			t.Errorf("%s is in %d shares", name, all[name])
		}
	}
	want := func(share int, line string, there bool) {
		t.Helper()
		if regexp.MustCompile(`(?m)`+line).MatchString(texts[share]) != there {
			t.Errorf("share %d: line %s: want %t\n%s", share, line, there, texts[share])
		}
	}
	for _, line := range []string{`^define weak i32 @base`, `^define weak void @ctor`, `^define weak i32 @l\(`, `^define weak i32 @inComdat`,
		`^@v = protected global i32 5`, `^@w = weak_odr global i32 6`, `^@fa = weak alias`, `^@va = weak alias`, `^@tl = .*thread_local global i32 1`,
		`^@llvm.global_ctors`, `^@llvm.used`, `^@t = internal constant`} {
		want(0, line, true)
	}
	for _, line := range []string{`^@llvm\.`, `^@t =`, ` alias `, `^@v = .* 5`, `^@w = .* 6`} {
		for share := 1; share < shares; share++ {
			want(share, line, false)
		}
	}
	with := func(function string) int {
		return slices.IndexFunc(texts, func(s string) bool { return strings.Contains(s, "define weak i32 @"+function+"(") })
	}
	for _, line := range []string{`^@va = external global i32`, `^declare i32 @fa\(\)`, `^@tl = external thread_local global i32`, `^@other = private`} {
		want(with("h"), line, true)
	}
	want(with("m"), `^@(str|other) =`, false)
}
