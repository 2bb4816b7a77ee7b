package livejit

import "fmt"

// config is what the options of New set.
type config struct {
	optLevel    int
	cpu         string
	memory      MemoryManager
	arenaSize   uint64
	libraries   []string
	libraryDirs []string
	args        []string
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
	return func(c *config) error { c.libraryDirs = append(c.libraryDirs, dir); return nil }
}
