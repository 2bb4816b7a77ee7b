package livejit_test

import "testing"

// BenchmarkSymbolize asks about places in a module of 10,000 functions, without debug information.
func BenchmarkSymbolize(b *testing.B) {
	e := newEngine(b)
	m := add(b, e, "many", manyFunctions(10_000))
	var pcs []uint64
	for _, f := range m.Functions() {
		if v := f.Versions(); len(v) > 0 {
			pcs = append(pcs, uint64(v[0].Addr)+4)
		}
	}
	i := 0
	for b.Loop() {
		if _, ok := e.Symbolize(pcs[i%len(pcs)]); !ok {
			b.Fatal("nothing is known of a function's code")
		}
		i += 7919
	}
}
