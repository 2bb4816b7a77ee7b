package codegen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"livejit/internal/llvm"
)

// Errors of a Program that can do no more.
var (
	// ErrClosed: the program was closed.
	ErrClosed = errors.New("the program is closed")
	// ErrSpent: Compile has used the program up; it can only be closed.
	ErrSpent = errors.New("the program has been compiled as a whole and can give no parts")
)

// Program is one module that is open: parsed, prepared, ready to be compiled as a whole or in parts. It holds an LLVM
// context with the module, several times the size of the source, until Close. Safe for concurrent use: calls wait for each
// other.
//
// After a fatal error of LLVM (an *llvm.Error of kind Fatal) the program is poisoned: every later Compile, CompilePart and IR
// returns an error of kind Poisoned. Bitcode still works, so that the module can be opened anew.
type Program struct {
	// Summary of the prepared module, with the fingerprints of its globals. Read only.
	Summary *llvm.Summary
	// Kept is bitcode of the module as it was given, before it was prepared, to be opened again with Form Own; of a
	// foreign module always, of others if Input.Keep asked for it or the input was Own; else nil. Read only.
	Kept []byte
	// Times of opening.
	Times Times

	compiler *LLVM
	in       Input // Ref is nil
	busy     chan struct{}
	// What follows belongs to whoever has put an element into busy.
	context *pooled[*llvm.Context]
	module  *llvm.Module // nil when closed
	shares  *shares      // nil: one worker compiles everything
	spent   bool
	failed  error // the last error of LLVM
}

// Open implements Compiler. ctx is looked at between the stages; LLVM itself cannot be interrupted.
func (c *LLVM) Open(ctx context.Context, in Input) (*Program, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	shares := c.openShares(ctx, in)
	p, err := c.open(ctx, in)
	c.leave()
	if err != nil {
		shares.close()
		return nil, err
	}
	if p.shareable() {
		p.shares = shares
	} else {
		shares.close()
	}
	return p, nil
}

// Compile implements Compiler.
func (c *LLVM) Compile(ctx context.Context, in Input) (*Compiled, error) {
	in.Whole = true
	p, err := c.Open(ctx, in)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Compile(ctx)
}

// open does the work of Open, in a place that the caller has.
func (c *LLVM) open(ctx context.Context, in Input) (*Program, error) {
	p := &Program{compiler: c, in: in, busy: make(chan struct{}, 1), context: c.takeContext()}
	p.in.Ref = nil
	if err := p.read(in); err != nil {
		p.failed = err
		p.Close()
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// read makes the prepared module and its summary.
func (p *Program) read(in Input) error {
	start := time.Now()
	p.context.seen += len(in.Data)
	m, err := parse(p.context.it, in)
	if err != nil {
		return err
	}
	p.module = m
	if in.Form == Own {
		p.Kept = in.Data
	} else if in.Form == Foreign || in.Keep {
		if p.Kept, err = m.Bitcode(); err != nil {
			return err
		}
	}
	if in.Form == Foreign {
		p.context.seen += len(p.Kept)
		p.in.Data = p.Kept
		p.in.Form = Own
	}
	p.Times.Parse = time.Since(start)
	start = time.Now()
	p.Summary, err = m.Prepare(llvm.PrepareOptions{})
	p.Times.Prepare = time.Since(start)
	return err
}

func parse(c *llvm.Context, in Input) (*llvm.Module, error) {
	switch in.Form {
	case Text:
		return c.ParseIR(in.Name, in.Data)
	case Bitcode:
		return c.ParseBitcode(in.Name, in.Data)
	case Own:
		return c.ParseOwnBitcode(in.Name, in.Data)
	case Foreign:
		return llvm.Adopt(c, in.Ref, in.Name)
	}
	panic(fmt.Sprintf("BUG: codegen: form %d", in.Form))
}

// lock waits until nobody else works on the program, and looks whether it still can be worked on.
func (p *Program) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if p.module == nil {
		err = ErrClosed
	} else if p.spent {
		err = ErrSpent
	}
	if err != nil {
		p.unlock()
		return fmt.Errorf("module %s: %w", p.in.Name, err)
	}
	return nil
}

func (p *Program) unlock() { <-p.busy }

// Compile compiles everything. The program is spent afterwards, whatever the result: it can only be closed.
func (p *Program) Compile(ctx context.Context) (*Compiled, error) {
	if p.shares != nil {
		return p.compileShares(ctx)
	}
	out, err := p.work(ctx, p.compileWhole)
	if err != nil {
		return nil, err
	}
	return out.finish(p.in.Name)
}

// CompilePart compiles functions and variables, with what only they use; see [llvm.Module.CutSet] for what a part is. It can
// be called any number of times. Compiled.Summary is nil.
func (p *Program) CompilePart(ctx context.Context, functions, variables []string) (*Compiled, error) {
	out, err := p.work(ctx, func(ctx context.Context) (*Compiled, error) { return p.compilePart(ctx, functions, variables) })
	if err != nil {
		return nil, err
	}
	return out.finish(p.in.Name)
}

// work runs do with the program's lock and a place.
func (p *Program) work(ctx context.Context, do func(context.Context) (*Compiled, error)) (*Compiled, error) {
	if err := p.lock(ctx); err != nil {
		return nil, err
	}
	defer p.unlock()
	if err := p.compiler.enter(ctx); err != nil {
		return nil, err
	}
	defer p.compiler.leave()
	return do(ctx)
}

func (p *Program) compileWhole(ctx context.Context) (*Compiled, error) {
	p.spent = true
	out := &Compiled{Summary: p.Summary, Times: p.Times, Kept: p.Kept}
	if err := p.emit(ctx, p.module, len(p.in.Data), out); err != nil {
		return nil, err
	}
	return out, nil
}

func (p *Program) compilePart(ctx context.Context, functions, variables []string) (*Compiled, error) {
	start := time.Now()
	cut, err := p.module.CutSet(functions, variables)
	if err != nil {
		return nil, p.note(err)
	}
	defer cut.Close()
	out := &Compiled{Functions: cut.Functions}
	out.Times.Prepare = time.Since(start)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.emit(ctx, cut, 0, out); err != nil {
		return nil, err
	}
	p.context.seen += len(out.object.Bytes()) // parts make a context grow as well
	return out, nil
}

// emit compiles m, a module of the program's context made from size bytes of source (0: it counts as what it becomes).
func (p *Program) emit(ctx context.Context, m *llvm.Module, size int, out *Compiled) error {
	if err := p.describe(m, out); err != nil {
		return err
	}
	pipe, err := p.compiler.takePipeline()
	if err != nil {
		return err
	}
	out.object, err = pipe.it.Emit(m)
	if err == nil {
		out.Times.Optimize, out.Times.Codegen = out.object.Optimize, out.object.Codegen
		if size == 0 {
			size = len(out.object.Bytes())
		}
	}
	p.compiler.putPipeline(pipe, size, err)
	if err != nil {
		return p.note(err)
	}
	if err := ctx.Err(); err != nil {
		out.Release()
		return err
	}
	return nil
}

// note remembers a fatal error of LLVM, after which the context is not for use.
func (p *Program) note(err error) error {
	if isFatal(err) {
		p.failed = err
	}
	return err
}

// finish makes the graph, or gives the object back.
func (c *Compiled) finish(name string) (*Compiled, error) {
	if err := c.build(name); err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

// IR is the text of one function cut out, as CompilePart compiles it. Errors are *llvm.Error.
func (p *Program) IR(function string) (string, error) {
	if err := p.lock(context.Background()); err != nil {
		return "", err
	}
	defer p.unlock()
	cut, err := p.module.Cut(function)
	if err != nil {
		return "", p.note(err)
	}
	defer cut.Close()
	return cut.Text(), nil
}

// Bitcode is the module as it was given, before it was prepared, but verified and of this LLVM's version. Opened with Form
// Own it becomes the same program again, with the same summary. It is Kept if that is there, at no cost; else the
// input is read again. The result is read only.
func (p *Program) Bitcode() ([]byte, error) {
	if p.Kept != nil {
		return p.Kept, nil
	}
	c := p.compiler
	if err := c.enter(context.Background()); err != nil {
		return nil, err
	}
	defer c.leave()
	x := c.takeContext()
	x.seen += len(p.in.Data)
	m, err := parse(x.it, p.in)
	if err != nil {
		c.putContext(x, err)
		return nil, err
	}
	b, err := m.Bitcode()
	m.Close()
	c.putContext(x, err)
	return b, err
}

// Size is the number of bytes of source the program was made of, for budgets; of a foreign module those of its bitcode.
func (p *Program) Size() int { return len(p.in.Data) }

// Close frees the module and gives its context back; it waits for calls that are running. Closing twice is fine. What was
// compiled stays.
func (p *Program) Close() {
	p.busy <- struct{}{}
	defer p.unlock()
	if p.context == nil {
		return
	}
	if p.module != nil {
		p.module.Close()
		p.module = nil
	}
	p.compiler.putContext(p.context, p.failed)
	p.context = nil
	p.shares.close()
}
