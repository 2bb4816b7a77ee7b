// Package epoch knows which calls from the host are inside native code, and since when.
//
// Every entry is bracketed by Enter and Exit and counted under the epoch in which it
// began. What was unpublished in epoch E cannot be seen by any entry any more once the
// epoch is E+Grace: Advance moves on whenever nobody is left from the epoch before. So
// short calls, however many, never delay that for long; one that never ends does, and then
// somebody must look at its stack (package threads). Exclusive runs a function while nothing at all is
// inside, or refuses.
//
// # Invariants
//
// An entry counts itself, then looks whether the epoch is still the one it counted itself
// under and whether the gate is shut, and takes its count back if not. All of it is
// sequentially consistent.
//
//   - While an entry of epoch e is inside, the epoch is e or e+1: to go from e+1 to e+2 the
//     counts of e (those of its parity) must have been read as 0, after the step to e+1. The
//     entry's count came before its look at the epoch, which saw e, so before that step.
//   - An entry that may have seen what was unpublished in epoch E began in E or before.
//     With the first invariant none of those is inside once the epoch is E+2.
//   - f of Exclusive never runs between the Enter and the Exit of any entry: Exclusive shuts
//     the gate and then reads the counts, an entry counts itself and then looks at the gate,
//     so at least one of the two sees the other.
//
// Threads that native code starts by itself do not pass through the gate.
package epoch

import (
	"sync"
	"sync/atomic"
)

// Grace is the number of epochs after which what was unpublished can be reached by no entry.
const Grace = 2

const shards = 16

// Gate counts entries. The zero Gate is open. Safe for concurrent use.
type Gate struct {
	shut    atomic.Bool
	mu      sync.Mutex // held by Exclusive while the gate is shut
	epoch   atomic.Uint64
	entries [shards]struct {
		n [2]atomic.Int64 // by the parity of the epoch
		_ [48]byte        // a cache line each: entries on different cores do not share one
	}
}

// Pin is one entry in progress; it must be given back with Exit.
type Pin uint32

// Enter counts an entry. It waits while Exclusive runs its function.
func (g *Gate) Enter() Pin {
	i := here()
	for {
		e := g.epoch.Load()
		n := &g.entries[i].n[e&1]
		n.Add(1)
		shut := g.shut.Load()
		if !shut && g.epoch.Load() == e {
			return Pin(i<<1 | uint32(e&1))
		}
		n.Add(-1)
		if shut {
			g.mu.Lock() // wait until Exclusive is done
			g.mu.Unlock()
		}
	}
}

// Exit ends the entry p.
func (g *Gate) Exit(p Pin) { g.entries[p>>1].n[p&1].Add(-1) }

// Epoch returns the present epoch.
func (g *Gate) Epoch() uint64 { return g.epoch.Load() }

// Advance begins a new epoch unless entries of the epoch before the present one are still
// inside, and returns the epoch there is now.
func (g *Gate) Advance() uint64 {
	e := g.epoch.Load()
	if g.count((e+1)&1) == 0 {
		g.epoch.CompareAndSwap(e, e+1)
	}
	return g.epoch.Load()
}

// count returns how many entries of one parity are inside.
func (g *Gate) count(parity uint64) int64 {
	var n int64
	for i := range g.entries {
		n += g.entries[i].n[parity].Load()
	}
	return n
}

// Inside returns how many entries are in progress.
func (g *Gate) Inside() int { return int(g.count(0) + g.count(1)) }

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
