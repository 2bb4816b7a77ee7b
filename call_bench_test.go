package livejit_test

import (
	"testing"

	"livejit"
	"livejit/bench/barecgo"
)

// BenchmarkCall is a guarded call of two integers, beside a call by cgo that does nothing else.
func BenchmarkCall(b *testing.B) {
	e := newEngine(b)
	add(b, e, "sum", "define i64 @sum(i64 %a, i64 %b) { %r = add i64 %a, %b  ret i64 %r }")
	var sum func(int64, int64) (int64, error)
	if err := e.Bind("sum", &sum); err != nil {
		b.Fatal(err)
	}
	b.Run("guarded", func(b *testing.B) {
		for b.Loop() {
			if _, err := sum(1, 2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cgo", func(b *testing.B) {
		for b.Loop() {
			barecgo.Sum(1, 2)
		}
	})
}

var _ = livejit.New
