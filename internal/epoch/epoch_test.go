package epoch

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestExclusiveRefusesWhileInside(t *testing.T) {
	var g Gate
	p := g.Enter()
	if n := g.Exclusive(func() { t.Error("ran while an entry was inside") }); n != 1 {
		t.Errorf("Exclusive = %d, want 1 entry inside", n)
	}
	g.Exit(p)
	ran := false
	if n := g.Exclusive(func() { ran = true }); n != 0 || !ran {
		t.Errorf("Exclusive = %d, ran %v; want 0, true", n, ran)
	}
	g.Exit(g.Enter()) // the gate is open again
	if g.Inside() != 0 {
		t.Errorf("Inside = %d, want 0", g.Inside())
	}
}

// TestExclusiveHammer fails when Enter does not look at shut after counting itself
// (tried: without the check the test reports an entry inside within a few milliseconds).
func TestExclusiveHammer(t *testing.T) {
	var g Gate
	var inside, exclusive atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50000 {
				p := g.Enter()
				inside.Add(1)
				if exclusive.Load() != 0 {
					t.Error("an entry began while Exclusive ran")
				}
				inside.Add(-1)
				g.Exit(p)
			}
		}()
	}
	for range 20000 {
		g.Exclusive(func() {
			exclusive.Store(1)
			if inside.Load() != 0 {
				t.Error("Exclusive ran with an entry inside")
			}
			exclusive.Store(0)
		})
	}
	wg.Wait()
}

func TestAdvance(t *testing.T) {
	var g Gate
	start := g.Epoch()
	for range Grace {
		g.Advance()
	}
	if g.Epoch() != start+Grace {
		t.Fatalf("an idle gate went from epoch %d to %d, want %d", start, g.Epoch(), start+Grace)
	}
	old := g.Enter()
	unpublished := g.Epoch()
	for range 10 {
		g.Exit(g.Enter()) // calls that come and go do not help
		g.Advance()
	}
	if e := g.Epoch(); e >= unpublished+Grace {
		t.Errorf("epoch %d with an entry of epoch %d inside", e, unpublished)
	}
	young := g.Enter()
	g.Exit(old)
	for range 10 {
		g.Advance()
	}
	if e := g.Epoch(); e < unpublished+Grace {
		t.Errorf("epoch %d although only an entry that began later is inside, want at least %d", e, unpublished+Grace)
	}
	g.Exit(young)
}

// TestAdvanceHammer publishes and reclaims numbers as an engine does versions: each entry
// reads the present one, which must not have been reclaimed before it leaves. It fails when
// Grace is 1 (tried: within a second).
func TestAdvanceHammer(t *testing.T) {
	var g Gate
	const versions = 64
	var present atomic.Int64
	var freed [versions]atomic.Bool
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				p := g.Enter()
				v := present.Load()
				for range 20 {
					if freed[v].Load() {
						t.Errorf("version %d was reclaimed under an entry", v)
						stop.Store(true)
					}
				}
				g.Exit(p)
			}
		})
	}
	type retired struct {
		version int64
		epoch   uint64
	}
	var queue []retired
	for i := int64(1); i < 40_000 && !stop.Load(); i++ {
		old := present.Load()
		freed[i%versions].Store(false)
		present.Store(i % versions)
		queue = append(queue, retired{old, g.Epoch()})
		e := g.Advance()
		for len(queue) > 0 && queue[0].epoch+Grace <= e {
			freed[queue[0].version].Store(true)
			queue = queue[1:]
		}
		for len(queue) >= versions-1 && !stop.Load() { // the next one's place must be free
			runtime.Gosched()
			e := g.Advance()
			for len(queue) > 0 && queue[0].epoch+Grace <= e {
				freed[queue[0].version].Store(true)
				queue = queue[1:]
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}
