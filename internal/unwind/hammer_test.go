package unwind_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"livejit/internal/codearena"
	"livejit/internal/unwind"
	"livejit/internal/unwind/internal/unwindtest"
)

// Threads look up blocks that stay while others add, remove and wipe their
// neighbours, and regions come and go; program counters of what is being removed are looked
// up too: those may be found or not, but never wrongly, and never fault.
func TestHammer(t *testing.T) {
	w := newWorkshop(t)
	var stay, others []uint64
	for i := range 200 {
		stay = append(stay, w.add(uint32(i), make([]byte, 1+i*13%300), part{begin: 0, end: uint32(1 + i*13%300)}).start)
		others = append(others, w.place(1000, make([]byte, 48)).start)
	}
	var stop atomic.Bool
	var lookers, movers sync.WaitGroup
	for g := range 3 {
		lookers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			for !stop.Load() {
				i := r.IntN(len(stay))
				if c, ok := unwind.Find(stay[i]); !ok || c.Start != stay[i] || c.ID != uint32(i) || c.FDE == 0 {
					t.Errorf("%#x: %+v %v", stay[i], c, ok)
				}
				// Somewhere in the neighbourhood, where code comes and goes.
				pc := others[r.IntN(len(others))] + r.Uint64N(4096)
				if c, ok := unwind.Find(pc); ok && (pc < c.Start || pc-c.Start >= c.Size) {
					t.Errorf("%#x: %+v", pc, c)
				}
			}
		})
	}
	lookers.Go(func() {
		for !stop.Load() {
			if n := unwindtest.Lookups(stay, 100); n != 100*len(stay) {
				t.Errorf("%d of %d look-ups found nothing", 100*len(stay)-n, 100*len(stay))
			}
		}
	})
	for range 2 {
		movers.Go(func() {
			for i := range 3000 {
				p := w.place(uint32(i), make([]byte, 1+i*7%200), part{begin: 0, end: uint32(1 + i*7%200)})
				w.r.Add(p.start)
				if c, ok := unwind.Find(p.start); !ok || c.Start != p.start {
					t.Errorf("%#x: %+v %v", p.start, c, ok)
				}
				w.r.Remove(p.start)
				w.free(p)
			}
		})
	}
	movers.Go(func() {
		for range 300 {
			a, err := codearena.New(codearena.Options{Size: 1 << 20})
			if err != nil {
				t.Error(err)
				return
			}
			r, err := unwind.NewRegion(a.Range())
			if err != nil {
				t.Error(err)
				return
			}
			in := &workshop{t: t, a: a, r: r}
			p := in.add(1, make([]byte, 64))
			if _, ok := unwind.Find(p.start + 63); !ok {
				t.Errorf("%#x not found in a region of its own", p.start+63)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, ok := unwind.Find(p.start + 63); ok {
				t.Errorf("%#x found after the region's end", p.start+63)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	movers.Wait()
	stop.Store(true)
	lookers.Wait()
}

// A signal may come in the middle of a change: its look-up still answers.
func TestSignalDuringChange(t *testing.T) {
	w := newWorkshop(t)
	f := w.add(1, make([]byte, 5000))
	hits, misses := unwindtest.Interrupt(f.start+4999, func() {
		var neighbours []uint64
		for range 64 {
			neighbours = append(neighbours, w.place(2, make([]byte, 16)).start)
		}
		for range 20000 {
			w.r.Add(neighbours...)
			w.r.Remove(neighbours...)
		}
	})
	if hits == 0 || misses > 0 {
		t.Errorf("%d look-ups hit, %d missed", hits, misses)
	}
}

func benchmarkFind(b *testing.B, n int) {
	w := newWorkshop(b)
	starts := make([]uint64, n)
	pcs := make([]uint64, n)
	for i := range starts {
		size := 40 + i*31%400
		starts[i] = w.place(uint32(i), make([]byte, size), part{begin: 0, end: uint32(size)}).start
		pcs[i] = starts[i] + uint64(size/2)
	}
	w.r.Add(starts...)
	rand.Shuffle(n, func(i, j int) { pcs[i], pcs[j] = pcs[j], pcs[i] })
	pcs = pcs[:min(n, 1000)]
	b.ResetTimer()
	if found := unwindtest.Lookups(pcs, b.N/len(pcs)+1); found != len(pcs)*(b.N/len(pcs)+1) {
		b.Errorf("%d found", found)
	}
}

func BenchmarkFind10000(b *testing.B)  { benchmarkFind(b, 10000) }
func BenchmarkFind100000(b *testing.B) { benchmarkFind(b, 100000) }

func BenchmarkAddRemove(b *testing.B) {
	w := newWorkshop(b)
	p := w.place(1, make([]byte, 100))
	for b.Loop() {
		w.r.Add(p.start)
		w.r.Remove(p.start)
	}
}

func BenchmarkRegionLifetime(b *testing.B) {
	for b.Loop() {
		r, err := unwind.NewRegion(0x5000_0000_0000, 0x5000_4000_0000)
		if err != nil {
			b.Fatal(err)
		}
		r.Add(0x5000_0000_0100)
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
