package livejit

import (
	"time"

	"livejit/internal/jitlink"
	"livejit/internal/symtab"
)

// MemoryStats counts memory of one kind.
type MemoryStats struct {
	Spans  int    `json:"spans"`  // spans in use
	Bytes  uint64 `json:"bytes"`  // bytes in use
	Writes uint64 `json:"writes"` // calls of MemoryManager.Write since the engine was made
	// Written counts the bytes of these calls.
	Written uint64 `json:"written"`
	// Resident is the size of the pages that may hold memory: what spans in use and the
	// gaps between them take. Free is the size of the gaps that are kept for new spans, LargestFree
	// that of the largest. They are known of the default memory manager only, for code, read-only data and
	// data; stubs lie in the pages of code, slots in those of data.
	Resident    uint64 `json:"resident"`
	Free        uint64 `json:"free"`
	LargestFree uint64 `json:"largest_free"`
}

// Stats is what an engine holds at one moment.
type Stats struct {
	Modules     int                    `json:"modules"`
	Functions   int                    `json:"functions"`
	Symbols     int                    `json:"symbols"` // names, those bound to the process included
	Pieces      int                    `json:"pieces"`  // separately placed functions and data
	Stubs       int                    `json:"stubs"`
	Callbacks   int                    `json:"callbacks"` // Go functions defined
	ActiveCalls int                    `json:"active_calls"`
	Pending     int                    `json:"pending"`       // functions without machine code, to be compiled at their next call
	Retired     int                    `json:"retired"`       // old versions that were not freed yet
	RetiredSize uint64                 `json:"retired_bytes"` // of them
	Reclaimed   uint64                 `json:"reclaimed"`     // old versions that were freed since the engine was made
	Scans       uint64                 `json:"scans"`         // times the threads' stacks were looked at for that
	Memory      map[string]MemoryStats `json:"memory"`        // by kind
}

// ModuleStats says what one module holds, in bytes where nothing else is said, and where
// the time of its loading went.
type ModuleStats struct {
	Name         string `json:"name"`
	Objects      int    `json:"objects"` // sources and archive members
	Functions    int    `json:"functions"`
	Pieces       int    `json:"pieces"`
	CodeBytes    uint64 `json:"code_bytes"`
	ConstBytes   uint64 `json:"const_bytes"` // read-only data
	DataBytes    uint64 `json:"data_bytes"`
	UnwindBytes  uint64 `json:"unwind_bytes"`
	KeptBytes    uint64 `json:"kept_bytes"` // IR or bitcode kept for recompiling
	GOTEntries   int    `json:"got_entries"`
	Veneers      int    `json:"veneers"`
	Relaxations  int    `json:"relaxations"`
	Edges        int    `json:"edges"` // relocations applied
	DeadBlocks   int    `json:"dead_blocks"`
	LoadDuration Stages `json:"load"`
}

// Stages splits the time of a load. Several sources compile at the same time, so the sum
// of the stages may exceed Total.
type Stages struct {
	Parse    time.Duration `json:"parse_ns"`
	Prepare  time.Duration `json:"prepare_ns"`
	Optimize time.Duration `json:"optimize_ns"`
	Codegen  time.Duration `json:"codegen_ns"`
	Read     time.Duration `json:"read_ns"` // objects into link graphs
	Link     time.Duration `json:"link_ns"`
	Total    time.Duration `json:"total_ns"` // until published; constructors not included
}

// Stats returns what the engine holds now.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Stats{Modules: len(e.modules), Symbols: e.table.Len(), Callbacks: len(e.defined), ActiveCalls: e.gate.Inside(), Memory: make(map[string]MemoryStats)}
	for _, m := range e.modules {
		s.Functions += m.stats.Functions
		s.Pieces += len(m.pieces)
	}
	for _, missing := range e.missing {
		if missing.State == symtab.Pending {
			s.Pending++
		}
	}
	s.Retired, s.RetiredSize, s.Reclaimed, s.Scans = len(e.retired), e.bytes, e.freed, e.scans
	s.Stubs = e.stubs.Stats().Live
	for kind := CodeMemory; kind <= SlotMemory; kind++ {
		s.Memory[kind.String()] = MemoryStats{
			Spans:   int(e.memory.spans[kind].Load()),
			Bytes:   uint64(e.memory.bytes[kind].Load()),
			Writes:  uint64(e.memory.writes[kind].Load()),
			Written: uint64(e.memory.written[kind].Load()),
		}
	}
	if a, ok := e.memory.MemoryManager.(arena); ok {
		a.addGaps(s.Memory)
	}
	return s
}

// Stats returns what the module holds and how long it took to load.
func (m *Module) Stats() ModuleStats {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	s := m.stats
	s.Name = m.name
	origins := make(map[symtab.Origin]bool)
	for _, sym := range m.symbols {
		if sym == nil || sym.Origin == nil || origins[sym.Origin] {
			continue
		}
		origins[sym.Origin] = true
		s.KeptBytes += uint64(len(sym.Origin.(*origin).kept.data))
	}
	return s
}

// count adds n pieces of that size; -1 takes one away.
func (s *ModuleStats) count(b jitlink.Bytes, n int) {
	s.Pieces += n
	s.CodeBytes += uint64(n * int(b.Code))
	s.ConstBytes += uint64(n * int(b.ReadOnly))
	s.DataBytes += uint64(n * int(b.Data))
	s.UnwindBytes += uint64(n * int(b.EH))
}

// setDuration notes how long it took to add the module.
func (m *Module) setDuration(s Stages) {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	m.stats.LoadDuration = s
}

// countLink adds what a unit's link did.
func (s *ModuleStats) countLink(u *unit) {
	s.Objects++
	l := u.link.Stats
	s.GOTEntries += l.GOTEntries
	s.Veneers += l.Veneers
	s.Relaxations += l.Relaxations
	s.Edges += l.Edges
	s.DeadBlocks += l.DeadBlocks
}
