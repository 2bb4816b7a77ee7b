// Package stackmap reads LLVM's stack maps, version 3: where the values are, at the calls of a function, that a collector, a debugger or
// a deoptimiser asks for. It is pure Go and knows nothing of an engine; livejit.Engine.StackMap finds the record of a return address.
//
// A section .llvm_stackmaps holds one map or several, one after another ([Parse]). A map has functions, and a function has records in the order of the
// code; a record describes one call of llvm.experimental.stackmap, llvm.experimental.patchpoint or llvm.experimental.gc.statepoint by its
// locations, which are numbered as the values were in the call. What the locations of a statepoint mean says [Record.Statepoint].
//
// References: LLVM 22, "Stack maps and patch points in LLVM", section Stack Map Format; "Garbage Collection Safepoints in LLVM", section
// Statepoint Stack Map Format. Registers have DWARF numbers (System V AMD64 psABI, figure 3.36; AArch64 DWARF, section 4.1).
package stackmap

import (
	"encoding/binary"
	"fmt"
)

// Version is the version of the format that this package reads.
const Version = 3

// DynamicFrame is the StackSize of a function whose frame has no fixed size.
const DynamicFrame = ^uint64(0)

// Map is one stack map: that of one module, as a compiler wrote it.
type Map struct {
	Functions []Function
	Constants []uint64 // that locations of kind ConstantIndex refer to
}

// Function has the records of one function.
type Function struct {
	Address   uint64 // as in the section: 0 in an object that is not linked
	Field     int    // where in the section Address stands, for who applies relocations
	StackSize uint64 // bytes of the frame below the return address, without pushed registers of the entry; or DynamicFrame
	Records   []Record
}

// Record describes one place in the code.
type Record struct {
	ID        uint64 // as given to the intrinsic
	Offset    uint32 // of the place from the function's start: for a statepoint of its return address, for a patchpoint of its first byte
	Flags     uint16 // reserved, 0 so far
	Locations []Location
	LiveOuts  []LiveOut // registers that live across a patchpoint
}

// Kind says how a Location is to be read.
type Kind uint8

const (
	Register      Kind = 1 // the value is in register Reg
	Direct        Kind = 2 // the value is the address Reg + Offset: that of a stack object
	Indirect      Kind = 3 // the value is in memory at Reg + Offset: it was spilled
	Constant      Kind = 4 // the value is Offset
	ConstantIndex Kind = 5 // the value is number Offset of the map's Constants; Value resolves it
)

var kinds = [...]string{1: "Register", 2: "Direct", 3: "Indirect", 4: "Constant", 5: "ConstantIndex"}

// String is the kind as LLVM calls it.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kinds[k]
}

// Location is where one value is.
type Location struct {
	Kind   Kind
	Size   uint16 // of the value, in bytes
	Reg    uint16 // DWARF number, for Register, Direct and Indirect
	Offset int32  // bytes, or the constant, or its number
	Value  uint64 // for Constant and ConstantIndex: the constant, sign-extended
}

// String is the location in one line, such as "Indirect [R6 + -16], size 8".
func (l Location) String() string {
	switch l.Kind {
	case Register:
		return fmt.Sprintf("Register R%d, size %d", l.Reg, l.Size)
	case Direct:
		return fmt.Sprintf("Direct R%d + %d, size %d", l.Reg, l.Offset, l.Size)
	case Indirect:
		return fmt.Sprintf("Indirect [R%d + %d], size %d", l.Reg, l.Offset, l.Size)
	case Constant:
		return fmt.Sprintf("Constant %d, size %d", l.Offset, l.Size)
	}
	return fmt.Sprintf("ConstantIndex #%d (%d), size %d", l.Offset, l.Value, l.Size)
}

// LiveOut is a register that holds a value that is used after the place.
type LiveOut struct {
	Reg  uint16 // DWARF number
	Size uint8  // bytes of it that are used
}

// FormatError says where a section is no stack map.
type FormatError struct {
	Offset int // in the section
	Reason string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("stack map: offset %#x: %s", e.Offset, e.Reason)
}

// reader takes the section apart; the first error ends it.
type reader struct {
	data []byte
	at   int
	err  *FormatError
}

func (r *reader) fail(at int, format string, a ...any) {
	if r.err == nil {
		r.err = &FormatError{Offset: at, Reason: fmt.Sprintf(format, a...)}
	}
}

// take returns the next n bytes, zeros after an error.
func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.data)-r.at < n {
		r.fail(r.at, "%d bytes are left, %d are needed", len(r.data)-r.at, n)
	}
	if r.err != nil {
		return make([]byte, n)
	}
	b := r.data[r.at:][:n]
	r.at += n
	return b
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// align skips to a multiple of 8.
func (r *reader) align() { r.take(-r.at & 7) }

// fits says whether n things of size bytes can follow: a count that is too large must not cost memory.
func (r *reader) fits(what string, n, size uint64) bool {
	if r.err == nil && n > uint64(len(r.data)-r.at)/size {
		r.fail(r.at, "%d %s do not fit into %d bytes", n, what, len(r.data)-r.at)
	}
	return r.err == nil
}

// Parse reads all maps of a section, in the byte order of all targets so far: little endian. An empty section has none. Errors are *FormatError.
func Parse(section []byte) ([]Map, error) {
	r := &reader{data: section}
	var maps []Map
	for r.err == nil && r.at < len(section) {
		maps = append(maps, r.readMap())
		r.skipPadding()
	}
	if r.err != nil {
		return nil, r.err
	}
	return maps, nil
}

// skipPadding steps over zeros up to the next multiple of 8, which linkers put between sections.
func (r *reader) skipPadding() {
	for r.err == nil && r.at%8 != 0 && r.at < len(r.data) {
		if r.u8() != 0 {
			r.fail(r.at-1, "garbage between maps")
		}
	}
}

func (r *reader) readMap() (m Map) {
	start := r.at
	version := r.u8()
	if r.err == nil && version != Version {
		r.fail(start, "version %d, not %d", version, Version)
	}
	r.take(3)
	functions, constants, records := uint64(r.u32()), uint64(r.u32()), uint64(r.u32())
	if !r.fits("functions", functions, 24) {
		return m
	}
	m.Functions = make([]Function, functions)
	counts := make([]uint64, functions)
	var total uint64
	for i := range m.Functions {
		f := &m.Functions[i]
		f.Field = r.at
		f.Address, f.StackSize, counts[i] = r.u64(), r.u64(), r.u64()
		if counts[i] > records-total {
			r.fail(r.at-8, "functions have more records than the %d of the map", records)
			return m
		}
		total += counts[i]
	}
	if r.err == nil && total != records {
		r.fail(start, "functions have %d records, the map %d", total, records)
	}
	if !r.fits("constants", constants, 8) {
		return m
	}
	m.Constants = make([]uint64, constants)
	for i := range m.Constants {
		m.Constants[i] = r.u64()
	}
	if !r.fits("records", records, 24) {
		return m
	}
	for i := range m.Functions {
		m.Functions[i].Records = make([]Record, 0, counts[i])
		for range counts[i] {
			if r.err != nil {
				return m
			}
			m.Functions[i].Records = append(m.Functions[i].Records, r.readRecord(m.Constants))
		}
	}
	return m
}

func (r *reader) readRecord(constants []uint64) (record Record) {
	record.ID, record.Offset, record.Flags = r.u64(), r.u32(), r.u16()
	if n := uint64(r.u16()); r.fits("locations", n, 12) {
		record.Locations = make([]Location, n)
	}
	for i := range record.Locations {
		l := &record.Locations[i]
		at := r.at
		l.Kind = Kind(r.u8())
		r.u8()
		l.Size, l.Reg = r.u16(), r.u16()
		r.u16()
		l.Offset = int32(r.u32())
		switch {
		case r.err != nil:
		case l.Kind < Register || l.Kind > ConstantIndex:
			r.fail(at, "location of unknown kind %d", uint8(l.Kind))
		case l.Kind == Constant:
			l.Value = uint64(int64(l.Offset))
		case l.Kind == ConstantIndex && (l.Offset < 0 || int(l.Offset) >= len(constants)):
			r.fail(at, "constant number %d of %d", l.Offset, len(constants))
		case l.Kind == ConstantIndex:
			l.Value = constants[l.Offset]
		}
	}
	r.align()
	r.u16()
	if n := uint64(r.u16()); r.fits("live-out registers", n, 4) {
		record.LiveOuts = make([]LiveOut, n)
	}
	for i := range record.LiveOuts {
		record.LiveOuts[i].Reg = r.u16()
		r.u8()
		record.LiveOuts[i].Size = r.u8()
	}
	r.align()
	return record
}

// Statepoint is what the record of a statepoint says.
type Statepoint struct {
	CallingConvention uint64
	Flags             uint64
	Deopt             []Location // values for deoptimisation, as given to the call
	Roots             []Root
	Allocas           []Location // stack objects that hold roots themselves, of kind Direct
}

// Root is a pointer into an object of a collected heap. A collector that moves the object of Base rewrites both places: Derived keeps its distance
// to Base. They are the same place for a pointer to an object's start.
type Root struct{ Base, Derived Location }

// Statepoint reads the locations as those of a statepoint. ok is false if they are not: another intrinsic made the record.
func (r *Record) Statepoint() (s Statepoint, ok bool) {
	l := r.Locations
	if len(l) < 3 || !l[0].constant() || !l[1].constant() || !l[2].constant() {
		return s, false
	}
	s.CallingConvention, s.Flags = l[0].Value, l[1].Value
	n := l[2].Value
	l = l[3:]
	if n > uint64(len(l)) {
		return s, false
	}
	s.Deopt, l = l[:n], l[n:]
	for len(l) > 0 && l[0].Kind != Direct {
		if len(l) < 2 {
			return s, false
		}
		s.Roots = append(s.Roots, Root{Base: l[0], Derived: l[1]})
		l = l[2:]
	}
	for _, a := range l {
		if a.Kind != Direct {
			return s, false
		}
	}
	s.Allocas = l
	return s, true
}

func (l Location) constant() bool { return l.Kind == Constant || l.Kind == ConstantIndex }
