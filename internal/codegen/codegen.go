// Package codegen turns modules into link graphs: it owns the compilers, a pool of workers
// each with a pipeline and a context of its own.
//
// A pipeline (target machine, passes, output buffer) is built once for a worker and
// reused, which halves to quarters the cost of compiling one function. An LLVM context
// only grows, since types and constants are interned for ever, and so do a pipeline's
// tables: after budget bytes of source a worker is replaced. One whose compile ended in a
// fatal error of LLVM is thrown away at once.
package codegen

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
)

const (
	budget   = 1 << 20 // bytes of source a worker compiles
	trimSize = 1 << 20 // bytes of an object after which freed memory goes back to the system
)

// Form says how a module is given.
type Form uint8

const (
	Text    Form = iota // LLVM assembly
	Bitcode             // LLVM bitcode
	Foreign             // an LLVMModuleRef of another binding
)

// Input is one module to compile.
type Input struct {
	Name string
	Form Form
	Data []byte
	Ref  unsafe.Pointer // Foreign only
}

// Times says where the time of a compile went.
type Times struct {
	Parse, Prepare, Optimize, Codegen, Read, Graph time.Duration
}

// Compiled is a module as a link graph with what its IR says about its symbols.
type Compiled struct {
	Graph   *linkgraph.Graph
	Summary *llvm.Summary
	Times   Times
	// Kept is the module's bitcode, if the input was a foreign module; otherwise the
	// input itself is what can be kept.
	Kept []byte

	object *llvm.Object
}

// Release gives back the object that the graph's blocks alias.
func (c *Compiled) Release() {
	if c.object == nil {
		return
	}
	large := len(c.object.Bytes()) > trimSize
	c.object.Release()
	c.object = nil
	if large {
		llvm.Trim()
	}
}

// Compiler is anything that makes link graphs of modules.
type Compiler interface {
	// Compile compiles one module. Errors of the input are *llvm.Error.
	Compile(ctx context.Context, in Input) (*Compiled, error)
	Close()
}

// Options of NewLLVM.
type Options struct {
	OptLevel int
	CPU      string
	Workers  int // compiles at the same time; 0: one for each processor
}

// LLVM is the Compiler that goes by way of an ELF object. Safe for concurrent use.
type LLVM struct {
	options llvm.PipelineOptions
	places  chan struct{} // a place for each worker that may run

	mu     sync.Mutex // guards idle and closed; a leaf
	idle   []*worker
	closed bool
}

// worker compiles one module at a time.
type worker struct {
	pipeline *llvm.Pipeline
	context  *llvm.Context
	read     int // bytes of source the context has seen
}

// NewLLVM makes the compiler and its first worker, so that options LLVM refuses fail here.
func NewLLVM(o Options) (*LLVM, error) {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	c := &LLVM{
		options: llvm.PipelineOptions{OptLevel: o.OptLevel, CPU: o.CPU},
		places:  make(chan struct{}, o.Workers),
	}
	w, err := c.newWorker()
	if err != nil {
		return nil, err
	}
	c.idle = append(c.idle, w)
	return c, nil
}

// Close frees the idle workers; one that is compiling is freed when it is done.
func (c *LLVM) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, w := range c.idle {
		w.close()
	}
	c.idle = nil
}

func (c *LLVM) newWorker() (*worker, error) {
	p, err := llvm.NewPipeline(c.options)
	if err != nil {
		return nil, err
	}
	return &worker{pipeline: p, context: llvm.NewContext()}, nil
}

func (w *worker) close() {
	w.context.Close()
	w.pipeline.Close()
}

// take waits for a worker.
func (c *LLVM) take(ctx context.Context) (*worker, error) {
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	var w *worker
	if n := len(c.idle); n > 0 {
		w, c.idle = c.idle[n-1], c.idle[:n-1]
	}
	c.mu.Unlock()
	if w != nil {
		return w, nil
	}
	w, err := c.newWorker()
	if err != nil {
		<-c.places
	}
	return w, err
}

// put gives a worker back, or drops it.
func (c *LLVM) put(w *worker, fatal bool) {
	defer func() { <-c.places }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if fatal || c.closed || w.read > budget {
		w.close()
		return
	}
	c.idle = append(c.idle, w)
}

// Compile implements Compiler. ctx is looked at between the stages; LLVM itself cannot be
// interrupted.
func (c *LLVM) Compile(ctx context.Context, in Input) (*Compiled, error) {
	w, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	out := &Compiled{}
	err = w.compile(ctx, in, out)
	var failed *llvm.Error
	fatal := errors.As(err, &failed) && (failed.Kind == llvm.KindFatal || failed.Kind == llvm.KindPoisoned)
	c.put(w, fatal)
	if err == nil {
		err = out.build(in.Name)
	}
	if err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}

// compile goes from the input to the object.
func (w *worker) compile(ctx context.Context, in Input, out *Compiled) error {
	start := time.Now()
	lap := func(d *time.Duration) {
		now := time.Now()
		*d, start = now.Sub(start), now
	}
	m, err := w.parse(in)
	if err != nil {
		return err
	}
	defer m.Close()
	if in.Form == Foreign {
		if out.Kept, err = m.Bitcode(); err != nil {
			return err
		}
	}
	lap(&out.Times.Parse)
	if out.Summary, err = m.Prepare(llvm.PrepareOptions{}); err != nil {
		return err
	}
	lap(&out.Times.Prepare)
	if err := ctx.Err(); err != nil {
		return err
	}
	if out.object, err = w.pipeline.Emit(m); err != nil {
		return err
	}
	out.Times.Optimize, out.Times.Codegen = out.object.Optimize, out.object.Codegen
	return ctx.Err()
}

func (w *worker) parse(in Input) (*llvm.Module, error) {
	w.read += len(in.Data)
	switch in.Form {
	case Text:
		return w.context.ParseIR(in.Name, in.Data)
	case Bitcode:
		return w.context.ParseBitcode(in.Name, in.Data)
	case Foreign:
		return llvm.Adopt(w.context, in.Ref, in.Name)
	}
	panic(fmt.Sprintf("BUG: codegen: form %d", in.Form))
}

// build makes the graph of the object.
func (out *Compiled) build(name string) error {
	start := time.Now()
	file, err := elfobj.Read(name, out.object.Bytes())
	if err != nil {
		return fmt.Errorf("LLVM's object: %w", err)
	}
	out.Times.Read = time.Since(start)
	start = time.Now()
	if out.Graph, err = linkgraph.Build(file); err != nil {
		return fmt.Errorf("LLVM's object: %w", err)
	}
	out.Times.Graph = time.Since(start)
	return nil
}
