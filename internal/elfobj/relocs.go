package elfobj

import (
	"debug/elf"
	"encoding/binary"
)

const (
	relaSize = 24
	relSize  = 16
)

// relocTable is one relocation section, checked.
type relocTable struct {
	section  int // its index
	target   int // the section that its relocations apply to
	count    int
	implicit bool   // addends stand in the target's data
	data     []byte // the entries
	crel     crelHeader
}

// readRelocs reads all relocation sections. They are checked and counted first,
// so that one allocation holds all relocations of the file.
func (r *reader) readRelocs() error {
	var tables []relocTable
	var total int
	var size uint64
	for i := range r.file.Sections {
		s := &r.file.Sections[i]
		if s.Type != elf.SHT_RELA && s.Type != elf.SHT_REL && s.Type != SHT_CREL {
			continue
		}
		// Sections do not share bytes: together they cannot be larger than the
		// file. Without this check, overlapping ones would cost memory out of
		// proportion.
		if size += uint64(len(s.Data)); size > uint64(len(r.data)) {
			return r.headerField(i, 0x18, "relocation sections overlap")
		}
		t, err := r.relocTable(i, s)
		if err != nil {
			return err
		}
		total += t.count
		tables = append(tables, t)
	}
	pool := make([]Reloc, total)
	for i := range tables {
		t := &tables[i]
		relocs := pool[:t.count:t.count]
		pool = pool[t.count:]
		if err := r.readTable(t, relocs); err != nil {
			return err
		}
		target := &r.file.Sections[t.target]
		if target.Relocs == nil {
			target.Relocs = relocs
		} else {
			target.Relocs = append(target.Relocs, relocs...)
		}
	}
	return nil
}

// relocTable checks the header of relocation section i.
func (r *reader) relocTable(i int, s *Section) (relocTable, error) {
	t := relocTable{section: i, target: int(s.Info), data: s.Data}
	if s.Info == 0 || uint64(s.Info) >= uint64(len(r.file.Sections)) {
		return t, r.headerField(i, 0x2c, "relocations are for section %d of %d", s.Info, len(r.file.Sections))
	}
	if s.Link != uint32(r.symtab) {
		return t, r.headerField(i, 0x28, "relocations use the symbol table in section %d, not that of the file (section %d)", s.Link, r.symtab)
	}
	entry := uint64(relaSize)
	switch s.Type {
	case SHT_CREL:
		var err error
		if t.crel, t.data, err = r.crelHeader(i, s.Data); err != nil {
			return t, err
		}
		t.count, t.implicit = t.crel.count, !t.crel.addends
		return t, r.checkTarget(&t)
	case elf.SHT_REL:
		entry, t.implicit = relSize, true
	}
	if s.Entsize != entry {
		return t, r.headerField(i, 0x38, "relocation size is %d, want %d", s.Entsize, entry)
	}
	if s.Size%entry != 0 {
		return t, r.headerField(i, 0x20, "size %#x of the relocations is not a multiple of %d", s.Size, entry)
	}
	t.count = int(s.Size / entry)
	return t, r.checkTarget(&t)
}

// checkTarget refuses relocations for what has no data to be relocated.
func (r *reader) checkTarget(t *relocTable) error {
	target := &r.file.Sections[t.target]
	if t.count != 0 && (target.Type == elf.SHT_NOBITS || target.Type == elf.SHT_NULL) {
		return r.headerField(t.section, 0x2c, "relocations are for %s, which has no content", r.where(t.target))
	}
	return nil
}

// readTable reads the relocations of t into out, which has room for just them.
func (r *reader) readTable(t *relocTable, out []Reloc) error {
	switch {
	case r.file.Sections[t.section].Type == SHT_CREL:
		if err := r.decodeCREL(t, out); err != nil {
			return err
		}
	case t.implicit:
		decodeREL(t.data, out)
	default:
		decodeRELA(t.data, out)
	}
	target := &r.file.Sections[t.target]
	symbols := max(uint32(len(r.file.Symbols)), 1) // the null symbol is there without a table, too
	for i := range out {
		rel := &out[i]
		if rel.Sym >= symbols {
			return r.relocError(t, i, "symbol index %d of %d symbols", rel.Sym, len(r.file.Symbols))
		}
		// An R_*_NONE may stand at the very end. How many bytes the other kinds
		// need is checked where they are applied.
		if rel.Offset > target.Size {
			return r.relocError(t, i, "offset %#x is outside of %s (%#x bytes)", rel.Offset, r.where(t.target), target.Size)
		}
		if !t.implicit {
			continue
		}
		f, ok := implicitField(r.file.Machine, rel.Type)
		if !ok {
			return r.relocError(t, i, "kind %s cannot have an addend in the section", kindName(r.file.Machine, rel.Type))
		}
		if rel.Addend, ok = f.read(target.Data, rel.Offset); !ok {
			return r.relocError(t, i, "addend at offset %#x goes beyond the end of %s (%#x bytes)", rel.Offset, r.where(t.target), target.Size)
		}
	}
	return nil
}

// relocError reports a fault of relocation i of t. Entries of SHT_CREL have no
// fixed place: there the section's start is given.
func (r *reader) relocError(t *relocTable, i int, format string, args ...any) error {
	var off uint64
	switch r.file.Sections[t.section].Type {
	case elf.SHT_RELA:
		off = uint64(i) * relaSize
	case elf.SHT_REL:
		off = uint64(i) * relSize
	}
	return r.contentError(t.section, off, "relocation %d: "+format, append([]any{i}, args...)...)
}

func decodeRELA(data []byte, out []Reloc) {
	le := binary.LittleEndian
	for i := range out {
		e := data[i*relaSize : (i+1)*relaSize]
		info := le.Uint64(e[8:])
		out[i] = Reloc{
			Offset: le.Uint64(e),
			Type:   uint32(info),
			Sym:    uint32(info >> 32),
			Addend: int64(le.Uint64(e[16:])),
		}
	}
}

func decodeREL(data []byte, out []Reloc) {
	le := binary.LittleEndian
	for i := range out {
		e := data[i*relSize : (i+1)*relSize]
		info := le.Uint64(e[8:])
		out[i] = Reloc{Offset: le.Uint64(e), Type: uint32(info), Sym: uint32(info >> 32)}
	}
}

func kindName(m elf.Machine, kind uint32) string {
	if m == elf.EM_AARCH64 {
		return elf.R_AARCH64(kind).String()
	}
	return elf.R_X86_64(kind).String()
}
