package codearena

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by calls on an arena after its Close.
var ErrClosed = errors.New("codearena: the arena is closed")

// ExhaustedError says that a request found no room.
type ExhaustedError struct {
	Kind      Kind
	Requested uint64 // bytes
	Align     uint64
	InUse     uint64 // bytes of this kind in use
	Limit     uint64 // bytes of address space the arena has for all kinds
	Largest   uint64 // bytes of the largest free block that this kind could use
	Module    string
	Function  string
	Section   string
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("codearena: no room for %d bytes of %v%s: %d bytes of it in use, largest free block %d bytes, arena %d bytes",
		e.Requested, e.Kind, asker(e.Module, e.Function, e.Section), e.InUse, e.Largest, e.Limit)
}

// RequestError says that a request makes no sense.
type RequestError struct {
	Request Request
	Msg     string
}

func (e *RequestError) Error() string {
	r := e.Request
	return fmt.Sprintf("codearena: request for %d bytes of %v, alignment %d%s: %s",
		r.Size, r.Kind, r.Align, asker(r.Module, r.Function, r.Section), e.Msg)
}

// SpanError says that a span given to Write or Free is not one, or not whole.
type SpanError struct {
	Op     string // "write" or "free"
	Span   Span
	Offset uint64 // of a write
	Bytes  uint64 // of a write
	Msg    string
}

func (e *SpanError) Error() string {
	part := ""
	if e.Op == "write" {
		part = fmt.Sprintf(" (%d bytes at offset %d)", e.Bytes, e.Offset)
	}
	return fmt.Sprintf("codearena: %s%s: span of %d bytes of %v at %#x: %s", e.Op, part, e.Span.Size, e.Span.Kind, e.Span.RX, e.Msg)
}

// asker names who made a request.
func asker(module, function, section string) string {
	s := ""
	if section != "" {
		s += " in section " + section
	}
	if function != "" {
		s += " of function " + function
	}
	if module != "" {
		s += " of module " + module
	}
	if s == "" {
		return ""
	}
	return " (" + s[1:] + ")"
}

// exhausted describes a request that found no room; the caller holds a.mu.
func (a *Arena) exhausted(r Request) error {
	p := &a.pools[poolOf[r.Kind]]
	return &ExhaustedError{
		Kind: r.Kind, Requested: r.Size, Align: r.Align, Module: r.Module, Function: r.Function, Section: r.Section,
		InUse: a.inUse[r.Kind], Limit: a.hi - a.lo,
		Largest: max(uint64(p.free.largest())<<p.shift, a.largestRoom()),
	}
}

func (a *Arena) exhaustedLocked(r Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return ErrClosed
	}
	return a.exhausted(r)
}
