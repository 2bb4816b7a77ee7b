package figures

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"livejit"
)

// Calls measures a guarded call into native code with two integers, and the way from native code into Go and back.
func Calls(ctx context.Context) (_ []Figure, err error) {
	e, err := livejit.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Define("host", func(n int64) int64 { return n + 1 }); err != nil {
		return nil, err
	}
	// back calls into Go many times, so that its own entry does not count.
	_, err = e.Add(ctx, livejit.IR("calls", `
		declare i64 @host(i64)
		define i64 @sum(i64 %a, i64 %b) { %r = add i64 %a, %b  ret i64 %r }
		define i64 @back(i64 %n) {
		entry: br label %loop
		loop: %i = phi i64 [ 0, %entry ], [ %j, %loop ]
			%j = call i64 @host(i64 %i)
			%more = icmp slt i64 %j, %n
			br i1 %more, label %loop, label %end
		end: ret i64 %j }`))
	if err != nil {
		return nil, err
	}
	var sum func(int64, int64) (int64, error)
	var back func(int64) (int64, error)
	if err := errors.Join(e.Bind("sum", &sum), e.Bind("back", &back)); err != nil {
		return nil, err
	}
	const calls = 100_000
	call, err := Each(calls, func() error {
		for range calls {
			if _, err := sum(1, 2); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	callback, err := Each(calls, func() error { _, err := back(calls); return err })
	if err != nil {
		return nil, err
	}
	return []Figure{
		{"call", call, "ns", "guarded call from Go, two integers"},
		{"callback", callback, "ns", "native code calls Go and comes back"},
	}, nil
}

// Each returns how many nanoseconds one of the n repetitions inside f takes, the median of nine runs of f.
func Each(n int, f func() error) (float64, error) {
	var took []time.Duration
	for range 9 {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	return median(took) * 1000 / float64(n), nil
}

// Hops is how many functions CallChain's chain has: deeper ones overflow the processor's return predictor.
const Hops = 16

// HopsModule is a chain of Hops functions that are not inlined, and run(n), which goes through it n times.
func HopsModule() string {
	return strings.ReplaceAll(Chain(Hops), "(i64 %x) {", "(i64 %x) noinline {") + fmt.Sprintf(`
define i64 @run(i64 %%n) noinline optnone {
entry:
  br label %%loop
loop:
  %%i = phi i64 [ 0, %%entry ], [ %%j, %%loop ]
  %%r = call i64 @f0(i64 %d)
  %%j = add i64 %%i, 1
  %%more = icmp slt i64 %%j, %%n
  br i1 %%more, label %%loop, label %%end
end:
  ret i64 %%r
}
`, Hops-1)
}

// CallChain measures one hop of a hot chain of replaceable functions at -O2.
func CallChain(ctx context.Context) (_ []Figure, err error) {
	e, err := livejit.New(livejit.WithOptLevel(2))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if _, err := e.Add(ctx, livejit.IR("hops", HopsModule())); err != nil {
		return nil, err
	}
	var run func(int64) (int64, error)
	if err := e.Bind("run", &run); err != nil {
		return nil, err
	}
	const rounds = 500_000
	hop, err := Each(rounds*Hops, func() error { _, err := run(rounds); return err })
	return []Figure{{"hop", hop, "ns", "one call of a hot chain of 16 functions, -O2"}}, err
}
