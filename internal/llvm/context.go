package llvm

import (
	"sync/atomic"
	"unsafe"
)

// Stats counts what the package holds in the whole process.
type Stats struct {
	Contexts, Modules, Pipelines, Objects          int64 // alive: made and not closed, leaked ones not counted
	Fatals                                         int64 // fatal errors of LLVM that were survived
	LeakedContexts, LeakedModules, LeakedPipelines int64 // left alone for ever because of them
}

// ReadStats returns the counters of the process.
func ReadStats() Stats { return readStats() }

// owner catches the use of a context or pipeline by two goroutines at once.
type owner struct{ busy atomic.Bool }

func (o *owner) enter(what string) {
	if !o.busy.CompareAndSwap(false, true) {
		panic("BUG: llvm: concurrent use of a " + what)
	}
}

func (o *owner) leave() { o.busy.Store(false) }

// Context is one LLVMContext. Contexts only grow (types and constants are
// interned for ever), so a long-lived user replaces its context now and then.
// One goroutine at a time may use a Context with all its modules, on any thread.
type Context struct {
	h       contextHandle
	owner   owner
	modules int // open modules
}

// NewContext makes an empty context. Close gives it back.
func NewContext() *Context {
	h, err := contextNew()
	if err != nil {
		panic("BUG: llvm: new context: " + err.Error())
	}
	return &Context{h: h}
}

// Close frees the context; all its modules must be closed. Closing twice, and a
// poisoned context, is fine.
func (c *Context) Close() {
	c.owner.enter("Context")
	defer c.owner.leave()
	if c.h == nil {
		return
	}
	if c.modules != 0 {
		panic("BUG: llvm: Context closed before its modules")
	}
	contextFree(c.h)
	c.h = nil
}

func (c *Context) enter() {
	if c.h == nil {
		panic("BUG: llvm: use of a closed Context")
	}
	c.owner.enter("Context")
}

// adoptHandle wraps a module the C++ side made in c.
func (c *Context) adoptHandle(h moduleHandle, name string) *Module {
	c.modules++
	return &Module{ctx: c, h: h, name: name}
}

// ParseIR reads IR text. name is the module's name and the file in diagnostics.
// A missing target triple or data layout is taken to be the host's. The result is
// verified. Broken debug info, or debug info of another version, is dropped with a
// warning (Module.Warnings). Errors are *Error of kind Parse or Verify with every
// message LLVM had.
func (c *Context) ParseIR(name string, text []byte) (*Module, error) {
	c.enter()
	defer c.owner.leave()
	h, d, err := parseIR(c.h, name, text)
	if err != nil {
		return nil, err
	}
	m := c.adoptHandle(h, name)
	m.Warnings = d
	return m, nil
}

// ParseBitcode reads raw or wrapped bitcode of any version that LLVM 22
// understands and upgrades it. Otherwise it is like ParseIR. The bitcode must have
// been written by a compiler: LLVM's reader finds truncation and most damage, but
// fabricated bitcode can crash it, and so the process. Text has no such limit.
func (c *Context) ParseBitcode(name string, data []byte) (*Module, error) {
	return c.parseBitcode(name, data, false)
}

// ParseOwnBitcode is ParseBitcode for what Module.Bitcode returned in this
// process: it is not verified again, which halves the time.
func (c *Context) ParseOwnBitcode(name string, data []byte) (*Module, error) {
	return c.parseBitcode(name, data, true)
}

func (c *Context) parseBitcode(name string, data []byte, trusted bool) (*Module, error) {
	c.enter()
	defer c.owner.leave()
	h, d, err := parseBitcode(c.h, name, data, trusted)
	if err != nil {
		return nil, err
	}
	m := c.adoptHandle(h, name)
	m.Warnings = d
	return m, nil
}

// Adopt copies a module of another LLVM binding of this process into c. ref is
// its LLVMModuleRef; it must come from the same libLLVM. The foreign module and
// context are only read, and nobody may change them meanwhile.
func Adopt(c *Context, ref unsafe.Pointer, name string) (*Module, error) {
	if ref == nil {
		panic("BUG: llvm: Adopt of a nil module")
	}
	c.enter()
	defer c.owner.leave()
	h, d, err := adopt(c.h, ref, name)
	if err != nil {
		return nil, err
	}
	m := c.adoptHandle(h, name)
	m.Warnings = d
	return m, nil
}

// Trim gives the memory that LLVM has freed back to the system; the C library would keep
// it. It costs milliseconds and is for after a large module.
func Trim() { trim() }
