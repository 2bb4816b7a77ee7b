// Package linkgraph holds one relocatable object as a graph of blocks, symbols and edges, the form in which livejit links it.
//
// A [Block] is the unit of placing: normally a whole section (code compiled for livejit has a section for each function
// and datum), one element of a mergeable section, or one record of .eh_frame. An [Edge] is a relocation: at an offset
// in its block it refers to a [Symbol] with an addend. A symbol is a place in a block, an absolute value, or undefined.
//
// The graph is index-based: [SectionID], [BlockID], [SymbolID] and [GroupID] index the slices of [Graph], None (-1) says "nothing".
//
// Invariants after [Build]:
//   - the first len(f.Symbols) symbols of the graph are the symbols of the object, in the same order; made symbols follow;
//   - the edges of a block are sorted by offset, and start inside of it (whether the whole field does is checked by jitlink, which
//     knows the kinds);
//   - an edge to a section symbol whose place is the start of a function, from outside of that function's block, has been
//     given that function's symbol as its target, so that the function can be replaced; see references.go;
//   - edges into merged sections lead to the merged element;
//   - blocks that never reach memory (debug information, comments) have Memory Unloaded.
//
// A graph is not safe for concurrent use; different graphs are independent. Block data alias the bytes of the object.
//
// Specifications: System V gABI chapters 4 and 5, psABI for x86-64 and for AArch64, Linux Standard Base Core chapter 10 (.eh_frame).
package linkgraph

import (
	"debug/elf"
	"strings"
)

// Indexes into the slices of a Graph. None is no valid index of any of them.
type (
	SectionID int32
	BlockID   int32
	SymbolID  int32
	GroupID   int32
)

// None is the index that refers to nothing; it is untyped so that it serves for every index type.
const None = -1

// Memory says which kind of memory a block is placed in.
type Memory uint8

const (
	Code     Memory = iota // readable and executable
	ReadOnly               // readable once linked; also .data.rel.ro
	Data                   // readable and writable, zeroed when allocated
	TLS                    // part of the image from which each thread's copy is made
	Unloaded               // never placed: debug information, comments, notes
)

var memoryNames = [...]string{"code", "read-only", "data", "tls", "unloaded"}

func (m Memory) String() string {
	if int(m) < len(memoryNames) {
		return memoryNames[m]
	}
	return "memory?"
}

// Graph is one object. Its slices may be read and, for the fields that say so, changed by the engine between Build and
// jitlink.NewLink; from NewLink on the graph belongs to the link.
type Graph struct {
	Name    string
	Machine elf.Machine
	Flags   uint32 // e_flags

	Sections []Section
	Blocks   []Block
	Symbols  []Symbol
	Groups   []Group

	// FDEs of all code blocks, sorted by (Code, Begin); those of one block are found with FDEsOf.
	FDEs []FDE

	// Inits and Finis are the constructors and destructors in the order in which they run.
	Inits, Finis []Init

	// GOT is _GLOBAL_OFFSET_TABLE_ where the object refers to it, else None.
	GOT SymbolID

	kept         []kept
	rebound      map[BlockID]rebinding
	groupSymbols [][]SymbolID // made by the first Discard
	stale        bool         // blocks were dropped since Used was computed
}

// Section is what the blocks cut from one section have in common.
type Section struct {
	Name   string
	Memory Memory
	Flags  elf.SectionFlag
	Type   elf.SectionType
	Align  uint64
	Group  GroupID // None: in no group
	// Block is the section's only block; None if it was cut (mergeable sections, .eh_frame).
	Block BlockID

	// Retain: SHF_GNU_RETAIN, or a section that is found by its name (.llvm_faultmaps): alive although nothing refers to it.
	Retain bool
	// Bounded: a __start_NAME or __stop_NAME symbol delimits it; all sections of that name are laid out side by side.
	Bounded bool
	// Direct: references from here to functions mean the body, never the stub (.eh_frame, .gcc_except_table, stack maps, debug).
	Direct bool
	// Init: an array of constructors or destructors, represented by Graph.Inits and Finis; placed only if something refers to it.
	Init bool
}

// Block is the unit of placing.
type Block struct {
	Data  []byte // aliases the object; nil: zero-fill
	Size  uint64 // bytes; len(Data) unless zero-fill
	Align uint64 // a power of two, at least 1
	Addr  uint64 // 0 until allocated; in a TLS block the offset in the image
	Edges []Edge // sorted by Offset

	Section   SectionID
	Owner     BlockID  // root block of the piece it belongs to; itself for a root, None for the graph's shared piece; set by jitlink
	Root      SymbolID // the symbol that names a root block (function or datum), None for an anonymous block
	Live      bool     // set by jitlink
	Discarded bool     // dropped by Discard or Undefine
	Merged    bool     // an element of a mergeable section

	fde, fdes int32 // range in Graph.FDEs
	keep      int32 // head of the list of kept blocks, -1 none
	names     int32 // named symbols defined here
}

// Kind is the kind of an edge: the relocation type of the graph's machine, or one made by livejit (from Made on).
type Kind uint32

// Kinds that exist in no object.
const (
	// Made is the first kind that is no relocation type.
	Made Kind = 1 << 12
	// CIEPointer is the link of an FDE to its CIE: P - S, 32 bits, unsigned (LSB 10.6.1.1).
	CIEPointer = Made + 0
)

// Edge is a reference from a place in a block to a symbol.
type Edge struct {
	Offset uint32
	Kind   Kind
	Target SymbolID
	Addend int64
}

// Def says how a symbol is defined.
type Def uint8

const (
	Undefined Def = iota
	Defined       // at Offset in Block
	Absolute      // Offset is its value
	Common        // tentative definition: has a zero-fill block of its own that the engine may make larger or drop (Undefine)
)

var defNames = [...]string{"undefined", "defined", "absolute", "common"}

func (d Def) String() string { return defNames[d] }

// Scope says whether other graphs can see a symbol.
type Scope uint8

const (
	Local Scope = iota
	Global
)

// SymbolType is the kind of thing a symbol names.
type SymbolType uint8

const (
	NoType SymbolType = iota
	Func
	Object
	TLSObject
	IFunc // the block holds a resolver that returns the address to call
)

var symbolTypeNames = [...]string{"notype", "func", "object", "tls", "ifunc"}

func (t SymbolType) String() string { return symbolTypeNames[t] }

// Symbol is a named or anonymous place.
type Symbol struct {
	Name   string // "" for section symbols and made ones
	Offset uint64 // in Block; the value of an absolute symbol; the alignment of a Common is its block's
	Size   uint64
	Block  BlockID // None: undefined or absolute
	Group  GroupID // group of its section, or None

	Def   Def
	Scope Scope
	Type  SymbolType

	Weak      bool
	Hidden    bool // hidden or internal visibility: not seen from outside of the engine
	Anonymous bool // section symbol, assembler-local label (.L) or mapping symbol: names no function or datum
	Part      bool // a split-off part of a function (f.cold): goes with the function that uses it, never has a stub

	Used         bool // some edge of a loaded block refers to it
	Called       bool // some edge calls it or jumps to it
	AddressTaken bool // some edge of a loaded block uses its address otherwise
	Narrow       bool // some edge of a loaded block wants its address in 32 bits (code that is not position-independent)

	StubTarget bool   // set by the engine: references to it go by Target's stub and slot
	StandIn    bool   // set by the engine: Target.Stub is a near copy of this constant of the process, for what is Narrow
	Target     Target // filled by the engine for undefined and StubTarget symbols
}

// Target says where references to a symbol go. The engine fills it before jitlink's FixUp for every undefined symbol in use
// and for every StubTarget symbol.
type Target struct {
	Addr       uint64 // what a load of its address yields: the stub of our functions, 0 for undefined weak
	Stub       uint64 // near branch entry, 0 = none: branch to Addr or the block; of a StandIn the copy
	Slot       uint64 // near pointer slot holding the callable address, 0 = none
	SlotIsAddr bool   // the slot holds Addr itself (functions of the process): GOT loads may read it
	Size       uint64 // st_size, for R_*_SIZE
	TLS        TLSTarget
}

// TLSTarget is the place of a thread-local variable.
type TLSTarget struct {
	Module, Offset uint64 // as __tls_get_addr takes them
	TPOffset       int64  // from the thread pointer, valid if Static
	Static         bool   // it lives in the static TLS block
}

// Group is a section group.
type Group struct {
	Signature string
	Symbol    SymbolID // the signature symbol
	COMDAT    bool
	Blocks    []BlockID // members, in order
	Discarded bool
}

// FDE joins a frame description entry to the code it describes.
type FDE struct {
	Block      BlockID // the record
	Code       BlockID // the code block
	Begin, End uint64  // bytes from the start of Code
}

// Init is one constructor or destructor.
type Init struct {
	Target   SymbolID // what is called: Target + Addend
	Addend   int64
	Block    BlockID // the array it stands in
	Offset   uint64  // its place in that array
	Priority int     // 0..65535, DefaultPriority if none was given; -1 for .preinit_array
}

// DefaultPriority is the priority of constructors without one: they run after all that have one.
const DefaultPriority = 65536

// kept is a list element: Block lives if the head of the list does.
type kept struct {
	block BlockID
	next  int32
}

// rebinding makes an undefined symbol stand for a dropped block: the symbol lay at offset.
type rebinding struct {
	symbol SymbolID
	offset uint64
}

// FDEsOf returns the FDEs of a code block, sorted by Begin.
func (g *Graph) FDEsOf(b BlockID) []FDE {
	blk := &g.Blocks[b]
	return g.FDEs[blk.fde : blk.fde+blk.fdes]
}

// EachKept calls f for each block that lives if b does although no edge of b leads to it: FDEs and SHF_LINK_ORDER sections.
func (g *Graph) EachKept(b BlockID, f func(BlockID)) {
	for i := g.Blocks[b].keep; i >= 0; i = g.kept[i].next {
		f(g.kept[i].block)
	}
}

// Keep makes block live whenever owner does.
func (g *Graph) Keep(owner, block BlockID) {
	g.kept = append(g.kept, kept{block, g.Blocks[owner].keep})
	g.Blocks[owner].keep = int32(len(g.kept) - 1)
}

// AddBlock appends a block made by the linker; Root and Owner are None.
func (g *Graph) AddBlock(b Block) BlockID {
	b.Owner, b.Root, b.keep = None, None, -1
	g.Blocks = append(g.Blocks, b)
	return BlockID(len(g.Blocks) - 1)
}

// AddSymbol appends an anonymous local symbol for a place in a block.
func (g *Graph) AddSymbol(b BlockID, offset uint64) SymbolID {
	g.Symbols = append(g.Symbols, Symbol{Block: b, Offset: offset, Group: None, Def: Defined, Anonymous: true})
	return SymbolID(len(g.Symbols) - 1)
}

// SectionByName returns the first section of that name, or None.
func (g *Graph) SectionByName(name string) SectionID {
	for i := range g.Sections {
		if g.Sections[i].Name == name {
			return SectionID(i)
		}
	}
	return None
}

// MemoryOf returns the kind of memory of a block.
func (g *Graph) MemoryOf(b BlockID) Memory { return g.Sections[g.Blocks[b].Section].Memory }

// SymbolName returns a name for messages: the symbol's, else that of its section.
func (g *Graph) SymbolName(s SymbolID) string {
	if s < 0 || int(s) >= len(g.Symbols) {
		return "(none)"
	}
	sym := &g.Symbols[s]
	switch {
	case sym.Name != "":
		return sym.Name
	case sym.Block >= 0:
		return g.BlockName(sym.Block)
	}
	return "(absolute)"
}

// BlockName returns a name for messages: the root symbol's, else that of the section.
func (g *Graph) BlockName(b BlockID) string {
	blk := &g.Blocks[b]
	if blk.Root >= 0 {
		return g.Symbols[blk.Root].Name
	}
	return g.Sections[blk.Section].Name
}

// IsFunction reports whether s is a function defined here that can be replaced and so wants a stub. Parts (f.cold) are not, nor
// are untyped labels: in hand-written assembly they may stand before data among the code, which is read at its true place.
func (g *Graph) IsFunction(s SymbolID) bool {
	sym := &g.Symbols[s]
	if sym.Def != Defined || sym.Anonymous || sym.Part || g.MemoryOf(sym.Block) != Code {
		return false
	}
	return sym.Type == Func || sym.Type == IFunc
}

// IsLabel reports whether s is an untyped label in code that other graphs can see: a function or data, its object does not tell.
func (g *Graph) IsLabel(s SymbolID) bool {
	sym := &g.Symbols[s]
	return sym.Def == Defined && sym.Scope == Global && sym.Type == NoType && !sym.Anonymous && g.MemoryOf(sym.Block) == Code
}

// isLocalLabel reports whether a local symbol of that name is one that assemblers make: .L labels and mapping symbols ($x, $d).
func isLocalLabel(name string) bool {
	return name == "" || strings.HasPrefix(name, ".L") ||
		name[0] == '$' && len(name) >= 2 && (name[1] == 'x' || name[1] == 'd' || name[1] == 'a' || name[1] == 't') &&
			(len(name) == 2 || name[2] == '.')
}
