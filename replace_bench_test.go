package livejit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"livejit"
	"livejit/bench/figures"
)

// chainEngine is an engine with a chain of n small functions.
func chainEngine(b *testing.B, n int) *livejit.Engine {
	b.Helper()
	e, err := livejit.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := e.Add(context.Background(), livejit.IR("chain", figures.Chain(n))); err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkReplaceIR is the whole way of one function from IR text to callable, by stage.
func BenchmarkReplaceIR(b *testing.B) {
	const n = 1000
	e := chainEngine(b, n)
	ctx := context.Background()
	var sum livejit.Stages
	j := 0
	b.ReportAllocs()
	for b.Loop() {
		j++
		r, err := e.Replace(ctx, livejit.IR("new", figures.Function(j*7919%n, j, n)))
		if err != nil {
			b.Fatal(err)
		}
		d := r.Duration
		sum.Parse += d.Parse
		sum.Prepare += d.Prepare
		sum.Optimize += d.Optimize
		sum.Codegen += d.Codegen
		sum.Read += d.Read
		sum.Link += d.Link
		sum.Total += d.Total
	}
	us := func(d interface{ Nanoseconds() int64 }) float64 {
		return float64(d.Nanoseconds()) / 1000 / float64(b.N)
	}
	b.ReportMetric(us(sum.Parse), "parse-µs")
	b.ReportMetric(us(sum.Prepare), "prepare-µs")
	b.ReportMetric(us(sum.Codegen), "codegen-µs")
	b.ReportMetric(us(sum.Read), "read-µs")
	b.ReportMetric(us(sum.Link), "link-µs")
	b.ReportMetric(us(sum.Total), "total-µs")
}

// BenchmarkReplaceObject is the way of a precompiled object: read, judge, link, publish, free what was before; no LLVM.
func BenchmarkReplaceObject(b *testing.B) {
	dir := b.TempDir()
	source, object := filepath.Join(dir, "f.ll"), filepath.Join(dir, "f.o")
	if err := os.WriteFile(source, []byte(figures.Function(0, 1, 2)), 0o644); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("clang-22", "-O0", "-fPIC", "-c", "-Wno-override-module", source, "-o", object).CombinedOutput(); err != nil {
		b.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	data, err := os.ReadFile(object)
	if err != nil {
		b.Fatal(err)
	}
	e := chainEngine(b, 1000)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Replace(ctx, livejit.Object("new", data)); err != nil {
			b.Fatal(err)
		}
	}
}
