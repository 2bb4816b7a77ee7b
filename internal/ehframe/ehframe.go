// Package ehframe cuts .eh_frame sections of relocatable objects into their
// records and finds the fields that a linker must relocate or rewrite.
//
// It reads the section as it lies in an object, before relocation: it reports
// where the fields are, not what they point to. Call frame instructions are
// not interpreted. Split never panics, whatever the data, and its result takes
// memory in proportion to the number of records. Everything here is a plain
// function of its arguments and safe for concurrent use.
//
// References: LSB Core 5.0, 10.6 (.eh_frame, augmentations, pointer encodings),
// DWARF 5 section 6.4 (call frame information), AADWARF64 4.4 (augmentation
// letters B and G).
package ehframe

import (
	"encoding/binary"
	"fmt"
)

// Pointer encodings (DW_EH_PE_*): a format in the low four bits, how to apply
// it in the next three, and the indirect bit.
const (
	PEAbsPtr  byte = 0x00
	PEULEB128 byte = 0x01
	PEUData2  byte = 0x02
	PEUData4  byte = 0x03
	PEUData8  byte = 0x04
	PESigned  byte = 0x08
	PESLEB128 byte = 0x09
	PESData2  byte = 0x0a
	PESData4  byte = 0x0b
	PESData8  byte = 0x0c

	PEPCRel    byte = 0x10
	PETextRel  byte = 0x20
	PEDataRel  byte = 0x30
	PEFuncRel  byte = 0x40
	PEAligned  byte = 0x50
	PEIndirect byte = 0x80

	PEOmit byte = 0xff
)

// Record is one CIE or FDE. All offsets are from the start of the section; a
// field at offset 0 is absent (a record begins there, so no field can).
type Record struct {
	Offset, Size uint64 // the whole record with its length field, in bytes
	CIE          int    // FDE: index of its CIE in the result of Split; CIE: -1

	// CIEPointer is the 4-byte field that holds 0 in a CIE and, in an FDE, the
	// distance from its CIE to this field (see CIEDelta).
	CIEPointer uint64

	// Fields of an FDE; 0 in a CIE.
	PCBegin  uint64 // start of the code covered
	PCRange  uint64 // its size; a plain number, without relocation on the machines we know
	PCLength uint64 // the number in the PCRange field
	// LSDA is the pointer to the language specific data area. Each FDE whose
	// CIE has an LSDA encoding has the field; without a relocation and holding
	// 0 it means that there is no such area.
	LSDA uint64

	Personality uint64 // pointer field of a CIE with augmentation P; 0 in an FDE

	// Encodings are the CIE's, repeated in its FDEs. PEOmit: no such field.
	PCEncoding, LSDAEncoding, PersonalityEncoding byte

	Augmentation string // the CIE's, such as "zPLR", repeated in its FDEs
	SignalFrame  bool   // augmentation S: frame of a signal handler

	Instructions uint64 // start of the call frame instructions, which fill the rest of the record
	// DWARF64 records have an 8-byte length after an escape. libgcc's unwinder
	// cannot read those.
	DWARF64 bool
}

// HasLSDA reports whether the record is an FDE with an LSDA field.
func (r *Record) HasLSDA() bool { return r.LSDA != 0 }

// FormatError says why a section cannot be read.
type FormatError struct {
	Record string // "CIE", "FDE", or "record" where that is not known
	Offset uint64 // of the record in the section
	At     uint64 // of what is wrong in the section
	Msg    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf(".eh_frame: %s at offset %#x: %s (at %#x)", e.Record, e.Offset, e.Msg, e.At)
}

// CIEDelta returns what the CIE pointer of an FDE must hold: the distance from
// its CIE to the field itself. Both are addresses, or both are offsets in one
// section. The CIE may come after the field: unwinders read the value as
// signed. ok is false if the two are too far apart (2 GiB) for the field, or if
// the distance is 0, which would make the record a CIE.
func CIEDelta(field, cie uint64) (delta int32, ok bool) {
	d := int64(field - cie)
	return int32(d), d == int64(int32(d)) && d != 0
}

// SetCIE rewrites the CIE pointer in fde, the bytes of an FDE that goes to
// address addr and whose CIE goes to address cie. r is the record that Split
// gave for it. It is false where CIEDelta's is, and fde is then unchanged.
func (r *Record) SetCIE(fde []byte, addr, cie uint64) bool {
	if r.CIE < 0 || uint64(len(fde)) != r.Size {
		panic(fmt.Sprintf("BUG: ehframe: SetCIE with %d bytes for record %+v", len(fde), *r))
	}
	field := r.CIEPointer - r.Offset
	delta, ok := CIEDelta(addr+field, cie)
	if ok {
		binary.LittleEndian.PutUint32(fde[field:], uint32(delta))
	}
	return ok
}
