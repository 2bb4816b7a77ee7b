package livejit

import (
	"fmt"
	"sync/atomic"

	"livejit/internal/codearena"
	"livejit/internal/jitlink"
	"livejit/internal/linkgraph"
)

// countedMemory is the engine's memory manager with counts of what is outstanding.
type countedMemory struct {
	MemoryManager
	spans, bytes    [SlotMemory + 1]atomic.Int64
	writes, written [SlotMemory + 1]atomic.Int64
}

func (m *countedMemory) Allocate(r MemoryRequest) (Span, error) {
	s, err := m.MemoryManager.Allocate(r)
	if err != nil {
		return s, err
	}
	lo, hi := m.Range()
	if s.RX < lo || s.RX > hi || s.Size > hi-s.RX || s.Size < r.Size || r.Align > 0 && s.RX%r.Align != 0 {
		m.MemoryManager.Free(s)
		return Span{}, fmt.Errorf("memory manager gave %#x+%#x for %d bytes aligned to %d in %#x-%#x", s.RX, s.Size, r.Size, r.Align, lo, hi)
	}
	s.Kind = r.Kind
	m.spans[s.Kind].Add(1)
	m.bytes[s.Kind].Add(int64(s.Size))
	return s, nil
}

func (m *countedMemory) Write(s Span, off uint64, p []byte) error {
	m.writes[s.Kind].Add(1)
	m.written[s.Kind].Add(int64(len(p)))
	return m.MemoryManager.Write(s, off, p)
}

func (m *countedMemory) Free(s Span) error {
	m.spans[s.Kind].Add(-1)
	m.bytes[s.Kind].Add(-int64(s.Size))
	return m.MemoryManager.Free(s)
}

// stubMemory gives the stub table its pages.
type stubMemory struct{ m MemoryManager }

func (s stubMemory) Allocate(r codearena.Request) (codearena.Span, error) {
	span, err := s.m.Allocate(MemoryRequest{Section: r.Section, Kind: MemoryKind(r.Kind), Size: r.Size, Align: r.Align})
	return toArena(span), err
}

func (s stubMemory) Write(span codearena.Span, off uint64, p []byte) error {
	return s.m.Write(fromArena(span), off, p)
}

func (s stubMemory) Free(span codearena.Span) error { return s.m.Free(fromArena(span)) }

// allocator gives a load's links their memory, in the name of the module.
type allocator struct {
	memory MemoryManager
	module string
}

var kindOfMemory = map[linkgraph.Memory]MemoryKind{
	linkgraph.Code:     CodeMemory,
	linkgraph.ReadOnly: ReadOnlyMemory,
	linkgraph.Data:     DataMemory,
}

func (a *allocator) Allocate(r jitlink.Request) (jitlink.Span, error) {
	request := MemoryRequest{Module: a.module, Function: r.Function, Section: r.Section, Kind: kindOfMemory[r.Memory], Size: r.Size, Align: r.Align}
	s, err := a.memory.Allocate(request)
	if err != nil {
		return jitlink.Span{}, &MemoryError{Request: request, Err: err}
	}
	return jitlink.Span{Addr: s.RX, Size: s.Size, Ref: s.RW, Memory: r.Memory}, nil
}

func (a *allocator) Write(s jitlink.Span, off uint64, p []byte) error {
	return a.memory.Write(spanOf(s), off, p)
}

func (a *allocator) Free(s jitlink.Span) error { return a.memory.Free(spanOf(s)) }

func spanOf(s jitlink.Span) Span {
	return Span{RX: s.Addr, RW: s.Ref, Size: s.Size, Kind: kindOfMemory[s.Memory]}
}

// spansOf returns the spans that a piece has.
func spansOf(p *jitlink.Piece) []Span {
	spans := make([]Span, 0, 1)
	for _, s := range [...]jitlink.Span{p.Code, p.ReadOnly, p.Data} {
		if s.Size != 0 {
			spans = append(spans, spanOf(s))
		}
	}
	return spans
}

// memoryError reports that no stub could be had.
func memoryError(module, function string, err error) error {
	return &MemoryError{Request: MemoryRequest{Module: module, Function: function, Section: "stub", Kind: StubMemory, Size: 16, Align: 16}, Err: err}
}
