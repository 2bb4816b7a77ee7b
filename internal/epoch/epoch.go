// Package epoch knows which calls from the host are inside native code.
//
// Every entry is bracketed by Enter and Exit. Exclusive runs a function while nothing
// is inside, or refuses: it is how memory that native code could still be executing is
// freed.
//
// Invariant: f of Exclusive never runs between the Enter and the Exit of any entry.
// Enter first counts itself and then looks whether the gate is shut; Exclusive first
// shuts the gate and then reads the counts. Both are sequentially consistent atomics, so
// at least one of the two sees the other: either the entry sees the shut gate, takes its
// count back and waits, or Exclusive sees the count and refuses.
//
// Threads that native code starts by itself do not pass through the gate.
package epoch

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

const shards = 16

// Gate counts entries. The zero Gate is open. Safe for concurrent use.
type Gate struct {
	shut    atomic.Bool
	mu      sync.Mutex // held by Exclusive while the gate is shut
	entries [shards]struct {
		n atomic.Int64
		_ [56]byte // a cache line each: entries on different cores do not share one
	}
}

// Pin is one entry in progress; it must be given back with Exit.
type Pin uint32

// Enter counts an entry. It waits while Exclusive runs its function.
func (g *Gate) Enter() Pin {
	i := Pin(rand.Uint32() % shards)
	for {
		g.entries[i].n.Add(1)
		if !g.shut.Load() {
			return i
		}
		g.entries[i].n.Add(-1)
		g.mu.Lock() // wait until Exclusive is done
		g.mu.Unlock()
	}
}

// Exit ends the entry p.
func (g *Gate) Exit(p Pin) { g.entries[p].n.Add(-1) }

// Inside returns how many entries are in progress.
func (g *Gate) Inside() int {
	var n int64
	for i := range g.entries {
		n += g.entries[i].n.Load()
	}
	return int(n)
}

// Exclusive runs f while no entry is in progress and none can begin. If entries are in
// progress it does not run f and returns their number.
func (g *Gate) Exclusive(f func()) (inside int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut.Store(true)
	defer g.shut.Store(false)
	if n := g.Inside(); n != 0 {
		return n
	}
	f()
	return 0
}
