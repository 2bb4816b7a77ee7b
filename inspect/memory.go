package inspect

import (
	"encoding/json"
	"net/http"

	"livejit"
)

// memoryAnswer is what /api/memory says.
type memoryAnswer struct {
	Lo    uint64       `json:"lo"` // the reserved range [lo, hi)
	Hi    uint64       `json:"hi"`
	Pools []memoryPool `json:"pools"`
	Spans []memorySpan `json:"spans"`
}

type memoryPool struct {
	Lo   uint64 `json:"lo"`
	Hi   uint64 `json:"hi"`
	Kind string `json:"kind"` // "code" with stubs, "read-only data", "data" with slots
}

type memorySpan struct {
	Address uint64 `json:"address"`
	Size    uint64 `json:"size"`
	Kind    string `json:"kind"`
	Module  string `json:"module"`
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version int    `json:"version"`
	Retired bool   `json:"retired"`
}

// memory serves /api/memory.
func (h *handler) memory(*http.Request) (any, error) {
	m, err := h.eng.MemoryMap()
	if err != nil {
		return nil, err
	}
	a := memoryAnswer{Lo: m.Lo, Hi: m.Hi, Pools: []memoryPool{}, Spans: []memorySpan{}}
	for _, p := range m.Pools {
		a.Pools = append(a.Pools, memoryPool{Lo: p.Lo, Hi: p.Hi, Kind: p.Kind.String()})
	}
	for _, s := range m.Spans {
		a.Spans = append(a.Spans, memorySpan{Address: s.Addr, Size: s.Size, Kind: s.Kind.String(), Module: s.Module, Name: s.Name, Title: livejit.Demangle(s.Name), Version: s.Version, Retired: s.Retired})
	}
	return a, nil
}

// countersAnswer is what /api/counters says.
type countersAnswer struct {
	Engine  livejit.Stats         `json:"engine"`
	Modules []livejit.ModuleStats `json:"modules"`
	Changes bool                  `json:"changes"` // viewers may change something
}

// counters serves /api/counters.
func (h *handler) counters(*http.Request) (any, error) {
	a := countersOf(h.eng)
	a.Changes = h.changes
	return a, nil
}

func countersOf(eng *livejit.Engine) countersAnswer {
	a := countersAnswer{Engine: eng.Stats(), Modules: []livejit.ModuleStats{}}
	for _, m := range eng.Modules() {
		a.Modules = append(a.Modules, m.Stats())
	}
	return a
}

// Var is an expvar.Var with an engine's counters; see NewVar.
type Var struct{ eng *livejit.Engine }

// NewVar returns a variable for expvar.Publish("livejit", inspect.NewVar(eng)). Its value is the
// JSON object of /api/counters without "changes", and null once the engine is closed.
func NewVar(eng *livejit.Engine) Var { return Var{eng} }

// String returns the counters as JSON.
func (v Var) String() string {
	if v.eng.Closed() {
		return "null"
	}
	a := countersOf(v.eng)
	text, err := json.Marshal(struct {
		Engine  livejit.Stats         `json:"engine"`
		Modules []livejit.ModuleStats `json:"modules"`
	}{a.Engine, a.Modules})
	if err != nil {
		panic("BUG: counters: " + err.Error())
	}
	return string(text)
}
