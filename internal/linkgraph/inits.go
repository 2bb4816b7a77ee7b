package linkgraph

import (
	"cmp"
	"debug/elf"
	"slices"
	"strconv"

	"livejit/internal/elfobj"
)

// initKind tells the arrays of constructors and destructors apart.
type initKind uint8

const (
	noInit initKind = iota
	preinitArray
	initArrayKind
	ctors
	finiArray
	dtors
)

// initArray returns what kind of array a section is: by its type, or by the names that older compilers use.
func initArray(s *elfobj.Section) initKind {
	if s.Flags&elf.SHF_ALLOC == 0 {
		return noInit
	}
	switch s.Type {
	case elf.SHT_PREINIT_ARRAY:
		return preinitArray
	case elf.SHT_INIT_ARRAY:
		return initArrayKind
	case elf.SHT_FINI_ARRAY:
		return finiArray
	case elf.SHT_PROGBITS:
	default:
		return noInit
	}
	if s.Flags&elf.SHF_EXECINSTR != 0 {
		return noInit
	}
	for _, n := range [...]struct {
		name string
		kind initKind
	}{{".preinit_array", preinitArray}, {".init_array", initArrayKind}, {".ctors", ctors}, {".fini_array", finiArray}, {".dtors", dtors}} {
		if hasPart(s.Name, n.name) {
			return n.kind
		}
	}
	return noInit
}

// priority reads the number at the end of .init_array.00101 or .ctors.65434; those of .ctors and .dtors count down.
func priority(name string, k initKind) int {
	if k == preinitArray {
		return -1
	}
	i := len(name)
	for i > 0 && name[i-1] >= '0' && name[i-1] <= '9' {
		i--
	}
	if i == 0 || name[i-1] != '.' {
		return DefaultPriority
	}
	n, err := strconv.Atoi(name[i:])
	if err != nil || n > 65535 {
		return DefaultPriority
	}
	if k == ctors || k == dtors {
		return 65535 - n
	}
	return n
}

// makeInits lists constructors and destructors in run order: constructors by rising priority, in the order of the object, each
// .ctors section from its end; destructors in the reverse of the order that constructors of the same sections would have.
func (b *builder) makeInits() error {
	for i := range b.Sections {
		s := &b.Sections[i]
		if !s.Init || s.Block < 0 {
			continue
		}
		kind := initArray(&elfobj.Section{Name: s.Name, Type: s.Type, Flags: s.Flags})
		list := &b.Inits
		if kind == finiArray || kind == dtors {
			list = &b.Finis
		}
		first := len(*list)
		blk := &b.Blocks[s.Block]
		for j := range blk.Edges {
			e := &blk.Edges[j]
			if e.Offset%8 != 0 || !b.isPointer(e.Kind) {
				return &BuildError{Object: b.Name, Section: s.Name, Offset: uint64(e.Offset), Msg: "relocation in an array of constructors or destructors is no pointer"}
			}
			*list = append(*list, Init{Target: e.Target, Addend: e.Addend, Block: s.Block, Offset: uint64(e.Offset), Priority: priority(s.Name, kind)})
		}
		if kind == ctors || kind == dtors {
			slices.Reverse((*list)[first:])
		}
	}
	byPriority := func(x, y Init) int { return cmp.Compare(x.Priority, y.Priority) }
	slices.SortStableFunc(b.Inits, byPriority)
	slices.SortStableFunc(b.Finis, byPriority)
	slices.Reverse(b.Finis)
	return nil
}

// isPointer reports whether a kind is the machine's 64-bit absolute one.
func (g *Graph) isPointer(k Kind) bool {
	if g.Machine == elf.EM_AARCH64 {
		return k == Kind(elf.R_AARCH64_ABS64)
	}
	return k == Kind(elf.R_X86_64_64)
}
