package epoch

import "testing"

// BenchmarkEntry is what every call from Go pays for being counted.
func BenchmarkEntry(b *testing.B) {
	var g Gate
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			g.Exit(g.Enter())
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				g.Exit(g.Enter())
			}
		})
	})
}
