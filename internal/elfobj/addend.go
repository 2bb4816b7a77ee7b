package elfobj

import (
	"debug/elf"
	"encoding/binary"
)

// field says where a REL relocation's addend stands in the data it relocates:
// bits lo, lo+1, ... of a little-endian word of size bytes, taken as a signed
// number and multiplied by 1<<scale. bits is 0 for kinds without an addend.
type field struct {
	size, lo, bits, scale uint8
	adr                   bool // the two lowest bits stand at bits 29 and 30 (ADR, ADRP)
}

var (
	noField = field{}
	int8At  = field{size: 1, bits: 8}
	int16At = field{size: 2, bits: 16}
	int32At = field{size: 4, bits: 32}
	int64At = field{size: 8, bits: 64}
)

func (f field) read(data []byte, off uint64) (addend int64, ok bool) {
	if n := uint64(len(data)); off > n || uint64(f.size) > n-off {
		return 0, false
	}
	var word uint64
	switch p := data[off:]; f.size {
	case 0:
		return 0, true
	case 1:
		word = uint64(p[0])
	case 2:
		word = uint64(binary.LittleEndian.Uint16(p))
	case 4:
		word = uint64(binary.LittleEndian.Uint32(p))
	case 8:
		word = binary.LittleEndian.Uint64(p)
	}
	unused := 64 - f.bits
	v := int64(word>>f.lo<<unused) >> unused
	if f.adr {
		return v<<2 | int64(word>>29&3), true
	}
	return v << f.scale, true
}

// implicitField returns where the addend of a REL relocation stands; ok is false
// for a kind that has no such place. Both ABIs want RELA; REL occurs in
// sections of metadata (.rel.llvm.call-graph-profile) and from other tools.
func implicitField(m elf.Machine, kind uint32) (f field, ok bool) {
	if m == elf.EM_AARCH64 {
		f, ok = aarch64Fields[elf.R_AARCH64(kind)]
		return f, ok
	}
	if kind >= uint32(len(x86Fields)) || x86Fields[kind] == 0 {
		return noField, false
	}
	switch x86Fields[kind] {
	case '-':
		return noField, true
	case '1':
		return int8At, true
	case '2':
		return int16At, true
	case '4':
		return int32At, true
	}
	return int64At, true
}

// x86Fields gives for each x86-64 kind the bytes of its field ('-': none), as in
// psABI table 4.9. Kinds of the dynamic linker and retired ones are absent.
var x86Fields = [...]byte{
	elf.R_X86_64_NONE:            '-',
	elf.R_X86_64_64:              '8',
	elf.R_X86_64_PC32:            '4',
	elf.R_X86_64_GOT32:           '4',
	elf.R_X86_64_PLT32:           '4',
	elf.R_X86_64_GOTPCREL:        '4',
	elf.R_X86_64_32:              '4',
	elf.R_X86_64_32S:             '4',
	elf.R_X86_64_16:              '2',
	elf.R_X86_64_PC16:            '2',
	elf.R_X86_64_8:               '1',
	elf.R_X86_64_PC8:             '1',
	elf.R_X86_64_DTPMOD64:        '8',
	elf.R_X86_64_DTPOFF64:        '8',
	elf.R_X86_64_TPOFF64:         '8',
	elf.R_X86_64_TLSGD:           '4',
	elf.R_X86_64_TLSLD:           '4',
	elf.R_X86_64_DTPOFF32:        '4',
	elf.R_X86_64_GOTTPOFF:        '4',
	elf.R_X86_64_TPOFF32:         '4',
	elf.R_X86_64_PC64:            '8',
	elf.R_X86_64_GOTOFF64:        '8',
	elf.R_X86_64_GOTPC32:         '4',
	elf.R_X86_64_GOT64:           '8',
	elf.R_X86_64_GOTPCREL64:      '8',
	elf.R_X86_64_GOTPC64:         '8',
	elf.R_X86_64_GOTPLT64:        '8',
	elf.R_X86_64_PLTOFF64:        '8',
	elf.R_X86_64_SIZE32:          '4',
	elf.R_X86_64_SIZE64:          '8',
	elf.R_X86_64_GOTPC32_TLSDESC: '4',
	elf.R_X86_64_TLSDESC_CALL:    '-',
	elf.R_X86_64_GOTPCRELX:       '4',
	elf.R_X86_64_REX_GOTPCRELX:   '4',
	43:                           '4', // R_X86_64_CODE_4_GOTPCRELX
	44:                           '4', // R_X86_64_CODE_4_GOTTPOFF
	45:                           '4', // R_X86_64_CODE_4_GOTPC32_TLSDESC
	46:                           '4', // R_X86_64_CODE_5_GOTPCRELX
	47:                           '4', // R_X86_64_CODE_5_GOTTPOFF
	48:                           '4', // R_X86_64_CODE_5_GOTPC32_TLSDESC
	49:                           '4', // R_X86_64_CODE_6_GOTPCRELX
	50:                           '4', // R_X86_64_CODE_6_GOTTPOFF
	51:                           '4', // R_X86_64_CODE_6_GOTPC32_TLSDESC
}

// aarch64Fields gives the fields of AAELF64 5.7.2: the immediate of the
// instruction, scaled as the instruction does it, sign-extended. MOVW and ADRP
// are the exceptions: theirs is not scaled.
var aarch64Fields = map[elf.R_AARCH64]field{
	elf.R_AARCH64_NONE:                noField,
	elf.R_AARCH64_NULL:                noField,
	elf.R_AARCH64_ABS64:               int64At,
	elf.R_AARCH64_ABS32:               int32At,
	elf.R_AARCH64_ABS16:               int16At,
	elf.R_AARCH64_PREL64:              int64At,
	elf.R_AARCH64_PREL32:              int32At,
	elf.R_AARCH64_PREL16:              int16At,
	elf.R_AARCH64_MOVW_UABS_G0:        {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G0_NC:     {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G1:        {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G1_NC:     {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G2:        {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G2_NC:     {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_MOVW_UABS_G3:        {size: 4, lo: 5, bits: 16},
	elf.R_AARCH64_LD_PREL_LO19:        {size: 4, lo: 5, bits: 19, scale: 2},
	elf.R_AARCH64_ADR_PREL_LO21:       {size: 4, lo: 5, bits: 19, adr: true},
	elf.R_AARCH64_ADR_PREL_PG_HI21:    {size: 4, lo: 5, bits: 19, adr: true},
	elf.R_AARCH64_ADR_PREL_PG_HI21_NC: {size: 4, lo: 5, bits: 19, adr: true},
	elf.R_AARCH64_ADD_ABS_LO12_NC:     {size: 4, lo: 10, bits: 12},
	elf.R_AARCH64_TSTBR14:             {size: 4, lo: 5, bits: 14, scale: 2},
	elf.R_AARCH64_CONDBR19:            {size: 4, lo: 5, bits: 19, scale: 2},
	elf.R_AARCH64_JUMP26:              {size: 4, bits: 26, scale: 2},
	elf.R_AARCH64_CALL26:              {size: 4, bits: 26, scale: 2},
	elf.R_AARCH64_LDST8_ABS_LO12_NC:   {size: 4, lo: 10, bits: 12},
	elf.R_AARCH64_LDST16_ABS_LO12_NC:  {size: 4, lo: 10, bits: 12, scale: 1},
	elf.R_AARCH64_LDST32_ABS_LO12_NC:  {size: 4, lo: 10, bits: 12, scale: 2},
	elf.R_AARCH64_LDST64_ABS_LO12_NC:  {size: 4, lo: 10, bits: 12, scale: 3},
	elf.R_AARCH64_LDST128_ABS_LO12_NC: {size: 4, lo: 10, bits: 12, scale: 4},
}
