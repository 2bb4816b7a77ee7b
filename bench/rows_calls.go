package main

import (
	"context"
	"os"
	"path/filepath"

	"livejit/bench/barecgo"
	"livejit/bench/figures"
)

// callRows: into native code, back into Go, and between native functions.
func callRows(ctx context.Context, b *bed) ([]row, error) {
	const calls = 100_000
	bare := func(f func()) side {
		return side{"bare cgo", func(context.Context) (float64, error) {
			return figures.Each(calls, func() error { f(); return nil })
		}}
	}
	source, program := filepath.Join(b.dir, "chain.ll"), filepath.Join(b.dir, "chain")
	if err := os.WriteFile(source, []byte(figures.HopsModule()), 0o644); err != nil {
		return nil, err
	}
	if _, err := output(ctx, "clang-22", "-O2", "-static", "-Wno-override-module", source, filepath.Join(b.root, "bench", "peers", "chain.c"), "-o", program); err != nil {
		return nil, err
	}
	return []row{
		{"guarded call from Go, two integers", "ns", 1.5, []side{b.worker("call", "calls"), bare(func() {
			for range calls {
				barecgo.Sum(1, 2)
			}
		})}},
		{"callback into Go", "ns", 1.3, []side{b.worker("callback", "calls"), bare(func() { barecgo.Back(calls) })}},
		{"one call of a hot chain of 16", "ns", 1.3, []side{b.worker("hop", "chain"), {"static, clang -O2", b.figureOf("hop", program)}}},
	}, nil
}
