package jitlink

import (
	"debug/elf"

	"livejit/internal/linkgraph"
)

// x86_64 is the table of the System V psABI for AMD64, section 4.4.1 (relocation types), with 4.4.2 and appendix B
// (GOT relaxation) in x86_64_plan.go, and the TLS types of "ELF handling for thread-local storage" (Drepper), section 4.4.
//
// Traps: fields of instructions count from the end of the field (P + 4), which the compiler's addend makes up for: -4, or less if
// an immediate follows. The plain 32-bit types zero-extend (32) or sign-extend (32S), and only one of both fits an address.
// PLT32 is used for every direct call, also of local functions.
var x86_64 = target{
	machine: elf.EM_X86_64,
	fill:    0xcc, // int3
	word64:  kind64,
	dtpmod:  linkgraph.Kind(elf.R_X86_64_DTPMOD64),
	dtpoff:  linkgraph.Kind(elf.R_X86_64_DTPOFF64),
	tpoff:   linkgraph.Kind(elf.R_X86_64_TPOFF64),
	rows: []row{
		0:  {"R_X86_64_NONE", 0, nil, nil, nil},
		1:  {"R_X86_64_64", 8, x86Absolute, valueSA, store64},
		2:  {"R_X86_64_PC32", 4, x86PC32, valueSAP, storeSigned32},
		3:  {"R_X86_64_GOT32", 4, x86GOTOffset, valueSAGOT, storeSigned32},
		4:  {"R_X86_64_PLT32", 4, x86PLT32, valueSAP, storeSigned32},
		5:  {"R_X86_64_COPY", 0, refuse, nil, nil},
		6:  {"R_X86_64_GLOB_DAT", 0, refuse, nil, nil},
		7:  {"R_X86_64_JUMP_SLOT", 0, refuse, nil, nil},
		8:  {"R_X86_64_RELATIVE", 0, refuse, nil, nil},
		9:  {"R_X86_64_GOTPCREL", 4, x86GOTPCREL, valueSAP, storeSigned32},
		10: {"R_X86_64_32", 4, x86Narrow, valueNearSA, storeUnsigned32},
		11: {"R_X86_64_32S", 4, x86Narrow, valueNearSA, storeSigned32},
		12: {"R_X86_64_16", 2, x86Absolute, valueSA, storeAny16},
		13: {"R_X86_64_PC16", 2, nil, valueSAP, storeSigned16},
		14: {"R_X86_64_8", 1, x86Absolute, valueSA, storeAny8},
		15: {"R_X86_64_PC8", 1, nil, valueSAP, storeSigned8},
		16: {"R_X86_64_DTPMOD64", 8, nil, valueDTPMod, store64},
		17: {"R_X86_64_DTPOFF64", 8, nil, valueDTPOff, store64},
		18: {"R_X86_64_TPOFF64", 8, nil, valueTPOff, store64},
		19: {"R_X86_64_TLSGD", 4, x86TLS(entryGD), nil, nil},
		20: {"R_X86_64_TLSLD", 4, x86TLS(entryLD), nil, nil},
		21: {"R_X86_64_DTPOFF32", 4, nil, valueDTPOff, storeSigned32},
		22: {"R_X86_64_GOTTPOFF", 4, x86TLS(entryIE), nil, nil},
		23: {"R_X86_64_TPOFF32", 4, nil, valueTPOff, storeSigned32},
		24: {"R_X86_64_PC64", 8, x86PC64, valueSAP, store64},
		25: {"R_X86_64_GOTOFF64", 8, x86GOTOFF64, valueSAGOT, store64},
		26: {"R_X86_64_GOTPC32", 4, x86GOTBase, valueGOTAP, storeSigned32},
		27: {"R_X86_64_GOT64", 8, x86GOTOffset, valueSAGOT, store64},
		28: {"R_X86_64_GOTPCREL64", 8, x86GOTPCREL64, valueSAP, store64},
		29: {"R_X86_64_GOTPC64", 8, x86GOTBase, valueGOTAP, store64},
		30: {"R_X86_64_GOTPLT64", 8, x86GOTOffset, valueSAGOT, store64},
		31: {"R_X86_64_PLTOFF64", 8, x86PLTOFF64, valueSAGOT, store64},
		32: {"R_X86_64_SIZE32", 4, nil, valueZA, storeUnsigned32},
		33: {"R_X86_64_SIZE64", 8, nil, valueZA, store64},
		34: {"R_X86_64_GOTPC32_TLSDESC", 4, x86TLS(entryDesc), nil, nil},
		35: {"R_X86_64_TLSDESC_CALL", 0, nil, nil, nil}, // marks the call; nothing to do as descriptors are never relaxed
		36: {"R_X86_64_TLSDESC", 0, refuse, nil, nil},
		37: {"R_X86_64_IRELATIVE", 0, refuse, nil, nil},
		38: {"R_X86_64_RELATIVE64", 0, refuse, nil, nil},
		39: {"R_X86_64_PC32_BND", 4, x86PC32, valueSAP, storeSigned32}, // MPX, withdrawn: as PC32
		40: {"R_X86_64_PLT32_BND", 4, x86PLT32, valueSAP, storeSigned32},
		41: {"R_X86_64_GOTPCRELX", 4, x86GOTPCRELX, valueSAP, storeSigned32},
		42: {"R_X86_64_REX_GOTPCRELX", 4, x86GOTPCRELX, valueSAP, storeSigned32},
		// APX (psABI 1.0 of 2024): instructions with a REX2 or extended EVEX prefix of 4, 5 or 6 bytes before the field. Not relaxed.
		43: {"R_X86_64_CODE_4_GOTPCRELX", 4, x86GOTPCREL, valueSAP, storeSigned32},
		44: {"R_X86_64_CODE_4_GOTTPOFF", 4, x86TLS(entryIE), nil, nil},
		45: {"R_X86_64_CODE_4_GOTPC32_TLSDESC", 4, x86TLS(entryDesc), nil, nil},
		46: {"R_X86_64_CODE_5_GOTPCRELX", 4, x86GOTPCREL, valueSAP, storeSigned32},
		47: {"R_X86_64_CODE_5_GOTTPOFF", 4, x86TLS(entryIE), nil, nil},
		48: {"R_X86_64_CODE_5_GOTPC32_TLSDESC", 4, x86TLS(entryDesc), nil, nil},
		49: {"R_X86_64_CODE_6_GOTPCRELX", 4, x86GOTPCREL, valueSAP, storeSigned32},
		50: {"R_X86_64_CODE_6_GOTTPOFF", 4, x86TLS(entryIE), nil, nil},
		51: {"R_X86_64_CODE_6_GOTPC32_TLSDESC", 4, x86TLS(entryDesc), nil, nil},
	},
}

const (
	kind64   = linkgraph.Kind(elf.R_X86_64_64)
	kindPC32 = linkgraph.Kind(elf.R_X86_64_PC32)
	kind32S  = linkgraph.Kind(elf.R_X86_64_32S)
)
