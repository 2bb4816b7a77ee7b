package livejit

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"livejit/internal/codegen"
	"livejit/internal/epoch"
	"livejit/internal/jitlink"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/stubtable"
	"livejit/internal/symtab"
)

// transaction is one Engine.Update on its way. Everything it makes stays aside until
// publish; discard takes back what was made if publish was not reached.
//
// First its sources are read (part), outside the engine's lock. Then the lock is taken to
// judge which of their definitions have to be compiled, given up to compile those (unit), and
// taken again to link and publish; what was judged is judged again then, since other
// transactions may have come between.
type transaction struct {
	engine     *Engine
	steps      []step
	quiescent  bool
	migrations map[string]Migration

	parts   []*part
	modules []*Module // that it adds: one for each Add, then those that a Replace needs
	adds    int
	changes changes // what it does to what is loaded
	link    linking // of the present attempt
	stages  Stages
	start   time.Time

	late      []lateConstructors
	published bool
	pin       epoch.Pin // from publishing on, so that nobody frees a module before its constructors have run
}

// part is one source of a transaction.
type part struct {
	step    *step
	module  *Module // that its definitions belong to
	source  Source
	origin  *origin          // what functions can be compiled from again; nil for an object
	program *codegen.Program // nil if it came as an object
	object  *linkgraph.Graph // until a unit has it
	defines []objectDefinition
	archive *archiveFile

	globals  map[string]*llvm.Global // what the IR says of its symbols
	judged   map[string]judgement    // replaceStep, IR: by name in the source
	readTime time.Duration
	unit     *unit
	rest     []*unit         // if several workers have compiled it: unit has the data, and these more functions
	covers   map[string]bool // what unit was compiled for; nil: everything
	first    *symtab.Symbol  // the function whose first call this is, which is all that is wanted
	spent    bool            // program was compiled as a whole
}

// replaces says whether the part's definitions take the place of what is loaded.
func (p *part) replaces() bool { return p.step.kind == replaceStep }

// unit is one object that is linked.
type unit struct {
	name     string
	module   *Module
	part     *part // nil for a member of an archive that was pulled
	graph    *linkgraph.Graph
	link     *jitlink.Link
	compiled *codegen.Compiled // nil if it came as an object
	symbols  []*symtab.Symbol  // by SymbolID: what it means in the engine; nil if nothing outside of the graph
	pieces   []*piece          // by index in link.Pieces
	readTime time.Duration
	origin   *origin
	globals  map[string]*llvm.Global

	patchpoints []linkedPatchpoint
	text        *irSource // WithIRDebug: what it was compiled from, until its pieces have it
}

// lazy says whether functions of the part are compiled at their first calls.
func (p *part) lazy(e *Engine) bool {
	if !e.config.lazy || p.program == nil || p.replaces() || p.program.Summary.ModuleAsm {
		return false
	}
	defined := func(i llvm.Init) bool {
		g := p.globals[i.Function]
		return g != nil && g.Defined && g.Kind == llvm.Function
	}
	s := p.program.Summary
	for i := range s.Variables {
		if g := &s.Variables[i]; !g.Defined && isBound(g.Name) { // delimits a section whose parts must be known together
			return false
		}
	}
	return len(s.IFuncs) == 0 && !slices.ContainsFunc(s.Ctors, func(i llvm.Init) bool { return !defined(i) }) &&
		!slices.ContainsFunc(s.Dtors, func(i llvm.Init) bool { return !defined(i) })
}

// lateConstructors are what a replacement has to run in a module that is loaded.
type lateConstructors struct {
	module    *Module
	addresses []uint64
}

// update runs a transaction.
func (e *Engine) update(ctx context.Context, u *Update) (*Result, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	t := &transaction{engine: e, steps: u.steps, quiescent: u.quiescent, migrations: u.migrations, start: time.Now()}
	defer t.close()
	if err := t.read(ctx); err != nil {
		t.report(err)
		return nil, err
	}
	if err := t.commit(ctx); err != nil {
		t.report(err)
		var refused *RefusedError
		if errors.As(err, &refused) {
			return t.result(), err
		}
		return nil, err
	}
	for _, p := range t.parts {
		if p.program != nil && p.covers != nil { // a unit of everything has it
			t.stages.Parse += p.program.Times.Parse
			t.stages.Prepare += p.program.Times.Prepare
		}
	}
	t.stages.Total = time.Since(t.start)
	for _, m := range t.modules {
		m.setDuration(t.stages)
	}
	if !u.silent || e.events.wanted() {
		t.reportAdded()
	}
	t.report(nil)
	result := t.result()
	err := t.construct()
	e.reclaimSome()
	return result, err
}

// construct runs the constructors of the modules that were added. One that fails closes its
// module.
func (t *transaction) construct() error {
	if len(t.modules)+len(t.late) == 0 {
		return nil
	}
	var errs []error
	for _, l := range t.late {
		errs = append(errs, l.module.runAll(l.addresses))
	}
	var failed []*Module
	for _, m := range t.modules {
		if err := m.construct(); err != nil {
			errs = append(errs, err)
			failed = append(failed, m)
		}
	}
	t.engine.gate.Exit(t.pin)
	for _, m := range failed {
		errs = append(errs, m.Close())
	}
	return join(errs...)
}

func (t *transaction) result() *Result {
	return &Result{Modules: t.modules, Duration: t.stages, Verdicts: t.changes.verdicts}
}

// reportAdded adds a verdict for each function and variable of the modules that were added.
func (t *transaction) reportAdded() {
	t.engine.mu.Lock()
	defer t.engine.mu.Unlock()
	for _, m := range t.modules[:t.adds] {
		for _, s := range m.symbols {
			if s == nil { // another transaction was quick to delete it
				continue
			}
			t.changes.verdicts = append(t.changes.verdicts, Verdict{Module: m.name, Function: s.Name, Variable: !callable(s), Version: 1, Outcome: Added})
		}
	}
}

// read opens the sources, several at a time.
func (t *transaction) read(ctx context.Context) error {
	for i := range t.steps {
		s := &t.steps[i]
		if s.kind > replaceStep {
			continue
		}
		var m *Module
		if s.kind == addStep {
			m = &Module{engine: t.engine, name: s.sources[0].name}
			t.modules = append(t.modules, m)
			t.adds++
		}
		for _, source := range s.sources {
			t.parts = append(t.parts, &part{step: s, module: m, source: source})
		}
	}
	return each(t.parts, func(p *part) error { return t.engine.readPart(ctx, p) })
}

// each calls f for every item, several at a time, and joins the errors.
func each[T any](items []T, f func(T) error) error {
	if len(items) == 1 {
		return f(items[0])
	}
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	errs := make([]error, len(items))
	var wait sync.WaitGroup
	for i, item := range items {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			errs[i] = f(item)
		})
	}
	wait.Wait()
	return join(errs...)
}

// commit judges, compiles, links and publishes, until it has succeeded with what is
// published at that moment.
func (t *transaction) commit(ctx context.Context) error {
	var busy error // why a quiescent transaction is still waiting
	for wait := firstWait; ; {
		err := t.judge()
		if err == nil {
			err = t.compile(ctx)
		}
		start := time.Now()
		if err == nil {
			err = t.attempt(ctx)
		}
		switch {
		case err == nil:
			t.stages.Link = time.Since(start)
			return nil
		case errors.Is(err, errOvertaken):
			continue
		case errors.Is(err, errBusy):
			busy = err
			t.engine.hook("busy")
			err = wait.sleep(ctx)
		}
		switch {
		case err != nil && busy != nil && ctx.Err() != nil:
			return stillBusy(busy, ctx.Err())
		case err != nil:
			return err
		}
	}
}

// errOvertaken says that another transaction has changed what this one was compiled for.
var errOvertaken = errors.New("livejit: overtaken by another transaction")

// attempt links and publishes under the engine's lock.
func (t *transaction) attempt(ctx context.Context) error {
	e := t.engine
	e.hook("link")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if err := t.judgeLocked(); err != nil {
		return err
	}
	if !t.covered() {
		return errOvertaken
	}
	if t.quiescent {
		if err := t.lookQuiescent(); err != nil {
			return err
		}
	}
	if err := t.linkLocked(ctx); err != nil {
		t.discardLink()
		return err
	}
	t.published = true
	return nil
}

// compile makes a unit of each part, of what has to be compiled of it.
func (t *transaction) compile(ctx context.Context) error {
	var todo []*part
	for _, p := range t.parts {
		if p.archive != nil || p.unit != nil && t.covers(p) {
			continue
		}
		todo = append(todo, p)
	}
	return each(todo, func(p *part) error { return t.makeUnit(ctx, p) })
}

// covers says whether the unit of p has all that the judgement asks for.
func (t *transaction) covers(p *part) bool {
	if p.unit == nil {
		return p.archive != nil
	}
	if p.covers == nil {
		return true
	}
	for name, j := range p.judged {
		if j.compiles() && !p.covers[name] {
			return false
		}
	}
	return true
}

func (t *transaction) covered() bool {
	for _, p := range t.parts {
		if !t.covers(p) {
			return false
		}
	}
	return true
}

// close gives back what only the transaction needed. What an attempt to link made was taken
// back when it failed.
func (t *transaction) close() {
	for _, p := range t.parts { // first these: releasing a large unit gives LLVM's freed memory back to the system
		if p.program != nil && p.first == nil && !(t.published && p.lazy(t.engine)) {
			p.program.Close()
		}
	}
	for _, p := range t.parts {
		p.release()
	}
}

// release gives up what was compiled of the part.
func (p *part) release() {
	if p.unit != nil {
		p.unit.release()
	}
	for _, u := range p.rest {
		u.release()
	}
	p.unit, p.rest = nil, nil
}

func (u *unit) release() {
	if u.compiled != nil {
		u.compiled.Release()
	}
	if u.text != nil {
		u.text.remove()
		u.text = nil
	}
}

// stubOf returns the stub of a function.
func stubOf(s *symtab.Symbol) stubtable.Stub { return stubtable.Stub{Addr: s.Stub, Slot: s.Slot} }
