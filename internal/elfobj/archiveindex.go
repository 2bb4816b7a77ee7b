package elfobj

import (
	"encoding/binary"
	"slices"
	"strings"
)

// symbolTableKind tells the formats of an archive's symbol table apart. GNU: a
// big-endian count, that many offsets of member headers, then the names in
// the same order. BSD: the little-endian size in bytes of pairs {offset of the name, offset of
// the member header}, the pairs, the size of the names, the names.
type symbolTableKind uint8

const (
	noSymbols symbolTableKind = iota
	gnu32
	gnu64
	bsd32
	bsd64
)

type symbolTable struct {
	kind   symbolTableKind
	offset int // of the data in the archive
	data   []byte
}

func (r *archiveReader) setSymbols(kind symbolTableKind, m rawMember) error {
	if r.symbols.kind != noSymbols {
		return r.errorf("symbol table", m.offset, "second one")
	}
	r.symbols = symbolTable{kind: kind, data: m.data, offset: m.offset + memberHeader}
	return nil
}

func (r *archiveReader) indexTable() error {
	switch r.symbols.kind {
	case gnu32:
		return r.indexGNU(4)
	case gnu64:
		return r.indexGNU(8)
	case bsd32:
		return r.indexBSD(4)
	}
	return r.indexBSD(8)
}

func (r *archiveReader) indexGNU(word int) error {
	t := &r.symbols
	number := func(i int) uint64 {
		if word == 4 {
			return uint64(binary.BigEndian.Uint32(t.data[i*4:]))
		}
		return binary.BigEndian.Uint64(t.data[i*8:])
	}
	if len(t.data) < word {
		return r.errorf("symbol table", t.offset, "truncated")
	}
	n := number(0)
	if n > uint64(len(t.data)/word-1) {
		return r.errorf("symbol table", t.offset, "%d symbols do not fit its %d bytes", n, len(t.data))
	}
	count := int(n)
	names := string(t.data[(count+1)*word:])
	r.archive.Index = make(map[string]int, count)
	for i := range count {
		name, rest, ok := strings.Cut(names, "\x00")
		if !ok {
			return r.errorf("symbol table", t.offset+len(t.data), "names end after %d of %d symbols", i, count)
		}
		names = rest
		if err := r.index(name, number(i+1), t.offset+(i+1)*word); err != nil {
			return err
		}
	}
	return nil
}

func (r *archiveReader) indexBSD(word int) error {
	t := &r.symbols
	number := func(off int) uint64 {
		if word == 4 {
			return uint64(binary.LittleEndian.Uint32(t.data[off:]))
		}
		return binary.LittleEndian.Uint64(t.data[off:])
	}
	if len(t.data) < 2*word {
		return r.errorf("symbol table", t.offset, "truncated")
	}
	size := number(0)
	if size > uint64(len(t.data)-2*word) || size%uint64(2*word) != 0 {
		return r.errorf("symbol table", t.offset, "%d bytes of symbols do not fit its %d bytes", size, len(t.data))
	}
	count := int(size) / (2 * word)
	names := string(t.data[int(size)+2*word:])
	r.archive.Index = make(map[string]int, count)
	for i := range count {
		at := word + i*2*word
		off := number(at)
		if off >= uint64(len(names)) {
			return r.errorf("symbol table", t.offset+at, "name at %d is outside of its %d bytes of names", off, len(names))
		}
		name, _, ok := strings.Cut(names[off:], "\x00")
		if !ok {
			return r.errorf("symbol table", t.offset+at, "name at %d is not terminated", off)
		}
		if err := r.index(name, number(at+word), t.offset+at+word); err != nil {
			return err
		}
	}
	return nil
}

// index enters a symbol of the member whose header is at offset header; at is
// where the table says so.
func (r *archiveReader) index(name string, header uint64, at int) error {
	i, ok := slices.BinarySearchFunc(r.offsets, header, func(off int, h uint64) int {
		switch {
		case uint64(off) < h:
			return -1
		case uint64(off) > h:
			return 1
		}
		return 0
	})
	if !ok {
		return r.errorf("symbol table", at, "symbol %q is said to be at %#x, where no member starts", name, header)
	}
	if first, ok := r.archive.Index[name]; !ok || i < first {
		r.archive.Index[name] = i
	}
	return nil
}
