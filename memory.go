package livejit

import (
	"livejit/internal/codearena"
	"livejit/internal/vmem"
)

// MemoryKind says what memory is for and how it is protected.
type MemoryKind uint8

const (
	CodeMemory     MemoryKind = iota // executable, read-only in the executing view
	ReadOnlyMemory                   // constants, unwind tables, GOT entries
	DataMemory                       // variables, writable
	StubMemory                       // stubs: executable
	SlotMemory                       // the stubs' pointer slots: writable
)

func (k MemoryKind) String() string { return codearena.Kind(k).String() }

// MemoryRequest asks a MemoryManager for one span. It names who wants it.
type MemoryRequest struct {
	Module   string // name of the module; empty for the engine's own stubs
	Function string // function or variable whose memory it is; empty for what a module shares
	Section  string // ELF section the span was made for
	Kind     MemoryKind
	Size     uint64 // bytes, more than zero
	Align    uint64 // power of two
}

// Span is memory a MemoryManager gave.
type Span struct {
	RX   uint64 // address at which code runs and data is read
	RW   uint64 // address of the same memory in the writable view; RX again for data
	Size uint64 // bytes, as requested
	Kind MemoryKind
}

// MemoryManager gives the engine all its memory for code, constants, stubs and data.
//
// All spans lie in one range of addresses that never changes and is at most 2 GiB long:
// code reaches its data, its stubs and other code with 32-bit displacements. The engine
// changes code and read-only memory only through Write; data is written in place.
// Implementations must be safe for concurrent use and need not be fast: the engine calls
// them a few times for each function that is loaded, never when code runs. A client's own
// manager usually wraps the one of NewMemoryManager.
type MemoryManager interface {
	// Range returns the range [lo, hi) that all spans lie in.
	Range() (lo, hi uint64)
	// Allocate returns a span of the requested size, zeroed if its kind is DataMemory or
	// SlotMemory. An error refuses the load that needs it.
	Allocate(r MemoryRequest) (Span, error)
	// Write copies p into s at off. It is only called before anything can execute or
	// read those bytes.
	Write(s Span, off uint64, p []byte) error
	// Free takes a span back that nothing can reach any more.
	Free(s Span) error
	// Close gives back everything. The engine calls it once, after its last span was freed.
	Close() error
}

// arena is the default MemoryManager.
type arena struct{ a *codearena.Arena }

// NewMemoryManager returns the default memory manager: one reservation of size bytes of
// address space (0: 960 MiB; at most 2 GiB), in the low 2 GiB if there is room; spans
// packed side by side; code in two views of one memory, so that no page is ever writable
// and executable at one address.
func NewMemoryManager(size uint64) (MemoryManager, error) {
	return newArena(size, false, vmem.Auto)
}

// newArena makes the default memory manager; one that keeps freed code filled with traps
// if stress is set. mode says how it is written.
func newArena(size uint64, stress bool, mode vmem.Mode) (MemoryManager, error) {
	a, err := codearena.New(codearena.Options{Size: size, KeepPages: stress, Mode: mode})
	if err != nil {
		return nil, err
	}
	return arena{a}, nil
}

func (m arena) Range() (lo, hi uint64) { return m.a.Range() }

func (m arena) Allocate(r MemoryRequest) (Span, error) {
	s, err := m.a.Allocate(codearena.Request{Module: r.Module, Function: r.Function, Section: r.Section,
		Kind: codearena.Kind(r.Kind), Size: r.Size, Align: r.Align})
	return fromArena(s), err
}

func (m arena) Write(s Span, off uint64, p []byte) error { return m.a.Write(toArena(s), off, p) }
func (m arena) Free(s Span) error                        { return m.a.Free(toArena(s)) }
func (m arena) Close() error                             { return m.a.Close() }

// addGaps adds what the arena knows about its pages.
func (m arena) addGaps(memory map[string]MemoryStats) {
	arena := m.a.Stats()
	for kind := CodeMemory; kind <= DataMemory; kind++ {
		k := arena.Kinds[kind]
		s := memory[kind.String()]
		s.Resident, s.Free, s.LargestFree = k.Touched, k.Free, k.LargestFree
		memory[kind.String()] = s
	}
}

func toArena(s Span) codearena.Span {
	return codearena.Span{RX: s.RX, RW: s.RW, Size: s.Size, Kind: codearena.Kind(s.Kind)}
}

func fromArena(s codearena.Span) Span {
	return Span{RX: s.RX, RW: s.RW, Size: s.Size, Kind: MemoryKind(s.Kind)}
}
