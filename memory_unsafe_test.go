package livejit_test

import "unsafe"

// pointer makes a pointer of an address outside of Go's memory.
func pointer(address uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// bytesAt is memory outside of Go's.
func bytesAt(address uint64, n int) []byte { return unsafe.Slice((*byte)(pointer(address)), n) }

func uintptrOf(p *[4]uintptr) uintptr { return uintptr(unsafe.Pointer(p)) }
