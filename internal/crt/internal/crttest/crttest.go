// Package crttest holds the native subjects of crt's tests: cgo is not allowed in test files.
package crttest

/*
#cgo CXXFLAGS: -std=c++17 -O1 -Wall
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "subjects.h"

static void *place(void *code, size_t size) {
	void *p = mmap(0, size, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) return 0;
	memcpy(p, code, size);
	return p;
}
*/
import "C"

import "unsafe"

// Address is the address of a native subject.
func Address(name string) uint64 {
	a, ok := map[string]unsafe.Pointer{
		"tls_threads": C.tls_threads, "tls_at_thread_exit": C.tls_at_thread_exit, "tls_read": C.tls_read, "tls_holders_start": C.tls_holders_start,
		"tls_holders_end": C.tls_holders_end, "tlsdesc_call": C.tlsdesc_call, "tlsdesc_on_new_thread": C.tlsdesc_on_new_thread, "host_module": C.host_module,
		"set_log": C.set_log, "log_arg": C.log_arg, "log_x": C.log_x, "log_y": C.log_y, "log_throw": C.log_throw, "log_status": C.log_status,
		"log_and_register": C.log_and_register, "log_prepare": C.log_prepare, "log_parent": C.log_parent, "log_child": C.log_child, "fork_once": C.fork_once,
		"puts_arg": C.puts_arg, "call_exit": C.call_exit, "call_quick_exit": C.call_quick_exit, "exit_in_handler": C.exit_in_handler,
		"from_thread": C.from_thread, "parked_thread": C.parked_thread, "parked_thread_end": C.parked_thread_end,
	}[name]
	if !ok {
		panic("no native subject " + name)
	}
	return uint64(uintptr(a))
}

// Place puts code in executable memory that is never freed.
func Place(code []byte) uint64 {
	p := C.place(unsafe.Pointer(&code[0]), C.size_t(len(code)))
	if p == nil {
		panic("no executable memory")
	}
	return uint64(uintptr(p))
}

// Malloc returns zeroed C memory, which is never freed.
func Malloc(size int) []byte { return unsafe.Slice((*byte)(C.calloc(1, C.size_t(size))), size) }
