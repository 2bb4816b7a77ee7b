package crt

/*
#cgo CFLAGS: -O2 -Wall -fno-omit-frame-pointer
#include "builtins.h"
#include "exit.h"
#include "tls.h"
*/
import "C"

import (
	"maps"
	"unsafe"
)

// Symbol is something that JIT code must get from this package.
type Symbol struct {
	Addr uintptr
	Data bool // a variable, not a function
}

var symbols = func() map[string]Symbol {
	m := map[string]Symbol{
		"__tls_get_addr":           {Addr: uintptr(unsafe.Pointer(&C.lj_tls_get_addr))},
		"__cxa_atexit":             {Addr: uintptr(C.lj_cxa_atexit)},
		"__cxa_thread_atexit":      {Addr: uintptr(C.lj_cxa_thread_atexit)},
		"__cxa_thread_atexit_impl": {Addr: uintptr(C.lj_cxa_thread_atexit)},
		"__cxa_at_quick_exit":      {Addr: uintptr(C.lj_at_quick_exit)},
		"__register_atfork":        {Addr: uintptr(C.lj_atfork)},
	}
	for i := C.uint(0); ; i++ {
		b := C.lj_builtin_at(i)
		if b.name == nil {
			break
		}
		m[C.GoString(b.name)] = Symbol{Addr: uintptr(b.address), Data: b.data != 0}
	}
	return m
}()

// Symbols returns what JIT code must get from this package and not from the process, by name. Names that need the code's DSO are in [DSO.Symbols] and [DSO.Thunks].
func Symbols() map[string]Symbol { return maps.Clone(symbols) }

// TLSDescResolvers returns the entry functions of TLS descriptors. A descriptor's second word is, for the static one, the variable's distance from the thread pointer; for the dynamic one the
// address of a {module, offset} pair. Static serves host variables in static TLS, dynamic everything else.
func TLSDescResolvers() (static, dynamic uintptr) {
	return uintptr(unsafe.Pointer(&C.lj_tlsdesc_static)), uintptr(unsafe.Pointer(&C.lj_tlsdesc_dynamic))
}
