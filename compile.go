package livejit

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"runtime"
	"time"

	"livejit/internal/codegen"
	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
)

// readPart reads the source of a part: IR is parsed and prepared, an object becomes a graph, an
// archive is indexed.
func (e *Engine) readPart(ctx context.Context, p *part) error {
	s, err := p.source.load(ctx)
	if err != nil {
		return err
	}
	p.source = s
	switch s.kind {
	case archive:
		if p.replaces() {
			return &FormatError{Source: s.name, Err: fmt.Errorf("%s: an archive cannot replace anything", s.name)}
		}
		p.archive, err = readArchive(s)
		return err
	case object:
		start := time.Now()
		if p.object, err = readObject(s); err != nil {
			return err
		}
		p.readTime = time.Since(start)
		p.defines = definitionsOf(p.object)
		return nil
	}
	p.program, err = e.openProgram(ctx, s, !p.replaces() && !e.config.lazy)
	if err != nil {
		return err
	}
	if s.kind == llvmModule {
		p.source = Source{name: s.name, kind: bitcode, data: p.program.Kept}
	}
	p.origin = newOrigin(e, p.source, p.program.Summary)
	p.globals = p.origin.globals
	return nil
}

// openProgram parses and prepares IR, of which everything is compiled next if whole.
func (e *Engine) openProgram(ctx context.Context, s Source, whole bool) (*codegen.Program, error) {
	in := codegen.Input{Name: s.name, Data: s.data, Ref: s.ref, Whole: whole}
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
	p, err := e.compiler.Open(ctx, in)
	return p, compileError(s.name, err)
}

// readObject makes a graph of an object of this machine.
func readObject(s Source) (*linkgraph.Graph, error) {
	file, err := elfobj.Read(s.name, s.data)
	if err == nil {
		err = forThisMachine(file)
	}
	var g *linkgraph.Graph
	if err == nil {
		g, err = linkgraph.Build(file)
	}
	if err != nil {
		return nil, &FormatError{Source: s.name, Err: err}
	}
	return g, nil
}

// makeUnit compiles what was judged to need it of a part.
func (t *transaction) makeUnit(ctx context.Context, p *part) (err error) {
	e := t.engine
	p.release()
	if p.spent {
		p.program.Close()
		if p.program, err = e.openProgram(ctx, p.source, !p.replaces()); err != nil {
			return err
		}
		p.spent = false
	}
	u := &unit{name: p.source.name, part: p, module: p.module, origin: p.origin, globals: p.globals, readTime: p.readTime}
	switch {
	case p.program == nil:
		if p.object == nil { // an attempt to link has used it up
			if p.object, err = readObject(p.source); err != nil {
				return err
			}
		}
		u.graph, p.object = p.object, nil
	case p.lazy(e):
		p.covers = make(map[string]bool)
		if variables := p.definedVariables(); len(variables) > 0 {
			u.compiled, err = p.program.CompilePart(ctx, nil, variables)
		} else {
			u.graph = emptyGraph(u.name)
		}
	case !p.replaces():
		p.covers, p.spent = nil, true
		u.compiled, err = p.program.Compile(ctx)
	default:
		functions, variables := p.wanted()
		if s := p.program.Summary; p.first == nil && !t.quiescent && !s.ModuleAsm && len(functions)+len(variables) == p.definitions() {
			p.covers, p.spent = nil, true // cheaper than to cut everything out
			u.compiled, err = p.program.Compile(ctx)
			break
		}
		p.covers = make(map[string]bool, len(functions)+len(variables))
		for _, list := range [...][]string{functions, variables} {
			for _, name := range list {
				p.covers[name] = true
			}
		}
		if len(functions)+len(variables) == 0 {
			u.graph = emptyGraph(u.name)
			break
		}
		u.compiled, err = p.program.CompilePart(ctx, functions, variables)
	}
	if err != nil {
		return compileError(p.source.name, err)
	}
	p.unit = u
	if u.compiled != nil {
		u.graph = u.compiled.Graph
		for _, c := range u.compiled.Rest {
			p.rest = append(p.rest, &unit{name: u.name, part: p, module: p.module, origin: p.origin, globals: p.globals, compiled: c, graph: c.Graph})
		}
		u.compiled.Rest = nil
	}
	return p.writeTexts(e)
}

// emptyGraph is the graph of nothing.
func emptyGraph(name string) *linkgraph.Graph {
	return &linkgraph.Graph{Name: name, Machine: machines[runtime.GOARCH], GOT: linkgraph.None}
}

// wanted lists what was judged to need compiling, in the order of the source.
func (p *part) wanted() (functions, variables []string) {
	if p.first != nil {
		return []string{p.first.Name}, nil
	}
	s := p.program.Summary
	for i := range s.Functions {
		if name := s.Functions[i].Name; p.judged[name].compiles() {
			functions = append(functions, name)
		}
	}
	for i := range s.Variables {
		if name := s.Variables[i].Name; p.judged[name].compiles() {
			variables = append(variables, name)
		}
	}
	return functions, variables
}

// definitions counts the functions and variables that the source defines.
func (p *part) definitions() int {
	n := 0
	for _, list := range [...][]llvm.Global{p.program.Summary.Functions, p.program.Summary.Variables} {
		for i := range list {
			if list[i].Defined {
				n++
			}
		}
	}
	return n
}

// definedVariables lists the variables that the source defines.
func (p *part) definedVariables() []string {
	var names []string
	for i := range p.program.Summary.Variables {
		if v := &p.program.Summary.Variables[i]; v.Defined {
			names = append(names, v.Name)
		}
	}
	return names
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
