package inspect

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"livejit"
)

// functionRow is one function in the list.
type functionRow struct {
	Module  string `json:"module"`
	Name    string `json:"name"`
	Title   string `json:"title"`   // the name as in the source
	Version int    `json:"version"` // 0: no machine code at the moment
	Size    int    `json:"size"`    // bytes of machine code
	Old     int    `json:"old"`     // old versions that are still in memory
	Callers int    `json:"callers"`
	Callees int    `json:"callees"`
}

// functions serves /api/functions.
func (h *handler) functions(*http.Request) (any, error) {
	rows := []functionRow{}
	g := h.dependences()
	for i, f := range g.functions {
		row := functionRow{Module: g.modules[i], Name: f.Name(), Title: livejit.Demangle(f.Name()), Callees: g.callees[i], Callers: len(f.Callers())}
		for _, v := range f.Versions() {
			if v.Current {
				row.Version, row.Size = v.Number, v.Size
			} else {
				row.Old++
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// dependenceGraph is all functions of an engine and who refers to whom.
type dependenceGraph struct {
	functions []*livejit.Function
	modules   []string
	edges     [][3]int // from, to, and 1 if it is a call
	callees   []int    // numbers of references, of variables and the host's too
}

// dependences walks all modules. What changes meanwhile may be seen before or after.
func (h *handler) dependences() *dependenceGraph {
	g := &dependenceGraph{edges: [][3]int{}}
	type key struct{ module, name string }
	at := make(map[key]int)
	for _, m := range h.eng.Modules() {
		for _, f := range m.Functions() {
			at[key{m.Name(), f.Name()}] = len(g.functions)
			g.functions, g.modules = append(g.functions, f), append(g.modules, m.Name())
		}
	}
	g.callees = make([]int, len(g.functions))
	for from, f := range g.functions {
		for _, d := range f.Callees() {
			g.callees[from]++
			if to, ok := at[key{d.Module, d.Name}]; ok {
				call := 0
				if d.Call {
					call = 1
				}
				g.edges = append(g.edges, [3]int{from, to, call})
			}
		}
	}
	return g
}

// graphAnswer is what /api/graph says.
type graphAnswer struct {
	Nodes []graphNode `json:"nodes"`
	Edges [][3]int    `json:"edges"` // indices of nodes: from, to; 1 if it is a call, 0 if only the address is used
}

type graphNode struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Title  string `json:"title"`
	Size   int    `json:"size"`
}

// graph serves /api/graph.
func (h *handler) graph(*http.Request) (any, error) {
	g := h.dependences()
	a := graphAnswer{Nodes: []graphNode{}, Edges: g.edges}
	for i, f := range g.functions {
		a.Nodes = append(a.Nodes, graphNode{Module: g.modules[i], Name: f.Name(), Title: livejit.Demangle(f.Name()), Size: f.Size()})
	}
	return a, nil
}

// functionAnswer is what /api/function says.
type functionAnswer struct {
	Module       string       `json:"module"`
	Name         string       `json:"name"`
	Title        string       `json:"title"`
	Type         string       `json:"type"` // IR type; "" if it came as machine code
	AddressTaken bool         `json:"address_taken"`
	Versions     []version    `json:"versions"` // in memory, and those of the history
	Callers      []dependence `json:"callers"`
	Callees      []dependence `json:"callees"`
	StackMaps    int          `json:"stack_maps"` // records of the current version
	WhyAlive     []string     `json:"why_alive"`  // one line for each reason found why an old version is in memory
}

type version struct {
	Number  int    `json:"number"`
	Current bool   `json:"current"`
	Address uint64 `json:"address"` // of its first instruction; 0 if it is not in memory any more
	Size    int    `json:"size"`
	Pins    int    `json:"pins"`
	Kept    bool   `json:"kept"` // its IR and code can be shown
}

type dependence struct {
	Module   string `json:"module"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	Version  int    `json:"version"`
	Variable bool   `json:"variable"`
	Call     bool   `json:"call"`
	Address  bool   `json:"address"`
	Host     bool   `json:"host"`
}

// function serves /api/function.
func (h *handler) function(r *http.Request) (any, error) {
	f, err := h.named(r)
	if err != nil {
		return nil, err
	}
	a := functionAnswer{Module: r.FormValue("module"), Name: f.Name(), Title: livejit.Demangle(f.Name()), Type: f.Type(), AddressTaken: f.AddressTaken(), StackMaps: len(f.StackMaps()),
		Versions: versionsOf(f), Callers: dependencesOf(f.Callers()), Callees: dependencesOf(f.Callees()), WhyAlive: []string{}}
	for _, v := range a.Versions {
		if !v.Current && v.Address != 0 { // looking at stacks costs the threads something
			for _, root := range f.WhyAlive() {
				a.WhyAlive = append(a.WhyAlive, root.String())
			}
			break
		}
	}
	return a, nil
}

// versionsOf lists the versions in memory and those of the history, the newest first.
func versionsOf(f *livejit.Function) []version {
	list := []version{}
	at := make(map[int]int)
	for _, v := range f.Versions() {
		at[v.Number] = len(list)
		list = append(list, version{Number: v.Number, Current: v.Current, Address: uint64(v.Addr), Size: v.Size, Pins: v.Pins, Kept: v.Current})
	}
	for _, p := range f.Past() {
		if i, ok := at[p.Number]; ok {
			list[i].Kept = true
		} else {
			list = append(list, version{Number: p.Number, Size: p.Size, Kept: true})
		}
	}
	slices.SortFunc(list, func(a, b version) int { return b.Number - a.Number })
	return list
}

func dependencesOf(list []livejit.Dependence) []dependence {
	out := []dependence{}
	for _, d := range list {
		out = append(out, dependence{Module: d.Module, Name: d.Name, Title: livejit.Demangle(d.Name), Version: d.Version, Variable: d.Variable, Call: d.Call, Address: d.Address, Host: d.Host})
	}
	return out
}

// named finds the function that a request names by module and name; a global one also by name alone.
func (h *handler) named(r *http.Request) (*livejit.Function, error) {
	module, name := r.FormValue("module"), r.FormValue("name")
	if module == "" {
		if f := h.eng.Function(name); f != nil {
			return f, nil
		}
	}
	for _, m := range h.eng.Modules() {
		if m.Name() == module {
			if f := m.Function(name); f != nil {
				return f, nil
			}
		}
	}
	return nil, &requestError{http.StatusNotFound, fmt.Sprintf("no function %q of module %q is loaded", name, module)}
}

// mayChange says why a request must not change anything.
func (h *handler) mayChange() error {
	if !h.changes {
		return &requestError{http.StatusForbidden, "refused: this inspector only looks (inspect.AllowChanges)"}
	}
	return nil
}

// invalidate serves /api/invalidate.
func (h *handler) invalidate(r *http.Request) (any, error) {
	if err := h.mayChange(); err != nil {
		return nil, err
	}
	f, err := h.named(r)
	if err != nil {
		return nil, err
	}
	name := f.Name()
	if h.eng.Function(name) == nil {
		name = f.Module().Name() + ":" + name
	}
	if err := h.eng.Invalidate(name); err != nil {
		return nil, err
	}
	return map[string]string{"invalidated": name}, nil
}

// quiesce serves /api/quiesce: it waits a second at most.
func (h *handler) quiesce(r *http.Request) (any, error) {
	if err := h.mayChange(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := h.eng.Quiesce(ctx); err != nil {
		return nil, err
	}
	return map[string]int{"retired": h.eng.Stats().Retired}, nil
}
