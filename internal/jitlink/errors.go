package jitlink

import (
	"debug/elf"
	"fmt"

	"livejit/internal/linkgraph"
)

// RelocationError says why one edge cannot be served.
type RelocationError struct {
	Object, Section string
	Offset          uint64 // of the field from the start of its block
	Symbol          string
	Machine         elf.Machine
	Kind            string // name of the relocation type
	Value           int64  // what was to be stored, 0 if it could not be computed; for PC-relative kinds it is a distance
	Msg             string
}

func (e *RelocationError) Error() string {
	return fmt.Sprintf("%s(%s+%#x): %s to %s: %s", e.Object, e.Section, e.Offset, e.Kind, e.Symbol, e.Msg)
}

// relocationError describes an edge of a block.
func (l *Link) relocationError(b linkgraph.BlockID, e *linkgraph.Edge, value int64, msg string) error {
	g := l.Graph
	return &RelocationError{Object: g.Name, Section: g.Sections[g.Blocks[b].Section].Name, Offset: uint64(e.Offset),
		Symbol: g.SymbolName(e.Target), Machine: g.Machine, Kind: l.t.kindName(e.Kind), Value: value, Msg: msg}
}

// AllocateError says which span could not be had.
type AllocateError struct {
	Object  string
	Request Request
	Err     error
}

func (e *AllocateError) Error() string {
	who := e.Request.Function
	if who == "" {
		who = "shared constants"
	}
	return fmt.Sprintf("allocate %d bytes of %s memory for %s of %s: %v", e.Request.Size, e.Request.Memory, who, e.Object, e.Err)
}

func (e *AllocateError) Unwrap() error { return e.Err }
