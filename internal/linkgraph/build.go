package linkgraph

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"livejit/internal/elfobj"
)

// BuildError says why an object cannot be made into a graph.
type BuildError struct {
	Object  string
	Section string // "" if the fault is in no section
	Offset  uint64 // in Section
	Symbol  string
	Msg     string
	Err     error // cause, may be nil
}

func (e *BuildError) Error() string {
	s := e.Object
	if e.Section != "" {
		s += fmt.Sprintf("(%s+%#x)", e.Section, e.Offset)
	}
	s += ": " + e.Msg
	if e.Symbol != "" {
		s += ": symbol " + e.Symbol
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *BuildError) Unwrap() error { return e.Err }

// maxSection bounds what Edge.Offset and the layout of a piece can hold.
const maxSection = 1 << 32

// builder carries the maps from the object to the graph that Build needs and the graph does not.
type builder struct {
	*Graph
	f        *elfobj.File
	sections []SectionID        // by section index of the object; None: not in the graph
	cuts     []*cut             // by section: nil unless it is cut into several blocks
	starts   []SymbolID         // by block: the function that starts at offset 0
	inner    map[place]SymbolID // functions that start elsewhere
	edges    []Edge             // all edges; blocks hold parts of it
	bounded  map[string]bool    // names of the sections that __start_ and __stop_ symbols ask for
	merged   map[mergeClass]map[string]BlockID
	symbolOf []SymbolID // by block: an anonymous symbol for its start

	recordCount int // records of .eh_frame
	spare       int // blocks expected beyond one a section
}

// place is a byte of a block.
type place struct {
	block  BlockID
	offset uint64
}

// Build makes the graph of an object. Errors are *BuildError.
func Build(f *elfobj.File) (*Graph, error) {
	if f.Machine != elf.EM_X86_64 && f.Machine != elf.EM_AARCH64 {
		return nil, &BuildError{Object: f.Name, Msg: fmt.Sprintf("cannot link code for %v", f.Machine)}
	}
	b := &builder{Graph: &Graph{Name: f.Name, Machine: f.Machine, Flags: f.Flags, GOT: None}, f: f}
	for _, pass := range []func() error{
		b.findBounds,    // which sections are delimited by __start_ and __stop_ symbols
		b.makeGroups,    //
		b.makeSections,  // beyond this point every section that can matter has its block, or is ready to be cut
		b.makeSymbols,   // beyond this point every symbol of the object has its place
		b.makeEdges,     // relocations become edges; beyond this point every element in use has its block
		b.nameBlocks,    // which blocks are roots
		b.defineBounds,  //
		b.joinFDEs,      // which FDE describes which code, what keeps what alive
		b.nameFunctions, // references to functions by place become references by name
		b.makeInits,     //
	} {
		if err := pass(); err != nil {
			return nil, err
		}
	}
	b.markUses()
	return b.Graph, nil
}

// fail makes an error about a place in a section of the object.
func (b *builder) fail(section int, offset uint64, msg string, args ...any) error {
	return &BuildError{Object: b.f.Name, Section: b.f.Sections[section].Name, Offset: offset, Msg: fmt.Sprintf(msg, args...)}
}

func (b *builder) makeGroups() error {
	b.Groups = make([]Group, len(b.f.Groups))
	for i := range b.f.Groups {
		fg := &b.f.Groups[i]
		b.Groups[i] = Group{Signature: fg.Signature, Symbol: SymbolID(fg.Symbol), COMDAT: fg.COMDAT}
	}
	return nil
}

// makeSections gives each section that can matter an entry and, unless it is to be cut, its block.
func (b *builder) makeSections() error {
	n, pieces := 0, 0
	for i := range b.f.Sections {
		fs := &b.f.Sections[i]
		if !inGraph(fs) {
			continue
		}
		n++
		switch { // a guess at the number of blocks: the average FDE takes 32 bytes, the average string 20
		case fs.IsEHFrame(b.f.Machine):
			pieces += len(fs.Data)/30 + 2
		case fs.Flags&elf.SHF_MERGE != 0 && fs.Flags&elf.SHF_ALLOC != 0:
			pieces += len(fs.Data)/20 + 1
		}
	}
	b.sections = make([]SectionID, len(b.f.Sections))
	b.Sections = make([]Section, 0, n+2)
	b.cuts = make([]*cut, n, n+2)
	b.Blocks = make([]Block, 0, n+pieces+2)
	b.spare = pieces
	for i := range b.f.Sections {
		b.sections[i] = None
		fs := &b.f.Sections[i]
		if !inGraph(fs) {
			continue
		}
		s, err := b.section(i)
		if err != nil {
			return err
		}
		id := SectionID(len(b.Sections))
		b.sections[i] = id
		b.Sections = append(b.Sections, s)
		if c, err := b.cutSection(i, &b.Sections[id]); err != nil {
			return err
		} else if c != nil {
			b.cuts[id] = c
			continue
		}
		blk := b.AddBlock(Block{Data: fs.Data, Size: fs.Size, Align: max(fs.Align, 1), Section: id})
		b.Sections[id].Block = blk
		b.join(blk)
	}
	return nil
}

// cut returns how a section was cut, nil if it is one block or was made here.
func (b *builder) cut(id SectionID) *cut {
	if int(id) < len(b.cuts) {
		return b.cuts[id]
	}
	return nil
}

// join enters a block in the group of its section.
func (b *builder) join(blk BlockID) {
	if g := b.Sections[b.Blocks[blk].Section].Group; g >= 0 {
		b.Groups[g].Blocks = append(b.Groups[g].Blocks, blk)
	}
}

// makeSymbols copies the symbol table, index for index. Symbol 0, the null symbol, is the absolute value 0.
func (b *builder) makeSymbols() error {
	b.Symbols = make([]Symbol, max(1, len(b.f.Symbols)), len(b.f.Symbols)+b.spare+4)
	b.Symbols[0] = Symbol{Block: None, Group: None, Def: Absolute, Anonymous: true}
	for i := 1; i < len(b.f.Symbols); i++ {
		if err := b.symbol(SymbolID(i), &b.f.Symbols[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) symbol(id SymbolID, fs *elfobj.Symbol) error {
	s := &b.Symbols[id]
	*s = Symbol{Name: fs.Name, Offset: fs.Value, Size: fs.Size, Block: None, Group: None, Type: symbolType(fs.Type),
		Weak: fs.Bind == elf.STB_WEAK, Hidden: fs.Vis == elf.STV_HIDDEN || fs.Vis == elf.STV_INTERNAL}
	if fs.Bind != elf.STB_LOCAL {
		s.Scope = Global
	}
	if name, _, ok := strings.Cut(fs.Name, "@@"); ok && name != "" && fs.Section != elfobj.Undef {
		s.Name = name // the default version of a symbol is what its name means
	}
	s.Anonymous = fs.Type == elf.STT_SECTION || fs.Type == elf.STT_FILE || s.Scope == Local && isLocalLabel(fs.Name)
	s.Part = s.Scope == Local && s.Type == Func && isPart(fs.Name)
	switch {
	case fs.Section == elfobj.Abs:
		s.Def = Absolute
	case fs.Section == elfobj.Common:
		if fs.Name == "__gnu_lto_slim" {
			return &BuildError{Object: b.f.Name, Msg: "holds no code but GCC's intermediate form; compile without -flto or with -ffat-lto-objects"}
		}
		return b.common(id, fs)
	case fs.Section == elfobj.Undef:
		s.Offset = 0
		switch fs.Name {
		case "_GLOBAL_OFFSET_TABLE_":
			b.defineGOT(id)
		case "_TLS_MODULE_BASE_": // the start of the module's block; no other symbol is absolute and thread-local
			s.Def, s.Scope, s.Anonymous, s.Type = Absolute, Local, true, TLSObject
		}
	default:
		section := b.sections[fs.Section]
		if section < 0 {
			s.Offset = 0 // in a section that nobody can refer to, such as a symbol table
			return nil
		}
		s.Def, s.Group = Defined, b.Sections[section].Group
		if fs.Type == elf.STT_SECTION && b.cut(section) != nil {
			s.Def = Absolute // stands for no place: each use finds its element with its addend
			return nil
		}
		s.Block = b.Sections[section].Block
		if c := b.cut(section); c != nil {
			var ok bool
			if s.Block, s.Offset, ok = b.find(c, fs.Value); !ok {
				return &BuildError{Object: b.f.Name, Section: b.Sections[section].Name, Offset: fs.Value, Symbol: fs.Name, Msg: "no element at this place"}
			}
		}
	}
	return nil
}

// common gives a common symbol a zero-fill block of its own, so that the engine can merge it with others.
func (b *builder) common(id SymbolID, fs *elfobj.Symbol) error {
	s := &b.Symbols[id]
	memory, name := Data, "COMMON"
	if s.Type == TLSObject {
		memory, name = TLS, "TCOMMON"
	}
	if fs.Size >= maxSection {
		return &BuildError{Object: b.f.Name, Symbol: fs.Name, Msg: fmt.Sprintf("common symbol of %d bytes", fs.Size)}
	}
	align := max(fs.Value, 1)
	if align&(align-1) != 0 || align > maxAlign {
		return &BuildError{Object: b.f.Name, Symbol: fs.Name, Msg: fmt.Sprintf("alignment %d of a common symbol", fs.Value)}
	}
	s.Def, s.Offset = Common, 0
	s.Block = b.AddBlock(Block{Size: fs.Size, Align: align, Section: b.madeSection(name, memory)})
	return nil
}

// defineGOT makes the base of the global offset table. Entries may lie elsewhere: their distance to the base is all that counts.
func (b *builder) defineGOT(id SymbolID) {
	blk := b.AddBlock(Block{Data: make([]byte, 8), Size: 8, Align: 8, Section: b.GOTSection()})
	s := &b.Symbols[id]
	s.Def, s.Scope, s.Anonymous, s.Block = Defined, Local, true, blk
	b.GOT = id
}

// GOTSection returns the section of linker-made tables.
func (g *Graph) GOTSection() SectionID { return g.madeSection(".got", ReadOnly) }

// madeSection returns the section of that name which stands for what is in no section of the object.
func (g *Graph) madeSection(name string, memory Memory) SectionID {
	for i := len(g.Sections) - 1; i >= 0 && g.Sections[i].Type == elf.SHT_NULL; i-- {
		if g.Sections[i].Name == name {
			return SectionID(i)
		}
	}
	g.Sections = append(g.Sections, Section{Name: name, Memory: memory, Type: elf.SHT_NULL, Align: 1, Group: None, Block: None})
	return SectionID(len(g.Sections) - 1)
}

// makeEdges turns the relocations of each section into edges of its blocks.
func (b *builder) makeEdges() error {
	n := 0
	for i, id := range b.sections {
		if id >= 0 {
			n += len(b.f.Sections[i].Relocs)
		}
	}
	b.edges = make([]Edge, 0, n+b.recordCount)
	for i, id := range b.sections {
		if id < 0 {
			continue
		}
		if err := b.sectionEdges(i, id); err != nil {
			return err
		}
	}
	return nil
}

// sectionEdges makes the edges of one section. Relocations come sorted by offset from nearly every producer.
func (b *builder) sectionEdges(i int, id SectionID) error {
	relocs := b.f.Sections[i].Relocs
	byOffset := func(x, y elfobj.Reloc) int {
		switch {
		case x.Offset < y.Offset:
			return -1
		case x.Offset > y.Offset:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(relocs, byOffset) {
		relocs = slices.Clone(relocs)
		slices.SortStableFunc(relocs, byOffset)
	}
	if c := b.cut(id); c != nil {
		if c.records == nil && len(relocs) > 0 {
			panic("BUG: a section with relocations was cut for merging")
		}
		return b.recordEdges(i, c, relocs)
	}
	if len(relocs) == 0 {
		return nil
	}
	blk := b.Sections[id].Block
	if b.Blocks[blk].Data == nil && b.Blocks[blk].Size > 0 {
		return b.fail(i, relocs[0].Offset, "relocation in a section without contents")
	}
	first := len(b.edges)
	for j := range relocs {
		e, err := b.edge(i, blk, &relocs[j], 0)
		if err != nil {
			return err
		}
		b.edges = append(b.edges, e)
	}
	b.Blocks[blk].Edges = b.edges[first:len(b.edges):len(b.edges)]
	return nil
}

// edge makes the edge of a relocation in a block that begins at base in its section.
func (b *builder) edge(i int, blk BlockID, r *elfobj.Reloc, base uint64) (Edge, error) {
	if r.Type >= uint32(Made) || r.Offset >= maxSection || int(r.Sym) >= len(b.Symbols) {
		return Edge{}, b.fail(i, r.Offset, "relocation type %d against symbol %d", r.Type, r.Sym)
	}
	e := Edge{Offset: uint32(r.Offset - base), Kind: Kind(r.Type), Target: SymbolID(r.Sym), Addend: r.Addend}
	if fs := &b.f.Symbols[r.Sym]; r.Sym != 0 && fs.Section > 0 && fs.Type == elf.STT_SECTION {
		if id := b.sections[fs.Section]; id >= 0 && b.cut(id) != nil {
			return e, b.intoCut(i, blk, &e, id)
		}
	}
	return e, nil
}
