package livejit

import "unsafe"

// nativePointer makes a Go pointer of an address that native code gave.
func nativePointer(address uint64) unsafe.Pointer {
	p := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// nativeBytes returns the memory at an address.
func nativeBytes(address, size uint64) []byte {
	return unsafe.Slice((*byte)(nativePointer(address)), size)
}
