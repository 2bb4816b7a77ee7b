package codearena

import "unsafe"

// at is the memory at an address of an arena.
func at(addr, size uint64) []byte {
	p := uintptr(addr)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), size)
}
