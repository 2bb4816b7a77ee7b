// Package codegen turns modules into link graphs: it owns the compilers, with their pipelines and contexts.
//
// A module is opened as a [Program]: parsed, made replaceable and summarised. From it everything is compiled at once
// ([Program.Compile]), or chosen functions and variables, any number of times ([Program.CompilePart]).
// [LLVM.Compile] is opening, compiling everything and closing in one step.
//
// A pipeline (target machine, passes, output buffer) is built once and reused, which halves to quarters the cost of
// compiling one function; it is taken from the pool only while a program emits. An LLVM context belongs to one open
// program at a time and returns to the pool when that is closed. Contexts only grow, since types and constants are
// interned for ever, and so do a pipeline's tables: after budget bytes of source each is replaced. What a fatal
// error of LLVM touched is thrown away at once.
//
// # Locks
//
// Each Program has a lock of its own, held while LLVM works on it; while waiting for it a caller can give up by its
// context. Inside of it a place is waited for (at most Options.Workers calls of LLVM run at a time). LLVM.mu is a leaf.
package codegen

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"livejit/internal/elfobj"
	"livejit/internal/linkgraph"
	"livejit/internal/llvm"
)

// Form says how a module is given.
type Form uint8

const (
	Text    Form = iota // LLVM assembly
	Bitcode             // LLVM bitcode
	Foreign             // an LLVMModuleRef of another binding
	Own                 // bitcode that this process wrote (Program.Kept, Program.Bitcode): it is not verified again
)

// Input is one module to compile. The program made of it refers to Data, which must not be changed while it is open.
type Input struct {
	Name string
	Form Form
	Data []byte
	Ref  unsafe.Pointer // Foreign only; used only while the module is opened
	Keep bool           // fill Kept, whatever the form
	// Whole says that everything will be compiled: idle workers then read a large module as well, and each compiles a share.
	Whole bool
}

// Times says where the time of a compile went.
type Times struct {
	Parse, Prepare, Optimize, Codegen, Read, Graph time.Duration
}

// Compiled is a module, or a part of one, as a link graph with what its IR says about its symbols.
type Compiled struct {
	Graph *linkgraph.Graph
	// Summary of the whole module. nil for a part, of which the program's Summary tells.
	Summary *llvm.Summary
	// Times: parsing and preparing are in those of a whole module only; cutting a part out counts as Prepare.
	Times Times
	// Kept is the program's.
	Kept []byte
	// Functions names the functions with bodies in a part: those asked for, then those that label addresses tie to
	// them. nil for a whole module.
	Functions []string
	// Rest has the other shares of a whole module that several workers have compiled, with Graph and Times set. This one
	// has the data and the constructor lists.
	Rest []*Compiled
	// Text is the source that the debug information names; nil without Options.TextDir.
	Text *IRText

	object *llvm.Object
}

// Release gives back the object that the graph's blocks alias, and those of Rest.
func (c *Compiled) Release() {
	for _, r := range c.Rest {
		r.Release()
	}
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

// Compiler is anything that makes link graphs of modules. Safe for concurrent use.
type Compiler interface {
	// Open reads a module of which parts or everything will be compiled. Errors of the input are *llvm.Error.
	Open(ctx context.Context, in Input) (*Program, error)
	// Compile compiles all of one module. Errors of the input are *llvm.Error.
	Compile(ctx context.Context, in Input) (*Compiled, error)
	// Close gives back what is not in use. Open programs stay usable until they are closed.
	Close()
}

// Options of NewLLVM.
type Options struct {
	OptLevel int
	CPU      string
	Workers  int // calls of LLVM at the same time; 0: one for each processor

	// TextDir makes the IR text of all that is compiled its source: debug information that the module has gives way to one whose
	// lines are those of Compiled.Text, in files of this directory. "": what debug information the module has stays.
	TextDir string

	Statepoints bool // as in llvm.PipelineOptions
}

// build makes the graph of the object.
func (c *Compiled) build(name string) error {
	start := time.Now()
	file, err := elfobj.Read(name, c.object.Bytes())
	if err != nil {
		return fmt.Errorf("LLVM's object: %w", err)
	}
	c.Times.Read = time.Since(start)
	start = time.Now()
	if c.Graph, err = linkgraph.Build(file); err != nil {
		return fmt.Errorf("LLVM's object: %w", err)
	}
	c.Times.Graph = time.Since(start)
	return nil
}
