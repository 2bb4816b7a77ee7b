package llvm

import (
	"regexp"
	"slices"
	"testing"
)

const cutSetIR = `
$f = comdat any
$w = comdat any
@v = internal global i32 5
@w = weak_odr global i32 6, comdat
@h = hidden global ptr @v
@tl = thread_local global i32 1
@str = private unnamed_addr constant [2 x i8] c"x\00"
@strs = global [1 x ptr] [ptr @str]
@ext = external global i32
@llvm.used = appending global [1 x ptr] [ptr @v], section "llvm.metadata"
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @g, ptr null }]
@t = internal constant [1 x ptr] [ptr blockaddress(@l, %a)]
@va = alias i32, ptr @v
module asm ".globl q"
define linkonce_odr i32 @f() comdat { %a = load i32, ptr @v
 %b = call i32 @f()
 call void @g()
 ret i32 %a }
define internal void @g() { %a = load ptr, ptr @strs
 ret void }
define ptr @k() { ret ptr @str }
define i32 @l() { %p = load ptr, ptr @t
 indirectbr ptr %p, [label %a]
a:
 ret i32 1 }
define ptr @m() { ret ptr blockaddress(@l, %a) }
`

// TestCutSet checks what goes into a module of several functions and variables.
func TestCutSet(t *testing.T) {
	tests := []struct {
		name                 string
		functions, variables []string
		have                 []string // functions of the result, if others than asked for
		want, not            []string // regular expressions, by line
	}{
		{
			name: "functions that call each other", functions: []string{"g", "f"},
			want: []string{`^define weak i32 @f\(\)`, `^define weak void @g\(\)`, `^@v = external dso_local global i32`, `^@strs = external dso_local global`},
			not:  []string{`comdat`, `@llvm\.`, `module asm`, `@k`, `@str =`},
		},
		{
			name: "a function with a variable it uses", functions: []string{"f"}, variables: []string{"v"},
			want: []string{`^@v = protected global i32 5`, `^define weak i32 @f`, `^declare void @g`},
			not:  []string{`external`, `@va`},
		},
		{
			name: "variables alone", variables: []string{"h", "w", "tl"},
			want: []string{`^@h = protected global ptr @v`, `^@v = external dso_local global i32`, `^@w = weak_odr global i32 6$`, `^@tl = thread_local global i32 1`},
			not:  []string{`define`, `comdat`},
		},
		{
			name: "what belongs to its users comes with each", functions: []string{"k"}, variables: []string{"strs"},
			want: []string{`^@str = private unnamed_addr constant`, `^@strs = protected global \[1 x ptr\] \[ptr @str\]`, `^define weak ptr @k`},
		},
		{
			name: "clusters come whole", functions: []string{"f", "m"}, have: []string{"f", "m", "l"},
			want: []string{`^@t = internal constant`, `^define weak i32 @l`, `^define weak ptr @m`, `^define weak i32 @f`},
		},
		{name: "names given twice", functions: []string{"g", "g"}, variables: []string{"v", "v"}, have: []string{"g"}, want: []string{`^@v = protected`}},
		{name: "nothing", not: []string{`^@`, `define`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, newContext(t), cutSetIR)
			prepare(t, m)
			before := m.Text()
			part, err := m.CutSet(tt.functions, tt.variables)
			if err != nil {
				t.Fatal(err)
			}
			defer part.Close()
			if err := part.Verify(); err != nil {
				t.Errorf("%+v", err)
			}
			text := part.Text()
			for _, w := range tt.want {
				if !regexp.MustCompile("(?m)" + w).MatchString(text) {
					t.Errorf("no match for %s", w)
				}
			}
			for _, w := range tt.not {
				if s := regexp.MustCompile("(?m)^.*(?:" + w + ").*").FindString(text); s != "" {
					t.Errorf("unwanted %s: %s", w, s)
				}
			}
			if tt.have == nil {
				tt.have = tt.functions
			}
			if !slices.Equal(part.Functions, tt.have) {
				t.Errorf("functions %v, want %v", part.Functions, tt.have)
			}
			if m.Text() != before {
				t.Error("cutting changed the module")
			}
			if t.Failed() {
				t.Log(text)
			}
			emit(t, newPipeline(t, PipelineOptions{}), part)
		})
	}
}

// TestCutSetUnprepared: locals become visible by their names.
func TestCutSetUnprepared(t *testing.T) {
	m := parse(t, newContext(t), cutSetIR)
	part, err := m.CutSet([]string{"g"}, []string{"v"})
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	for _, want := range []string{`^@v = dso_local global i32 5`, `^define dso_local void @g\(\)`} {
		if !regexp.MustCompile("(?m)" + want).MatchString(part.Text()) {
			t.Errorf("no match for %s\n%s", want, part.Text())
		}
	}
}

func TestCutSetErrors(t *testing.T) {
	for _, tt := range []struct {
		functions, variables []string
		want                 string
	}{
		{[]string{"f", "nobody"}, nil, "no body of a function nobody"},
		{nil, []string{"v", "nobody"}, "no definition of a variable nobody"},
		{nil, []string{"ext"}, "no definition of a variable ext"},
		{nil, []string{"f"}, "no definition of a variable f"},
		{nil, []string{"str"}, "no definition of a variable str"},
		{nil, []string{"t"}, "no definition of a variable t"},
		{nil, []string{"llvm.used"}, "no definition of a variable llvm.used"},
		{[]string{"v"}, nil, "no body of a function v"},
	} {
		m := parse(t, newContext(t), cutSetIR)
		prepare(t, m)
		_, err := m.CutSet(tt.functions, tt.variables)
		wantError(t, err, KindNotFound, tt.want)
	}
}
