package livejit_test

import (
	"errors"
	"strings"
	"testing"

	"livejit"
	"livejit/clang"
)

func TestListings(t *testing.T) {
	e := newEngine(t)
	add(t, e, "m", `
		@count = global i64 0
		declare i64 @labs(i64)
		define i64 @g(i64 %x) { ret i64 %x }
		define i64 @f(i64 %x) { %c = load i64, ptr @count  %a = call i64 @g(i64 %x)  %b = call i64 @labs(i64 %a)  %r = add i64 %b, %c  ret i64 %r }`)
	replaceIR(t, e, "m", "declare i64 @labs(i64)\n@count = external global i64\ndefine i64 @f(i64 %x) { %c = load i64, ptr @count  %a = call i64 @g(i64 %x)  %b = call i64 @labs(i64 %a)  %r = sub i64 %b, %c  ret i64 %r }\ndeclare i64 @g(i64)")
	f := e.Function("f")
	text, err := f.Disassemble()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"f@2:\n", "sub ", "# *g\n", "# *labs\n", "# count\n", "ret"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if ir, err := f.IR(); err != nil || !strings.Contains(ir, "sub i64") || strings.Contains(ir, "define weak i64 @g") || !strings.Contains(ir, "declare i64 @g(i64)") {
		t.Errorf("IR of f: %v\n%s", err, ir)
	}
	if ir, err := e.Function("g").IR(); err != nil || !strings.Contains(ir, "@g(i64 %x)") || strings.Contains(ir, "@f(") {
		t.Errorf("IR of g: %v\n%s", err, ir)
	}
	if err := e.Invalidate("g"); err != nil {
		t.Fatal(err)
	}
	if text, err := e.Function("g").Disassemble(); !errors.Is(err, livejit.ErrNotFound) {
		t.Errorf("what has no machine code: %v\n%s", err, text)
	}

	for _, tt := range []struct {
		option livejit.Option
		want   []string
	}{
		{livejit.WithDebug(), []string{"f@1:\n; lines.c:1\n", "\n; lines.c:2\n", "imul", "\n; lines.c:3\n", "ret"}},
		{livejit.WithIRDebug(), []string{"f@1:\n; define weak ", " = mul nsw i32 ", "imul", "\n; ret i32 ", "ret"}},
	} {
		e := newEngine(t, tt.option)
		if _, err := e.Add(background, clang.Source("lines.c", "int f(int x) {\n  x = x * 7;\n  return x; }\n", clang.Options{Flags: []string{"-g"}})); err != nil {
			t.Fatal(err)
		}
		text, err := e.Function("f").Disassemble()
		if err != nil {
			t.Fatal(err)
		}
		rest := text
		for _, want := range tt.want {
			var found bool
			if _, rest, found = strings.Cut(rest, want); !found {
				t.Errorf("no %q, in this order, in\n%s", want, text)
				break
			}
		}
	}

	callees := e.Function("f").Callees()
	var names []string
	for _, d := range callees {
		names = append(names, d.Name)
	}
	if strings.Join(names, " ") != "count g labs" || !callees[0].Variable || !callees[1].Call || callees[1].Host || !callees[2].Host {
		t.Errorf("f refers to %+v", callees)
	}
	callers := e.Function("g").Callers()
	if len(callers) != 1 || callers[0].Name != "f" || callers[0].Version != 2 || !callers[0].Call || callers[0].Address {
		t.Errorf("g is referred to by %+v", callers)
	}
	if r := e.Referrers("count"); len(r) != 1 || r[0].Name != "f" || !r[0].Address {
		t.Errorf("count is referred to by %+v", r)
	}
}
