package hostsym

/*
#cgo CFLAGS: -O2 -Wall
#cgo LDFLAGS: -Wl,--push-state,--no-as-needed -lstdc++ -lgcc_s -lm -lpthread -ldl -Wl,--pop-state
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include "symbols.h"
*/
import "C"

import (
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"
)

type handle = unsafe.Pointer

// Lookup finds name in the process: the executable and everything it was linked with or has loaded globally. ok is false if it is not defined.
func Lookup(name string) (s Symbol, ok bool) { return lookup(nil, name) }

func lookup(h handle, name string) (Symbol, bool) {
	if strings.IndexByte(name, 0) >= 0 {
		return Symbol{}, false
	}
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var c C.struct_hs_symbol
	if C.hs_lookup(h, n, &c) == 0 || c.in_executable != 0 && hidden(name) {
		return Symbol{}, false
	}
	return Symbol{
		Name: name, Addr: uintptr(c.addr), Size: uint64(c.size), Kind: Kind(c.kind),
		ReadOnly: c.read_only != 0,
		TLS:      TLSPlace{Module: uint64(c.module), Offset: uint64(c.offset), TPOffset: int64(c.tpoff), Static: c.is_static != 0},
	}, true
}

// Open loads a shared library with all its symbols bound at once and visible to look-ups through it only (RTLD_NOW|RTLD_LOCAL). A path without a slash is
// searched as ld.so(8) says. Its constructors run on the calling thread. The error is an [*OpenError].
func Open(path string) (*Library, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, &OpenError{Path: path, Reason: "the path has a zero byte"}
	}
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	// dlerror's text belongs to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h := C.dlopen(p, C.RTLD_NOW|C.RTLD_LOCAL)
	if h == nil {
		return nil, &OpenError{Path: path, Reason: C.GoString(C.dlerror())}
	}
	return &Library{Path: path, handle: h}, nil
}

// Lookup finds name in the library or what it was linked with.
func (l *Library) Lookup(name string) (Symbol, bool) {
	if l.handle == nil {
		return Symbol{}, false
	}
	return lookup(l.handle, name)
}

// Close gives the library back; the last Close of a library that nothing else needs runs its destructors and unmaps it. A second Close does nothing.
// Close must not run at the same time as another method of l.
func (l *Library) Close() error {
	if l.handle == nil {
		return nil
	}
	h := l.handle
	l.handle = nil
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if C.dlclose(h) != 0 {
		return &OpenError{Path: l.Path, Reason: C.GoString(C.dlerror())}
	}
	return nil
}

// Origin tells which file an address of the process belongs to, and the closest exported symbol at or below it with its address; what is unknown
// is "" and 0.
func Origin(addr uintptr) (file, symbol string, start uintptr) {
	var info C.Dl_info
	if C.dladdr(*(*unsafe.Pointer)(unsafe.Pointer(&addr)), &info) == 0 {
		return "", "", 0
	}
	if info.dli_fname != nil {
		file = filepath.Clean(C.GoString(info.dli_fname))
	}
	if info.dli_sname != nil {
		symbol, start = C.GoString(info.dli_sname), uintptr(info.dli_saddr)
	}
	return file, symbol, start
}
