//go:build !arm64

package vmem

// FlushInstructions makes bytes written to memory visible to instruction fetch at
// [addr, addr+size). x86-64 keeps its instruction caches coherent by itself (Intel
// SDM volume 3, 13.6): code that no processor has begun to fetch, and that is
// reached by a jump through memory written later, needs nothing.
func FlushInstructions(addr, size uint64) {}
