#include "textflag.h"

// The cache instructions and the register CTR_EL0 are given as words: the
// assembler names only some of them. Linux lets user programs execute all.

// func cacheType() uint64
// Clobbers R0.
TEXT ·cacheType(SB), NOSPLIT, $0-8
	WORD $0xd53b0020 // mrs x0, ctr_el0
	MOVD R0, ret+0(FP)
	RET

// func cleanData(addr, end, line uint64)
// Clobbers R0, R1, R2.
TEXT ·cleanData(SB), NOSPLIT, $0-24
	MOVD addr+0(FP), R0
	MOVD end+8(FP), R1
	MOVD line+16(FP), R2
clean:
	WORD $0xd50b7b20 // dc cvau, x0
	ADD  R2, R0
	CMP  R1, R0
	BLO  clean
	DSB  $11         // ish
	RET

// func invalidateInstructions(addr, end, line uint64)
// Clobbers R0, R1, R2.
TEXT ·invalidateInstructions(SB), NOSPLIT, $0-24
	MOVD addr+0(FP), R0
	MOVD end+8(FP), R1
	MOVD line+16(FP), R2
invalidate:
	WORD $0xd50b7520 // ic ivau, x0
	ADD  R2, R0
	CMP  R1, R0
	BLO  invalidate
	DSB  $11         // ish
	ISB  $15         // sy
	RET
