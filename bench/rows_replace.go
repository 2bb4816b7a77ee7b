package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"livejit/bench/figures"
)

// replaceRows: one small function of many, replaced, deleted, and what it takes in memory.
func replaceRows(_ context.Context, b *bed) ([]row, error) {
	k := strconv.Itoa(b.replacements)
	orc := func(name, figure, n string, more ...string) side {
		return side{name, b.figureOf(figure, b.peers["orc"], append([]string{n, k}, more...)...)}
	}
	mcjit := func(figure, n string) side { return side{"MCJIT", b.figureOf(figure, b.peers["mcjit"], n, k)} }
	return []row{
		{"replace one function of 1,000", "µs", 0.2, []side{b.worker("replace", "replace", "1000", k),
			orc("ORC", "replace", "1000"), orc("ORC, pipeline reused", "replace", "1000", "reused"), mcjit("replace", "1000")}},
		{"delete one function and free its memory", "µs", 1. / 3, []side{b.worker("delete", "replace", "1000", k), orc("ORC", "delete", "1000")}},
		{"memory of one function", "bytes", 1. / 12, []side{b.worker("memory", "replace", "1000", k), orc("ORC", "memory", "1000"), mcjit("memory", "1000")}},
		{"replace one function of 10,000", "µs", 0, []side{b.worker("replace", "replace", "10000", k), orc("ORC", "replace", "10000"), mcjit("replace", "10000")}},
		{"the same against livejit at 1,000", "µs", 1.15, []side{b.worker("replace", "replace", "10000", k), b.worker("replace", "replace", "1000", k)}},
		{"of 100,000 against livejit at 1,000", "µs", 1.15, []side{b.worker("replace", "replace", "100000", k), b.worker("replace", "replace", "1000", k)}},
	}, nil
}

// linkRows: a precompiled object, without code generation.
func linkRows(ctx context.Context, b *bed) ([]row, error) {
	source, object := filepath.Join(b.dir, "small.ll"), filepath.Join(b.dir, "small.o")
	if err := os.WriteFile(source, []byte(figures.Function(0, 1, 2)), 0o644); err != nil {
		return nil, err
	}
	if _, err := output(ctx, "clang-22", "-O0", "-fPIC", "-c", "-Wno-override-module", source, "-o", object); err != nil {
		return nil, err
	}
	k := strconv.Itoa(b.replacements)
	peer := func(name, figure string) side {
		return side{name, b.figureOf(figure, b.peers["link"], object, "f0", k)}
	}
	return []row{{"link and publish a precompiled object", "µs", 1. / 8, []side{b.worker("link", "link", object, k),
		peer("JITLink alone", "jitlink"), peer("RuntimeDyld alone", "rtdyld")}}}, nil
}
