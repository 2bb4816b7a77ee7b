package jitlink

import (
	"debug/elf"

	"livejit/internal/linkgraph"
)

// aarch64 is the table of "ELF for the Arm 64-bit Architecture" (AAELF64, 2024Q3), section 5.7; the numbers below are its
// sections. The rows cover what compilers emit for the tiny and small code models, with and without -fpic and -fPIC.
//
// Traps: adrp counts in 4 KiB pages, from the page of the place to that of the target, so the low 12 bits of the *address* go into
// the instruction that follows. Offsets in loads and stores are scaled by the size of the access, so the address must be
// aligned. Branches reach 128 MiB, less than the range in which JIT memory lies: see a64Branch.
var aarch64 = target{
	machine: elf.EM_AARCH64,
	fill:    0, // udf #0
	word64:  a64Word,
	dtpmod:  linkgraph.Kind(elf.R_AARCH64_TLS_DTPMOD64),
	dtpoff:  linkgraph.Kind(elf.R_AARCH64_TLS_DTPREL64),
	tpoff:   linkgraph.Kind(elf.R_AARCH64_TLS_TPREL64),
	rows: []row{
		0:   {"R_AARCH64_NONE", 0, nil, nil, nil},
		256: {"R_AARCH64_NONE", 0, nil, nil, nil},
		// Data, 5.7.5
		257: {"R_AARCH64_ABS64", 8, a64Address, valueSA, store64},
		258: {"R_AARCH64_ABS32", 4, a64Address, valueNearSA, storeAny32},
		259: {"R_AARCH64_ABS16", 2, a64Address, valueSA, storeAny16},
		260: {"R_AARCH64_PREL64", 8, a64Distance64, valueSAP, store64},
		261: {"R_AARCH64_PREL32", 4, a64Distance, valueSAP, storeAny32},
		262: {"R_AARCH64_PREL16", 2, a64Distance, valueSAP, storeAny16},
		// Values built by movz, movn and movk, 5.7.6
		263: {"R_AARCH64_MOVW_UABS_G0", 4, a64Address, valueSA, a64MovUnsigned(0)},
		264: {"R_AARCH64_MOVW_UABS_G0_NC", 4, a64Address, valueSA, a64MovNC(0)},
		265: {"R_AARCH64_MOVW_UABS_G1", 4, a64Address, valueSA, a64MovUnsigned(1)},
		266: {"R_AARCH64_MOVW_UABS_G1_NC", 4, a64Address, valueSA, a64MovNC(1)},
		267: {"R_AARCH64_MOVW_UABS_G2", 4, a64Address, valueSA, a64MovUnsigned(2)},
		268: {"R_AARCH64_MOVW_UABS_G2_NC", 4, a64Address, valueSA, a64MovNC(2)},
		269: {"R_AARCH64_MOVW_UABS_G3", 4, a64Address, valueSA, a64MovNC(3)},
		270: {"R_AARCH64_MOVW_SABS_G0", 4, a64Address, valueSA, a64MovSigned(0)},
		271: {"R_AARCH64_MOVW_SABS_G1", 4, a64Address, valueSA, a64MovSigned(1)},
		272: {"R_AARCH64_MOVW_SABS_G2", 4, a64Address, valueSA, a64MovSigned(2)},
		// Addresses relative to the place, 5.7.7
		273: {"R_AARCH64_LD_PREL_LO19", 4, a64Near, valueSAP, a64Store19},
		274: {"R_AARCH64_ADR_PREL_LO21", 4, a64Near, valueSAP, a64StoreADR},
		275: {"R_AARCH64_ADR_PREL_PG_HI21", 4, a64Near, a64Page, a64StoreADRP},
		276: {"R_AARCH64_ADR_PREL_PG_HI21_NC", 4, a64Near, a64Page, a64StoreADRPNC},
		277: {"R_AARCH64_ADD_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(0)},
		278: {"R_AARCH64_LDST8_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(0)},
		279: {"R_AARCH64_TSTBR14", 4, a64Branch, valueSAP, a64Store14},
		280: {"R_AARCH64_CONDBR19", 4, a64Branch, valueSAP, a64Store19},
		282: {"R_AARCH64_JUMP26", 4, a64Branch, a64BranchDistance, a64Store26},
		283: {"R_AARCH64_CALL26", 4, a64Branch, a64BranchDistance, a64Store26},
		284: {"R_AARCH64_LDST16_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(1)},
		285: {"R_AARCH64_LDST32_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(2)},
		286: {"R_AARCH64_LDST64_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(3)},
		287: {"R_AARCH64_MOVW_PREL_G0", 4, a64Near, valueSAP, a64MovSigned(0)},
		288: {"R_AARCH64_MOVW_PREL_G0_NC", 4, a64Near, valueSAP, a64MovNC(0)},
		289: {"R_AARCH64_MOVW_PREL_G1", 4, a64Near, valueSAP, a64MovSigned(1)},
		290: {"R_AARCH64_MOVW_PREL_G1_NC", 4, a64Near, valueSAP, a64MovNC(1)},
		291: {"R_AARCH64_MOVW_PREL_G2", 4, a64Near, valueSAP, a64MovSigned(2)},
		292: {"R_AARCH64_MOVW_PREL_G2_NC", 4, a64Near, valueSAP, a64MovNC(2)},
		293: {"R_AARCH64_MOVW_PREL_G3", 4, a64Near, valueSAP, a64MovNC(3)},
		299: {"R_AARCH64_LDST128_ABS_LO12_NC", 4, a64Near, valueSA, a64StoreLow12(4)},
		// The global offset table, 5.7.8
		300: {"R_AARCH64_MOVW_GOTOFF_G0", 4, a64EntryAtBase, valueSAGOT, a64MovSigned(0)},
		301: {"R_AARCH64_MOVW_GOTOFF_G0_NC", 4, a64EntryAtBase, valueSAGOT, a64MovNC(0)},
		302: {"R_AARCH64_MOVW_GOTOFF_G1", 4, a64EntryAtBase, valueSAGOT, a64MovSigned(1)},
		303: {"R_AARCH64_MOVW_GOTOFF_G1_NC", 4, a64EntryAtBase, valueSAGOT, a64MovNC(1)},
		304: {"R_AARCH64_MOVW_GOTOFF_G2", 4, a64EntryAtBase, valueSAGOT, a64MovSigned(2)},
		305: {"R_AARCH64_MOVW_GOTOFF_G2_NC", 4, a64EntryAtBase, valueSAGOT, a64MovNC(2)},
		306: {"R_AARCH64_MOVW_GOTOFF_G3", 4, a64EntryAtBase, valueSAGOT, a64MovNC(3)},
		307: {"R_AARCH64_GOTREL64", 8, a64FromBase, valueSAGOT, store64},
		308: {"R_AARCH64_GOTREL32", 4, a64FromBase, valueSAGOT, storeAny32},
		309: {"R_AARCH64_GOT_LD_PREL19", 4, a64Entry(a64LoadLiteral), nil, nil},
		310: {"R_AARCH64_LD64_GOTOFF_LO15", 4, a64EntryAtBase, valueSAGOT, a64StoreLow15},
		311: {"R_AARCH64_ADR_GOT_PAGE", 4, a64Entry(a64Adrp), nil, nil},
		312: {"R_AARCH64_LD64_GOT_LO12_NC", 4, a64Entry(a64Load64), nil, nil},
		313: {"R_AARCH64_LD64_GOTPAGE_LO15", 4, a64EntryAtBase, a64FromGOTPage, a64StoreLow15},
		314: {"R_AARCH64_PLT32", 4, a64Distance, valueSAP, storeSigned32},
		315: {"R_AARCH64_GOTPCREL32", 4, a64EntryWord, nil, nil},
		// Thread-local storage: general dynamic, 5.7.11.1
		512: {"R_AARCH64_TLSGD_ADR_PREL21", 4, a64TLS(entryGD, a64Adr), nil, nil},
		513: {"R_AARCH64_TLSGD_ADR_PAGE21", 4, a64TLS(entryGD, a64Adrp), nil, nil},
		514: {"R_AARCH64_TLSGD_ADD_LO12_NC", 4, a64TLS(entryGD, a64Add), nil, nil},
		// Local dynamic
		517: {"R_AARCH64_TLSLD_ADR_PREL21", 4, a64TLS(entryLD, a64Adr), nil, nil},
		518: {"R_AARCH64_TLSLD_ADR_PAGE21", 4, a64TLS(entryLD, a64Adrp), nil, nil},
		519: {"R_AARCH64_TLSLD_ADD_LO12_NC", 4, a64TLS(entryLD, a64Add), nil, nil},
		523: {"R_AARCH64_TLSLD_MOVW_DTPREL_G2", 4, nil, valueDTPOff, a64MovSigned(2)},
		524: {"R_AARCH64_TLSLD_MOVW_DTPREL_G1", 4, nil, valueDTPOff, a64MovSigned(1)},
		525: {"R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC", 4, nil, valueDTPOff, a64MovNC(1)},
		526: {"R_AARCH64_TLSLD_MOVW_DTPREL_G0", 4, nil, valueDTPOff, a64MovSigned(0)},
		527: {"R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC", 4, nil, valueDTPOff, a64MovNC(0)},
		528: {"R_AARCH64_TLSLD_ADD_DTPREL_HI12", 4, nil, valueDTPOff, a64StoreHigh12},
		529: {"R_AARCH64_TLSLD_ADD_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(0)},
		530: {"R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(0)},
		531: {"R_AARCH64_TLSLD_LDST8_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(0)},
		532: {"R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(0)},
		533: {"R_AARCH64_TLSLD_LDST16_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(1)},
		534: {"R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(1)},
		535: {"R_AARCH64_TLSLD_LDST32_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(2)},
		536: {"R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(2)},
		537: {"R_AARCH64_TLSLD_LDST64_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(3)},
		538: {"R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(3)},
		// Initial exec
		541: {"R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21", 4, a64TLS(entryIE, a64Adrp), nil, nil},
		542: {"R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC", 4, a64TLS(entryIE, a64Load64), nil, nil},
		543: {"R_AARCH64_TLSIE_LD_GOTTPREL_PREL19", 4, a64TLS(entryIE, a64LoadLiteral), nil, nil},
		// Local exec
		544: {"R_AARCH64_TLSLE_MOVW_TPREL_G2", 4, nil, valueTPOff, a64MovSigned(2)},
		545: {"R_AARCH64_TLSLE_MOVW_TPREL_G1", 4, nil, valueTPOff, a64MovSigned(1)},
		546: {"R_AARCH64_TLSLE_MOVW_TPREL_G1_NC", 4, nil, valueTPOff, a64MovNC(1)},
		547: {"R_AARCH64_TLSLE_MOVW_TPREL_G0", 4, nil, valueTPOff, a64MovSigned(0)},
		548: {"R_AARCH64_TLSLE_MOVW_TPREL_G0_NC", 4, nil, valueTPOff, a64MovNC(0)},
		549: {"R_AARCH64_TLSLE_ADD_TPREL_HI12", 4, nil, valueTPOff, a64StoreHigh12},
		550: {"R_AARCH64_TLSLE_ADD_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(0)},
		551: {"R_AARCH64_TLSLE_ADD_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(0)},
		552: {"R_AARCH64_TLSLE_LDST8_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(0)},
		553: {"R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(0)},
		554: {"R_AARCH64_TLSLE_LDST16_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(1)},
		555: {"R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(1)},
		556: {"R_AARCH64_TLSLE_LDST32_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(2)},
		557: {"R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(2)},
		558: {"R_AARCH64_TLSLE_LDST64_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(3)},
		559: {"R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(3)},
		// Descriptors; the last three mark instructions that only relaxation would change
		560: {"R_AARCH64_TLSDESC_LD_PREL19", 4, a64TLS(entryDesc, a64LoadLiteral), nil, nil},
		561: {"R_AARCH64_TLSDESC_ADR_PREL21", 4, a64TLS(entryDesc, a64Adr), nil, nil},
		562: {"R_AARCH64_TLSDESC_ADR_PAGE21", 4, a64TLS(entryDesc, a64Adrp), nil, nil},
		563: {"R_AARCH64_TLSDESC_LD64_LO12", 4, a64TLS(entryDesc, a64Load64), nil, nil},
		564: {"R_AARCH64_TLSDESC_ADD_LO12", 4, a64TLS(entryDesc, a64Add), nil, nil},
		567: {"R_AARCH64_TLSDESC_LDR", 0, nil, nil, nil},
		568: {"R_AARCH64_TLSDESC_ADD", 0, nil, nil, nil},
		569: {"R_AARCH64_TLSDESC_CALL", 0, nil, nil, nil},
		570: {"R_AARCH64_TLSLE_LDST128_TPREL_LO12", 4, nil, valueTPOff, a64StoreChecked12(4)},
		571: {"R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC", 4, nil, valueTPOff, a64StoreLow12(4)},
		572: {"R_AARCH64_TLSLD_LDST128_DTPREL_LO12", 4, nil, valueDTPOff, a64StoreChecked12(4)},
		573: {"R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC", 4, nil, valueDTPOff, a64StoreLow12(4)},
		// Dynamic types; those of thread-local storage also stand in the entries made here and in debug information
		1024: {"R_AARCH64_COPY", 0, refuse, nil, nil},
		1025: {"R_AARCH64_GLOB_DAT", 0, refuse, nil, nil},
		1026: {"R_AARCH64_JUMP_SLOT", 0, refuse, nil, nil},
		1027: {"R_AARCH64_RELATIVE", 0, refuse, nil, nil},
		1028: {"R_AARCH64_TLS_DTPMOD64", 8, nil, valueDTPMod, store64},
		1029: {"R_AARCH64_TLS_DTPREL64", 8, nil, valueDTPOff, store64},
		1030: {"R_AARCH64_TLS_TPREL64", 8, nil, valueTPOff, store64},
		1031: {"R_AARCH64_TLSDESC", 0, refuse, nil, nil},
		1032: {"R_AARCH64_IRELATIVE", 0, refuse, nil, nil},
	},
}

// The plain types that references to table entries become.
const (
	a64Word        = linkgraph.Kind(elf.R_AARCH64_ABS64)
	a64Prel32      = linkgraph.Kind(elf.R_AARCH64_PREL32)
	a64LoadLiteral = linkgraph.Kind(elf.R_AARCH64_LD_PREL_LO19)
	a64Adr         = linkgraph.Kind(elf.R_AARCH64_ADR_PREL_LO21)
	a64Adrp        = linkgraph.Kind(elf.R_AARCH64_ADR_PREL_PG_HI21)
	a64Add         = linkgraph.Kind(elf.R_AARCH64_ADD_ABS_LO12_NC)
	a64Load64      = linkgraph.Kind(elf.R_AARCH64_LDST64_ABS_LO12_NC)
)
