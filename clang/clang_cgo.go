package clang

/*
#cgo CXXFLAGS: -std=c++17 -O2 -g0 -DNDEBUG -fno-exceptions -fno-rtti -D_GNU_SOURCE -D__STDC_CONSTANT_MACROS -D__STDC_FORMAT_MACROS -D__STDC_LIMIT_MACROS -Wall -Wno-unused-parameter -Wno-nonnull
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"livejit/internal/llvm"
)

// library loads libclang-cpp once and returns the name that the driver is to believe it
// was started by: it finds its own headers (the resource directory) from there.
var library = sync.OnceValues(func() (driver string, err error) {
	if text := C.lj_clang_load(); text != nil {
		return "", errors.New("clang: " + C.GoString(text))
	}
	lib := filepath.Dir(C.GoString(C.lj_clang_library()))
	// Debian keeps the library apart from the tree that it belongs to.
	for _, root := range []string{filepath.Dir(lib), "/usr/lib/llvm-22"} {
		if _, err := os.Stat(filepath.Join(root, "lib/clang/22/include/stddef.h")); err == nil {
			return filepath.Join(root, "bin/clang"), nil
		}
	}
	return "", errors.New("clang: the headers of clang 22 itself (lib/clang/22/include) are not installed; Debian's package is libclang-common-22-dev")
})

// compiled is what one run of the front end gave.
type compiled struct {
	ok, fatal bool
	bitcode   []byte
	messages  string
	files     string // each ended by a zero byte
	declared  []byte // JSON, if it was asked for
}

// compile runs the front end with a driver's command line and files that lie over the
// disk's. declarations asks for what the source declares.
func compile(args []string, files []Buffer, declarations bool) compiled {
	var pinned runtime.Pinner
	defer pinned.Unpin()
	var given []*C.char
	word := func(s string) *C.char {
		c := C.CString(s)
		given = append(given, c)
		return c
	}
	defer func() {
		for _, c := range given {
			C.free(unsafe.Pointer(c))
		}
	}()
	argv := make([]*C.char, len(args))
	for i, a := range args {
		argv[i] = word(a)
	}
	memory := make([]C.lj_clang_file, len(files))
	for i, f := range files {
		text := unsafe.StringData(f.Text)
		if text != nil {
			pinned.Pin(text)
		}
		memory[i] = C.lj_clang_file{path: word(f.Path), text: (*C.char)(unsafe.Pointer(text)), size: C.size_t(len(f.Text))}
	}
	for _, p := range []unsafe.Pointer{unsafe.Pointer(unsafe.SliceData(argv)), unsafe.Pointer(unsafe.SliceData(memory))} {
		if p != nil {
			pinned.Pin((*byte)(p))
		}
	}
	wants := C.int(0)
	if declarations {
		wants = 1
	}
	r := C.lj_clang_compile(unsafe.SliceData(argv), C.size_t(len(argv)), unsafe.SliceData(memory), C.size_t(len(memory)), wants,
		C.lj_land_fn(llvm.Landing()))
	defer C.lj_clang_result_free(&r)
	return compiled{
		ok: r.kind == C.LJ_CLANG_OK, fatal: r.kind == C.LJ_CLANG_FATAL,
		bitcode:  append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(r.bitcode)), r.bitcode_size)...),
		messages: string(unsafe.Slice((*byte)(unsafe.Pointer(r.messages)), r.messages_size)),
		files:    string(unsafe.Slice((*byte)(unsafe.Pointer(r.files)), r.files_size)),
		declared: append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(r.declarations)), r.declarations_size)...),
	}
}
