package threads_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"livejit/internal/threads"
	"livejit/internal/threads/internal/threadstest"
)

func load(p *uint64) uint64     { return atomic.LoadUint64(p) }
func store(p *uint64, v uint64) { atomic.StoreUint64(p, v) }

// What an engine does: redirect, scan until nobody holds the old body, free it; while native threads and short entries run what the slot says. Nobody
// may run what is free. Fails at once if snapshot passes over Go's threads whatever their base. (fence_everywhere is not missed here: between the
// store of base and the read of the slot an entry of guard takes longer than the processor keeps a store back.)
func TestRetire(t *testing.T) {
	t.Run("entries", func(t *testing.T) { testRetire(t, 0) })
	t.Run("with native threads", func(t *testing.T) { testRetire(t, 2) })
}

func testRetire(t *testing.T, natives int) {
	before := threads.Native()
	r, stop := threadstest.NewRetire(), threadstest.Words(1)
	body := func(version int) uint64 { return kept + uint64(version)*64 }
	store(&r.Slot, body(1))
	for range natives {
		if !r.Thread(&stop[0]) {
			t.Fatal("no thread")
		}
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for load(&stop[0]) == 0 {
				call(t, threadstest.RetireRounds(), uint64(uintptr(unsafe.Pointer(r))), 1, []uint64{0, 100, 20000}[i])
			}
		})
	}
	end := time.Now().Add(time.Second)
	version, again := 1, 0
	for ; time.Now().Before(end); version++ {
		store(&r.Slot, body(version+1))
		for scan(t, []threads.Range{{Lo: body(version), Hi: body(version) + 16}})[0].Held() {
			again++
		}
		store(&r.Retired, body(version))
	}
	store(&stop[0], 1)
	wg.Wait()
	if n := awaitNative(before); n != before {
		t.Errorf("%d native threads, %d before", n, before)
	}
	if bad, rounds := load(&r.Bad), load(&r.Rounds); bad != 0 || rounds == 0 {
		t.Errorf("of %d rounds %d ran what was freed", rounds, bad)
	}
	t.Logf("%d versions, %d scans found one in use, %d rounds", version, again, load(&r.Rounds))
	r.Free()
}

// Threads come, keep an address for a while, drop it, and end; Go threads do so in entries and under callbacks. A slot whose counter is the same
// before and after a scan was planted all the time or not at all, and the scan must say so. Fails at once if lj_look_from begins a page too high;
// sometimes, as a thread that does not answer, if lj_record.sent is a flag that outlives the thread.
func TestHammer(t *testing.T) {
	const natives, entries = 24, 4
	before := threads.Native()
	var slots []threadstest.Slot
	var ranges []threads.Range
	for i := range natives + entries {
		a := uint64(kept + i*0x1000)
		slots = append(slots, threadstest.NewSlot(a))
		ranges = append(ranges, threads.Range{Lo: a, Hi: a + 16})
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i, s := range slots[:natives] {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for !stop.Load() {
				rounds := r.IntN(8) + 1
				end := s.Counter() + 4*uint64(rounds)
				if !s.Thread(r.IntN(2_000_000), rounds) {
					t.Error("no thread")
					return
				}
				for s.Counter() != end {
					time.Sleep(50 * time.Microsecond)
				}
			}
		})
	}
	for _, s := range slots[natives:] {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				call(t, threadstest.SlotRound(), s.Address(), uint64(i*7919%1_000_000))
				if i%16 == 0 {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	end := time.Now().Add(2 * time.Second)
	if testing.Short() {
		end = time.Now().Add(200 * time.Millisecond)
	}
	sure, held, scans := 0, 0, 0
	counters := make([]uint64, len(slots))
	for ; time.Now().Before(end); scans++ {
		for i, s := range slots {
			counters[i] = s.Counter()
		}
		h := scan(t, ranges)
		if i := slices.IndexFunc(h, func(h threads.Holder) bool { return h.Reason != "" }); i >= 0 {
			t.Errorf("scan %d: %v", scans, h[i])
		}
		for i, s := range slots {
			if s.Counter() != counters[i] || counters[i]%2 != 0 {
				continue
			}
			planted := counters[i]%4 == 2
			if h[i].Held() != planted {
				t.Errorf("slot %d: counter %d, holder %v", i, counters[i], h[i])
			}
			sure++
			if planted {
				held++
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	if n := awaitNative(before); n != before {
		t.Errorf("%d native threads, %d before", n, before)
	}
	for _, h := range scan(t, ranges) {
		if h.Held() {
			t.Errorf("held by %v though all have ended", h)
		}
	}
	if sure == 0 || held == 0 {
		t.Errorf("of %d sure answers %d were planted", sure, held)
	}
	t.Logf("%d scans with %d sure answers, %d of them held", scans, sure, held)
	for _, s := range slots {
		s.Free()
	}
}

// Cells are stored together while readers on native threads, and in entries that begin and end all the time, read them in changing order: at each
// moment all cells are equal, so nobody may see one that is older than the one it has read before. Fails, mostly at once, if lj_finish does not wait
// while q->hold is set (native threads), or lj_thread_enter does not look at lj_threads_held (entries).
func TestStop(t *testing.T) {
	const ncells = 8
	cells, stop := threadstest.Words(ncells), threadstest.Words(1)
	var readers []threadstest.Reader
	before := threads.Native()
	for range 8 {
		r := threadstest.NewReader(cells, &stop[0])
		readers = append(readers, r)
		if !r.Thread() {
			t.Fatal("no thread")
		}
	}
	var wg sync.WaitGroup
	var over atomic.Bool
	for range 3 {
		r := threadstest.NewReader(cells, &stop[0])
		readers = append(readers, r)
		wg.Go(func() {
			for !over.Load() {
				call(t, threadstest.ReadCells(), r.Address(), 20)
			}
		})
	}
	stores := make([]threads.Store, ncells)
	for i := 0; i < len(readers); {
		if n, _ := readers[i].Rounds(); n > 0 {
			i++
			continue
		}
		time.Sleep(time.Millisecond)
	}
	stops := uint64(0)
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		stops++
		n := stops
		for i := range stores {
			stores[i] = threads.Store{Address: address(&cells[i]), Value: n}
		}
		done, h, err := threads.Stop(around(kept), stores, limit)
		if !done || err != nil || h[0].Held() || h[1].Held() || h[2].Held() {
			t.Fatal(n, done, h, err)
		}
	}
	over.Store(true)
	wg.Wait()
	store(&stop[0], 1)
	if n := awaitNative(before); n != before {
		t.Errorf("%d native threads, %d before", n, before)
	}
	for i, r := range readers {
		rounds, bad := r.Rounds()
		if bad != 0 || rounds == 0 {
			t.Errorf("reader %d: %d rounds, %d times a cell older than another", i, rounds, bad)
		}
		r.Free()
	}
	for _, c := range cells {
		if c != stops {
			t.Errorf("cell %d", c)
		}
	}
}

// While somebody holds an address nothing is stored, and the threads go on.
func TestStopHeld(t *testing.T) {
	cells := threadstest.Words(1)
	a := threadstest.Start(threadstest.Pthread, threadstest.Stack, threadstest.Spin, kept)
	a.AwaitExactly(1)
	stores := []threads.Store{{Address: address(&cells[0]), Value: 7}}
	done, h, err := threads.Stop(around(kept), stores, limit)
	if done || err != nil || h[1].Thread != a.Thread() || h[0].Held() || cells[0] != 0 {
		t.Error(done, h, err, cells)
	}
	a.Go(1)
	a.AwaitExactly(2)
	done, h, err = threads.Stop(around(kept), stores, limit)
	if !done || err != nil || h[1].Held() || cells[0] != 7 {
		t.Error(done, h, err, cells)
	}
	a.Go(2)
	a.End()
}

// Native threads begin while others are being stopped, and Go threads enter.
func TestStopWhileThreadsStart(t *testing.T) {
	before := threads.Native()
	var slots []threadstest.Slot
	var wg sync.WaitGroup
	var over atomic.Bool
	for i := range 8 {
		s := threadstest.NewSlot(uint64(kept + i*0x1000))
		slots = append(slots, s)
		wg.Go(func() {
			for !over.Load() {
				end := s.Counter() + 4
				if !s.Thread(100, 1) {
					t.Error("no thread")
				}
				for s.Counter() != end {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
	}
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if done, h, err := threads.Stop(nil, nil, limit); !done || err != nil {
			t.Fatal(done, h, err)
		}
	}
	over.Store(true)
	wg.Wait()
	if n := awaitNative(before); n != before {
		t.Errorf("%d native threads, %d before", n, before)
	}
	for _, s := range slots {
		s.Free()
	}
}
