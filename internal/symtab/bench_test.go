package symtab

import (
	"fmt"
	"testing"
)

// BenchmarkReplaceVersion makes a version that refers to ten of many symbols, and forgets the one before: the bookkeeping of one replacement.
func BenchmarkReplaceVersion(b *testing.B) {
	const n = 10_000
	symbols := make([]*Symbol, n)
	for i := range symbols {
		symbols[i] = &Symbol{Name: fmt.Sprint("f", i), Kind: Func}
	}
	for _, s := range symbols { // everybody is referred to
		(&Version{Symbol: s}).Refer([]Ref{{Symbol: symbols[0]}}, nil)
	}
	old := &Version{Symbol: symbols[1]}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		refs := make([]Ref, 10)
		for j := range refs {
			refs[j].Symbol = symbols[(i+j*997)%n]
		}
		v := &Version{Symbol: symbols[1]}
		v.Refer(refs, nil)
		old.Forget(func(*Symbol) {}, func(*Version) {})
		old = v
		i++
	}
}

func BenchmarkLookup(b *testing.B) {
	t := New()
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprint("function", i)
		t.Insert(&Symbol{Name: names[i]})
	}
	i := 0
	for b.Loop() {
		if t.Lookup(names[i%len(names)]) == nil {
			b.Fatal("lost")
		}
		i += 7919
	}
}
