package linkgraph

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkBuild makes the graph of an object with one function, and of one with a thousand; the second figure is for one function.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "int f%d(int);\n", i)
			}
			for i := range n {
				fmt.Fprintf(&text, "int f%d(int x) { return x > 0 ? f%d(x - 1) + %d : 0; }\n", i, (i+1)%n, i)
			}
			f := compile(b, text.String(), ".c", "-O0", "-fPIC", "-ffunction-sections")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Build(f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/function")
		})
	}
}
