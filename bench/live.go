package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"livejit"
)

// replaceUnderLoad replaces functions n times, one at a time, while four goroutines call
// them, and tells how long a replacement takes, from IR text until every caller reaches the
// new code, and what the process holds on the way.
func replaceUnderLoad(ctx context.Context, n int) (err error) {
	const functions, callers = 4, 4
	title(fmt.Sprintf("%d replacements while %d goroutines call", n, callers))
	e, err := livejit.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	version := func(i, v int) livejit.Source {
		return livejit.IR("live", fmt.Sprintf("define i64 @f%d(i64 %%x) { %%r = add i64 %%x, %d  ret i64 %%r }", i, v))
	}
	for i := range functions {
		if _, err := e.Add(ctx, version(i, 1<<20)); err != nil {
			return err
		}
		caller := fmt.Sprintf("declare i64 @f%d(i64)\ndefine i64 @call%[1]d(i64 %%x) { %%r = call i64 @f%[1]d(i64 %%x)  ret i64 %%r }", i)
		if _, err := e.Add(ctx, livejit.IR("callers", caller)); err != nil {
			return err
		}
	}
	var done atomic.Bool
	var calls, failed atomic.Int64
	var workers sync.WaitGroup
	defer workers.Wait()
	defer done.Store(true)
	for c := range callers {
		var call func(int64) (int64, error)
		if err := e.Bind(fmt.Sprint("call", c%functions), &call); err != nil {
			return err
		}
		workers.Go(func() {
			for last := int64(0); !done.Load(); {
				now, err := call(0)
				if err != nil || now < last { // never back to an older one
					failed.Add(1)
					return
				}
				last = now
				if calls.Add(1)%64 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	took := make([]time.Duration, n)
	for i := range took {
		took[i] = 1 // its memory is there before it is measured
	}
	retired := 0
	tell := func(after int) {
		s := e.Stats()
		debug.FreeOSMemory()
		u := process()
		line(fmt.Sprintf("after %d: resident memory, mappings", after), "%8.1f MiB, %d; code %d bytes in %d spans", mib(int64(u.resident)<<10), u.mappings,
			s.Memory["code"].Bytes, s.Memory["code"].Spans)
	}
	milestones := []int{min(n, 1000), n / 10, n / 2, n}
	for i := range n {
		start := time.Now()
		if _, err := e.Replace(ctx, version(i%functions, 1<<20+1+i)); err != nil {
			return err
		}
		took[i] = time.Since(start)
		if i%100 == 0 {
			retired = max(retired, e.Stats().Retired)
		}
		if slices.Contains(milestones, i+1) {
			tell(i + 1)
		}
	}
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d callers met an error or went back to an older version", n)
	}
	slices.Sort(took)
	line("a replacement, median", "%8.1f µs", float64(took[n/2].Nanoseconds())/1000)
	line("  99 of 100 take less than", "%8.1f µs", float64(took[n*99/100].Nanoseconds())/1000)
	line("  longest", "%8.1f ms", ms(took[n-1]))
	line("old versions waiting to be freed, at most", "%8d", retired)
	line("calls meanwhile", "%8.1f million", float64(calls.Load())/1e6)
	return nil
}
