package livejit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"livejit/internal/codegen"
	"livejit/internal/llvm"
)

// origin is a source that functions were compiled from and can be compiled from again. It
// lives as long as a symbol has it.
type origin struct {
	engine  *Engine
	kept    Source
	globals map[string]*llvm.Global // after it was published: variables and aliases only
	layouts map[string]llvm.Layout

	mu      sync.Mutex // taken before Engine.mu; guards what follows
	program *codegen.Program
	byName  map[string]*llvm.Global // what its summary lists, made at the first use of the program
}

func newOrigin(e *Engine, kept Source, s *llvm.Summary) *origin {
	return &origin{engine: e, kept: kept, globals: globalsOf(s), layouts: s.Layouts}
}

// Name returns the name of the source.
func (o *origin) Name() string { return o.kept.name }

// use runs f with a part for the source, whose program is open. It is opened if it is not,
// and stays open for the next, among the few that were used last.
func (o *origin) use(ctx context.Context, f func(*part) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.program == nil {
		program, err := o.engine.openProgram(ctx, o.kept, false)
		if err != nil {
			return err
		}
		o.program = program
	}
	if o.byName == nil {
		o.byName = globalsOf(o.program.Summary)
	}
	p := &part{source: o.kept, origin: o, program: o.program, globals: o.byName}
	err := f(p)
	var compile *CompileError
	if errors.As(err, &compile) {
		o.drop() // it may be poisoned
		return err
	}
	o.engine.programs.touch(o)
	return err
}

func globalsOf(s *llvm.Summary) map[string]*llvm.Global {
	globals := make(map[string]*llvm.Global)
	for _, list := range [...][]llvm.Global{s.Functions, s.Variables, s.Aliases, s.IFuncs} {
		for i := range list {
			globals[list[i].Name] = &list[i]
		}
	}
	return globals
}

// settle is called when the source was published: what only linking needed is dropped. With
// a program the origin keeps that open, for functions that are compiled at their first call.
func (o *origin) settle(program *codegen.Program) {
	rest := make(map[string]*llvm.Global)
	for name, g := range o.globals {
		if g.Defined && g.Kind != llvm.Function {
			rest[strings.Clone(name)] = g.Clone()
		}
	}
	o.globals = rest
	if len(rest) == 0 {
		o.globals = nil
	}
	if program != nil {
		o.program = program
	}
}

// close closes the program, if it is open.
func (o *origin) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
}

// drop closes the program, if it is open. The caller holds o.mu.
func (o *origin) drop() {
	if o.program != nil {
		o.program.Close()
	}
	o.program, o.byName = nil, nil
}

// openPrograms are the origins whose programs are open, the one used last at the end. An
// open program costs several times the memory of its source.
type openPrograms struct {
	mu     sync.Mutex // a leaf
	list   []*origin
	closed bool
}

const maxOpenPrograms = 4

// touch notes that o was used just now, and closes the one that was not used for longest if
// there are too many. The caller holds o.mu. After closeAll it closes o.
//
// Every open program is in the list whenever the lock of its origin is free: one that cannot
// be closed, since somebody is at work on it, goes back.
func (c *openPrograms) touch(o *origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		o.drop()
		return
	}
	if i := slices.Index(c.list, o); i >= 0 {
		c.list = slices.Delete(c.list, i, i+1)
	}
	c.list = append(c.list, o)
	for i := 0; i < len(c.list)-1 && len(c.list) > maxOpenPrograms; {
		oldest := c.list[i]
		if !oldest.mu.TryLock() { // the next call of touch will find it
			i++
			continue
		}
		oldest.drop()
		oldest.mu.Unlock()
		c.list = slices.Delete(c.list, i, i+1)
	}
}

// closeAll closes all of them. Nobody uses them any more.
func (c *openPrograms) closeAll() {
	c.mu.Lock()
	list := c.list
	c.list, c.closed = nil, true
	c.mu.Unlock()
	for _, o := range list {
		o.close()
	}
}
