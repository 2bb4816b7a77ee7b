package jitdebug

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// view is an object as a debugger sees it at present.
type view struct {
	*Object
	dropped map[int32]bool      // pieces whose code is gone
	renamed map[int32][2]string // pieces that are old versions: the function's name and what it is shown as
	left    int                 // pieces with code that are there
}

// image makes the ELF file for views: an executable in form, whose sections of code have their
// addresses and no contents, with a symbol table and the debug information of all of them, put
// together as ld -r does. What was dropped has no symbol, and its debug information the address 0, which says to
// debuggers that it was not linked in (DWARF 5, appendix E.2; as linkers do).
func image(views []*view) []byte {
	b := builder{names: []byte{0}, strings: []byte{0}, index: make(map[string]int)}
	for _, v := range views {
		b.addDebug(v)
	}
	b.addCode(views)
	b.addSymbols(views)
	return b.file(views[0].Machine)
}

// section is one section of the file to be.
type section struct {
	elf.Section64
	data []byte
}

type builder struct {
	sections []section
	code     []section // in the order of their addresses
	index    map[string]int
	names    []byte // .shstrtab
	strings  []byte // .strtab
}

func (b *builder) name(s string) uint32 {
	at := len(b.names)
	b.names = append(append(b.names, s...), 0)
	return uint32(at)
}

// debug returns the section of that name.
func (b *builder) debug(name string) *section {
	i, ok := b.index[name]
	if !ok {
		i = len(b.sections)
		b.index[name] = i
		b.sections = append(b.sections, section{Section64: elf.Section64{Name: b.name(name), Type: uint32(elf.SHT_PROGBITS), Addralign: 1}})
	}
	return &b.sections[i]
}

// addDebug appends the debug information of an object and fits its references.
func (b *builder) addDebug(v *view) {
	bases := make([]uint64, len(v.Sections))
	for i := range v.Sections {
		s := b.debug(v.Sections[i].Name)
		bases[i] = uint64(len(s.data))
		s.data = append(s.data, v.Sections[i].Data...)
	}
	names := b.renames(v)
	for i := range v.Sections {
		data := b.debug(v.Sections[i].Name).data[bases[i]:]
		for _, r := range v.Sections[i].Refs {
			field := data[r.Offset:]
			if r.To < 0 {
				if v.dropped[r.Piece] {
					store(field, r.Size, 0)
				}
				continue
			}
			value := load(field, r.Size)
			if to := &v.Sections[r.To]; to.Name == ".debug_str" && len(names) > 0 {
				if other, ok := names[stringAt(to.Data, value)]; ok {
					store(field, r.Size, other)
					continue
				}
			}
			store(field, r.Size, value+bases[r.To])
		}
	}
}

// renames puts the names of old versions into .debug_str and returns where, by the names they
// stand for. A local variable that is called like the function is shown under its new name as well.
func (b *builder) renames(v *view) map[string]uint64 {
	if len(v.renamed) == 0 {
		return nil
	}
	names := make(map[string]uint64, len(v.renamed))
	for piece, to := range v.renamed {
		if v.dropped[piece] {
			continue
		}
		s := b.debug(".debug_str")
		names[to[0]] = uint64(len(s.data))
		s.data = append(append(s.data, to[1]...), 0)
	}
	return names
}

func stringAt(data []byte, at uint64) string {
	if at >= uint64(len(data)) {
		return ""
	}
	data = data[at:]
	if end := bytes.IndexByte(data, 0); end >= 0 {
		data = data[:end]
	}
	return string(data)
}

func load(field []byte, size uint8) uint64 {
	if size == 8 {
		return binary.LittleEndian.Uint64(field)
	}
	return uint64(binary.LittleEndian.Uint32(field))
}

func store(field []byte, size uint8, v uint64) {
	if size == 8 {
		binary.LittleEndian.PutUint64(field, v)
	} else {
		binary.LittleEndian.PutUint32(field, uint32(v))
	}
}

// codeGap is the largest distance between blocks of code that lie side by side: the header and padding.
const codeGap = 48

// addCode makes sections of the functions' code, one for those that lie side by side.
func (b *builder) addCode(views []*view) {
	var spans [][2]uint64
	for _, v := range views {
		for i := range v.Functions {
			if f := &v.Functions[i]; !v.dropped[int32(f.Piece)] {
				spans = append(spans, [2]uint64{f.Start, f.Start + max(f.Size, 1)})
			}
		}
	}
	slices.SortFunc(spans, func(x, y [2]uint64) int { return cmp.Compare(x[0], y[0]) })
	name := b.name(".text")
	for _, s := range spans {
		if n := len(b.code); n > 0 && s[0] <= b.code[n-1].Addr+b.code[n-1].Size+codeGap {
			b.code[n-1].Size = max(b.code[n-1].Size, s[1]-b.code[n-1].Addr)
			continue
		}
		b.code = append(b.code, section{Section64: elf.Section64{Name: name, Type: uint32(elf.SHT_NOBITS),
			Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Addr: s[0], Size: s[1] - s[0], Addralign: 1}})
	}
}

// maxSections is how many a file can have without extended numbering.
const maxSections = int(elf.SHN_LORESERVE) - 64

// addSymbols makes the symbol table: each function by its name, and by name and version.
func (b *builder) addSymbols(views []*view) {
	if len(b.code) > maxSections { // scattered: symbols are found by their addresses all the same
		last := &b.code[len(b.code)-1]
		b.code = b.code[:1]
		b.code[0].Size = last.Addr + last.Size - b.code[0].Addr
	}
	table := make([]byte, elf.Sym64Size)
	add := func(f *Function, name string) {
		i, found := slices.BinarySearchFunc(b.code, f.Start, func(s section, a uint64) int { return cmp.Compare(s.Addr, a) })
		if !found {
			i--
		}
		table, _ = binary.Append(table, binary.LittleEndian, elf.Sym64{Name: uint32(len(b.strings)),
			Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: uint16(i + 1), Value: f.Start, Size: f.Size})
		b.strings = append(append(b.strings, name...), 0)
	}
	for _, v := range views {
		for i := range v.Functions {
			f := &v.Functions[i]
			if v.dropped[int32(f.Piece)] {
				continue
			}
			if _, old := v.renamed[int32(f.Piece)]; !old {
				add(f, f.Name)
			}
			if f.Version > 0 {
				add(f, f.Title())
			}
		}
	}
	strings := uint32(1 + len(b.code) + len(b.sections) + 1)
	b.sections = append(b.sections,
		section{elf.Section64{Name: b.name(".symtab"), Type: uint32(elf.SHT_SYMTAB), Link: strings, Info: 1, Addralign: 8, Entsize: elf.Sym64Size}, table},
		section{elf.Section64{Name: b.name(".strtab"), Type: uint32(elf.SHT_STRTAB), Addralign: 1}, b.strings})
}

// file lays the sections out.
func (b *builder) file(machine elf.Machine) []byte {
	names := section{Section64: elf.Section64{Name: b.name(".shstrtab"), Type: uint32(elf.SHT_STRTAB), Addralign: 1}}
	names.data = b.names
	all := slices.Concat([]section{{}}, b.code, b.sections, []section{names})
	const headerSize, sectionSize = 64, 64
	size := uint64(headerSize + sectionSize*len(all))
	for i := range all {
		if s := &all[i]; s.Type != uint32(elf.SHT_NOBITS) && s.Type != uint32(elf.SHT_NULL) {
			size = (size + 7) &^ 7
			s.Off, s.Size = size, uint64(len(s.data))
			size += s.Size
		}
	}
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Shoff: headerSize,
		Ehsize: headerSize, Shentsize: sectionSize, Shnum: uint16(len(all)), Shstrndx: uint16(len(all) - 1)}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	out := make([]byte, 0, size)
	out, _ = binary.Append(out, binary.LittleEndian, header)
	for i := range all {
		out, _ = binary.Append(out, binary.LittleEndian, all[i].Section64)
	}
	for i := range all {
		if s := &all[i]; s.Off > 0 {
			out = append(out, make([]byte, s.Off-uint64(len(out)))...)
			out = append(out, s.data...)
		}
	}
	return out
}
