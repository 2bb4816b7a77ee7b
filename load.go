package livejit

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"livejit/internal/codegen"
	"livejit/internal/elfobj"
	"livejit/internal/epoch"
	"livejit/internal/jitlink"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
	"livejit/internal/symtab"
)

// load is one Engine.Add on its way: a transaction. Everything it makes stays aside until
// publish, and discard takes back what was made if publish was not reached.
type load struct {
	engine *Engine
	module *Module
	units  []*unit

	names    map[string]*definition // what the load defines for everyone
	order    []*definition          // all definitions, local ones too, in the order of the sources
	groups   map[string]bool        // COMDAT groups kept by this load
	archives []*archiveFile         // given with the sources
	pulled   []pulledMember
	hosts    []*symtab.Symbol // host symbols this load was the first to need
	absent   *symtab.Symbol   // what undefined weak symbols mean
	pieces   []*piece
	memory   allocator
	tls      tlsBlock

	published bool
	pin       epoch.Pin // from publishing on, so that nobody frees the module before its constructors have run
}

// unit is one object of a load.
type unit struct {
	name     string
	graph    *linkgraph.Graph
	link     *jitlink.Link
	compiled *codegen.Compiled       // nil if it came as an object
	globals  map[string]*llvm.Global // what the IR says of its symbols
	symbols  []*symtab.Symbol        // by SymbolID: what it means in the engine; nil if nothing outside of the graph
	pieces   []*piece                // by index in link.Pieces
	readTime time.Duration
}

// definition is a symbol that a unit of the load defines.
type definition struct {
	symbol *symtab.Symbol
	unit   *unit
	id     linkgraph.SymbolID
	lost   bool // another definition is kept
	ifunc  bool
}

// compile makes a unit of each source, several at a time.
func (l *load) compile(ctx context.Context, sources []Source) error {
	type result struct {
		source Source
		unit   *unit
		arch   *archiveFile
		err    error
	}
	results := make([]result, len(sources))
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i, s := range sources {
		wait.Add(1)
		places <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-places }()
			r := &results[i]
			if r.source, r.err = s.load(ctx); r.err != nil {
				return
			}
			if r.source.kind == archive {
				r.arch, r.err = readArchive(r.source)
			} else {
				r.unit, r.source, r.err = l.engine.makeUnit(ctx, r.source)
			}
		}()
	}
	wait.Wait()
	var errs []error
	for _, r := range results {
		errs = append(errs, r.err)
		if r.unit != nil {
			l.units = append(l.units, r.unit)
			l.module.kept = append(l.module.kept, r.source)
		}
		if r.arch != nil {
			l.archives = append(l.archives, r.arch)
		}
	}
	return join(errs...)
}

// makeUnit compiles or reads one source. The source it returns is what is kept of it.
func (e *Engine) makeUnit(ctx context.Context, s Source) (*unit, Source, error) {
	u := &unit{name: s.name}
	if s.kind == object {
		start := time.Now()
		file, err := elfobj.Read(s.name, s.data)
		if err == nil {
			err = forThisMachine(file)
		}
		if err == nil {
			u.graph, err = linkgraph.Build(file)
		}
		u.readTime = time.Since(start)
		if err != nil {
			return nil, s, &FormatError{Source: s.name, Err: err}
		}
		return u, Source{name: s.name, kind: object}, nil // an object cannot be recompiled: nothing to keep
	}
	in := codegen.Input{Name: s.name, Data: s.data, Ref: s.ref}
	switch s.kind {
	case irText:
		in.Form = codegen.Text
	case bitcode:
		in.Form = codegen.Bitcode
	case llvmModule:
		in.Form = codegen.Foreign
	default:
		panic(fmt.Sprintf("BUG: livejit: source of kind %d", s.kind))
	}
	var err error
	if u.compiled, err = e.compiler.Compile(ctx, in); err != nil {
		return nil, s, compileError(s.name, err)
	}
	u.graph = u.compiled.Graph
	u.globals = make(map[string]*llvm.Global)
	for _, list := range [][]llvm.Global{u.compiled.Summary.Functions, u.compiled.Summary.Variables, u.compiled.Summary.Aliases, u.compiled.Summary.IFuncs} {
		for i := range list {
			u.globals[list[i].Name] = &list[i]
		}
	}
	if s.kind == llvmModule {
		s = Source{name: s.name, kind: bitcode, data: u.compiled.Kept}
	}
	return u, s, nil
}

// machines are ELF's names of the architectures that Go programs run on.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// forThisMachine refuses objects whose code could not run here.
func forThisMachine(f *elfobj.File) error {
	if own := machines[runtime.GOARCH]; f.Machine != own {
		return fmt.Errorf("%s: is for machine %s, this process is for %s", f.Name, f.Machine, own)
	}
	return nil
}

// compileError gives an error of package llvm its public form.
func compileError(source string, err error) error {
	var e *llvm.Error
	if !errors.As(err, &e) {
		return err
	}
	c := &CompileError{Source: source, Stage: e.Kind.String(), Fatal: e.Kind == llvm.KindFatal}
	for _, d := range e.Diagnostics {
		c.Diagnostics = append(c.Diagnostics, Diagnostic{File: d.File, Line: d.Line, Column: d.Column,
			Severity: d.Severity.String(), Message: d.Message, SourceLine: d.SourceLine})
	}
	return c
}

// link is the whole link, as a list of passes over all units. The engine is locked
// throughout: what names mean must not change under it.
func (l *load) link(ctx context.Context) error {
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	l.names = make(map[string]*definition)
	l.groups = make(map[string]bool)
	l.absent = &symtab.Symbol{Kind: symtab.Absent}
	l.memory = allocator{memory: e.memory, module: l.module.name}
	for _, pass := range []func(context.Context) error{
		l.define,   // every definition that is kept is in names; losers refer to winners
		l.pull,     // archive members that are needed are units too
		l.bind,     // every symbol in use has a meaning
		l.plan,     // every unit is cut into pieces
		l.allocate, // beyond this point every block and every symbol has an address
		l.fixUp,    // every edge is applied, aside
		l.write,    // memory holds the code, nothing can reach it yet
		l.publish,  // cannot fail
	} {
		if err := pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// plan cuts every unit into pieces.
func (l *load) plan(context.Context) error {
	l.shareStubs()
	for _, u := range l.units {
		link, err := jitlink.NewLink(u.graph)
		if err != nil {
			return &FormatError{Source: u.name, Err: err}
		}
		u.link = link
		err = link.Plan(jitlink.Options{
			Far:             func(id linkgraph.SymbolID) bool { return isFar(u.symbols[id]) },
			Reach:           l.engine.reach(),
			TLSDescResolver: tlsDescResolver(),
		})
		if err != nil {
			return linkErrors(err)
		}
	}
	return nil
}

// isFar says whether the address of s may lie outside of the engine's memory.
func isFar(s *symtab.Symbol) bool {
	return s != nil && s.Kind.Host() && (s.Stub == 0 || s.Addr != s.Stub)
}

// allocate gives every piece memory, every function a stub, and every symbol its address.
func (l *load) allocate(context.Context) error {
	e := l.engine
	for _, u := range l.units {
		if err := u.link.Allocate(&l.memory); err != nil {
			return err
		}
	}
	if err := l.reserveTLS(); err != nil {
		return err
	}
	for _, d := range l.order {
		s := d.symbol
		if d.lost {
			continue
		}
		s.Body = d.unit.link.BodyOf(d.id)
		switch s.Kind {
		case symtab.Func:
			if s.Alias != nil {
				s.Addr, s.Stub, s.Slot = s.Alias.Addr, s.Alias.Stub, s.Alias.Slot
				break
			}
			stub, err := e.stubs.Alloc()
			if err != nil {
				return memoryError(l.module.name, s.Name, err)
			}
			s.Addr, s.Stub, s.Slot = stub.Addr, stub.Addr, stub.Slot
		case symtab.TLS:
			s.TLS = &symtab.Place{Module: l.tls.module.ID, Offset: s.Body}
		case symtab.Number:
		default:
			s.Addr = s.Body
		}
	}
	return nil
}

// fixUp tells the units what their symbols mean and applies their edges.
func (l *load) fixUp(context.Context) error {
	var errs []error
	for _, u := range l.units {
		for id, s := range u.symbols {
			if s != nil {
				u.graph.Symbols[id].Target = target(s)
			}
		}
		u.pieces = make([]*piece, len(u.link.Pieces))
		for i := range u.link.Pieces {
			u.pieces[i] = l.engine.newPiece(l.module, &u.link.Pieces[i])
			l.pieces = append(l.pieces, u.pieces[i])
		}
		if err := u.link.FixUp(); err != nil {
			errs = append(errs, linkErrors(err))
		}
	}
	return join(errs...)
}

// target is what references to s mean to the linker.
func target(s *symtab.Symbol) linkgraph.Target {
	t := linkgraph.Target{Addr: s.Addr, Stub: s.Stub, Slot: s.Slot, SlotIsAddr: s.Kind == symtab.HostFunc, Size: s.Size}
	switch {
	case s.Kind == symtab.HostFunc && s.Addr == s.Stub: // as in an executable that is not position-independent
		t.SlotIsAddr = false
	case s.Kind == symtab.HostData:
		t.Stub = s.Body
	}
	if s.TLS != nil {
		t.TLS = linkgraph.TLSTarget{Module: s.TLS.Module, Offset: s.TLS.Offset, TPOffset: s.TLS.TPOffset, Static: s.TLS.Static}
	}
	return t
}

// write fills the memory and gives the thread-local block its image.
func (l *load) write(context.Context) error {
	if err := l.writeTLS(); err != nil {
		return err
	}
	for _, u := range l.units {
		if err := u.link.Write(); err != nil {
			return fmt.Errorf("%s: write code: %w", u.name, err)
		}
	}
	return nil
}

// linkErrors gives errors of package jitlink their public form.
func linkErrors(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, linkErrors(e))
		}
		return join(errs...)
	}
	var r *jitlink.RelocationError
	if errors.As(err, &r) {
		return &RelocationError{Object: r.Object, Section: r.Section, Offset: r.Offset, Symbol: r.Symbol, Kind: r.Kind, Distance: r.Value, Reason: r.Msg}
	}
	return err
}

// discard takes back everything a load made that did not get published, and in any case
// what only the link needed.
func (l *load) discard() {
	for _, u := range l.units {
		if u.compiled != nil {
			u.compiled.Release()
		}
	}
	if l.published {
		return
	}
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, u := range l.units {
		if u.link != nil {
			u.link.Release()
		}
	}
	for _, p := range l.pieces {
		e.pieces[p.id] = nil
		e.freeIDs = append(e.freeIDs, p.id)
	}
	for _, d := range l.order {
		if s := d.symbol; s.Stub != 0 && s.Alias == nil && !d.lost {
			e.stubs.Free(stubOf(s))
		}
	}
	for _, s := range l.hosts {
		e.dropUnused(s)
	}
	for _, p := range l.pulled {
		delete(p.archive.taken, p.member)
	}
	for _, t := range l.module.tls {
		t.Release()
	}
	if x := l.module.exit; x != nil {
		x.dso.Finalize() // nothing is registered
		x.release(e)
	}
}
