package vmem

// FlushInstructions makes bytes written to memory visible to instruction fetch at
// [addr, addr+size) on every processor: Arm ARM (DDI 0487) B2.7.4, "clean data
// cache by address to the point of unification, invalidate instruction cache".
// A thread that reaches the code through a pointer stored afterwards needs no
// barrier of its own: it cannot have fetched what it had no address for.
func FlushInstructions(addr, size uint64) {
	if size == 0 {
		return
	}
	ctr := cacheType()
	data := uint64(4) << (ctr >> 16 & 0xf)  // CTR_EL0.DminLine, log2 of words
	instruction := uint64(4) << (ctr & 0xf) // CTR_EL0.IminLine
	cleanData(addr&^(data-1), addr+size, data)
	invalidateInstructions(addr&^(instruction-1), addr+size, instruction)
}

// cacheType reads CTR_EL0.
//
//go:noescape
func cacheType() uint64

// cleanData cleans each line from addr to end, then waits for completion.
//
//go:noescape
func cleanData(addr, end, line uint64)

// invalidateInstructions invalidates each line from addr to end, waits for
// completion and discards what this processor has fetched.
//
//go:noescape
func invalidateInstructions(addr, end, line uint64)
