package llvm

import (
	"strings"
	"time"
)

// DebugInfo says how much of a module's debug info goes into the object.
type DebugInfo uint8

const (
	DebugFull  DebugInfo = iota // all the module has
	DebugLines                  // line tables and inlined scopes only
	DebugNone                   // none
)

// PipelineOptions of NewPipeline. The zero value compiles fast (-O0) for the host's processor.
type PipelineOptions struct {
	OptLevel  int       // 0..3; 0 selects instructions fast and runs no optimiser
	CPU       string    // LLVM's name; "" is the host's
	Features  string    // "+avx2,-sse4a"; with CPU "" an empty list means all the host has
	DebugInfo DebugInfo // default: all the module has

	// Statepoints makes calls statepoints in functions whose garbage collector is "statepoint-example" or "coreclr", after optimising. What the stack maps could
	// not show, pointers of address space 1 in stack objects or inside of structs that live over a call, is an error of kind Codegen.
	Statepoints bool

	// OneSection puts all functions in one section, as static compilers do. Such an object cannot be taken apart: it is what benchmarks compare with.
	OneSection bool
}

// Pipeline compiles modules of any context, one at a time. It is built once and
// reused: target machine, passes and output buffer. Code is position independent, small code model,
// one section for each function and datum. Functions keep the target-cpu and
// target-features the front end gave them.
type Pipeline struct {
	h     pipelineHandle
	owner owner
}

// NewPipeline builds a pipeline; Close gives it back. An unknown CPU or feature is an *Error of kind Target.
func NewPipeline(o PipelineOptions) (*Pipeline, error) {
	if o.OptLevel < 0 || o.OptLevel > 3 {
		panic("BUG: llvm: OptLevel out of range")
	}
	h, err := pipelineNew(o)
	if err != nil {
		return nil, err
	}
	return &Pipeline{h: h}, nil
}

// Close frees the pipeline. Closing twice, and a poisoned pipeline, is fine.
func (p *Pipeline) Close() {
	p.owner.enter("Pipeline")
	defer p.owner.leave()
	if p.h != nil {
		pipelineFree(p.h)
		p.h = nil
	}
}

// Emit optimises m (level 1 and above) and compiles it to an ELF object. m is
// spent afterwards, whatever the result: it can only be closed. Errors are
// *Error: Codegen for what LLVM refuses (invalid inline assembly), Fatal if it
// gave up, which poisons p and m's context; Poisoned after that.
func (p *Pipeline) Emit(m *Module) (*Object, error) {
	if p.h == nil {
		panic("BUG: llvm: use of a closed Pipeline")
	}
	m.enter()
	defer m.ctx.owner.leave()
	p.owner.enter("Pipeline")
	defer p.owner.leave()
	m.spent = true
	return pipelineEmit(p.h, m.h, m.name)
}

// Object is an ELF relocatable in C++ memory. It belongs to nobody: contexts and
// pipelines may be closed before it.
type Object struct {
	h    objectHandle
	data []byte

	Optimize, Codegen time.Duration // time spent
	Warnings          []Diagnostic
}

// Bytes is the object's content, valid until Release and not to be changed.
func (o *Object) Bytes() []byte { return o.data }

// Release gives the memory back; twice is fine. Not safe together with other uses of o.
func (o *Object) Release() {
	if o.h != nil {
		objectFree(o.h)
		o.h, o.data = nil, nil
	}
}

// Host describes the target code is made for by default.
type Host struct{ Triple, CPU, Features string }

// HostTarget returns the host's triple, processor and processor features in LLVM's terms.
func HostTarget() Host {
	s, err := hostTarget()
	if err != nil {
		panic("BUG: llvm: host target: " + err.Error())
	}
	f := strings.SplitN(s, "\x00", 3)
	return Host{Triple: f[0], CPU: f[1], Features: f[2]}
}
