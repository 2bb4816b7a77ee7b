package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"livejit"
	"livejit/bench/figures"
	"livejit/clang"
)

// work is livejit's side of one row, in a process of its own: it prints lines "NAME VALUE" as the peers do.
func work(ctx context.Context, args []string) error {
	all, err := workOf(ctx, args)
	for _, f := range all {
		fmt.Println(f.Name, f.Value)
	}
	return err
}

func workOf(ctx context.Context, args []string) ([]figures.Figure, error) {
	number := func(i int) int {
		if i >= len(args) {
			return 0
		}
		n, _ := strconv.Atoi(args[i]) // 0 is refused below
		return n
	}
	switch {
	case len(args) == 3 && args[0] == "replace" && number(1) > 0 && number(2) > 0:
		return figures.Replace(ctx, number(1), number(2))
	case len(args) == 3 && args[0] == "link" && number(2) > 0:
		object, err := os.ReadFile(args[1])
		if err != nil {
			return nil, err
		}
		return figures.Link(ctx, object, number(2))
	case len(args) == 1 && args[0] == "calls":
		return figures.Calls(ctx)
	case len(args) == 2 && args[0] == "throw":
		took, err := throwAndCatch(ctx, args[1])
		return []figures.Figure{{Name: "throw", Value: took}}, err
	case len(args) == 3 && args[0] == "debugger" && number(2) > 0:
		return followed(ctx, args[1], number(2))
	case len(args) == 1 && args[0] == "chain":
		return figures.CallChain(ctx)
	case len(args) == 1 && args[0] == "workload":
		took, err := runWorkload(ctx)
		return []figures.Figure{{Name: "workload", Value: took}}, err
	}
	return nil, fmt.Errorf("unknown work %q", args)
}

// workloadSources compiles SQLite and its workload to bitcode by clang, at -O2 as the peer.
func workloadSources(ctx context.Context, dir, root string) ([]livejit.Source, error) {
	front := clang.Options{Flags: []string{"-O2", "-I" + dir}}
	sources := []livejit.Source{
		clang.File(filepath.Join(dir, "sqlite3-binding.c"), front),
		clang.File(filepath.Join(root, "testdata", "sqlite", "workload.c"), front),
	}
	for i := range sources {
		var err error
		if sources[i], err = sources[i].Generate(ctx); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// workloadOnce loads the sources at -O2 and returns how long their main takes.
func workloadOnce(ctx context.Context, sources []livejit.Source) (time.Duration, error) {
	e, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		return 0, err
	}
	defer e.Close()
	if _, err := e.Add(ctx, sources...); err != nil {
		return 0, err
	}
	start := time.Now()
	status, err := e.Main(ctx, "main")
	if err == nil && status != 0 {
		err = fmt.Errorf("the workload found wrong results: status %d", status)
	}
	return time.Since(start), err
}
