package crt

/*
#include "tls.h"
*/
import "C"

import "unsafe"

// TLSModule is a block of thread-local variables that every thread has its own copy of.
type TLSModule struct {
	ID uint64 // the module number in {module, offset} pairs
}

// maxTLSAlign keeps the allocator's arithmetic far from overflow; no ABI asks for more than a page.
const maxTLSAlign = 1 << 20

// NewTLS makes a TLS module whose blocks are size bytes, aligned to align (a power of two; 0 means 1), and start as init followed by zeros. init is copied. The error is a [*TLSError].
func NewTLS(init []byte, size, align uint64) (TLSModule, error) {
	align = max(align, 1)
	if err := checkImage(init, size, align); err != nil {
		return TLSModule{}, err
	}
	id := C.lj_tls_new(unsafe.Pointer(unsafe.SliceData(init)), C.uint64_t(len(init)), C.uint64_t(size), C.uint64_t(align))
	if id == 0 {
		return TLSModule{}, &TLSError{Size: size, Align: align, Init: len(init), Msg: "out of memory"}
	}
	return TLSModule{ID: uint64(id)}, nil
}

// SetImage gives the module another image, size and alignment: a linker needs the module's number before it has the image. No code may have used the module yet.
func (m TLSModule) SetImage(init []byte, size, align uint64) error {
	align = max(align, 1)
	if err := checkImage(init, size, align); err != nil {
		return err
	}
	if C.lj_tls_set_image(C.uint64_t(m.ID), unsafe.Pointer(unsafe.SliceData(init)), C.uint64_t(len(init)), C.uint64_t(size), C.uint64_t(align)) == 0 {
		return &TLSError{Size: size, Align: align, Init: len(init), Msg: "out of memory"}
	}
	return nil
}

func checkImage(init []byte, size, align uint64) error {
	msg := ""
	switch {
	case align&(align-1) != 0 || align > maxTLSAlign:
		msg = "the alignment is not a power of two up to 1 MiB"
	case uint64(len(init)) > size:
		msg = "the image is larger than the block"
	case size > 1<<46:
		msg = "the block is larger than an address space"
	default:
		return nil
	}
	return &TLSError{Size: size, Align: align, Init: len(init), Msg: msg}
}

// Release frees the module and its blocks in all threads. No code that uses the module may run, now or later, and the module's thread_local destructors must be gone ([DSO.Finalize]
// comes first). Release must be called once.
func (m TLSModule) Release() {
	if m.ID == 0 {
		panic("BUG: crt: release of no TLS module")
	}
	C.lj_tls_release(C.uint64_t(m.ID))
}

// LiveTLS counts the TLS modules and the blocks of all threads, in the process.
func LiveTLS() (modules, blocks int) {
	var m, b C.uint64_t
	C.lj_tls_live(&m, &b)
	return int(m), int(b)
}
