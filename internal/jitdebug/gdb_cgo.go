package jitdebug

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Werror
#include <stdlib.h>
#include "gdb.h"
*/
import "C"

import (
	"sync"
	"unsafe"
)

// descriptor guards the process's list of symbol files. It is a leaf.
var descriptor sync.Mutex

// symbolFile is a symbol file that debuggers know.
type symbolFile struct{ entry *C.struct_jit_code_entry }

// register tells debuggers of a symbol file, which is copied.
func register(image []byte) symbolFile {
	entry := (*C.struct_jit_code_entry)(C.calloc(1, C.sizeof_struct_jit_code_entry))
	entry.symfile_addr = (*C.char)(C.CBytes(image))
	entry.symfile_size = C.uint64_t(len(image))
	descriptor.Lock()
	C.lj_gdb_register(entry)
	descriptor.Unlock()
	files.Add(1)
	return symbolFile{entry}
}

// unregister takes the file back.
func (f symbolFile) unregister() {
	descriptor.Lock()
	C.lj_gdb_unregister(f.entry)
	descriptor.Unlock()
	C.free(unsafe.Pointer(f.entry.symfile_addr))
	C.free(unsafe.Pointer(f.entry))
	files.Add(-1)
}

// Attached says whether a debugger that wants to hear of JIT code is attached and has let the process run.
func Attached() bool { return C.lj_gdb_attached() != 0 }
