package epoch

import "unsafe"

// here is a shard for the calling goroutine: of its stack's place, which goroutines on different cores do not share.
func here() uint32 {
	var mark byte
	return uint32(uintptr(unsafe.Pointer(&mark))>>11) * 0x9e3779b1 >> 28 % shards // the upper bits of the product depend on all lower ones
}
