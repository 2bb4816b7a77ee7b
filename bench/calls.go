package main

import (
	"context"
	"time"

	"livejit"
)

// calls measures the ways into native code and back.
func calls(ctx context.Context) error {
	title("calls")
	e, err := livejit.New()
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.Define("host", func(n int64) int64 { return n + 1 }); err != nil {
		return err
	}
	_, err = e.Add(ctx, livejit.IR("calls", `
		declare i64 @host(i64)
		define i64 @leaf(i64 %n) { %r = add i64 %n, 1  ret i64 %r }
		define i64 @back(i64 %n) { %r = call i64 @host(i64 %n)  ret i64 %r }`))
	if err != nil {
		return err
	}
	var leaf, back func(int64) (int64, error)
	var reflected func(uint64) (uint64, error)
	for name, target := range map[string]any{"leaf": &leaf, "back": &back} {
		if err := e.Bind(name, target); err != nil {
			return err
		}
	}
	if err := e.Bind("leaf", &reflected); err != nil {
		return err
	}
	line("bound function, common signature", "%8.1f ns", each(1000000, func() { leaf(1) }))
	line("bound function, by reflection", "%8.1f ns", each(200000, func() { reflected(1) }))
	line("Engine.Call", "%8.1f ns", each(200000, func() { e.Call(ctx, "leaf", int64(1)) }))
	line("Go to native to Go and back", "%8.1f ns", each(200000, func() { back(1) }))
	return nil
}

// each returns the median over five rounds of the nanoseconds that f takes.
func each(n int, f func()) float64 {
	var rounds []time.Duration
	for range 5 {
		start := time.Now()
		for range n / 5 {
			f()
		}
		rounds = append(rounds, time.Since(start))
	}
	return float64(median(rounds).Nanoseconds()) / float64(n/5)
}

// lifetimes measures making and closing engines.
func lifetimes(n int) error {
	title("engines")
	var failed error
	d := each(n, func() {
		e, err := livejit.New()
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			failed = err
		}
	})
	line("New and Close", "%8.1f µs", d/1000)
	return failed
}
