package livejit_test

import (
	"fmt"
	"testing"
	"unsafe"

	"livejit"
)

// TestDefineCommonSignatures calls Go functions of the signatures that go without reflection, from native code, and
// of named types of the same shape, which go with it.
func TestDefineCommonSignatures(t *testing.T) {
	type named func(int64) int64
	var seen []string
	note := func(a ...any) { seen = append(seen, fmt.Sprint(a...)) }
	for _, c := range []struct {
		fn        any
		signature string // of the native declaration
		call      string
		want      string
	}{
		{func() { note("none") }, "void @host()", "call void @host()", "none"},
		{func() int64 { note("result"); return -3 }, "i64 @host()", "%r = call i64 @host()", "result"},
		{func(a int64) { note(a) }, "void @host(i64)", "call void @host(i64 -5)", "-5"},
		{func(a int64) int64 { note(a); return a }, "i64 @host(i64)", "%r = call i64 @host(i64 7)", "7"},
		{named(func(a int64) int64 { note(a); return a }), "i64 @host(i64)", "%r = call i64 @host(i64 7)", "7"},
		{func(a, b int64) { note(a, " ", b) }, "void @host(i64, i64)", "call void @host(i64 1, i64 -2)", "1 -2"},
		{func(a, b int64) int64 { note(a, " ", b); return a - b }, "i64 @host(i64, i64)", "%r = call i64 @host(i64 1, i64 -2)", "1 -2"},
		{func(a int32) { note(a) }, "void @host(i32)", "call void @host(i32 -5)", "-5"},
		{func(a int32) int32 { note(a); return a }, "i32 @host(i32)", "%r = call i32 @host(i32 -1)", "-1"},
		{func(a, b int32) int32 { note(a, " ", b); return a * b }, "i32 @host(i32, i32)", "%r = call i32 @host(i32 -4, i32 5)", "-4 5"},
		{func(p unsafe.Pointer) { note(p) }, "void @host(ptr)", "call void @host(ptr null)", "<nil>"},
		{func(p unsafe.Pointer, n int64) { note(p, " ", n) }, "void @host(ptr, i64)", "call void @host(ptr null, i64 9)", "<nil> 9"},
		{func(a float64) float64 { note(a); return a / 2 }, "double @host(double)", "%r = call double @host(double 2.5)", "2.5"},
	} {
		t.Run(fmt.Sprintf("%T", c.fn), func(t *testing.T) {
			e, err := livejit.New()
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if err := e.Define("host", c.fn); err != nil {
				t.Fatal(err)
			}
			result := "ret i64 0"
			switch c.signature[:3] {
			case "i64":
				result = "ret i64 %r"
			case "i32":
				result = "%w = sext i32 %r to i64  ret i64 %w"
			case "dou":
				result = "%w = bitcast double %r to i64  ret i64 %w"
			}
			add(t, e, "m", "declare "+c.signature+"\ndefine i64 @f() {\n"+c.call+"\n"+result+" }")
			seen = nil
			got, err := e.Call(t.Context(), "f")
			if err != nil || len(seen) != 1 || seen[0] != c.want {
				t.Fatalf("seen %q, %v; want %q", seen, err, c.want)
			}
			want := map[string]int64{"result": -3, "7": 7, "-1": -1, "-4 5": -20, "2.5": 0x3ff4000000000000}[c.want]
			if c.want == "1 -2" && result != "ret i64 0" {
				want = 3
			}
			if got != want {
				t.Errorf("result %v, want %d", got, want)
			}
		})
	}
}
