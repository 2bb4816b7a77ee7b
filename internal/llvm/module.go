package llvm

import (
	"fmt"
	"iter"
	"strings"
	"unsafe"
)

// Module is an IR module in a Context, used under the context's rules. Close
// gives it back; a module that Emit has compiled is spent and can only be closed.
type Module struct {
	ctx   *Context
	h     moduleHandle
	name  string
	spent bool

	// Warnings LLVM had while it read the module.
	Warnings []Diagnostic
	// Functions names the functions with bodies of their own in a module made by
	// Cut, CutSet or Split; nil otherwise.
	Functions []string
}

// Name is the name the module was read under.
func (m *Module) Name() string { return m.name }

// Context is the module's context.
func (m *Module) Context() *Context { return m.ctx }

// Ref is the module as an LLVMModuleRef, for other bindings of the same libLLVM.
// It stays m's: valid until Close, and used under the rules of m's context.
func (m *Module) Ref() unsafe.Pointer {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleRef(m.h)
}

// Close frees the module. Closing twice is fine.
func (m *Module) Close() {
	m.ctx.owner.enter("Context")
	defer m.ctx.owner.leave()
	m.close()
}

func (m *Module) close() {
	if m.h == nil {
		return
	}
	moduleFree(m.h)
	m.h = nil
	m.ctx.modules--
}

func (m *Module) enter() {
	if m.h == nil {
		panic("BUG: llvm: use of a closed Module " + m.name)
	}
	if m.spent {
		panic("BUG: llvm: use of Module " + m.name + " after Emit")
	}
	m.ctx.enter()
}

// Verify runs LLVM's verifier. Modules that the package returned are valid; it is
// for those that were changed through another binding, and for tests.
func (m *Module) Verify() error {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleVerify(m.h, m.name)
}

// Bitcode serialises the module.
func (m *Module) Bitcode() ([]byte, error) {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleBitcode(m.h, m.name)
}

// Text prints the module as IR text; "" if the context is poisoned.
func (m *Module) Text() string {
	m.enter()
	defer m.ctx.owner.leave()
	s, err := moduleText(m.h, m.name)
	if err != nil {
		return ""
	}
	return s
}

// TargetTriple is the module's target triple; "" if the context is poisoned.
func (m *Module) TargetTriple() string {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleTriple(m.h)
}

// LastType is the name of the declaration that ShowLast makes: its result has the type of the value that is shown.
const LastType = "livejit.last"

// ShowLast has a function, which must be void, end with a call of the function show, void (ptr), with the address of the
// value that the instruction before its last return has. It returns the value's type as IR writes it, "" if there is no
// value, and nothing is changed then. An integer whose width is no power of two, or less than 8 bits, is extended by its
// sign to the next. It is for prompts.
func (m *Module) ShowLast(function, show string) (string, error) {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleShowLast(m.h, m.name, function, show)
}

// KeptValue is a value that KeepValues has a function store: its name (without %), the variable that holds it, and its type
// as IR writes it.
type KeptValue struct{ Name, Symbol, Type string }

// KeepValues has a function, which must be void, store those of its values that have names in new variables of the module, before its
// last return. Left out are values that it may not have come by, and pointers to its own frame. The variables are called
// like the values, with the % and the suffix. It is for prompts.
func (m *Module) KeepValues(function, suffix string) ([]KeptValue, error) {
	m.enter()
	defer m.ctx.owner.leave()
	text, err := moduleKeepValues(m.h, m.name, function, suffix)
	if err != nil {
		return nil, err
	}
	var list []KeptValue
	for fields := splitNames(text); len(fields) >= 3; fields = fields[3:] {
		list = append(list, KeptValue{fields[0], fields[1], fields[2]})
	}
	return list, nil
}

// Prepare makes every function replaceable and returns what the engine must know.
//
//   - A missing triple or data layout becomes the host's; another architecture,
//     object format or data layout is an error (KindTarget) naming both.
//   - A function with a body becomes weak, of default visibility and preemptible:
//     no pass inlines it, or infers anything from its body for its callers, at any
//     level. Attributes that an optimiser may have inferred from the body (memory
//     effects, nounwind, captures and so on) are dropped for the same reason.
//     Calls of functions, library calls included, go through the GOT; frame
//     pointers and asynchronous unwind tables are on. Local functions likewise.
//   - always_inline functions stay inline. One that is visible outside, or whose
//     address is taken, also gets a replaceable body under its name.
//   - available_externally bodies are dropped (unless always_inline).
//   - Local variables become external; constants that are private and
//     unnamed_addr, and local tables of label addresses, stay with their users.
//     Strong definitions are dso_local (reached directly); everything
//     else, also weak definitions and all thread-local variables, is reached
//     through the GOT or __tls_get_addr (general dynamic).
//   - Aliases become weak like functions.
//
// Prepare of a prepared module changes nothing, but then Summary gives the
// linkages as they are now.
func (m *Module) Prepare(o PrepareOptions) (*Summary, error) {
	m.enter()
	defer m.ctx.owner.leave()
	b, err := modulePrepare(m.h, m.name, o.StaticSuffix)
	if err != nil {
		return nil, err
	}
	return decodeSummary(b), nil
}

// Cut is CutSet of one function.
func (m *Module) Cut(function string) (*Module, error) { return m.CutSet([]string{function}, nil) }

// CutSet copies functions and variables into a new module of the same context, in time proportional to what is
// taken. Everything else they name is declared there, except what belongs to its users and is copied
// too: private constants, always_inline helpers, tables of label addresses. Functions tied by label addresses
// (a table of labels of several functions) come whole: Module.Functions names all, the asked ones first.
//
// What is taken can be linked against a program that has it already: it loses its COMDAT, local functions and
// variables become external, linkonce becomes weak; else linkage and visibility stay. Constructor lists,
// llvm.used and module assembly do not come along. Debug info of functions is kept, without the compile unit's lists.
//
// m may be prepared or not; the first cut of a module looks through it once. A name without a definition in m is an
// error of kind NotFound; what cannot be cut out is one of kind Unsupported.
func (m *Module) CutSet(functions, variables []string) (*Module, error) {
	m.enter()
	defer m.ctx.owner.leave()
	h, names, err := moduleCut(m.h, m.name, functions, variables)
	if err != nil {
		return nil, err
	}
	cut := m.ctx.adoptHandle(h, m.name)
	cut.Functions = splitNames(names)
	return cut, nil
}

// KeepShare drops from a prepared module all functions that belong to other shares than the given one, in place. Modules
// read from the same input agree on who has what, so that each function is in exactly one share, of about the same
// number of instructions. Share 0 has everything else: variables, aliases, constructor lists, and functions that are
// tied by label addresses, COMDATs or aliases. What is dropped is declared, as in a module that CutSet makes. A module with module-level
// assembly or ifuncs cannot be shared: what refers to what is not known there.
func (m *Module) KeepShare(share, shares int) error {
	if share < 0 || share >= shares {
		panic(fmt.Sprintf("BUG: llvm: share %d of %d", share, shares))
	}
	m.enter()
	defer m.ctx.owner.leave()
	return moduleShare(m.h, m.name, share, shares)
}

// DebugIR replaces the module's debug info by one that says that its source is its own text, which it returns: each
// instruction lies at its line of the text, each argument and result is a variable. The text, which has no debug info, is
// to be found as directory/file. optimized says whether an optimiser will work on the module. Declarations and data stay without.
func (m *Module) DebugIR(directory, file string, optimized bool) (string, error) {
	m.enter()
	defer m.ctx.owner.leave()
	return moduleDebugIR(m.h, m.name, directory, file, optimized)
}

// SplitOptions of Module.Split.
type SplitOptions struct {
	// Identifier goes into the new names of statics (as a hash) and must differ
	// between modules that will be linked together; "" takes a hash of the module's content.
	Identifier string
}

// Part is one piece of a split module.
type Part struct {
	Name      string   // name of its (first) function; "data" for the data part
	Functions []string // functions it defines; empty for the data part
	Module    *Module  // valid until the loop body ends
}

// Split takes the module apart: one part for each function, then one with all
// variables, constructor lists, module assembly and aliases of variables. Linking all parts
// again gives the same program: statics get unique names and hidden visibility,
// linkonce becomes weak, comdats stay. What cannot be taken apart stays in one
// part: functions tied by label addresses, members of one comdat, an ifunc with
// its resolver, an alias with its function. m's statics are renamed by it.
func (m *Module) Split(o SplitOptions) iter.Seq2[*Part, error] {
	return func(yield func(*Part, error) bool) {
		s, err := m.beginSplit(o)
		if err != nil {
			yield(nil, err)
			return
		}
		defer m.endSplit(s)
		for {
			p, err := m.nextPart(s)
			if err != nil {
				yield(nil, err)
				return
			}
			if p == nil {
				return
			}
			more := func() bool {
				defer p.Module.Close()
				return yield(p, nil)
			}()
			if !more {
				return
			}
		}
	}
}

func (m *Module) beginSplit(o SplitOptions) (splitHandle, error) {
	m.enter()
	defer m.ctx.owner.leave()
	return splitBegin(m.h, m.name, o.Identifier)
}

func (m *Module) endSplit(s splitHandle) {
	m.ctx.owner.enter("Context")
	defer m.ctx.owner.leave()
	splitFree(s)
}

func (m *Module) nextPart(s splitHandle) (*Part, error) {
	m.enter()
	defer m.ctx.owner.leave()
	h, names, err := splitNext(s, m.name)
	if h == nil || err != nil {
		return nil, err
	}
	p := &Part{Name: "data", Functions: splitNames(names), Module: m.ctx.adoptHandle(h, m.name)}
	if len(p.Functions) > 0 {
		p.Name = p.Functions[0]
	}
	p.Module.Functions = p.Functions
	return p, nil
}

// joinNames makes the shim's form of a list: a NUL after each name.
func joinNames(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, "\x00") + "\x00"
}

// splitNames undoes the NUL-separated lists of the shim.
func splitNames(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}
