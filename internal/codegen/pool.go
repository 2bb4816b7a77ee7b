package codegen

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"livejit/internal/llvm"
)

const (
	budget   = 1 << 20 // bytes of source that a context reads or a pipeline compiles
	trimSize = 1 << 20 // bytes of an object after which freed memory goes back to the system
)

// LLVM is the Compiler that goes by way of an ELF object. Safe for concurrent use.
type LLVM struct {
	options llvm.PipelineOptions
	places  chan struct{} // a place for each call of LLVM that may run
	textDir string
	texts   atomic.Int64 // made so far

	mu        sync.Mutex // guards what follows; a leaf
	pipelines []*pooled[*llvm.Pipeline]
	contexts  []*pooled[*llvm.Context]
	closed    bool // nothing returns to the pools any more
}

// pooled is a pipeline or a context with the bytes of source it has seen.
type pooled[T interface{ Close() }] struct {
	it   T
	seen int
}

// NewLLVM makes the compiler and its first pipeline, so that options LLVM refuses fail here.
func NewLLVM(o Options) (*LLVM, error) {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	c := &LLVM{
		options: llvm.PipelineOptions{OptLevel: o.OptLevel, CPU: o.CPU, Statepoints: o.Statepoints},
		places:  make(chan struct{}, o.Workers),
		textDir: o.TextDir,
	}
	p, err := c.takePipeline()
	if err != nil {
		return nil, err
	}
	c.putPipeline(p, 0, nil)
	return c, nil
}

// Close implements Compiler: it frees what is idle. What is in use is freed when its user is done with it, and a program that
// is still open builds what it then needs anew for each compile.
func (c *LLVM) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.pipelines {
		p.it.Close()
	}
	for _, x := range c.contexts {
		x.it.Close()
	}
	c.pipelines, c.contexts = nil, nil
}

// enter waits for a place; leave gives it back.
func (c *LLVM) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *LLVM) leave() { <-c.places }

func (c *LLVM) takePipeline() (*pooled[*llvm.Pipeline], error) {
	if p := take(c, &c.pipelines); p != nil {
		return p, nil
	}
	p, err := llvm.NewPipeline(c.options)
	if err != nil {
		return nil, err
	}
	return &pooled[*llvm.Pipeline]{it: p}, nil
}

// putPipeline gives a pipeline back that compiled size bytes of source with the result err.
func (c *LLVM) putPipeline(p *pooled[*llvm.Pipeline], size int, err error) {
	p.seen += size
	put(c, &c.pipelines, p, err)
}

func (c *LLVM) takeContext() *pooled[*llvm.Context] {
	if x := take(c, &c.contexts); x != nil {
		return x
	}
	return &pooled[*llvm.Context]{it: llvm.NewContext()}
}

func (c *LLVM) putContext(x *pooled[*llvm.Context], err error) { put(c, &c.contexts, x, err) }

// take returns one of the idle things, nil if there is none.
func take[T interface{ Close() }](c *LLVM, idle *[]*pooled[T]) *pooled[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(*idle)
	if n == 0 {
		return nil
	}
	p := (*idle)[n-1]
	(*idle)[n-1] = nil
	*idle = (*idle)[:n-1]
	return p
}

// put keeps p for the next user, or drops it: after a fatal error, beyond its budget, and when as many are idle as can
// be used at a time (many programs may have been open).
func put[T interface{ Close() }](c *LLVM, idle *[]*pooled[T], p *pooled[T], err error) {
	c.mu.Lock()
	keep := !c.closed && !isFatal(err) && p.seen <= budget && len(*idle) < cap(c.places)
	if keep {
		*idle = append(*idle, p)
	}
	c.mu.Unlock()
	if !keep {
		p.it.Close()
	}
}

// isFatal says whether err leaves LLVM's state unknown.
func isFatal(err error) bool {
	var e *llvm.Error
	return errors.As(err, &e) && (e.Kind == llvm.KindFatal || e.Kind == llvm.KindPoisoned)
}
