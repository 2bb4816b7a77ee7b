package hostsym

import "testing"

// BenchmarkLookup is what each new reference to the process costs once.
func BenchmarkLookup(b *testing.B) {
	for b.Loop() {
		if _, ok := Lookup("printf"); !ok {
			b.Fatal("the process has no printf")
		}
	}
}
