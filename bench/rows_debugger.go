package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"livejit"
	"livejit/bench/figures"
)

// debuggedFunctions is how many functions a debugger is told of.
const debuggedFunctions = 10_000

// debuggerRows: what it costs that gdb follows along, against the same without a debugger.
func debuggerRows(_ context.Context, b *bed) ([]row, error) {
	var rows []row
	for _, r := range []struct{ how, work, figure string }{
		{"each", "load 10,000 modules of one function, gdb attached", "load"},
		{"each", "close the engine that holds them, gdb attached", "close"},
		{"whole", "load one module of 10,000 functions, gdb attached", "load"},
		{"whole", "replace one of them, gdb attached", "replace"},
		{"whole", "close the engine that holds it, gdb attached", "close"},
	} {
		args := []string{"-worker", "debugger", r.how, strconv.Itoa(debuggedFunctions)}
		// The last command decides gdb's exit status: gdb may stumble over threads that exit.
		gdb := append([]string{"-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "handle SIGURG SIG61 SIG62 SIG63 nostop noprint pass",
			"-ex", "run", "-ex", "echo", "--args", b.self}, args...)
		rows = append(rows, row{r.work, "ms", 0, []side{
			{"livejit", b.figureOf(r.figure, "gdb", gdb...)}, {"livejit, no debugger", b.figureOf(r.figure, b.self, args...)}}})
	}
	return rows, nil
}

// followed loads n functions with debug information, one by one or as one module, replaces some and closes the engine. Figures are in ms.
func followed(ctx context.Context, how string, n int) (list []figures.Figure, err error) {
	e, err := livejit.New(livejit.WithIRDebug())
	if err != nil {
		return nil, err
	}
	defer e.Close()
	note := func(name string, start time.Time, per int) {
		list = append(list, figures.Figure{Name: name, Value: ms(time.Since(start)) / float64(per)})
	}
	start := time.Now()
	switch how {
	case "each":
		for i := n - 1; i >= 0 && err == nil; i-- { // callees first
			_, err = e.Add(ctx, livejit.IR(fmt.Sprintf("m%d.ll", i), figures.Function(i, 0, n)))
		}
	case "whole":
		_, err = e.Add(ctx, livejit.IR("chain.ll", figures.Chain(n)))
	default:
		err = fmt.Errorf("unknown work %q", how)
	}
	if err != nil {
		return nil, err
	}
	note("load", start, 1)
	start = time.Now()
	const replacements = 20
	for i := range replacements {
		if _, err := e.Replace(ctx, livejit.IR("one.ll", figures.Function(i, i+1, n))); err != nil {
			return nil, err
		}
	}
	note("replace", start, replacements)
	start = time.Now()
	err = e.Close()
	note("close", start, 1)
	return list, err
}
