// Package elfobj reads ELF64 little-endian relocatable objects and ar archives
// into plain data.
//
// A File is a faithful, checked picture of the object: indices of the result
// are the indices of the file (Sections[0] and Symbols[0] are the null entries
// of the format), and every index that the result holds (Reloc.Sym,
// Symbol.Section, Group.Members, Section.Group) is in range. Sizes, offsets and
// counts of the input are checked before they are believed: bad input yields a
// *FormatError and never a panic, and memory stays within a small multiple of
// the input (compressed sections: within decompressLimit).
//
// The package interprets nothing. What a section, symbol or relocation means
// is package linkgraph's to say.
//
// Section data aliases the input, which must therefore stay unchanged as long
// as the File is in use. Names do not: they are substrings of one copy of each
// string table. Results are plain values without hidden state and may be read
// by several goroutines at once.
//
// References: System V gABI chapter 4 and 5 (object files, sections, groups,
// extended section numbering), x86-64 psABI 4.2 to 4.4, AAELF64 (relocations
// of AArch64, implicit addends in 5.7).
package elfobj

import (
	"debug/elf"
	"fmt"
	"strings"
)

// SHT_X86_64_UNWIND is the x86-64 section type of .eh_frame (psABI 4.2.2);
// debug/elf does not name it.
const SHT_X86_64_UNWIND elf.SectionType = 0x70000001

// SHT_CREL is the section type of compact relocations, which clang writes under
// -Wa,--crel; debug/elf does not name it.
const SHT_CREL elf.SectionType = 0x40000014

// Values of Symbol.Section that are no section index.
const (
	Undef  int32 = 0  // not defined in this object
	Abs    int32 = -1 // an absolute value
	Common int32 = -2 // to be allocated; Symbol.Value is the alignment
)

// File is one relocatable object.
type File struct {
	Name     string // as given to Read; only for messages
	Machine  elf.Machine
	Flags    uint32 // e_flags
	Sections []Section
	Symbols  []Symbol
	Groups   []Group // in the order of their SHT_GROUP sections
}

// Section is one section header with what belongs to it.
type Section struct {
	Name  string
	Type  elf.SectionType
	Flags elf.SectionFlag // without SHF_COMPRESSED: Data is plain
	// Size is the size in memory in bytes: of the decompressed data if the
	// section was compressed. It is below 1<<47, also for SHT_NOBITS.
	Size uint64
	// Align is a power of two or 0; 0 and 1 both mean no constraint.
	Align   uint64
	Entsize uint64
	Link    uint32 // sh_link as in the file, checked where this package follows it
	Info    uint32 // sh_info likewise
	// Data is nil for SHT_NOBITS and SHT_NULL. It aliases the input unless the
	// section was compressed.
	Data []byte
	// Relocs apply to this section, in the order of the file, which need not be
	// that of their offsets. Offset is at most Size.
	Relocs []Reloc
	Group  int32 // index into File.Groups, or -1
}

// IsEHFrame reports whether the section holds .eh_frame records.
// Assemblers disagree on the type: SHT_PROGBITS or SHT_X86_64_UNWIND.
func (s *Section) IsEHFrame(m elf.Machine) bool {
	if s.Type == SHT_X86_64_UNWIND && m == elf.EM_X86_64 {
		return true
	}
	return s.Name == ".eh_frame" && s.Type == elf.SHT_PROGBITS
}

// Reloc is one relocation. The addend of a REL relocation has been read out of
// the section's data.
type Reloc struct {
	Offset uint64 // in bytes from the start of the section
	Addend int64
	Type   uint32 // R_X86_64_* or R_AARCH64_*
	Sym    uint32 // index into File.Symbols; 0 is the null symbol, whose value is 0
}

// Symbol is one entry of the symbol table. Section symbols (STT_SECTION) have
// an empty name, as in the file.
type Symbol struct {
	Name string
	// Value is an offset from the start of the section, an absolute value, or
	// the alignment of a common symbol (a power of two). It may lie outside
	// of the section: assemblers allow that.
	Value   uint64
	Size    uint64 // in bytes
	Section int32  // index into File.Sections, or Undef, Abs, Common
	Bind    elf.SymBind
	Type    elf.SymType
	Vis     elf.SymVis
}

// Group is one section group (SHT_GROUP).
type Group struct {
	Signature string   // name of the symbol that identifies the group
	Symbol    uint32   // that symbol's index
	COMDAT    bool     // GRP_COMDAT: one group of the signature is kept
	Members   []uint32 // section indices, each in one group only
}

// FormatError says why a file cannot be read.
type FormatError struct {
	File   string // name of the object, or archive(member)
	Where  string // what was being read: "ELF header", "section 3 (.rela.text)", "member 2 (a.o)"
	Offset uint64 // byte offset in the file of what is wrong
	Msg    string
	Err    error // underlying error (decompression), or nil
}

func (e *FormatError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.File)
	if e.Where != "" {
		fmt.Fprintf(&b, "%s at offset %#x: ", e.Where, e.Offset)
	}
	b.WriteString(e.Msg)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *FormatError) Unwrap() error { return e.Err }

// IsObject reports whether data begins like an ELF file of any kind. Whether it
// is an object that can be used, and if not why, is for Read to say.
func IsObject(data []byte) bool {
	return len(data) >= len(elf.ELFMAG) && string(data[:len(elf.ELFMAG)]) == elf.ELFMAG
}

// Read reads a relocatable object. The result's section data aliases data.
// Errors are *FormatError. name is used in messages only.
func Read(name string, data []byte) (*File, error) {
	r := reader{name: name, data: data}
	if err := r.read(); err != nil {
		return nil, err
	}
	return &r.file, nil
}
