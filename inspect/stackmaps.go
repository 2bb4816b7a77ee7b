package inspect

import (
	"fmt"
	"net/http"
	"runtime"

	"livejit"
	"livejit/stackmap"
)

// stackMapsAnswer is what /api/stackmaps says of the current version of a function.
type stackMapsAnswer struct {
	Module  string      `json:"module"`
	Name    string      `json:"name"`
	Title   string      `json:"title"`
	Version int         `json:"version"`
	Records []mapRecord `json:"records"` // in the order of the code
}

type mapRecord struct {
	ID         uint64        `json:"id"`
	Address    uint64        `json:"address"`    // of the place: the return address of a call
	Offset     uint32        `json:"offset"`     // from the function's start
	StackSize  int64         `json:"stack_size"` // bytes of the frame; -1 if it is not fixed
	Locations  []mapLocation `json:"locations"`
	LiveOuts   []liveOut     `json:"live_outs"`
	Statepoint *statepoint   `json:"statepoint"` // what the locations mean, if a statepoint made the record; else null
}

type mapLocation struct {
	Kind     string `json:"kind"` // as LLVM calls it
	Size     uint16 `json:"size"`
	Register string `json:"register"` // "" for constants
	Offset   int32  `json:"offset"`
	Value    uint64 `json:"value"` // of constants
	Text     string `json:"text"`  // all of it, as an operand: rbx, [rsp+8], &[rsp+8], $7
}

type liveOut struct {
	Register string `json:"register"`
	Size     uint8  `json:"size"`
}

type statepoint struct {
	Convention uint64        `json:"convention"`
	Flags      uint64        `json:"flags"`
	Deopt      []mapLocation `json:"deopt"`
	Roots      []mapRoot     `json:"roots"`
	Allocas    []mapLocation `json:"allocas"`
}

type mapRoot struct {
	Base    mapLocation `json:"base"`
	Derived mapLocation `json:"derived"`
}

// stackMaps serves /api/stackmaps.
func (h *handler) stackMaps(r *http.Request) (any, error) {
	f, err := h.named(r)
	if err != nil {
		return nil, err
	}
	a := stackMapsAnswer{Module: r.FormValue("module"), Name: f.Name(), Title: livejit.Demangle(f.Name()), Version: f.Version(), Records: []mapRecord{}}
	for _, m := range f.StackMaps() {
		a.Version = m.Location.Version // f may have been replaced meanwhile
		row := mapRecord{ID: m.Record.ID, Address: m.Location.PC, Offset: m.Record.Offset, StackSize: int64(m.StackSize), Locations: mapLocations(m.Record.Locations), LiveOuts: []liveOut{}}
		if m.StackSize == stackmap.DynamicFrame {
			row.StackSize = -1
		}
		for _, l := range m.Record.LiveOuts {
			row.LiveOuts = append(row.LiveOuts, liveOut{registerName(l.Reg), l.Size})
		}
		if s, ok := m.Record.Statepoint(); ok {
			row.Statepoint = &statepoint{s.CallingConvention, s.Flags, mapLocations(s.Deopt), []mapRoot{}, mapLocations(s.Allocas)}
			for _, root := range s.Roots {
				row.Statepoint.Roots = append(row.Statepoint.Roots, mapRoot{mapLocationOf(root.Base), mapLocationOf(root.Derived)})
			}
		}
		a.Records = append(a.Records, row)
	}
	return a, nil
}

func mapLocations(list []stackmap.Location) []mapLocation {
	out := []mapLocation{}
	for _, l := range list {
		out = append(out, mapLocationOf(l))
	}
	return out
}

func mapLocationOf(l stackmap.Location) mapLocation {
	m := mapLocation{Kind: l.Kind.String(), Size: l.Size, Offset: l.Offset, Value: l.Value}
	switch l.Kind {
	case stackmap.Register, stackmap.Direct, stackmap.Indirect:
		m.Register = registerName(l.Reg)
	}
	switch l.Kind {
	case stackmap.Register:
		m.Text = m.Register
	case stackmap.Direct:
		m.Text = fmt.Sprintf("&[%s%+d]", m.Register, l.Offset)
	case stackmap.Indirect:
		m.Text = fmt.Sprintf("[%s%+d]", m.Register, l.Offset)
	default:
		m.Text = fmt.Sprintf("$%d", int64(l.Value))
	}
	return m
}

// registerNames are the first DWARF registers of x86-64 (System V AMD64 psABI, figure 3.36).
var registerNames = [...]string{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"}

// registerName is the name of a register by its DWARF number.
func registerName(n uint16) string {
	switch {
	case runtime.GOARCH == "amd64" && int(n) < len(registerNames):
		return registerNames[n]
	case runtime.GOARCH == "amd64" && n >= 17 && n <= 32:
		return fmt.Sprintf("xmm%d", n-17)
	case runtime.GOARCH == "arm64" && n <= 30: // AArch64 DWARF, section 4.1
		return fmt.Sprintf("x%d", n)
	case runtime.GOARCH == "arm64" && n == 31:
		return "sp"
	}
	return fmt.Sprintf("dwarf%d", n)
}
