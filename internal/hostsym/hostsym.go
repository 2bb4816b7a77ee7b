// Package hostsym finds symbols of the process and of shared libraries, and libraries by the names that users give to a linker.
//
// Look-up order is a dynamic linker's: the process (the executable and what it was linked with, in load order) first, then libraries that were
// opened, in the order given ([LookupIn]). Names are looked up in their default version, NAME@VERSION in that one (as objects
// refer to it after .symver). Functions chosen at load time (STT_GNU_IFUNC)
// come back resolved.
//
// The executable exports its own C functions too (Go links with -rdynamic), so that code an embedder writes with cgo is found. Names that
// every executable has (main, _start, _end, ...) and cgo's own are not: code that lacks its main must not get the host's.
//
// Everything here may be used by any number of goroutines at once; there are no locks besides the dynamic linker's.
//
// References: System V gABI chapter 5, symbol tables; "ELF Handling For Thread-Local Storage"; dlsym(3), dladdr1(3); ld(1) option -l; ld.so(8).
package hostsym

import (
	"fmt"
	"strings"
)

// Kind is what a symbol stands for.
type Kind uint8

const (
	Func          Kind = iota + 1 // a function
	Data                          // a variable or constant
	TLS                           // a thread-local variable: Addr is 0, see Symbol.TLS
	IFuncResolved                 // a function that its resolver has chosen; Addr is the choice
)

func (k Kind) String() string {
	switch k {
	case Func:
		return "function"
	case Data:
		return "data"
	case TLS:
		return "thread-local"
	case IFuncResolved:
		return "resolved ifunc"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// TLSPlace is where a thread-local variable of the process lives.
type TLSPlace struct {
	Module   uint64 // the dynamic linker's module number, as __tls_get_addr takes it
	Offset   uint64 // in the module's block, in bytes
	TPOffset int64  // from the thread pointer, in bytes; valid if Static
	Static   bool   // in the static TLS block: at TPOffset in every thread, now and later
}

// Symbol is a definition in the process or a library.
type Symbol struct {
	Name string
	Addr uintptr
	Size uint64 // in bytes; 0 if the symbol table does not tell
	Kind Kind
	TLS  TLSPlace // for Kind TLS
	// ReadOnly: nothing writes to it now that it is loaded.
	ReadOnly bool
}

// Library is an open shared library. It must be closed after the last use of its symbols.
type Library struct {
	Path   string
	handle handle
}

// OpenError says why a library could not be opened; Reason is the dynamic linker's text.
type OpenError struct{ Path, Reason string }

func (e *OpenError) Error() string {
	return fmt.Sprintf("open library %s: %s", e.Path, strings.TrimPrefix(e.Reason, e.Path+": "))
}

// LookupIn looks name up in the process first, then in libs in order: the order in which a dynamic linker would have searched had libs been linked in.
func LookupIn(name string, libs []*Library) (Symbol, bool) {
	if s, ok := Lookup(name); ok {
		return s, true
	}
	for _, l := range libs {
		if s, ok := l.Lookup(name); ok {
			return s, true
		}
	}
	return Symbol{}, false
}

// executableNames are defined by the linker or the start files in every executable.
var executableNames = map[string]bool{
	"main": true, "_start": true, "_init": true, "_fini": true, "_edata": true, "_end": true, "edata": true, "end": true, "etext": true, "_etext": true,
	"__bss_start": true, "__data_start": true, "data_start": true, "_IO_stdin_used": true, "__dso_handle": true, "__TMC_END__": true,
	"_GLOBAL_OFFSET_TABLE_": true, "_DYNAMIC": true, "__ehdr_start": true, "__executable_start": true,
	"crosscall2": true, "ljGuardDispatch": true,
}

// hidden tells whether name, defined in the executable, is the host's own business.
func hidden(name string) bool {
	if executableNames[name] {
		return true
	}
	for _, prefix := range []string{"_cgo_", "x_cgo_", "_cgoexp_", "_rt0_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
