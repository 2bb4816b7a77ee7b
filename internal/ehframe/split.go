package ehframe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
)

// Split cuts a .eh_frame section into its records, in their order. A terminator
// (a length of 0) ends the section: what follows it is not read, as unwinders
// do not. Errors are *FormatError.
//
// An FDE's CIE must be in the same section, before or after it.
func Split(data []byte) ([]Record, error) {
	records, err := cut(data)
	if err != nil {
		return nil, err
	}
	// FDEs need the encodings of their CIE, so CIEs come first.
	for i := range records {
		if r := &records[i]; r.CIE < 0 {
			if err := parseCIE(data, r); err != nil {
				return nil, err
			}
		}
	}
	last := 0 // FDEs of one CIE mostly stand together
	for i := range records {
		r := &records[i]
		if r.CIE < 0 {
			continue
		}
		if last, err = findCIE(data, records, r, last); err != nil {
			return nil, err
		}
		r.CIE = last
		if err := parseFDE(data, r, &records[last]); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// cut finds the records and whether they are CIEs (Record.CIE is -1) or FDEs.
func cut(data []byte) ([]Record, error) {
	n := 0
	for off, end := uint64(0), uint64(len(data)); off < end; n++ {
		body, length, err := recordLength(data, off)
		if err != nil {
			return nil, err
		}
		if length == 0 {
			break
		}
		off = body + length
	}
	records := make([]Record, n)
	off := uint64(0)
	for i := range records {
		r := &records[i]
		body, length, _ := recordLength(data, off)
		r.Offset, r.Size = off, body+length-off
		r.CIEPointer = body
		r.DWARF64 = body != off+4
		if binary.LittleEndian.Uint32(data[body:]) == 0 {
			r.CIE = -1
		}
		off = body + length
	}
	return records, nil
}

// recordLength reads the length at off: length bytes follow from body on. It is
// 0 for a terminator; else a CIE pointer fits. That has 4 bytes in .eh_frame,
// even with an 8-byte length, unlike in .debug_frame (LSB Core 10.6.1).
func recordLength(data []byte, off uint64) (body, length uint64, err error) {
	end := uint64(len(data))
	if end-off < 4 {
		return 0, 0, lengthError(off, "length is truncated")
	}
	body, length = off+4, uint64(binary.LittleEndian.Uint32(data[off:]))
	if length >= 0xfffffff0 {
		if length != 0xffffffff {
			return 0, 0, lengthError(off, "length %#x is reserved", length)
		}
		if end-off < 12 {
			return 0, 0, lengthError(off, "64-bit length is truncated")
		}
		body, length = off+12, binary.LittleEndian.Uint64(data[off+4:])
	} else if length == 0 {
		return body, 0, nil
	}
	if length > end-body {
		return 0, 0, lengthError(off, "length %#x goes beyond the end of the section (%#x bytes)", length, end)
	}
	if length < 4 {
		return 0, 0, lengthError(off, "length %d leaves no room for a CIE pointer", length)
	}
	return body, length, nil
}

func lengthError(off uint64, format string, args ...any) error {
	return &FormatError{Record: "record", Offset: off, At: off, Msg: fmt.Sprintf(format, args...)}
}

// findCIE returns the index of the CIE that FDE r names. guess is tried first.
func findCIE(data []byte, records []Record, r *Record, guess int) (int, error) {
	delta := int64(int32(binary.LittleEndian.Uint32(data[r.CIEPointer:])))
	at := uint64(int64(r.CIEPointer) - delta)
	if c := &records[guess]; c.Offset == at && c.CIE < 0 {
		return guess, nil
	}
	i := sort.Search(len(records), func(i int) bool { return records[i].Offset >= at })
	if i == len(records) || records[i].Offset != at || records[i].CIE >= 0 {
		return 0, &FormatError{Record: "FDE", Offset: r.Offset, At: r.CIEPointer,
			Msg: fmt.Sprintf("CIE pointer %#x leads to offset %#x, where no CIE starts", uint32(delta), at)}
	}
	return i, nil
}

// parseCIE reads a CIE after its id: version, augmentation, alignment factors,
// return register, augmentation data.
func parseCIE(data []byte, r *Record) error {
	c := newCursor(data, r, "CIE")
	r.PCEncoding, r.LSDAEncoding, r.PersonalityEncoding = PEAbsPtr, PEOmit, PEOmit
	version := c.byte()
	if c.err == nil && version != 1 && version != 3 && version != 4 {
		return c.fail(c.at-1, "version %d is not supported", version)
	}
	r.Augmentation = c.string()
	if version == 4 {
		if address, segment := c.byte(), c.byte(); c.err == nil && (address != 8 || segment != 0) {
			return c.fail(c.at-2, "addresses of %d bytes with segments of %d are not supported", address, segment)
		}
	}
	c.uleb() // code alignment factor
	c.sleb() // data alignment factor
	if version == 1 {
		c.byte() // return address register
	} else {
		c.uleb()
	}
	letters := r.Augmentation
	sized := len(letters) > 0 && letters[0] == 'z'
	var end uint64
	if sized {
		letters = letters[1:]
		end = c.block()
	}
	for _, letter := range []byte(letters) {
		switch letter {
		case 'R':
			r.PCEncoding = c.encoding()
		case 'L':
			r.LSDAEncoding = c.encoding()
		case 'P':
			if r.PersonalityEncoding = c.encoding(); r.PersonalityEncoding != PEOmit {
				r.Personality, _ = c.pointer(r.PersonalityEncoding)
			}
		case 'S':
			r.SignalFrame = true
		case 'B', 'G': // AArch64: return addresses signed with key B, tagged stack
		default:
			return c.fail(c.at, "augmentation %q: letter %q is not supported", r.Augmentation, letter)
		}
	}
	if c.err == nil && r.PCEncoding == PEOmit {
		return c.fail(c.at, "augmentation %q: FDEs would have no start address", r.Augmentation)
	}
	if sized {
		c.endBlock(end)
	}
	r.Instructions = c.at
	return c.err
}

// parseFDE reads an FDE after its CIE pointer: start, size, augmentation data.
func parseFDE(data []byte, r, cie *Record) error {
	c := newCursor(data, r, "FDE")
	r.PCEncoding, r.LSDAEncoding, r.PersonalityEncoding = cie.PCEncoding, cie.LSDAEncoding, cie.PersonalityEncoding
	r.Augmentation, r.SignalFrame = cie.Augmentation, cie.SignalFrame
	r.PCBegin, _ = c.pointer(r.PCEncoding)
	// The size has the start's format, but is never relative to anything.
	r.PCRange, r.PCLength = c.pointer(r.PCEncoding & 0x0f)
	sized := len(r.Augmentation) > 0 && r.Augmentation[0] == 'z'
	var end uint64
	if sized {
		end = c.block()
	}
	if r.LSDAEncoding != PEOmit {
		r.LSDA, _ = c.pointer(r.LSDAEncoding)
	}
	if sized {
		c.endBlock(end)
	}
	r.Instructions = c.at
	return c.err
}

// cursor reads a record's fields. After a failure err is set and reads yield 0.
type cursor struct {
	data    []byte // the section up to the end of the record, or of the augmentation data
	at      uint64
	full    []byte // the section up to the end of the record
	section *Record
	kind    string
	err     error
}

func newCursor(section []byte, r *Record, kind string) cursor {
	data := section[:r.Offset+r.Size]
	return cursor{data: data, full: data, at: r.CIEPointer + 4, section: r, kind: kind}
}

func (c *cursor) fail(at uint64, format string, args ...any) error {
	if c.err == nil {
		c.err = &FormatError{Record: c.kind, Offset: c.section.Offset, At: at, Msg: fmt.Sprintf(format, args...)}
	}
	return c.err
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n uint64) []byte {
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.data))-c.at {
		c.fail(c.at, "field of size %d does not fit the %d bytes left", n, uint64(len(c.data))-c.at)
		return nil
	}
	c.at += n
	return c.data[c.at-n : c.at]
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) string() string {
	if c.err != nil {
		return ""
	}
	n := bytes.IndexByte(c.data[c.at:], 0)
	if n < 0 {
		c.fail(c.at, "augmentation is not terminated")
		return ""
	}
	s := c.data[c.at : c.at+uint64(n)]
	c.at += uint64(n) + 1
	return string(s)
}

func (c *cursor) uleb() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.data[c.at:])
	if n <= 0 {
		c.fail(c.at, "number is truncated or too large")
		return 0
	}
	c.at += uint64(n)
	return v
}

func (c *cursor) sleb() uint64 {
	var v uint64
	start := c.at
	for shift := uint(0); ; shift += 7 {
		b := c.byte()
		if shift > 63 {
			c.fail(start, "number is too large")
		}
		if c.err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 64 {
				v |= ^uint64(0) << (shift + 7)
			}
			return v
		}
	}
}

// block begins augmentation data, a size and that many bytes, and confines
// reads to it. endBlock skips what is left of it.
func (c *cursor) block() (end uint64) {
	at := c.at
	n := c.uleb()
	if c.err == nil && n > uint64(len(c.data))-c.at {
		c.fail(at, "augmentation data of %d bytes goes beyond the end of the record", n)
	}
	if c.err != nil {
		return 0
	}
	c.data = c.data[:c.at+n]
	return c.at + n
}

func (c *cursor) endBlock(end uint64) {
	if c.err == nil {
		c.at, c.data = end, c.full
	}
}

// encoding reads a pointer encoding and checks it.
func (c *cursor) encoding() byte {
	enc := c.byte()
	if c.err != nil || enc == PEOmit {
		return enc
	}
	switch enc & 0x0f {
	case PEAbsPtr, PEULEB128, PEUData2, PEUData4, PEUData8, PESigned, PESLEB128, PESData2, PESData4, PESData8:
	default:
		c.fail(c.at-1, "unknown pointer encoding %#x", enc)
	}
	switch apply := enc & 0x70; {
	case apply > PEAligned:
		c.fail(c.at-1, "unknown pointer encoding %#x", enc)
	case apply == PEAligned && enc&0x0f != PEAbsPtr:
		c.fail(c.at-1, "aligned pointer encoding %#x is not that of a whole pointer", enc)
	}
	return enc
}

// pointer returns the offset and the value of the next field, which has the
// given encoding. Aligned pointers stand at the next multiple of 8: sections
// that use those are aligned so.
func (c *cursor) pointer(enc byte) (at, value uint64) {
	if enc&0x70 == PEAligned {
		c.take(-c.at & 7)
	}
	at = c.at
	switch enc & 0x0f {
	case PEULEB128:
		value = c.uleb()
	case PESLEB128:
		value = c.sleb()
	case PEUData2, PESData2:
		if b := c.take(2); b != nil {
			value = uint64(binary.LittleEndian.Uint16(b))
		}
	case PEUData4, PESData4:
		if b := c.take(4); b != nil {
			value = uint64(binary.LittleEndian.Uint32(b))
		}
	default:
		if b := c.take(8); b != nil {
			value = binary.LittleEndian.Uint64(b)
		}
	}
	return at, value
}
