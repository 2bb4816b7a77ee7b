package figures

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"livejit"
)

// ownModules is up to how many functions each is a module of its own. More are loaded as one module.
const ownModules = 10_000

// Replace loads n functions, replaces single ones k times, from IR text until callers reach the new code, then deletes k unused ones
// until their memory is back. The memory of a function counts all the process grew by.
func Replace(ctx context.Context, n, k int) (_ []Figure, err error) {
	e, err := livejit.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if _, err := e.Add(ctx, livejit.IR("warm", "define void @warm() { ret void }")); err != nil {
		return nil, err
	}
	memory, err := loadChain(ctx, e, n)
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, k)
	for j := range took {
		i := j * 7919 % n
		text := Function(i, 1+j, n)
		start := time.Now()
		if _, err := e.Replace(ctx, livejit.IR("new", text)); err != nil {
			return nil, err
		}
		took[j] = time.Since(start)
	}
	newest, err := e.Call(ctx, "f0", int64(0))
	if want := int64(k - (k-1)%n); err == nil && newest != want {
		err = fmt.Errorf("f0 is version %v, want %d", newest, want)
	}
	if err != nil {
		return nil, err
	}
	deletions, err := deleteUnused(ctx, e, k)
	if err != nil {
		return nil, err
	}
	return []Figure{
		{"replace", median(took), "µs", fmt.Sprintf("replace one small function of %d, IR text to callable", n)},
		{"delete", deletions, "µs", "delete one function until its memory is back"},
		{"memory", memory, "bytes", "memory of a small function, everything included"},
	}, nil
}

// loadChain loads n functions and returns what the process grew by for each.
func loadChain(ctx context.Context, e *livejit.Engine, n int) (float64, error) {
	debug.FreeOSMemory()
	before, err := resident()
	if err != nil {
		return 0, err
	}
	if n > ownModules {
		if _, err := e.Add(ctx, livejit.IR("chain", Chain(n))); err != nil {
			return 0, err
		}
	} else {
		for i := n - 1; i >= 0; i-- { // callees first
			if _, err := e.Add(ctx, livejit.IR("own", Function(i, 0, n))); err != nil {
				return 0, err
			}
		}
	}
	debug.FreeOSMemory()
	after, err := resident()
	return float64(after-before) / float64(n), err
}

// deleteUnused adds k functions that nobody refers to and deletes each until its memory is back.
func deleteUnused(ctx context.Context, e *livejit.Engine, k int) (float64, error) {
	for j := range k {
		if _, err := e.Add(ctx, livejit.IR("unused", fmt.Sprintf("define i64 @unused%d(i64 %%x) { ret i64 %%x }", j))); err != nil {
			return 0, err
		}
	}
	took := make([]time.Duration, k)
	for j := range took {
		start := time.Now()
		if err := e.Delete(ctx, fmt.Sprint("unused", j)); err != nil {
			return 0, err
		}
		if err := e.Quiesce(ctx); err != nil {
			return 0, err
		}
		took[j] = time.Since(start)
	}
	return median(took), nil
}

// Link replaces a function of an engine by a precompiled object again and again: reading, linking and publishing without any LLVM.
func Link(ctx context.Context, object []byte, links int) (_ []Figure, err error) {
	e, err := livejit.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	// What the object's function calls.
	if _, err := e.Add(ctx, livejit.IR("callee", Function(1, 0, 2))); err != nil {
		return nil, err
	}
	if _, err := e.Add(ctx, livejit.Object("first", object)); err != nil {
		return nil, err
	}
	took := make([]time.Duration, links)
	for j := range took {
		start := time.Now()
		if _, err := e.Replace(ctx, livejit.Object("new", object)); err != nil {
			return nil, err
		}
		took[j] = time.Since(start)
	}
	return []Figure{{"link", median(took), "µs", "link and publish a precompiled object of one small function"}}, nil
}
