package elfobj

import (
	"debug/elf"
	"encoding/binary"
)

// shnX86LCommon is SHN_X86_64_LCOMMON, the section index of common symbols of
// the medium and large code models (psABI 4.4); debug/elf does not name it.
const shnX86LCommon = 0xff02

func (r *reader) readSymbols() error {
	if r.symtab == 0 {
		if r.shndx != 0 {
			return r.headerField(r.shndx, 0x28, "extended section indices without a symbol table")
		}
		return nil
	}
	table := &r.file.Sections[r.symtab]
	if table.Entsize != symbolSize {
		return r.headerField(r.symtab, 0x38, "symbol size is %d, want %d", table.Entsize, symbolSize)
	}
	if len(table.Data)%symbolSize != 0 {
		return r.headerField(r.symtab, 0x20, "size %#x of the symbol table is not a multiple of %d", table.Size, symbolSize)
	}
	if table.Link == 0 || uint64(table.Link) >= uint64(len(r.file.Sections)) {
		return r.headerField(r.symtab, 0x28, "string table has index %d of %d sections", table.Link, len(r.file.Sections))
	}
	names, err := r.stringTable(int(table.Link))
	if err != nil {
		return err
	}
	extended, err := r.extendedIndices()
	if err != nil {
		return err
	}
	n := len(table.Data) / symbolSize
	r.file.Symbols = make([]Symbol, n)
	for i := 1; i < n; i++ { // entry 0 is the null symbol
		e := table.Data[i*symbolSize : (i+1)*symbolSize]
		if err := r.readSymbol(i, e, names, extended); err != nil {
			return err
		}
	}
	return nil
}

// extendedIndices returns the content of the SHT_SYMTAB_SHNDX section, which
// has a word for each symbol.
func (r *reader) extendedIndices() ([]byte, error) {
	if r.shndx == 0 {
		return nil, nil
	}
	s := &r.file.Sections[r.shndx]
	if s.Link != uint32(r.symtab) {
		return nil, r.headerField(r.shndx, 0x28, "extended section indices belong to section %d, which is not the symbol table (section %d)", s.Link, r.symtab)
	}
	if want := len(r.file.Sections[r.symtab].Data) / symbolSize * 4; len(s.Data) != want {
		return nil, r.headerField(r.shndx, 0x20, "extended section indices have size %#x, want %#x", len(s.Data), want)
	}
	return s.Data, nil
}

func (r *reader) readSymbol(i int, e []byte, names string, extended []byte) error {
	le := binary.LittleEndian
	sym := &r.file.Symbols[i]
	var ok bool
	if sym.Name, ok = nameAt(names, le.Uint32(e)); !ok {
		return r.symbolError(i, 0, "name at %#x is outside of the string table (%#x bytes) or not terminated", le.Uint32(e), len(names))
	}
	sym.Bind, sym.Type = elf.ST_BIND(e[4]), elf.ST_TYPE(e[4])
	sym.Vis = elf.ST_VISIBILITY(e[5])
	sym.Value, sym.Size = le.Uint64(e[8:]), le.Uint64(e[16:])

	index := uint32(le.Uint16(e[6:]))
	switch {
	case index == uint32(elf.SHN_ABS):
		sym.Section = Abs
		return nil
	case index == uint32(elf.SHN_COMMON), index == shnX86LCommon && r.file.Machine == elf.EM_X86_64:
		sym.Section = Common
		if sym.Size >= addressSpace {
			return r.symbolError(i, 16, "size %#x of common symbol %q is more than an address space", sym.Size, sym.Name)
		}
		if !isAlignment(sym.Value) {
			return r.symbolError(i, 8, "alignment %#x of common symbol %q is not a power of two below 1<<47", sym.Value, sym.Name)
		}
		return nil
	case index == uint32(elf.SHN_XINDEX):
		if extended == nil {
			return r.symbolError(i, 6, "symbol %q has an extended section index, but the file has no table of those", sym.Name)
		}
		index = le.Uint32(extended[i*4:])
	case index >= uint32(elf.SHN_LORESERVE):
		return r.symbolError(i, 6, "symbol %q has reserved section index %#x", sym.Name, index)
	}
	if uint64(index) >= uint64(len(r.file.Sections)) {
		return r.symbolError(i, 6, "symbol %q has section index %d of %d sections", sym.Name, index, len(r.file.Sections))
	}
	sym.Section = int32(index)
	return nil
}

// symbolError reports a fault at offset off of symbol table entry i.
func (r *reader) symbolError(i int, off uint64, format string, args ...any) error {
	return r.contentError(r.symtab, uint64(i)*symbolSize+off, "symbol %d: "+format, append([]any{i}, args...)...)
}

// grpCOMDAT is GRP_COMDAT; debug/elf does not name it.
const grpCOMDAT = 1

func (r *reader) readGroups() error {
	for i := range r.file.Sections {
		s := &r.file.Sections[i]
		if s.Type != elf.SHT_GROUP {
			continue
		}
		if err := r.readGroup(i, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readGroup(i int, s *Section) error {
	le := binary.LittleEndian
	if len(s.Data) < 4 || len(s.Data)%4 != 0 {
		return r.headerField(i, 0x20, "size %#x of the group is not that of one or more words", len(s.Data))
	}
	flags := le.Uint32(s.Data)
	if flags&^grpCOMDAT != 0 {
		return r.contentError(i, 0, "unknown group flags %#x", flags)
	}
	if r.symtab == 0 || s.Link != uint32(r.symtab) {
		return r.headerField(i, 0x28, "signature of the group is in section %d, which is not the symbol table", s.Link)
	}
	if s.Info == 0 || uint64(s.Info) >= uint64(len(r.file.Symbols)) {
		return r.headerField(i, 0x2c, "signature of the group is symbol %d of %d", s.Info, len(r.file.Symbols))
	}
	sig := &r.file.Symbols[s.Info]
	r.file.Groups = append(r.file.Groups, Group{Signature: sig.Name, Symbol: s.Info, COMDAT: flags&grpCOMDAT != 0})
	number := int32(len(r.file.Groups) - 1)
	g := &r.file.Groups[number]
	if g.Signature == "" && sig.Type == elf.STT_SECTION && sig.Section > 0 {
		// "ld -r" of old binutils names a group by a section symbol.
		g.Signature = r.file.Sections[sig.Section].Name
	}
	g.Members = make([]uint32, 0, len(s.Data)/4-1)
	for off := 4; off < len(s.Data); off += 4 {
		m := le.Uint32(s.Data[off:])
		if m == 0 || uint64(m) >= uint64(len(r.file.Sections)) {
			return r.contentError(i, uint64(off), "member of group %q has section index %d of %d sections", g.Signature, m, len(r.file.Sections))
		}
		member := &r.file.Sections[m]
		if member.Type == elf.SHT_GROUP {
			return r.contentError(i, uint64(off), "member of group %q is %s, a group", g.Signature, r.where(int(m)))
		}
		if member.Group >= 0 {
			return r.contentError(i, uint64(off), "%s is a member of group %q and of group %q", r.where(int(m)), r.file.Groups[member.Group].Signature, g.Signature)
		}
		member.Group = number
		g.Members = append(g.Members, m)
	}
	return nil
}
