package llvm

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// split returns the texts of a module's parts by name.
func split(t testing.TB, m *Module, o SplitOptions) (parts map[string]string, order []string) {
	t.Helper()
	parts = map[string]string{}
	for p, err := range m.Split(o) {
		if err != nil {
			t.Fatalf("%+v", err)
		}
		if err := p.Module.Verify(); err != nil {
			t.Fatalf("part %s: %+v\n%s", p.Name, err, p.Module.Text())
		}
		if _, ok := parts[p.Name]; ok {
			t.Errorf("two parts %s", p.Name)
		}
		parts[p.Name] = p.Module.Text()
		order = append(order, p.Name)
	}
	return parts, order
}

func TestSplitParts(t *testing.T) {
	// HASH stands for the suffix.
	tests := []struct {
		name, ir string
		order    []string
		want     map[string][]string // regular expressions by part
		not      map[string][]string
	}{
		{
			name: "statics",
			ir: `@v = internal global i32 1
@s = private unnamed_addr constant [2 x i8] c"x\00"
define internal ptr @g() { ret ptr @s }
define ptr @f() { %r = call ptr @g()
 store ptr @s, ptr @v
 ret ptr %r }`,
			order: []string{"gHASH", "f", "data"},
			want: map[string][]string{
				"gHASH": {`^define hidden ptr @gHASH\(\)`, `^@s = private`},
				"f":     {`^declare hidden ptr @gHASH\(\)`, `^@s = private`, `^@vHASH = external hidden global i32`},
				"data":  {`^@vHASH = hidden global i32 1`},
			},
			not: map[string][]string{"data": {`@s`}, "gHASH": {`@f`}},
		},
		{
			name: "linkonce becomes weak, comdats stay",
			ir: `$o = comdat any
$v = comdat any
define linkonce_odr void @o() comdat { ret void }
define linkonce void @l() { ret void }
@v = linkonce_odr global i32 0, comdat
@g = linkonce_odr global i32 0, comdat($v)`,
			order: []string{"o", "l", "data"},
			want: map[string][]string{"o": {`^define weak_odr void @o\(\) comdat`}, "l": {`^define weak void @l\(\)`},
				"data": {`^@v = weak_odr global i32 0, comdat`, `^@g = weak_odr global i32 0, comdat\(\$v\)`}},
		},
		{
			name: "members of one comdat stay together",
			ir: `$c = comdat any
define linkonce_odr void @c() comdat { ret void }
define linkonce_odr void @d() comdat($c) { ret void }
@v = linkonce_odr global i32 0, comdat($c)
define void @e() { ret void }`,
			order: []string{"c", "e", "data"},
			want:  map[string][]string{"c": {`void @c\(\) comdat`, `void @d\(\) comdat\(\$c\)`, `^@v = weak_odr global i32 0, comdat\(\$c\)`}},
			not:   map[string][]string{"data": {`@v`}},
		},
		{
			name: "aliases and indirect functions",
			ir: `define void @f() { ret void }
@a = alias void (), ptr @f
@v = global i32 0
@va = alias i32, ptr @v
@vaa = internal alias i32, ptr @va
define internal ptr @r() { ret ptr null }
@i = ifunc void (), ptr @r
define void @user() { call void @a()
 call void @i()
 store i32 1, ptr @vaa
 ret void }`,
			order: []string{"f", "rHASH", "user", "data"},
			want: map[string][]string{"f": {`^@a = alias`}, "rHASH": {`^@i = ifunc void \(\), ptr @rHASH`}, "data": {`^@va = alias i32, ptr @v`, `^@vaaHASH = hidden alias`},
				"user": {`^declare void @a\(\)`, `^declare void @i\(\)`, `^@vaaHASH = external hidden global`}},
		},
		{
			name: "lists of the module",
			ir: `@u = internal global i32 0
define internal void @k() { ret void }
define void @c() { ret void }
@llvm.used = appending global [2 x ptr] [ptr @k, ptr @u], section "llvm.metadata"
@llvm.compiler.used = appending global [1 x ptr] [ptr @c], section "llvm.metadata"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @k, ptr null }]
!llvm.ident = !{!0}
!llvm.module.flags = !{!1, !2}
!0 = !{!"compiler"}
!1 = !{i32 1, !"wchar_size", i32 4}
!2 = !{i32 5, !"list", !3}
!3 = !{!"x"}`,
			order: []string{"kHASH", "c", "data"},
			want: map[string][]string{
				"kHASH": {`^@llvm.used = appending global \[1 x ptr\] \[ptr @kHASH\]`, `wchar_size`},
				"c":     {`^@llvm.compiler.used = appending global \[1 x ptr\] \[ptr @c\]`},
				"data":  {`^@llvm.used = appending global \[1 x ptr\] \[ptr @uHASH\]`, `^@llvm.global_ctors = .*@kHASH`, `llvm.ident`, `wchar_size`, `"list"`},
			},
			not: map[string][]string{"c": {`llvm.ident`, `"list"`, `global_ctors`}},
		},
		{
			name: "names in assembly stay",
			ir: `module asm "jmp in_module"
define internal void @in_module() { ret void }
define internal void @in_line() { ret void }
define internal void @neither() { ret void }
define void @f() { call void asm sideeffect "call in_line", ""()
 ret void }`,
			order: []string{"in_module", "in_line", "neitherHASH", "f", "data"},
			want:  map[string][]string{"data": {`^module asm "jmp in_module"`}, "in_module": {`^define hidden void @in_module`}},
			not:   map[string][]string{"in_module": {"module asm"}},
		},
		{
			name: "always_inline",
			ir: `define internal i32 @h() alwaysinline { ret i32 1 }
define linkonce_odr i32 @o() alwaysinline { ret i32 2 }
define internal i32 @a() alwaysinline { ret i32 3 }
@p = global ptr @a
define i32 @f() { %x = call i32 @h()
 %y = call i32 @o()
 %z = call i32 @a()
 ret i32 %x }`,
			order: []string{"aHASH", "f", "data"},
			want: map[string][]string{"f": {`^define internal i32 @h\(\)`, `^define linkonce_odr i32 @o\(\)`, `^declare hidden i32 @aHASH\(\)`},
				"data": {`^@p = global ptr @aHASH`}},
		},
		{
			name: "label addresses",
			ir: `@t = internal constant [1 x ptr] [ptr blockaddress(@f, %a)]
@visible = global ptr blockaddress(@g, %a)
define void @f() { %l = load ptr, ptr @t
 indirectbr ptr %l, [label %a]
a:
 ret void }
define void @g() { %l = load ptr, ptr @visible
 indirectbr ptr %l, [label %a]
a:
 ret void }`,
			order: []string{"f", "g", "data"},
			want:  map[string][]string{"f": {`^@t = internal constant`}, "g": {`^@visible = global ptr blockaddress`}},
			not:   map[string][]string{"data": {`@t`, `@visible`}},
		},
		{
			name:  "unnamed and available_externally",
			ir:    "define void @0() { ret void }\ndefine available_externally void @ae() { ret void }\ndefine void @f() { call void @0()\n call void @ae()\n ret void }",
			order: []string{"anon.functionHASH", "f", "data"},
			want:  map[string][]string{"f": {`^declare void @ae`, `^declare void @anon.functionHASH`}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, newContext(t), tt.ir)
			parts, order := split(t, m, SplitOptions{Identifier: "unit"})
			suffix := regexp.MustCompile(`\.lj[0-9a-f]{16}`)
			for i, o := range order {
				order[i] = suffix.ReplaceAllString(o, "HASH")
			}
			if !slices.Equal(order, tt.order) {
				t.Errorf("parts %v, want %v", order, tt.order)
			}
			for name, text := range parts {
				name, text = suffix.ReplaceAllString(name, "HASH"), suffix.ReplaceAllString(text, "HASH")
				for _, w := range tt.want[name] {
					if !regexp.MustCompile("(?m)" + w).MatchString(text) {
						t.Errorf("part %s has no match for %s:\n%s", name, w, text)
					}
				}
				for _, w := range tt.not[name] {
					if s := regexp.MustCompile("(?m).*(?:" + w + ").*").FindString(text); s != "" {
						t.Errorf("part %s: unwanted %s: %s", name, w, s)
					}
				}
			}
		})
	}
}

// TestSplitSuffix: the same input gives the same names, another module or identifier gives others.
func TestSplitSuffix(t *testing.T) {
	const ir = "define internal void @s() { ret void }\ndefine void @f() { call void @s()\n ret void }"
	name := func(ir, id string) string {
		_, order := split(t, parse(t, newContext(t), ir), SplitOptions{Identifier: id})
		return order[0]
	}
	a := name(ir, "")
	if b := name(ir, ""); a != b {
		t.Errorf("%s and %s for the same module", a, b)
	}
	if b := name(ir+"\n@v = global i32 0", ""); a == b {
		t.Errorf("%s for two modules", a)
	}
	if b, c := name(ir, "x"), name(ir, "y"); b == c || b == a {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}

// TestSplitStopsEarly: leaving the loop leaves nothing open (TestMain looks).
func TestSplitStopsEarly(t *testing.T) {
	m := parse(t, newContext(t), goodIR+"\ndefine void @g() { ret void }")
	for p, err := range m.Split(SplitOptions{}) {
		if err != nil || p.Name != "f" {
			t.Fatal(p, err)
		}
		break
	}
}

// TestSplitSQLite splits SQLite, links the parts again and runs a program against the result.
func TestSplitSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	bc := sqlite(t)
	m := parseBitcodeFile(t, newContext(t), "sqlite3.c", bc)
	dir := t.TempDir()
	var files []string
	for p, err := range m.Split(SplitOptions{}) {
		if err != nil {
			t.Fatalf("%+v", err)
		}
		b, err := p.Module.Bitcode()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, writeFile(t, dir, fmt.Sprintf("%d.bc", len(files)), b))
	}
	all := filepath.Join(dir, "all.bc")
	tool(t, "llvm-link-22", append(files, "-o", all)...)
	program := writeFile(t, dir, "main.c", []byte(`
#include <stdio.h>
int sqlite3_open(const char *, void **), sqlite3_close(void *);
int sqlite3_exec(void *, const char *, int (*)(void *, int, char **, char **), void *, char **);
static int row(void *p, int n, char **v, char **names) {
  for (int i = 0; i < n; i++) printf("%s=%s%c", names[i], v[i], i + 1 < n ? ' ' : '\n');
  return 0;
}
int main(void) {
  void *db;
  char *err = 0;
  if (sqlite3_open(":memory:", &db)) return 1;
  sqlite3_exec(db, "create table t(a, b); insert into t values (1, 'x'), (2, 'y'), (3, 'x');"
    "select b, count(*) n, sum(a) s, group_concat(a) g from t group by b order by b;"
    "with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000) select sum(n * n) q from c;", row, 0, &err);
  if (err) printf("%s\n", err);
  return sqlite3_close(db);
}
`))
	exe := filepath.Join(dir, "exe")
	tool(t, "clang-22", program, all, "-Wno-override-module", "-lm", "-ldl", "-lpthread", "-o", exe)
	out, err := exec.Command(exe).CombinedOutput()
	if want := "b=x n=2 s=4 g=1,3\nb=y n=1 s=2 g=2\nq=333833500\n"; err != nil || string(out) != want {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, out, want)
	}
	if n := len(files); n < 2000 {
		t.Errorf("%d parts", n)
	}
	if !strings.Contains(string(tool(t, "llvm-nm-22", all)), "sqlite3_open") {
		t.Error("no sqlite3_open")
	}
}
