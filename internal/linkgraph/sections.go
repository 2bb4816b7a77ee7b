package linkgraph

import (
	"debug/elf"
	"strings"

	"livejit/internal/elfobj"
)

// maxAlign is the largest alignment taken from an object.
const maxAlign = 1 << 28

const (
	shfGNURetain elf.SectionFlag = 1 << 21    // gABI extension of GNU: keep although nothing refers to it
	shfExclude   elf.SectionFlag = 0x80000000 // not for the linked image
)

// inGraph reports whether a section can matter: everything that is loaded, and of the rest what holds plain contents (debug
// information, comments). The linker's own tables (symbols, strings, relocations, groups) do not.
func inGraph(s *elfobj.Section) bool {
	switch s.Type {
	case elf.SHT_NULL, elf.SHT_SYMTAB, elf.SHT_STRTAB, elf.SHT_RELA, elf.SHT_REL, elf.SHT_GROUP, elf.SHT_SYMTAB_SHNDX:
		return false
	case elf.SHT_PROGBITS, elf.SHT_NOTE, elf.SHT_NOBITS:
		return s.Flags&shfExclude == 0 || s.Flags&elf.SHF_ALLOC != 0
	}
	return s.Flags&elf.SHF_ALLOC != 0
}

// section makes the entry of a section of the object.
func (b *builder) section(i int) (Section, error) {
	fs := &b.f.Sections[i]
	s := Section{Name: fs.Name, Flags: fs.Flags, Type: fs.Type, Align: max(fs.Align, 1), Group: None, Block: None}
	if fs.Group >= 0 && int(fs.Group) < len(b.Groups) {
		s.Group = GroupID(fs.Group)
	}
	switch {
	case fs.Size >= maxSection:
		return s, b.fail(i, 0, "section of %d bytes", fs.Size)
	case s.Align&(s.Align-1) != 0 || s.Align > maxAlign:
		return s, b.fail(i, 0, "section alignment %d", fs.Align)
	case fs.Data != nil && uint64(len(fs.Data)) != fs.Size:
		return s, b.fail(i, 0, "section of %d bytes with %d bytes of contents", fs.Size, len(fs.Data))
	case fs.Flags&(elf.SHF_ALLOC|elf.SHF_WRITE|elf.SHF_EXECINSTR) == elf.SHF_ALLOC|elf.SHF_WRITE|elf.SHF_EXECINSTR:
		return s, b.fail(i, 0, "section is both writable and executable")
	}
	s.Init = initArray(fs) != noInit
	s.Memory = memoryOf(fs, s.Init)
	s.Retain = s.Memory != Unloaded && (fs.Flags&shfGNURetain != 0 || fs.Name == ".llvm_faultmaps")
	s.Bounded = b.bounded[fs.Name]
	s.Direct = s.Memory == Unloaded || refersToBodies(fs, b.f.Machine)
	return s, nil
}

func memoryOf(s *elfobj.Section, init bool) Memory {
	switch {
	case s.Flags&elf.SHF_ALLOC == 0, s.Name == ".llvm_stackmaps": // these are kept aside, each record with its function's code
		return Unloaded
	case s.Flags&elf.SHF_TLS != 0:
		return TLS
	case s.Flags&elf.SHF_EXECINSTR != 0:
		return Code
	case s.Flags&elf.SHF_WRITE == 0, isRelro(s.Name), init, s.IsEHFrame(elf.EM_X86_64):
		return ReadOnly
	}
	return Data
}

// isRelro reports whether a section is writable only because it holds relocations.
func isRelro(name string) bool {
	return hasPart(name, ".data.rel.ro") || hasPart(name, ".ldata.rel.ro")
}

// hasPart reports whether name is prefix or prefix and a dot and something.
func hasPart(name, prefix string) bool {
	return strings.HasPrefix(name, prefix) && (len(name) == len(prefix) || name[len(prefix)] == '.')
}

// refersToBodies reports whether the references of a section to functions mean the very bodies: tables that describe one version's code.
func refersToBodies(s *elfobj.Section, m elf.Machine) bool {
	return s.IsEHFrame(m) || hasPart(s.Name, ".gcc_except_table") ||
		s.Name == ".llvm_faultmaps" ||
		s.Name == "__patchable_function_entries" || s.Name == "__llvm_pseudo_probe" ||
		strings.HasPrefix(s.Name, "xray_") || strings.HasPrefix(s.Name, ".llvm.")
}

// isPart reports whether a local function of that name is the split-off part of another (gcc, clang: f.cold, f.cold.1; basic
// block sections: f.__part.1).
func isPart(name string) bool {
	if i := strings.LastIndex(name, ".cold"); i > 0 {
		rest := name[i+len(".cold"):]
		return rest == "" || rest[0] == '.' && strings.Trim(rest[1:], "0123456789") == ""
	}
	return strings.Contains(name, ".__part.")
}

func symbolType(t elf.SymType) SymbolType {
	switch t {
	case elf.STT_FUNC:
		return Func
	case elf.STT_OBJECT, elf.STT_COMMON:
		return Object
	case elf.STT_TLS:
		return TLSObject
	case elf.STT_GNU_IFUNC:
		return IFunc
	}
	return NoType
}

// findBounds collects the names of the sections that undefined __start_NAME and __stop_NAME symbols ask for.
func (b *builder) findBounds() error {
	for i := range b.f.Symbols {
		if s := &b.f.Symbols[i]; s.Section == elfobj.Undef {
			if name, _, ok := boundOf(s.Name); ok {
				if b.bounded == nil {
					b.bounded = map[string]bool{}
				}
				b.bounded[name] = true
			}
		}
	}
	return nil
}

// boundOf splits __start_NAME and __stop_NAME; NAME must be a C identifier.
func boundOf(symbol string) (section string, stop, ok bool) {
	if !strings.HasPrefix(symbol, "__st") {
		return "", false, false
	}
	section, ok = strings.CutPrefix(symbol, "__start_")
	if !ok {
		stop = true
		if section, ok = strings.CutPrefix(symbol, "__stop_"); !ok {
			return "", false, false
		}
	}
	for i := range len(section) {
		c := section[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return "", false, false
		}
	}
	return section, stop, section != ""
}

// defineBounds defines the __start_ and __stop_ symbols of sections that exist here; others stay undefined.
func (b *builder) defineBounds() error {
	if b.bounded == nil {
		return nil
	}
	first, last := map[string]BlockID{}, map[string]BlockID{}
	for i := range b.Sections {
		s := &b.Sections[i]
		if !s.Bounded || s.Block < 0 {
			continue
		}
		if s.Memory == Unloaded || s.Memory == TLS {
			return &BuildError{Object: b.f.Name, Section: s.Name, Msg: "section delimited by __start_ and __stop_ symbols has " + s.Memory.String() + " memory"}
		}
		if f, ok := first[s.Name]; !ok {
			first[s.Name] = s.Block
		} else if b.MemoryOf(f) != s.Memory {
			return &BuildError{Object: b.f.Name, Section: s.Name, Msg: "section delimited by __start_ and __stop_ symbols has two kinds of memory"}
		}
		last[s.Name] = s.Block
	}
	for i := range b.f.Symbols {
		s := &b.Symbols[i]
		if s.Def != Undefined {
			continue
		}
		name, stop, ok := boundOf(s.Name)
		if !ok {
			continue
		}
		if _, ok = first[name]; !ok {
			continue
		}
		s.Def, s.Scope, s.Anonymous = Defined, Local, true
		if s.Block, s.Offset = first[name], 0; stop {
			s.Block = last[name]
			s.Offset = b.Blocks[s.Block].Size
		}
	}
	return nil
}

// Bound defines a __start_NAME or __stop_NAME symbol for another object: ok is false if no loaded section here is called NAME. It returns
// a new symbol of the graph. Must be called before jitlink.NewLink.
func (g *Graph) Bound(symbol string) (id SymbolID, ok bool, err error) {
	name, stop, ok := boundOf(symbol)
	if !ok {
		return None, false, nil
	}
	first, last := BlockID(None), BlockID(None)
	for i := range g.Sections {
		s := &g.Sections[i]
		if s.Name != name || s.Type == elf.SHT_NULL || s.Memory == Unloaded || s.Block < 0 || g.Blocks[s.Block].Discarded {
			continue
		}
		if first < 0 {
			first = s.Block
		}
		if s.Memory == TLS || s.Memory != g.MemoryOf(first) {
			return None, false, &BuildError{Object: g.Name, Section: s.Name, Msg: "section delimited by __start_ and __stop_ symbols is thread-local or has two kinds of memory"}
		}
		s.Bounded, last = true, s.Block
	}
	if first < 0 {
		return None, false, nil
	}
	if stop {
		id = g.AddSymbol(last, g.Blocks[last].Size)
	} else {
		id = g.AddSymbol(first, 0)
	}
	g.Symbols[id].Used, g.Symbols[id].AddressTaken = true, true
	return id, true, nil
}
