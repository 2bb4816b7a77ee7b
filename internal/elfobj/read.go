package elfobj

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// Sizes of the ELF64 records, in bytes.
const (
	headerSize  = 64
	sectionSize = 64
	symbolSize  = 24
)

// addressSpace bounds sizes and alignments: no x86-64 or AArch64 process can
// hold more, and sums of such values cannot overflow in later passes.
const addressSpace = 1 << 47

// reader reads one object. Its steps run in the order in which they stand in
// read, each relying on the ones before it.
type reader struct {
	name string
	data []byte
	file File

	shdrs    []byte // the section header table
	shstrndx uint32

	symtab   int // index of the SHT_SYMTAB section, 0 = none
	shndx    int // index of its SHT_SYMTAB_SHNDX section, 0 = none
	strings  string
	stringsN uint32 // the section that strings is a copy of

	inflater inflater
}

func (r *reader) read() error {
	defer r.inflater.close()
	r.file.Name = r.name
	for _, step := range []func() error{
		r.readHeader,
		r.readSections,
		r.readSectionNames,
		r.decompressSections,
		r.readSymbols,
		r.readGroups,
		r.readRelocs,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// headerError reports a fault of the ELF header at offset off.
func (r *reader) headerError(off uint64, format string, args ...any) error {
	return &FormatError{File: r.name, Where: "ELF header", Offset: off, Msg: fmt.Sprintf(format, args...)}
}

// headerField reports a fault of section i's header at offset off in it.
func (r *reader) headerField(i int, off uint64, format string, args ...any) error {
	at := binary.LittleEndian.Uint64(r.data[0x28:]) + uint64(i)*sectionSize + off
	return &FormatError{File: r.name, Where: r.where(i), Offset: at, Msg: fmt.Sprintf(format, args...)}
}

// contentError reports a fault in section i at offset off of its content.
func (r *reader) contentError(i int, off uint64, format string, args ...any) error {
	return &FormatError{File: r.name, Where: r.where(i), Offset: r.fileOffset(i) + off, Msg: fmt.Sprintf(format, args...)}
}

func (r *reader) where(i int) string {
	if name := r.file.Sections[i].Name; name != "" {
		return fmt.Sprintf("section %d (%s)", i, name)
	}
	return fmt.Sprintf("section %d", i)
}

// fileOffset returns sh_offset of section i.
func (r *reader) fileOffset(i int) uint64 {
	return binary.LittleEndian.Uint64(r.shdrs[i*sectionSize+0x18:])
}

// bytesAt returns size bytes of the input at offset off, ok if they are there.
func (r *reader) bytesAt(off, size uint64) (b []byte, ok bool) {
	n := uint64(len(r.data))
	if off > n || size > n-off {
		return nil, false
	}
	return r.data[off : off+size : off+size], true
}

func (r *reader) readHeader() error {
	d, le := r.data, binary.LittleEndian
	if !IsObject(d) {
		return &FormatError{File: r.name, Msg: "is not an ELF object" + guess(d)}
	}
	if len(d) < elf.EI_NIDENT {
		return r.headerError(uint64(len(d)), "truncated")
	}
	switch c := elf.Class(d[elf.EI_CLASS]); c {
	case elf.ELFCLASS64:
	case elf.ELFCLASS32:
		return r.headerError(elf.EI_CLASS, "is for 32-bit processors; only 64-bit objects are supported")
	default:
		return r.headerError(elf.EI_CLASS, "unknown class %d", byte(c))
	}
	if b := elf.Data(d[elf.EI_DATA]); b != elf.ELFDATA2LSB {
		return r.headerError(elf.EI_DATA, "is not little-endian (%v)", b)
	}
	if v := d[elf.EI_VERSION]; v != byte(elf.EV_CURRENT) {
		return r.headerError(elf.EI_VERSION, "ELF version %d is not supported", v)
	}
	if len(d) < headerSize {
		return r.headerError(uint64(len(d)), "truncated")
	}
	if t := elf.Type(le.Uint16(d[0x10:])); t != elf.ET_REL {
		return r.headerError(0x10, "is %s, not a relocatable object", typeName(t))
	}
	r.file.Machine = elf.Machine(le.Uint16(d[0x12:]))
	if m := r.file.Machine; m != elf.EM_X86_64 && m != elf.EM_AARCH64 {
		return r.headerError(0x12, "is for machine %v; supported are EM_X86_64 and EM_AARCH64", m)
	}
	r.file.Flags = le.Uint32(d[0x30:])
	return r.findSectionHeaders()
}

// findSectionHeaders sets shdrs and shstrndx. Counts that do not fit the ELF
// header stand in section header 0 (gABI, "Extended section numbering").
func (r *reader) findSectionHeaders() error {
	d, le := r.data, binary.LittleEndian
	off, size := le.Uint64(d[0x28:]), le.Uint16(d[0x3a:])
	num, str := uint64(le.Uint16(d[0x3c:])), uint32(le.Uint16(d[0x3e:]))
	if off == 0 {
		if num != 0 || str != 0 {
			return r.headerError(0x28, "has %d sections but no section header table", num)
		}
		return nil
	}
	if size != sectionSize {
		return r.headerError(0x3a, "section header size is %d, want %d", size, sectionSize)
	}
	first, ok := r.bytesAt(off, sectionSize)
	if !ok {
		return r.headerError(0x28, "section header table at %#x is outside of the file (%#x bytes)", off, len(d))
	}
	if num == 0 {
		num = le.Uint64(first[0x20:])
	}
	if str == uint32(elf.SHN_XINDEX) {
		str = le.Uint32(first[0x28:])
	}
	if num > uint64(len(d))/sectionSize {
		return r.headerError(0x3c, "%d section headers do not fit the file (%#x bytes)", num, len(d))
	}
	if r.shdrs, ok = r.bytesAt(off, num*sectionSize); !ok {
		return r.headerError(0x28, "section header table (%d entries at %#x) goes beyond the end of the file (%#x bytes)", num, off, len(d))
	}
	if str != 0 && uint64(str) >= num {
		return r.headerError(0x3e, "section name table has index %d of %d sections", str, num)
	}
	r.shstrndx = str
	return nil
}

func (r *reader) readSections() error {
	le := binary.LittleEndian
	r.file.Sections = make([]Section, len(r.shdrs)/sectionSize)
	for i := range r.file.Sections {
		h := r.shdrs[i*sectionSize : (i+1)*sectionSize]
		s := &r.file.Sections[i]
		s.Group = -1
		s.Type = elf.SectionType(le.Uint32(h[0x04:]))
		if i == 0 || s.Type == elf.SHT_NULL {
			// Inactive: the other fields mean nothing (or hold extended counts).
			if s.Type != elf.SHT_NULL {
				return r.headerField(i, 0x04, "section 0 must be the null section, not %v", s.Type)
			}
			continue
		}
		flags, off := le.Uint64(h[0x08:]), le.Uint64(h[0x18:])
		s.Flags = elf.SectionFlag(flags)
		s.Size = le.Uint64(h[0x20:])
		s.Link, s.Info = le.Uint32(h[0x28:]), le.Uint32(h[0x2c:])
		s.Align, s.Entsize = le.Uint64(h[0x30:]), le.Uint64(h[0x38:])
		if flags>>32 != 0 {
			return r.headerField(i, 0x08, "unknown section flags %#x", flags)
		}
		if s.Size >= addressSpace {
			return r.headerField(i, 0x20, "size %#x is more than an address space", s.Size)
		}
		if !isAlignment(s.Align) {
			return r.headerField(i, 0x30, "alignment %#x is not a power of two below 1<<47", s.Align)
		}
		if err := r.noteTable(i, s); err != nil {
			return err
		}
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		var ok bool
		if s.Data, ok = r.bytesAt(off, s.Size); !ok {
			return r.headerField(i, 0x18, "content (%#x bytes at %#x) goes beyond the end of the file (%#x bytes)", s.Size, off, len(r.data))
		}
	}
	return nil
}

// noteTable records where the symbol table and its index extension are.
func (r *reader) noteTable(i int, s *Section) error {
	switch s.Type {
	case elf.SHT_SYMTAB:
		if r.symtab != 0 {
			return r.headerField(i, 0x04, "second symbol table; the first is section %d", r.symtab)
		}
		r.symtab = i
	case elf.SHT_SYMTAB_SHNDX:
		if r.shndx != 0 {
			return r.headerField(i, 0x04, "second table of extended section indices; the first is section %d", r.shndx)
		}
		r.shndx = i
	}
	return nil
}

func (r *reader) readSectionNames() error {
	if r.shstrndx == 0 {
		return nil
	}
	table, err := r.stringTable(int(r.shstrndx))
	if err != nil {
		return err
	}
	for i := range r.file.Sections {
		if i == 0 {
			continue
		}
		off := binary.LittleEndian.Uint32(r.shdrs[i*sectionSize:])
		name, ok := nameAt(table, off)
		if !ok {
			return r.headerField(i, 0x00, "name at %#x is outside of the section name table (section %d, %#x bytes) or not terminated", off, r.shstrndx, len(table))
		}
		r.file.Sections[i].Name = name
	}
	return nil
}

// stringTable returns a copy of string table i. Most assemblers write one table
// for sections and symbols: it is copied once.
func (r *reader) stringTable(i int) (string, error) {
	if s := &r.file.Sections[i]; s.Type != elf.SHT_STRTAB {
		return "", r.headerField(i, 0x04, "is used as a string table but has type %v", s.Type)
	} else if s.Flags&elf.SHF_COMPRESSED != 0 {
		return "", r.headerField(i, 0x08, "string table is compressed")
	} else if r.stringsN != uint32(i) {
		r.strings, r.stringsN = string(s.Data), uint32(i)
	}
	return r.strings, nil
}

// nameAt returns the string that starts at off; ok if it is in the table and
// terminated. Offset 0 of an empty table is the empty name.
func nameAt(table string, off uint32) (name string, ok bool) {
	if off == 0 && table == "" {
		return "", true
	}
	if uint64(off) >= uint64(len(table)) {
		return "", false
	}
	rest := table[off:]
	n := strings.IndexByte(rest, 0)
	if n < 0 {
		return "", false
	}
	return rest[:n], true
}

func isAlignment(a uint64) bool { return bits.OnesCount64(a) <= 1 && a < addressSpace }

func typeName(t elf.Type) string {
	switch t {
	case elf.ET_DYN:
		return "a shared library or a position-independent executable"
	case elf.ET_EXEC:
		return "an executable"
	case elf.ET_CORE:
		return "a core file"
	}
	return fmt.Sprintf("of ELF type %d", t)
}

// guess names what data is, to end the sentence "is not an ELF object".
func guess(data []byte) string {
	switch {
	case len(data) == 0:
		return ": it is empty"
	case IsArchive(data):
		return " but an ar archive"
	case strings.HasPrefix(string(data[:min(4, len(data))]), "BC\xc0\xde"),
		strings.HasPrefix(string(data[:min(4, len(data))]), "\xde\xc0\x17\x0b"):
		return " but LLVM bitcode"
	}
	return ""
}
