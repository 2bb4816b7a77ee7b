// Package jitlink links one graph into memory, as a list of passes that the engine runs with its own decisions between them:
//
//	l, err := NewLink(g)      the graph belongs to the link from here on
//	l.Plan(options)           prune, relax, build the GOT, own (cut into pieces), lay out
//	l.Allocate(allocator)     beyond this point every block has an address
//	...                       the engine fills Symbol.Target of undefined and StubTarget symbols, and Piece.ID
//	l.FixUp()                 every edge is applied, in scratch buffers; all errors are collected
//	l.Write()                 one Write for each span
//
// A failure leaves nothing behind but spans, which Release frees. Several graphs can be linked in one transaction by running each pass
// over all of them: the addresses of one (AddressOf, after Allocate) are the Targets of another (before FixUp).
//
// A [Piece] is what lives and dies together: a root block (function or datum) and what only it uses: constants, FDE, LSDA, GOT
// entries. Anonymous blocks used by several pieces form the graph's shared piece. A piece has at most one span for each
// kind of memory. A code block starts 16-aligned and is preceded by a header of 16 bytes; see layout.go.
//
// A Link is not safe for concurrent use; different links are independent, given an Allocator that is safe for concurrent use.
package jitlink

import (
	"fmt"

	"livejit/internal/linkgraph"
)

// Allocator gives and fills memory.
type Allocator interface {
	// Allocate returns a span of at least r.Size bytes, aligned to r.Align. Spans of Memory Data read as zero.
	Allocate(r Request) (Span, error)
	// Write copies p to off in the span.
	Write(s Span, off uint64, p []byte) error
	// Free gives the span back.
	Free(s Span) error
}

// Request asks for one span.
type Request struct {
	Function string // root symbol of the piece, "" for the shared piece
	Section  string // section of the piece's first block in that memory, for messages
	Memory   linkgraph.Memory
	Size     uint64 // bytes, at least 1
	Align    uint64 // a power of two
}

// Span is allocated memory.
type Span struct {
	Addr   uint64 // in the executing view
	Size   uint64 // as allocated, 0: no span
	Ref    uint64 // the allocator's own, e.g. the address in the writable view
	Memory linkgraph.Memory
}

// Options are the engine's decisions that Plan needs.
type Options struct {
	// Far reports whether an undefined symbol's address may be out of the reach of 32 bits from JIT memory (symbols of the process,
	// undefined weak ones). nil: none is. A symbol that is Far and StubTarget is a function of the process: the engine promises a
	// Target with Stub, Slot and SlotIsAddr. A symbol that is Far only is reached by a GOT entry.
	Far func(linkgraph.SymbolID) bool
	// Reach is the size of the address range that holds all spans, stubs and slots, in bytes; 0 means 2 GiB. AArch64 branches
	// (±128 MiB) get veneers if it is larger than their range.
	Reach uint64
	// TLSDescResolver is the function that serves TLS descriptors made here. Called in the TLSDESC convention with the address of the
	// descriptor, whose second word points to {module, offset}. 0: such objects are refused.
	TLSDescResolver uint64
}

// Piece is a root and what only it uses.
type Piece struct {
	Name  string             // of the root symbol; "" for the shared piece
	Root  linkgraph.SymbolID // None for the shared piece
	Block linkgraph.BlockID  // root block, None for the shared piece
	ID    uint32             // set by the engine before FixUp: goes into the headers of its code blocks

	Code, ReadOnly, Data Span     // Size 0: none
	CodeStarts           []uint64 // address of each code block, ascending; after Allocate
	Refs                 []Ref    // what it refers to outside of itself, each symbol once, in order of first reference
	Bytes                Bytes
	UsesShared           bool // it refers to the shared piece, which must live as long
}

// Ref is one dependence of a piece.
type Ref struct {
	Symbol linkgraph.SymbolID
	Flags  RefFlags
}

// RefFlags says how a piece refers to a symbol.
type RefFlags uint8

const (
	RefCall    RefFlags = 1 << iota // calls it or jumps to it
	RefAddress                      // uses its address (loads, stores, keeps it)
	RefDirect                       // refers to the body or datum itself rather than by stub: its piece must not go before this one
)

// Bytes counts what a piece occupies, without headers and padding.
type Bytes struct {
	Code, ReadOnly, Data, EH uint32
}

// Stats counts what a link did.
type Stats struct {
	Blocks, DeadBlocks int
	Edges              int // applied or planned to be
	GOTEntries         int
	Veneers            int
	Relaxations        int // loads from the GOT made direct
	Pieces, Spans      int
	Bytes              uint64 // allocated
}

// Link is one graph on its way into memory.
type Link struct {
	Graph  *linkgraph.Graph
	Pieces []Piece // after Plan, in the order of their root blocks; the shared piece, if any, is the last
	Shared int     // index of the shared piece, -1: none
	Stats  Stats

	t        *target
	phase    phase
	o        Options
	original int                 // blocks before Plan added GOT entries
	order    []linkgraph.BlockID // live blocks that are placed, piece by piece
	layouts  []layout            // by piece
	pieceOf  []int32             // by block; -1: in no piece
	codes    []codeBlock         // code blocks, piece by piece
	refs     []Ref               // of all pieces
	tables   tables
	branches map[branchKey]uint32 // veneers to use only if the branch does not reach

	tls       tlsLayout
	tlsModule uint64
	tlsBase   uint64 // of the image in the module's block

	allocator Allocator
	scratch   []byte
}

// phase is how far a link has come. The calls must come in this order.
type phase uint8

const (
	created phase = iota
	planned
	allocated
	fixed
	written
	released
)

var phaseNames = [...]string{"created", "planned", "allocated", "fixed", "written", "released"}

// expect panics unless the link is in the phase that a call needs.
func (l *Link) expect(call string, want phase) {
	if l.phase != want {
		panic(fmt.Sprintf("BUG: jitlink: %s of a link that is %s, not %s", call, phaseNames[l.phase], phaseNames[want]))
	}
}

// NewLink begins the link of a graph. It fails for machines without a table.
func NewLink(g *linkgraph.Graph) (*Link, error) {
	t := targetOf(g.Machine)
	if t == nil {
		return nil, fmt.Errorf("link %s: no relocations known for %v", g.Name, g.Machine)
	}
	return &Link{Graph: g, Shared: -1, t: t}, nil
}

// SetTLSModule gives the number of the TLS module and the place of the graph's image in the module's block, a multiple of the
// image's alignment; needed before FixUp if HasTLS. Graphs that share a module may refer to each other's variables by the distance from
// the start of the block (the local-dynamic model).
func (l *Link) SetTLSModule(id, base uint64) { l.tlsModule, l.tlsBase = id, base }

// HasTLS reports whether the graph defines thread-local variables; known after Plan.
func (l *Link) HasTLS() bool { return l.tls.size > 0 || len(l.tls.blocks) > 0 }

// TLSSize returns the size and the alignment of the image, known after Plan.
func (l *Link) TLSSize() (size, align uint64) { return l.tls.size, l.tls.align }

// AddressOf returns what the address of a symbol evaluates to: Target.Addr for undefined and StubTarget symbols, else its
// place (for a thread-local variable of this graph the offset in the TLS module's block); after Allocate.
func (l *Link) AddressOf(id linkgraph.SymbolID) uint64 {
	s := &l.Graph.Symbols[id]
	switch {
	case s.Def == linkgraph.Absolute:
		return s.Offset
	case s.StubTarget || s.Def == linkgraph.Undefined:
		return s.Target.Addr
	}
	return l.BodyOf(id)
}

// BodyOf returns the place of a symbol defined in this graph, never its stub; 0 if it is not defined here or was not placed;
// after Allocate. For a thread-local variable it is the offset in the TLS module's block; after SetTLSModule.
func (l *Link) BodyOf(id linkgraph.SymbolID) uint64 {
	s := &l.Graph.Symbols[id]
	if s.Block < 0 || !l.Graph.Blocks[s.Block].Live {
		return 0
	}
	at := l.Graph.Blocks[s.Block].Addr + s.Offset
	if l.Graph.MemoryOf(s.Block) == linkgraph.TLS {
		at += l.tlsBase
	}
	return at
}

// PieceOf returns the index of the piece that holds a symbol's block, -1 if none (undefined, absolute, thread-local, dropped); after Plan.
func (l *Link) PieceOf(id linkgraph.SymbolID) int {
	if b := l.Graph.Symbols[id].Block; b >= 0 {
		return int(l.pieceOf[b])
	}
	return -1
}

// InitAddrs returns the addresses to call for Graph.Inits, in the same (run) order; after the Targets are filled.
func (l *Link) InitAddrs() []uint64 { return l.addresses(l.Graph.Inits) }

// FiniAddrs is InitAddrs for Graph.Finis.
func (l *Link) FiniAddrs() []uint64 { return l.addresses(l.Graph.Finis) }

func (l *Link) addresses(list []linkgraph.Init) []uint64 {
	addrs := make([]uint64, len(list))
	for i := range list {
		addrs[i] = l.AddressOf(list[i].Target) + uint64(list[i].Addend)
	}
	return addrs
}
