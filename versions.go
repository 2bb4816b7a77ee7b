package livejit

import (
	"fmt"
	"slices"
	"sync"

	"livejit/internal/epoch"
	"livejit/internal/symtab"
	"livejit/internal/threads"
)

// Version is one compiled body of a function.
type Version struct {
	Number  int     // from 1
	Current bool    // calls reach it
	Addr    uintptr // of its first instruction
	Size    int     // bytes of machine code
	Pins    int
}

// Root is one reason why an old version of a function is still in memory.
type Root struct {
	Version int
	Kind    RootKind
	Thread  int    // system identifier of the thread, for RootThread
	Address uint64 // the address in the version that was found there
	Detail  string

	title string
}

// RootKind is what holds an old version.
type RootKind uint8

const (
	RootThread  RootKind = iota + 1 // a thread has an address in it: it is inside, or will return there
	RootCall                        // a call that began before it was retired has not ended, and stacks were not looked at since
	RootPin                         // a Pin
	RootVersion                     // another old version that is alive refers to it
	RootProfile                     // a CPU profile is being taken, or was until seconds ago: it holds addresses, see EnableTracebacks
)

// String returns the reason in one line.
func (r Root) String() string {
	switch r.Kind {
	case RootThread:
		if r.Address == 0 {
			return fmt.Sprintf("%s: thread %d could not be looked at: %s", r.title, r.Thread, r.Detail)
		}
		return fmt.Sprintf("%s: thread %d is inside or returns to it at %#x", r.title, r.Thread, r.Address)
	case RootPin:
		return r.title + ": it is pinned"
	case RootVersion:
		return r.title + ": another old version refers to it"
	case RootProfile:
		return r.title + ": a CPU profile is being taken, which holds addresses"
	}
	return r.title + ": a call that began before has not ended"
}

// Versions returns what there is of the function in memory: its current version and old
// ones that were not freed yet, in the order of their numbers.
func (f *Function) Versions() []Version {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Version
	if v := f.primary().Current; v != nil {
		list = append(list, e.version(e.pieces[v.ID], f.primary(), true))
	}
	for _, p := range e.retired {
		if p.Symbol == f.primary() {
			list = append(list, e.version(p, p.Symbol, false))
		}
	}
	slices.SortFunc(list, func(a, b Version) int { return a.Number - b.Number })
	return list
}

func (e *Engine) version(p *piece, s *symtab.Symbol, current bool) Version {
	v := Version{Number: int(p.Number), Current: current, Pins: int(p.pins), Size: int(p.bytes.Code)}
	if len(p.starts) > 0 {
		v.Addr = uintptr(p.starts[0])
	}
	if current {
		v.Number, v.Addr = int(s.Last), uintptr(s.Body)
	}
	return v
}

// primary returns the symbol whose stub and versions f has.
func (f *Function) primary() *symtab.Symbol {
	if f.symbol.Alias != nil {
		return f.symbol.Alias
	}
	return f.symbol
}

// Version returns the number of the function's current version: it counts how often the
// function was compiled. It is 0 if there is no machine code of it at the moment.
func (f *Function) Version() int {
	f.engine.mu.Lock()
	defer f.engine.mu.Unlock()
	if f.primary().Current == nil {
		return 0
	}
	return int(f.primary().Last)
}

// WhyAlive says why old versions of the function are still in memory: one line for each
// reason found. It looks at the stacks of all threads inside of native code. Nothing is
// returned when there are none, or when they can be freed.
func (f *Function) WhyAlive() []Root { return f.engine.roots(f.primary()) }

// roots finds what holds the retired versions of a symbol (nil: all).
func (e *Engine) roots(of *symtab.Symbol) []Root {
	e.running.Lock()
	defer e.running.Unlock()
	e.mu.Lock()
	b := &batch{}
	now := e.gate.Advance()
	for _, p := range e.retired {
		if of != nil && p.Symbol != of {
			continue
		}
		b.pieces = append(b.pieces, p)
		for _, s := range p.spans {
			b.suspect = append(b.suspect, threads.Range{Lo: s.RX, Hi: s.RX + max(s.Size, 1)})
			b.owners = append(b.owners, p)
		}
	}
	b.sort()
	e.mu.Unlock()
	b.scan()
	e.mu.Lock()
	defer e.mu.Unlock()
	var roots []Root
	profiled := e.profiled()
	found := make(map[*piece]bool)
	root := func(p *piece, r Root) {
		r.Version, r.title = int(p.Number), p.versionName()
		roots = append(roots, r)
		found[p] = true
	}
	for i, h := range b.holders {
		if h.Thread != 0 {
			root(b.owners[i], Root{Kind: RootThread, Thread: h.Thread, Address: h.Address, Detail: h.Reason})
		}
	}
	for _, p := range b.pieces {
		switch {
		case p.pins > 0:
			root(p, Root{Kind: RootPin})
		case found[p]:
		case p.Held():
			root(p, Root{Kind: RootVersion})
		case p.epoch+epoch.Grace > now && len(b.holders) == 0:
			root(p, Root{Kind: RootCall})
		}
		if profiled {
			root(p, Root{Kind: RootProfile})
		}
	}
	return roots
}

// versionName names a piece with its version: "f@3".
func (p *piece) versionName() string {
	if p.Number == 0 {
		return p.title()
	}
	return fmt.Sprintf("%s@%d", p.title(), p.Number)
}

// Pin holds one version of a function in memory, whatever becomes of the function.
type Pin struct {
	engine  *Engine
	piece   *piece
	version Version
	once    sync.Once
}

// Pin holds the function's current version in memory until Release: for who keeps addresses
// in it, such as a profiler or coroutines whose suspended stacks no scan sees. A function without
// machine code at the moment has none to hold: ErrNotFound.
func (f *Function) Pin() (*Pin, error) {
	e := f.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	v := f.primary().Current
	if e.closed {
		return nil, ErrClosed
	}
	if v == nil {
		return nil, fmt.Errorf("pin %s: it has no machine code at the moment: %w", f.Name(), ErrNotFound)
	}
	p := e.pieces[v.ID]
	p.pins++
	return &Pin{engine: e, piece: p, version: e.version(p, f.primary(), true)}, nil
}

// Version returns what is held.
func (p *Pin) Version() Version { return p.version }

// Release lets the version go. Further calls do nothing.
func (p *Pin) Release() {
	p.once.Do(func() {
		p.engine.mu.Lock()
		p.piece.pins--
		p.engine.mu.Unlock()
		p.engine.reclaimSome()
	})
}
