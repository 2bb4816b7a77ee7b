package elfobj

import "encoding/binary"

// crelHeader is the first number of a SHT_CREL section. Each entry after it
// holds the differences to the entry before (LLVM, "CREL relocation format").
type crelHeader struct {
	count   int
	addends bool // explicit addends; else they stand in the target's data
	shift   uint // offsets are in units of 1<<shift bytes
}

func (r *reader) crelHeader(i int, data []byte) (crelHeader, []byte, error) {
	h, n := binary.Uvarint(data)
	if n <= 0 {
		return crelHeader{}, nil, r.contentError(i, 0, "bad header of compact relocations")
	}
	rest := data[n:]
	if h>>3 > uint64(len(rest)) { // an entry has one byte or more
		return crelHeader{}, nil, r.contentError(i, 0, "%d compact relocations do not fit %#x bytes", h>>3, len(data))
	}
	return crelHeader{count: int(h >> 3), addends: h&4 != 0, shift: uint(h & 3)}, rest, nil
}

func (r *reader) decodeCREL(t *relocTable, out []Reloc) error {
	flagBits := 2
	if t.crel.addends {
		flagBits = 3
	}
	c := cursor{data: t.data}
	var offset uint64
	var prev Reloc
	for i := range out {
		// The first byte holds the flags and the low bits of the difference of
		// the offsets, a continued number the other bits.
		b := c.byte()
		offset += uint64(b&0x7f) >> flagBits
		if b >= 0x80 {
			offset += c.uleb() << (7 - flagBits)
		}
		if b&1 != 0 {
			prev.Sym += uint32(c.sleb())
		}
		if b&2 != 0 {
			prev.Type += uint32(c.sleb())
		}
		if b&4 != 0 && t.crel.addends {
			prev.Addend += c.sleb()
		}
		if c.bad {
			return r.relocError(t, i, "compact relocation is truncated or out of range")
		}
		prev.Offset = offset << t.crel.shift
		out[i] = prev
	}
	return nil
}

// cursor reads a byte stream; after a failed read bad is set and reads yield 0.
type cursor struct {
	data []byte
	bad  bool
}

func (c *cursor) byte() byte {
	if len(c.data) == 0 {
		c.bad = true
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *cursor) uleb() uint64 {
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		b := c.byte()
		if c.bad || shift > 63 {
			c.bad = true
			return 0
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}
