package livejit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"livejit/internal/codegen"
	"livejit/internal/epoch"
	"livejit/internal/guard"
	"livejit/internal/hostsym"
	"livejit/internal/jitdebug"
	"livejit/internal/llvm"
	"livejit/internal/stubtable"
	"livejit/internal/symtab"
	"livejit/internal/threads"
	"livejit/internal/unwind"
	"livejit/internal/vmem"
)

// Engine holds running native code: what was loaded, its symbols and its memory. Its
// methods are safe for concurrent use, also from Go functions that native code calls.
type Engine struct {
	config    config
	memory    *countedMemory
	stubs     *stubtable.Table
	region    *unwind.Region
	compiler  *codegen.LLVM
	gate      epoch.Gate
	arguments Span // argv of the program

	mu        sync.Mutex // guards all below; see the lock order in the package comment
	closed    bool
	table     *symtab.Table
	modules   []*Module // in the order of loading
	archives  []*archiveFile
	libraries []*hostsym.Library
	defined   map[string]*hostFunction
	copies    map[*symtab.Symbol]Span // near copies of host data
	pieces    []*piece                // by identifier, the number in the headers of code; 0 is not used
	freeIDs   []uint32

	bySource   map[string]*Module        // by the names of their sources, the last that had one
	deleted    map[string]*symtab.Symbol // functions that were deleted while others could still call them
	missing    map[uint64]*symtab.Symbol // by stub: functions without machine code, pending and deleted
	compiling  map[*symtab.Symbol]*flight
	signatures map[string]*signature
	history    map[*symtab.Symbol][]Past // oldest first
	patchSites map[uint64][]*patchSite   // by ID

	reclaimer
	programs openPrograms
	events   events
	gdb      *jitdebug.Registrar // nil without WithDebug
	names    *jitdebug.Names     // nil without EnableTracebacks
	perf     perfFiles
	textDir  string // WithIRDebug: where texts are for debuggers to read
	misses   *guard.MissHandler

	dropFaults func() // gives up the handlers of signals

	open atomic.Bool // !closed, for entries
}

// New makes an engine for this machine's architecture. Without options it does not
// optimise and reserves 960 MiB of address space. Close must be called to give it back.
func New(options ...Option) (*Engine, error) {
	c := config{}
	for _, o := range options {
		if err := o(&c); err != nil {
			return nil, err
		}
	}
	e := &Engine{config: c, table: symtab.New(), defined: make(map[string]*hostFunction), copies: make(map[*symtab.Symbol]Span), pieces: make([]*piece, 1),
		bySource: make(map[string]*Module), deleted: make(map[string]*symtab.Symbol), missing: make(map[uint64]*symtab.Symbol),
		compiling: make(map[*symtab.Symbol]*flight), signatures: make(map[string]*signature), history: make(map[*symtab.Symbol][]Past),
		patchSites: make(map[uint64][]*patchSite)}
	e.stop = make(chan struct{})
	e.config.stress = e.config.stress || os.Getenv("LIVEJIT_STRESS") == "1"
	if err := e.start(); err != nil {
		return nil, errors.Join(err, e.giveBack())
	}
	e.open.Store(true)
	if err := e.opened(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// start acquires what the engine owns. giveBack undoes it, also when it failed half-way.
func (e *Engine) start() (err error) {
	m := e.config.memory
	if m == nil {
		mode := vmem.Auto
		if e.config.debug {
			mode = vmem.ProcMem // where debuggers can put breakpoints
		}
		if m, err = newArena(e.config.arenaSize, e.config.stress, mode); err != nil {
			return fmt.Errorf("livejit: reserve memory: %w", err)
		}
	}
	e.memory = &countedMemory{MemoryManager: m}
	if e.config.debug {
		e.gdb = jitdebug.NewRegistrar()
	}
	if err := e.openPerf(); err != nil {
		return err
	}
	lo, hi := m.Range()
	if hi <= lo || hi-lo > 2<<30 || lo%unwind.Granule != 0 || hi%unwind.Granule != 0 {
		return fmt.Errorf("livejit: memory manager's range %#x-%#x is not 16-aligned and between 1 byte and 2 GiB", lo, hi)
	}
	if e.region, err = unwind.NewRegion(lo, hi); err != nil {
		return fmt.Errorf("livejit: unwind region: %w", err)
	}
	if e.stubs, err = stubtable.New(stubMemory{e.memory}, uint64(guard.MissEntry())); err != nil {
		return fmt.Errorf("livejit: stub table: %w", err)
	}
	e.misses = guard.HandleMisses(lo, hi, e.miss)
	e.dropFaults = guard.KeepFaults(llvm.CrashHandler())
	if err := e.makeTextDir(); err != nil {
		return err
	}
	if e.compiler, err = codegen.NewLLVM(codegen.Options{OptLevel: e.config.optLevel, CPU: e.config.cpu, TextDir: e.textDir, Statepoints: e.config.statepoints}); err != nil {
		return err
	}
	if err := e.placeArguments(); err != nil {
		return err
	}
	for _, name := range e.config.libraries {
		if err := e.addLibrary(name); err != nil {
			return err
		}
	}
	return nil
}

// addLibrary opens what WithLibrary names.
func (e *Engine) addLibrary(name string) error {
	path, isArchive, err := hostsym.FindLibrary(name, e.config.searchDirs)
	if err != nil {
		return err
	}
	if isArchive {
		src, err := File(path).load(context.Background())
		if err != nil {
			return err
		}
		a, err := readArchive(src)
		if err != nil {
			return err
		}
		e.archives = append(e.archives, a)
		return nil
	}
	lib, err := hostsym.Open(path)
	if err != nil {
		return err
	}
	e.libraries = append(e.libraries, lib)
	return nil
}

// Add loads sources as one module: it compiles, links and publishes them and runs their
// constructors. Names are resolved as a linker does, first among the sources themselves,
// then in what is loaded and defined already, in archives, in the engine's libraries and in
// the process. Functions of the sources are placed one by one, each behind a stub.
//
// It is all or nothing: after an error (*CompileError, *FormatError, *UndefinedError,
// *DuplicateError, *RelocationError, *MemoryError, joined where there are several) the
// engine is as it was. Compiling happens before the engine is locked.
func (e *Engine) Add(ctx context.Context, sources ...Source) (*Module, error) {
	if len(sources) == 0 {
		return nil, errors.New("livejit: Add without a source")
	}
	u := &Update{silent: true}
	u.Add(sources...)
	r, err := e.update(ctx, u)
	if err != nil {
		return nil, err
	}
	return r.Modules[0], nil
}

// Function returns the function called name, or nil. Functions that are local to a module
// are found with Module.Function.
func (e *Engine) Function(name string) *Function {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.table.Lookup(name)
	if s == nil || !callable(s) {
		return nil
	}
	return &Function{engine: e, symbol: s}
}

// whyNotFound says why Function returned nil.
func (e *Engine) whyNotFound(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if s := e.table.Lookup(name); s != nil {
		return fmt.Errorf("%s is not a loaded function: %w", name, ErrNotFound)
	}
	return fmt.Errorf("no function of that name is loaded: %w", ErrNotFound)
}

// Modules returns what is loaded, in the order of loading.
func (e *Engine) Modules() []*Module {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*Module(nil), e.modules...)
}

// Close runs the destructors and exit handlers of everything loaded, the last loaded first,
// and gives back everything: code, data, names, unwind tables, libraries, callbacks. It
// refuses with an *InUseError while calls are inside native code; threads that native code
// started must not be in its code any more. Afterwards every method returns ErrClosed, and so does every
// bound function. Closing again does nothing.
func (e *Engine) Close() error {
	err := e.close()
	if !e.open.Load() {
		openEngines.Lock()
		delete(openEngines.set, e)
		openEngines.Unlock()
		e.done.Wait() // for the sweeper, which sees that the engine is closed
	}
	return err
}

// Closed says whether the engine was closed. What the engine holds may be closed right after.
func (e *Engine) Closed() bool { return !e.open.Load() }

func (e *Engine) close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	if n := e.insideLocked(); n != 0 {
		e.mu.Unlock()
		return &InUseError{Name: "engine", Running: n}
	}
	var errs []error
	for m := e.lastStanding(); m != nil; m = e.lastStanding() {
		e.mu.Unlock()
		errs = append(errs, m.destruct()) // native code runs: not under the lock
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	if e.closed {
		return errors.Join(errs...)
	}
	inside := e.insideLocked()
	if inside == 0 {
		inside = e.gate.Exclusive(func() {
			e.closed = true
			e.open.Store(false)
			close(e.stop)
			errs = append(errs, e.giveBack())
			e.events.close()
		})
	}
	if inside != 0 {
		errs = append(errs, &InUseError{Name: "engine", Running: inside})
	}
	return errors.Join(errs...)
}

// insideLocked returns how many calls are inside native code, and threads of native code's
// own in code of this engine.
func (e *Engine) insideLocked() int {
	n := e.gate.Inside()
	if n > 0 || threads.Native() == 0 {
		return n
	}
	lo, hi := e.memory.Range()
	holders, err := threads.Scan([]threads.Range{{Lo: lo, Hi: hi}}, scanLimit)
	if err != nil || holders[0].Thread != 0 {
		return 1
	}
	return 0
}

// lastStanding returns the module loaded last of those whose destructors have not run, nil
// if there is none.
func (e *Engine) lastStanding() *Module {
	for _, m := range slices.Backward(e.modules) {
		if !m.destructed {
			return m
		}
	}
	return nil
}

// giveBack frees everything the engine owns. No native code is running.
func (e *Engine) giveBack() error {
	var errs []error
	if e.gdb != nil {
		e.gdb.Close() // everything at once
	}
	for i := len(e.modules) - 1; i >= 0; i-- {
		e.modules[i].retire()
	}
	e.modules = nil
	e.releaseAll()
	for name, h := range e.defined {
		delete(e.defined, name)
		e.dropUnused(h.symbol)
		errs = append(errs, h.release(e.memory))
	}
	e.releaseAll()
	e.programs.closeAll()
	errs = append(errs, e.closePerf(), e.removeTextDir())
	if e.names != nil {
		e.names.Close()
		e.names = nil
	}
	if e.misses != nil {
		e.misses.Release()
	}
	if e.dropFaults != nil {
		e.dropFaults()
	}
	for _, lib := range e.libraries {
		errs = append(errs, lib.Close())
	}
	e.libraries, e.archives = nil, nil
	if e.compiler != nil {
		e.compiler.Close()
	}
	if e.stubs != nil {
		errs = append(errs, e.stubs.Close())
	}
	if e.region != nil {
		errs = append(errs, e.region.Close())
	}
	if e.arguments.Size != 0 {
		errs = append(errs, e.memory.Free(e.arguments))
	}
	if e.memory != nil {
		errs = append(errs, e.memory.Close())
	}
	return errors.Join(append(errs, e.failed)...)
}

// reach is the size of the range that holds all memory.
func (e *Engine) reach() uint64 {
	lo, hi := e.memory.Range()
	return hi - lo
}
