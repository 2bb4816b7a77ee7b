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

var symbols = func() map[string]uintptr {
	m := map[string]uintptr{
		"__tls_get_addr":           uintptr(unsafe.Pointer(&C.lj_tls_get_addr)),
		"__cxa_atexit":             uintptr(C.lj_cxa_atexit),
		"__cxa_thread_atexit":      uintptr(C.lj_cxa_thread_atexit),
		"__cxa_thread_atexit_impl": uintptr(C.lj_cxa_thread_atexit),
		"__cxa_at_quick_exit":      uintptr(C.lj_at_quick_exit),
		"__register_atfork":        uintptr(C.lj_atfork),
	}
	for i := C.uint(0); ; i++ {
		b := C.lj_builtin_at(i)
		if b.name == nil {
			break
		}
		m[C.GoString(b.name)] = uintptr(b.address)
	}
	return m
}()

// Symbols returns what JIT code must get from this package and not from the process, by name. Names that need the code's DSO are in [DSO.Symbols] and [DSO.Thunks].
func Symbols() map[string]uintptr { return maps.Clone(symbols) }

// TLSDescResolvers returns the entry functions of TLS descriptors. A descriptor's second word is, for the static one, the variable's distance from the thread pointer; for the dynamic one the
// address of a {module, offset} pair. Static serves host variables in static TLS, dynamic everything else.
func TLSDescResolvers() (static, dynamic uintptr) {
	return uintptr(unsafe.Pointer(&C.lj_tlsdesc_static)), uintptr(unsafe.Pointer(&C.lj_tlsdesc_dynamic))
}
