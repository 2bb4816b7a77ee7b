package livejit

import (
	"cmp"
	"slices"

	"livejit/internal/codearena"
)

// MemoryMap says what lies where in an engine's memory at one moment.
type MemoryMap struct {
	Lo, Hi uint64         // the reserved range
	Pools  []MemoryPool   // what of it has memory behind it, by address; empty for a client's own MemoryManager
	Spans  []MappedMemory // by address
}

// MemoryPool is a stretch of the range that is given to one kind of use: CodeMemory with the
// stubs, ReadOnlyMemory, or DataMemory with the slots. What no span in it covers is free for more of them.
type MemoryPool struct {
	Lo, Hi uint64
	Kind   MemoryKind
}

// MappedMemory is one span in use, and whose it is.
type MappedMemory struct {
	Addr, Size uint64
	Kind       MemoryKind
	Module     string // "" for the engine's own: stubs, slots, thunks of Go functions, arguments
	Name       string // of the function or variable; "" for what several share
	Version    int    // of a function; 0 for data
	Retired    bool   // of a version that was replaced or deleted and is not freed yet
}

// MemoryMap returns a map of the engine's memory; its time and size grow with the number of spans.
// The error is ErrClosed.
func (e *Engine) MemoryMap() (MemoryMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return MemoryMap{}, ErrClosed
	}
	var m MemoryMap
	m.Lo, m.Hi = e.memory.Range()
	add := func(s Span, of MappedMemory) {
		if s.Size == 0 {
			return
		}
		of.Addr, of.Size, of.Kind = s.RX, s.Size, s.Kind
		m.Spans = append(m.Spans, of)
	}
	for _, p := range e.pieces {
		if p == nil {
			continue
		}
		for _, s := range p.spans {
			add(s, MappedMemory{Module: p.module.name, Name: p.name, Version: int(p.Number), Retired: p.Retired})
		}
	}
	for _, module := range e.modules {
		for _, s := range module.constants {
			add(s, MappedMemory{Module: module.name, Retired: true})
		}
		if module.exit != nil {
			add(module.exit.thunks, MappedMemory{Module: module.name})
		}
	}
	for name, h := range e.defined {
		add(h.thunk, MappedMemory{Name: name})
	}
	for s, span := range e.copies {
		add(span, MappedMemory{Name: s.Name})
	}
	add(e.arguments, MappedMemory{})
	e.stubs.Pages(func(stubs, slots codearena.Span) {
		add(fromArena(stubs), MappedMemory{})
		add(fromArena(slots), MappedMemory{})
	})
	slices.SortFunc(m.Spans, func(a, b MappedMemory) int { return cmp.Compare(a.Addr, b.Addr) })
	if a, ok := e.memory.MemoryManager.(arena); ok {
		for _, p := range a.a.Pools() {
			m.Pools = append(m.Pools, MemoryPool{Lo: p.Lo, Hi: p.Hi, Kind: MemoryKind(p.Kind)})
		}
	}
	return m, nil
}
