package livejit

import "fmt"

// config is what the options of New set.
type config struct {
	optLevel   int
	cpu        string
	memory     MemoryManager
	arenaSize  uint64
	libraries  []string
	searchDirs []string
	args       []string

	lazy          bool
	keepConstants bool
	debug         bool
	irDebug       bool // with debug
	perfMap       bool
	jitDump       bool
	jitDumpDir    string
	stress        bool
	exitError     bool
	statepoints   bool
	history       int // versions kept of each function
}

// Option sets up an engine; see New.
type Option func(*config) error

// WithOptLevel sets how hard LLVM optimises each function: 0 (the default; quickest to
// compile) to 3. No call between functions is inlined at any level, so that each can be
// replaced.
func WithOptLevel(level int) Option {
	return func(c *config) error {
		if level < 0 || level > 3 {
			return fmt.Errorf("livejit: optimisation level %d is not between 0 and 3", level)
		}
		c.optLevel = level
		return nil
	}
}

// WithLazy makes Add read and check IR without compiling its functions: each is compiled at its
// first call, from whatever thread, native code or Go. Variables are laid out at once, since
// constructors and other modules use them. A function that cannot be compiled or linked then, because it
// refers to something undefined for example, ends the call that came to it with the
// error. Objects, and modules with module-level assembly, indirect functions,
// __start_ and __stop_ symbols or constructors that are defined elsewhere, are loaded whole.
func WithLazy() Option {
	return func(c *config) error { c.lazy = true; return nil }
}

// WithKeptConstants keeps the constants of old versions of a function (string literals,
// tables) until its module is closed. Without it they go with the version: when no thread
// has its address on its stack or in a register, and no Pin holds it. Pointers to them in
// variables or in memory from malloc are not looked for; a program that stores the address of a
// string literal there and replaces the function needs this option.
func WithKeptConstants() Option {
	return func(c *config) error { c.keepConstants = true; return nil }
}

// WithStatepoints makes precise garbage collection possible: in IR functions with gc "statepoint-example" (or "coreclr") every call becomes a statepoint,
// at which the stack map says where the function's pointers into the collected heap are; see Engine.WalkStack. Such
// pointers are those of address space 1. Calls of functions with the attribute "gc-leaf-function", or that have it at the call, and of intrinsics and
// inline assembly stay as they are: no collection may happen in them. LLVM's pass RewriteStatepointsForGC does it after optimising, so IR
// that Function.IR shows is without.
//
// Pointers of address space 1 in stack objects that are more than variables, and in struct values that live over a call, are refused with a
// CompileError. Integers made of pointers are not followed.
func WithStatepoints() Option {
	return func(c *config) error { c.statepoints = true; return nil }
}

// WithExitError makes exit, called by code of the engine during a native call, end the call with an *ExitError and not the
// process. Exit handlers do not run, nothing is flushed. Without it exit ends the process, as in C.
func WithExitError() Option {
	return func(c *config) error { c.exitError = true; return nil }
}

// WithDebug keeps the debug information (DWARF) of what is loaded, so that Symbolize and the backtraces of
// errors give source lines. The sources must have some: -g in the flags of package clang or of
// whoever made the IR or the object. It costs memory in the size of the .debug_ sections, for each
// object until the last of its functions is freed. A replacement compiles functions again whose lines have moved. An object whose debug
// information cannot be linked is refused.
//
// A debugger that knows the GDB JIT interface sees the functions, each with its sources, until they
// are freed: breakpoints by name and by line, pending ones too. A name means the current version; old versions
// are shown as "f@1". One that is attached hears of a transaction before it returns, one that comes later of
// all up to about 100 ms before. The engine uses signals: "handle SIGURG SIG61 SIG62 SIG63 nostop
// noprint pass". To make breakpoints possible the default memory manager writes code through /proc/self/mem, a
// system call each; with a memory manager of one's own (WithMemoryManager) code must be in private memory.
func WithDebug() Option {
	return func(c *config) error { c.debug = true; return nil }
}

// WithIRDebug is WithDebug at the level of IR: the source of what is compiled from IR, or from C and C++, is its own IR
// text, whatever debug information it came with. Symbolize and the backtraces of errors name the IR instruction
// (Location.IR) with its line, Disassemble shows it, and gdb lists the text, breaks at its lines and steps through it. Arguments and
// results are variables there: %x is called x, %3 is '%3', and the name of an alloca means what lies there;
// structures have the fields f0, f1 and so on. Objects and archives keep the debug information they have.
//
// The text is what the optimiser is given: the whole module if it is compiled whole, and for a function that is replaced,
// or compiled at its first call, that function and what it needs, a text for each version. Its lines are not those of the .ll file that was loaded. It
// is kept in memory, and for debuggers as a file in a new directory under os.TempDir; it goes with the last code
// that was compiled from it, the directory at Close. Given both options, this one counts. Costs: SQLite as a whole takes four times
// as long to compile at level 0, with 14 MB of text and 5 MB of debug information.
func WithIRDebug() Option {
	return func(c *config) error { c.debug, c.irDebug = true, true; return nil }
}

// sourceLines says whether the lines of sources are known, so that moved ones matter.
func (c *config) sourceLines() bool { return c.debug && !c.irDebug }

// WithCPU sets the processor to generate code for, as LLVM names it. Default: this one,
// with all its features.
func WithCPU(name string) Option {
	return func(c *config) error { c.cpu = name; return nil }
}

// WithMemoryManager makes the engine take all memory for code and data from m, which it
// closes when it is closed. Default: NewMemoryManager(0).
func WithMemoryManager(m MemoryManager) Option {
	return func(c *config) error {
		if m == nil {
			return fmt.Errorf("livejit: nil MemoryManager")
		}
		c.memory = m
		return nil
	}
}

// WithArenaSize sets how much address space the default memory manager reserves, in
// bytes, at most 2 GiB. Default: 960 MiB. Memory is only used for what is loaded.
func WithArenaSize(bytes uint64) Option {
	return func(c *config) error {
		if bytes == 0 || bytes > 2<<30 {
			return fmt.Errorf("livejit: arena size %d is not between 1 byte and 2 GiB", bytes)
		}
		c.arenaSize = bytes
		return nil
	}
}

// WithLibrary makes the symbols of a shared library or archive visible to what is loaded,
// like a linker's -l: "m" finds libm.so or libm.a, ":libm.so.6" a file of that name, and a
// name with a slash is a path. Libraries are searched in the order of the options, after
// everything loaded and after the process itself.
func WithLibrary(name string) Option {
	return func(c *config) error { c.libraries = append(c.libraries, name); return nil }
}

// WithLibraryDir adds a directory to search for libraries, like a linker's -L.
func WithLibraryDir(dir string) Option {
	return func(c *config) error { c.searchDirs = append(c.searchDirs, dir); return nil }
}
