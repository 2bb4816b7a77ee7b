package main

import (
	"context"
	"fmt"
	"path/filepath"

	"livejit"
	"livejit/bench/figures"
	"livejit/clang"
)

// loadedModules is how many modules are loaded while exceptions are thrown.
const loadedModules = 10_000

// exceptionRows: C++ exceptions among many modules, each with unwind tables of its own.
func exceptionRows(ctx context.Context, b *bed) ([]row, error) {
	source, program := filepath.Join(b.root, "bench", "peers", "throw.cpp"), filepath.Join(b.dir, "throw")
	if _, err := output(ctx, "clang++-22", "-O2", "-std=c++17", source, "-o", program); err != nil {
		return nil, err
	}
	return []row{{"throw and catch through three frames, 10,000 modules loaded", "ns", 1.5, []side{
		b.worker("throw", "throw", source), {"ahead of time, clang -O2", b.figureOf("throw", program)}}}}, nil
}

// throwAndCatch is livejit's side.
func throwAndCatch(ctx context.Context, source string) (float64, error) {
	e, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		return 0, err
	}
	defer e.Close()
	for i := loadedModules - 1; i >= 0; i-- { // callees first
		if _, err := e.Add(ctx, livejit.IR("own", figures.Function(i, 0, loadedModules))); err != nil {
			return 0, err
		}
	}
	if _, err := e.Add(ctx, clang.File(source, clang.Options{OptLevel: 2, Flags: []string{"-DIN_ENGINE", "-std=c++17"}})); err != nil {
		return 0, err
	}
	var caught func(int64) (int64, error)
	if err := e.Bind("caught", &caught); err != nil {
		return 0, err
	}
	const n = 20_000
	return figures.Each(n, func() error {
		got, err := caught(n)
		if err == nil && got != n {
			err = fmt.Errorf("%d of %d exceptions were caught", got, n)
		}
		return err
	})
}
