package elfobj

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// manyFunctions is a C program of n functions that call each other and use data.
func manyFunctions(n int) string {
	var b strings.Builder
	b.WriteString("extern int printf(const char *, ...);\nextern int outside[];\n")
	for i := range n {
		fmt.Fprintf(&b, "int f%d(int);\nint g%d = %d;\n", i, i, i)
	}
	for i := range n {
		fmt.Fprintf(&b, `int f%d(int n) { if (n > %d) printf("f%d: %%d\n", n); g%d += outside[n]; return f%d(n - 1) + f%d(g%d); }
`, i, i, i, i, (i+1)%n, (i*7+3)%n, (i*3+1)%n)
	}
	return b.String()
}

// BenchmarkRead reads a large object: a section for each function and datum. With
// LIVEJIT_BENCH_OBJECT it reads that file.
func BenchmarkRead(b *testing.B) {
	var data []byte
	if path := os.Getenv("LIVEJIT_BENCH_OBJECT"); path != "" {
		data = readFile(b, path)
	} else {
		data = compile(b, "x.c", manyFunctions(3000), "clang-22", "-O1", "-fPIC", "-ffunction-sections", "-fdata-sections", "-fno-unique-section-names")
	}
	f, err := Read("x.o", data)
	if err != nil {
		b.Fatal(err)
	}
	relocs := 0
	for i := range f.Sections {
		relocs += len(f.Sections[i].Relocs)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read("x.o", data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(f.Sections)), "sections")
	b.ReportMetric(float64(len(f.Symbols)), "symbols")
	b.ReportMetric(float64(relocs), "relocs")
}

// BenchmarkReadSections reads objects whose only content is many sections: the
// time for each must not grow with their number.
func BenchmarkReadSections(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := testObject{}
			for i := range n {
				o.sections = append(o.sections, testSection{name: fmt.Sprintf(".text.f%d", i), typ: 1, data: []byte{0xc3}})
			}
			data := o.bytes()
			for b.Loop() {
				if _, err := Read("x.o", data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/section")
		})
	}
}

func BenchmarkReadArchive(b *testing.B) {
	data, err := os.ReadFile(luaArchive)
	if err != nil {
		b.Skip(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadArchive("liblua5.4.a", data); err != nil {
			b.Fatal(err)
		}
	}
}
